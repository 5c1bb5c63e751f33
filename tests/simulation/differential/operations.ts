/**
 * What may be asked of a store, its outbox and its queues, as data. What an operation refers to (a
 * revision, a message, a claim) is found when it is played: the n-th of those known by then.
 *
 * @module
 */
import fc from "fast-check";

export const addresses = [
  { kind: "x", key: "a" },
  { kind: "x", key: "B" },
  { kind: "y", key: "a" },
] as const;
export const queues = ["q", "r"] as const;
export const eventTypes = ["Opened", "Changed"] as const;
/** Before it nothing happens. */
export const PAST = Date.parse("2020-01-01T00:00:00.000Z");
export const YEAR_MS = 365 * 24 * 3_600_000;
export const CENTURY_MS = 100 * YEAR_MS;
export const HOUR_MS = 3_600_000;

export interface MessagePlan {
  /** An actor; behind those, a queue. */
  readonly to: number;
  readonly delayMs: number;
  readonly note: string;
  /** Told under the id of an earlier message, if there is one. */
  readonly again: number | undefined;
  readonly priority: number;
  readonly uniqueKey: string | undefined;
  readonly concurrencyKey: string | undefined;
}

export interface CommitPlan {
  readonly actor: number;
  readonly base: "right" | "behind" | "ahead" | "new";
  /** Minutes after a moment long past. */
  readonly at: number;
  readonly events: readonly string[];
  readonly note: string;
  readonly replies: readonly { readonly principal: string; readonly key: string }[];
  readonly messages: readonly MessagePlan[] | undefined;
  readonly consumed: readonly number[] | undefined;
}

/** Of a claim; undefined for the last one. */
export type Token = number | undefined;

export interface Hold {
  readonly job: number;
  readonly token: Token;
}

export type Ending =
  & Hold
  & {
    readonly is: "completed" | "cancelled" | "retried" | "failed" | "released";
    readonly keepMs: number;
    readonly delayMs: number;
    readonly isReported: boolean;
  };

export type Operation =
  | { readonly is: "load"; readonly actors: readonly number[]; readonly after: number | undefined }
  | { readonly is: "commit"; readonly commits: readonly CommitPlan[] }
  | {
    readonly is: "commitExclusively";
    readonly commit: CommitPlan;
    readonly after: number;
    readonly throws: boolean;
  }
  | { readonly is: "saveSnapshot"; readonly actor: number; readonly version: number }
  | { readonly is: "forgetReplies"; readonly before: number }
  | {
    readonly is: "readStream";
    readonly actor: number;
    readonly after: number | undefined;
    readonly limit: number | undefined;
  }
  | {
    readonly is: "readFeed";
    readonly goesOn: boolean;
    readonly limit: number;
    readonly kind: string | undefined;
    readonly types: readonly string[] | undefined;
  }
  | {
    readonly is: "claim";
    readonly lanes: readonly number[];
    readonly token: number;
    readonly leaseMs: number;
    readonly limit: number;
  }
  | {
    readonly is: "settle";
    readonly lanes: readonly {
      readonly lane: number;
      readonly token: Token;
      readonly pauseMs: number | undefined;
      readonly attempts: number;
    }[];
  }
  | {
    readonly is: "bury";
    readonly lane: number;
    readonly token: Token;
    readonly message: number;
    readonly isParked: boolean;
  }
  | {
    readonly is: "complete";
    readonly lane: number;
    readonly token: Token;
    readonly message: number;
  }
  | { readonly is: "postpone"; readonly lane: number; readonly limit: number }
  | { readonly is: "standing"; readonly lane: number; readonly countMax: number }
  | { readonly is: "due"; readonly goesOn: boolean; readonly limit: number }
  | { readonly is: "depth"; readonly countMax: number }
  | { readonly is: "tidy" }
  | { readonly is: "letters"; readonly lane: number | undefined; readonly limit: number }
  | {
    readonly is: "letter";
    readonly message: number;
    readonly act: "get" | "edit" | "redrive" | "discard";
  }
  | { readonly is: "redriveLane"; readonly lane: number; readonly limit: number }
  | { readonly is: "enqueue"; readonly jobs: readonly MessagePlan[] }
  | {
    readonly is: "claimJobs";
    readonly queue: number;
    readonly token: number;
    readonly leaseMs: number;
    readonly limit: number;
    readonly runningMax: number | undefined;
    readonly runningPerKeyMax: number | undefined;
    readonly rateMax: number | undefined;
  }
  | {
    readonly is: "started";
    readonly queue: number;
    readonly token: number;
    readonly windowMs: number;
  }
  | { readonly is: "settleJobs"; readonly endings: readonly Ending[] }
  | {
    readonly is: "extend";
    readonly holds: readonly Hold[];
    readonly leaseMs: number;
    readonly isCounted: boolean;
  }
  | { readonly is: "note"; readonly hold: Hold; readonly progress: number | null }
  | { readonly is: "job"; readonly job: number }
  | {
    readonly is: "jobs";
    readonly queue: number;
    readonly status: "waiting" | "delayed" | "active" | "completed" | "failed" | undefined;
    readonly limit: number;
  }
  | {
    readonly is: "cancelJob";
    readonly job: number;
    readonly keepMs: number;
    readonly isReported: boolean;
  }
  | { readonly is: "queueDepth"; readonly countMax: number }
  | { readonly is: "nextDue"; readonly queue: number }
  | { readonly is: "forgetJobs"; readonly limit: number };

