/** What a worker makes of jobs, whatever their handlers, its store and other workers do. */
import assert from "node:assert/strict";
import { z } from "zod";
import { PoisonFault, TransientFault } from "../../../lib/fault.ts";
import {
  defineJob,
  enqueue,
  type JobContext,
  PAYLOAD_BYTES_MAX,
  RESULT_BYTES_MAX,
  Unretryable,
} from "../../../lib/jobs/job.ts";
import type { JobClaim, JobPage } from "../../../lib/jobs/job_queue.ts";
import { defaultJobWorkerLimits, handles, JobWorker } from "../../../lib/jobs/job_worker.ts";
import { JobWorkers } from "../../../lib/jobs/job_workers.ts";
import { job, overriding, Workshop } from "../../support/workshop.ts";

const { leaseMs, pollMs, watchMs, concurrency } = defaultJobWorkerLimits;
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const forever = () => new Promise<never>(() => {});

/** Fails as soon as it is told to stop. */
function untilStopped({ signal }: JobContext): Promise<never> {
  return new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
}

Deno.test("a job that is done shows its result and how far it came", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  shop.worker([handles(job, async ({ n }, { id: own, attempt, progress }) => {
    await progress({ percent: 50 });
    return { n, own, attempt };
  })]);
  await shop.env.advance(1_000);
  const { status, result, progress, attempts } = (await shop.jobs.get(id!))!;
  assert.deepEqual({ status, result, progress, attempts }, {
    status: "completed",
    result: { n: 0, own: id, attempt: 1 },
    progress: { percent: 50 },
    attempts: 1,
  });
  assert.deepEqual(shop.outcomes, ["completed"]);
});

Deno.test("a result that is too large, or no JSON, ends as a dead letter that says so", async () => {
  await using shop = new Workshop();
  const ids = await shop.enqueue({}, {}, {});
  // Each of these takes two bytes.
  const results = [
    "é".repeat(RESULT_BYTES_MAX / 2),
    () => {},
    "é".repeat(RESULT_BYTES_MAX / 2 - 1),
  ];
  shop.worker([handles(job, ({ n }) => results[n])]);
  await shop.env.advance(1_000);
  const letters = await Promise.all(ids.map((id) => shop.jobs.get(id)));
  assert.deepEqual(letters.map((letter) => letter!.status), ["failed", "failed", "completed"]);
  for (const { error } of letters.slice(0, 2) as { error: string }[]) {
    assert.match(error, /Unretryable: Its result is no JSON of at most 65536 bytes/);
  }
});

Deno.test("progress that is too large fails the attempt, and says so", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({ attemptsMax: 1 });
  shop.worker([handles(job, (_, { progress }) => progress("x".repeat(16 * 1_024)))]);
  await shop.env.advance(1_000);
  assert.match((await shop.jobs.get(id!))!.error!, /RangeError: Progress must be JSON/);
});

Deno.test("a job that fails is tried again, ever later, until it is a dead letter", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  const attempts: { attempt: number; at: number }[] = [];
  shop.worker([handles(job, (_, { attempt }) => {
    attempts.push({ attempt, at: shop.env.now() });
    throw new RangeError(`boom ${attempt}`);
  })]);
  await shop.env.advance(MINUTE);
  assert.deepEqual(attempts.map(({ attempt }) => attempt), [1, 2, 3, 4]);
  const waits = attempts.slice(1).map(({ at }, index) => at - attempts[index]!.at);
  waits.forEach((wait, index) => {
    const most = job.backoff.firstMs * 2 ** index;
    assert(wait >= most / 2 && wait <= most + 1, `${wait} of ${most}`);
  });
  assert.deepEqual(shop.outcomes, ["retried", "retried", "retried", "failed"]);
  const letter = (await shop.memory.outbox.get(id!))!;
  assert.deepEqual([letter.error, letter.attempts], ["RangeError: boom 4", 4]);
});

Deno.test("what its caller asked for counts, not what is usual", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({ attemptsMax: 2 });
  shop.worker([handles(job, () => Promise.reject("a string"))]);
  await shop.env.advance(MINUTE);
  assert.deepEqual(shop.outcomes, ["retried", "failed"]);
  assert.equal((await shop.jobs.get(id!))!.error, "a string");
});

