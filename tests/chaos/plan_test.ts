/** The plan of a run follows from its seed, and leaves out nothing that the machine can do. */
import assert from "node:assert/strict";
import { drawnPlan, faultKinds, type PlanOptions } from "./plan.ts";

const HALF_AN_HOUR_MS = 1_800_000;
const SHORT_MS = 90_000;

const long: PlanOptions = {
  seed: 7,
  forMs: HALF_AN_HOUR_MS,
  nodes: 3,
  edges: ["clients", "database", "redis"],
  kinds: faultKinds,
};

Deno.test("one seed draws one plan, and another another", () => {
  assert.deepEqual(drawnPlan(long), drawnPlan(long));
  assert.notDeepEqual(drawnPlan(long).episodes, drawnPlan({ ...long, seed: 8 }).episodes);
});

Deno.test("every kind has its turn before any has a second, in the order of the list if time is short", () => {
  const firstRound = (forMs: number) => {
    const { episodes } = drawnPlan({ ...long, forMs });
    return episodes.slice(0, faultKinds.length).map(([fault]) => fault!.kind);
  };
  assert.deepEqual(firstRound(SHORT_MS), [...faultKinds]);
  assert.notDeepEqual(firstRound(HALF_AN_HOUR_MS), [...faultKinds]);
  assert.deepEqual(firstRound(HALF_AN_HOUR_MS).toSorted(), [...faultKinds].toSorted());
});

Deno.test("what the machine cannot do is in no plan", () => {
  const kinds = faultKinds.filter((kind) => !kind.startsWith("redis-"));
  const { episodes } = drawnPlan({ ...long, kinds, edges: ["clients", "database"] });
  const drawn = episodes.flat();
  assert(drawn.every(({ kind, edge }) => kinds.includes(kind) && edge !== "redis"));
});

Deno.test("half an hour has room for a hundred kills and forty crashes of the database", () => {
  const crashes = [
    "database-immediate",
    "backend-kill",
    "postmaster-kill",
    "wal-error",
    "wal-full",
  ];
  // As many episodes as fit if each takes ten seconds with all that follows.
  const drawn = drawnPlan(long).episodes.slice(0, HALF_AN_HOUR_MS / 10_000).flat();
  const kills = drawn.filter(({ kind }) => kind === "kill").flatMap(({ nodes }) => nodes);
  assert(kills.length >= 100, `${kills.length} kills`);
  const struck = drawn.filter(({ kind }) => crashes.includes(kind)).length;
  assert(struck >= 40, `${struck} crashes`);
});

Deno.test("in a short run nothing is long, and what cuts at a commit stands where commits pass", () => {
  const { episodes } = drawnPlan({ ...long, forMs: SHORT_MS });
  for (const { kind, ms, edge, nodes } of episodes.flat()) {
    assert(ms <= 4_000, `${kind} takes ${ms} ms`);
    if (kind.startsWith("cut-")) assert.equal(edge, "database");
    assert(nodes.length >= 1 && new Set(nodes).size === nodes.length && Math.max(...nodes) < 3);
  }
});
