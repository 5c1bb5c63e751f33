import assert from "node:assert/strict";
import fc from "fast-check";
import { backoffMs } from "../../../lib/resilience/backoff.ts";

const chance = fc.double({ min: 0, max: 1, maxExcluded: true, noNaN: true });

Deno.test("a wait doubles from 20 ms to 2 s, and half of it is chance", () => {
  const bounds = [1, 2, 3, 7, 8, 100].map((
    attempt,
  ) => [backoffMs(attempt, 0), backoffMs(attempt, 1)]);
  assert.deepEqual(bounds, [
    [10, 20],
    [20, 40],
    [40, 80],
    [640, 1_280],
    [1_000, 2_000],
    [1_000, 2_000],
  ]);
});

Deno.test("no wait is outside its bounds, after however many attempts", () => {
  fc.assert(fc.property(fc.integer({ min: 1, max: 5_000 }), chance, (attempt, random) => {
    const ms = backoffMs(attempt, random);
    assert(ms >= 10 && ms <= 2_000);
  }));
});
