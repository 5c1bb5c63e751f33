/** The relay by itself: what it takes, how long it waits, and what it makes of failures. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import type { Address } from "../../../lib/runtime/envelope.ts";
import type { ClaimedLane, Outbox } from "../../../lib/runtime/outbox.ts";
import { defaultRelayLimits } from "../../../lib/runtime/outbox_relay.ts";
import { Office, override } from "../../support/office.ts";
import * as Postbox from "../../support/postbox.ts";

const { attemptsMax, leaseMs, pauseFirstMs, pollMs } = defaultRelayLimits;

/** Attempts follow one another within this, and then the message is buried. */
const ALL_ATTEMPTS_MS = 60_000;

/** Attempts at the message of that note which failed, by their number. */
function failures(office: Office, note: string): readonly number[] {
  const texts = new Map(
    office.store.batches.flat().flatMap(({ messages = [] }) => messages)
      .map(({ messageId, command }) => [messageId, (command as { note?: string }).note]),
  );
  return office.seen("delivery-failed").filter(({ messageId }) => texts.get(messageId) === note)
    .map(({ attempts }) => attempts);
}

function upTo(count: number): readonly number[] {
  return Array.from({ length: count }, (_, index) => index + 1);
}

/** Writes down the lanes that are asked for, and those that are given. */
function watchedClaims() {
  const [asked, given]: [string[], string[]] = [[], []];
  const outbox = (own: Outbox) =>
    override(own, {
      async claim(lanes, limits) {
        asked.push(...lanes.map(({ key }) => key));
        const claimed: readonly ClaimedLane[] = await own.claim(lanes, limits);
        given.push(...claimed.map(({ address }) => address.key));
        return claimed;
      },
    });
  return { asked, given, outbox };
}

function boxAt(key: string): Address {
  return { kind: Postbox.kind, key };
}

Deno.test("each message has attempts of its own", async () => {
  await using office = new Office();
  await office.send(["a"], "boom", "nul");
  await office.env.advance(1_000);
  const before = failures(office, "boom");
  assert(before.length > 1 && before.length < attemptsMax - 1);
  await office.ask("a", { type: "Heal" });
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), ["boom"]);
  assert.deepEqual(failures(office, "boom"), before);
  assert.deepEqual(failures(office, "nul"), upTo(attemptsMax - 1));
});

Deno.test("a fault of the world between two attempts changes nothing about their number", async () => {
  await using office = new Office();
  await office.send(["a"], "boom");
  await office.env.advance(1_000);
  office.store.isDown = true;
  await office.env.advance(ALL_ATTEMPTS_MS);
  office.store.isDown = false;
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(failures(office, "boom"), upTo(attemptsMax - 1));
  assert.equal((await office.memory.outbox.list({ limit: 2 }))[0]?.attempts, attemptsMax);
});

Deno.test("the waits between attempts double, never by the clock alone, up to the longest", async () => {
  const pauseMostMs = 8 * pauseFirstMs;
  await using office = new Office({ limits: { pauseMostMs } });
  await office.send(["a", "b"], "boom");
  await office.env.advance(ALL_ATTEMPTS_MS);
  const waits = new Set<number>();
  for (const { attempts, retryInMs } of office.seen("delivery-failed")) {
    const most = Math.min(pauseMostMs, pauseFirstMs * 2 ** (attempts - 1));
    assert(retryInMs >= most / 2 && retryInMs <= most, `${retryInMs} after ${attempts}`);
    waits.add(retryInMs);
  }
  assert.equal(waits.size, 2 * (attemptsMax - 1), "two lanes that fail together part");
});

Deno.test("once a message is buried, those behind it are brought without waiting", async () => {
  await using office = new Office();
  await office.send(["a"], "boom", "after");
  for (let waits = 0; office.seen("buried").length === 0; waits++) {
    assert(waits < ALL_ATTEMPTS_MS);
    await office.env.advance(1);
  }
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["after"]);
});

Deno.test("what was not buried is not said to be", async () => {
  let burials = 0;
  await using office = new Office({
    outbox: (own) =>
      override(own, {
        bury() {
          burials++;
          return Promise.resolve(false);
        },
      }),
  });
  await office.send(["a"], "boom");
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert(burials > 0);
  assert.deepEqual(office.seen("buried"), []);
});

