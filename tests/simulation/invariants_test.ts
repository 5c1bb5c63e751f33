/** Each invariant is held to histories that break it, made of one that breaks none. */
import assert from "node:assert/strict";
import { addressText } from "../../lib/runtime/envelope.ts";
import type { StoredEvent } from "../../lib/runtime/store.ts";
import type { Attempt, Committed, Ending, History, Performed } from "./history.ts";
import { check, watching } from "./invariants/all.ts";
import { Broken, Chronicle } from "./invariants/chronicle.ts";
import { tradingHasComeToRest } from "./invariants/trading.ts";
import type { Operation } from "./plan.ts";
import { planOf } from "./planning.ts";
import { World } from "./world.ts";

const TRADING_SEED = 3;
const plan = planOf(7);
const isWell = ({ act }: Operation) => act.is !== "append" || !act.isUnhandleable;
/** Of a run in which nothing failed, and much happened. */
const good: History = await new World({
  ...plan,
  faults: [],
  operations: plan.operations.filter(isWell),
}).run();

/** Of another, in which there was much trading. */
const trading: History = await new World({ ...planOf(TRADING_SEED), faults: [] }).run();

function assertBroken(invariant: string, what: RegExp, change: Partial<History>): void {
  assert.throws(() => check(new Chronicle({ ...good, ...change })), (error) => {
    assert(error instanceof Broken, String(error));
    assert.equal(error.invariant, invariant, error.message);
    assert.match(error.message, what);
    return true;
  });
}

/** The first attempt of its operation has that ending. */
function endedAs(of: Performed, ending: Ending, more: Partial<Attempt> = {}): Partial<History> {
  const [first, ...others] = of.attempts;
  const changed = { ...of, attempts: [{ ...first!, ...more, ending }, ...others] };
  return { performed: good.performed.map((performed) => performed === of ? changed : performed) };
}

function found(
  is: (ending: Ending, performed: Performed) => boolean,
  after = 0,
): { readonly performed: Performed; readonly ending: Ending } {
  const hits = good.performed.filter((performed) => {
    const ending = performed.attempts[0]?.ending;
    return ending !== undefined && is(ending, performed);
  });
  const performed = hits[after];
  assert(performed !== undefined, "the history has such an operation");
  return { performed, ending: performed.attempts[0]!.ending! };
}

function accepted(of: string, after = 20) {
  const { performed, ending } = found(
    (ending, { operation: { act, repeats } }) =>
      ending.is === "accepted" && ending.answer.events > 0 && act.is === of && !repeats,
    after,
  );
  assert(ending.is === "accepted");
  return { performed, ending };
}

/** One actor's stream is that instead. */
function streamOf(
  kind: string,
  change: (stream: readonly StoredEvent[]) => readonly StoredEvent[],
) {
  const [text, stream] = good.streams.entries().find(([text, stream]) =>
    text.startsWith(kind) && stream.length > 20
  )!;
  return { streams: new Map([...good.streams, [text, change(stream)]]) };
}

Deno.test("a history in which nothing failed breaks no invariant", () => {
  check(new Chronicle(good));
});

Deno.test("I1: what was acknowledged and is not recorded is missed", () => {
  const { performed } = accepted("append");
  const moved = { ...performed, messageIds: ["another"] };
  assertBroken("I1", /was acknowledged at \d+, and is not there/, {
    performed: good.performed.map((one) => one === performed ? moved : one),
  });
});

Deno.test("I2: a message that counts twice is seen", () => {
  const { performed } = accepted("register", 2);
  const again = { ...performed, attempts: [], operation: { ...performed.operation } };
  assertBroken("I2", /counts 2 times/, { performed: [...good.performed, again] });
});

Deno.test("I2: a consumer that has an event twice, late or never is seen", () => {
  const all = good.effects.get("everything")!;
  const second = all.findIndex(({ version }) => version === 2);
  const first = all.findIndex(({ address: { key } }) => key === all[second]!.address.key);
  const effects = (events: typeof all) => ({
    effects: new Map([...good.effects, ["everything", events]]),
  });
  assertBroken("I2", /had version 1 of .*, not 2/, effects([all[0]!, ...all]));
  assertBroken("I2", /had version 2 of .*, not 1/, effects(all.toSpliced(first, 1)));
  assertBroken("I2", /of the \d+ events/, effects(all.slice(0, -1)));
});

Deno.test("I3: what was refused, or not done, and is recorded all the same is seen", () => {
  const { performed, ending: { version } } = accepted("append");
  const refused: Ending = { is: "refused", version, reason: "not today", replayed: false };
  assertBroken("I3", /failed every time, and is recorded/, endedAs(performed, refused));
  const fault: Ending = { is: "fault", outcome: "not-applied", why: "away" };
  assertBroken("I3", /failed every time, and is recorded/, endedAs(performed, fault));
});

