/** What a schedule decides: given, when, then. */
import assert from "node:assert/strict";
import { type Message, tell } from "../../../lib/runtime/aggregate.ts";
import * as Schedule from "../../../lib/jobs/schedule.ts";
import {
  jitterOf,
  ON_TIME_MS,
  type Plan,
  runOf,
  RUNS_MAX,
  scheduledJob,
} from "../../../lib/jobs/schedule_plan.ts";
import { PAYLOAD_BYTES_MAX, PayloadTooLarge } from "../../../lib/jobs/job.ts";
import { AT, given, KEY } from "../../support/given.ts";
import { plan, sendReport } from "../../support/reports.ts";

const MINUTE = 60_000;
const QUARTER = 15 * MINUTE;
/** So many quarters after noon. */
const quarter = (count: number) => iso(AT + count * QUARTER);
const iso = (time: number) => new Date(time).toISOString();

function created(changes: Partial<Plan> = {}): Schedule.Event {
  return { type: "Created", ...plan(changes), isInCode: false, nextAt: quarter(1) };
}

function tickAt(at: string, generation: number, delayMs: number): Message {
  return tell(Schedule, KEY, { type: "Tick", at, generation }, { delayMs });
}

function tick(count: number, generation = 1): Schedule.Command {
  return { type: "Tick", at: quarter(count), generation };
}

function runAt(count: number, changes: Partial<Plan> = {}): Message {
  const uniqueKey = `schedule/${KEY}/${quarter(count)}`;
  return runOf(plan(changes), { scheduledFor: AT + count * QUARTER, uniqueKey });
}

function ticked(through: string, runs: readonly number[], next: number): Schedule.Event {
  return { type: "Ticked", through, runs: runs.map(quarter), nextAt: quarter(next) };
}

Deno.test("Create tells the first tick for its time", () => {
  given(Schedule, []).when({ type: "Create", plan: plan() })
    .thenTelling([tickAt(quarter(1), 1, QUARTER)], created());
});

Deno.test("what would never be due is refused, at the beginning and later", () => {
  const never = { cron: "0 0 30 2 *" };
  given(Schedule, []).when({ type: "Create", plan: plan(never) }).thenRejected("never-due");
  given(Schedule, [created()]).when({ type: "Revise", changes: never }).thenRejected("never-due");
});

Deno.test("a schedule is created once, until it is deleted", () => {
  const create = { type: "Create", plan: plan() } as const;
  given(Schedule, [created()]).when(create).thenRejected("already-exists");
  given(Schedule, [created(), { type: "Deleted" }]).when(create)
    .thenTelling([tickAt(quarter(1), 3, QUARTER)], created());
});

Deno.test("a tick enqueues the job, which knows its time, and tells the next tick", () => {
  given(Schedule, [created()]).when(tick(1), { at: AT + QUARTER + 20 })
    .thenTelling(
      [runAt(1), tickAt(quarter(2), 1, QUARTER - 20)],
      ticked(iso(AT + QUARTER + 20), [1], 2),
    );
  const { command } = runAt(1) as { command: { scheduledFor?: number } };
  assert.equal(command.scheduledFor, AT + QUARTER);
});

Deno.test("a tick that comes early, by a clock that is behind, is on time", () => {
  given(Schedule, [created()]).when(tick(1), { at: AT + QUARTER - 2_000 })
    .thenTelling(
      [runAt(1), tickAt(quarter(2), 1, QUARTER + 2_000)],
      ticked(quarter(1), [1], 2),
    );
});

Deno.test("a tick that was handled, or is of other times, means nothing", () => {
  const once = [created(), ticked(quarter(1), [1], 2)];
  given(Schedule, once).when(tick(1), { at: AT + QUARTER }).then();
  given(Schedule, once).when(tick(2, 2), { at: AT + 2 * QUARTER }).then();
  given(Schedule, [created(), { type: "Paused" }]).when(tick(1), { at: AT + QUARTER }).then();
  given(Schedule, [created(), { type: "Paused" }, { type: "Resumed" }])
    .when(tick(1), { at: AT + QUARTER }).then();
  given(Schedule, [created(), { type: "Deleted" }]).when(tick(1), { at: AT + QUARTER }).then();
  given(Schedule, []).when(tick(1), { at: AT + QUARTER }).then();
});

