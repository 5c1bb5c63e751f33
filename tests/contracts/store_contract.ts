/**
 * What every store of the runtime promises, checked through its port alone.
 *
 * Each test has a kind of actors of its own, so that one store may serve them all.
 *
 * @module
 */
import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { PoisonFault } from "../../lib/fault.ts";
import {
  type Commit,
  feedStart,
  type NewEvent,
  type RememberedReply,
  type Store,
} from "../../lib/runtime/store.ts";

export const AT = Date.parse("2030-01-01T12:00:00.123Z");

export function newEvent(type: string, data: Record<string, unknown> = {}): NewEvent {
  return {
    type,
    schema: 1,
    data: { type, ...data },
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principalId: "ana",
  };
}

export function newKind(): string {
  return `kind_${crypto.randomUUID()}`;
}

export function commitOf(kind: string, key: string, changes: Partial<Commit> = {}): Commit {
  return {
    address: { kind, key },
    revision: 0,
    version: 0,
    at: AT,
    events: [],
    replies: [],
    ...changes,
  };
}

function replyUnder(key: string, changes: Partial<RememberedReply> = {}): RememberedReply {
  const outcome = { accepted: true, answer: { said: key } };
  return { principalId: "ana", key, requestHash: "hash", outcome, ...changes };
}

type StoreTest = (store: Store, kind: string) => Promise<void>;

/** Registers the suite; `withStore` lends a store, which may hold other actors already. */
export function storeContract(name: string, tests: (test: StoreTest) => () => Promise<void>): void {
  for (const [behaviour, test] of Object.entries(contract)) {
    Deno.test(`${name}: ${behaviour}`, tests(test));
  }
}

