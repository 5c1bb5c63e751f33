/** The pure half of an actor, by itself. */
import assert from "node:assert/strict";
import type { Aggregate } from "../../../lib/runtime/aggregate.ts";
import type { Envelope } from "../../../lib/runtime/envelope.ts";
import type { StoredEvent } from "../../../lib/runtime/store.ts";
import {
  decideTurn,
  isWrittenIn,
  type Letter,
  replay,
  type Standing,
  TURN_MESSAGES_MAX,
} from "../../../lib/runtime/turn.ts";
import * as Counter from "../../support/counter.ts";
import { AT } from "../../support/given.ts";

const address = { kind: Counter.kind, key: "a" };
// The runtime forgets an aggregate's types in just this way, in `ActorSystem.host`.
const counter = Counter as Aggregate<unknown, unknown, { readonly type: string }, string>;

function standing(total: number, version: number): Standing {
  return { state: { total }, version, revision: 9, transaction: "7" };
}

function letter(command: Counter.Command, changes: Partial<Envelope> = {}): Letter {
  return {
    envelope: {
      address,
      command,
      messageId: `message-${JSON.stringify(command)}`,
      correlationId: "correlation",
      causationId: "causation",
      principal: { id: "ana", roles: [] },
      deadline: Infinity,
      ...changes,
    },
    isInspection: false,
    answer: ({ state, version }) => `${(state as Counter.State).total} at ${version}`,
    receivedAt: 0,
    resolve: () => assert.fail("a turn tells nobody"),
    reject: () => assert.fail("a turn tells nobody"),
    isSettled: false,
  };
}

function add(amount: number, changes: Partial<Envelope> = {}): Letter {
  return letter({ type: "Add", amount }, changes);
}

function decide(from: Standing, ...letters: readonly Letter[]) {
  return decideTurn(counter, address, from, letters, {
    now: () => AT,
    uuid: () => crypto.randomUUID(),
  });
}

function stored(version: number, causationId: string, amount: number): StoredEvent {
  const data = { type: "Added", amount };
  const ids = { correlationId: "correlation", causationId, principalId: "ana" };
  return { type: "Added", schema: 2, data, version, at: AT, ...ids };
}

Deno.test("each message is decided on what those before it have led to", () => {
  const { verdicts, commit, state } = decide(standing(90, 4), add(5), add(6), add(5), add(0));
  assert.deepEqual(
    verdicts.map((verdict) => verdict.is === "accepted" ? verdict.answer : verdict.is),
    ["95 at 5", "rejected", "100 at 6", "100 at 6"],
  );
  assert.deepEqual(state, { total: 100 });
  assert.deepEqual([commit.revision, commit.version, commit.at], [9, 4, AT]);
  assert.deepEqual(commit.events.map(({ data }) => data), [
    { type: "Added", amount: 5 },
    { type: "Added", amount: 5 },
  ]);
});

Deno.test("a turn leaves the standing as it was", () => {
  const before = standing(1, 1);
  decide(before, add(1), letter({ type: "Reset" }));
  assert.deepEqual(before, standing(1, 1));
});

Deno.test("an event is written in today's schema, with its message's ids", () => {
  const { commit } = decide(standing(0, 0), add(5, { messageId: "m", correlationId: "c" }));
  assert.deepEqual(commit.events, [{
    type: "Added",
    schema: 2,
    data: { type: "Added", amount: 5 },
    correlationId: "c",
    causationId: "m",
    principalId: "ana",
  }]);
});

Deno.test("replies are remembered as they were given, refusals too", () => {
  const keyed = (key: string) => ({ idempotency: { key, requestHash: `hash of ${key}` } });
  const { commit } = decide(standing(90, 4), add(5, keyed("one")), add(9, keyed("two")), add(1));
  assert.deepEqual(commit.replies, [
    {
      principalId: "ana",
      key: "one",
      requestHash: "hash of one",
      outcome: { accepted: true, version: 5, answer: "95 at 5" },
    },
    {
      principalId: "ana",
      key: "two",
      requestHash: "hash of two",
      outcome: { accepted: false, version: 5, reason: "over-limit" },
    },
  ]);
});

Deno.test("an expected version is held against what the turn has come to", () => {
  const { verdicts } = decide(
    standing(0, 4),
    add(1, { expectedVersion: 4 }),
    add(1, { expectedVersion: 4 }),
    add(1, { expectedVersion: 5 }),
  );
  assert.deepEqual(verdicts.map(({ is }) => is), ["accepted", "rejected", "accepted"]);
});

Deno.test("a defect leaves no trace in its turn", () => {
  const explode = (where: "decide" | "evolve") => letter({ type: "Explode", where });
  const unanswerable = {
    ...add(3),
    answer: () => {
      throw new RangeError("no answer");
    },
  };
  const turn = decide(standing(0, 0), explode("decide"), unanswerable, explode("evolve"), add(1));
  assert.deepEqual(turn.verdicts.map(({ is }) => is), ["defect", "defect", "defect", "accepted"]);
  assert.deepEqual(turn.commit.events.map(({ data }) => data), [{ type: "Added", amount: 1 }]);
  assert.deepEqual(turn.state, { total: 1 });
});

Deno.test("a replay leads to the last event, and from nothing to where it began", () => {
  const from = { state: { total: 10 }, version: 2 };
  assert.deepEqual(replay(counter, from, [stored(3, "m", 1), stored(4, "n", 2)]), {
    state: { total: 13 },
    version: 4,
  });
  assert.deepEqual(replay(counter, from, []), from);
});

Deno.test("a commit is known by all its events at their place, or not at all", () => {
  const { commit } = decide(
    standing(10, 2),
    add(1, { messageId: "m" }),
    add(2, { messageId: "n" }),
  );
  const mine = [stored(3, "m", 1), stored(4, "n", 2)];
  assert(isWrittenIn(mine, commit));
  assert(isWrittenIn([...mine, stored(5, "theirs", 3)], commit));
  assert(!isWrittenIn([], commit));
  assert(!isWrittenIn([mine[0]!, stored(4, "theirs", 2)], commit));
  assert(!isWrittenIn([stored(3, "theirs", 1), stored(4, "m", 1), stored(5, "n", 2)], commit));
  const empty = decide(standing(10, 2), add(0)).commit;
  assert(!isWrittenIn(mine, empty), "what leaves no events cannot be known by them");
});

/** Tells somebody of each addition, half of what a turn may tell. */
const gossip = {
  ...counter,
  Command: { parse: (input: unknown) => input },
  decide: () => {
    const message = { to: address, schema: 1, command: {} };
    const messages = Array.from({ length: TURN_MESSAGES_MAX / 2 }, () => message);
    return { accepted: true, events: [{ type: "WasReset" }], messages };
  },
} as typeof counter;

Deno.test("a turn that has enough to tell leaves what else was told for later, and answers who asked", () => {
  const batch = { isBroken: false };
  const told = Array.from({ length: 4 }, (_, position): Letter => {
    return { ...add(1), delivery: { position, schema: 1, batch } };
  });
  const { verdicts, commit } = decideTurn(gossip, address, standing(0, 0), [...told, add(1)], {
    now: () => AT,
    uuid: () => crypto.randomUUID(),
  });
  assert.deepEqual(verdicts.map(({ is }) => is), [
    "accepted",
    "accepted",
    "held-back",
    "held-back",
    "accepted",
  ]);
  assert.deepEqual(commit.consumed, [0, 1]);
});