Deno.test("what no attempt can mend is not tried again", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  shop.worker([handles(job, () => {
    throw new Unretryable("never");
  })]);
  await shop.env.advance(MINUTE);
  assert.deepEqual(shop.outcomes, ["failed"]);
  assert.equal((await shop.jobs.get(id!))!.error, "Unretryable: never");
});

Deno.test("whoever asks to be tried later is", async () => {
  await using shop = new Workshop();
  await shop.enqueue({});
  const at: number[] = [];
  shop.worker([handles(job, () => {
    at.push(shop.env.now());
    if (at.length === 1) throw new TransientFault("busy", { retryAfterMs: 30_000 });
  })]);
  await shop.env.advance(MINUTE);
  assert.equal(at.length, 2);
  assert(at[1]! - at[0]! >= 30_000 && at[1]! - at[0]! <= 30_000 + pollMs);
});

Deno.test("a job that takes too long is told to stop, and has failed", async () => {
  await using shop = new Workshop();
  const quick = defineJob({ ...job, timeoutMs: 5_000, attemptsMax: 1 });
  const [id] = await shop.enqueueAs(quick, [{ n: 0 }]);
  let reason: unknown;
  shop.worker([handles(quick, async (_, context) => {
    await untilStopped(context).catch((error) => reason = error);
    return "done in spite of it";
  })]);
  await shop.env.advance(5_000 + watchMs);
  assert.match(String(reason), /timed out/);
  assert.match((await shop.jobs.get(id!))!.error!, /TimedOut: It took longer than 5000 ms/);
  assert.deepEqual(shop.outcomes, ["failed"], "what it gives afterwards is nobody's");
});

Deno.test("a handler that never looks at its signal holds nobody up", async () => {
  await using shop = new Workshop();
  const stubborn = defineJob({ ...job, timeoutMs: 1_000, attemptsMax: 1 });
  const ids = await shop.enqueueAs(stubborn, [{ n: 0 }], [{ n: 1 }]);
  const late = Promise.withResolvers<string>();
  shop.worker([handles(stubborn, ({ n }) => n === 0 ? late.promise : "done")], { concurrency: 1 });
  await shop.env.advance(1_000 + watchMs + pollMs);
  late.resolve("too late");
  await shop.env.advance(1_000);
  assert.deepEqual(await Promise.all(ids.map((id) => shop.status(id))), ["failed", "completed"]);
  assert.deepEqual(shop.outcomes, ["failed", "completed"]);
});

Deno.test("a running job that is cancelled ends as its handler has it", async () => {
  await using shop = new Workshop();
  const ids = await shop.enqueue({}, {});
  const gate = Promise.withResolvers<string>();
  shop.worker([handles(job, ({ n }, context) => n === 0 ? untilStopped(context) : gate.promise)]);
  await shop.env.advance(1_000);
  for (const id of ids) {
    assert.equal(await shop.jobs.cancel(id, "root", { keepMs: HOUR }), "cancelling");
  }
  await shop.env.advance(leaseMs / 3 + watchMs);
  gate.resolve("done already");
  await shop.env.advance(1);
  assert.deepEqual(await Promise.all(ids.map((id) => shop.status(id))), ["cancelled", "completed"]);
});

Deno.test("a job that fails after it was cancelled is not tried again", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  let begun = 0;
  shop.worker([handles(job, async () => {
    begun++;
    await shop.env.sleep(1_000);
    throw new Error("before anybody told it");
  })]);
  await shop.env.advance(500);
  assert.equal(await shop.jobs.cancel(id!, "root", { keepMs: HOUR }), "cancelling");
  await shop.env.advance(HOUR / 2);
  assert.equal(begun, 1);
  const { status, cancelledBy } = (await shop.jobs.get(id!))!;
  assert.deepEqual({ status, cancelledBy }, { status: "cancelled", cancelledBy: "root" });
});