Deno.test("skip leaves out what was missed, but for a time that is hardly past", () => {
  const late = (pastMs: number) => ({ at: AT + 4 * QUARTER + pastMs });
  given(Schedule, [created()]).when(tick(1), late(ON_TIME_MS))
    .thenTelling(
      [runAt(4), tickAt(quarter(5), 1, QUARTER - ON_TIME_MS)],
      ticked(iso(late(ON_TIME_MS).at), [4], 5),
    );
  given(Schedule, [created()]).when(tick(1), late(ON_TIME_MS + 1))
    .thenTelling(
      [tickAt(quarter(5), 1, QUARTER - ON_TIME_MS - 1)],
      ticked(iso(late(ON_TIME_MS + 1).at), [], 5),
    );
});

Deno.test("once runs once for all that was missed, for the newest of its times", () => {
  const once = { missed: "once" } as const;
  const at = AT + 5 * QUARTER - 1;
  given(Schedule, [created(once)]).when(tick(1), { at })
    .thenTelling([runAt(4, once), tickAt(quarter(5), 1, 1)], ticked(iso(at), [4], 5));
});

Deno.test("all runs for each that was missed, in their order", () => {
  const all = { missed: "all" } as const;
  given(Schedule, [created(all)]).when(tick(1), { at: AT + 4 * QUARTER })
    .thenTelling(
      [runAt(1, all), runAt(2, all), runAt(3, all), runAt(4, all), tickAt(quarter(5), 1, QUARTER)],
      ticked(quarter(4), [1, 2, 3, 4], 5),
    );
});

Deno.test("all runs for the newest only, where more were missed than its bound", () => {
  const all = { missed: "all" } as const;
  const last = RUNS_MAX + 7;
  const newest = Array.from({ length: RUNS_MAX }, (_, index) => index + 8);
  given(Schedule, [created(all)]).when(tick(1), { at: AT + last * QUARTER })
    .thenTelling(
      [...newest.map((count) => runAt(count, all)), tickAt(quarter(last + 1), 1, QUARTER)],
      ticked(quarter(last), newest, last + 1),
    );
});

Deno.test("while it is paused no tick counts, and once it is resumed the next does", () => {
  given(Schedule, [created()]).when({ type: "Pause" }).then({ type: "Paused" });
  given(Schedule, [created(), { type: "Paused" }]).when({ type: "Resume" }, { at: AT + MINUTE })
    .thenTelling([tickAt(quarter(1), 3, QUARTER - MINUTE)], { type: "Resumed" });
});

Deno.test("what was missed while it was paused is seen to when it is resumed", () => {
  const once = { missed: "once" } as const;
  given(Schedule, [created(once), { type: "Paused" }])
    .when({ type: "Resume" }, { at: AT + 3 * QUARTER + MINUTE })
    .thenTelling(
      [runAt(3, once), tickAt(quarter(4), 3, QUARTER - MINUTE)],
      { type: "Resumed" },
      ticked(iso(AT + 3 * QUARTER + MINUTE), [3], 4),
    );
});

Deno.test("skip leaves out what came while it was paused, however short", () => {
  given(Schedule, [created(), { type: "Paused" }])
    .when({ type: "Resume" }, { at: AT + QUARTER + 1 })
    .thenTelling(
      [tickAt(quarter(2), 3, QUARTER - 1)],
      { type: "Resumed" },
      ticked(iso(AT + QUARTER + 1), [], 2),
    );
});