Deno.test("I4: another answer under the same key is seen", () => {
  const { performed, ending } = found((ending, { attempts, operation: { key } }) =>
    ending.is === "refused" && key !== undefined && attempts.length > 1 && ending.version > 1
  );
  assert(ending.is === "refused");
  const other = { ...ending, version: ending.version - 1 };
  assertBroken("I4", /was answered .*, then /, endedAs(performed, other));
});

Deno.test("I5: an event that is missing, or at another place, is seen", () => {
  assertBroken(
    "I5",
    /was committed, and is not there/,
    streamOf("register", (stream) => stream.slice(0, -1)),
  );
  assertBroken(
    "I5",
    /is not there/,
    streamOf("register", ([one, two, ...rest]) => [two!, one!, ...rest]),
  );
});

Deno.test("I5: what comes before something that was acknowledged before it was sent is seen", () => {
  const first = accepted("append", 2);
  const key = (performed: Performed) => {
    const { act } = performed.operation;
    return act.is === "append" ? act.register : undefined;
  };
  const later = good.performed.findLast((performed) => {
    const ending = performed.attempts[0]?.ending;
    return ending?.is === "accepted" && key(performed) === key(first.performed);
  })!;
  const acknowledgedLate = { invokedAt: later.attempts[0]!.endedAt + 0.5, endedAt: Infinity };
  const change = endedAs(first.performed, first.ending, acknowledgedLate);
  assertBroken("I5", /after \d+ was acknowledged/, change);
});

Deno.test("I6: a reader who is shown another state, or none that ever was, is seen", () => {
  const { performed, ending } = found(({ is }) => is === "read", 10);
  assert(ending.is === "read");
  assertBroken("I6", /was shown/, endedAs(performed, { ...ending, view: { balance: -1 } }));
  assertBroken("I6", /there is none/, endedAs(performed, { ...ending, version: 1e6 }));
});

Deno.test("I6: a strong read that lags behind what was acknowledged is seen", () => {
  const { performed, ending } = found(
    (ending, { operation: { act } }) =>
      ending.is === "read" && act.is === "read" && act.strength === "strong" &&
      act.kind === "purse" && ending.version > 10,
  );
  assert(ending.is === "read");
  const initial = { is: "read", version: 0, view: { isOpen: false, balance: 0 } } as const;
  assertBroken("I6", /strong, was shown 0, and not/, endedAs(performed, initial));
});

Deno.test("I7: a refusal that was not true at its version, or then, is seen", () => {
  const { performed, ending } = found(
    (ending, { operation: { act } }) =>
      ending.is === "refused" && ending.reason === "insufficient" && act.is === "transfer",
    3,
  );
  assert(ending.is === "refused");
  assertBroken(
    "I7",
    /with sold-out, not with/,
    endedAs(performed, { ...ending, reason: "sold-out" }),
  );
  assertBroken("I7", /was acknowledged before/, endedAs(performed, { ...ending, version: 0 }));
  const { act } = performed.operation;
  assert(act.is === "transfer");
  const newest = good.streams.get(`purse/purse-${act.from}`)!.length;
  assertBroken("I7", /before that was there/, endedAs(performed, { ...ending, version: newest }));
});

Deno.test("I8: money that never arrives is missed", () => {
  const money = good.effects.get("money")!;
  const at = money.findLastIndex(({ type }) => type === "Received");
  const effects = new Map([...good.effects, ["money", money.toSpliced(at, 1)]]);
  const streams = new Map(good.streams);
  assertBroken("I2", /money had/, { effects, streams });
  const commits = watched();
  const received = commits.findIndex(({ commit }) => typesIn(commit).includes("Received"));
  assertWatched("I8", /not under way/, commits.toSpliced(received, 0, twice(commits[received]!)));
});

Deno.test("I9: a seat too many, and a line out of order, are seen", () => {
  const commits = watched();
  const at = commits.findIndex(({ commit }) => typesIn(commit).includes("Waitlisted"));
  const asSeated = changed(commits[at]!, (data) => ({ ...data, type: "Registered" }));
  assertWatched("I9", /no more seats are given than there are/, commits.with(at, asSeated));
  const ahead = changed(commits[at]!, (data) => ({ ...data, position: 7 }));
  assertWatched("I9", /position 7 is next/, commits.with(at, ahead));
});

Deno.test("I10: what was told and never handled, heard or done is missed", () => {
  const { rung } = good;
  assertBroken("I10", /was committed and never rung/, { rung: rung.slice(1) });
  assertBroken("I10", /was rung and never committed/, {
    rung: [{ ...rung[0]!, message: { ...rung[0]!.message, messageId: "forged" } }, ...rung],
  });
  assertBroken("I10", /was rung before/, { rung: rung.toReversed() });
  const commits = good.commits.map((committed) =>
    changedCommit(committed, (commit) => ({
      ...commit,
      messages: (commit.messages ?? []).map((message) => ({ ...message, messageId: "another" })),
    }))
  );
  assertBroken("I10", /another was told and never handled/, { commits });
});

