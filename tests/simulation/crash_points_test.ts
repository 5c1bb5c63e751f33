/** Some of what `deno task crash-points` does with all of them. */
import assert from "node:assert/strict";
import { mulberry32 } from "../support/seeded.ts";
import { crashedRun, crashedTwice, whereCrashed } from "./crash_points.ts";

const EVERY = 11;
const PAIRS = 15;

Deno.test("a node may end at any point, and what was promised holds", async () => {
  const { points, failure } = await crashedRun([]);
  assert.equal(failure?.message, undefined);
  assert(points > 300, `${points} points are few`);
  for (let point = 1; point <= points; point += EVERY) {
    const report = await crashedRun([point]);
    assert.equal(report.crashedAt.length, 1);
    assert.equal(report.failure?.message, undefined, whereCrashed(report));
  }
});

Deno.test("nodes may end at any two points of one run", async () => {
  const { points } = await crashedRun([]);
  const chance = mulberry32(7);
  for (let pair = 0; pair < PAIRS; pair++) {
    const report = await crashedTwice(chance, points);
    assert.equal(report.failure?.message, undefined, whereCrashed(report));
  }
});

Deno.test("a crash that does not come about fails the run", async () => {
  const { failure } = await crashedRun([1, 1_000_000]);
  assert.match(failure!.message, /no node ended at point 1000000, of \d+/);
});