Deno.test("what is paused cannot be paused, nor what is not be resumed", () => {
  given(Schedule, [created(), { type: "Paused" }]).when({ type: "Pause" })
    .thenRejected("already-paused");
  given(Schedule, [created()]).when({ type: "Resume" }).thenRejected("not-paused");
});

Deno.test("RunNow has the job done at once, paused or not, and moves no tick", () => {
  for (const history of [[created()], [created(), { type: "Paused" as const }]]) {
    given(Schedule, history).when({ type: "RunNow" }, { at: AT + 5 })
      .thenTelling(
        [runOf(plan(), { scheduledFor: AT + 5 })],
        { type: "Triggered", at: iso(AT + 5) },
      );
  }
});

Deno.test("Revise to other times makes the old ticks stale", () => {
  const changes = { cron: "0 * * * *" };
  given(Schedule, [created()]).when({ type: "Revise", changes })
    .thenTelling(
      [tickAt(quarter(4), 2, 4 * QUARTER)],
      { type: "Revised", ...changes, nextAt: quarter(4) },
    );
});

Deno.test("Revise sees first to what is due by the old times", () => {
  const changes = { timeZone: "Europe/Berlin", job: scheduledJob(sendReport, { to: "ben" }) };
  given(Schedule, [created()]).when({ type: "Revise", changes }, { at: AT + QUARTER + 10 })
    .thenTelling(
      [runAt(1), tickAt(quarter(2), 2, QUARTER - 10)],
      ticked(iso(AT + QUARTER + 10), [1], 2),
      { type: "Revised", ...changes, nextAt: quarter(2) },
    );
});

Deno.test("Revise never goes back to a time that was seen to, whatever the clock says", () => {
  const changes = { cron: "*/5 * * * *" };
  given(Schedule, [created(), ticked(quarter(1), [1], 2)])
    .when({ type: "Revise", changes }, { at: AT + QUARTER - 1_000 })
    .thenTelling(
      [tickAt(iso(AT + 20 * MINUTE), 2, 5 * MINUTE + 1_000)],
      { type: "Revised", ...changes, nextAt: iso(AT + 20 * MINUTE) },
    );
});

Deno.test("Revise of anything but the times leaves the tick that is on its way", () => {
  const changes = { missed: "all", job: scheduledJob(sendReport, { to: "ben" }) } as const;
  const revised: Schedule.Event = { type: "Revised", ...changes };
  given(Schedule, [created()]).when({ type: "Revise", changes }, { at: AT + QUARTER + 10 })
    .then(revised);
  given(Schedule, [created(), revised]).when(tick(1), { at: AT + QUARTER })
    .thenTelling(
      [runAt(1, changes), tickAt(quarter(2), 1, QUARTER)],
      ticked(quarter(1), [1], 2),
    );
});

Deno.test("Revise while it is paused tells no tick", () => {
  const changes = { cron: "0 * * * *" };
  given(Schedule, [created({ missed: "all" }), { type: "Paused" }])
    .when({ type: "Revise", changes }, { at: AT + 5 * QUARTER })
    .then({ type: "Revised", ...changes, nextAt: quarter(8) });
});

Deno.test("Revise to what is so already does nothing", () => {
  const { job } = plan({ job: scheduledJob(sendReport, { to: "ana", pages: [{ title: "a" }] }) });
  // A store keeps no order of fields.
  const { payload, ...rest } = job as { payload: { to: string; pages: unknown } };
  const turned = { payload: { pages: payload.pages, to: payload.to }, ...rest } as typeof job;
  given(Schedule, [created({ job })]).when({ type: "Revise", changes: plan({ job: turned }) })
    .then();
});

