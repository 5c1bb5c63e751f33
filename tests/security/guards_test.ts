/** That guards can be taken away, and that who is to notice is there; `deno task mutants:security` tries. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { mutated } from "../simulation/mutants/mutant.ts";
import { guards } from "./guards.ts";
import { testNamesIn } from "./test_names.ts";

const root = join(import.meta.dirname!, "../..");

Deno.test("every guard can be taken away from the sources as they are", async () => {
  assert.equal(new Set(guards.map(({ name }) => name)).size, guards.length);
  for (const guard of guards) {
    const source = await Deno.readTextFile(join(root, guard.file));
    assert.notEqual(mutated(source, guard), source, guard.name);
  }
});

Deno.test("every test that is to notice the loss of a guard is there", async () => {
  for (const { name, noticed: [file, test] } of guards) {
    const tests = testNamesIn(await Deno.readTextFile(join(root, file)));
    assert(tests.has(test), `${name}: ${file} has no "${test}"`);
  }
});
