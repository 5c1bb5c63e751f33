/** "Bring everything due now, then stop": what a process does that is woken from time to time. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { drained } from "../../../lib/jobs/draining.ts";
import { handles } from "../../../lib/jobs/job_worker.ts";
import { JobWorkers } from "../../../lib/jobs/job_workers.ts";
import { Office, override } from "../../support/office.ts";
import { plan, sendReport } from "../../support/reports.ts";
import { ScheduleNode } from "../../support/schedule_node.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const NOON = Date.parse("2030-01-01T12:00:00Z");

/** So rarely that it never looks of its own accord. */
const limits = { pollMs: 24 * HOUR, depthMs: 24 * HOUR, tidyMs: 24 * HOUR };

const observe = () => {};
const queues = [sendReport.queue];

/** What is there before the relay first looks is looked at by it; what comes later is not. */
async function quietOffice(options: ConstructorParameters<typeof Office>[0] = {}) {
  const office = new Office({ limits, ...options });
  await office.env.advance(1);
  return office;
}

Deno.test("drained brings what is due, and what follows from it", async () => {
  await using office = await quietOffice();
  await office.ask("0", { type: "Send", to: ["a", "b"], notes: ["late"], delayMs: HOUR });
  await office.ask("0", { type: "Pass", hops: 0, size: 5 });
  await office.env.advance(HOUR);
  assert.deepEqual(await office.notes("a"), [], "nobody has looked");
  assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
  assert.deepEqual([await office.notes("a"), await office.notes("b")], [["late"], ["late"]]);
  assert.equal((await office.memory.outbox.depth(10)).due, 0);
});

Deno.test("drained walks through pages, however few lanes are in hand at a time", async () => {
  await using office = await quietOffice({ limits: { ...limits, pageMax: 3, lanesMax: 2 } });
  const keys = Array.from({ length: 20 }, (_, index) => `box-${index}`);
  await office.ask("0", { type: "Send", to: keys, notes: ["a", "b"], delayMs: HOUR });
  await office.env.advance(HOUR);
  assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
  for (const key of keys) assert.deepEqual(await office.notes(key), ["a", "b"]);
});

Deno.test("drained does not wait for what is due later, nor for what failed", async () => {
  await using office = await quietOffice();
  await office.ask("0", { type: "Send", to: ["a"], notes: ["boom"], delayMs: HOUR });
  await office.ask("0", { type: "Send", to: ["b"], notes: ["later"], delayMs: 3 * HOUR });
  await office.env.advance(HOUR);
  const before = office.env.monotonic();
  assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
  assert(office.env.monotonic() - before < 1_000);
  assert.deepEqual(await office.notes("b"), []);
  assert.equal(office.seen("delivery-failed").length, 1);
});

Deno.test("drained leaves to others what they have in hand", async () => {
  await using office = await quietOffice();
  await office.ask("0", { type: "Send", to: ["a"], notes: ["theirs"], delayMs: HOUR });
  await office.env.advance(HOUR);
  const claim = { token: 7, leaseMs: HOUR, limit: 10 };
  await office.memory.outbox.claim([{ kind: "postbox", key: "a" }], claim);
  assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
  assert.deepEqual(await office.notes("a"), []);
});

Deno.test("what others have in hand hides nothing that is due behind it", async () => {
  await using office = await quietOffice({ limits: { ...limits, pageMax: 3 } });
  const theirs = ["a", "b", "c", "d", "e"];
  await office.ask("0", { type: "Send", to: theirs, notes: ["theirs"], delayMs: HOUR });
  await office.ask("0", { type: "Send", to: ["z"], notes: ["mine"], delayMs: HOUR });
  await office.env.advance(HOUR);
  const lanes = theirs.map((key) => ({ kind: "postbox", key }));
  await office.memory.outbox.claim(lanes, { token: 7, leaseMs: HOUR, limit: 10 });
  assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
  assert.deepEqual(await office.notes("z"), ["mine"]);
});

Deno.test("drained brings what becomes due while it is at it", async () => {
  await using office = await quietOffice();
  await office.ask("0", { type: "Send", to: ["a"], notes: ["first"], delayMs: HOUR });
  await office.ask("0", { type: "Send", to: ["b"], notes: ["second"], delayMs: HOUR + 2_000 });
  await office.env.advance(HOUR);
  office.store.script = () => office.env.sleep(3_000).then(() => undefined);
  assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
  assert.deepEqual(await office.notes("b"), ["second"]);
});

Deno.test("drained gives up after its time, and what was begun goes on", async () => {
  await using office = await quietOffice();
  await office.ask("0", { type: "Send", to: ["a"], notes: ["slow"], delayMs: HOUR });
  await office.env.advance(HOUR);
  const gate = office.store.hold("commit");
  assert.equal(await office.env.until(office.relay.drained(1_000)), false);
  gate.release();
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["slow"]);
});

Deno.test("drained says so when the outbox fails", async () => {
  for (const broken of ["due", "claim"] as const) {
    let isBroken = false;
    const outbox = (own: Parameters<typeof override>[0]) =>
      override(own, {
        [broken]: (...asked: [never, never]) =>
          isBroken ? Promise.reject(new TransientFault("away")) : own[broken](...asked),
      });
    await using office = await quietOffice({ outbox, limits: { ...limits, pollMs: 2 * HOUR } });
    await office.ask("0", { type: "Send", to: ["a"], notes: ["x"], delayMs: HOUR });
    isBroken = true;
    await office.env.advance(HOUR);
    assert.equal(await office.env.until(office.relay.drained(MINUTE)), false);
    isBroken = false;
    await office.env.advance(2 * HOUR);
    await office.ask("0", { type: "Send", to: ["a"], notes: ["y"], delayMs: 1 });
    await office.env.advance(1);
    assert.equal(await office.env.until(office.relay.drained(MINUTE)), true);
    assert.deepEqual(await office.notes("a"), ["x", "y"]);
  }
});

Deno.test("a node that is woken each hour runs what was due, and its jobs, once", async () => {
  await using node = new ScheduleNode();
  const { env, memory: { outbox: { jobs } } } = node;
  await node.ask("a", { type: "Create", plan: plan({ cron: "*/20 * * * *", missed: "all" }) });
  await node.stopRelay();
  const done: number[] = [];
  const report = handles(sendReport, async (_, { scheduledFor }) => {
    await env.sleep(200);
    done.push((scheduledFor! - NOON) / MINUTE);
  });
  for (const expected of [[20, 40, 60], [80, 100, 120]]) {
    await env.advance(HOUR);
    done.length = 0;
    node.startRelay();
    const workers = new JobWorkers({ bindings: [report], jobs, env, observe });
    const draining = drained({ env, relay: node.relay, jobs, queues, workers }, MINUTE);
    assert.equal(await env.until(draining), true);
    assert.deepEqual(done, expected);
    await env.until(workers[Symbol.asyncDispose]());
    await node.stopRelay();
  }
  node.startRelay();
});

Deno.test("draining that takes too long says so", async () => {
  await using node = new ScheduleNode();
  const { env, memory: { outbox: { jobs } } } = node;
  await node.ask("a", { type: "Create", plan: plan() });
  await node.ask("a", { type: "RunNow" });
  await using workers = new JobWorkers({ bindings: [], jobs, env, observe });
  const draining = drained({ env, relay: node.relay, jobs, queues, workers }, 1_000);
  assert.equal(await env.until(draining), false, "nobody works at the queue");
});
