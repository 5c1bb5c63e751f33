import assert from "node:assert/strict";
import fc from "fast-check";
import {
  joined,
  type Line,
  lineOf,
  tidied,
  withoutFirst,
} from "../../../lib/runtime/persistent_line.ts";

const step = fc.oneof(
  { weight: 10, arbitrary: fc.record({ is: fc.constant("join" as const) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("leave" as const), many: fc.nat(20) }) },
  { weight: 1, arbitrary: fc.record({ is: fc.constant("return" as const), steps: fc.nat(5) }) },
);

const stream = fc.array(step, { minLength: 100, maxLength: 400, size: "max" });

/** Those who have not left; the line may still know of others. */
function standingIn({ places, start, end }: Line<number>, left: ReadonlySet<number>): number[] {
  return places.slice(start, end).filter((place) => !left.has(place));
}

Deno.test("whoever joins, leaves or goes back: the line is what a list would be", () => {
  let longest = 0;
  fc.assert(
    fc.property(fc.boolean(), stream, (isInTurn, steps) => {
      type Version = { line: Line<number>; list: number[]; left: ReadonlySet<number> };
      const versions: Version[] = [{ line: lineOf(0), list: [0], left: new Set() }];
      let next = 1;
      for (const step of steps) {
        const { line, list, left } = versions.at(-1)!;
        if (step.is === "return") {
          versions.length = Math.max(1, versions.length - step.steps);
        } else if (step.is === "join") {
          versions.push({ line: joined(line, next), list: [...list, next++], left });
        } else if (isInTurn) {
          const count = Math.min(step.many, list.length);
          versions.push({ line: withoutFirst(line, count), list: list.slice(count), left });
        } else {
          const gone = new Set([...left, ...list.filter((_, at) => at % 21 === step.many)]);
          const still = list.filter((place) => !gone.has(place));
          const tidy = tidied(line, still.length, (place) => gone.has(place));
          versions.push({ line: tidy, list: still, left: gone });
        }
      }
      for (const { line, list, left } of versions) {
        assert.deepEqual(standingIn(line, left), list);
        longest = Math.max(longest, list.length);
      }
    }),
    { numRuns: 300 },
  );
  assert(longest > 100);
});

Deno.test("those who have left are not kept for ever", () => {
  let line = lineOf(0);
  for (let place = 1; place < 10_000; place++) line = withoutFirst(joined(line, place), 1);
  assert(line.places.length < 200, `${line.places.length} places for 1`);
});
