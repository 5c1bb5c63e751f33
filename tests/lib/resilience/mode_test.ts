import assert from "node:assert/strict";
import {
  type Conditions,
  type Mode,
  type ModeChange,
  modeOf,
  namesOf,
  noConditions,
  ServiceMode,
} from "../../../lib/resilience/mode.ts";

const kv = { isKvAway: true };
const shedding = { isShedding: true };
const database = { isDatabaseAway: true };
const writing = { isWritingRefused: true };
const draining = { isDraining: true };

const table: readonly (readonly [Partial<Conditions>, Mode, readonly string[]])[] = [
  [{}, "normal", []],
  [kv, "no-kv", ["kv-away"]],
  [shedding, "shedding", ["shedding"]],
  [{ ...shedding, ...kv }, "shedding", ["shedding", "kv-away"]],
  [database, "read-only", ["database-away"]],
  [writing, "read-only", ["writing-refused"]],
  [{ ...writing, ...database }, "read-only", ["database-away", "writing-refused"]],
  [{ ...kv, ...shedding, ...writing }, "read-only", ["writing-refused", "shedding", "kv-away"]],
  [draining, "draining", ["draining"]],
  [
    { ...kv, ...shedding, ...writing, ...database, ...draining },
    "draining",
    ["draining", "database-away", "writing-refused", "shedding", "kv-away"],
  ],
];

for (const [some, mode, names] of table) {
  const conditions = { ...noConditions, ...some };
  Deno.test(`with ${names.join(", ") || "nothing"} the mode is ${mode}`, () => {
    assert.equal(modeOf(conditions), mode);
    assert.deepEqual(namesOf(conditions), names);
  });
}

Deno.test("who follows the mode hears of every other one, once, and why", () => {
  const changes: ModeChange[] = [];
  const service = new ServiceMode((change) => void changes.push(change));
  service.note(shedding);
  service.note(shedding);
  service.note(kv);
  service.note(database);
  service.note(writing);
  service.note({ isDatabaseAway: false, isWritingRefused: false });
  service.note({ isShedding: false, isKvAway: false });
  assert.deepEqual(changes, [
    { mode: "shedding", before: "normal", because: ["shedding"] },
    {
      mode: "read-only",
      before: "shedding",
      because: ["database-away", "shedding", "kv-away"],
    },
    { mode: "shedding", before: "read-only", because: ["shedding", "kv-away"] },
    { mode: "normal", before: "shedding", because: [] },
  ]);
});
