/**
 * What every key-value store promises, and that the limit script means the same on each.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { KeyValue, Script } from "../../lib/kv/key_value.ts";
import { argumentsOf, decide, decisionIn, limitScript } from "../../lib/limits/limit_script.ts";
import { newMeter } from "../../lib/limits/meter.ts";
import type { Quota } from "../../lib/quotas.ts";

/** Hands the test a store, and a part of its keys that nobody else has. */
export type WithStore = (
  test: (store: KeyValue, prefix: string) => Promise<void>,
) => () => Promise<void>;

export function keyValueContract(name: string, withStore: WithStore): void {
  for (const [behaviour, test] of Object.entries(contract)) {
    Deno.test(`${name}: ${behaviour}`, withStore(test));
  }
}

const HOUR_MS = 3_600_000;
const SHORT_MS = 20;

/** Asks again and again: it is over when the store says so. */
async function untilGone(store: KeyValue, key: string): Promise<void> {
  const until = performance.now() + 10_000;
  while (await store.get(key) !== undefined) {
    assert(performance.now() < until, `${key} never ends`);
  }
}

const contract: Readonly<Record<string, (store: KeyValue, prefix: string) => Promise<void>>> = {
  "what was never set is not there": async (store, prefix) => {
    assert.equal(await store.get(`${prefix}:a`), undefined);
    assert.equal(await store.delete(`${prefix}:a`), false);
  },

  "text comes back as it was, whatever it looks like": async (store, prefix) => {
    const texts = ["", "123", "1e3", "null", "true", '{"a":1}', '"quoted"', "ü\u0000\n€🎻", "OK"];
    for (const [index, text] of texts.entries()) {
      await store.set(`${prefix}:${index}`, text, HOUR_MS);
      assert.equal(await store.get(`${prefix}:${index}`), text);
    }
  },

  "what is set replaces what was there, and its time": async (store, prefix) => {
    await store.set(`${prefix}:a`, "one", HOUR_MS);
    await store.set(`${prefix}:a`, "two", SHORT_MS);
    await untilGone(store, `${prefix}:a`);
  },

  "nothing is there longer than it was to be": async (store, prefix) => {
    await store.set(`${prefix}:a`, "one", SHORT_MS);
    assert.equal(await store.setIfAbsent(`${prefix}:b`, "one", SHORT_MS), true);
    assert.equal(await store.increment(`${prefix}:c`, 2, SHORT_MS), 2);
    await store.set(`${prefix}:d`, "stays", HOUR_MS);
    for (const name of ["a", "b", "c"]) await untilGone(store, `${prefix}:${name}`);
    assert.equal(await store.get(`${prefix}:d`), "stays");
  },

  "of many who set at once what is absent, one succeeds": async (store, prefix) => {
    const names = Array.from({ length: 20 }, (_, index) => `one-${index}`);
    const set = await Promise.all(
      names.map((name) => store.setIfAbsent(`${prefix}:a`, name, HOUR_MS)),
    );
    assert.equal(set.filter(Boolean).length, 1);
    assert.equal(await store.get(`${prefix}:a`), names[set.indexOf(true)]);
  },

  "what was deleted is gone, and may be set anew": async (store, prefix) => {
    await store.set(`${prefix}:a`, "one", HOUR_MS);
    assert.equal(await store.delete(`${prefix}:a`), true);
    assert.equal(await store.get(`${prefix}:a`), undefined);
    assert.equal(await store.setIfAbsent(`${prefix}:a`, "two", HOUR_MS), true);
  },

  "additions made at once all count": async (store, prefix) => {
    const sums = await Promise.all(
      Array.from({ length: 50 }, (_, index) => store.increment(`${prefix}:a`, index, HOUR_MS)),
    );
    assert.equal(Math.max(...sums), 1_225);
    assert.equal(await store.get(`${prefix}:a`), "1225");
  },

  "the time of a sum is that of its first addition": async (store, prefix) => {
    let key: string;
    let attempts = 0;
    do {
      key = `${prefix}:${attempts++}`;
      await store.increment(key, 1, SHORT_MS);
      // On a busy machine the first may be over by then: this is the first of another sum.
    } while (await store.increment(key, 1, HOUR_MS) === 1);
    await untilGone(store, key);
  },

  "a script sees all its keys, and nothing comes in between": async (store, prefix) => {
    const [one, other] = [`{${prefix}}:one`, `{${prefix}}:other`];
    await Promise.all(
      Array.from({ length: 50 }, () => store.run(moveOne, [one, other], [String(HOUR_MS)])),
    );
    assert.deepEqual(
      [await store.get(one), await store.get(other)],
      ["-50", "50"],
    );
  },

  "limits decide as a single node would, request by request": async (store, prefix) => {
    let run = 0;
    await fc.assert(
      fc.asyncProperty(requests, async (requests) => {
        const meters = new Map<string, ReturnType<typeof newMeter>>();
        const tag = `{${prefix}:${run++}}`;
        let now = 1_700_000_000_000;
        for (const { afterMs, quotas } of requests) {
          now += afterMs;
          // One subject under several quotas is as good as several subjects.
          const counted = quotas.map((quota) => ({
            key: `${tag}:${quota.algorithm}:${quota.windowMs}`,
            quota,
          }));
          for (const { key, quota: { algorithm } } of counted) {
            if (!meters.has(key)) meters.set(key, newMeter(algorithm));
          }
          const here = counted.map(({ key, quota }) => [meters.get(key)!, quota] as const);
          const keys = counted.map(({ key }) => key);
          const there = await store.run(limitScript, keys, argumentsOf(quotas, now));
          assert.deepEqual(decisionIn(there), decide(here, now));
        }
      }),
      { numRuns: 60 },
    );
  },

  "limits go by the clock of the store": async (store, prefix) => {
    const quota: Quota = { algorithm: "window", limit: 2, windowMs: HOUR_MS };
    const decisions = [];
    for (let request = 0; request < 3; request++) {
      decisions.push(
        decisionIn(await store.run(limitScript, [`${prefix}:a`], argumentsOf([quota]))),
      );
    }
    assert.deepEqual(decisions.map(({ admitted }) => admitted), [true, true, false]);
    assert.deepEqual(decisions.map(({ standings }) => standings[0]!.remaining), [1, 0, 0]);
    const { moreInMs } = decisions[2]!.standings[0]!;
    assert(moreInMs > HOUR_MS - 60_000 && moreInMs <= HOUR_MS + 1, String(moreInMs));
  },

  "while it is there, it says so": (store) => {
    assert.equal(store.isAvailable, true);
    return Promise.resolve();
  },
};