Deno.test("what is defined in code is created once, and revised by the code alone", () => {
  const define = { type: "Define", plan: plan() } as const;
  const inCode = { ...created(), isInCode: true } as Schedule.Event;
  given(Schedule, []).when(define).thenTelling([tickAt(quarter(1), 1, QUARTER)], inCode);
  given(Schedule, [inCode]).when(define, { at: AT + MINUTE }).then();
  given(Schedule, [inCode, { type: "Paused" }]).when(define, { at: AT + 9 * QUARTER }).then();
  given(Schedule, [inCode]).when({ type: "Define", plan: plan({ jitterMs: 5 }) })
    .then({ type: "Revised", jitterMs: 5 });
  given(Schedule, [inCode]).when({ type: "Revise", changes: { jitterMs: 5 } })
    .thenRejected("defined-in-code");
  given(Schedule, [created()]).when(define).thenRejected("already-exists");
});

Deno.test("nothing can be done with a schedule that is not there", () => {
  for (const history of [[], [created(), { type: "Deleted" as const }]]) {
    for (const type of ["Pause", "Resume", "RunNow", "Delete"] as const) {
      given(Schedule, history).when({ type }).thenRejected("not-found");
    }
    given(Schedule, history).when({ type: "Revise", changes: {} }).thenRejected("not-found");
  }
});

Deno.test("jitter delays the run and not the tick, always as much for one time", () => {
  const jittered = { jitterMs: MINUTE };
  const scheduledFor = AT + QUARTER;
  const jitterMs = jitterOf(jittered, KEY, AT + QUARTER);
  assert(jitterMs > 20 && jitterMs <= MINUTE);
  const uniqueKey = `schedule/${KEY}/${quarter(1)}`;
  given(Schedule, [created(jittered)]).when(tick(1), { at: AT + QUARTER + 20 })
    .thenTelling([
      runOf(plan(), { scheduledFor, uniqueKey, delayMs: jitterMs - 20 }),
      tickAt(quarter(2), 1, QUARTER - 20),
    ], ticked(iso(AT + QUARTER + 20), [1], 2));
});

Deno.test("jitter is spread over all of its bound", () => {
  const parts = Array.from({ length: 10 }, () => 0);
  for (let count = 0; count < 10_000; count++) {
    const jitterMs = jitterOf({ jitterMs: 999 }, `schedule-${count % 100}`, AT + count * MINUTE);
    parts[Math.floor(jitterMs / 100)]!++;
  }
  for (const part of parts) assert(part > 800 && part < 1_200, String(parts));
});

Deno.test("a payload is refused that is too large with all that a run adds to it", () => {
  const empty = JSON.stringify({
    type: "send-report",
    payload: { to: "" },
    scheduledFor: 253_402_300_799_999,
  });
  const most = PAYLOAD_BYTES_MAX - empty.length;
  const job = scheduledJob(sendReport, { to: "x".repeat(most) });
  given(Schedule, [created({ job })]).when(tick(1), { at: AT + QUARTER })
    .thenTelling([runAt(1, { job }), tickAt(quarter(2), 1, QUARTER)], ticked(quarter(1), [1], 2));
  assert.throws(() => scheduledJob(sendReport, { to: "x".repeat(most + 1) }), PayloadTooLarge);
});

Deno.test("a state that was written down is read back as it was", () => {
  const histories: Schedule.Event[][] = [
    [],
    [created()],
    [created({ missed: "all", jitterMs: 7 }), ticked(quarter(1), [1], 2), { type: "Paused" }],
    [created(), { type: "Triggered", at: quarter(1) }, { type: "Deleted" }],
  ];
  for (const history of histories) {
    const { state } = given(Schedule, history);
    const encoded = JSON.parse(JSON.stringify(Schedule.snapshot.encode(state)));
    assert.deepEqual(Schedule.snapshot.decode(encoded), state);
  }
});

Deno.test("an active schedule says when it is due next, a paused one does not", () => {
  const { state } = given(Schedule, [created()]);
  assert.deepEqual(Schedule.upcoming(state), [1, 2, 3, 4, 5].map(quarter));
  assert.deepEqual(Schedule.upcoming(Schedule.evolve(state, { type: "Paused" })), []);
});
