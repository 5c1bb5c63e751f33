/**
 * Two nodes, many senders, a network that delays, fails and falls silent: whatever the order of
 * things, each actor's history is one line, and everything anybody was told fits into it.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { TransientFault } from "../../../lib/fault.ts";
import type { StoredEvent } from "../../../lib/runtime/store.ts";
import * as Counter from "../../support/counter.ts";
import type { FaultyStore, Mishap, Operation } from "../../support/faulty_store.ts";
import { type CounterOutcome, type Node, World } from "./world.ts";

/** Something that a sender does at one actor, through the node that it is connected to. */
interface Step {
  readonly sender: number;
  readonly key: "a" | "b";
  readonly command: Counter.Command;
  readonly isKeyed: boolean;
  /** How long after the step before. */
  readonly afterMs: number;
}

interface Network {
  readonly seed: number;
  /** Of a hundred calls. */
  readonly mishaps: number;
  readonly delayMs: number;
  /** Short enough, at times, that a bad moment outlasts it. */
  readonly giveUpMs: number;
  readonly turnMax: number;
}

/** A step taken: what was known when it was, and what was told in the end. */
interface Told {
  readonly step: Step;
  readonly messageIds: readonly string[];
  /** The newest version of the actor that anybody had been told of by then. */
  readonly knownBefore: number;
  readonly outcome: CounterOutcome | undefined;
  readonly fault: TransientFault | undefined;
}

const command: fc.Arbitrary<Counter.Command> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({ type: fc.constant("Add" as const), amount: fc.nat({ max: 60 }) }),
  },
  { weight: 2, arbitrary: fc.constant<Counter.Command>({ type: "Reset" }) },
  {
    weight: 1,
    arbitrary: fc.constant<Counter.Command>({ type: "Add", amount: 1, note: "\u0000" }),
  },
);

const steps = fc.array(
  fc.record<Step>({
    sender: fc.nat({ max: 3 }),
    key: fc.constantFrom("a", "a", "b"),
    command,
    isKeyed: fc.boolean(),
    afterMs: fc.constantFrom(0, 0, 0, 1, 5, 40),
  }),
  { minLength: 1, maxLength: 40 },
);

const network = fc.record<Network>({
  seed: fc.integer(),
  mishaps: fc.constantFrom(0, 10, 30),
  delayMs: fc.constantFrom(0, 3, 10),
  giveUpMs: fc.constantFrom(50, 300, 5_000),
  turnMax: fc.constantFrom(1, 3, 1_000),
});

function disturb(store: FaultyStore, world: World, { mishaps, delayMs }: Network): void {
  const { env } = world;
  const kinds: Mishap[] = ["not-applied", "unknown-before-applying", "unknown-after-applying"];
  const pause = async () => {
    const ms = Math.floor(env.random() * (delayMs + 1));
    if (ms > 0) await env.sleep(ms);
  };
  const isWrite = (operation: Operation) => operation.startsWith("commit");
  store.script = async (operation) => {
    await pause();
    if (env.random() * 100 >= mishaps) return undefined;
    return isWrite(operation) ? kinds[Math.floor(env.random() * 3)] : "not-applied";
  };
  store.delay = pause;
}

function calm(store: FaultyStore): void {
  store.script = undefined;
  store.delay = undefined;
}

async function play(world: World, nodes: readonly Node[], plan: readonly Step[]): Promise<Told[]> {
  const known: Record<string, number> = { a: 0, b: 0 };
  const running: Promise<Told>[] = [];
  for (const [index, step] of plan.entries()) {
    await world.env.advance(step.afterMs);
    running.push(take(world, nodes, { step, key: `key-${index}`, known }));
  }
  return await world.env.until(Promise.all(running), 600_000);
}