Deno.test("a claim that another has taken over is refused its end, and its handler told", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  let isCut = false;
  const jobs = overriding(shop.jobs, {
    extend: (...asked) =>
      isCut ? Promise.reject(new TransientFault("away")) : shop.jobs.extend(...asked),
    claim: (claim) => isCut ? Promise.reject(new TransientFault("away")) : shop.jobs.claim(claim),
  });
  const gate = Promise.withResolvers<void>();
  let wasTold = false;
  const slow = defineJob({ ...job, timeoutMs: HOUR });
  shop.worker([handles(slow, async (_, { signal }) => {
    signal.addEventListener("abort", () => wasTold = true);
    await gate.promise;
    return "the zombie's";
  })], { jobs });
  await shop.env.advance(1);
  isCut = true;
  await shop.env.advance(leaseMs + 1);
  shop.worker([handles(job, () => "the other's")]);
  await shop.env.advance(1);
  assert.equal((await shop.jobs.get(id!))!.result, "the other's");
  isCut = false;
  await shop.env.advance(leaseMs);
  assert(wasTold);
  gate.resolve();
  await shop.env.advance(1_000);
  const { result, attempts } = (await shop.jobs.get(id!))!;
  assert.deepEqual([result, attempts], ["the other's", 2]);
});

Deno.test("a worker that lost a job and took it again has it, and is not told to stop", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  let isCut = true;
  const jobs = overriding(shop.jobs, {
    extend: (...asked) =>
      isCut ? Promise.reject(new TransientFault("away")) : shop.jobs.extend(...asked),
  });
  const told: number[] = [];
  const slow = defineJob({ ...job, timeoutMs: HOUR });
  shop.worker([handles(slow, async (_, { attempt, signal }) => {
    signal.addEventListener("abort", () => told.push(attempt));
    await shop.env.sleep(attempt === 1 ? HOUR : 2 * leaseMs);
    return attempt;
  })], { jobs });
  await shop.env.advance(leaseMs + pollMs);
  isCut = false;
  await shop.env.advance(3 * leaseMs);
  assert.deepEqual(told, [1]);
  assert.equal((await shop.jobs.get(id!))!.result, 2);
  await shop.env.advance(HOUR);
});

Deno.test("a job that took down whoever began it is buried, not begun for ever", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  for (let token = 1; token <= job.attemptsMax; token++) {
    const crashing = { queue: job.queue, token, leaseMs: 1_000, limit: 1 };
    assert.equal((await shop.jobs.claim(crashing)).jobs.length, 1);
    await shop.env.advance(1_000);
  }
  let begun = 0;
  shop.worker([handles(job, () => begun++)]);
  await shop.env.advance(1_000);
  assert.equal(begun, 0);
  assert.match((await shop.jobs.get(id!))!.error!, /It was begun 4 times, never ended/);
});

Deno.test("the most urgent are begun first, so many at a time as there are hands", async () => {
  await using shop = new Workshop();
  await shop.enqueue({}, { priority: 9 }, { priority: 0 }, {}, { priority: 1 });
  const order: number[] = [];
  let [running, most] = [0, 0];
  shop.worker([handles(job, async ({ n }) => {
    order.push(n);
    most = Math.max(most, ++running);
    await shop.env.sleep(100);
    running--;
  })], { concurrency: 2 });
  await shop.env.advance(MINUTE);
  assert.deepEqual(order, [2, 4, 0, 3, 1]);
  assert.equal(most, 2);
});

Deno.test("of slow jobs nothing is claimed ahead, of quick ones what is soon done", async () => {
  await using shop = new Workshop();
  await shop.enqueue(...Array.from({ length: 700 }, () => ({})));
  let ms = 1_000;
  const worker = shop.worker([handles(job, () => shop.env.sleep(ms))]);
  let most = 0;
  for (let second = 0; second < 6; second++) {
    await shop.env.advance(500);
    most = Math.max(most, worker.health().inHand);
  }
  assert.equal(most, concurrency + 1, "ten at a second each are one in a tenth of a second");
  ms = 1;
  await shop.env.advance(1_000);
  for (let step = 0; step < 50; step++) {
    await shop.env.advance(1);
    most = Math.max(most, worker.health().inHand);
  }
  assert(most > 5 * concurrency && most < 2_000, `${most}`);
});

