import assert from "node:assert/strict";
import type { LogLevel } from "../../../lib/config.ts";
import { TransientFault } from "../../../lib/fault.ts";
import type { Address } from "../../../lib/runtime/envelope.ts";
import type { HandledMessage, RuntimeEvent, Supervised } from "../../../lib/runtime/observe.ts";
import { openLog } from "../../../lib/telemetry/log.ts";
import { logObserver } from "../../../lib/telemetry/log_observer.ts";

const address: Address = { kind: "live_event", key: "7" };
const down = new TransientFault("Cannot connect");
const bug = new TypeError("state is undefined");

const message: HandledMessage = {
  envelope: {
    address,
    command: { type: "Register", email: "canary@example.org" },
    messageId: "m",
    correlationId: "c",
    causationId: "m",
    principal: { id: "canary", roles: [] },
    deadline: 0,
  },
  outcome: "accepted",
  receivedAt: 1,
};
const turn: RuntimeEvent = {
  type: "turn",
  address,
  messages: [message],
  attempts: 1,
  startedAt: 2,
  endedAt: 5,
};
const commit: RuntimeEvent = {
  type: "commit",
  actors: 1,
  events: 1,
  replies: 0,
  conflicts: 0,
  durationMs: 1,
};
const commitFailed: RuntimeEvent = { type: "commit-failed", actors: 1, error: down, retryInMs: 10 };
const mailboxFull: RuntimeEvent = { type: "mailbox-full", address, capacity: 10 };
const projection = "listing";
const projected: RuntimeEvent = { type: "projected", projection, events: 1, durationMs: 1 };
const projectionFailed: RuntimeEvent = {
  type: "projection-failed",
  projection,
  error: down,
  attempts: 1,
  retryInMs: 100,
};
const passivated: RuntimeEvent = { type: "passivated", address, because: "idle" };

function entriesFor(events: readonly RuntimeEvent[], least: LogLevel = "info") {
  const lines: string[] = [];
  const observe = logObserver(openLog(least, (line) => lines.push(line), () => 0));
  events.forEach(observe);
  return lines.map((line) => JSON.parse(line));
}

function told(...events: readonly RuntimeEvent[]): string[] {
  return entriesFor(events).map(({ level, message }) => `${level}: ${message}`);
}

const normal: readonly RuntimeEvent[] = [
  turn,
  commit,
  projected,
  passivated,
  { type: "activated", address, version: 3, replayed: 1, durationMs: 1 },
  { type: "conflict", address },
  { type: "loaded", actors: 1, durationMs: 1 },
];

Deno.test("normal work is told at debug only, one line each", () => {
  assert.deepEqual(told(...normal), []);
  const entries = entriesFor(normal, "debug");
  assert.deepEqual(entries.map(({ level }) => level), normal.map(() => "debug"));
  assert.deepEqual(entries.map(({ message }) => message), normal.map(({ type }) => type));
  assert.deepEqual(entries[0], {
    time: "1970-01-01T00:00:00.000Z",
    level: "debug",
    message: "turn",
    actor: "live_event/7",
    messages: 1,
    attempts: 1,
    durationMs: 3,
  });
});

Deno.test("nothing that a message says, and nobody who sent it, gets into the log", () => {
  const text = JSON.stringify(entriesFor([turn, ...normal, mailboxFull, commitFailed], "debug"));
  assert(!text.includes("canary"));
});

Deno.test("a defect is an error with its stack, an unknown outcome a warning", () => {
  const restarted = { type: "restarted", address, inMs: 0 } as const;
  const [defect, unknown] = entriesFor([
    { ...restarted, because: "defect", error: bug },
    { ...restarted, because: "unknown-outcome", error: down },
  ]);
  assert.equal(defect.level, "error");
  assert.equal(defect.actor, "live_event/7");
  assert.match(defect.error.stack, /TypeError: state is undefined\n.*log_observer_test/);
  assert.equal(unknown.level, "warn");
});

Deno.test("failing commits are told when they begin and when they are over", () => {
  assert.deepEqual(told(commit, commitFailed, commitFailed, commitFailed, commit, commit), [
    "warn: commits fail",
    "info: commits succeed again",
  ]);
  assert.equal(told(commitFailed, commit, commitFailed).length, 3);
});

Deno.test("a failing projection is told when it begins and when it is over", () => {
  assert.deepEqual(told(projectionFailed, projectionFailed, projected, projected), [
    "warn: projection fails",
    "info: projection advances again",
  ]);
  assert.deepEqual(told({ ...projectionFailed, error: bug }), ["error: projection fails"]);
});

Deno.test("which event blocks a projection is told once it is known", () => {
  const blocked: RuntimeEvent = {
    ...projectionFailed,
    error: bug,
    ageMs: 5,
    blockedBy: { address, version: 3 },
  };
  const failed: RuntimeEvent = { ...projectionFailed, error: bug };
  assert.deepEqual(told(failed, failed, blocked, blocked, projected), [
    "error: projection fails",
    "error: projection is blocked",
    "info: projection advances again",
  ]);
  assert.equal(entriesFor([blocked])[0].event, "live_event/7 at 3");
});

