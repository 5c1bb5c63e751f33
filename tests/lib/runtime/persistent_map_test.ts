import assert from "node:assert/strict";
import fc from "fast-check";
import { PersistentMap } from "../../../lib/runtime/persistent_map.ts";

/** A version, and what an ordinary map says that it holds. */
interface Version {
  readonly map: PersistentMap<number, string>;
  readonly model: ReadonlyMap<number, string>;
}

const keys = 6;

const change = fc.record({
  /** Which of the versions so far is changed; the modulus makes it one that exists. */
  of: fc.nat(),
  key: fc.nat(keys - 1),
  value: fc.option(fc.constantFrom("a", "b", "c"), { nil: undefined }),
  /** Reading all of a version moves the entries to it. */
  thenReadAllOf: fc.option(fc.nat(), { nil: undefined }),
});

function changed({ map, model }: Version, key: number, value: string | undefined): Version {
  const next = new Map(model);
  if (value === undefined) next.delete(key);
  else next.set(key, value);
  return { map: value === undefined ? map.delete(key) : map.set(key, value), model: next };
}

function assertHolds({ map, model }: Version): void {
  assert.equal(map.size, model.size);
  for (let key = 0; key < keys; key++) {
    assert.equal(map.get(key), model.get(key));
    assert.equal(map.has(key), model.has(key));
  }
}

Deno.test("every version keeps what it held, however the others are changed and read", () => {
  fc.assert(fc.property(fc.array(change, { maxLength: 40 }), (changes) => {
    const versions: Version[] = [{ map: PersistentMap.of(), model: new Map() }];
    for (const { of, key, value, thenReadAllOf } of changes) {
      versions.push(changed(versions[of % versions.length]!, key, value));
      if (thenReadAllOf !== undefined) {
        const { map, model } = versions[thenReadAllOf % versions.length]!;
        assert.deepEqual([...map.values()].sort(), [...model.values()].sort());
      }
      versions.forEach(assertHolds);
    }
  }));
});

Deno.test("versions far from one another keep what they held, in whatever order they are read", () => {
  const write = fc.tuple(
    fc.nat(keys - 1),
    fc.option(fc.constantFrom("a", "b"), { nil: undefined }),
  );
  const writes = fc.array(write, { minLength: 100, maxLength: 200, size: "max" });
  fc.assert(fc.property(writes, fc.array(fc.nat(), { maxLength: 100 }), (writes, readings) => {
    const versions: Version[] = [{ map: PersistentMap.of(), model: new Map() }];
    for (const [key, value] of writes) versions.push(changed(versions.at(-1)!, key, value));
    for (const reading of readings) assertHolds(versions[reading % versions.length]!);
    versions.forEach(assertHolds);
  }));
});

Deno.test("an old version is read many times for the price of going back once", () => {
  const count = 60_000;
  const old = PersistentMap.of<number, string>(
    Array.from({ length: count }, (_, key) => [key, "old"]),
  );
  let newest = old;
  for (let key = 0; key < count; key++) newest = newest.set(key, "new");
  const startedAt = performance.now();
  for (let key = count - 1; key >= 0; key--) assert.equal(old.get(key), "old");
  // A walk for each takes far longer, the square of what it takes for one.
  assert(performance.now() - startedAt < 3_000);
  assert.equal(newest.get(0), "new");
});

Deno.test("of two entries under one key the later one counts", () => {
  const map = PersistentMap.of([[1, "a"], [1, "b"]]);
  assert.equal(map.get(1), "b");
  assert.equal(map.size, 1);
});

Deno.test("deleting what is not there gives the same map", () => {
  const map = PersistentMap.of([[1, "a"]]);
  assert.equal(map.delete(2), map);
});

Deno.test("empty maps are one and the same", () => {
  assert.equal(PersistentMap.of(), PersistentMap.of([]));
});

Deno.test("a long history is read and changed without recursion", () => {
  const first = PersistentMap.of([[-1, "first"]]);
  let newest = first;
  for (let key = 0; key < 100_000; key++) newest = newest.set(key, "later");
  assert.equal(first.get(5), undefined);
  assert.deepEqual(first.values(), ["first"]);
  assert.equal(newest.get(5), "later");
  assert.equal(newest.values().length, 100_001);
});