Deno.test("a worker that drains gives back what it has not begun, and waits for the rest", async () => {
  await using shop = new Workshop();
  await shop.enqueue(...Array.from({ length: 600 }, () => ({})));
  let begun = 0;
  let ms = 1;
  const worker = shop.worker([handles(job, async () => {
    begun++;
    await shop.env.sleep(ms);
  })]);
  await shop.env.advance(30);
  ms = 2_000;
  await shop.env.advance(2);
  const [before, held] = [begun, worker.health().inHand];
  assert(held > concurrency, "some are claimed and not begun");
  const [drained, again] = [worker.drain(), worker.drain()];
  await shop.env.advance(1_000);
  assert.equal(worker.health().state, "draining");
  await shop.env.until(Promise.all([drained, again]));
  assert.equal(begun, before);
  assert.deepEqual([worker.health().state, worker.health().inHand], ["stopped", 0]);
  const left = await shop.jobs.list({ queue: job.queue, status: "waiting", limit: 1_000 });
  assert.equal(left.length, 600 - begun);
  assert(left.every(({ attempts }) => attempts === 0), "none of them was begun");
});

Deno.test("what is claimed as a worker drains is not begun", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  const claiming = Promise.withResolvers<void>();
  const jobs = overriding(shop.jobs, {
    async claim(claim) {
      const page = await shop.jobs.claim(claim);
      await claiming.promise;
      return page;
    },
  });
  let begun = 0;
  const worker = shop.worker([handles(job, () => begun++)], { jobs });
  await shop.env.settle();
  const drained = worker.drain();
  claiming.resolve();
  await shop.env.until(drained);
  const { status, attempts } = (await shop.jobs.get(id!))!;
  assert.deepEqual([begun, status, attempts], [0, "waiting", 0]);
});

Deno.test("who takes too long to stop is left alone, told so, and the job another's", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  let wasTold = false;
  const worker = shop.worker([handles(job, async (_, { signal }) => {
    signal.addEventListener("abort", () => wasTold = true);
    await forever();
  })], { tuning: { drainMs: 3_000 } });
  await shop.env.advance(1);
  await shop.env.until(worker.stop());
  assert.equal(shop.env.monotonic(), 3_001);
  assert(wasTold);
  const { status, attempts } = (await shop.jobs.get(id!))!;
  assert.deepEqual([status, attempts, shop.outcomes], ["waiting", 0, ["abandoned"]]);
  shop.worker([handles(job, () => "at last")]);
  await shop.env.advance(1);
  assert.equal((await shop.jobs.get(id!))!.result, "at last");
});

Deno.test("what is announced is begun at once, what is not at the next look", async () => {
  await using shop = new Workshop();
  const at: number[] = [];
  const { env, jobs } = shop;
  const bindings = [handles(job, () => void at.push(env.monotonic()))];
  const workers = new JobWorkers({ bindings, jobs, env, observe() {} });
  await env.advance(pollMs / 2);
  await shop.enqueue({});
  workers.announce([{ kind: "job", key: "other" }, { kind: "other", key: job.queue }]);
  await env.advance(1);
  assert.deepEqual(at, []);
  workers.announce([{ kind: "job", key: job.queue }]);
  await env.advance(0);
  assert.deepEqual(at, [pollMs / 2 + 1]);
  await env.advance(10);
  await shop.enqueue({});
  await env.advance(pollMs);
  assert.equal(at.length, 2);
  assert.deepEqual(workers.health().map(({ name, state }) => `${name} ${state}`), [
    "jobs/counting running",
    "jobs running",
  ]);
  await env.until(workers[Symbol.asyncDispose]());
});

Deno.test("a delayed job is begun at its time, not before and hardly after", async () => {
  await using shop = new Workshop();
  const at: number[] = [];
  await shop.enqueue({ delayMs: 12_345 });
  shop.worker([handles(job, () => void at.push(shop.env.monotonic()))]);
  await shop.env.advance(MINUTE);
  assert.deepEqual(at, [12_345]);
});

Deno.test("a job that nobody here does ends as a dead letter that says so", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({ attemptsMax: 2 });
  shop.worker([]);
  await shop.env.advance(MINUTE);
  assert.equal((await shop.jobs.get(id!))!.error, "Error: Nothing here does jobs of type count");
});

