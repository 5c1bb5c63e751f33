/** One node: what an ask promises, and how many asks become few statements. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { ActorSystem } from "../../../lib/runtime/system.ts";
import * as Counter from "../../support/counter.ts";
import { brief, watched, World } from "./world.ts";

/** The total as a reader sees it who does not want to wait. */
async function shownTotal(world: World, reading: Promise<number>): Promise<unknown> {
  const watch = watched(reading);
  await world.env.settle();
  return watch.value;
}

Deno.test("an accepted command is answered with its version once it is recorded", async () => {
  await using world = new World();
  const node = world.node();
  const outcome = await node.add("a", 5);
  assert.deepEqual(outcome, {
    accepted: true,
    version: 1,
    answer: 5,
    transaction: "1",
    replayed: false,
  });
  const [event] = await world.stream("a");
  assert.deepEqual(event?.data, { type: "Added", amount: 5 });
  assert.equal(event?.schema, Counter.eventSchema);
  assert.equal(event?.at, world.env.now());
});

Deno.test("an event carries the ids of the message that led to it", async () => {
  await using world = new World();
  const cause = world.cause({ correlationId: world.env.uuid(), causationId: world.env.uuid() });
  await world.node().add("a", 5, cause);
  const [event] = await world.stream("a");
  assert.equal(event?.causationId, cause.messageId);
  assert.equal(event?.correlationId, cause.correlationId);
  assert.equal(event?.principalId, cause.principal.id);
});

Deno.test("nothing of a turn shows before its commit is acknowledged", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  for (const when of ["before", "after"] as const) {
    const gate = node.store.hold("commit", when);
    const ask = watched(node.add("a", 10));
    const before = await world.recorded("a");
    await world.env.settle();
    assert.equal(gate.held, 1);
    assert.equal(ask.state, "pending");
    const total = await shownTotal(world, node.total("a"));
    assert.equal(total, before.reduce<number>((sum, amount) => sum + Number(amount), 0));
    gate.release();
    await world.env.settle();
    assert.equal(ask.state, "resolved");
  }
  assert.equal(await node.total("a"), 21);
});

Deno.test("the commands to one actor are decided in the order of their sending", async () => {
  await using world = new World();
  const node = world.node({ turnMax: 7 });
  const amounts = Array.from({ length: 12 }, (_, index) => index + 1);
  const outcomes = await Promise.all(amounts.map((amount) => node.add("a", amount)));
  assert.deepEqual(await world.recorded("a"), amounts);
  assert.deepEqual(outcomes.map(({ version }) => version), amounts);
  assert.deepEqual(
    outcomes.map((outcome) => outcome.accepted && outcome.answer),
    amounts.map((amount) => amount * (amount + 1) / 2),
    "each is answered with what came before it, and nothing else",
  );
});

Deno.test("what gathers while a commit runs becomes one turn and one commit", async () => {
  await using world = new World();
  const node = world.node();
  const gate = node.store.hold("commit");
  const first = node.add("a", 1);
  await world.env.settle();
  const others = Array.from({ length: 50 }, () => node.add("a", 1));
  await world.env.settle();
  assert.equal(node.store.batches.length, 1);
  gate.release();
  await Promise.all([first, ...others]);
  assert.deepEqual(node.store.batches.map(([commit]) => commit!.events.length), [1, 50]);
  await world.env.settle();
  assert.deepEqual(node.seen("turn").map(({ messages }) => messages.length), [1, 50]);
});

Deno.test("the turns of many actors become one statement", async () => {
  await using world = new World();
  const node = world.node();
  const keys = Array.from({ length: 40 }, (_, index) => `actor-${index}`);
  await Promise.all(keys.map((key) => node.add(key, 1)));
  assert.equal(node.store.calls.load, 1);
  assert.equal(node.store.calls.commit, 1);
  assert.equal(node.store.batches[0]!.length, 40);
  const { actors, events, conflicts } = node.seen("commit")[0]!;
  assert.deepEqual({ actors, events, conflicts }, { actors: 40, events: 40, conflicts: 0 });
});

Deno.test("a hundred asks of a cold actor load it once", async () => {
  await using world = new World();
  await world.plantAdded("a", 1);
  const node = world.node();
  const gate = node.store.hold("load");
  const asks = Array.from({ length: 50 }, () => node.add("a", 0));
  await world.env.settle();
  asks.push(...Array.from({ length: 50 }, () => node.add("a", 0)));
  await world.env.settle();
  gate.release();
  const outcomes = await Promise.all(asks);
  assert(outcomes.every(({ version }) => version === 1));
  assert.equal(node.store.calls.load, 1);
  assert.equal(node.seen("activated").length, 1);
});