const actor = fc.nat({ max: addresses.length - 1 });
const queue = fc.nat({ max: queues.length - 1 });
const pick = fc.nat({ max: 30 });
const token = fc.integer({ min: 1, max: 4 });
const leaseMs = fc.constantFrom(0, HOUR_MS, HOUR_MS);
const minute = fc.nat({ max: 20 });
/** One in `freq` is nothing. */
const perhaps = <T>(arbitrary: fc.Arbitrary<T>, freq = 2) =>
  fc.option(arbitrary, { nil: undefined, freq });
/** That of the last claim, or now and then any. */
const heldToken: fc.Arbitrary<Token> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(undefined) },
  { weight: 1, arbitrary: token },
);
const someActors = fc.uniqueArray(actor, { minLength: 1, maxLength: 3 });

/** Mostly plain; now and then what Postgres cannot keep, or what only looks like it. */
const note = fc.oneof(
  { weight: 60, arbitrary: fc.constantFrom("", "plain", "ü ✓ 🙂", 'quoted " \\ \n') },
  { weight: 3, arbitrary: fc.constantFrom("\\u0000", "\\\\ud800", "u0000") },
  { weight: 1, arbitrary: fc.constantFrom("\u0000", "half \ud800", "\\\u0000") },
);

const messagePlan = fc.record<MessagePlan>({
  to: fc.nat({ max: addresses.length + queues.length - 1 }),
  delayMs: fc.constantFrom(0, 0, 0, 1, CENTURY_MS),
  note,
  again: fc.oneof(
    { weight: 3, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: pick },
  ),
  priority: fc.nat({ max: 2 }),
  uniqueKey: perhaps(fc.constantFrom("one", "two")),
  concurrencyKey: perhaps(fc.constantFrom("left", "right")),
});

/** From now on, which is not the same moment everywhere: at once, or not for long. */
const jobPlan = fc.record({ plan: messagePlan, queue }).map(({ plan, queue }) => ({
  ...plan,
  to: addresses.length + queue,
  delayMs: plan.delayMs === 1 ? 0 : plan.delayMs,
}));

const commitPlan = fc.record<CommitPlan>({
  actor,
  base: fc.oneof(
    { weight: 8, arbitrary: fc.constant("right" as const) },
    { weight: 2, arbitrary: fc.constantFrom("behind" as const, "ahead" as const, "new" as const) },
  ),
  at: minute,
  events: fc.array(fc.constantFrom(...eventTypes), { maxLength: 3 }),
  note,
  replies: fc.uniqueArray(
    fc.record({ principal: fc.constantFrom("ana", "ben"), key: fc.constantFrom("k1", "k2", "k3") }),
    { maxLength: 2, selector: ({ principal, key }) => `${principal} ${key}` },
  ),
  messages: perhaps(fc.array(messagePlan, { maxLength: 3 })),
  consumed: perhaps(fc.uniqueArray(pick, { maxLength: 2 })),
});

const hold = fc.record<Hold>({ job: pick, token: heldToken });

const ending = fc.record<Ending>({
  job: pick,
  token: heldToken,
  is: fc.constantFrom("completed", "cancelled", "retried", "failed", "released"),
  keepMs: fc.constantFrom(0, HOUR_MS),
  delayMs: fc.constantFrom(0, YEAR_MS),
  isReported: fc.boolean(),
});

const is = <Name extends Operation["is"]>(name: Name) => fc.constant(name);

const ofStreams: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ is: is("load"), actors: someActors, after: perhaps(fc.nat({ max: 4 })) }),
  fc.record({ is: is("saveSnapshot"), actor, version: fc.nat({ max: 6 }) }),
  fc.record({ is: is("forgetReplies"), before: minute }),
  fc.record({
    is: is("readStream"),
    actor,
    after: perhaps(fc.nat({ max: 4 })),
    limit: perhaps(fc.nat({ max: 3 })),
  }),
  fc.record({
    is: is("readFeed"),
    goesOn: fc.boolean(),
    limit: fc.constantFrom(1, 2, 3, 100),
    kind: perhaps(fc.constantFrom("x", "y", "z")),
    types: perhaps(fc.subarray([...eventTypes])),
  }),
);

const commit: fc.Arbitrary<Operation> = fc.record({
  is: is("commit"),
  commits: fc.uniqueArray(commitPlan, {
    minLength: 1,
    maxLength: 3,
    selector: ({ actor }) => actor,
  }),
});

const exclusive: fc.Arbitrary<Operation> = fc.record({
  is: is("commitExclusively"),
  commit: commitPlan,
  after: fc.nat({ max: 3 }),
  throws: fc.constantFrom(false, false, false, false, true),
});

