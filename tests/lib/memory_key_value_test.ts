import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { MemoryKeyValue } from "../../lib/memory/key_value.ts";
import { keyValueContract } from "../contracts/key_value_contract.ts";
import { VirtualEnv } from "../support/virtual_env.ts";

keyValueContract("in memory", (test) => () => test(new MemoryKeyValue({ env: systemEnv }), "kv"));

Deno.test("in memory: what was set longest ago goes when there is too much", async () => {
  const store = new MemoryKeyValue({ env: new VirtualEnv(), entriesMax: 2 });
  await store.set("a", "1", 1_000);
  await store.set("b", "2", 1_000);
  await store.set("a", "3", 1_000);
  await store.set("c", "4", 1_000);
  assert.deepEqual(
    [await store.get("a"), await store.get("b"), await store.get("c")],
    ["3", undefined, "4"],
  );
});
