import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import type { KeyValue } from "../../../lib/kv/key_value.ts";
import { Limiter, type Verdict } from "../../../lib/limits/limiter.ts";
import { MemoryKeyValue } from "../../../lib/memory/key_value.ts";
import { limitNames, quotasIn } from "../../../lib/quotas.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const quotas = quotasIn(
  "general=4/min trading=9/min/bucket api-key=2/min/window login=3/min login-account=4/min",
);

/** A store that many limiters share, which can be lost, and counts how often it is asked. */
class Store implements KeyValue {
  readonly #memory: MemoryKeyValue;
  isAvailable = true;
  isFailing = false;
  asked = 0;

  constructor(env: VirtualEnv) {
    this.#memory = new MemoryKeyValue({ env });
  }

  run: KeyValue["run"] = async (...call) => {
    this.asked++;
    if (this.isFailing) throw new TransientFault("No answer");
    return await this.#memory.run(...call);
  };

  get: KeyValue["get"] = (...call) => this.#memory.get(...call);
  set: KeyValue["set"] = (...call) => this.#memory.set(...call);
  setIfAbsent: KeyValue["setIfAbsent"] = (...call) => this.#memory.setIfAbsent(...call);
  delete: KeyValue["delete"] = (...call) => this.#memory.delete(...call);
  increment: KeyValue["increment"] = (...call) => this.#memory.increment(...call);
}

function nodesOn(store: Store, env: VirtualEnv, count: number): readonly Limiter[] {
  const shared = { store, prefix: "test" };
  return Array.from(
    { length: count },
    () => new Limiter({ env, quotas, shared, nodes: () => count }),
  );
}

/** How many of so many requests at once are admitted. */
async function admitted(
  limiters: readonly Limiter[],
  take: (limiter: Limiter) => ReturnType<Limiter["take"]>,
  times: number,
) {
  const taken: Verdict[] = [];
  for (let time = 0; time < times; time++) {
    taken.push(await take(limiters[time % limiters.length]!));
  }
  return taken.filter(({ admitted }) => admitted).length;
}

const byAna = (limiter: Limiter) => limiter.take({ general: "user:ana" });

Deno.test("without a store it decides at once, each subject and each limit by itself", () => {
  const env = new VirtualEnv();
  const limiter = new Limiter({ env, quotas });
  const verdicts = Array.from({ length: 5 }, () => byAna(limiter) as Verdict);
  assert.deepEqual(verdicts.map(({ admitted }) => admitted), [true, true, true, true, false]);
  assert.deepEqual(verdicts.map(({ remaining }) => remaining), [3, 2, 1, 0, 0]);
  assert.deepEqual(verdicts[4], {
    admitted: false,
    limit: "general",
    quota: quotas.general,
    remaining: 0,
    moreInMs: 60_001,
  });
  assert.equal((limiter.take({ general: "user:ben" }) as Verdict).admitted, true);
  assert.equal((limiter.take({ trading: "user:ana" }) as Verdict).admitted, true);
  for (const name of limitNames) assert(!(limiter.take({ [name]: "x" }) instanceof Promise), name);
});

Deno.test("nodes that share a store admit together what one would, with one question for each request", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  const nodes = nodesOn(store, env, 3);
  assert.equal(await admitted(nodes, byAna, 6), 4);
  assert.equal(store.asked, 6);
});

Deno.test("whoever was refused is not asked about again until the store would admit one", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  const [node] = nodesOn(store, env, 1);
  await admitted([node!], byAna, 5);
  assert.equal(store.asked, 5);
  await env.advance(30_000);
  const verdict = byAna(node!);
  assert(!(verdict instanceof Promise), "it is known here");
  assert.deepEqual([verdict.admitted, verdict.remaining, verdict.moreInMs], [false, 0, 30_001]);
  assert.equal(store.asked, 5);
  assert.equal((await node!.take({ general: "user:ben" })).admitted, true);
  await env.advance(30_001);
  assert.equal((await byAna(node!)).admitted, true);
  assert.equal(store.asked, 7);
});

Deno.test("while the store is away each node admits its part, and at least one", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  store.isAvailable = false;
  assert.equal(await admitted(nodesOn(store, env, 2), byAna, 20), 4);
  assert.equal(await admitted(nodesOn(store, env, 3), byAna, 21), 3, "4 of 3 are 1 each");
  assert.equal(await admitted(nodesOn(store, env, 8), byAna, 40), 8);
  assert.equal(store.asked, 0);
});

Deno.test("a store that fails leaves each node its part, and never more", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  store.isFailing = true;
  const nodes = nodesOn(store, env, 2);
  assert.equal(await admitted(nodes, byAna, 20), 4);
  const login = (limiter: Limiter) =>
    limiter.take({ login: "ip:192.0.2.1", "login-account": "account:ana" });
  assert.equal(await admitted(nodes, login, 40), 2);
});

