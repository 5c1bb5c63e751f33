/** Lanes that lead out of the system, on a virtual clock. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import type { Outbox } from "../../../lib/runtime/outbox.ts";
import {
  defaultOutsideLimits,
  DeliveryFailure,
  type OutsideTarget,
} from "../../../lib/runtime/outside_lanes.ts";
import { Office, override } from "../../support/office.ts";

const kind = "elsewhere";
const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const pausesMs = [5_000, 5 * MINUTE_MS, HOUR_MS];
const { deliveryMs, leaseMs, lanesMax, doubtfulMax } = defaultOutsideLimits;

interface Arrival {
  readonly key: string;
  readonly note: string;
  readonly id: string;
  /** In milliseconds since the world began. */
  readonly at: number;
}

/** The world outside: writes down what comes, and answers as it is told to. */
class Elsewhere {
  readonly arrived: Arrival[] = [];
  readonly exhausted: string[] = [];
  office!: Office;
  answer: (arrival: Arrival, signal: AbortSignal) => Promise<void> | void = () => {};

  readonly target: OutsideTarget = {
    kind,
    pausesMs,
    deliver: async ({ to, command, messageId }, signal) => {
      const { note } = command as { note: string };
      const arrival = { key: to.key, note, id: messageId, at: this.office.env.monotonic() };
      this.arrived.push(arrival);
      await this.answer(arrival, signal);
    },
    exhausted: ({ to }) => {
      this.exhausted.push(to.key);
      return Promise.resolve();
    },
  };

  notes(key: string): string[] {
    return this.arrived.filter((arrival) => arrival.key === key).map(({ note }) => note);
  }
}

type OfficeOptions = ConstructorParameters<typeof Office>[0];

function officeTo(elsewhere: Elsewhere, options: OfficeOptions = {}): Office {
  const office = new Office({ outside: [elsewhere.target], ...options });
  elsewhere.office ??= office;
  return office;
}

/** An actor tells each of the keys each of the notes. */
async function tell(office: Office, keys: readonly string[], ...notes: readonly string[]) {
  const at = office.env.now();
  const messages = keys.flatMap((key) =>
    notes.map((note) => ({
      messageId: office.env.uuid(),
      to: { kind, key },
      schema: 1,
      command: { note },
      correlationId: office.env.uuid(),
      causationId: office.env.uuid(),
      principal: { id: "ana", roles: [] },
      delayMs: 0,
    }))
  );
  const event = {
    type: "Sent",
    schema: 1,
    data: { type: "Sent" },
    correlationId: office.env.uuid(),
    causationId: office.env.uuid(),
    principalId: "ana",
  };
  const address = { kind: "postbox", key: office.env.uuid() };
  const commit = { address, revision: 0, version: 0, at, events: [event], replies: [], messages };
  assert.deepEqual((await office.memory.commit([commit])).map(({ is }) => is), ["ok"]);
  office.relay.announce(messages.map(({ to }) => to));
}

async function waiting(office: Office, key: string): Promise<number> {
  return (await office.memory.outbox.standing({ kind, key }, 1_000)).waiting;
}

Deno.test("what leads outside is handled once, in order, and leaves the outbox", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  await tell(office, ["a", "b"], "1", "2", "3");
  await office.env.settle();
  assert.deepEqual(elsewhere.notes("a"), ["1", "2", "3"]);
  assert.deepEqual(elsewhere.notes("b"), ["1", "2", "3"]);
  assert.equal(await waiting(office, "a"), 0);
  await office.env.advance(HOUR_MS);
  assert.equal(elsewhere.arrived.length, 6);
  assert.equal(office.seen("delivered").length, 6);
});

Deno.test("a failed message is tried on schedule, and those behind it wait for it", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = () => {
    if (elsewhere.arrived.length <= 3) throw new DeliveryFailure("not now");
  };
  await tell(office, ["a"], "1", "2");
  await office.env.advance(2 * HOUR_MS);
  assert.deepEqual(elsewhere.notes("a"), ["1", "1", "1", "1", "2"]);
  assert.equal(new Set(elsewhere.arrived.slice(0, 4).map(({ id }) => id)).size, 1, "one id");
  const waits = elsewhere.arrived.slice(1, 4).map(({ at }, n) => at - elsewhere.arrived[n]!.at);
  for (const [n, wait] of waits.entries()) {
    const pause = pausesMs[n]!;
    // The sweep finds it in its millisecond; jitter adds at most a fifth.
    assert(wait >= pause && wait <= pause * 1.2 + 1_000, `${wait} after ${pause}`);
  }
});

