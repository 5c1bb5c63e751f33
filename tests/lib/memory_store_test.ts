/** The contracts of store and outbox on the in-memory store. */
import { systemEnv } from "../../lib/env.ts";
import { MemoryStore } from "../../lib/memory/store.ts";
import { type JobPost, jobQueueContract } from "../contracts/job_queue_contract.ts";
import { outboxContract } from "../contracts/outbox_contract.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";

storeContract("memory", (test) => () => test(new MemoryStore(systemEnv), newKind()));

outboxContract("memory", (test) => () => test(post(), newKind()));

jobQueueContract("memory", (test) => () => test(post(), newKind()));

function post(): JobPost {
  const store = new MemoryStore(systemEnv);
  const { outbox } = store;
  const audit = () =>
    Promise.resolve(outbox.audit.map(({ principal, act }) => `${principal}: ${act}`));
  return { store, outbox, deadLetters: outbox, jobs: outbox.jobs, audit };
}