const moveOne: Script = {
  lua: `
redis.call('SET', KEYS[1], (redis.call('GET', KEYS[1]) or 0) - 1, 'PX', ARGV[1])
redis.call('SET', KEYS[2], (redis.call('GET', KEYS[2]) or 0) + 1, 'PX', ARGV[1])
return {}`,
  here(entries, [one, other], [ttlMs]) {
    entries.set(one!, String(Number(entries.get(one!) ?? 0) - 1), Number(ttlMs));
    entries.set(other!, String(Number(entries.get(other!) ?? 0) + 1), Number(ttlMs));
    return [];
  },
};

/** Limits change under way, as they do while the service tightens them. */
const quota = fc.record({
  algorithm: fc.constantFrom("window" as const, "bucket" as const),
  limit: fc.integer({ min: 1, max: 7 }),
  windowMs: fc.constantFrom(1_000, 60_000, 61_007),
});
const requests = fc.array(
  fc.record({
    afterMs: fc.oneof(
      fc.constantFrom(0, 1, 999, 1_000, 1_001, 60_000, 60_001, 86_400_000),
      fc.integer({ min: 0, max: 70_000 }),
    ),
    quotas: fc.uniqueArray(quota, {
      minLength: 1,
      maxLength: 3,
      selector: ({ algorithm, windowMs }) => `${algorithm}:${windowMs}`,
    }),
  }),
  { minLength: 1, maxLength: 30 },
);
