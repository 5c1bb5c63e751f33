/**
 * What every outbox promises together with its store, and its dead letters.
 *
 * @module
 */
import assert from "node:assert/strict";
import { JOB_KIND } from "../../lib/jobs/job.ts";
import type { Address } from "../../lib/runtime/envelope.ts";
import type { ClaimedLane, DeadLetters, DueCursor, Outbox } from "../../lib/runtime/outbox.ts";
import type { Commit, NewMessage, Store } from "../../lib/runtime/store.ts";
import { AT, commitOf, newEvent } from "./store_contract.ts";

export interface Post {
  readonly store: Store;
  readonly outbox: Outbox;
  readonly deadLetters: DeadLetters;
  /** What the audit says so far, as `principal: act`. */
  audit(): Promise<readonly string[]>;
}

type OutboxTest = (post: Post, kind: string) => Promise<void>;

export function outboxContract(
  name: string,
  tests: (test: OutboxTest) => () => Promise<void>,
): void {
  for (const [behaviour, test] of Object.entries(contract)) {
    Deno.test(`${name}: ${behaviour}`, tests(test));
  }
}

const HOUR_MS = 3_600_000;
/** What was told then is due, by any clock. */
const PAST = Date.parse("2020-01-01T12:00:00Z");
const token = () => Math.floor(Math.random() * 2 ** 53);
const whole = {
  leaseMs: HOUR_MS,
  limit: 100,
  get token() {
    return token();
  },
};
/** A lease that is over as soon as it is given. */
const over = {
  leaseMs: 0,
  limit: 100,
  get token() {
    return token();
  },
};
const root = { id: "root" };

export function messageTo(
  to: Address,
  note: string,
  changes: Partial<NewMessage> = {},
): NewMessage {
  return {
    messageId: crypto.randomUUID(),
    to,
    schema: 2,
    command: { note },
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principal: { id: "ana", roles: ["clerk"] },
    delayMs: 0,
    ...changes,
  };
}

/** A new actor tells `messages`. */
async function told(store: Store, kind: string, ...messages: readonly NewMessage[]) {
  const commit = commitOf(kind, crypto.randomUUID(), {
    at: PAST,
    events: [newEvent("Sent")],
    messages,
  });
  const [outcome] = await store.commit([commit]);
  assert.equal(outcome?.is, "ok");
}

async function toldNotes(store: Store, to: Address, ...notes: readonly string[]) {
  await told(store, to.kind, ...notes.map((note) => messageTo(to, note)));
}

function notesIn(lane: Pick<ClaimedLane, "messages"> | undefined): unknown[] {
  return (lane?.messages ?? []).map(({ command }) => (command as { note: string }).note);
}

function positionsIn({ messages }: ClaimedLane): number[] {
  return messages.map(({ position }) => position);
}

function handling({ address }: ClaimedLane, changes: Partial<Commit>): Commit {
  return commitOf(address.kind, address.key, { at: PAST, ...changes });
}

async function buried(outbox: Outbox, lane: ClaimedLane, isParked = false): Promise<void> {
  const { address, token, messages } = lane;
  const { position } = messages[0]!;
  const burial = { address, token, position, attempts: 3, error: "why", isParked };
  assert.equal(await outbox.bury(burial), true);
}