Deno.test("an old payload is brought to today's form, and what is none fails by name", async () => {
  await using shop = new Workshop();
  const old = defineJob({ ...job, payload: z.object({ number: z.number() }) });
  const [id] = await shop.enqueueAs(old, [{ number: 7 }]);
  const today = defineJob({
    ...job,
    schema: 2,
    attemptsMax: 1,
    upcast: ({ schema, payload }) => ({ n: (payload as { number: number }).number * schema }),
  });
  const [bad] = await shop.enqueueAs(
    { ...today, payload: z.object({ n: z.string() }) } as never,
    [{ n: "seven" }],
  );
  shop.worker([handles(today, ({ n }) => n)]);
  await shop.env.advance(1_000);
  assert.equal((await shop.jobs.get(id!))!.result, 7);
  assert.match((await shop.jobs.get(bad!))!.error!, /"n"[^]*expected number/);
});

Deno.test("while claims fail the worker says so, and goes on when they do not", async () => {
  await using shop = new Workshop();
  let isDown = true;
  const [id] = await shop.enqueue({});
  const jobs = overriding(shop.jobs, {
    claim: (claim) => isDown ? Promise.reject(new TransientFault("away")) : shop.jobs.claim(claim),
  });
  const worker = shop.worker([handles(job, () => 1)], { jobs });
  await shop.env.advance(MINUTE);
  assert.equal(worker.health().failure?.message.includes("away"), true);
  assert.equal(worker.health().state, "running");
  assert(shop.seen("job-worker-failed").every(({ task }) => task === "claim"));
  isDown = false;
  await shop.env.advance(2_000);
  assert.equal(await shop.status(id!), "completed");
  assert.equal(worker.health().failure, undefined);
});

Deno.test("a claim whose answer gets lost is repeated, and its jobs begun once", async () => {
  await using shop = new Workshop();
  await shop.enqueue({}, {}, {});
  let lost = 3;
  const jobs = overriding(shop.jobs, {
    async claim(claim): Promise<JobPage> {
      const page = await shop.jobs.claim(claim);
      if (lost-- > 0) throw new TransientFault("cut", { outcome: "unknown" });
      return page;
    },
  });
  const begun: string[] = [];
  shop.worker([handles(job, ({ n }, { attempt }) => void begun.push(`${n}/${attempt}`))], { jobs });
  await shop.env.advance(MINUTE);
  assert.deepEqual(begun, ["0/1", "1/1", "2/1"]);
});

Deno.test("an answer that comes after the lease begins nothing", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  const limits = { runningMax: 1 };
  const begun: number[] = [];
  let answersIn = leaseMs + 10;
  const jobs = overriding(shop.jobs, {
    async claim(claim: JobClaim) {
      const page = await shop.jobs.claim(claim);
      await shop.env.sleep(answersIn);
      answersIn = 0;
      return page;
    },
  });
  shop.worker([handles(job, (_, { attempt }) => void begun.push(attempt))], { jobs, limits });
  await shop.env.advance(leaseMs);
  const other = { queue: job.queue, token: 1, leaseMs: 1_000, limit: 1, limits };
  const { jobs: [taken] } = await shop.jobs.claim(other);
  assert.equal(taken!.messageId, id);
  await shop.env.advance(500);
  assert.deepEqual(begun, [], "it is another's");
  await shop.env.advance(2_000);
  assert.deepEqual(begun, [3]);
});

Deno.test("an end whose recording is in doubt is recorded once", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  let begun = 0;
  const faults = [new TransientFault("away"), undefined];
  const jobs = overriding(shop.jobs, {
    async settle(endings) {
      const fault = faults.length > 1 ? faults.shift() : undefined;
      if (fault !== undefined) throw fault;
      const held = await shop.jobs.settle(endings);
      if (faults.shift() === undefined && held.includes(true)) {
        throw new TransientFault("cut", { outcome: "unknown" });
      }
      return held;
    },
  });
  shop.worker([handles(job, () => ++begun)], { jobs });
  await shop.env.advance(MINUTE);
  assert.equal(begun, 1);
  const { status, result, attempts } = (await shop.jobs.get(id!))!;
  assert.deepEqual([status, result, attempts], ["completed", 1, 1]);
});