Deno.test("I12: a version, revision or transaction that goes back is seen", () => {
  const commits = watched();
  const at = commits.findLastIndex(({ commit: { revision } }) => revision > 5);
  assertWatched("I12", /is written at/, [...commits, commits[at]!]);
  assertWatched("I12", /is written at/, commits.with(at, { ...commits[at]!, transaction: "1" }));
});

Deno.test("I15: what is left, or takes too long, is seen", () => {
  const { performed } = accepted("append");
  assertBroken("I15", /0 messages, 0 jobs, 0 leases were left/, { isAtRest: false });
  const { ending } = performed.attempts[0]!;
  const late = { endedMs: good.healedAtMs + 31_000 };
  assertBroken("I15", /took 31000 ms/, endedAs(performed, ending!, late));
});

Deno.test("I16: a settlement that comes twice is seen", () => {
  const [at, committed] = ofTrading("SaleReceived");
  assertWatched("I16", /is there twice/, trading.commits.with(at, twice(committed)));
});

Deno.test("I17: an order that counts on more than is kept for it is seen", () => {
  const [at, committed] = ofTrading("CashReserved");
  const less = changed(committed, (data) => ({ ...data, amount: "1" }));
  assertWatched(
    "I17",
    /keeps 1 for order-\d+, which counts on \d\d/,
    trading.commits.with(at, less),
  );
});

Deno.test("I18: an order that is filled beyond its quantity is seen", () => {
  const [at, committed] = ofTrading("OrderExecuted");
  const more = changed(committed, (data) => ({ ...data, quantity: 99 }));
  assertWatched("I18", /has traded \d+ too many/, trading.commits.with(at, more));
});

Deno.test("I19: an order that trades with another than the first is seen", () => {
  const [at, committed] = ofTrading("OrderSubmitted");
  const later = changed(committed, (data) => ({ ...data, remaining: 0, rest: "none" }));
  assertWatched("I19", /led to .*, not to/, trading.commits.with(at, later));
});

Deno.test("I16, I17 and I18: what has not come to its end when all is at rest is missed", () => {
  const everything = trading.effects.get("everything")!;
  const assertMissed = (type: string, invariant: string, what: RegExp) => {
    const at = everything.findLastIndex((met) => met.type === type);
    const text = addressText(everything[at]!.address);
    // Nobody is to notice because of a gap.
    const moved = everything.map((met, place) => {
      const isBehind = place > at && addressText(met.address) === text;
      return isBehind ? { ...met, version: met.version - 1 } : met;
    });
    const effects = new Map([["everything", moved.toSpliced(at, 1)]]);
    assert.throws(() => tradingHasComeToRest(new Chronicle({ ...trading, effects })), (error) => {
      assert(error instanceof Broken);
      assert.equal(error.invariant, invariant, error.message);
      assert.match(error.message, what);
      return true;
    });
  };
  tradingHasComeToRest(new Chronicle(trading));
  assertMissed("PositionChanged", "I16", /PositionChanged of the .* of .* is missing/);
  assertMissed("CashReleased", "I17", /is kept, it counts on/);
  assertMissed("OrderClosed", "I18", /and open at risk: true/);
});

Deno.test("what ends in a way that nobody has foreseen is seen", () => {
  const { performed } = accepted("append");
  assertBroken("defects", /ended with .*odd/, endedAs(performed, { is: "defect", error: "odd" }));
  assertBroken("defects", /taken for poison/, endedAs(performed, { is: "poison" }));
});

function watched(): Committed[] {
  const watch = watching();
  for (const committed of good.commits) watch(committed);
  return [...good.commits];
}

/** The first commit of trading in which that happened, and where it is. */
function ofTrading(type: string): readonly [at: number, committed: Committed] {
  const watch = watching();
  for (const committed of trading.commits) watch(committed);
  const at = trading.commits.findIndex(({ commit }) => typesIn(commit).includes(type));
  return [at, trading.commits[at]!];
}

function assertWatched(invariant: string, what: RegExp, commits: readonly Committed[]): void {
  const watch = watching();
  assert.throws(() => commits.forEach(watch), (error) => {
    assert(error instanceof Broken);
    assert.equal(error.invariant, invariant, error.message);
    assert.match(error.message, what);
    return true;
  });
}

function typesIn({ events }: Committed["commit"]): readonly string[] {
  return events.map(({ type }) => type);
}

function changedCommit(
  committed: Committed,
  change: (commit: Committed["commit"]) => Committed["commit"],
): Committed {
  return { ...committed, commit: change(committed.commit) };
}

/** All its events say something else. */
function changed(
  committed: Committed,
  change: (data: Record<string, unknown>) => Record<string, unknown>,
): Committed {
  return changedCommit(committed, (commit) => ({
    ...commit,
    events: commit.events.map((event) => {
      return { ...event, data: change(event.data as Record<string, unknown>) };
    }),
  }));
}

/** It comes once more, behind itself. */
function twice(committed: Committed): Committed {
  return changedCommit(committed, (commit) => ({
    ...commit,
    events: [...commit.events, ...commit.events],
  }));
}
