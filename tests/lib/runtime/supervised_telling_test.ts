/** What is told to actors that fail: what kills is buried, and all else waits until it can be handled. */
import assert from "node:assert/strict";
import { defaultRelayLimits } from "../../../lib/runtime/outbox_relay.ts";
import { defaultActorStrategy } from "../../../lib/runtime/supervisor.ts";
import { Office } from "../../support/office.ts";
import * as Postbox from "../../support/postbox.ts";

const { attemptsMax, faultPauseMostMs, pollMs } = defaultRelayLimits;
const { restartsMax, quarantineMs } = defaultActorStrategy;

/** Attempts at one message follow one another within this, and then it is buried. */
const ALL_ATTEMPTS_MS = 60_000;

const at = (key: string) => ({ kind: Postbox.kind, key });

/** Reads nothing that says "gibberish". */
function illiterate(): typeof Postbox {
  return {
    ...Postbox,
    Event: Postbox.Event.refine((event) => !("note" in event) || event.note !== "gibberish"),
  } as typeof Postbox;
}

/** A box with an event in its stream that this node cannot read. */
async function withBrokenBox(office: Office): Promise<void> {
  await office.send(["a"], "gibberish");
  await office.env.settle();
  assert.deepEqual(await office.notes("a"), ["gibberish"]);
}

function inQuarantine(office: Office): readonly string[] {
  return office.system.supervision.report().supervisors
    .flatMap(({ quarantined }) => quarantined.map(({ key }) => key));
}

async function untilQuarantined(office: Office, key: string): Promise<void> {
  for (let waits = 0; !inQuarantine(office).includes(key); waits++) {
    assert(waits < 1_000);
    await office.env.advance(1_000);
  }
}

Deno.test("messages that kill are buried one after the other, and their successors are served", async () => {
  await using office = new Office();
  await office.send(["a"], "boom", "boom", "boom", "after");
  await office.env.advance(3 * ALL_ATTEMPTS_MS);
  assert.equal(office.seen("buried").length, 3);
  assert.deepEqual(await office.notes("a"), ["after"]);
  assert.deepEqual(office.seen("quarantined"), [], "they are no reason to take away their actor");
  const restarts = office.seen("restarted").filter(({ because }) => because === "defect");
  assert.equal(restarts.length, 3 * attemptsMax);
});

Deno.test("an actor whose next message kills it serves whoever asks, at once", async () => {
  await using office = new Office();
  await office.send(["a"], "boom");
  await office.env.advance(2_000);
  assert(office.seen("delivery-failed").length > 2);
  // Time stands still: an answer can wait for nothing.
  await office.ask("a", { type: "Receive", note: "asked" });
  assert.deepEqual(await office.notes("a"), ["asked"]);
});

Deno.test("told messages survive the quarantine of their actor, and none counts as an attempt", async () => {
  await using office = new Office();
  for (let failures = 0; failures <= restartsMax; failures++) {
    const asked = office.ask("a", { type: "Receive", note: "boom" });
    await assert.rejects(office.env.until(asked), RangeError);
  }
  await office.env.settle();
  assert.deepEqual(inQuarantine(office), ["a"]);
  await office.send(["a", "b"], "1", "2", "3");
  await office.env.advance(quarantineMs - pollMs);
  assert.deepEqual(await office.notes("a"), []);
  assert.deepEqual(await office.notes("b"), ["1", "2", "3"]);
  await office.env.advance(pollMs + faultPauseMostMs + pollMs);
  assert.deepEqual(await office.notes("a"), ["1", "2", "3"]);
  assert.deepEqual([office.seen("buried"), office.seen("delivery-failed")], [[], []]);
});