Deno.test("what waited at its actor for most of the lease is left for another claim", async () => {
  const claims = watchedClaims();
  await using office = new Office({ outbox: claims.outbox });
  await office.ask("sender", { type: "Heal" });
  const loading = office.store.hold("load");
  await office.send(["a"], "1");
  await office.env.advance(leaseMs * 0.9);
  loading.release();
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), []);
  assert.deepEqual(claims.given, ["a"]);
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), ["1"]);
  assert.deepEqual(claims.given, ["a", "a"]);
});

Deno.test("messages behind one that another has handled are brought at once, by a new claim", async () => {
  const asleep = Promise.withResolvers<void>();
  let isAwake = false;
  let lane: ClaimedLane | undefined;
  await using office = new Office({
    outbox: (own) =>
      override(own, {
        async claim(lanes, limits) {
          if (isAwake) return await own.claim(lanes, limits);
          const claimed: readonly ClaimedLane[] = await own.claim(lanes, { ...limits, leaseMs: 0 });
          [lane] = claimed;
          if (claimed.length > 0) await asleep.promise;
          return claimed;
        },
      }),
  });
  await office.send(["a"], "1", "2");
  await office.env.settle();
  const [outcome] = await office.memory.commit([{
    address: boxAt("a"),
    revision: 0,
    version: 0,
    at: office.env.now(),
    events: [],
    replies: [],
    consumed: [lane!.messages[0]!.position],
  }]);
  assert.equal(outcome?.is, "ok");
  isAwake = true;
  asleep.resolve();
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["2"]);
  assert.deepEqual(office.seen("delivered").map(({ messages }) => messages), [1, 1]);
  assert.deepEqual(office.seen("delivery-failed"), [], "it is nobody's failure");
});

Deno.test("messages behind a failure are held back, in whatever turn they come", async () => {
  for (const note of ["boom", "nul"]) {
    await using office = new Office({ system: { turnMax: 1 } });
    await office.send(["a"], "before", note, "after");
    await office.env.settle();
    assert.deepEqual(await office.notes("a"), ["before"]);
    await office.env.advance(ALL_ATTEMPTS_MS);
    assert.deepEqual(await office.notes("a"), ["before", "after"]);
  }
});

Deno.test("those handled before a failure are counted, and not the failure", async () => {
  await using office = new Office();
  await office.send(["a"], "1", "2", "boom", "3");
  await office.env.settle();
  assert.deepEqual(office.seen("delivered").map(({ messages }) => messages), [2]);
});

Deno.test("no more lanes are taken than there are hands, and the next once one is free", async () => {
  const claims = watchedClaims();
  await using office = new Office({ limits: { lanesMax: 2 }, outbox: claims.outbox });
  await office.ask("sender", { type: "Heal" });
  const loading = office.store.hold("load");
  const boxes = ["a", "b", "c", "d", "e"];
  await office.send(boxes, "1");
  await office.env.settle();
  assert.equal(claims.given.length, 2);
  loading.release();
  await office.env.settle();
  assert.deepEqual(claims.given.toSorted(), boxes, "without anyone waiting for a poll");
});

Deno.test("a lane in hand is not asked for again, even after its lease", async () => {
  const claims = watchedClaims();
  await using office = new Office({ outbox: claims.outbox });
  await office.ask("sender", { type: "Heal" });
  const loading = office.store.hold("load");
  await office.send(["a"], "1");
  await office.env.advance(2 * leaseMs);
  assert.deepEqual(claims.asked, ["a"]);
  loading.release();
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), ["1"]);
});

Deno.test("a message for later is not said to be due, and is brought in its millisecond", async () => {
  await using office = new Office();
  await office.ask("sender", { type: "Send", to: ["a"], notes: ["late"], delayMs: 5_123 });
  assert.deepEqual(office.seen("told"), []);
  await office.env.advance(5_122);
  assert.deepEqual(await office.notes("a"), []);
  await office.env.advance(1);
  assert.deepEqual(await office.notes("a"), ["late"]);
});

