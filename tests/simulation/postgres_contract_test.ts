/** The contracts of store, outbox and queues on the simulated Postgres, while nothing goes wrong. */
import { systemEnv } from "../../lib/env.ts";
import { type JobPost, jobQueueContract } from "../contracts/job_queue_contract.ts";
import { outboxContract } from "../contracts/outbox_contract.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";
import type { Pace } from "./postgres/fault_plan.ts";
import { SimulatedPostgres } from "./postgres/server.ts";

/** So that nobody has to move the clock. */
const atOnce: Pace = { connectMs: [0, 0], requestMs: [0, 0], commitMs: [0, 0], replyMs: [0, 0] };

/** Nobody waits for anything, so nobody has to give up waiting. */
const time = { ...systemEnv, sleep: () => new Promise<void>(() => {}) };

storeContract("simulated Postgres", (test) => () => test(post().store, newKind()));

outboxContract("simulated Postgres", (test) => () => test(post(), newKind()));

jobQueueContract("simulated Postgres", (test) => () => test(post(), newKind()));

function post(): JobPost {
  const server = new SimulatedPostgres({ time, seed: 1, pace: atOnce });
  const { store, outbox, deadLetters, jobs } = server.connect({ name: "node" });
  const audit = () =>
    Promise.resolve(server.tables.audit.map(({ principal, act }) => `${principal}: ${act}`));
  return { store, outbox, deadLetters, jobs, audit };
}
