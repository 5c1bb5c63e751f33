/** Any schedule under any commands and downtimes, held to a model that walks minute by minute. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { cronTimes } from "../../../lib/jobs/cron.ts";
import { JOB_KIND, type JobCommand } from "../../../lib/jobs/job.ts";
import * as Schedule from "../../../lib/jobs/schedule.ts";
import {
  missedPolicies,
  type MissedPolicy,
  ON_TIME_MS,
  RUNS_MAX,
} from "../../../lib/jobs/schedule_plan.ts";
import type { Message } from "../../../lib/runtime/aggregate.ts";
import { KEY } from "../../support/given.ts";
import { plan } from "../../support/reports.ts";

const MINUTE = 60_000;
/** Clocks in most zones are changed within days of it. */
const START = Date.parse("2026-03-26T00:00:00Z");
const principal = { id: "root", roles: [] };

interface Times {
  readonly cron: string;
  readonly timeZone: string;
}

/** What happens after so long; ticks are brought only where a relay runs. */
type Step =
  & { readonly afterMs: number }
  & (
    | { readonly is: "relay" | "pause" | "resume" }
    | { readonly is: "revise"; readonly times: Times }
  );

const times: fc.Arbitrary<Times> = fc.record({
  cron: fc.constantFrom(
    "* * * * *",
    "*/15 * * * *",
    "7 * * * *",
    "30 2 * * *",
    "0 3 * * 1-5",
    "*/20 1-3 * * *",
    "0 0 29 * *",
  ),
  timeZone: fc.constantFrom("UTC", "Europe/Berlin", "Europe/London", "Asia/Beirut", "+05:30"),
});
const afterMs = fc.oneof(
  fc.integer({ min: 0, max: 10 * MINUTE }),
  fc.integer({ min: 0, max: 4 * 60 * MINUTE }),
  fc.integer({ min: 0, max: 30 * 60 * MINUTE }),
);
const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 8, arbitrary: fc.record({ is: fc.constant("relay" as const), afterMs }) },
  { weight: 2, arbitrary: fc.record({ is: fc.constantFrom("pause", "resume"), afterMs }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("revise" as const), afterMs, times }) },
);

/** A schedule whose ticks wait until somebody brings them, as an outbox has them wait. */
class Scheduled {
  #state = Schedule.initial;
  #ticks: { readonly due: number; readonly message: Message }[] = [];
  readonly runs: number[] = [];

  get state(): Schedule.State {
    return this.#state;
  }

  do(command: Schedule.Command, at: number): void {
    const decision = Schedule.decide(this.#state, command, { key: KEY, at, principal });
    if (!decision.accepted) return;
    const wasPaused = this.#state.status === "paused";
    this.#state = decision.events.reduce(Schedule.evolve, this.#state);
    for (const message of decision.messages ?? []) {
      if (message.to.kind !== JOB_KIND) {
        this.#ticks.push({ due: at + (message.delayMs ?? 0), message });
        continue;
      }
      assert(!wasPaused || command.type === "Resume", "it was paused");
      this.runs.push((message.command as JobCommand).scheduledFor!);
    }
  }

  /** Everything due, with what it leads to, and some of it twice. */
  bring(at: number): void {
    for (let due = this.#due(at); due !== undefined; due = this.#due(at)) {
      const tick = Schedule.Command.parse(due.message.command);
      this.#ticks = this.#ticks.filter((other) => other !== due);
      this.do(tick, at);
      this.do(tick, at);
    }
  }

  /** Of all that wait, those that still mean something. */
  get counting(): number {
    return this.#ticks.map(({ message }) => Schedule.Command.parse(message.command))
      .filter(({ at, generation }) =>
        at === this.#state.nextAt && generation === this.#state.generation
      ).length;
  }

  #due(at: number) {
    return this.#ticks.find(({ due }) => due <= at);
  }
}

/** Knows when something is due by asking for every minute, and what is missed by having looked. */
class Model {
  readonly runs: number[] = [];
  readonly #missed: MissedPolicy;
  #times: Times;
  #seen: number;
  #isPaused = false;

  constructor(times: Times, missed: MissedPolicy, at: number) {
    this.#times = times;
    this.#missed = missed;
    this.#seen = at;
  }

  do(step: Step, at: number): void {
    switch (step.is) {
      case "relay":
        if (!this.#isPaused) this.#seeTo(at, ON_TIME_MS);
        break;
      case "pause":
        this.#isPaused = true;
        break;
      case "resume":
        if (this.#isPaused) this.#seeTo(at, 0);
        this.#isPaused = false;
        break;
      case "revise": {
        const { cron, timeZone } = this.#times;
        if (step.times.cron === cron && step.times.timeZone === timeZone) break;
        if (!this.#isPaused) this.#seeTo(at, ON_TIME_MS);
        this.#seen = at;
        this.#times = step.times;
      }
    }
  }

  #seeTo(at: number, lateMs: number): void {
    const { next } = cronTimes(this.#times.cron, this.#times.timeZone);
    const due: number[] = [];
    const firstMinute = Math.floor(this.#seen / MINUTE + 1) * MINUTE;
    for (let minute = firstMinute; minute <= at; minute += MINUTE) {
      if (next(minute - 1) === minute) due.push(minute);
    }
    this.#seen = at;
    const runs = due.slice(this.#missed === "all" ? -RUNS_MAX : -1);
    const isLate = this.#missed === "skip" && at - (runs.at(-1) ?? at) > lateMs;
    if (!isLate) this.runs.push(...runs);
  }
}

function commandOf(step: Step): Schedule.Command | undefined {
  switch (step.is) {
    case "relay":
      return undefined;
    case "pause":
      return { type: "Pause" };
    case "resume":
      return { type: "Resume" };
    case "revise":
      return { type: "Revise", changes: step.times };
  }
}

Deno.test("whatever is done to it and however late it is looked, it runs as the model does", () => {
  const steps = fc.array(step, { minLength: 3, maxLength: 25, size: "max" });
  fc.assert(
    fc.property(times, fc.constantFrom(...missedPolicies), steps, (first, missed, steps) => {
      const scheduled = new Scheduled();
      const model = new Model(first, missed, START);
      scheduled.do({ type: "Create", plan: plan({ ...first, missed }) }, START);
      let at = START;
      for (const step of steps) {
        at += step.afterMs;
        const command = commandOf(step);
        if (command === undefined) scheduled.bring(at);
        else scheduled.do(command, at);
        model.do(step, at);
        const isActive = scheduled.state.status === "active";
        assert.equal(scheduled.counting, isActive ? 1 : 0, "ticks that count");
      }
      assert.deepEqual(scheduled.runs, model.runs);
      const inOrder = [...new Set(scheduled.runs)].sort((a, b) => a - b);
      assert.deepEqual(scheduled.runs, inOrder, "each time has one run at most, in their order");
    }),
    { numRuns: 80 },
  );
});