/** Asks once, and after a fault once more under the same key, at the other node. */
async function take(
  world: World,
  nodes: readonly Node[],
  { step, key, known }: { step: Step; key: string; known: Record<string, number> },
): Promise<Told> {
  const knownBefore = known[step.key]!;
  const messageIds: string[] = [];
  const askAt = async (node: Node) => {
    const messageId = world.env.uuid();
    messageIds.push(messageId);
    const principal = { id: `sender-${step.sender}`, roles: [] };
    const idempotency = step.isKeyed ? { idempotency: { key, requestHash: key } } : {};
    return await node.ask(step.key, step.command, { messageId, principal, ...idempotency });
  };
  const told = (end: Pick<Told, "outcome" | "fault">) => ({
    step,
    messageIds,
    knownBefore,
    ...end,
  });
  for (const attempt of step.isKeyed ? [0, 1] : [0]) {
    try {
      const outcome = await askAt(nodes[(step.sender + attempt) % nodes.length]!);
      known[step.key] = Math.max(known[step.key]!, outcome.version);
      return told({ outcome, fault: undefined });
    } catch (error) {
      if (!(error instanceof TransientFault)) return told({ outcome: undefined, fault: undefined });
      if (attempt === (step.isKeyed ? 1 : 0)) return told({ outcome: undefined, fault: error });
    }
  }
  throw new Error("unreachable");
}

/** The total after each version, beginning with none. */
function totals(stream: readonly StoredEvent[]): number[] {
  const states = [Counter.initial];
  for (const { data } of stream) {
    states.push(Counter.evolve(states.at(-1)!, Counter.Event.parse(data)));
  }
  return states.map(({ total }) => total);
}

function checkHistory(stream: readonly StoredEvent[]): void {
  assert.deepEqual(stream.map(({ version }) => version), stream.map((_, index) => index + 1));
  assert(totals(stream).every((total) => total <= Counter.LIMIT), "no total was above the limit");
}

/** What one sender was told is true of the history at the version it was told. */
function checkTold(told: Told, stream: readonly StoredEvent[]): void {
  const { step: { command, isKeyed }, messageIds, knownBefore, outcome, fault } = told;
  const written = stream.filter(({ causationId }) => messageIds.includes(causationId));
  assert(written.length <= 1, "no message counted twice");
  if (outcome === undefined) {
    const mayCount = fault?.outcome === "unknown" || (isKeyed && fault !== undefined);
    assert(mayCount || written.length === 0, "what was not applied has no effect");
    return;
  }
  const total = totals(stream)[outcome.version];
  assert(outcome.version <= stream.length, "nobody is told of what is not recorded");
  if (!outcome.replayed) {
    assert(outcome.version >= knownBefore, "nobody is told of less than was known before");
  }
  if (outcome.accepted) {
    assert.equal(outcome.answer, total);
    const isNothing = command.type === "Add" && command.amount === 0;
    assert.deepEqual(written.map(({ version }) => version), isNothing ? [] : [outcome.version]);
  } else {
    assert.equal(outcome.reason, "over-limit");
    assert.equal(written.length, 0);
    assert(
      command.type === "Add" && total! + command.amount > Counter.LIMIT,
      "the refusal is true",
    );
  }
}

/** What one sender sent to one actor is told in the order of its sending. */
function checkOrder(toldToOne: readonly Told[]): void {
  // A keyed answer may be that of an earlier attempt, and a faulted one has no place.
  const versions = toldToOne
    .filter(({ outcome, messageIds, step }) =>
      outcome !== undefined && messageIds.length === 1 && !(step.isKeyed && outcome.replayed)
    )
    .map(({ outcome }) => outcome!.version);
  assert.deepEqual(versions, versions.toSorted((one, other) => one - other));
}

Deno.test("whatever happens between two nodes and their store, history is one line that fits all answers", async () => {
  await fc.assert(
    fc.asyncProperty(steps, network, async (plan, network) => {
      await using world = new World(network.seed);
      const { giveUpMs, turnMax } = network;
      const nodes = [0, 1].map(() =>
        world.node({ giveUpMs, turnMax, snapshotEvery: 4, residentMax: 1, idleMs: 60_000 })
      );
      for (const { store } of nodes) disturb(store, world, network);
      const told = await play(world, nodes, plan);
      for (const { store } of nodes) calm(store);
      for (const key of ["a", "b"] as const) {
        const stream = await world.stream(key);
        checkHistory(stream);
        const here = told.filter(({ step }) => step.key === key);
        for (const one of here) checkTold(one, stream);
        for (const sender of [0, 1, 2, 3]) {
          checkOrder(here.filter(({ step }) => step.sender === sender));
        }
        for (const node of nodes) {
          const total = await world.env.until(node.total(key, { isStrong: true }));
          assert.equal(total, totals(stream).at(-1));
        }
      }
    }),
    { numRuns: 150 },
  );
});
