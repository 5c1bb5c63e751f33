/**
 * Reads a history against the database that was left, and says what cannot have happened.
 *
 * Every acknowledged command names the version that it led to, which makes easy what is hard in
 * general: one order explains everything if, and only if, the recorded order agrees with who was
 * answered before whom asked.
 *
 * @module
 */
import { type ActorFindings, checkActor } from "./actor_check.ts";
import { Breaches } from "./breaches.ts";
import { commandNames, type Ended, type Entry, type Invoked, tradingNames } from "./history.ts";
import type { Counts, RecordedEvent } from "./rules.ts";
import { checkTrading, type TradingEvent } from "./trading_check.ts";

/** What the service remembers to have answered. */
export interface RememberedReply {
  readonly idempotencyKey: string;
  readonly isAccepted: boolean;
  readonly version: number;
  readonly reason?: string;
}

export interface Notice {
  readonly userId: string;
  readonly key: string;
  readonly type: string;
  readonly at: number;
}

export interface Listed extends Counts {
  readonly key: string;
  readonly version: number;
}

/** The database after everything has come to rest. */
export interface Remains {
  /** In the order of key and version. */
  readonly events: AsyncIterable<RecordedEvent> | Iterable<RecordedEvent>;
  /** Causes before effects. */
  readonly trading: AsyncIterable<TradingEvent> | Iterable<TradingEvent>;
  readonly replies: AsyncIterable<RememberedReply> | Iterable<RememberedReply>;
  readonly notices: AsyncIterable<Notice> | Iterable<Notice>;
  readonly listed: AsyncIterable<Listed> | Iterable<Listed>;
  /** What should not be there any more, by name. */
  readonly leftovers: Readonly<Record<string, number>>;
}

export interface Operation {
  readonly invoked: Invoked;
  ended?: Ended;
  /** Attempts whose outcome was unknown. */
  unknown: number;
}

/** How many operations of a kind ended how; `attempts` that did not end them are on top. */
export interface Tally {
  ok: number;
  fail: number;
  info: number;
  attempts: number;
}

export interface Verdict {
  readonly breaches: readonly string[];
  /** More than are told in words. */
  readonly breachCount: number;
  readonly tallies: ReadonlyMap<string, Tally>;
  readonly acknowledged: number;
  /** Until whoever waited longest had a definite answer. */
  readonly longestMs: number;
  readonly events: number;
  readonly trades: number;
}

/** Of operations that ended, as many at least have to have succeeded: else little was tested. */
const OK_SHARE_MIN = 0.6;

export async function check(
  history: AsyncIterable<Entry> | Iterable<Entry>,
  remains: Remains,
): Promise<Verdict> {
  const breaches = new Breaches();
  const operations = await operationsIn(history, breaches);
  const replies = new Map<string, RememberedReply>();
  for await (const reply of remains.replies) replies.set(reply.idempotencyKey, reply);
  checkRepetitions(operations, breaches);

  const byKey = new Map<string, Operation[]>();
  const byCommand = new Map<string, Operation>();
  const trading: Operation[] = [];
  for (const operation of operations.values()) {
    const { invoked, ended } = operation;
    if (invoked.command !== undefined) byCommand.set(invoked.command, operation);
    if (isOfTrading(invoked.f)) trading.push(operation);
    // Whatever is asked again is about what it was about.
    const { f } = operations.get(invoked.of ?? invoked.i)!.invoked;
    const key = ended?.key ?? invoked.key;
    if (key === "" || isOfTrading(f)) continue;
    if (!byKey.has(key)) byKey.set(key, []);
    byKey.get(key)!.push(operation);
  }
  const findings = new Map<string, ActorFindings>();
  const notices = new Map<string, Due>();
  let recorded = 0;
  for await (const events of byActor(remains.events)) {
    const { key } = events[0]!;
    recorded += events.length;
    countNotices(notices, events);
    const context = { operations: byKey.get(key) ?? [], byCommand, replies, breaches };
    findings.set(key, checkActor(key, events, context));
  }
  for (const [key, operations] of byKey) {
    if (findings.has(key)) continue;
    findings.set(key, checkActor(key, [], { operations, byCommand, replies, breaches }));
  }
  const context = { operations: trading, byCommand, replies, breaches };
  const found = await checkTrading(remains.trading, context);
  await checkListing(remains.listed, findings, breaches);
  await checkNotices(remains.notices, notices, breaches);
  for (const [name, count] of Object.entries(remains.leftovers)) {
    if (count > 0) breaches.add("undrained", `${count} ${name} are left`);
  }
  const tallies = tallied(operations.values());
  checkTallies(tallies, breaches);
  const acknowledged = [...commandNames, ...tradingNames]
    .reduce((sum, name) => sum + (tallies.get(name)?.ok ?? 0), 0);
  const longestMs = longestWaitMs(operations.values());
  return {
    ...breaches.told(),
    tallies,
    acknowledged,
    longestMs,
    events: recorded + found.events,
    trades: found.trades,
  };
}

function isOfTrading(f: Invoked["f"]): boolean {
  return (tradingNames as readonly string[]).includes(f);
}

async function operationsIn(
  history: AsyncIterable<Entry> | Iterable<Entry>,
  breaches: Breaches,
): Promise<ReadonlyMap<number, Operation>> {
  const operations = new Map<number, Operation>();
  for await (const entry of history) {
    switch (entry.type) {
      case "fault":
        break;
      case "invoke":
        operations.set(entry.i, { invoked: entry, unknown: 0 });
        break;
      case "info":
        operations.get(entry.i)!.unknown++;
        if (entry.http === 500) breaches.add("bug", `operation ${entry.i} was answered 500`);
        break;
      default:
        operations.get(entry.i)!.ended = entry;
    }
  }
  return operations;
}

