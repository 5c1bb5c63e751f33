import assert from "node:assert/strict";
import { PoisonFault, TransientFault } from "../../../lib/fault.ts";
import { type Stage, toFault } from "../../../lib/postgres/faults.ts";

type Expected = TransientFault["outcome"] | "poison" | "bug";

/** What a code means when the statement was not sent; sent, but not to be committed; committing. */
const table: Record<
  string,
  readonly [unsent: Expected, uncommitted: Expected, committing: Expected]
> = {
  "40001 serialization failure": ["not-applied", "not-applied", "not-applied"],
  "40P01 deadlock": ["not-applied", "not-applied", "not-applied"],
  "55P03 lock not available": ["not-applied", "not-applied", "not-applied"],
  "57014 query cancelled": ["not-applied", "not-applied", "not-applied"],
  "53100 disk full": ["not-applied", "not-applied", "not-applied"],
  "58030 I/O error": ["not-applied", "not-applied", "not-applied"],
  "25006 read-only transaction": ["not-applied", "not-applied", "not-applied"],

  "53300 too many connections": ["not-applied", "not-applied", "not-applied"],
  "57P03 cannot connect now": ["not-applied", "not-applied", "not-applied"],
  "08001 unable to connect": ["not-applied", "not-applied", "not-applied"],
  "28P01 invalid password": ["not-applied", "not-applied", "not-applied"],
  "3D000 no such database": ["not-applied", "not-applied", "not-applied"],
  "ECONNREFUSED": ["not-applied", "not-applied", "not-applied"],
  "CONNECT_TIMEOUT": ["not-applied", "not-applied", "not-applied"],

  "57P01 admin shutdown": ["not-applied", "not-applied", "unknown"],
  "57P02 crash shutdown": ["not-applied", "not-applied", "unknown"],
  "08003 connection does not exist": ["not-applied", "not-applied", "unknown"],
  "08006 connection failure": ["not-applied", "not-applied", "unknown"],
  "40003 completion unknown": ["not-applied", "not-applied", "unknown"],
  "25P03 idle in transaction": ["not-applied", "not-applied", "unknown"],
  "CONNECTION_CLOSED": ["not-applied", "not-applied", "unknown"],
  "CONNECTION_DESTROYED": ["not-applied", "not-applied", "unknown"],
  "ECONNRESET": ["not-applied", "not-applied", "unknown"],
  "EPIPE": ["not-applied", "not-applied", "unknown"],

  "22P02 invalid text": ["poison", "poison", "poison"],
  "22P05 untranslatable character": ["poison", "poison", "poison"],
  "22003 out of range": ["poison", "poison", "poison"],
  "23505 unique violation": ["poison", "poison", "poison"],
  "23514 check violation": ["poison", "poison", "poison"],
  "54000 program limit exceeded": ["poison", "poison", "poison"],

  "42P01 undefined table": ["bug", "bug", "bug"],
  "42601 syntax error": ["bug", "bug", "bug"],
  "25P02 in failed transaction": ["bug", "bug", "bug"],
  "0A000 not supported": ["bug", "bug", "bug"],
  "XX000 internal error": ["bug", "bug", "bug"],
};

const stages: readonly Stage[] = ["unsent", "uncommitted", "committing"];

for (const [name, row] of Object.entries(table)) {
  Deno.test(`faults: ${name} is ${[...new Set(row)].join(" or ")}`, () => {
    const error = driverError({ code: name.split(" ")[0]! });
    assert.deepEqual(stages.map((stage) => kindOf(toFault(error, stage), error)), row);
  });
}

Deno.test("faults: a server that panics may have committed, whatever made it panic", () => {
  const error = driverError({ code: "58030", severity: "PANIC" });
  assert.equal(kindOf(toFault(error, "committing"), error), "unknown");
  assert.equal(kindOf(toFault(error, "uncommitted"), error), "not-applied");
});

Deno.test("faults: what no driver has thrown is a bug", () => {
  for (const error of [new TypeError("no"), "text", undefined, { code: "40001" }]) {
    assert.equal(toFault(error, "committing"), error);
  }
});

function driverError(fields: { readonly code: string; readonly severity?: string }): Error {
  return Object.assign(new Error("as the driver says it"), fields);
}

function kindOf(fault: unknown, error: Error): Expected {
  if (fault === error) return "bug";
  assert.equal((fault as Error).cause, error, "the cause is kept");
  if (fault instanceof PoisonFault) return "poison";
  assert(fault instanceof TransientFault);
  return fault.outcome;
}
