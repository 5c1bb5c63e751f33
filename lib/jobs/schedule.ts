/**
 * A schedule: an actor that tells itself when to have a job done.
 *
 * Handling a tick records it, enqueues the job and tells the next tick, in one commit behind the fence
 * of the actor. So there is one run per tick, however many nodes there are, and no leader. What is
 * told is told for the time that the cron expression names: a tick that comes early, by a clock that
 * is behind the database's, is taken as on time.
 *
 * What `decide` upholds and everyone else may assume:
 * - no time has two runs, and runs are enqueued in the order of their times;
 * - while it is paused nothing runs but what somebody asks to run;
 * - an active schedule has exactly one tick on its way that counts.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type DecisionContext,
  type Message,
  reject,
  type SnapshotCodec,
  tell,
} from "../runtime/aggregate.ts";
import {
  changesOf,
  isoOf,
  jitterOf,
  ON_TIME_MS,
  type Plan,
  planShape,
  runOf,
  runsDue,
  timesOf,
} from "./schedule_plan.ts";

export const kind = "schedule";

/** Parsed where it comes in; here its types are believed. */
export type Command =
  | { readonly type: "Create"; readonly plan: Plan }
  /** By the code, at every start: creates what is not there, revises what is not so. */
  | { readonly type: "Define"; readonly plan: Plan }
  | { readonly type: "Revise"; readonly changes: Partial<Plan> }
  | { readonly type: "Pause" | "Resume" | "RunNow" | "Delete" }
  /** Told to itself for that time; of an older generation it means nothing any more. */
  | { readonly type: "Tick"; readonly at: string; readonly generation: number };

const time = z.iso.datetime();

/** What is told, not asked. */
export const Command = z.object({
  type: z.literal("Tick"),
  at: time,
  generation: z.int(),
});

const nextAt = time.exactOptional();

/** Checks shape, never rules: rules change, and history must stay readable. */
export const Event = z.discriminatedUnion("type", [
  z.object({ type: z.literal("Created"), ...planShape, isInCode: z.boolean(), nextAt }),
  /** Holds only what changed; with `nextAt`, the ticks told so far mean nothing any more. */
  z.object({
    type: z.literal("Revised"),
    cron: planShape.cron.exactOptional(),
    timeZone: planShape.timeZone.exactOptional(),
    job: planShape.job.exactOptional(),
    missed: planShape.missed.exactOptional(),
    jitterMs: planShape.jitterMs.exactOptional(),
    nextAt,
  }),
  z.object({ type: z.literal("Paused") }),
  z.object({ type: z.literal("Resumed") }),
  /** All times up to `through` are seen to, with those runs. */
  z.object({ type: z.literal("Ticked"), through: time, runs: z.array(time), nextAt }),
  /** Somebody had the job done out of turn. */
  z.object({ type: z.literal("Triggered"), at: time }),
  z.object({ type: z.literal("Deleted") }),
]);
export type Event = z.infer<typeof Event>;

export type Reason =
  | "not-found"
  | "already-exists"
  | "never-due"
  | "defined-in-code"
  | "already-paused"
  | "not-paused";

export const statuses = ["active", "paused"] as const;

const LastRun = z.object({
  /** For which time, and when it was enqueued. */
  scheduledFor: time,
  at: time,
});

const Standing = z.object({
  ...planShape,
  status: z.enum(["none", "deleted", ...statuses]),
  /** By which it is known at every start. */
  isInCode: z.boolean(),
  /** Ticks of another one are stale. Never falls, whatever becomes of the schedule. */
  generation: z.int(),
  /** The first time that is not seen to yet. */
  nextAt,
  /** All times up to here are seen to. */
  through: time.exactOptional(),
  lastRun: LastRun.exactOptional(),
});
export type State = z.infer<typeof Standing>;

export const initial: State = {
  status: "none",
  cron: "",
  timeZone: "UTC",
  job: { type: "", queue: "", schema: 1, priority: 0, payload: null },
  missed: "skip",
  jitterMs: 0,
  isInCode: false,
  generation: 0,
};

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: (state) => state,
  decode: (encoded) => Standing.parse(encoded),
};

type Verdict = Decision<Event, Reason>;
type Accepted = Extract<Verdict, { accepted: true }>;

export function isThere({ status }: State): boolean {
  return status === "active" || status === "paused";
}

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  if (command.type === "Tick") return tick(state, command, context);
  if (command.type === "Define") return define(state, command.plan, context);
  if (command.type === "Create") {
    return isThere(state) ? reject("already-exists") : create(state, command.plan, false, context);
  }
  if (!isThere(state)) return reject("not-found");
  switch (command.type) {
    case "Revise":
      if (state.isInCode) return reject("defined-in-code");
      return revise(state, command.changes, context);
    case "Pause":
      return state.status === "paused" ? reject("already-paused") : accept({ type: "Paused" });
    case "Resume":
      return state.status === "active" ? reject("not-paused") : resume(state, context);
    case "RunNow":
      return runNow(state, context);
    case "Delete":
      return accept({ type: "Deleted" });
  }
}

function create(state: State, plan: Plan, isInCode: boolean, context: DecisionContext): Verdict {
  const next = timesOf(plan).next(context.at);
  if (next === undefined) return reject("never-due");
  const created: Event = { type: "Created", ...plan, isInCode, nextAt: isoOf(next) };
  return { accepted: true, events: [created], messages: nextTick(evolve(state, created), context) };
}

function define(state: State, plan: Plan, context: DecisionContext): Verdict {
  if (!isThere(state)) return create(state, plan, true, context);
  return state.isInCode ? revise(state, plan, context) : reject("already-exists");
}