Deno.test("a loading query holds no more actors than allowed, nor run more of them", async () => {
  await using world = new World();
  const node = world.node({ loadMax: 4, loadsInFlightMax: 2 });
  const gate = node.store.hold("load");
  const asks = Array.from({ length: 13 }, (_, index) => node.add(`actor-${index}`, 1));
  await world.env.settle();
  assert.equal(gate.held, 2);
  gate.release();
  await Promise.all(asks);
  assert.deepEqual(node.store.loads.map(({ length }) => length), [4, 4, 4, 1]);
});

Deno.test("a statement holds no more commits than allowed, nor run more of them", async () => {
  await using world = new World();
  const node = world.node({ batchMax: 5, statementsInFlightMax: 2 });
  const gate = node.store.hold("commit");
  const asks = Array.from({ length: 12 }, (_, index) => node.add(`actor-${index}`, 1));
  await world.env.settle();
  assert.equal(gate.held, 2);
  gate.release();
  await Promise.all(asks);
  assert.deepEqual(node.store.batches.map(({ length }) => length), [5, 5, 2]);
});

Deno.test("a statement holds no more events than allowed, unless one commit has more", async () => {
  await using world = new World();
  const node = world.node({ batchEventsMax: 5, statementsInFlightMax: 1 });
  const asks = [["a", 3], ["b", 2], ["c", 1], ["d", 9], ["e", 1]] as const;
  await Promise.all(
    asks.flatMap(([key, count]) => Array.from({ length: count }, () => node.add(key, 1))),
  );
  const sizes = node.store.batches.map((batch) => batch.map(({ events }) => events.length));
  assert.deepEqual(sizes, [[3, 2], [1], [9], [1]]);
});

Deno.test("a turn holds no more messages than allowed", async () => {
  await using world = new World();
  const node = world.node({ turnMax: 3 });
  await Promise.all(Array.from({ length: 8 }, () => node.add("a", 1)));
  await world.env.settle();
  assert.deepEqual(node.seen("turn").map(({ messages }) => messages.length), [3, 3, 2]);
});

Deno.test("a refusal is confirmed by the store before it is told", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 90);
  await world.env.advance(1);
  const gate = node.store.hold("commit");
  const ask = watched(node.add("a", 20));
  await world.env.settle();
  assert.equal(gate.held, 1, "an empty commit verifies the version");
  assert.equal(ask.state, "pending");
  gate.release();
  await world.env.settle();
  assert.deepEqual(ask.value, {
    accepted: false,
    reason: "over-limit",
    version: 1,
    replayed: false,
  });
  assert.equal((await world.stream("a")).length, 1);
});

Deno.test("a command with nothing to do is accepted at the version where it found it so", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 7);
  assert.equal(brief(await node.add("a", 0)), "total 7 at 1");
  assert.equal((await world.stream("a")).length, 1);
});

Deno.test("an expected version that does not hold is told with the true one", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 1);
  const [late, right, again] = await Promise.all([
    node.add("a", 1, { expectedVersion: 0 }),
    node.add("a", 1, { expectedVersion: 1 }),
    node.add("a", 1, { expectedVersion: 1 }),
  ]);
  assert.equal(brief(late!), "version-mismatch at 1");
  assert.equal(brief(right!), "total 2 at 2");
  assert.equal(brief(again!), "version-mismatch at 2");
});

Deno.test("a full mailbox refuses the next message and keeps the order of the rest", async () => {
  await using world = new World();
  const node = world.node({ mailboxCapacity: 5 });
  const gate = node.store.hold("commit");
  const first = node.add("a", 9);
  await world.env.settle();
  const kept = [1, 2, 3, 4, 5].map((amount) => node.add("a", amount));
  await assert.rejects(node.add("a", 6), (fault) => {
    assert(fault instanceof TransientFault);
    assert.equal(fault.outcome, "not-applied");
    return true;
  });
  assert.deepEqual(node.seen("mailbox-full"), [
    { type: "mailbox-full", address: { kind: Counter.kind, key: "a" }, capacity: 5 },
  ]);
  gate.release();
  await Promise.all([first, ...kept]);
  assert.deepEqual(await world.recorded("a"), [9, 1, 2, 3, 4, 5]);
  assert.equal(brief(await node.add("a", 6)), "total 30 at 7");
});

Deno.test("a message that waited past its deadline is refused, and has no effect", async () => {
  await using world = new World();
  const node = world.node();
  const gate = node.store.hold("commit");
  const first = node.add("a", 1);
  await world.env.settle();
  const hurried = watched(node.add("a", 10, { deadline: world.env.monotonic() + 100 }));
  const patient = node.add("a", 20, { deadline: world.env.monotonic() + 101 });
  await world.env.advance(100);
  gate.release();
  await Promise.all([first, patient]);
  assert(hurried.error instanceof TransientFault);
  assert.equal(hurried.error.outcome, "not-applied");
  assert.deepEqual(await world.recorded("a"), [1, 20]);
  const outcomes = node.seen("turn")[1]!.messages.map(({ outcome }) => outcome);
  assert.deepEqual(outcomes, ["fault", "accepted"]);
});

