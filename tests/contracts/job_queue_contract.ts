/**
 * What every queue of jobs promises, together with the outbox that its jobs lie in.
 *
 * @module
 */
import assert from "node:assert/strict";
import { enqueue, type EnqueueOptions, JOB_KIND } from "../../lib/jobs/job.ts";
import type {
  ClaimedJob,
  JobClaim,
  JobEnding,
  JobQueue,
  QueueLimits,
} from "../../lib/jobs/job_queue.ts";
import type { Outbox } from "../../lib/runtime/outbox.ts";
import type { NewMessage } from "../../lib/runtime/store.ts";
import { aJob } from "../support/jobs.ts";
import type { Post } from "./outbox_contract.ts";
import { commitOf, newEvent } from "./store_contract.ts";

export interface JobPost extends Post {
  readonly jobs: JobQueue;
}

type JobTest = (post: JobPost, queue: string) => Promise<void>;

/** Registers the suite; each test has a queue of its own. */
export function jobQueueContract(
  name: string,
  tests: (test: JobTest) => () => Promise<void>,
): void {
  for (const [behaviour, test] of Object.entries(contract)) {
    Deno.test(`${name}: ${behaviour}`, tests(test));
  }
}

const HOUR_MS = 3_600_000;
const root = { id: "root" };
const newToken = () => Math.floor(Math.random() * 2 ** 53);

function newJob(queue: string, n: number, options: EnqueueOptions = {}): NewMessage {
  const { delayMs = 0, ...message } = enqueue({ ...aJob, queue }, { n }, options);
  return {
    ...message,
    delayMs,
    messageId: crypto.randomUUID(),
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principal: { id: "ana", roles: ["clerk"] },
  };
}

async function enqueued(
  jobs: JobQueue,
  queue: string,
  ...options: readonly EnqueueOptions[]
): Promise<readonly string[]> {
  return await jobs.enqueue(options.map((option, n) => newJob(queue, n, option)));
}

async function claimed(
  jobs: JobQueue,
  queue: string,
  claim: Partial<JobClaim> = {},
): Promise<readonly ClaimedJob[]> {
  const whole = { queue, token: newToken(), leaseMs: HOUR_MS, limit: 100 };
  return (await jobs.claim({ ...whole, ...claim })).jobs;
}

function numbers(found: readonly { readonly command: unknown }[]): number[] {
  return found.map(({ command }) => (command as { payload: { n: number } }).payload.n);
}

const completed = { is: "completed", result: { sum: 7 }, keepMs: HOUR_MS } as const;
const retriedAtOnce = { is: "retried", delayMs: 0, error: "why" } as const;

async function settled(
  jobs: JobQueue,
  job: ClaimedJob,
  ending: Settlement = completed,
  isCounted = false,
): Promise<boolean> {
  const { queue, position, token } = job;
  const [isHeld] = await jobs.settle([{ queue, position, token, isCounted, ...ending }]);
  return isHeld!;
}

type Settlement = JobEnding extends infer Each
  ? Each extends JobEnding ? Omit<Each, "queue" | "position" | "token" | "isCounted"> : never
  : never;

function reportTo(kind: string): NewMessage {
  return {
    messageId: crypto.randomUUID(),
    to: { kind, key: "flow" },
    schema: 1,
    command: { type: "Report" },
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principal: { id: "ana", roles: [] },
    delayMs: 0,
  };
}

async function reportsIn(outbox: Outbox, kind: string): Promise<number> {
  const lane = { kind, key: "flow" };
  const [claim] = await outbox.claim([lane], { token: newToken(), leaseMs: 0, limit: 100 });
  return claim?.messages.length ?? 0;
}

async function room(jobs: JobQueue, queue: string, limits: QueueLimits, limit = 100) {
  return await jobs.claim({ queue, token: newToken(), leaseMs: HOUR_MS, limit, limits });
}

