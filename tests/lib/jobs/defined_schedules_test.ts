/** Schedules that are kept in the code, and made sure of by every node that starts. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import {
  type DefinedSchedule,
  defineSchedule,
  registerSchedules,
  ScheduleUndefinable,
} from "../../../lib/jobs/defined_schedules.ts";
import { sendReport } from "../../support/reports.ts";
import { ScheduleNode } from "../../support/schedule_node.ts";

const HOUR = 3_600_000;
const NAME = "nightly-report";

function nightly(changes: Partial<Parameters<typeof defineSchedule>[0]> = {}): DefinedSchedule {
  const payload = { pages: [{ title: "a" }], to: "ana" };
  return defineSchedule({ name: NAME, cron: "0 3 * * *", job: sendReport, payload, ...changes });
}

async function register(node: ScheduleNode, ...schedules: readonly DefinedSchedule[]) {
  const observe = () => {};
  await node.env.until(registerSchedules({ ...node, observe }, schedules));
}

async function typesOf(node: ScheduleNode): Promise<readonly string[]> {
  return (await node.events(NAME)).map(({ type }) => type);
}

Deno.test("nodes that start one after another make one schedule", async () => {
  await using one = new ScheduleNode();
  await using other = new ScheduleNode(one);
  for (const node of [one, other, one]) await register(node, nightly());
  assert.deepEqual(await typesOf(one), ["Created"]);
  await one.env.advance(48 * HOUR);
  assert.deepEqual(await one.runs(NAME), ["2030-01-02T03:00:00.000Z", "2030-01-03T03:00:00.000Z"]);
});

Deno.test("nodes that start at the same time make one schedule", async () => {
  await using one = new ScheduleNode();
  await using other = new ScheduleNode(one);
  // So that both have decided before either has committed.
  for (const { store } of [one, other]) store.script = () => one.env.sleep(5).then(() => undefined);
  const observe = () => {};
  const registered = [one, other].map((node) =>
    registerSchedules({ ...node, observe }, [nightly()])
  );
  await one.env.until(Promise.all(registered));
  assert.deepEqual(await typesOf(one), ["Created"]);
});

Deno.test("what the code says differently is revised, and what is paused stays paused", async () => {
  await using node = new ScheduleNode();
  await register(node, nightly());
  await node.ask(NAME, { type: "Pause" });
  await register(node, nightly({ cron: "0 4 * * *" }), nightly({ cron: "0 4 * * *" }));
  assert.deepEqual(await typesOf(node), ["Created", "Paused", "Revised"]);
  await node.env.advance(48 * HOUR);
  assert.deepEqual(await node.runs(NAME), []);
});

Deno.test("a store that is away for a while is waited for, and one that stays away is not", async () => {
  await using node = new ScheduleNode();
  node.store.isDown = true;
  const isUp = node.env.sleep(2_000).then(() => void (node.store.isDown = false));
  await register(node, nightly());
  await isUp;
  assert.deepEqual(await typesOf(node), ["Created"]);
  await using stranger = new ScheduleNode();
  stranger.store.isDown = true;
  await assert.rejects(register(stranger, nightly()), TransientFault);
});

Deno.test("what cannot be is refused where it is defined", async () => {
  const wrong = [
    { name: "Nightly Report" },
    { name: "" },
    { cron: "@daily" },
    { timeZone: "Mars/Base" },
    { jitterMs: -1 },
    { jitterMs: Infinity },
  ];
  for (const changes of wrong) assert.throws(() => nightly(changes), ScheduleUndefinable);
  assert.throws(() => nightly({ payload: { to: "" } }), { name: "ZodError" });
  await using node = new ScheduleNode();
  await assert.rejects(register(node, nightly({ cron: "0 0 30 2 *" })), ScheduleUndefinable);
});