Deno.test("no message is buried because the stream of its actor cannot be read", async () => {
  await using office = new Office();
  await withBrokenBox(office);
  await using reader = new Office({ beside: office });
  await office[Symbol.asyncDispose]();
  reader.system.host(illiterate());
  await reader.send(["a"], "1", "2");
  await reader.env.advance(2 * ALL_ATTEMPTS_MS);
  assert.deepEqual(inQuarantine(reader), ["a"]);
  assert.deepEqual([reader.seen("buried"), reader.seen("delivery-failed")], [[], []]);
  await reader.env.advance(10 * quarantineMs);
  assert.deepEqual(await reader.notes("a"), ["gibberish"]);
  assert.deepEqual([reader.seen("buried"), reader.seen("delivery-failed")], [[], []]);

  await untilQuarantined(reader, "a");
  reader.system.host(Postbox);
  assert.equal(reader.system.supervision.release(at("a")), true);
  await reader.env.advance(faultPauseMostMs + pollMs);
  assert.deepEqual(await reader.notes("a"), ["gibberish", "1", "2"], "once it is mended");
});

Deno.test("an unreadable event met amid a turn is no attempt of the messages in it", async () => {
  await using office = new Office();
  await using reader = new Office({ beside: office });
  reader.system.host(illiterate());
  await reader.ask("a", { type: "Receive", note: "0" });
  await office.relay[Symbol.asyncDispose]();
  await office.ask("a", { type: "Receive", note: "gibberish" });
  await reader.send(["a"], "1");
  await reader.env.advance(2 * ALL_ATTEMPTS_MS);
  assert.deepEqual(inQuarantine(reader), ["a"]);
  assert.deepEqual([reader.seen("buried"), reader.seen("delivery-failed")], [[], []]);
  assert.deepEqual(await reader.notes("a"), ["0", "gibberish"]);
});

Deno.test("what one node keeps away, another that can read it serves", async () => {
  await using office = new Office();
  await withBrokenBox(office);
  await using reader = new Office({ beside: office });
  reader.system.host(illiterate());
  await office.relay[Symbol.asyncDispose]();
  await reader.send(["a"], "1");
  await reader.env.advance(ALL_ATTEMPTS_MS);
  assert.deepEqual(inQuarantine(reader), ["a"]);
  await reader.env.advance(pollMs / 2);
  await using well = new Office({ beside: office });
  await reader.env.advance(10 * faultPauseMostMs);
  assert.deepEqual(await well.notes("a"), ["gibberish", "1"]);
});

Deno.test("after the store lost events what was told is told again, as nobody's attempt", async () => {
  await using office = new Office();
  await office.ask("a", { type: "Receive", note: "1" });
  const { load, commit, commitExclusively } = office.store;
  const before = office.memory;
  const lost = new Office({ env: office.env });
  await lost[Symbol.asyncDispose]();
  office.store.load = (requests) => lost.memory.load(requests);
  office.store.commit = () => Promise.resolve([{ is: "conflict" }]);
  office.store.commitExclusively = (address, afterVersion, decide) =>
    lost.memory.commitExclusively(address, afterVersion, decide);
  await before.commit([{
    address: at("sender"),
    revision: 0,
    version: 0,
    at: office.env.now(),
    events: [{
      type: "Sent",
      schema: 1,
      data: { type: "Sent" },
      correlationId: "c",
      causationId: "m",
      principalId: "ana",
    }],
    replies: [],
    messages: [{
      messageId: office.env.uuid(),
      to: at("a"),
      schema: Postbox.commandSchema,
      command: { type: "Receive", note: "2" },
      correlationId: "c",
      causationId: "m",
      principal: { id: "ana", roles: [] },
      delayMs: 0,
    }],
  }]);
  await office.env.advance(pollMs);
  assert.equal(office.seen("data-loss").length, 1);
  Object.assign(office.store, { load, commit, commitExclusively });
  await office.env.advance(2 * faultPauseMostMs);
  assert.deepEqual(await office.notes("a"), ["1", "2"]);
  assert.deepEqual(office.seen("delivery-failed"), []);
});