/** Whoever asks again is told the same; whoever asks for something else under the key, nothing. */
function checkRepetitions(
  operations: ReadonlyMap<number, Operation>,
  breaches: Breaches,
): void {
  for (const { invoked: { i, f, of }, ended } of operations.values()) {
    if (ended === undefined) continue;
    if (f === "misuse" && ended.http !== 422) {
      breaches.add("misuse", `operation ${i}: another's key was answered ${ended.http}`);
    }
    if (f !== "repeat") continue;
    const first = operations.get(of!)!.ended!;
    const [was, is] = [first, ended].map(({ http, version, value }) => {
      return JSON.stringify([http, version, sorted(value)]);
    });
    if (was !== is) breaches.add("other-reply", `operation ${i}: ${is}, where ${of} was ${was}`);
  }
}

/** With all fields in the order of their names: the database keeps them in one of its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  const fields = Object.entries(value).toSorted(([a], [b]) => a < b ? -1 : 1);
  return Object.fromEntries(fields.map(([name, field]) => [name, sorted(field)]));
}

async function* byActor(
  events: Remains["events"],
): AsyncGenerator<readonly RecordedEvent[]> {
  let some: RecordedEvent[] = [];
  for await (const event of events) {
    if (some.length > 0 && some[0]!.key !== event.key) {
      yield some;
      some = [];
    }
    some.push(event);
  }
  if (some.length > 0) yield some;
}

const noticeOf: Readonly<Record<string, string>> = {
  Registered: "confirmed",
  Waitlisted: "waitlisted",
  Promoted: "promoted",
  Offered: "offered",
  OfferShortened: "offer_shortened",
  Lapsed: "offer_lapsed",
};

function noticeText({ userId, key, type, at }: Notice): string {
  return `${type} to ${userId} of ${key} at ${at}`;
}

/** How often something is to be told; `mayWait` of it need not have been yet. */
interface Due {
  times: number;
  mayWait: number;
}

function countNotices(due: Map<string, Due>, events: readonly RecordedEvent[]): void {
  for (const { key, type, data, at, isLate } of events) {
    const noticed = noticeOf[type];
    if (noticed === undefined) continue;
    const text = noticeText({ userId: data.userId, key, type: noticed, at });
    const { times, mayWait } = due.get(text) ?? { times: 0, mayWait: 0 };
    due.set(text, { times: times + 1, mayWait: mayWait + Number(isLate) });
  }
}

async function checkNotices(
  notices: Remains["notices"],
  due: Map<string, Due>,
  breaches: Breaches,
): Promise<void> {
  for await (const notice of notices) {
    const text = noticeText(notice);
    const { times, mayWait } = due.get(text) ?? { times: 0, mayWait: 0 };
    due.set(text, { times: times - 1, mayWait });
  }
  for (const [text, { times, mayWait }] of due) {
    if (times > mayWait) breaches.add("notice", `${text} was never told`);
    if (times < 0) breaches.add("notice", `${text} was told ${-times} times too often`);
  }
}

async function checkListing(
  listed: Remains["listed"],
  findings: ReadonlyMap<string, ActorFindings>,
  breaches: Breaches,
): Promise<void> {
  const missing = new Set(findings.keys());
  for await (const { key, ...shown } of listed) {
    missing.delete(key);
    const stands = findings.get(key)?.stands ?? [];
    const told = JSON.stringify(shown);
    const may = stands.map((standing) => JSON.stringify(standing));
    if (!may.includes(told)) breaches.add("listing", `${key} is listed as ${told}, not ${may}`);
  }
  for (const key of missing) {
    const { stands } = findings.get(key)!;
    if (stands[0]!.version > 0) breaches.add("listing", `${key} is not listed`);
  }
}

function tallied(operations: Iterable<Operation>): ReadonlyMap<string, Tally> {
  const tallies = new Map<string, Tally>();
  for (const { invoked: { f }, ended, unknown } of operations) {
    const tally = tallies.get(f) ?? { ok: 0, fail: 0, info: 0, attempts: 0 };
    tally[ended?.type ?? "info"]++;
    tally.attempts += unknown;
    tallies.set(f, tally);
  }
  return tallies;
}

function longestWaitMs(operations: Iterable<Operation>): number {
  let longest = 0;
  for (const { invoked, ended } of operations) {
    if (ended !== undefined) longest = Math.max(longest, ended.t - invoked.t);
  }
  return longest / 1e6;
}

/** A run in which nothing succeeds would pass everything else. */
function checkTallies(tallies: ReadonlyMap<string, Tally>, breaches: Breaches): void {
  let [ok, all] = [0, 0];
  const names = [...commandNames, ...tradingNames, "read", "strong-read", "standing", "repeat"];
  for (const name of names) {
    const tally = tallies.get(name) ?? { ok: 0, fail: 0, info: 0, attempts: 0 };
    if (tally.ok === 0) breaches.add("too-little", `no ${name} has succeeded`);
    ok += tally.ok;
    all += tally.ok + tally.fail + tally.info;
  }
  if (ok < OK_SHARE_MIN * all) breaches.add("too-little", `${ok} of ${all} have succeeded`);
}