Deno.test("what was left behind is found beyond a page of what nobody may touch", async () => {
  await using office = new Office({ afterBurial: "park", limits: { pageMax: 2 } });
  await office.send(["parked"], "boom", "1", "2", "3");
  await office.env.advance(ALL_ATTEMPTS_MS);
  await using deaf = new Office({
    beside: office,
    outbox: (own) => override(own, { claim: () => Promise.resolve([]) }),
  });
  await deaf.send(["z"], "found");
  await office.env.advance(2 * pollMs);
  assert.deepEqual(await office.notes("z"), ["found"]);
});

Deno.test("what an unheard commit has told is brought without anyone waiting for a poll", async () => {
  await using office = new Office();
  await office.ask("sender", { type: "Heal" });
  office.store.failNext("commit", "unknown-after-applying");
  const since = office.env.monotonic();
  await office.env.until(office.send(["a"], "1"));
  await office.env.settle();
  assert(office.env.monotonic() - since < pollMs);
  assert.deepEqual(await office.notes("a"), ["1"]);
});

Deno.test("a lane that cannot be settled is tried again, and waits for no lease", async () => {
  let isRefused = true;
  await using office = new Office({
    outbox: (own) =>
      override(own, {
        async settle(lanes) {
          if (isRefused) {
            isRefused = false;
            throw new TransientFault("Not now");
          }
          return await own.settle(lanes);
        },
      }),
  });
  await office.send(["a"], "1");
  await office.env.settle();
  await office.send(["a"], "2");
  await office.env.advance(pollMs);
  assert.deepEqual(await office.notes("a"), ["1", "2"]);
  assert.deepEqual(office.seen("relay-failed").map(({ task }) => task), ["settle"]);
});

Deno.test("an outbox that is away for minutes, whatever is asked of it, is gone on with by itself", async () => {
  for (const away of [["claim"], ["settle"], ["due"], ["claim", "settle", "due", "depth"]]) {
    let isAway = false;
    const reach = (task: string) => {
      if (isAway && away.includes(task)) throw new TransientFault("The server is away");
    };
    await using office = new Office({
      outbox: (own) =>
        override(own, {
          // deno-lint-ignore require-await -- what is away rejects, and throws nothing
          claim: async (...asked) => (reach("claim"), own.claim(...asked)),
          // deno-lint-ignore require-await -- the same
          settle: async (lanes) => (reach("settle"), own.settle(lanes)),
          // deno-lint-ignore require-await -- the same
          due: async (...asked) => (reach("due"), own.due(...asked)),
          // deno-lint-ignore require-await -- the same
          depth: async (countMax) => (reach("depth"), own.depth(countMax)),
        }),
    });
    await office.send(["a", "b"], "before");
    await office.env.settle();
    isAway = true;
    await office.send(["a", "c"], "meanwhile");
    await office.env.advance(5 * 60_000);
    isAway = false;
    // Nobody announces what was given up: it is found.
    await office.env.advance(2 * leaseMs);
    await office.send(["a"], "after");
    await office.env.settle();
    assert.deepEqual(await office.notes("a"), ["before", "meanwhile", "after"], `${away}`);
    assert.deepEqual(await office.notes("c"), ["meanwhile"], `${away}`);
    assert(office.seen("relay-failed").length > 0, `${away}`);
    assert.deepEqual(office.seen("delivery-failed"), [], "it is nobody's attempt");
  }
});

Deno.test("a relay that is disposed finishes what it has in hand", async () => {
  await using office = new Office();
  await office.ask("sender", { type: "Heal" });
  const loading = office.store.hold("load");
  await office.send(["a"], "1");
  await office.env.settle();
  let isDisposed = false;
  const disposing = office.relay[Symbol.asyncDispose]().then(() => void (isDisposed = true));
  await office.env.settle();
  assert.equal(isDisposed, false);
  loading.release();
  await disposing;
  assert.deepEqual(await office.notes("a"), ["1"]);
  assert.deepEqual(
    await office.memory.outbox.claim([boxAt("a")], { token: 1, leaseMs, limit: 1 }),
    [{
      address: boxAt("a"),
      token: 1,
      attempts: 0,
      messages: [],
    }],
    "and leaves the lane to others",
  );
});

