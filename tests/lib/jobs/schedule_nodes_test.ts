/** Schedules on nodes that run, stop and race: what the fence and the outbox make of their ticks. */
import assert from "node:assert/strict";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { ScheduleNode } from "../../support/schedule_node.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";
import { plan } from "../../support/reports.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const iso = (time: number) => new Date(time).toISOString();

/** Two nodes on one store, which begin at that time. */
async function twoNodesAt(time: string): Promise<[ScheduleNode, ScheduleNode]> {
  const env = new VirtualEnv();
  await env.advance(Date.parse(time) - env.now());
  const one = new ScheduleNode(undefined, env);
  const other = new ScheduleNode(one);
  // So that both have decided before either has committed.
  const slowly = () => one.env.sleep(5).then(() => undefined);
  for (const node of [one, other]) node.store.script = slowly;
  return [one, other];
}

/** What two nodes ran for from that time on, for so many hours. */
async function runsOfTwo(cron: string, from: string, hours: number) {
  const [one, other] = await twoNodesAt(from);
  await using _ = one;
  await using __ = other;
  await one.ask("a", { type: "Create", plan: plan({ cron, timeZone: "Europe/Berlin" }) });
  await one.env.advance(hours * HOUR + 1_000);
  const runs = await one.runs("a");
  const jobs = await one.jobs();
  assert.deepEqual(jobs.map(({ scheduledFor }) => iso(scheduledFor!)), runs);
  return {
    runs,
    races: [one, other].flatMap(({ observed }) => observed.filter(isConflict)).length,
  };
}

function isConflict({ type }: RuntimeEvent): boolean {
  return type === "conflict";
}

/** Clocks jump from 02:00 to 03:00 at 01:00 UTC of that day, and go back at 01:00 UTC of the other. */
const [SPRING, AUTUMN] = ["2030-03-31", "2030-10-27"];

for (const day of [SPRING, AUTUMN]) {
  Deno.test(`two nodes run every 15 minutes once, over the change of ${day}`, async () => {
    const from = `${day}T00:00:00.000Z`;
    const expected = Array.from({ length: 12 }, (_, index) => {
      return iso(Date.parse(from) + (index + 1) * 15 * MINUTE);
    });
    const { runs, races } = await runsOfTwo("*/15 * * * *", from, 3);
    assert.deepEqual(runs, expected);
    assert(races > 0, "both have brought the same ticks");
  });
}

Deno.test("two nodes run daily jobs once a day, over changes of both directions", async () => {
  const runs = async (cron: string, day: string) =>
    (await runsOfTwo(cron, `${day}T00:00:00.000Z`, 48)).runs;
  assert.deepEqual(await runs("30 2 * * *", SPRING), [
    "2030-03-31T01:00:00.000Z",
    "2030-04-01T00:30:00.000Z",
  ]);
  assert.deepEqual(await runs("30 2 * * *", AUTUMN), [
    "2030-10-27T00:30:00.000Z",
    "2030-10-28T01:30:00.000Z",
  ]);
  assert.deepEqual(await runs("0 3 * * *", AUTUMN), [
    "2030-10-27T02:00:00.000Z",
    "2030-10-28T02:00:00.000Z",
  ]);
});

/** For the first hours after noon. */
function hours(...each: readonly number[]): readonly string[] {
  return each.map((hour) => iso(Date.parse("2030-01-01T12:00:00Z") + hour * HOUR));
}

const downtime = { skip: hours(1, 8), once: hours(1, 7, 8), all: hours(1, 2, 3, 4, 5, 6, 7, 8) };

for (const missed of ["skip", "once", "all"] as const) {
  Deno.test(`after hours in which no relay ran, ${missed} is what comes of them`, async () => {
    await using node = new ScheduleNode();
    await node.ask("a", { type: "Create", plan: plan({ cron: "0 * * * *", missed }) });
    await node.env.advance(HOUR + MINUTE);
    await node.stopRelay();
    await node.env.advance(6.5 * HOUR);
    node.startRelay();
    await node.env.advance(HOUR);
    assert.deepEqual(await node.runs("a"), downtime[missed]);
  });
}

Deno.test("a relay that is a little late loses no run", async () => {
  await using node = new ScheduleNode();
  await node.ask("a", { type: "Create", plan: plan({ cron: "0 * * * *" }) });
  await node.stopRelay();
  await node.env.advance(HOUR + 4 * MINUTE);
  node.startRelay();
  await node.env.advance(HOUR);
  assert.deepEqual(await node.runs("a"), hours(1, 2));
});

Deno.test("a tick whose commit stayed unheard is not run twice, nor lost", async () => {
  for (const mishap of ["unknown-after-applying", "unknown-before-applying"] as const) {
    await using node = new ScheduleNode();
    await node.ask("a", { type: "Create", plan: plan({ cron: "0 * * * *" }) });
    await node.env.advance(HOUR - MINUTE);
    node.store.failNext("commit", mishap);
    await node.env.advance(2 * HOUR);
    assert.deepEqual(await node.runs("a"), hours(1, 2));
  }
});

Deno.test("a node that decided a tick on an old state repeats nothing", async () => {
  const [one, other] = await twoNodesAt("2030-01-02T00:00:00.000Z");
  await using _ = one;
  await using __ = other;
  await one.ask("a", { type: "Create", plan: plan({ cron: "0 * * * *" }) });
  await one.env.advance(HOUR + MINUTE);
  // Both know the actor, and each believes that it stands where it left it.
  await other.ask("a", { type: "RunNow" });
  await one.env.advance(HOUR);
  await one.ask("a", { type: "Pause" });
  await one.env.advance(3 * HOUR);
  await other.ask("a", { type: "Resume" });
  await one.env.advance(HOUR);
  const expected = [1, 2, 6].map((hour) => `2030-01-02T0${hour}:00:00.000Z`);
  assert.deepEqual(await one.runs("a"), expected);
});