const contract: Record<string, StoreTest> = {
  "an actor never written stands at nothing": async (store, kind) => {
    const [loaded] = await store.load([{ address: { kind, key: "nobody" } }]);
    assert.deepEqual(loaded, { revision: 0, version: 0, transaction: "0", events: [] });
  },

  "what was committed is loaded, whole and in order": async (store, kind) => {
    const events = [newEvent("Opened", { title: 'Ωμέγα "quoted" \\ \'n' }), newEvent("Closed")];
    const [outcome] = await store.commit([commitOf(kind, "a", { events })]);
    assert.equal(outcome?.is, "ok");

    const [loaded] = await store.load([{ address: { kind, key: "a" } }]);
    assert.equal(loaded?.revision, 1);
    assert.equal(loaded?.version, 2);
    assert.equal(loaded?.transaction, outcome.is === "ok" && outcome.transaction);
    assert.deepEqual(
      loaded?.events,
      events.map((event, index) => ({ ...event, version: index + 1, at: AT })),
    );
  },

  "many actors are loaded in one call, each in its place": async (store, kind) => {
    const keys = ["d", "a", "c", "b"];
    await store.commit(keys.map((key) => commitOf(kind, key, { events: [newEvent(key)] })));
    const loaded = await store.load(
      ["b", "missing", "d"].map((key) => ({ address: { kind, key } })),
    );
    assert.deepEqual(loaded.map(({ events }) => events.map(({ type }) => type)), [["b"], [], [
      "d",
    ]]);
  },

  "a commit on an outdated revision is a conflict and leaves nothing": async (store, kind) => {
    await store.commit([commitOf(kind, "a", { events: [newEvent("First")] })]);
    const stale = commitOf(kind, "a", { events: [newEvent("Stale")] });
    const ahead = commitOf(kind, "a", { revision: 2, version: 2, events: [newEvent("Ahead")] });
    assert.deepEqual(await store.commit([stale]), [{ is: "conflict" }]);
    assert.deepEqual(await store.commit([ahead]), [{ is: "conflict" }]);
    assert.deepEqual((await store.readStream({ kind, key: "a" })).map(({ type }) => type), [
      "First",
    ]);
  },

  "one commit's conflict does not keep the others of its batch": async (store, kind) => {
    await store.commit([commitOf(kind, "b", { events: [newEvent("Before")] })]);
    const outcomes = await store.commit([
      commitOf(kind, "c", { events: [newEvent("New")] }),
      commitOf(kind, "b", { events: [newEvent("Stale")] }),
      commitOf(kind, "a", { events: [newEvent("New")] }),
    ]);
    assert.deepEqual(outcomes.map(({ is }) => is), ["ok", "conflict", "ok"]);
    const [a, b, c] = await store.load(["a", "b", "c"].map((key) => ({ address: { kind, key } })));
    assert.deepEqual([a?.version, b?.version, c?.version], [1, 1, 1]);
  },

  "a batch repeated is a conflict, for what it wrote is there": async (store, kind) => {
    const batch = [commitOf(kind, "a", { events: [newEvent("Once")] })];
    await store.commit(batch);
    assert.deepEqual(await store.commit(batch), [{ is: "conflict" }]);
    assert.equal((await store.readStream({ kind, key: "a" })).length, 1);
  },

  "an empty commit verifies the revision": async (store, kind) => {
    await store.commit([commitOf(kind, "a", { events: [newEvent("First")] })]);
    const outcomes = await store.commit([
      commitOf(kind, "a", { revision: 1, version: 1 }),
      commitOf(kind, "never", {}),
    ]);
    assert.deepEqual(outcomes.map(({ is }) => is), ["ok", "ok"]);
    const stale = await store.commit([
      commitOf(kind, "a"),
      commitOf(kind, "never", { revision: 1, version: 1 }),
    ]);
    assert.deepEqual(stale.map(({ is }) => is), ["conflict", "conflict"]);
  },

  "a key answered before comes back with its reply, and nothing is applied": async (
    store,
    kind,
  ) => {
    const first = replyUnder("key-1");
    const commit = { events: [newEvent("First")], replies: [first] };
    await store.commit([commitOf(kind, "a", commit)]);

    const again = { revision: 1, version: 1, events: [newEvent("Again")] };
    const [outcome] = await store.commit([
      commitOf(kind, "a", { ...again, replies: [replyUnder("key-0"), replyUnder("key-1")] }),
    ]);
    assert.deepEqual(outcome, { is: "duplicate", replies: [first] });
    const [loaded] = await store.load([{ address: { kind, key: "a" } }]);
    assert.equal(loaded?.version, 1);
    const [fresh] = await store.commit([
      commitOf(kind, "a", { ...again, replies: [replyUnder("key-0")] }),
    ]);
    assert.equal(fresh?.is, "ok", "the other key of the refused commit was not remembered");
  },

  "an actor may begin with a reply and nothing else, which is known from then on": async (
    store,
    kind,
  ) => {
    const refusal = replyUnder("key");
    const [kept] = await store.commit([commitOf(kind, "a", { events: [], replies: [refusal] })]);
    assert.equal(kept!.is, "ok");
    const late = { events: [newEvent("First")], replies: [replyUnder("key")] };
    const [presumed] = await store.commit([commitOf(kind, "a", late)]);
    assert.equal(presumed!.is, "conflict");
    const [known] = await store.commit([commitOf(kind, "a", { ...late, revision: 1 })]);
    assert.deepEqual(known, { is: "duplicate", replies: [refusal] });
  },

  "a commit that was applied is a conflict when it is repeated, with its replies too": async (
    store,
    kind,
  ) => {
    await store.commit([commitOf(kind, "a", { events: [newEvent("First")] })]);
    const at1 = { revision: 1, version: 1, events: [newEvent("Second")] };
    const commit = commitOf(kind, "a", { ...at1, replies: [replyUnder("key")] });
    assert.equal((await store.commit([commit]))[0]?.is, "ok");
    assert.deepEqual(await store.commit([commit]), [{ is: "conflict" }]);
  },

  "a key means nothing to another principal or another actor": async (store, kind) => {
    const events = [newEvent("First")];
    await store.commit([commitOf(kind, "a", { events, replies: [replyUnder("key")] })]);
    await store.commit([commitOf(kind, "b", { events })]);
    const next = { revision: 1, version: 1, events: [newEvent("Second")] };
    const replies = [replyUnder("key", { principalId: "ben" })];
    const outcomes = await store.commit([
      commitOf(kind, "a", { ...next, replies }),
      commitOf(kind, "b", { ...next, replies: [replyUnder("key")] }),
    ]);
    assert.deepEqual(outcomes.map(({ is }) => is), ["ok", "ok"]);
  },

  "a remembered refusal moves the fence but not the version": async (store, kind) => {
    await store.commit([commitOf(kind, "a", { events: [newEvent("First")] })]);
    const at1 = { revision: 1, version: 1 };
    const [outcome] = await store.commit([
      commitOf(kind, "a", { ...at1, replies: [replyUnder("key")] }),
    ]);
    assert.equal(outcome?.is, "ok");
    const [loaded] = await store.load([{ address: { kind, key: "a" } }]);
    assert.deepEqual([loaded?.revision, loaded?.version], [2, 1]);
    assert.deepEqual(await store.commit([commitOf(kind, "a", at1)]), [{ is: "conflict" }]);
  },

  "replies are forgotten by age, at most so many at once": async (store, kind) => {
    const old = { at: AT - 10_000, replies: [replyUnder("old")], events: [newEvent("E")] };
    await store.commit([
      commitOf(kind, "a", old),
      commitOf(kind, "b", old),
      commitOf(kind, "c", { ...old, at: AT }),
    ]);
    assert.equal(await store.forgetReplies(AT - 5_000, 1), 1);
    assert.equal(await store.forgetReplies(AT - 5_000, 10), 1);
    assert.equal(await store.forgetReplies(AT - 5_000, 10), 0);
    const repeated = { revision: 1, version: 1, replies: [replyUnder("old")] };
    const outcomes = await store.commit([
      commitOf(kind, "a", repeated),
      commitOf(kind, "c", repeated),
    ]);
    assert.deepEqual(outcomes.map(({ is }) => is), ["ok", "duplicate"]);
    await store.forgetReplies(AT + 1, 100);
  },

  "content that cannot be stored is poison, and takes nothing with it": async (store, kind) => {
    const batch = [
      commitOf(kind, "a", { events: [newEvent("Fine")] }),
      commitOf(kind, "b", { events: [newEvent("Bad", { title: "\u0000" })] }),
    ];
    await assert.rejects(store.commit(batch), PoisonFault);
    const [a] = await store.load([{ address: { kind, key: "a" } }]);
    assert.equal(a?.version, 0);
    assert.deepEqual((await store.commit([batch[0]!])).map(({ is }) => is), ["ok"]);
  },

  "text that only looks like what cannot be stored is stored": async (store, kind) => {
    const title = "\\u0000 \\\\ud800 \ud83d\ude42";
    await store.commit([commitOf(kind, "a", { events: [newEvent("Fine", { title })] })]);
    const [event] = await store.readStream({ kind, key: "a" });
    assert.deepEqual(event?.data, { type: "Fine", title });
    const half = commitOf(kind, "b", { events: [newEvent("Bad", { title: "half \ud83d" })] });
    await assert.rejects(store.commit([half]), PoisonFault);
  },

  "content that is no JSON is poison too": async (store, kind) => {
    const bad = commitOf(kind, "a", { events: [newEvent("Bad", { count: 1n })] });
    await assert.rejects(store.commit([bad]), PoisonFault);
    assert.deepEqual(await store.readStream({ kind, key: "a" }), []);
  },

  "a catch-up reads what follows a version, without the snapshot": async (store, kind) => {
    const address = { kind, key: "a" };
    const events = ["One", "Two", "Three"].map((type) => newEvent(type));
    await store.commit([commitOf(kind, "a", { events })]);
    await store.saveSnapshots([{ address, snapshot: { version: 3, schema: 1, state: {} } }]);
    const [loaded] = await store.load([{ address, afterVersion: 1 }]);
    assert.equal(loaded?.snapshot, undefined);
    assert.deepEqual(loaded?.events.map(({ type }) => type), ["Two", "Three"]);
  },

  "the newest snapshot wins, whatever the order of arrival": async (store, kind) => {
    const address = { kind, key: "a" };
    const events = ["One", "Two", "Three"].map((type) => newEvent(type));
    await store.commit([commitOf(kind, "a", { events })]);
    const at = (version: number) => ({
      address,
      snapshot: { version, schema: 7, state: { version, list: [1, "two", null] } },
    });
    await store.saveSnapshots([at(2)]);
    await store.saveSnapshots([at(1)]);
    const [loaded] = await store.load([{ address }]);
    assert.deepEqual(loaded?.snapshot, at(2).snapshot);
    assert.deepEqual(loaded?.events.map(({ version }) => version), [3]);
  },

  "an exclusive commit is told what it missed, and decides on that": async (store, kind) => {
    const address = { kind, key: "a" };
    const events = [newEvent("One"), newEvent("Two")];
    await store.commit([commitOf(kind, "a", { events })]);
    const outcome = await store.commitExclusively(address, 1, (caughtUp) => {
      assert.deepEqual(caughtUp.events.map(({ type }) => type), ["Two"]);
      const { revision, version } = caughtUp;
      return commitOf(kind, "a", { revision, version, events: [newEvent("Three")] });
    });
    assert.equal(outcome.is, "ok");
    assert.deepEqual(
      (await store.readStream(address)).map(({ type, version }) => [version, type]),
      [[1, "One"], [2, "Two"], [3, "Three"]],
    );
  },

  "an exclusive commit that throws leaves nothing": async (store, kind) => {
    const address = { kind, key: "a" };
    await store.commit([commitOf(kind, "a", { events: [newEvent("One")] })]);
    const failing = store.commitExclusively(address, 0, () => {
      throw new RangeError("no decision");
    });
    await assert.rejects(failing, RangeError);
    const poison = [newEvent("Bad", { text: "\u0000" })];
    await assert.rejects(
      store.commitExclusively(
        address,
        1,
        ({ revision, version }) => commitOf(kind, "a", { revision, version, events: poison }),
      ),
      PoisonFault,
    );
    const [loaded] = await store.load([{ address }]);
    assert.deepEqual([loaded?.version, loaded?.revision], [1, 1]);
  },

  "a stream is read in ranges": async (store, kind) => {
    const address = { kind, key: "a" };
    const events = Array.from({ length: 5 }, (_, index) => newEvent(`E${index + 1}`));
    await store.commit([commitOf(kind, "a", { events })]);
    const versions = async (range: Parameters<Store["readStream"]>[1]) =>
      (await store.readStream(address, range)).map(({ version }) => version);
    assert.deepEqual(await versions({ after: 2 }), [3, 4, 5]);
    assert.deepEqual(await versions({ through: 2 }), [1, 2]);
    assert.deepEqual(await versions({ after: 1, through: 4, limit: 2 }), [2, 3]);
  },

  "the feed is read page by page, each event once": async (store, kind) => {
    for (const key of ["a", "b", "c"]) {
      await store.commit([commitOf(kind, key, { events: [newEvent(key), newEvent(key)] })]);
    }
    await shown(store, kind, 6);
    const seen: string[] = [];
    let after = feedStart;
    for (;;) {
      const { events } = await store.readFeed({ after, kind, limit: 4 });
      seen.push(...events.map(({ address, version }) => `${address.key}${version}`));
      if (events.length < 4) break;
      after = events.at(-1)!.cursor;
    }
    assert.deepEqual(seen, ["a1", "a2", "b1", "b2", "c1", "c2"]);
  },

  "a page says through which transaction it is complete": async (store, kind) => {
    const [first] = await store.commit([
      commitOf(kind, "a", { events: [newEvent("One"), newEvent("Two")] }),
    ]);
    assert(first?.is === "ok");
    await shown(store, kind, 2);
    const whole = await store.readFeed({ after: feedStart, kind, limit: 10 });
    assert(BigInt(whole.through) >= BigInt(first.transaction), "an unfilled page reaches the end");
    const cut = await store.readFeed({ after: feedStart, kind, limit: 1 });
    assert(BigInt(cut.through) < BigInt(first.transaction), "its transaction goes on behind it");
  },

  "a page that is just full says nothing of what follows it": async (store, kind) => {
    const [only] = await store.commit([commitOf(kind, "a", { events: [newEvent("One")] })]);
    assert(only?.is === "ok");
    await shown(store, kind, 1);
    const page = await store.readFeed({ after: feedStart, kind, limit: 1 });
    assert(BigInt(page.through) < BigInt(only.transaction));
  },

  "an actor is verified by no transaction, unless it was locked": async (store, kind) => {
    await store.commit([commitOf(kind, "a", { events: [newEvent("First")] })]);
    const [verified] = await store.commit([commitOf(kind, "a", { revision: 1, version: 1 })]);
    assert.deepEqual(verified, { is: "ok", transaction: "0" });
  },

  "the feed is read by type and by time": async (store, kind) => {
    await store.commit([
      commitOf(kind, "a", { at: AT, events: [newEvent("One"), newEvent("Two")] }),
    ]);
    await store.commit([commitOf(kind, "b", { at: AT + 1_000, events: [newEvent("One")] })]);
    await shown(store, kind, 3);
    const found = async (query: { types?: string[]; from?: number; to?: number }) =>
      (await store.readFeed({ after: feedStart, kind, limit: 10, ...query })).events
        .map(({ address, type }) => `${address.key}:${type}`);
    assert.deepEqual(await found({ types: ["One"] }), ["a:One", "b:One"]);
    assert.deepEqual(await found({ from: AT + 1 }), ["b:One"]);
    assert.deepEqual(await found({ to: AT + 1_000 }), ["a:One", "a:Two"]);
  },
};

/** Resolves once the feed shows so many: what runs elsewhere on a server may hold it back. */
async function shown(store: Store, kind: string, events: number): Promise<void> {
  const page = () => store.readFeed({ after: feedStart, kind, limit: events });
  while ((await page()).events.length < events) await systemEnv.sleep(10);
}