Deno.test("a message carries on the trace of whoever began it all", async () => {
  await using office = new Office();
  const traceparent = `00-${"1".repeat(32)}-${"2".repeat(16)}-01`;
  await office.ask("sender", { type: "Send", to: ["a"], notes: ["1"] }, { traceparent });
  await office.env.settle();
  const handled = office.seen("turn").filter(({ address }) => address.key === "a")
    .flatMap(({ messages }) => messages);
  assert.deepEqual(handled.map(({ envelope }) => envelope.traceparent), [traceparent]);
});

Deno.test("a command of today's schema is taken as it is, and one of no form is a dead letter", async () => {
  await using office = new Office();
  office.system.host({
    ...Postbox,
    upcastCommand: () => {
      throw new Error("It is of today");
    },
  });
  await office.send(["a"], "1");
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["1"]);

  await office.send(["b"], "boom");
  await office.env.advance(ALL_ATTEMPTS_MS);
  const { outbox } = office.memory;
  const [letter] = await outbox.list({ limit: 1 });
  const change = { schema: Postbox.commandSchema, command: { type: "Receive", note: 7 } };
  await outbox.edit(letter!.messageId, change, { id: "root" });
  await outbox.redrive({ messageId: letter!.messageId }, { id: "root" });
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.match((await outbox.list({ limit: 1 }))[0]!.error, /ZodError/);
  assert.deepEqual(await office.notes("b"), []);
});

Deno.test("to an actor that can only be asked nothing can be told", async () => {
  await using office = new Office();
  const { Command: _, ...mute } = Postbox;
  office.system.host(mute);
  await office.send(["a"], "1");
  await office.env.advance(ALL_ATTEMPTS_MS);
  const [letter] = await office.memory.outbox.list({ limit: 1 });
  assert.match(letter!.error, /Nothing can be told to a postbox/);
  assert.deepEqual(await office.notes("a"), []);
});

Deno.test("nothing parks that has not asked for it", async () => {
  await using office = new Office();
  office.system.host(Postbox);
  assert.equal(office.system.parks(Postbox.kind), false);
  assert.equal(office.system.parks("nobody"), false);
  office.system.host({ ...Postbox, afterBurial: "park" });
  assert.equal(office.system.parks(Postbox.kind), true);
});

/** When each claim was made, and each takes so long. */
function slowClaims(office: () => Office, tookMs: number) {
  const madeAt: number[] = [];
  const outbox = (own: Outbox) =>
    override(own, {
      async claim(lanes, limits) {
        const { env } = office();
        madeAt.push(env.monotonic());
        await env.sleep(tookMs);
        return await own.claim(lanes, limits);
      },
    });
  return { madeAt, outbox };
}

Deno.test("while there is a crowd of requests, messages have a part of the time", async () => {
  const requests = { underWay: 0 };
  const limits = { crowdFrom: 10, crowdShareMax: 0.25, crowdLanesMax: 3 };
  const claims = slowClaims(() => office, 20);
  await using office: Office = new Office({ requests, limits, outbox: claims.outbox });
  const { env } = office;
  /** How long after the claim for the first message the next one is claimed for. */
  const gap = async (...keys: readonly string[]) => {
    claims.madeAt.length = 0;
    await office.send(["first"], "hello");
    await env.advance(1);
    for (const key of keys) await office.send([key], "hello");
    await env.advance(1_000);
    for (const key of keys) assert((await office.notes(key)).length > 0, `${key} has its message`);
    return claims.madeAt[1]! - claims.madeAt[0]!;
  };
  assert.equal(await gap("a"), 20);
  requests.underWay = 9;
  assert.equal(await gap("b"), 20, "they are no crowd yet");
  requests.underWay = 10;
  assert.equal(await gap("c"), 80);
  assert.equal(await gap("d", "e", "f"), 20, "so many wait that they have to catch up");

  claims.madeAt.length = 0;
  await office.send(["first"], "stuck");
  await env.advance(1);
  await office.send(["g"], "hello");
  const gate = office.store.hold("commit");
  await env.advance(500);
  gate.release();
  await env.advance(1_000);
  // Claiming took 20, and looks are 20 apart; what stands still counts for no more than 250.
  assert.equal(claims.madeAt[1]! - claims.madeAt[0]!, 20 + 250 + 760);

  const leaving = gap("h");
  await env.advance(30);
  requests.underWay = 0;
  assert((await leaving) <= 50, "the crowd has gone");
});
