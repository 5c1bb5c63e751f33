/** Told messages where nodes, clocks and operators get in each other's way. */
import assert from "node:assert/strict";
import type { ClaimedLane, Outbox, SettledLane } from "../../../lib/runtime/outbox.ts";
import { defaultRelayLimits } from "../../../lib/runtime/outbox_relay.ts";
import { Office, override } from "../../support/office.ts";
import * as Postbox from "../../support/postbox.ts";

const root = { id: "root" };

/** Attempts follow one another within this, and then the message is buried. */
const ALL_ATTEMPTS_MS = 60_000;

/** What the actor says of itself now, to one who must not be told old news. */
async function readStrongly({ system, env }: Office, key: string): Promise<readonly string[]> {
  const messageId = env.uuid();
  const ids = { messageId, correlationId: messageId, causationId: messageId };
  const cause = { ...ids, principal: { id: "ana", roles: [] }, deadline: Infinity };
  const { view } = await system.read(Postbox, key, cause, ({ notes }) => notes, { isStrong: true });
  return view;
}

/** A claim that keeps nobody else out, and waits to be used until it is woken. */
function sleepyClaims() {
  const asleep: (() => void)[] = [];
  let isAwake = false;
  const outbox = (own: Outbox) =>
    override(own, {
      async claim(lanes, limits) {
        if (isAwake) return await own.claim(lanes, limits);
        const claimed: readonly ClaimedLane[] = await own.claim(lanes, { ...limits, leaseMs: 0 });
        if (claimed.length > 0) await new Promise<void>((wake) => asleep.push(wake));
        return claimed;
      },
    });
  const wake = () => {
    isAwake = true;
    for (const go of asleep) go();
  };
  return { outbox, wake };
}

for (const isAskedFirst of [true, false]) {
  const order = isAskedFirst ? "before" : "behind";
  Deno.test(`a commit whose answer is lost does once what was asked ${order} what was told`, async () => {
    const claims = sleepyClaims();
    await using office = new Office({ outbox: claims.outbox });
    await office.send(["a"], "told");
    await office.env.settle();
    const loading = office.store.hold("load");
    if (!isAskedFirst) claims.wake();
    await office.env.settle();
    const asked = office.ask("a", { type: "Receive", note: "asked" });
    claims.wake();
    await office.env.settle();
    office.store.failNext("commit", "unknown-after-applying");
    loading.release();
    await office.env.until(asked);
    await office.env.advance(1_000);
    const notes = isAskedFirst ? ["asked", "told"] : ["told", "asked"];
    assert.deepEqual(await office.notes("a"), notes);
    assert.equal(office.store.batches.at(1)?.[0]?.events.length, 2, "it was one turn");
  });
}

Deno.test("whoever reads beside a message that another node has handled is not told old news", async () => {
  const claims = sleepyClaims();
  await using first = new Office({ outbox: claims.outbox });
  await first.send(["a"], "told");
  await first.env.settle();
  const answering = first.store.hold("commit", "after");
  const asked = first.ask("a", { type: "Receive", note: "asked" });
  await first.env.settle();
  await using second = new Office({ beside: first });
  await second.env.settle();
  await second.ask("a", { type: "Receive", note: "news" });
  assert.deepEqual(await second.notes("a"), ["asked", "told", "news"]);

  claims.wake();
  await first.env.settle();
  const reading = readStrongly(first, "a");
  await first.env.advance(1);
  answering.release();
  await first.env.until(asked);
  assert.deepEqual(await first.env.until(reading), ["asked", "told", "news"]);
  assert.deepEqual(await second.notes("a"), ["asked", "told", "news"]);
});

Deno.test("a node that stood still does not do what an operator has edited meanwhile", async () => {
  await using first = new Office();
  const { outbox } = first.memory;
  await first.ask("sender", { type: "Heal" });
  const loading = first.store.hold("load");
  const healed = first.ask("a", { type: "Heal" });
  await first.send(["a"], "boom");
  await first.env.settle();
  const committing = first.store.hold("commit");
  loading.release();
  await first.env.settle();
  assert.equal(committing.held, 1, "it stands still with both in hand");

  // To the other, which knows of no healing, the message is a bug.
  await using second = new Office({ beside: first });
  await second.env.advance(defaultRelayLimits.leaseMs + ALL_ATTEMPTS_MS);
  const [letter] = await outbox.list({ limit: 10 });
  const command = { type: "Receive", note: "mended" };
  await outbox.edit(letter!.messageId, { schema: Postbox.commandSchema, command }, root);
  await outbox.redrive({ messageId: letter!.messageId }, root);

  committing.release();
  await first.env.until(healed);
  await first.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(await first.notes("a"), ["mended"]);
});

Deno.test("the reason why a message failed is text that every store can keep", async () => {
  const settled: SettledLane[] = [];
  await using office = new Office({
    outbox: (own) =>
      override(own, {
        async settle(lanes) {
          settled.push(...lanes);
          return await own.settle(lanes);
        },
      }),
  });
  const { length } = "RangeError: ";
  office.system.host({
    ...Postbox,
    decide(state, command) {
      if (command.type !== "Receive") return Postbox.decide(state, command);
      throw new RangeError(`\0${"x".repeat(999 - length)}\u{1F4EE} and more`);
    },
  });
  await office.send(["a"], "1");
  await office.env.settle();
  const [reason] = settled.flatMap(({ pause }) => pause?.error ?? []);
  assert.match(reason!, /^RangeError: xxx/);
  assert(reason!.isWellFormed() && !reason!.includes("\0"));
});

Deno.test("what is due is not listed faster than it can be brought", async () => {
  let listed = 0;
  await using office = new Office({
    limits: { pageMax: 10, lanesMax: 10 },
    outbox: (own) =>
      override(own, {
        claim: async () => {
          await office.env.sleep(defaultRelayLimits.leaseMs);
          return [];
        },
        due: async (...asked) => {
          const page = await own.due(...asked);
          listed += page.lanes.length;
          return page;
        },
      }),
  });
  const boxes = Array.from({ length: 500 }, (_, index) => `box-${index}`);
  await office.send(boxes, "1");
  listed = 0;
  await office.env.advance(10_000);
  assert(listed <= 500, `${listed} lanes were listed while none was brought`);
});

Deno.test("what failed before does not count against a message that comes to stand before it", async () => {
  await using office = new Office();
  const { env } = office;
  await office.ask("sender", { type: "Send", to: ["a"], notes: ["boom"], delayMs: 5_000 });
  await office.send(["a"], "boom");
  await env.advance(ALL_ATTEMPTS_MS);
  const letters = await office.memory.outbox.list({ limit: 10 });
  assert.equal(letters.length, 2);
  // It takes its place at the head with the attempts at the other half done.
  const [head] = letters;
  const tries = office.seen("delivery-failed").filter((event) =>
    event.messageId === head!.messageId
  );
  assert.deepEqual(tries.map(({ attempts }) => attempts), [1, 2, 3, 4, 5, 6, 7]);
});