Deno.test("a message whose attempts are used up is buried with the reason, and the lane goes on", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = ({ note }) => {
    if (note === "bad") throw new DeliveryFailure("answered 500");
  };
  await tell(office, ["a"], "bad", "good");
  await office.env.advance(3 * HOUR_MS);
  assert.deepEqual(elsewhere.notes("a"), ["bad", "bad", "bad", "bad", "good"]);
  assert.deepEqual(elsewhere.exhausted, ["a"]);
  const [letter] = await office.memory.outbox.list({ limit: 10 });
  assert.equal(letter?.error, "DeliveryFailure: answered 500");
  assert.equal(letter?.attempts, 4);
});

Deno.test("a permanent failure is buried at once, and counts as no exhaustion", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = () => {
    throw new DeliveryFailure("gone for good", { isPermanent: true });
  };
  await tell(office, ["a"], "1", "2");
  await office.env.settle();
  assert.deepEqual(elsewhere.notes("a"), ["1", "2"]);
  assert.deepEqual(elsewhere.exhausted, []);
  assert.equal((await office.memory.outbox.list({ limit: 10 })).length, 2);
});

Deno.test("a lane rests for as long as the other side asks", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = () => {
    if (elsewhere.arrived.length === 1) {
      throw new DeliveryFailure("busy", { retryAfterMs: 20 * MINUTE_MS });
    }
  };
  await tell(office, ["a"], "1");
  await office.env.advance(20 * MINUTE_MS - 1);
  assert.equal(elsewhere.arrived.length, 1);
  await office.env.advance(5 * MINUTE_MS);
  assert.equal(elsewhere.arrived.length, 2);
});

Deno.test("a fault of this side is nobody's attempt", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = () => {
    if (elsewhere.arrived.length <= 20) throw new TransientFault("no database");
  };
  await tell(office, ["a"], "1");
  await office.env.advance(2 * MINUTE_MS);
  assert.equal(elsewhere.arrived.length, 21);
  assert.equal(await waiting(office, "a"), 0);
  assert.deepEqual(office.seen("delivery-failed"), []);
});

Deno.test("a delivery that never ends has failed, and its signal says so", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  let heard: AbortSignal | undefined;
  elsewhere.answer = (_, signal) => {
    heard ??= signal;
    return elsewhere.arrived.length === 1 ? new Promise<void>(() => {}) : undefined;
  };
  await tell(office, ["a"], "1", "2");
  await office.env.advance(deliveryMs - 1);
  assert.equal(heard?.aborted, false);
  await office.env.advance(1);
  assert.equal(heard?.aborted, true);
  await office.env.advance(MINUTE_MS);
  assert.deepEqual(elsewhere.notes("a"), ["1", "1", "2"]);
});

Deno.test("a lane that never answers delays no other, from its first message to its last burial", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = ({ key }) => key === "dead" ? new Promise<void>(() => {}) : undefined;
  await tell(office, ["dead"], "1", "2");
  const toldAt: number[] = [];
  while (elsewhere.exhausted.length < 2) {
    assert(toldAt.length < 1_000);
    toldAt.push(office.env.monotonic());
    await tell(office, ["dead", "alive"], `note ${toldAt.length}`);
    await office.env.advance(MINUTE_MS / 4);
  }
  const arrivedAt = elsewhere.arrived.filter(({ key }) => key === "alive").map(({ at }) => at);
  assert.deepEqual(arrivedAt, toldAt, "each in the millisecond in which it was told");
});

Deno.test("lanes that never answer delay no other, however many they are", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  elsewhere.answer = ({ key }) => key.startsWith("dead") ? new Promise<void>(() => {}) : undefined;
  const dead = Array.from({ length: 10 * lanesMax }, (_, n) => `dead ${n}`);
  await tell(office, dead, "1");
  // Each of them is given a chance once, all hands at a time.
  await office.env.advance((dead.length / lanesMax) * (deliveryMs + 1_000));
  const before = office.env.monotonic();
  for (let n = 0; n < 60; n++) {
    await tell(office, ["alive"], `note ${n}`);
    await office.env.advance(5_000);
  }
  const late = elsewhere.arrived.filter(({ key }) => key === "alive")
    .map(({ at }, n) => at - before - n * 5_000);
  assert.equal(late.length, 60);
  assert(late.every((ms) => ms === 0), `at once, not after ${Math.max(...late)} ms`);
  const underWay = elsewhere.arrived.filter(({ key, at }) =>
    key.startsWith("dead") && at > before && at <= before + deliveryMs
  );
  assert(underWay.length <= 2 * doubtfulMax, `${underWay.length} dead ones at a time`);
});