const contract: Record<string, JobTest> = {
  "a job is claimed as it was enqueued": async ({ jobs }, queue) => {
    const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    const { delayMs: _, job: __, ...job } = { ...newJob(queue, 5), traceparent };
    await jobs.enqueue([{ ...newJob(queue, 5), ...job }]);
    const [found] = await claimed(jobs, queue);
    const { position, at, token, job: ___, ...rest } = found!;
    assert.deepEqual(rest, { ...job, queue, attempt: 1 });
    assert(position > 0 && at > 0 && token > 0);
  },

  "a job that an actor tells is there with its events": async ({ jobs, store }, queue) => {
    const message = newJob(queue, 5);
    const events = [newEvent("First")];
    await store.commit([commitOf(queue, "a", { events, messages: [message] })]);
    const stale = [newJob(queue, 6)];
    await store.commit([commitOf(queue, "a", { events, messages: stale })]);
    const found = await claimed(jobs, queue);
    assert.deepEqual(numbers(found), [5]);
    assert.equal(found[0]!.correlationId, message.correlationId);
  },

  "the most urgent come first, and of those the oldest": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, { priority: 9 }, {}, { priority: 0 }, { priority: 9 });
    assert.deepEqual(numbers(await claimed(jobs, queue, { limit: 2 })), [3, 0]);
    assert.deepEqual(numbers(await claimed(jobs, queue)), [2, 1, 4]);
  },

  "a job is not claimed before its time": async ({ jobs }, queue) => {
    assert.equal(await jobs.nextDueMs(queue), undefined);
    await enqueued(jobs, queue, { delayMs: HOUR_MS }, { delayMs: 2 * HOUR_MS, priority: 0 });
    assert.deepEqual(await claimed(jobs, queue), []);
    const dueMs = await jobs.nextDueMs(queue);
    assert(dueMs! > HOUR_MS - 60_000 && dueMs! <= HOUR_MS, `${dueMs}`);
  },

  "queues do not see each other's jobs": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {});
    assert.deepEqual(await claimed(jobs, `${queue}x`), []);
  },

  "who looks for lanes does not see jobs": async ({ jobs, outbox }, queue) => {
    const { due } = await outbox.depth(1_000);
    await enqueued(jobs, queue, {}, {});
    const { lanes } = await outbox.due(undefined, 1_000);
    assert.deepEqual(lanes.filter(({ kind }) => kind === JOB_KIND), []);
    assert.equal((await outbox.depth(1_000)).due, due);
  },

  "a job has one holder, until its lease is over": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {});
    const [first] = await claimed(jobs, queue, { leaseMs: 0 });
    const [second] = await claimed(jobs, queue);
    assert.deepEqual([first!.attempt, second!.attempt], [1, 2]);
    assert.deepEqual(await claimed(jobs, queue), []);
    assert.equal(await settled(jobs, first!), false);
    assert.equal(await settled(jobs, second!), true);
    assert.equal(await settled(jobs, second!), false);
  },

  "a claim that is repeated takes the same, and counts once": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {}, {});
    const token = newToken();
    const first = await claimed(jobs, queue, { token, limit: 2 });
    assert.deepEqual(await claimed(jobs, queue, { token, limit: 2 }), first);
    assert.deepEqual(numbers(await claimed(jobs, queue)), [2]);
  },

  "a lease that is prolonged holds on": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {});
    const [first, second] = await claimed(jobs, queue, { leaseMs: 0 });
    const { lost, cancelled } = await jobs.extend([first!], HOUR_MS);
    assert.deepEqual([lost, cancelled], [[], []]);
    assert.deepEqual(numbers(await claimed(jobs, queue)), [1]);
    assert.deepEqual((await jobs.extend([first!, second!], HOUR_MS)).lost, [second]);
  },

  "a completed job shows what it gave": async ({ jobs }, queue) => {
    const [id] = await enqueued(jobs, queue, {});
    assert.equal((await jobs.get(id!))!.status, "waiting");
    const [job] = await claimed(jobs, queue);
    assert.equal((await jobs.get(id!))!.status, "active");
    assert.equal(await jobs.note(job!, { done: "half" }), true);
    assert.deepEqual((await jobs.get(id!))!.progress, { done: "half" });
    await settled(jobs, job!);
    const { status, result, attempts, finishedAt, progress } = (await jobs.get(id!))!;
    assert.deepEqual({ status, result, attempts, progress }, {
      status: "completed",
      result: { sum: 7 },
      attempts: 1,
      progress: { done: "half" },
    });
    assert(finishedAt! > 0);
    assert.equal(await jobs.note(job!, { done: "all" }), false);
  },

  "a job that is not kept is gone with its end": async ({ jobs }, queue) => {
    const [id] = await enqueued(jobs, queue, {});
    const [job] = await claimed(jobs, queue);
    await settled(jobs, job!, { ...completed, keepMs: 0 });
    assert.equal(await jobs.get(id!), undefined);
  },

  "what is kept no longer is forgotten": async ({ jobs }, queue) => {
    const [id, other] = await enqueued(jobs, queue, {}, {});
    const [first, second] = await claimed(jobs, queue);
    await settled(jobs, first!);
    await settled(jobs, second!, { ...completed, keepMs: 1 });
    while (await jobs.get(other!) !== undefined);
    while (await jobs.forget(1) > 0);
    assert.deepEqual(numbers(await jobs.list({ queue, limit: 10 })), [0]);
    assert.equal((await jobs.get(id!))!.status, "completed");
  },

  "a job that failed comes back, when it is told to": async ({ jobs }, queue) => {
    const [id] = await enqueued(jobs, queue, {}, {});
    const [first, second] = await claimed(jobs, queue);
    await settled(jobs, first!, { is: "retried", delayMs: HOUR_MS, error: "TypeError: why" });
    await settled(jobs, second!, retriedAtOnce);
    const [again] = await claimed(jobs, queue);
    assert.deepEqual([numbers([again!]), again!.attempt], [[1], 2]);
    const { status, error, attempts } = (await jobs.get(id!))!;
    assert.deepEqual({ status, error, attempts }, {
      status: "delayed",
      error: "TypeError: why",
      attempts: 1,
    });
  },

  "a job that is given back was never begun": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {});
    const [first] = await claimed(jobs, queue);
    assert.equal(await settled(jobs, first!, { is: "released" }), true);
    const [again] = await claimed(jobs, queue);
    assert.equal(again!.attempt, 1);
  },

  "a job that failed for good is a dead letter, and can be redriven": async (post, queue) => {
    const { jobs, deadLetters } = post;
    const [id] = await enqueued(jobs, queue, { priority: 3 }, {});
    const [first] = await claimed(jobs, queue, { limit: 1 });
    await settled(jobs, first!, retriedAtOnce);
    const [job] = await claimed(jobs, queue, { limit: 1 });
    await settled(jobs, job!, { is: "failed", error: "Error: no" });
    assert.equal((await jobs.get(id!))!.status, "failed");
    const letter = (await deadLetters.get(id!))!;
    assert.deepEqual([letter.attempts, letter.error, letter.to], [2, "Error: no", {
      kind: JOB_KIND,
      key: queue,
    }]);
    await deadLetters.redrive({ messageId: id! }, root);
    const [again, other] = await claimed(jobs, queue);
    assert.deepEqual([again!.messageId, again!.attempt, numbers([other!])], [id, 1, [1]]);
  },

  "a job that waits is cancelled at once": async ({ jobs }, queue) => {
    const [id, later] = await enqueued(jobs, queue, {}, { delayMs: HOUR_MS });
    assert.equal(await jobs.cancel(id!, "root", { keepMs: HOUR_MS }), "cancelled");
    assert.equal(await jobs.cancel(later!, "root", { keepMs: 0 }), "cancelled");
    assert.deepEqual(await claimed(jobs, queue), []);
    const { status, cancelledBy } = (await jobs.get(id!))!;
    assert.deepEqual({ status, cancelledBy }, { status: "cancelled", cancelledBy: "root" });
    assert.equal(await jobs.get(later!), undefined);
    assert.equal(await jobs.cancel(id!, "root", { keepMs: HOUR_MS }), undefined);
  },

  "a job that runs is told to stop, and may end as it likes": async ({ jobs }, queue) => {
    const [first, second] = await enqueued(jobs, queue, {}, {});
    const held = await claimed(jobs, queue);
    assert.equal(await jobs.cancel(first!, "root", { keepMs: HOUR_MS }), "cancelling");
    assert.equal(await jobs.cancel(second!, "root", { keepMs: HOUR_MS }), "cancelling");
    assert.deepEqual((await jobs.extend(held, HOUR_MS)).cancelled, held);
    await settled(jobs, held[0]!, { is: "cancelled", keepMs: HOUR_MS });
    const { status, cancelledBy } = (await jobs.get(first!))!;
    assert.deepEqual({ status, cancelledBy }, { status: "cancelled", cancelledBy: "root" });
    await settled(jobs, held[1]!);
    const done = (await jobs.get(second!))!;
    assert.deepEqual([done.status, done.cancelledBy], ["completed", undefined]);
  },

  "a job that somebody wants cancelled is not begun again": async ({ jobs }, queue) => {
    const [first, second] = await enqueued(jobs, queue, {}, {});
    const [held] = await claimed(jobs, queue, { limit: 1 });
    const [crashed] = await claimed(jobs, queue, { leaseMs: 100 });
    assert.deepEqual([held!.isCancelled, crashed!.isCancelled], [undefined, undefined]);
    assert.equal(await jobs.cancel(first!, "root", { keepMs: HOUR_MS }), "cancelling");
    assert.equal(await jobs.cancel(second!, "root", { keepMs: HOUR_MS }), "cancelling");
    await settled(jobs, held!, { is: "retried", delayMs: HOUR_MS, error: "it failed as well" });
    const again: ClaimedJob[] = [];
    while (again.length < 2) again.push(...await claimed(jobs, queue));
    assert.deepEqual(again.map(({ isCancelled }) => isCancelled), [true, true]);
    assert.deepEqual(again.map(({ messageId }) => messageId).sort(), [first, second].sort());
  },

  "whoever waits for a job is told once, with its end": async ({ jobs, outbox }, queue) => {
    await enqueued(jobs, queue, {}, {}, {}, {});
    const [first] = await claimed(jobs, queue, { limit: 1, leaseMs: 0 });
    const held = await claimed(jobs, queue);
    await settled(jobs, first!, { ...completed, report: reportTo(queue) });
    assert.equal(await reportsIn(outbox, queue), 0, "the claim did not hold");
    await settled(jobs, held[0]!, { ...completed, keepMs: 0, report: reportTo(queue) });
    await settled(jobs, held[1]!, { is: "failed", error: "no", report: reportTo(queue) });
    await settled(jobs, held[2]!, { ...retriedAtOnce });
    assert.equal(await reportsIn(outbox, queue), 2);
    const id = held[2]!.messageId;
    await jobs.cancel(id, "root", { keepMs: 0, report: reportTo(queue) });
    assert.equal(await reportsIn(outbox, queue), 3);
  },

  "one of a unique key waits or runs, no more": async ({ jobs, store }, queue) => {
    const unique = { uniqueKey: "daily" };
    const [id] = await enqueued(jobs, queue, unique);
    assert.deepEqual(await enqueued(jobs, queue, unique, { uniqueKey: "other" }, unique), [
      id,
      (await jobs.list({ queue, limit: 1 }))[0]!.messageId,
      id,
    ]);
    const messages = [newJob(queue, 7, unique), newJob(queue, 8)];
    await store.commit([commitOf(queue, "a", { events: [newEvent("First")], messages })]);
    const held = await claimed(jobs, queue);
    assert.deepEqual(numbers(held), [0, 1, 8]);
    assert.deepEqual(await enqueued(jobs, queue, unique), [id], "it runs");
    await settled(jobs, held[0]!);
    const [next] = await enqueued(jobs, queue, unique);
    assert.notEqual(next, id);
  },

  "a job is known by its id, also after its end": async ({ jobs }, queue) => {
    const job = newJob(queue, 1);
    for (const ending of [undefined, completed] as const) {
      assert.deepEqual(await jobs.enqueue([job]), [job.messageId]);
      assert.deepEqual(await jobs.enqueue([job, job]), [job.messageId, job.messageId]);
      const [held] = await claimed(jobs, queue);
      assert.equal(held?.messageId, ending === undefined ? job.messageId : undefined);
      if (held !== undefined) await settled(jobs, held);
    }
    const dead = newJob(queue, 2);
    await jobs.enqueue([dead]);
    const [held] = await claimed(jobs, queue);
    await settled(jobs, held!, { is: "failed", error: "no" });
    await jobs.enqueue([dead]);
    assert.deepEqual(await claimed(jobs, queue), []);
  },

  "a job that is told again under its id, once it has ended, ends again": async (
    { store, jobs },
    queue,
  ) => {
    const tell = async (n: number, messageId: string) => {
      const messages = [{ ...newJob(queue, n), messageId }];
      const changes = { events: [newEvent("Told")], messages };
      const [outcome] = await store.commit([commitOf(queue, crypto.randomUUID(), changes)]);
      assert.equal(outcome?.is, "ok");
      return (await claimed(jobs, queue))[0]!;
    };
    const id = crypto.randomUUID();
    for (const [n, result] of [[1, "one"], [2, "two"]] as const) {
      const ending = { is: "completed", result, keepMs: HOUR_MS } as const;
      assert.equal(await settled(jobs, await tell(n, id), ending), true);
      assert.equal((await jobs.get(id))!.result, result);
    }
    const lost = crypto.randomUUID();
    for (const n of [3, 4]) {
      const ending = { is: "failed", error: `why ${n}` } as const;
      assert.equal(await settled(jobs, await tell(n, lost), ending), true);
      const record = (await jobs.get(lost))!;
      assert.deepEqual([numbers([record]), record.error], [[n], `why ${n}`]);
    }
    const listed = await jobs.list({ queue, limit: 10 });
    assert.deepEqual(numbers(listed).sort(), [2, 4]);
  },

  "a letter whose job waits again is put back beside no other": async (
    { store, jobs, deadLetters },
    queue,
  ) => {
    const job = newJob(queue, 1);
    await jobs.enqueue([job]);
    const [held] = await claimed(jobs, queue);
    await settled(jobs, held!, { is: "failed", error: "no" });
    const changes = { events: [newEvent("Told")], messages: [job] };
    await store.commit([commitOf(queue, "a", changes)]);
    await deadLetters.redrive({ kind: JOB_KIND, key: queue, limit: 10 }, root);
    assert.equal((await claimed(jobs, queue)).length, 1);
    assert.equal(await deadLetters.get(job.messageId), undefined);
  },

  "to end nothing does nothing": async ({ jobs }) => {
    assert.deepEqual(await jobs.settle([]), []);
  },

  "a job that is known stays itself, though another has its key": async ({ jobs }, queue) => {
    const first = newJob(queue, 1, { uniqueKey: "daily" });
    await jobs.enqueue([first]);
    const [held] = await claimed(jobs, queue);
    await settled(jobs, held!);
    const second = newJob(queue, 2, { uniqueKey: "daily" });
    const ids = [first.messageId, second.messageId];
    assert.deepEqual(await jobs.enqueue([first, second]), ids);
    assert.deepEqual(await jobs.enqueue([first]), [first.messageId]);
  },

  "no more run at a time than the queue allows": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {}, {}, {});
    const limits = { runningMax: 2 };
    const first = await room(jobs, queue, limits, 1);
    const second = await room(jobs, queue, limits);
    assert.deepEqual([numbers(first.jobs), numbers(second.jobs)], [[0], [1]]);
    assert.deepEqual((await room(jobs, queue, limits)).jobs, []);
    await settled(jobs, first.jobs[0]!, completed, true);
    assert.deepEqual(numbers((await room(jobs, queue, limits)).jobs), [2]);
  },

  "a lease that is over is no longer counted": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {});
    const limits = { runningMax: 1 };
    await claimed(jobs, queue, { limits, leaseMs: 0 });
    assert.deepEqual(numbers((await room(jobs, queue, limits)).jobs), [0]);
  },

  "a place that was given to another is lost": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {});
    const limits = { runningMax: 1 };
    const [first] = await claimed(jobs, queue, { limits, leaseMs: 0 });
    const counted = { isCounted: true };
    assert.deepEqual((await jobs.extend([first!], 0, counted)).lost, [], "nobody was there");
    await enqueued(jobs, queue, { priority: 0 });
    assert.equal((await room(jobs, queue, limits)).jobs.length, 1);
    assert.deepEqual((await jobs.extend([first!], HOUR_MS, counted)).lost, [first]);
    assert.equal(await settled(jobs, first!, completed, true), true, "what is done is done");
  },

  "no more of one key run at a time than the queue allows": async ({ jobs }, queue) => {
    const [a, b] = [{ concurrencyKey: "a" }, { concurrencyKey: "b" }];
    await enqueued(jobs, queue, a, a, a, b, {}, {});
    const limits = { runningPerKeyMax: 2 };
    const first = await room(jobs, queue, limits);
    assert.deepEqual(numbers(first.jobs), [0, 1, 3, 4, 5]);
    assert.deepEqual((await room(jobs, queue, limits)).jobs, []);
    await settled(jobs, first.jobs[1]!, completed, true);
    assert.deepEqual(numbers((await room(jobs, queue, limits)).jobs), [2]);
  },

  "within a window no more are started than its rate allows": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {}, {}, {}, {});
    const limits = { rate: { max: 3, windowMs: HOUR_MS } };
    const first = await room(jobs, queue, limits, 2);
    assert.deepEqual([numbers(first.jobs), first.againMs], [[0, 1], undefined]);
    assert.deepEqual(numbers((await room(jobs, queue, limits)).jobs), [2]);
    const full = await room(jobs, queue, limits);
    assert.deepEqual(full.jobs, []);
    assert(full.againMs! > HOUR_MS && full.againMs! <= 2 * HOUR_MS, "they may start to the last");
    for (const job of first.jobs) await settled(jobs, job, { ...completed, keepMs: 0 }, true);
    assert.deepEqual((await room(jobs, queue, limits)).jobs, [], "ended ones were started too");
    await jobs.started(queue, first.jobs[0]!.token, HOUR_MS);
    const { againMs } = await room(jobs, queue, limits);
    assert(againMs! > HOUR_MS - 60_000 && againMs! <= HOUR_MS, "counted from when they began");
    await jobs.started(queue, first.jobs[0]!.token, 0);
    assert.deepEqual(numbers((await room(jobs, queue, limits)).jobs), [3, 4]);
  },

  "a claim that is repeated counts as the larger of both": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {}, {}, {}, {});
    const limits = { rate: { max: 3, windowMs: HOUR_MS } };
    const token = newToken();
    for (const job of await claimed(jobs, queue, { token, limits, limit: 2 })) {
      await settled(jobs, job, completed, true);
    }
    await jobs.started(queue, token, 1_000);
    assert.deepEqual(numbers(await claimed(jobs, queue, { token, limits, limit: 1 })), [2]);
    const next = await room(jobs, queue, limits);
    assert.deepEqual(numbers(next.jobs), [3]);
    const { againMs } = await room(jobs, queue, limits);
    assert(againMs! > HOUR_MS, "those of the second may start to the end of its lease");
  },

  "jobs are listed by queue and status, the newest first": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {}, {}, {}, { delayMs: HOUR_MS }, {});
    const held = await claimed(jobs, queue, { limit: 4 });
    await settled(jobs, held[0]!);
    await settled(jobs, held[1]!, { is: "failed", error: "no" });
    await settled(jobs, held[2]!, { is: "cancelled", keepMs: HOUR_MS });
    const all = await jobs.list({ queue, limit: 10 });
    assert.deepEqual(all.map(({ status }) => status), [
      "waiting",
      "delayed",
      "active",
      "cancelled",
      "failed",
      "completed",
    ]);
    for (const { status, position } of all) {
      const found = await jobs.list({ queue, status, limit: 10 });
      assert.deepEqual(found.map((job) => job.position), [position]);
    }
    const page = await jobs.list({ queue, limit: 2, before: all[1]!.position });
    assert.deepEqual(page.map(({ status }) => status), ["active", "cancelled"]);
  },

  "the depth of a queue is what is due": async ({ jobs }, queue) => {
    await enqueued(jobs, queue, {}, {}, {}, { delayMs: HOUR_MS });
    await claimed(jobs, queue, { limit: 1 });
    const depths = await jobs.depth([queue, `${queue}x`], 100);
    const [depth, none] = ["", "x"].map((end) => depths.find((one) => one.queue === queue + end));
    assert.deepEqual([depth!.waiting, depth!.active], [2, 1]);
    assert(depth!.oldestMs >= 0 && depth!.oldestMs < 60_000);
    assert.deepEqual(none, { queue: `${queue}x`, waiting: 0, active: 0, oldestMs: 0 });
  },
};