Deno.test("nobody hears from a kind of actors that is not hosted", async () => {
  await using world = new World();
  const node = world.node();
  const stranger = { ...Counter, kind: "stranger" };
  const look = (state: Counter.State) => state.total;
  await assert.rejects(node.system.read(stranger, "a", world.cause(), look), /stranger/);
});

Deno.test("one system hosts many kinds, and keeps their keys apart", async () => {
  await using world = new World();
  const node = world.node();
  const other = { ...Counter, kind: "other" };
  node.system.host(other);
  await node.add("a", 1);
  const reply = ({ state }: { readonly state: Counter.State }) => state.total;
  await node.system.ask(other, "a", { type: "Add", amount: 2 }, world.cause(), reply);
  assert.equal(await node.total("a"), 1);
  assert.deepEqual(await world.recorded("a"), [1]);
});

Deno.test("the turns observed tell each message's end and the time it took", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 90);
  await world.env.advance(5);
  const gate = node.store.hold("commit");
  const asks = [node.add("a", 5), node.add("a", 50), node.ask("a", { type: "Reset" })];
  await world.env.advance(30);
  gate.release();
  await Promise.all(asks);
  await world.env.settle();
  const turn = node.seen("turn").at(-1)!;
  assert.deepEqual(turn.messages.map(({ outcome, reason }) => [outcome, reason]), [
    ["accepted", undefined],
    ["rejected", "over-limit"],
    ["accepted", undefined],
  ]);
  assert.deepEqual([turn.startedAt, turn.endedAt, turn.attempts], [5, 35, 1]);
});

Deno.test("a read of an actor in memory asks the store for nothing", async () => {
  await using world = new World();
  const node = world.node();
  await node.add("a", 5);
  const { load, commit } = node.store.calls;
  assert.equal(await node.total("a"), 5);
  assert.equal(await node.total("a", { atLeast: 1 }), 5);
  assert.deepEqual([node.store.calls.load, node.store.calls.commit], [load, commit]);
});

Deno.test("a read of an actor never written shows where all begin", async () => {
  await using world = new World();
  assert.equal(await world.node().total("nobody"), 0);
});

Deno.test("a strong read stands behind the commands sent before it", async () => {
  await using world = new World();
  const node = world.node();
  const gate = node.store.hold("commit");
  const ask = node.add("a", 5);
  const strong = watched(node.total("a", { isStrong: true }));
  await world.env.settle();
  assert.equal(strong.state, "pending");
  gate.release();
  await ask;
  await world.env.settle();
  assert.equal(strong.value, 5);
});

Deno.test("stopping refuses what is new, and answers what waits", async () => {
  const world = new World();
  const node = world.node();
  const gate = node.store.hold("commit");
  const running = watched(node.add("a", 1));
  await world.env.settle();
  const waiting = watched(node.add("a", 2));
  const other = watched(node.add("b", 3));
  const stopping = watched(node.system[Symbol.asyncDispose]());
  await assert.rejects(node.add("a", 4), TransientFault);
  await assert.rejects(node.total("cold"), TransientFault);
  await world.env.settle();
  assert.equal(stopping.state, "pending");
  gate.release();
  await world.env.settle();
  assert.deepEqual([running.state, waiting.state, other.state], Array(3).fill("resolved"));
  assert.equal(stopping.state, "resolved");
  assert.deepEqual(await world.recorded("a"), [1, 2]);
  assert.equal(node.system.residents, 0);
  assert.equal(world.env.sleepers, 0);
});

Deno.test("stopping writes down what is long to replay, and nothing else", async () => {
  await using world = new World();
  const node = world.node();
  await Promise.all(Array.from({ length: 16 }, () => node.add("long", 1)));
  await Promise.all(Array.from({ length: 15 }, () => node.add("short", 1)));
  await node.stop();
  const addresses = ["long", "short"].map((key) => ({ address: { kind: Counter.kind, key } }));
  const [long, short] = await world.store.load(addresses);
  assert.deepEqual(long?.snapshot, { version: 16, schema: 3, state: { total: 16 } });
  assert.equal(short?.snapshot, undefined);
  assert.deepEqual(node.seen("passivated").map(({ because }) => because), ["shutdown", "shutdown"]);
});

Deno.test("a system that was never used stops at once", async () => {
  const world = new World();
  const { env, store } = world;
  await new ActorSystem({ env, store, observe: () => {} })[Symbol.asyncDispose]();
  assert.equal(env.sleepers, 0);
});
