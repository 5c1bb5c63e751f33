/** What a node shows once it hears what others have written. */
import assert from "node:assert/strict";
import type { Address } from "../../../lib/runtime/envelope.ts";
import type { Peers } from "../../../lib/runtime/peers.ts";
import { type Node, World } from "./world.ts";

/** News as one node says it, brought to whoever the test wants to have it, when it wants to. */
class Letters implements Peers {
  readonly said: { readonly address: Address; readonly revision: number }[] = [];

  wrote(address: Address, revision: number): void {
    this.said.push({ address, revision });
  }

  bring(node: Node): void {
    for (const { address, revision } of this.said) node.system.heard(address, revision);
  }
}

interface Pair {
  readonly world: World;
  readonly writer: Node;
  readonly reader: Node;
  readonly news: Letters;
}

/** The reader has seen the actor `a` at 1, and the writer has brought it to 3 since. */
async function overtaken(): Promise<Pair> {
  const world = new World();
  const news = new Letters();
  const writer = world.node({}, { peers: news });
  const reader = world.node();
  await writer.add("a", 1);
  await world.env.advance(1);
  assert.equal(await reader.total("a"), 1);
  await world.env.advance(1);
  await writer.add("a", 2);
  await world.env.advance(1);
  return { world, writer, reader, news };
}

Deno.test("a plain read shows what this node has heard that another wrote", async () => {
  const { world, reader, news } = await overtaken();
  await using _ = world;
  assert.equal(await reader.total("a"), 1, "it has not heard of it yet");
  news.bring(reader);
  assert.equal(await reader.total("a"), 3);
});

Deno.test("once it has looked, it answers from memory again", async () => {
  const { world, reader, news } = await overtaken();
  await using _ = world;
  news.bring(reader);
  await world.env.advance(1);
  await reader.total("a");
  const before = { ...reader.store.calls };
  assert.equal(await reader.total("a"), 3);
  assert.deepEqual(reader.store.calls, before);
});

Deno.test("news that is older than what this node knows changes nothing", async () => {
  const { world, reader, news } = await overtaken();
  await using _ = world;
  await reader.add("a", 1);
  await world.env.advance(1);
  news.bring(reader);
  const before = { ...reader.store.calls };
  assert.equal(await reader.total("a"), 4);
  assert.deepEqual(reader.store.calls, before);
});

Deno.test("a node that may have missed news looks again before it shows an actor, once", async () => {
  const { world, reader } = await overtaken();
  await using _ = world;
  reader.system.missed();
  await world.env.advance(1);
  assert.equal(await reader.total("a"), 3);
  await world.env.advance(1);
  const before = { ...reader.store.calls };
  assert.equal(await reader.total("a"), 3);
  assert.deepEqual(reader.store.calls, before);
});

Deno.test("a node tells of what it wrote and of nothing else", async () => {
  const { world, writer, news } = await overtaken();
  await using _ = world;
  await writer.total("a", { isStrong: true });
  await writer.add("a", 1_000);
  const address = { kind: "counter", key: "a" };
  assert.deepEqual(news.said, [{ address, revision: 1 }, { address, revision: 2 }]);
});