const contract: Record<string, OutboxTest> = {
  "a told message is claimed as it was told": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
    const message = messageTo(to, 'Ωμέγα "quoted" \\ \'n', { traceparent });
    await told(store, kind, message);
    const [lane] = await outbox.claim([to], whole);
    const { delayMs: _, ...rest } = message;
    const { position } = lane!.messages[0]!;
    assert.deepEqual(lane!.messages, [{ ...rest, position, at: PAST }]);
    assert.equal(lane!.attempts, 0);
  },

  "messages of one batch keep its order in each lane, whoever tells them": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    const telling = ["z", "m", "B"].map((key) =>
      commitOf(kind, key, { at: PAST, events: [newEvent("Sent")], messages: [messageTo(to, key)] })
    );
    await store.commit(telling);
    const [lane] = await outbox.claim([to], whole);
    assert.deepEqual(notesIn(lane), ["z", "m", "B"]);
  },

  "messages of one commit keep their order in each lane": async ({ store, outbox }, kind) => {
    const [a, b] = [{ kind, key: "a" }, { kind, key: "b" }];
    await told(
      store,
      kind,
      ...["1", "2", "3"].flatMap((note) => [messageTo(b, note), messageTo(a, note)]),
    );
    await toldNotes(store, a, "4");
    const lanes = await outbox.claim([a, b], whole);
    const byKey = new Map(lanes.map((lane) => [lane.address.key, notesIn(lane)]));
    assert.deepEqual(byKey.get("a"), ["1", "2", "3", "4"]);
    assert.deepEqual(byKey.get("b"), ["1", "2", "3"]);
  },

  "a job that is told is no message for a relay to bring": async ({ store, outbox }, kind) => {
    const [queue, actor] = [{ kind: JOB_KIND, key: kind }, { kind, key: "a" }];
    const job = messageTo(queue, "work", { job: { priority: 5 } });
    await told(store, kind, job, messageTo(actor, "1"));
    const lanes = await outbox.claim([queue, actor], whole);
    assert.deepEqual(lanes.map(({ address }) => address), [actor]);
    assert.deepEqual(await outbox.claim([queue], whole), []);
  },

  "a commit that is not applied tells nothing": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await store.commit([commitOf(kind, "sender", { events: [newEvent("First")] })]);
    const stale = { events: [newEvent("Stale")], messages: [messageTo(to, "never")] };
    assert.deepEqual(await store.commit([commitOf(kind, "sender", stale)]), [{ is: "conflict" }]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), []);
  },

  "a lane is claimed once at a time, and again when its lease is over": async (post, kind) => {
    const { store, outbox } = post;
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [first] = await outbox.claim([to], over);
    const [second] = await outbox.claim([to], whole);
    assert.deepEqual(notesIn(second), ["1"]);
    assert.notEqual(first?.token, second?.token);
    assert.deepEqual(await outbox.claim([to], whole), []);
  },

  "a claim that is no longer held settles nothing": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [first] = await outbox.claim([to], over);
    await outbox.claim([to], whole);
    assert.deepEqual(await outbox.settle([{ address: to, token: first!.token }]), []);
    assert.deepEqual(await outbox.claim([to], whole), [], "the second claim still holds");
  },

  "at most as many messages of a lane as asked for": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    assert.deepEqual(notesIn((await outbox.claim([to], { ...whole, limit: 2 }))[0]), ["1", "2"]);
  },

  "settling frees a lane, and tells which have more": async ({ store, outbox }, kind) => {
    const [a, b] = [{ kind, key: "a" }, { kind, key: "b" }];
    await toldNotes(store, a, "1");
    const lanes = await outbox.claim([a, b], whole);
    const more = await outbox.settle(lanes.map(({ address, token }) => ({ address, token })));
    assert.deepEqual(more, [a]);
    assert.equal((await outbox.claim([a, b], whole)).length, 2);
  },

  "a paused lane is left alone, and remembers its attempts": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [first] = await outbox.claim([to], whole);
    const [position] = positionsIn(first!);
    const pause = { position: position!, attempts: 2, error: "why" };
    await outbox.settle([{ address: to, token: first!.token, pause: { ms: 0, ...pause } }]);
    const [second] = await outbox.claim([to], whole);
    assert.equal(second?.attempts, 2);
    await outbox.settle([{ address: to, token: second.token, pause: { ms: HOUR_MS, ...pause } }]);
    assert.deepEqual(await outbox.claim([to], whole), []);
  },

  "a handled message is gone with the commit that handles it": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    const [lane] = await outbox.claim([to], over);
    const [first, second] = positionsIn(lane!);
    const events = [newEvent("Received")];
    const [outcome] = await store.commit([handling(lane!, { events, consumed: [first!] })]);
    assert.equal(outcome?.is, "ok");
    const refusing = handling(lane!, { revision: 1, version: 1, consumed: [second!] });
    assert.equal((await store.commit([refusing]))[0]?.is, "ok", "without an event as well");
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["3"]);
    const [standing] = await store.load([{ address: to }]);
    assert.deepEqual([standing?.revision, standing?.version], [2, 1]);
  },

  "what was handled before is handled by nobody else": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2");
    const [lane] = await outbox.claim([to], whole);
    const [first, second] = positionsIn(lane!);
    await store.commit([handling(lane!, { events: [newEvent("Once")], consumed: [first!] })]);
    const again = handling(lane!, {
      revision: 1,
      version: 1,
      events: [newEvent("Twice")],
      consumed: [first!, second!],
    });
    assert.deepEqual(await store.commit([again]), [{ is: "consumed", gone: [first] }]);
    const exclusively = await store.commitExclusively(to, 1, () => again);
    assert.deepEqual(exclusively, { is: "consumed", gone: [first] });
    assert.deepEqual((await store.readStream(to)).map(({ type }) => type), ["Once"]);
  },

  "an actor that was never written is not made by what was handled before": async (post, kind) => {
    const to = { kind, key: "a" };
    const commit = commitOf(kind, "a", { events: [newEvent("Never")], consumed: [1_000_000_000] });
    assert.equal((await post.store.commit([commit]))[0]?.is, "consumed");
    assert.equal((await post.store.load([{ address: to }]))[0]?.revision, 0);
  },

  "nobody handles the messages of another": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [lane] = await outbox.claim([to], over);
    const thief = commitOf(kind, "b", {
      events: [newEvent("Stolen")],
      consumed: positionsIn(lane!),
    });
    assert.equal((await store.commit([thief]))[0]?.is, "consumed");
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["1"]);
  },

  "one batch tells, handles, remembers, verifies and creates": async ({ store, outbox }, kind) => {
    const [a, b] = [{ kind, key: "a" }, { kind, key: "b" }];
    await toldNotes(store, a, "1");
    const [lane] = await outbox.claim([a], over);
    const reply = { principalId: "ana", key: "k", requestHash: "h", outcome: { accepted: true } };
    const outcomes = await store.commit([
      handling(lane!, {
        events: [newEvent("Received")],
        replies: [reply],
        messages: [messageTo(b, "on")],
        consumed: positionsIn(lane!),
      }),
      commitOf(kind, "new", { events: [newEvent("Opened")] }),
      commitOf(kind, "verified"),
      commitOf(kind, "stale", { revision: 3, events: [newEvent("Stale")] }),
      commitOf(kind, "robbed", { consumed: [1_000_000_000] }),
    ]);
    assert.deepEqual(outcomes.map(({ is }) => is), ["ok", "ok", "ok", "conflict", "consumed"]);
    const lanes = await outbox.claim([a, b], whole);
    const byKey = new Map(lanes.map((lane) => [lane.address.key, notesIn(lane)]));
    assert.deepEqual([byKey.get("a"), byKey.get("b")], [[], ["on"]]);
  },

  "a message for later is not due, nor in anyone's way": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    const commit = (at: number, note: string, delayMs: number) =>
      commitOf(kind, crypto.randomUUID(), {
        at,
        events: [newEvent("Sent")],
        messages: [messageTo(to, note, { delayMs })],
      });
    await store.commit([commit(Date.now(), "late", HOUR_MS)]);
    await store.commit([commit(PAST, "soon", 60_000)]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["soon"]);
    const { nextDueMs } = await outbox.due(undefined, 10);
    assert(nextDueMs !== undefined && nextDueMs > 0 && nextDueMs <= HOUR_MS);
  },

  "what is told at once is due, however far a node's clock is ahead": async (post, kind) => {
    const to = { kind, key: "a" };
    const messages = [messageTo(to, "1")];
    const events = [newEvent("Sent")];
    await post.store.commit([commitOf(kind, "sender", { at: AT, events, messages })]);
    assert.deepEqual(notesIn((await post.outbox.claim([to], whole))[0]), ["1"]);
  },

  "a claim that is repeated takes again what it took": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const claim = { ...whole };
    const [lane] = await outbox.claim([to], claim);
    assert.deepEqual(await outbox.claim([to], claim), [lane]);
    assert.deepEqual(await outbox.claim([to], whole), [], "which no other claim does");
  },

  "tidying leaves alone what is claimed, paused, parked or waiting": async (post, kind) => {
    const { store, outbox } = post;
    const [claimed, paused, waiting] = ["a", "b", "c"].map((key) => ({ kind, key }));
    await toldNotes(store, waiting!, "1");
    await outbox.claim([claimed!], whole);
    const [lane] = await outbox.claim([paused!], whole);
    const pause = { ms: HOUR_MS, position: 1, attempts: 1, error: "why" };
    await outbox.settle([{ ...lane!, pause }]);
    await outbox.claim([waiting!], over);
    await outbox.tidy();
    const free = await outbox.claim([claimed!, paused!, waiting!], whole);
    assert.deepEqual(free.map(({ address, messages }) => [address.key, messages.length]), [[
      "c",
      1,
    ]]);
  },

  "what is due is found page by page, oldest first": async ({ store, outbox }, kind) => {
    const lanes = ["a", "b", "c", "d"].map((key) => ({ kind, key }));
    for (const [index, lane] of lanes.entries()) {
      await store.commit([commitOf(kind, crypto.randomUUID(), {
        at: PAST + index,
        events: [newEvent("Sent")],
        messages: [messageTo(lane, "1"), messageTo(lane, "2")],
      })]);
    }
    const found: Address[] = [];
    let cursor: DueCursor | undefined;
    do {
      const page = await outbox.due(cursor, 3);
      found.push(...page.lanes.filter((lane) => lane.kind === kind));
      cursor = page.next;
    } while (cursor !== undefined);
    const inOrder = found.map(({ key }) => key).filter((key, at, all) => all[at - 1] !== key);
    assert.deepEqual(inOrder, ["a", "b", "c", "d"]);
  },

  "a buried message is a dead letter, and no turn can handle it any more": async (post, kind) => {
    const { store, outbox, deadLetters } = post;
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2");
    const [lane] = await outbox.claim([to], whole);
    await buried(outbox, lane!);
    const [letter] = await deadLetters.list({ kind, limit: 10 });
    assert.deepEqual([letter?.command, letter?.attempts, letter?.error], [{ note: "1" }, 3, "why"]);
    assert.deepEqual(await deadLetters.get(letter!.messageId), letter);

    const late = handling(lane!, { events: [newEvent("Late")], consumed: positionsIn(lane!) });
    assert.notEqual((await store.commit([late]))[0]?.is, "ok");
    assert.equal((await store.readStream(to)).length, 0);
    await outbox.settle([lane!]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["2"]);
  },

  "nobody buries without a claim that holds, nor what was handled": async (post, kind) => {
    const { store, outbox, deadLetters } = post;
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [stale] = await outbox.claim([to], over);
    const [lane] = await outbox.claim([to], whole);
    const [position] = positionsIn(lane!);
    const burial = { address: to, position: position!, attempts: 1, error: "why", isParked: false };
    assert.equal(await outbox.bury({ ...burial, token: stale!.token }), false);
    await store.commit([handling(lane!, { events: [newEvent("Once")], consumed: [position!] })]);
    assert.equal(await outbox.bury({ ...burial, token: lane!.token }), false);
    assert.deepEqual(await deadLetters.list({ kind, limit: 10 }), []);
  },

  "a parked lane rests until its dead letters are seen to, then keeps its order": async (
    { store, outbox, deadLetters },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2");
    const [lane] = await outbox.claim([to], whole);
    await buried(outbox, lane!, true);
    assert.deepEqual(await outbox.settle([lane!]), []);
    await toldNotes(store, to, "3");
    assert.deepEqual(await outbox.claim([to], over), []);

    const raised = await deadLetters.redrive({ kind, limit: 10 }, root);
    assert.deepEqual(notesIn({ messages: raised }), ["1"]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["1", "2", "3"]);
    assert.deepEqual(await deadLetters.list({ kind, limit: 10 }), []);
  },

  "a parked lane with two dead letters goes on after the second": async (post, kind) => {
    const { store, outbox, deadLetters } = post;
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    const [first] = await outbox.claim([to], whole);
    await buried(outbox, first!);
    await outbox.settle([first!]);
    const [second] = await outbox.claim([to], whole);
    await buried(outbox, second!, true);
    await outbox.settle([second!]);
    const letters = await deadLetters.list({ kind, limit: 10 });
    assert.deepEqual(notesIn({ messages: letters }), ["1", "2"]);
    assert.equal(await deadLetters.discard(letters[0]!.messageId, root), true);
    assert.deepEqual(await outbox.claim([to], over), []);
    assert.equal(await deadLetters.discard(letters[1]!.messageId, root), true);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["3"]);
  },

  "a dead letter is edited, then put back as it now reads": async (post, kind) => {
    const { store, outbox, deadLetters } = post;
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [lane] = await outbox.claim([to], whole);
    await buried(outbox, lane!);
    await outbox.settle([lane!]);
    const { messageId } = lane!.messages[0]!;
    const edited = await deadLetters.edit(messageId, { schema: 7, command: { note: "x" } }, root);
    assert.deepEqual([edited?.schema, edited?.command], [7, { note: "x" }]);
    await deadLetters.redrive({ messageId }, root);
    const [raised] = await outbox.claim([to], whole);
    assert.deepEqual(raised!.messages, [{
      ...lane!.messages[0]!,
      schema: 7,
      command: { note: "x" },
    }]);
  },

  "what is done to a dead letter is audited; to none, nothing": async (post, kind) => {
    const { store, outbox, deadLetters } = post;
    const to = { kind, key: "a" };
    const before = (await post.audit()).length;
    const nobody = crypto.randomUUID();
    assert.equal(await deadLetters.discard(nobody, root), false);
    assert.equal(await deadLetters.edit(nobody, { schema: 1, command: {} }, root), undefined);
    assert.deepEqual(await deadLetters.redrive({ messageId: nobody }, root), []);
    await toldNotes(store, to, "1");
    for (const act of ["redrive", "discard"] as const) {
      const [lane] = await outbox.claim([to], whole);
      await buried(outbox, lane!);
      await outbox.settle([lane!]);
      const { messageId } = lane!.messages[0]!;
      await deadLetters.edit(messageId, { schema: 1, command: {} }, { id: "eve" });
      if (act === "redrive") await deadLetters.redrive({ messageId }, root);
      else await deadLetters.discard(messageId, root);
    }
    assert.deepEqual((await post.audit()).slice(before), [
      "eve: dead-letter edit",
      "root: dead-letter redrive",
      "eve: dead-letter edit",
      "root: dead-letter discard",
    ]);
  },

  "the depth is what is due, how old it is, and what is dead": async (post, kind) => {
    const { store, outbox } = post;
    const before = await outbox.depth(1_000);
    const to = { kind, key: "a" };
    await store.commit([commitOf(kind, "sender", {
      at: PAST,
      events: [newEvent("Sent")],
      messages: [messageTo(to, "1"), messageTo(to, "2")],
    })]);
    const after = await outbox.depth(1_000);
    assert.equal(after.due - before.due, 2);
    assert(after.oldestMs > 365 * 24 * HOUR_MS);
    assert.equal((await outbox.depth(1)).due, 1, "counted up to a limit");
  },

  "a commit that was applied is a conflict when it is repeated, not handled before": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [lane] = await outbox.claim([to], whole);
    const commit = handling(lane!, { events: [newEvent("Once")], consumed: positionsIn(lane!) });
    assert.equal((await store.commit([commit]))[0]?.is, "ok");
    assert.deepEqual(await store.commit([commit]), [{ is: "conflict" }]);
  },

  "messages are due in the order of their commits, whatever the clocks of nodes say": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    const sent = (revision: number, at: number, note: string) =>
      commitOf(kind, "sender", {
        revision,
        version: revision,
        at,
        events: [newEvent("Sent")],
        messages: [messageTo(to, note)],
      });
    await store.commit([sent(0, Date.now() + HOUR_MS, "1")]);
    await store.commit([sent(1, PAST, "2")]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["1", "2"]);
  },

  "attempts at a message do not count against another": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [first] = await outbox.claim([to], whole);
    const [position] = positionsIn(first!);
    const pause = { ms: 0, position: position!, attempts: 7, error: "why" };
    await outbox.settle([{ address: to, token: first!.token, pause }]);
    // It is handled at last, and whoever had the lane ends before settling it.
    const [second] = await outbox.claim([to], over);
    await store.commit([handling(second!, { consumed: positionsIn(second!) })]);
    await toldNotes(store, to, "2");
    const [third] = await outbox.claim([to], whole);
    assert.deepEqual([notesIn(third), third?.attempts], [["2"], 0]);
  },

  "a lane's failure may say anything": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [lane] = await outbox.claim([to], whole);
    const [position] = positionsIn(lane!);
    const pause = { ms: 0, position: position!, attempts: 1, error: 'Ωμέγα "quoted" \\ \'n' };
    await outbox.settle([{ address: to, token: lane!.token, pause }]);
    assert.equal((await outbox.claim([to], whole))[0]?.attempts, 1);
  },

  "what is put back comes to where it was, also in a lane that others have in hand": async (
    { store, outbox, deadLetters },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    const [first] = await outbox.claim([to], whole);
    await buried(outbox, first!);
    await outbox.settle([first!]);
    const [second] = await outbox.claim([to], whole);
    assert.deepEqual(notesIn(second), ["2", "3"]);
    await deadLetters.redrive({ kind, limit: 10 }, root);
    assert.deepEqual(await outbox.claim([to], whole), []);
    await outbox.settle([second!]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["1", "2", "3"]);
  },

  "a parked lane waits for its own dead letters, not for those of others": async (post, kind) => {
    const { store, outbox, deadLetters } = post;
    const [a, b] = [{ kind, key: "a" }, { kind, key: "b" }];
    for (const to of [a, b]) {
      await toldNotes(store, to, "1", "2");
      const [lane] = await outbox.claim([to], whole);
      await buried(outbox, lane!, true);
      await outbox.settle([lane!]);
    }
    const [letter] = await deadLetters.list({ kind, key: "b", limit: 10 });
    await deadLetters.discard(letter!.messageId, root);
    const lanes = await outbox.claim([a, b], whole);
    assert.deepEqual(lanes.map((lane) => [lane.address.key, notesIn(lane)]), [["b", ["2"]]]);
    assert.deepEqual(await outbox.settle(lanes), [b], "and is a lane like any other again");
  },

  "who pauses a lane is not told of what waits in it, nor of what is not due": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [lane] = await outbox.claim([to], whole);
    const [position] = positionsIn(lane!);
    const pause = { ms: 0, position: position!, attempts: 1, error: "why" };
    assert.deepEqual(await outbox.settle([{ address: to, token: lane!.token, pause }]), []);
    const [again] = await outbox.claim([to], whole);
    await store.commit([handling(again!, { consumed: [position!] })]);
    await store.commit([commitOf(kind, "sender", {
      at: Date.now(),
      events: [newEvent("Sent")],
      messages: [messageTo(to, "late", { delayMs: HOUR_MS })],
    })]);
    assert.deepEqual(await outbox.settle([again!]), []);
  },

  "after a burial attempts begin anew, and no decision from before it is recorded": async (
    { store, outbox, deadLetters },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2");
    const [first] = await outbox.claim([to], whole);
    const [position] = positionsIn(first!);
    const pause = { ms: 0, position: position!, attempts: 7, error: "why" };
    await outbox.settle([{ address: to, token: first!.token, pause }]);
    const [second] = await outbox.claim([to], whole);
    await buried(outbox, second!, true);
    await outbox.settle([second!]);
    const stale = commitOf(kind, "a", { events: [newEvent("Stale")] });
    assert.deepEqual(await store.commit([stale]), [{ is: "conflict" }]);
    assert.equal((await store.load([{ address: to }]))[0]?.revision, 1);
    const [letter] = await deadLetters.list({ kind, limit: 10 });
    await deadLetters.discard(letter!.messageId, root);
    const [third] = await outbox.claim([to], whole);
    assert.deepEqual([notesIn(third), third?.attempts], [["2"], 0]);
  },

  "nobody buries once the lease is over": async ({ store, outbox, deadLetters }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [lane] = await outbox.claim([to], over);
    const [position] = positionsIn(lane!);
    const { token } = lane!;
    const burial = { address: to, token, position: position!, attempts: 1, error: "why" };
    assert.equal(await outbox.bury({ ...burial, isParked: false }), false);
    assert.deepEqual(await deadLetters.list({ kind, limit: 10 }), []);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["1"]);
  },

  "only the message that is meant is buried": async ({ store, outbox, deadLetters }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    const [lane] = await outbox.claim([to], whole);
    await buried(outbox, { ...lane!, messages: [lane!.messages[1]!] });
    await outbox.settle([lane!]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["1", "3"]);
    assert.deepEqual(notesIn({ messages: await deadLetters.list({ kind, limit: 10 }) }), ["2"]);
  },

  "letters are put back in the order in which they were told, as many as asked for": async (
    { store, outbox, deadLetters },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    const [lane] = await outbox.claim([to], whole);
    for (const message of lane!.messages.toReversed()) {
      await buried(outbox, { ...lane!, messages: [message] });
    }
    await outbox.settle([lane!]);
    assert.deepEqual(notesIn({ messages: await deadLetters.redrive({ kind, limit: 2 }, root) }), [
      "1",
      "2",
    ]);
    assert.deepEqual(notesIn((await outbox.claim([to], { ...whole, limit: 1 }))[0]), ["1"]);
  },

  "what is due is walked through in the order of its time, however small the pages": async (
    { store, outbox },
    kind,
  ) => {
    for (const [key, ms] of [["b", 10], ["c", 20], ["a", 0]] as const) {
      await store.commit([commitOf(kind, crypto.randomUUID(), {
        at: PAST + ms,
        events: [newEvent("Sent")],
        messages: [messageTo({ kind, key }, "1")],
      })]);
    }
    const most = (await outbox.depth(100_000)).due;
    const found: string[] = [];
    let cursor: DueCursor | undefined;
    for (let pages = 0; pages === 0 || cursor !== undefined; pages++) {
      assert(pages <= most, "a walk comes to its end");
      const page = await outbox.due(cursor, 1);
      found.push(...page.lanes.flatMap((lane) => lane.kind === kind ? [lane.key] : []));
      cursor = page.next;
    }
    assert.deepEqual(found, ["a", "b", "c"]);
    assert.equal((await outbox.due(undefined, most + 1)).next, undefined);
  },

  "what is not due yet is no part of the depth": async ({ store, outbox }, kind) => {
    const before = (await outbox.depth(100_000)).due;
    await store.commit([commitOf(kind, "sender", {
      at: Date.now(),
      events: [newEvent("Sent")],
      messages: [messageTo({ kind, key: "a" }, "late", { delayMs: HOUR_MS })],
    })]);
    assert.equal((await outbox.depth(100_000)).due, before);
  },

  "a refusal of a message is recorded beside one that only verifies": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "no");
    const [lane] = await outbox.claim([to], over);
    const batch = [handling(lane!, { consumed: positionsIn(lane!) }), commitOf(kind, "b")];
    assert.deepEqual((await store.commit(batch)).map(({ is }) => is), ["ok", "ok"]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), []);
    const standings = await store.load([{ address: to }, { address: { kind, key: "b" } }]);
    assert.deepEqual(standings.map(({ revision }) => revision), [1, 0]);
  },

  "a completed message is gone, and those behind it stay": async ({ store, outbox }, kind) => {
    const [to, other] = [{ kind, key: "a" }, { kind, key: "b" }];
    await toldNotes(store, to, "1", "2");
    await toldNotes(store, other, "3");
    const [lane, beside] = await outbox.claim([to, other], whole);
    const { token, messages } = lane!;
    const [head] = messages;
    const elsewhere = { address: to, token, position: beside!.messages[0]!.position };
    assert.equal(await outbox.complete(elsewhere), false, "a lane completes its own messages");
    const completion = { address: to, token, position: head!.position };
    assert.equal(await outbox.complete(completion), true);
    assert.equal(await outbox.complete(completion), false, "it is gone");
    assert.deepEqual(await outbox.settle([{ address: to, token }]), [to]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), ["2"]);
  },

  "a claim that is no longer held completes nothing": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1");
    const [first] = await outbox.claim([to], over);
    const { position } = first!.messages[0]!;
    const stale = { address: to, token: first!.token, position };
    assert.equal(await outbox.complete(stale), false, "its lease is over");
    const [second] = await outbox.claim([to], whole);
    assert.equal(await outbox.complete(stale), false, "another has it");
    assert.equal(await outbox.complete({ ...stale, token: second!.token }), true);
  },

  "what waits in a resting lane is due with it, the last of it first": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2", "3");
    const dueOf = async () =>
      (await outbox.due(undefined, 100_000)).lanes.filter((lane) => lane.kind === kind);
    const [lane] = await outbox.claim([to], whole);
    const { token } = lane!;
    const { position } = lane!.messages[0]!;
    assert.equal(await outbox.postpone(to, 10), 0, "a lane in hand does not rest");
    const pause = { ms: HOUR_MS, position, attempts: 1, error: "why" };
    await outbox.settle([{ address: to, token, pause }]);
    assert.equal(await outbox.postpone(to, 2), 2);
    assert.deepEqual(await dueOf(), [to], "the head comes last");
    assert.equal(await outbox.postpone(to, 2), 1);
    assert.equal(await outbox.postpone(to, 2), 0);
    assert.deepEqual(await dueOf(), []);
  },

  "what was postponed is claimed in its order, once the lane no longer rests": async (
    { store, outbox },
    kind,
  ) => {
    const to = { kind, key: "a" };
    await toldNotes(store, to, "1", "2");
    const [lane] = await outbox.claim([to], whole);
    const { token } = lane!;
    const { position } = lane!.messages[0]!;
    const pause = { ms: 200, position, attempts: 1, error: "why" };
    await outbox.settle([{ address: to, token, pause }]);
    await outbox.postpone(to, 10);
    let again: ClaimedLane | undefined;
    for (const until = Date.now() + 10_000; again === undefined && Date.now() < until;) {
      [again] = await outbox.claim([to], whole);
    }
    assert.deepEqual(notesIn(again), ["1", "2"]);
    assert.equal(again?.attempts, 1);
  },

  "a lane tells how it stands": async ({ store, outbox }, kind) => {
    const to = { kind, key: "a" };
    assert.deepEqual(await outbox.standing(to, 10), { waiting: 0, attempts: 0, restMs: 0 });
    await toldNotes(store, to, "1", "2", "3");
    assert.deepEqual(await outbox.standing(to, 2), { waiting: 2, attempts: 0, restMs: 0 });
    const [lane] = await outbox.claim([to], whole);
    const { position } = lane!.messages[0]!;
    const pause = { ms: HOUR_MS, position, attempts: 4, error: "why" };
    await outbox.settle([{ address: to, token: lane!.token, pause }]);
    const { waiting, attempts, restMs } = await outbox.standing(to, 10);
    assert.deepEqual([waiting, attempts], [3, 4]);
    assert(restMs > HOUR_MS / 2 && restMs <= HOUR_MS, String(restMs));
  },

  "of messages under one id there is one letter, the last": async (
    { store, outbox, deadLetters },
    kind,
  ) => {
    const to = { kind, key: "a" };
    const message = messageTo(to, "1");
    await told(store, kind, message);
    await told(store, kind, { ...message, command: { note: "2" } });
    const [lane] = await outbox.claim([to], whole);
    const { token, messages } = lane!;
    for (const [index, { position }] of messages.entries()) {
      const why = { attempts: index + 1, error: `attempt ${index + 1}`, isParked: false };
      assert.equal(await outbox.bury({ address: to, token, position, ...why }), true);
    }
    const letters = await deadLetters.list({ kind, limit: 10 });
    assert.deepEqual(letters.map(({ error }) => error), ["attempt 2"]);
    assert.deepEqual(notesIn({ messages: letters }), ["2"]);
    assert.deepEqual(letters.map(({ position }) => position), [messages[1]!.position]);
    await outbox.settle([{ address: to, token }]);
    assert.deepEqual(notesIn((await outbox.claim([to], whole))[0]), []);
  },

  "letters of one actor are put back without those of another": async (
    { store, outbox, deadLetters },
    kind,
  ) => {
    for (const key of ["a", "b"]) {
      await toldNotes(store, { kind, key }, key);
      const [lane] = await outbox.claim([{ kind, key }], whole);
      await buried(outbox, lane!);
    }
    const raised = await deadLetters.redrive({ kind, key: "b", limit: 10 }, root);
    assert.deepEqual(raised.map(({ to }) => to.key), ["b"]);
    const left = await deadLetters.list({ kind, limit: 10 });
    assert.deepEqual(left.map(({ to }) => to.key), ["a"]);
  },
};
