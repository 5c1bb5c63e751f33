/** Jobs whose handlers fail before they have waited for anything. */
import assert from "node:assert/strict";
import { z } from "zod";
import { defineJob, enqueue, Unretryable } from "../../../lib/jobs/job.ts";
import { handles, JobWorker } from "../../../lib/jobs/job_worker.ts";
import { MemoryStore } from "../../../lib/memory/store.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const JOBS = 300;

const doomed = defineJob({ type: "doomed", queue: "q", payload: z.null() });

Deno.test("of many jobs that fail at once, each fails once", async () => {
  const env = new VirtualEnv();
  const { jobs } = new MemoryStore(env).outbox;
  const observed: RuntimeEvent[] = [];
  await jobs.enqueue(Array.from({ length: JOBS }, () => {
    const id = env.uuid();
    const ids = { messageId: id, correlationId: id, causationId: id };
    return { ...ids, delayMs: 0, principal: { id: "ana", roles: [] }, ...enqueue(doomed, null) };
  }));
  const bindings = [handles(doomed, () => {
    throw new Unretryable("at once");
  })];
  const observe = (event: RuntimeEvent) => void observed.push(event);
  const worker = new JobWorker({ queue: "q", bindings, jobs, env, observe }).start();
  await env.advance(10_000);
  await env.until(worker.stop());
  const failed = observed.flatMap((event) => event.type === "job" ? [event.job.messageId] : []);
  assert.equal(failed.length, JOBS);
  assert.equal(new Set(failed).size, JOBS);
});
