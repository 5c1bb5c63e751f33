/** Projections on the simulated Postgres: each event counts once, whatever becomes of a page. */
import assert from "node:assert/strict";
import { TransientFault } from "../../lib/fault.ts";
import type { Projection } from "../../lib/runtime/projector.ts";
import { commitOf, newEvent } from "../contracts/store_contract.ts";
import { VirtualEnv } from "../support/virtual_env.ts";
import type { Client } from "./postgres/client.ts";
import type { CommitMishap } from "./postgres/fault_plan.ts";
import type { ReadModel } from "./postgres/projection_store.ts";
import { SimulatedPostgres } from "./postgres/server.ts";

class Bench {
  readonly env = new VirtualEnv();
  readonly server: SimulatedPostgres;
  readonly #struck = new Map<string, CommitMishap>();

  constructor() {
    this.server = new SimulatedPostgres({
      time: this.env,
      seed: 1,
      strike: (client, statement, nth) => this.#struck.get(`${client} ${statement} ${nth}`),
    });
  }

  strike(what: CommitMishap, place: string): void {
    this.#struck.set(place, what);
  }

  node(name = "one"): Client {
    return this.server.connect({ name });
  }

  until<T>(promise: Promise<T>): Promise<T> {
    return this.env.until(promise);
  }

  async record(...keys: readonly string[]): Promise<void> {
    const { store } = this.node("writer");
    for (const key of keys) {
      await this.until(store.commit([commitOf("k", key, { events: [newEvent("Opened")] })]));
    }
  }

  get counted(): ReadonlyMap<string, unknown> | undefined {
    return this.server.tables.readModel.get("counted");
  }
}

/** How often each key was met. */
function counting(changes: Partial<Projection<ReadModel>> = {}): Projection<ReadModel> {
  return {
    name: "counting",
    apply: (model, events) => {
      for (const { address: { key } } of events) {
        model.put("counted", key, Number(model.get("counted", key) ?? 0) + 1);
      }
      return Promise.resolve();
    },
    ...changes,
  };
}

Deno.test("a projection comes page by page to the end, and its rows with its checkpoint", async () => {
  const bench = new Bench();
  await bench.record("a", "b", "c");
  const { projections } = bench.node();
  const pages: number[] = [];
  for (let page = 0; page < 3; page++) {
    pages.push((await bench.until(projections.advance(counting(), 2)))!.events);
  }
  assert.deepEqual(pages, [2, 1, 0]);
  assert.deepEqual([...bench.counted!], [["a", 1], ["b", 1], ["c", 1]]);
  const through = BigInt(await bench.until(projections.through("counting")));
  assert(through >= 3n);
});

Deno.test("one reader at a time has effect", async () => {
  const bench = new Bench();
  await bench.record("a");
  const both = Promise.all(
    ["one", "two"].map((name) => bench.node(name).projections.advance(counting(), 10)),
  );
  const advances = (await bench.until(both)).map((advance) => advance?.events);
  assert.deepEqual(advances.toSorted(), [1, undefined]);
  assert.deepEqual([...bench.counted!], [["a", 1]]);
});

for (const mishap of ["failed commit", "lost reply", "hung, then committed"] as const) {
  Deno.test(`each event counts once, though a page ends so: ${mishap}`, async () => {
    const bench = new Bench();
    await bench.record("a", "b");
    bench.strike(mishap, "one commit page 1");
    const { projections } = bench.node();
    await assert.rejects(bench.until(projections.advance(counting(), 10)), TransientFault);
    await bench.env.advance(15_000);
    await bench.until(projections.advance(counting(), 10));
    await bench.until(projections.advance(counting(), 10));
    assert.deepEqual([...bench.counted!], [["a", 1], ["b", 1]]);
    assert.equal(bench.server.occurred.get(mishap), 1);
  });
}

Deno.test("what a projection throws undoes its page", async () => {
  const bench = new Bench();
  await bench.record("a");
  const failing = counting({
    apply: async (model, events) => {
      await counting().apply(model, events);
      throw new RangeError("no");
    },
  });
  const { projections } = bench.node();
  await assert.rejects(bench.until(projections.advance(failing, 10)), RangeError);
  assert.equal(bench.counted, undefined);
  assert.equal(bench.server.open.size, 0);
  assert.equal((await bench.until(projections.advance(counting(), 10)))!.events, 1);
});

Deno.test("one that starts now passes over what was there, and meets what comes", async () => {
  const bench = new Bench();
  await bench.record("a");
  const { projections } = bench.node();
  const fromNow = counting({ start: "now" });
  assert.equal((await bench.until(projections.advance(fromNow, 10)))!.events, 0);
  await bench.record("b");
  assert.equal((await bench.until(projections.advance(fromNow, 10)))!.events, 1);
  assert.deepEqual([...bench.counted!], [["b", 1]]);
});