Deno.test("a crash between the delivery and the settling repeats it under the same id", async () => {
  const elsewhere = new Elsewhere();
  let isDead = false;
  const broken = (own: Outbox) =>
    override(own, {
      complete: (completion) =>
        isDead ? Promise.reject(new Error("the process is gone")) : own.complete(completion),
    });
  await using office = officeTo(elsewhere, { outbox: broken });
  isDead = true;
  await tell(office, ["a"], "1", "2");
  await office.env.settle();
  assert.deepEqual(elsewhere.notes("a"), ["1"]);
  isDead = false;
  await office.env.advance(leaseMs + 1_000);
  assert.deepEqual(elsewhere.notes("a"), ["1", "1", "2"]);
  assert.equal(elsewhere.arrived[0]!.id, elsewhere.arrived[1]!.id);
});

Deno.test("two nodes bring each message once, in order", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere);
  await using other = officeTo(elsewhere, { beside: office });
  elsewhere.answer = () => office.env.sleep(700);
  const notes = Array.from({ length: 30 }, (_, n) => `note ${n}`);
  await tell(office, ["a"], ...notes);
  other.relay.announce([{ kind, key: "a" }]);
  await office.env.advance(5 * MINUTE_MS);
  assert.deepEqual(elsewhere.notes("a"), notes);
});

Deno.test("who slept through a lease takes nothing out, and goes no further", async () => {
  const elsewhere = new Elsewhere();
  const asleep = Promise.withResolvers<void>();
  let slept = false;
  const sleepy = (own: Outbox) =>
    override(own, {
      async complete(completion) {
        if (!slept) {
          slept = true;
          await asleep.promise;
        }
        return await own.complete(completion);
      },
    });
  const outsideLimits = { holdMs: 10 * leaseMs };
  await using office = officeTo(elsewhere, { outbox: sleepy, outsideLimits });
  await using other = officeTo(elsewhere, { beside: office });
  await tell(office, ["a"], "1", "2");
  await office.env.advance(leaseMs + 1_000);
  assert.deepEqual(elsewhere.notes("a"), ["1", "1", "2"], "the other node went on");
  asleep.resolve();
  await office.env.advance(MINUTE_MS);
  assert.deepEqual(elsewhere.notes("a"), ["1", "1", "2"]);
  assert.equal(other.seen("delivered").length, 2);
});

Deno.test("what waits behind a resting lane is not looked at until it is due", async () => {
  const elsewhere = new Elsewhere();
  let claims = 0;
  const counting = (own: Outbox) =>
    override(own, {
      claim(...asked) {
        claims++;
        return own.claim(...asked);
      },
    });
  await using office = officeTo(elsewhere, { outbox: counting });
  elsewhere.answer = () => {
    if (elsewhere.arrived.length <= 3) throw new DeliveryFailure("not now");
  };
  await tell(office, ["a"], "1", "2", "3");
  await office.env.advance(10 * MINUTE_MS);
  assert.equal(elsewhere.arrived.length, 3);
  const before = claims;
  await office.env.advance(45 * MINUTE_MS);
  assert.equal(claims, before, "for an hour nobody asks for the lane");
  await office.env.advance(HOUR_MS);
  assert.deepEqual(elsewhere.notes("a").slice(3), ["1", "2", "3"]);
});

Deno.test("shutting down breaks deliveries off without counting an attempt", async () => {
  const elsewhere = new Elsewhere();
  const office = officeTo(elsewhere);
  let reason: unknown;
  elsewhere.answer = (_, signal) =>
    new Promise<void>((_, reject) => {
      signal.addEventListener("abort", () => {
        reason = signal.reason;
        reject(signal.reason);
      });
    });
  await tell(office, ["a"], "1");
  await office.env.settle();
  const since = office.env.monotonic();
  await office[Symbol.asyncDispose]();
  assert.notEqual(reason, undefined);
  assert.equal(office.env.monotonic(), since, "at once");
  const standing = await office.memory.outbox.standing({ kind, key: "a" }, 10);
  assert.deepEqual(standing, { waiting: 1, attempts: 0, restMs: 0 });
});

Deno.test("messages between actors go their way beside lanes that lead outside", async () => {
  const elsewhere = new Elsewhere();
  await using office = officeTo(elsewhere, { limits: { lanesMax: 1 } });
  elsewhere.answer = () => new Promise<void>(() => {});
  await tell(office, Array.from({ length: lanesMax }, (_, n) => `dead ${n}`), "1");
  await office.env.settle();
  await office.send(["a"], "hello");
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["hello"]);
});