/**
 * What is due before other times hold is seen to as it would have been; but what one that is paused
 * has missed is forgotten with its times.
 */
function revise(state: State, asked: Partial<Plan>, context: DecisionContext): Verdict {
  const changes = changesOf(state, asked);
  if (Object.keys(changes).length === 0) return accept();
  const isTimed = changes.cron !== undefined || changes.timeZone !== undefined;
  if (!isTimed) return accept({ type: "Revised", ...changes });

  const due = state.status === "active" && isDue(state, context) ? catchUp(state, context) : none;
  const before = due.events.reduce(evolve, state);
  const { through } = before;
  const from = Math.max(context.at, through === undefined ? 0 : Date.parse(through));
  const next = timesOf({ ...state, ...changes }).next(from);
  if (next === undefined) return reject("never-due");
  const revised: Event = { type: "Revised", ...changes, nextAt: isoOf(next) };
  const messages = [...due.runs, ...nextTick(evolve(before, revised), context)];
  return { accepted: true, events: [...due.events, revised], messages };
}

/** What was missed meanwhile is seen to at once; and however short it was, it was paused. */
function resume(state: State, context: DecisionContext): Verdict {
  const resumed: Event = { type: "Resumed" };
  const before = evolve(state, resumed);
  const { events, runs } = isDue(before, context) ? catchUp(before, context, 0) : none;
  const messages = [...runs, ...nextTick(events.reduce(evolve, before), context)];
  return { accepted: true, events: [resumed, ...events], messages };
}

function runNow(state: State, { at }: DecisionContext): Accepted {
  const messages = [runOf(state, { scheduledFor: at })];
  return { accepted: true, events: [{ type: "Triggered", at: isoOf(at) }], messages };
}

/** By the message, not by a clock: whoever delivers it has waited for the time. */
function tick(
  state: State,
  { at, generation }: Extract<Command, { readonly type: "Tick" }>,
  context: DecisionContext,
): Verdict {
  const isStale = state.status !== "active" || state.generation !== generation ||
    state.nextAt !== at;
  if (isStale) return accept();
  const { events, runs } = catchUp(state, context);
  const messages = [...runs, ...nextTick(events.reduce(evolve, state), context)];
  return { accepted: true, events, messages };
}

interface CaughtUp {
  readonly events: readonly Event[];
  readonly runs: readonly Message[];
}

const none: CaughtUp = { events: [], runs: [] };

function isDue({ nextAt }: State, { at }: DecisionContext): boolean {
  return nextAt !== undefined && Date.parse(nextAt) <= at;
}

/** Sees to all times up to now, as the policy says. */
function catchUp(state: State, context: DecisionContext, lateMs = ON_TIME_MS): CaughtUp {
  if (state.nextAt === undefined) return none;
  const first = Date.parse(state.nextAt);
  const through = Math.max(context.at, first);
  const times = runsDue(state, { first, through, lateMs });
  const next = timesOf(state).next(through);
  const ticked: Event = {
    type: "Ticked",
    through: isoOf(through),
    runs: times.map(isoOf),
    ...(next !== undefined && { nextAt: isoOf(next) }),
  };
  return { events: [ticked], runs: times.map((time) => runFor(state, time, context)) };
}

function runFor(state: State, time: number, { key, at }: DecisionContext): Message {
  const jitterMs = jitterOf(state, key, time);
  return runOf(state, {
    scheduledFor: time,
    // By which it can be found, and which nothing that went wrong could make two of.
    uniqueKey: `${kind}/${key}/${isoOf(time)}`,
    ...(jitterMs > 0 && { delayMs: Math.max(0, time + jitterMs - at) }),
  });
}

function nextTick({ nextAt, status, generation }: State, { key, at }: DecisionContext): Message[] {
  if (nextAt === undefined || status !== "active") return [];
  const delayMs = Math.max(0, Date.parse(nextAt) - at);
  return [tell({ kind, Command }, key, { type: "Tick", at: nextAt, generation }, { delayMs })];
}

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Created": {
      const { type: _, ...plan } = event;
      return { ...initial, ...plan, status: "active", generation: state.generation + 1 };
    }
    case "Revised": {
      const { type: _, ...changes } = event;
      const isTimed = changes.nextAt !== undefined;
      return { ...state, ...changes, generation: state.generation + (isTimed ? 1 : 0) };
    }
    case "Paused":
      return { ...state, status: "paused", generation: state.generation + 1 };
    case "Resumed":
      return { ...state, status: "active", generation: state.generation + 1 };
    case "Ticked": {
      const { through, runs } = event;
      const { nextAt: _, ...rest } = state;
      const scheduledFor = runs.at(-1);
      return {
        ...rest,
        through,
        ...(event.nextAt !== undefined && { nextAt: event.nextAt }),
        ...(scheduledFor !== undefined && { lastRun: { scheduledFor, at: through } }),
      };
    }
    case "Triggered":
      return { ...state, lastRun: { scheduledFor: event.at, at: event.at } };
    case "Deleted":
      return { ...state, status: "deleted", generation: state.generation + 1 };
  }
}

const UPCOMING = 5;

/** The next times of an active schedule; none of a paused one. */
export function upcoming(state: State): readonly string[] {
  const times: string[] = [];
  if (state.status !== "active") return times;
  const { next } = timesOf(state);
  for (let at = state.nextAt; at !== undefined && times.length < UPCOMING;) {
    times.push(at);
    const after = next(Date.parse(at));
    at = after === undefined ? undefined : isoOf(after);
  }
  return times;
}
