/** Told messages: from the commit that tells them to the commit that handles them. */
import assert from "node:assert/strict";
import type { ClaimedLane, Outbox } from "../../../lib/runtime/outbox.ts";
import { defaultRelayLimits } from "../../../lib/runtime/outbox_relay.ts";
import { Office, override } from "../../support/office.ts";
import * as Postbox from "../../support/postbox.ts";

async function depth({ memory }: Office) {
  return await memory.outbox.depth(1_000);
}

/** Attempts follow one another within this, and then the message is buried. */
const ALL_ATTEMPTS_MS = 60_000;

Deno.test("what is told is handled, in its order, without anyone waiting for a poll", async () => {
  await using office = new Office();
  await office.send(["a", "b"], "1", "2", "3");
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["1", "2", "3"]);
  assert.deepEqual(await office.notes("b"), ["1", "2", "3"]);
  assert.equal((await depth(office)).due, 0);
});

Deno.test("a message carries on who began it all, and what led to it", async () => {
  await using office = new Office();
  const asked = await office.send(["a"], "hello");
  await office.env.settle();
  const [received] = await office.stream("a");
  assert.equal(received?.correlationId, asked);
  assert.equal(received.principalId, "ana");
  assert.notEqual(received.causationId, asked);
});

Deno.test("a message for later is handled when it is due, and not before", async () => {
  await using office = new Office();
  await office.ask("sender", { type: "Send", to: ["a"], notes: ["late"], delayMs: 5_000 });
  await office.send(["a"], "soon");
  await office.env.advance(4_999);
  assert.deepEqual(await office.notes("a"), ["soon"]);
  await office.env.advance(1);
  assert.deepEqual(await office.notes("a"), ["soon", "late"]);
});

Deno.test("a ring of actors passes a message on as often as it is to", async () => {
  await using office = new Office();
  await office.ask("0", { type: "Pass", hops: 100, size: 7 });
  await office.env.settle();
  const rounds = await Promise.all(
    Array.from({ length: 7 }, async (_, box) => (await office.stream(String(box))).length),
  );
  assert.equal(rounds.reduce((sum, passed) => sum + passed), 101);
});

Deno.test("a refusal handles a message as well as an acceptance does", async () => {
  await using office = new Office();
  await office.send(["a"], "no", "yes");
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["yes"]);
  assert.equal((await depth(office)).due, 0);
});

Deno.test("a command of an older schema is brought up to date, also in the dead letters", async () => {
  await using office = new Office();
  await office.send(["a"], "boom");
  await office.env.advance(ALL_ATTEMPTS_MS);
  const [letter] = await office.memory.outbox.list({ limit: 10 });
  const command = { type: "Receive", text: "as it was said once" };
  await office.memory.outbox.edit(letter!.messageId, { schema: 1, command }, { id: "root" });
  await office.memory.outbox.redrive({ messageId: letter!.messageId }, { id: "root" });
  await office.env.advance(1_000);
  assert.deepEqual(await office.notes("a"), ["as it was said once"]);
});

Deno.test("a message that is a bug is tried again, then buried; those behind it wait, then pass", async () => {
  await using office = new Office();
  await office.send(["a", "b"], "before", "boom", "after");
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["before"], "none overtakes it while it is tried");

  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), ["before", "after"]);
  const { attemptsMax } = defaultRelayLimits;
  const [letter, other] = await office.memory.outbox.list({ limit: 10 });
  assert.deepEqual([letter?.to.key, other?.to.key], ["a", "b"]);
  assert.equal(letter?.attempts, attemptsMax);
  assert.match(letter.error, /RangeError: the box exploded/);
  assert.equal(office.seen("delivery-failed").length, 2 * (attemptsMax - 1));
  assert.equal(office.seen("buried").length, 2);
});

Deno.test("a bug in one lane holds up no other", async () => {
  await using office = new Office();
  await office.send(["bad"], "boom", "x");
  await office.send(["good"], "1", "2");
  await office.env.settle();
  assert.deepEqual(await office.notes("good"), ["1", "2"]);
});

Deno.test("a poison lane delays no other by a second, from its first attempt to its last burial", async () => {
  const [STATEMENT_MS, PERIOD_MS] = [5, 50];
  for (const poison of ["boom", "nul"]) {
    await using office = new Office();
    office.store.delay = () => office.env.sleep(STATEMENT_MS);
    await office.env.until(office.send(["bad"], poison, "after"));
    const toldAt = new Map<string, number>();
    for (let n = 0; (await office.notes("bad")).length === 0; n++) {
      assert(n < ALL_ATTEMPTS_MS / PERIOD_MS);
      toldAt.set(`${n}`, office.env.now());
      await office.env.until(office.send([`good ${n % 4}`], `${n}`));
      await office.env.advance(PERIOD_MS);
    }
    assert.equal(office.seen("buried").length, 1);
    await office.env.advance(1_000);
    const boxes = ["good 0", "good 1", "good 2", "good 3"].map((key) => office.stream(key));
    const waits = (await office.env.until(Promise.all(boxes))).flat().flatMap(({ data, at }) => {
      const event = Postbox.Event.parse(data);
      return event.type === "Received" ? [at - toldAt.get(event.note)!] : [];
    });
    assert.equal(waits.length, toldAt.size);
    const longest = Math.max(...waits);
    assert(longest < 1_000, `for ${longest} ms beside ${poison}`);
  }
});

Deno.test("content that the store refuses is buried too", async () => {
  await using office = new Office();
  await office.send(["a"], "nul", "after");
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), ["after"]);
  assert.equal((await depth(office)).dead, 1);
});

