/** That mutants fit and are told apart; whether all are noticed is for `deno task mutants` to see. */
import assert from "node:assert/strict";
import { mutants, tableOf } from "./catalogue.ts";
import { mutated } from "./mutant.ts";
import { Tree } from "./tree.ts";

const PROJECT = new URL("../../../", import.meta.url);

Deno.test("every mutant fits the sources as they are, and changes them", async () => {
  assert.equal(new Set(mutants.map(({ name }) => name)).size, mutants.length);
  for (const mutant of mutants) {
    const source = await Deno.readTextFile(new URL(mutant.file, PROJECT));
    assert.notEqual(mutated(source, mutant), source, mutant.name);
  }
});

Deno.test("the documents list every mutant there is", async () => {
  const document = await Deno.readTextFile(new URL("docs/mutants.md", PROJECT));
  assert(
    document.includes(`\n${tableOf(mutants)}\n`),
    `docs/mutants.md is to have\n${tableOf(mutants)}`,
  );
});

Deno.test("a mutant that does not fit, or fits at two places, is refused", () => {
  const mutant = { ...mutants[0]!, find: "one;", replace: "two;" };
  assert.throws(() => mutated("three;", mutant), /has no such passage/);
  assert.throws(() => mutated("one; one;", mutant), /more than once/);
  assert.equal(mutated("one; three;", mutant), "two; three;");
});

Deno.test("a mistake in a copy is noticed by whom it says, and nothing is where there is none", async () => {
  await using tree = await Tree.copyOf(PROJECT);
  const mutant = mutants.find(({ name }) => name === "told before it is durable")!;
  const noticed = await tree.try(mutant, 3);
  assert(noticed.is === "probed");
  assert.equal(noticed.probed.caught?.invariant, "I1");
  const without = await tree.try({ ...mutant, replace: mutant.find }, 1);
  assert(without.is === "probed");
  assert.deepEqual([without.probed.caught, without.probed.other], [undefined, undefined]);
});

Deno.test("a copy that does not even run is no mutant", async () => {
  await using tree = await Tree.copyOf(PROJECT);
  const trial = await tree.try({ ...mutants[0]!, replace: "this is no TypeScript" }, 1);
  assert(trial.is === "broken");
  assert.match(trial.why, /SyntaxError|parse|Expected/);
});