Deno.test("what a node admitted by the store counts when that is gone, whoever breaks it off", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  const nodes = nodesOn(store, env, 2);
  assert.equal(await admitted(nodes, byAna, 4), 4);
  store.isAvailable = false;
  assert.equal(await admitted(nodes, byAna, 20), 0);
  await env.advance(60_001);
  assert.equal(await admitted(nodes, byAna, 20), 4);
});

Deno.test("two subjects are asked about at once: either refuses, and then neither is counted", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  const nodes = nodesOn(store, env, 2);
  const login = (address: string, account: string) => (limiter: Limiter) =>
    limiter.take({ login: `ip:${address}`, "login-account": `account:${account}` });
  // Of many accounts from one address, and of one account from many addresses.
  let tries = 0;
  assert.equal(await admitted(nodes, (node) => login("192.0.2.1", `a${tries++}`)(node), 9), 3);
  assert.equal(await admitted(nodes, (node) => login(`192.0.2.${9 + tries++}`, "ana")(node), 9), 4);
  assert.equal((await login("192.0.2.1", "new")(nodes[0]!)).admitted, false);
  assert.equal((await login("192.0.2.8", "new")(nodes[0]!)).remaining, 2);
});

Deno.test("a user's keys and the user have one limit together, and each key has its own", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  const asks = (key: number) => (limiter: Limiter) =>
    limiter.take({ general: "user:ana", "api-key": `key:${key}` });
  let key = 0;
  for (const isAvailable of [true, false]) {
    store.isAvailable = isAvailable;
    assert.equal(await admitted(nodesOn(store, env, 1), (node) => asks(key++)(node), 9), 4);
    await env.advance(60_001);
    const [node] = nodesOn(store, env, 1);
    assert.equal(await admitted([node!], asks(-1), 9), 2);
    const refused = await asks(-1)(node!);
    assert.deepEqual([refused.limit, refused.quota.limit], ["api-key", 2]);
    assert.equal(await admitted([node!], byAna, 9), 2);
    await env.advance(60_001);
  }
});

Deno.test("nobody who is refused has anybody forgotten, under however many names", async () => {
  for (const isShared of [false, true]) {
    const env = new VirtualEnv();
    const store = new Store(env);
    store.isAvailable = isShared;
    const [node] = nodesOn(store, env, 1);
    const login = (address: string, account: string) => (limiter: Limiter) =>
      limiter.take({ login: `ip:${address}`, "login-account": `account:${account}` });
    for (let last = 0; last < 4; last++) await login(`192.0.2.${last}`, "ana")(node!);
    // More than are ever kept in mind, the store in memory included.
    let name = 0;
    assert.equal(await admitted([node!], (node) => login("b", `${name++}`)(node), 120_000), 3);
    assert.equal((await login("b", "new")(node!)).admitted, false);
    assert.equal((await login("192.0.2.9", "ana")(node!)).admitted, false);
  }
});

Deno.test("limits tighten while the service sheds, here and where all count, and relax after", async () => {
  for (const isShared of [false, true]) {
    const env = new VirtualEnv();
    const store = new Store(env);
    store.isAvailable = isShared;
    const [node] = nodesOn(store, env, 1);
    const limitNow = async (subject: string) =>
      (await node!.take({ general: subject })).quota.limit;
    assert.equal(await limitNow("a"), 4);
    node!.adapt(true);
    assert.equal(await limitNow("b"), 3);
    await env.advance(1_000);
    node!.adapt(true);
    await env.advance(1_000);
    node!.adapt(true);
    assert.equal(await admitted([node!], (node) => node.take({ general: "c" }), 9), 1);
    for (let step = 0; step < 3; step++) {
      await env.advance(5_000);
      node!.adapt(false);
    }
    assert.equal(await limitNow("d"), 4);
    assert.equal(await admitted([node!], (node) => node.take({ general: "c" }), 9), 3);
  }
});

Deno.test("a bucket is full again after its time, and gives one by one before", async () => {
  const env = new VirtualEnv();
  const limiter = new Limiter({ env, quotas });
  const trade = (limiter: Limiter) => limiter.take({ trading: "user:ana" });
  assert.equal(await admitted([limiter], trade, 20), 9);
  await env.advance(20_000);
  assert.equal(await admitted([limiter], trade, 20), 3);
  await env.advance(60_000);
  assert.equal(await admitted([limiter], trade, 20), 9);
});

Deno.test("what was refused is told of once, by limit", async () => {
  const env = new VirtualEnv();
  const store = new Store(env);
  const [node] = nodesOn(store, env, 1);
  assert.deepEqual([...node!.takeRefused()], []);
  await admitted([node!], byAna, 7);
  store.isAvailable = false;
  await admitted([node!], (node) => node.take({ login: "ip:a", "login-account": "account:b" }), 5);
  assert.deepEqual([...node!.takeRefused()], [["general", 3], ["login", 2]]);
  assert.deepEqual([...node!.takeRefused()], []);
});