Deno.test("an end that cannot be recorded for long leads to another attempt", async () => {
  await using shop = new Workshop();
  const [id] = await shop.enqueue({});
  let isDown = true;
  const jobs = overriding(shop.jobs, {
    settle: (endings) =>
      isDown ? Promise.reject(new TransientFault("away")) : shop.jobs.settle(endings),
  });
  const worker = shop.worker([handles(job, (_, { attempt }) => attempt)], { jobs });
  await shop.env.advance(10_000);
  assert.equal(worker.health().inHand, 0);
  isDown = false;
  await shop.env.advance(leaseMs);
  assert.equal((await shop.jobs.get(id!))!.result, 2);
});

Deno.test("a result that the store refuses harms no other job", async () => {
  await using shop = new Workshop();
  const reportTo = { to: { kind: "flow", key: "f" }, schema: 1, node: "a" };
  const ids = await shop.enqueue({}, {}, { reportTo }, {}, {});
  const refused = (result: unknown) => result === "\0";
  const jobs = overriding(shop.jobs, {
    settle: (endings) =>
      endings.some((ending) => ending.is === "completed" && refused(ending.result))
        ? Promise.reject(new PoisonFault("Postgres failed: unsupported Unicode escape sequence"))
        : shop.jobs.settle(endings),
  });
  shop.worker([handles(job, ({ n }) => n === 2 ? "\0" : n)], { jobs });
  await shop.env.advance(1_000);
  const records = await Promise.all(ids.map(async (id) => (await shop.jobs.get(id))!));
  assert.deepEqual(records.map(({ status, attempts }) => `${status} ${attempts}`), [
    "completed 1",
    "completed 1",
    "failed 1",
    "completed 1",
    "completed 1",
  ]);
  assert.match(records[2]!.error!, /cannot be recorded.*Unicode/);
  const lane = { kind: "flow", key: "f" };
  const [told] = await shop.memory.outbox.claim([lane], { token: 1, leaseMs: 1, limit: 9 });
  const { outcome, error } = told!.messages[0]!.command as { outcome: string; error: string };
  assert.equal(outcome, "failed");
  assert.match(error, /cannot be recorded/);
});

Deno.test("whoever waits for a job hears of its end, and the relay of that", async () => {
  await using shop = new Workshop();
  const reportTo = { to: { kind: "flow", key: "f" }, schema: 3, node: "a" };
  await shop.enqueue({ reportTo }, { reportTo, attemptsMax: 1 }, { reportTo, attemptsMax: 2 });
  shop.worker([handles(job, ({ n }) => {
    if (n > 0) throw new Error("no");
    return { sum: 1 };
  })]);
  await shop.env.advance(MINUTE);
  const lane = { kind: "flow", key: "f" };
  const [told] = await shop.memory.outbox.claim([lane], { token: 1, leaseMs: 1, limit: 9 });
  const outcomes = told!.messages.map(({ command }) => (command as { outcome: string }).outcome);
  assert.deepEqual(outcomes.sort(), ["completed", "failed", "failed"]);
  assert.equal(shop.seen("told").length, 3);
});

Deno.test("what could never be done is not enqueued", () => {
  assert.throws(() => enqueue(job, { n: 0 }, { priority: 10 }), RangeError);
  assert.throws(() => enqueue(job, { n: 0 }, { priority: 0.5 }), RangeError);
  assert.throws(() => enqueue(job, { n: "x" } as never), (error) => error instanceof z.ZodError);
  const free = defineJob({ ...job, payload: z.string() });
  const chars = PAYLOAD_BYTES_MAX - JSON.stringify({ type: job.type, payload: "" }).length;
  enqueue(free, "x".repeat(chars));
  assert.throws(() => enqueue(free, "x".repeat(chars + 1)), { name: "PayloadTooLarge" });
});

Deno.test("a worker is started once, and not after its end", async () => {
  await using shop = new Workshop();
  const { env, jobs } = shop;
  const options = { queue: job.queue, bindings: [], jobs, env, observe() {} };
  const idle = new JobWorker(options);
  assert.equal(idle.health().state, "configured");
  await idle.stop();
  assert.equal(idle.health().state, "stopped");
  assert.throws(() => idle.start(), /Cannot start jobs\/counting: stopped/);
  const worker = shop.worker([]);
  assert.throws(() => worker.start(), /running/);
});
