/** When what is kept is sealed, when the newest seal is told, and what is said where it was rewritten. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { AuditRewritten, type AuditSeal, type AuditSealing } from "../../../lib/runtime/audit.ts";
import { AuditSealer, HEAD_EVERY_SEALS } from "../../../lib/runtime/audit_sealer.ts";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const EVERY_MS = 1_000;
const HOUR_MS = 3_600_000;

/** Rows wait here, and are sealed unless something is wrong. */
class Rows implements AuditSealing {
  waiting = 0;
  sealed = 0;
  fault: Error | undefined;

  seal({ limit }: { readonly limit: number }): Promise<number> {
    if (this.fault !== undefined) return Promise.reject(this.fault);
    const rows = Math.min(limit, this.waiting);
    this.waiting -= rows;
    this.sealed += rows;
    return Promise.resolve(rows);
  }

  head(): Promise<AuditSeal | undefined> {
    return Promise.resolve(this.sealed === 0 ? undefined : sealOf(this.sealed));
  }
}

function sealOf(number: number): AuditSeal {
  return { number, mac: "ab".repeat(32) };
}

function sealing() {
  const env = new VirtualEnv();
  const rows = new Rows();
  const observed: RuntimeEvent[] = [];
  const observe = (event: RuntimeEvent) => void observed.push(event);
  const sealer = new AuditSealer({ env, sealing: rows, observe, everyMs: EVERY_MS });
  const heads = () => observed.flatMap((event) => event.type === "audit-head" ? event.number : []);
  const alarms = () => observed.filter(({ type }) => type === "audit-rewritten");
  return { env, rows, observed, sealer, heads, alarms };
}

Deno.test("the newest seal is told each hour, after so many of them, and at the end", async () => {
  const { env, rows, sealer, heads } = sealing();
  rows.waiting = 1;
  sealer.start();
  await env.settle();
  assert.deepEqual(heads(), [1]);
  for (let step = 0; step < 10; step++) {
    rows.waiting = HEAD_EVERY_SEALS / 5;
    await env.advance(EVERY_MS);
  }
  assert.deepEqual(heads(), [1, HEAD_EVERY_SEALS + 1, 2 * HEAD_EVERY_SEALS + 1]);
  await env.advance(HOUR_MS);
  assert.equal(heads().length, 4, "and nothing new was sealed");
  rows.waiting = 3;
  await sealer.stop();
  assert.equal(heads().at(-1), rows.sealed);
  assert.equal(rows.sealed, 2 * HEAD_EVERY_SEALS + 4);
});

Deno.test("an audit that was rewritten is an alarm each hour, until it is what it was", async () => {
  const { env, rows, sealer, observed, alarms } = sealing();
  await using _ = sealer.start();
  await env.settle();
  assert.equal(sealer.health().failure, undefined);
  const [known, found] = [sealOf(7), sealOf(3)];
  rows.fault = new AuditRewritten(known, found);
  rows.waiting = 5;
  await env.advance(60 * EVERY_MS);
  assert.deepEqual(alarms(), [{ type: "audit-rewritten", known, found }]);
  assert.match(sealer.health().failure!.message, /rewritten: seal 7 is not what it was/);
  assert.equal(sealer.health().state, "running", "it is no defect, and is looked at again");
  await env.advance(HOUR_MS);
  assert.equal(alarms().length, 2);
  assert.equal(rows.sealed, 0);
  rows.fault = undefined;
  await env.advance(EVERY_MS);
  assert.deepEqual([rows.sealed, sealer.health().failure], [5, undefined]);
  rows.fault = new AuditRewritten(known, undefined);
  await env.advance(EVERY_MS);
  assert.deepEqual(alarms().at(-1), { type: "audit-rewritten", known });
  assert.equal(alarms().length, 3, "at once, where it is a new one");
  assert(observed.every(({ type }) => ["audit-head", "audit-rewritten"].includes(type)));
});

Deno.test("a store that is away is said once, and what waits is sealed when it is back", async () => {
  const { env, rows, sealer, observed } = sealing();
  rows.waiting = 2;
  rows.fault = new TransientFault("Away");
  await using _ = sealer.start();
  await env.advance(10 * EVERY_MS);
  assert.deepEqual(observed.map(({ type }) => type), ["maintenance-failed"]);
  rows.fault = undefined;
  await env.advance(EVERY_MS);
  assert.equal(rows.sealed, 2);
});