Deno.test("a message to a kind that nobody hosts ends as a dead letter that says why", async () => {
  await using office = new Office();
  const event = { type: "Sent", schema: 1, data: { type: "Sent" }, principalId: "ana" };
  const ids = { correlationId: office.env.uuid(), causationId: office.env.uuid() };
  await office.memory.commit([{
    address: { kind: Postbox.kind, key: "sender" },
    revision: 0,
    version: 0,
    at: office.env.now(),
    events: [{ ...event, ...ids }],
    replies: [],
    messages: [{
      ...ids,
      messageId: office.env.uuid(),
      to: { kind: "nobody", key: "x" },
      schema: 1,
      command: {},
      principal: { id: "ana", roles: [] },
      delayMs: 0,
    }],
  }]);
  await office.env.advance(ALL_ATTEMPTS_MS);
  const [letter] = await office.memory.outbox.list({ kind: "nobody", limit: 10 });
  assert.match(letter!.error, /No aggregate of kind nobody is hosted/);
});

Deno.test("where a burial parks the lane, what is behind waits for an operator, and keeps its order", async () => {
  await using office = new Office({ afterBurial: "park" });
  await office.send(["a"], "boom", "2", "3");
  await office.env.advance(ALL_ATTEMPTS_MS);
  await office.send(["a"], "4");
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), []);
  assert.deepEqual(await depth(office).then(({ due, dead }) => ({ due, dead })), {
    due: 3,
    dead: 1,
  });

  await office.ask("a", { type: "Heal" });
  const all = { kind: Postbox.kind, limit: 10 };
  assert.equal((await office.memory.outbox.redrive(all, { id: "root" })).length, 1);
  await office.env.advance(1_000);
  assert.deepEqual(await office.notes("a"), ["boom", "2", "3", "4"]);
});

Deno.test("a lane that was parked goes on without a letter that is discarded", async () => {
  await using office = new Office({ afterBurial: "park" });
  await office.send(["a"], "boom", "2");
  await office.env.advance(ALL_ATTEMPTS_MS);
  const [letter] = await office.memory.outbox.list({ limit: 10 });
  assert.equal(await office.memory.outbox.discard(letter!.messageId, { id: "root" }), true);
  await office.env.advance(1_000);
  assert.deepEqual(await office.notes("a"), ["2"]);
  assert.deepEqual(office.memory.outbox.audit.map(({ principal, act }) => `${principal}: ${act}`), [
    "root: dead-letter discard",
  ]);
});

Deno.test("a decision that tells something though nothing has happened is a bug", async () => {
  await using office = new Office();
  await assert.rejects(office.ask("a", { type: "Whisper" }), /nothing has happened/);
  assert.equal((await depth(office)).due, 0);
});

Deno.test("a store that is away is nobody's attempt: the message is handled once it is back", async () => {
  await using office = new Office();
  await office.send(["a"], "1");
  office.store.isDown = true;
  await office.env.advance(10 * ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), []);
  office.store.isDown = false;
  await office.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await office.notes("a"), ["1"]);
  assert.equal(office.seen("buried").length, 0);
});

for (
  const mishap of ["not-applied", "unknown-before-applying", "unknown-after-applying"] as const
) {
  Deno.test(`a commit whose answer is lost handles its messages once: ${mishap}`, async () => {
    await using office = new Office();
    await office.send(["a"], "1", "no", "2");
    office.store.failNext("commit", mishap);
    await office.env.advance(ALL_ATTEMPTS_MS);
    assert.deepEqual(await office.notes("a"), ["1", "2"]);
    await office.send(["a"], "no");
    office.store.failNext("commit", mishap);
    await office.env.advance(ALL_ATTEMPTS_MS);
    assert.equal((await depth(office)).due, 0);
    assert.equal((await depth(office)).dead, 0);
  });

  Deno.test(`a commit whose answer is lost tells once what it tells: ${mishap}`, async () => {
    await using office = new Office();
    office.store.failNext("commit", mishap);
    await office.env.until(office.send(["a"], "1", "2"));
    await office.env.advance(ALL_ATTEMPTS_MS);
    assert.deepEqual(await office.notes("a"), ["1", "2"]);
  });
}

Deno.test("what a node leaves behind is found by another, which has heard nothing of it", async () => {
  await using deaf = new Office({
    outbox: (own) => override(own, { claim: () => Promise.resolve([]) }),
  });
  await deaf.send(["a"], "1", "2");
  await deaf.env.settle();
  await using other = new Office({ beside: deaf });
  await other.env.advance(defaultRelayLimits.pollMs);
  assert.deepEqual(await other.notes("a"), ["1", "2"]);
});

Deno.test("a node that slept through its lease handles nothing twice and nothing out of order", async () => {
  const asleep: (() => void)[] = [];
  let isAsleep = true;
  const sleepy = (own: Outbox) =>
    override(own, {
      async claim(...asked) {
        const lanes: readonly ClaimedLane[] = await own.claim(...asked);
        if (isAsleep && lanes.length > 0) await new Promise<void>((wake) => asleep.push(wake));
        return lanes;
      },
    });
  await using first = new Office({ outbox: sleepy });
  await first.send(["a"], "1", "2");
  await first.env.settle();
  await using second = new Office({ beside: first });
  await second.send(["a"], "3");
  await second.env.advance(2 * defaultRelayLimits.leaseMs);
  assert.deepEqual(await second.notes("a"), ["1", "2", "3"]);

  isAsleep = false;
  for (const wake of asleep) wake();
  await first.env.advance(5_000);
  assert.deepEqual(await second.notes("a"), ["1", "2", "3"]);
});