const claim: fc.Arbitrary<Operation> = fc.record({
  is: is("claim"),
  lanes: someActors,
  token,
  leaseMs,
  limit: fc.constantFrom(1, 100, 100),
});

const holdingLanes: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({
    is: is("settle"),
    lanes: fc.uniqueArray(
      fc.record({
        lane: actor,
        token: heldToken,
        pauseMs: perhaps(fc.constantFrom(0, YEAR_MS)),
        attempts: fc.nat({ max: 3 }),
      }),
      { minLength: 1, maxLength: 3, selector: ({ lane }) => lane },
    ),
  }),
  fc.record({
    is: is("bury"),
    lane: actor,
    token: heldToken,
    message: pick,
    isParked: fc.boolean(),
  }),
  fc.record({ is: is("complete"), lane: actor, token: heldToken, message: pick }),
);

const ofLanes: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ is: is("postpone"), lane: actor, limit: fc.constantFrom(1, 2, 100) }),
  fc.record({ is: is("standing"), lane: actor, countMax: fc.constantFrom(1, 100) }),
  fc.record({ is: is("due"), goesOn: fc.boolean(), limit: fc.constantFrom(1, 2, 100) }),
  fc.record({ is: is("depth"), countMax: fc.constantFrom(1, 100) }),
);

const ofLetters: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ is: is("letters"), lane: perhaps(actor), limit: fc.constantFrom(1, 100) }),
  fc.record({
    is: is("letter"),
    message: pick,
    act: fc.constantFrom("get", "edit", "redrive", "redrive", "discard"),
  }),
  fc.record({ is: is("redriveLane"), lane: actor, limit: fc.constantFrom(1, 100) }),
);

const enqueueing: fc.Arbitrary<Operation> = fc.record({
  is: is("enqueue"),
  jobs: fc.array(jobPlan, { minLength: 1, maxLength: 3 }),
});

const claimingJobs: fc.Arbitrary<Operation> = fc.record({
  is: is("claimJobs"),
  queue,
  token,
  leaseMs,
  limit: fc.constantFrom(1, 2, 100),
  runningMax: perhaps(fc.integer({ min: 1, max: 3 })),
  runningPerKeyMax: perhaps(fc.integer({ min: 1, max: 2 })),
  rateMax: perhaps(fc.integer({ min: 1, max: 4 })),
});

const holdingJobs: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ is: is("started"), queue, token, windowMs: fc.constantFrom(0, HOUR_MS) }),
  fc.record({
    is: is("settleJobs"),
    endings: fc.uniqueArray(ending, { minLength: 1, maxLength: 3, selector: ({ job }) => job }),
  }),
  fc.record({
    is: is("settleJobs"),
    endings: fc.uniqueArray(ending, { minLength: 1, maxLength: 3, selector: ({ job }) => job }),
  }),
  fc.record({
    is: is("extend"),
    holds: fc.uniqueArray(hold, { minLength: 1, maxLength: 2, selector: ({ job }) => job }),
    leaseMs: fc.constant(2 * HOUR_MS),
    isCounted: fc.boolean(),
  }),
  fc.record({ is: is("note"), hold, progress: fc.constantFrom(null, 1, 2) }),
  fc.record({
    is: is("cancelJob"),
    job: pick,
    keepMs: fc.constantFrom(0, HOUR_MS),
    isReported: fc.boolean(),
  }),
);

const ofQueues: fc.Arbitrary<Operation> = fc.oneof(
  fc.record({ is: is("job"), job: pick }),
  fc.record({
    is: is("jobs"),
    queue,
    status: perhaps(fc.constantFrom("waiting", "delayed", "active", "completed", "failed")),
    limit: fc.constantFrom(1, 100),
  }),
  fc.record({ is: is("queueDepth"), countMax: fc.constantFrom(1, 100) }),
  fc.record({ is: is("nextDue"), queue }),
  fc.record({ is: is("forgetJobs"), limit: fc.constantFrom(1, 100) }),
);

const tidying: fc.Arbitrary<Operation> = fc.record({ is: is("tidy") });

/** What one after the other comes to something: who holds nothing can end nothing. */
const lives = {
  ofMessages: fc.tuple(commit, claim, holdingLanes, fc.oneof(holdingLanes, exclusive, ofLetters)),
  ofJobs: fc.tuple(fc.oneof(enqueueing, commit), claimingJobs, holdingJobs, ofQueues),
};

const single = (weight: number, arbitrary: fc.Arbitrary<Operation>) => {
  return { weight, arbitrary: arbitrary.map((operation) => [operation]) };
};

/** Lists of them, for one empty store after the other. */
export const operations: fc.Arbitrary<readonly Operation[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: lives.ofMessages },
    { weight: 6, arbitrary: lives.ofJobs },
    single(4, commit),
    single(2, exclusive),
    single(4, ofStreams),
    single(4, ofLanes),
    single(3, ofLetters),
    single(3, ofQueues),
    single(3, holdingJobs),
    single(2, claimingJobs),
    single(1, tidying),
  ),
  { minLength: 1, maxLength: 20, size: "max" },
).map((parts) => parts.flat());