Deno.test("a subscriber that fails in a turn is a warning, and an error once it is given up", () => {
  const about = { subscriber: "cache", events: 1, error: bug };
  const failing = { type: "handling-failed", ...about, attempt: 1 } as const;
  const given = { type: "given-up", ...about, address, version: 3, attempts: 8 } as const;
  assert.deepEqual(
    told(
      { ...failing, mode: "synchronous" },
      { ...failing, mode: "durable" },
      { ...given, because: "attempts" },
      { ...given, because: "shutdown" },
    ),
    ["warn: subscriber failed", "error: subscriber gave up", "warn: subscriber gave up"],
  );
  const often = (event: RuntimeEvent) => told(...Array.from({ length: 100 }, () => event)).length;
  assert.equal(often({ ...failing, mode: "synchronous" }), 7, "told ever less often");
  assert.equal(often({ ...given, because: "room" }), 7);
  assert.equal(often({ ...given, because: "attempts" }), 100, "each is lost, and named");
});

Deno.test("connections that are cut are warnings, ever rarer, but for those that rested", () => {
  const cut = (because: "idle" | "head"): RuntimeEvent => {
    return { type: "connections-cut", because, connections: 3, open: 9 };
  };
  assert.deepEqual(entriesFor([cut("idle")], "debug").map(({ level }) => level), ["debug"]);
  const lines = entriesFor(Array.from({ length: 5 }, () => cut("head")));
  assert.deepEqual(lines.map(({ level, times }) => [level, times]), [
    ["warn", 1],
    ["warn", 2],
    ["warn", 4],
  ]);
});

Deno.test("a mailbox under pressure is told once, until a turn passes without a refusal", () => {
  assert.deepEqual(told(mailboxFull, mailboxFull, turn, mailboxFull, turn, mailboxFull), [
    "warn: mailbox full",
  ]);
  assert.deepEqual(told(mailboxFull, turn, turn, turn, mailboxFull), [
    "warn: mailbox full",
    "info: mailbox takes messages again",
    "warn: mailbox full",
  ]);
  assert.deepEqual(told(mailboxFull, passivated), [
    "warn: mailbox full",
    "info: mailbox takes messages again",
  ]);
});

Deno.test("an audit that was rewritten is an error, with heads as a verification takes them", () => {
  const [known, found] = [{ number: 7, mac: "ab" }, { number: 3, mac: "cd" }];
  const entries = entriesFor([
    { type: "audit-rewritten", known, found },
    { type: "audit-rewritten", known },
  ]);
  assert.deepEqual(
    entries.map(({ level, message, known, found }) => [level, message, known, found]),
    [
      ["error", "audit rewritten", "7:ab", "3:cd"],
      ["error", "audit rewritten", "7:ab", undefined],
    ],
  );
});

Deno.test("what is rare is told each time", () => {
  assert.deepEqual(
    told(
      { type: "snapshot-dropped", address, error: bug },
      { type: "batch-bisected", actors: 2, error: bug },
      { type: "maintenance-failed", task: "snapshot", error: down },
      { type: "maintenance-failed", task: "snapshot", error: bug },
    ),
    [
      "warn: snapshot dropped",
      "warn: commit refused by the store, halved",
      "warn: maintenance failed",
      "error: maintenance failed",
    ],
  );
});

Deno.test("quarantines are told at both ends, and by the name of what is in them", () => {
  const subjects: readonly Supervised[] = [
    { is: "actor", address },
    { is: "kind", kind: "live_event" },
    { is: "worker", worker: "outbox" },
  ];
  const entries = entriesFor(subjects.flatMap((subject): readonly RuntimeEvent[] => [
    { type: "quarantined", subject, error: bug, forMs: 300_000, held: 1 },
    { type: "released", subject, because: "time", held: 0 },
  ]));
  assert.deepEqual(
    entries.map(({ level, message, what }) => `${level}: ${message} ${what}`),
    ["live_event/7", "all of live_event", "outbox"].flatMap((what) => [
      `error: quarantined ${what}`,
      `info: released ${what}`,
    ]),
  );
  assert.deepEqual([entries[0].forMs, entries[0].error.name], [300_000, "TypeError"]);
  assert.equal(entries[1].because, "time");
});

Deno.test("lost events, and a worker that failed, are errors", () => {
  const known = { version: 3, revision: 4 };
  const stored = { version: 1, revision: 1 };
  const entries = entriesFor([
    { type: "data-loss", address, known, stored, error: bug },
    { type: "worker-failed", worker: "outbox", error: bug, restartInMs: 100 },
  ]);
  const [lost, failed] = entries;
  assert.deepEqual([lost.level, lost.actor, lost.known, lost.stored], [
    "error",
    "live_event/7",
    known,
    stored,
  ]);
  assert.deepEqual([failed.level, failed.worker, failed.restartInMs], ["error", "outbox", 100]);
});
