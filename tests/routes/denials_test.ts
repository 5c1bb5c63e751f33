/** Whoever is kept out is kept in the audit: all of it, and in no more rows than its bounds say. */
import assert from "node:assert/strict";
import { Hono } from "hono";
import { sql } from "kysely";
import { TransientFault } from "../../lib/fault.ts";
import { type CallerEnv, nobody } from "../../lib/http/caller.ts";
import type { Audit, AuditEntry } from "../../lib/runtime/audit.ts";
import type { Operator } from "../../lib/runtime/outbox.ts";
import { CALLERS_MAX, Denials, REST_MS } from "../../routes/denials.ts";
import { Api, eventuallyEqual, itemsOf, published } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { somebodyWho } from "../support/people.ts";
import { VirtualEnv } from "../support/virtual_env.ts";

const database = await databaseOfThisFile();
const CORRELATION = "0190a5c0-7b1e-7000-8000-0000000000cc";

interface Kept extends AuditEntry {
  readonly detail: {
    readonly denials: number;
    readonly path: string;
    readonly operations: Readonly<Record<string, number>>;
  };
}

/** How often each operation was denied to one who acted, by what was kept of it. */
function deniedIn(kept: readonly Pick<Kept, "detail">[]): Readonly<Record<string, number>> {
  const denied: Record<string, number> = {};
  for (const { detail: { operations } } of kept) {
    for (const [id, times] of Object.entries(operations)) denied[id] = (denied[id] ?? 0) + times;
  }
  return denied;
}

/** What makes Postgres refuse a text, and what does when it is cut. */
const oddPaths = [
  "/users/%00",
  "/%00",
  `/events/${"x".repeat(178)}${encodeURIComponent("😀".repeat(20))}`,
  `/${"%F0%9F%98%80".repeat(100)}`,
  "/events/%ED%A0%80",
  `/${"x".repeat(4_000)}`,
];

Deno.test("no path keeps a forged token out of the audit", async () => {
  await using api = new Api(database);
  const headers = { authorization: "Bearer e30.e30.e30", "x-correlation-id": CORRELATION };
  const paths = async () => {
    const { rows } = await sql<{ path: string }>`
      select detail ->> 'path' as path from audit
      where act = 'token denied' and correlation_id = ${CORRELATION} order by id`
      .execute(database.db);
    return rows.map(({ path }) => path);
  };
  const shown: string[] = [];
  for (const path of oddPaths) {
    const answer = await api.http.request(`http://localhost/api/v1${path}`, { headers });
    assert.equal(answer.status, 401, path);
    shown.push(`/api/v1${path}`.slice(0, 200));
    await eventuallyEqual(paths, shown);
  }
  assert.deepEqual(api.observed.filter(({ type }) => type === "maintenance-failed"), []);
});

Deno.test("whatever is denied is kept, be it for a role, for a scope, or for its owner's", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin");
  const kept = async (actor: string) => deniedIn(await itemsOf(root, `/audit?actor=${actor}`));
  const event = await published(api.as("olga", "organizer"));
  const bob = api.as("bob");
  const statuses = [
    await bob.get("/audit"),
    await bob.send("HEAD", "/audit"),
    await bob.get("/users"),
    await bob.get("/dead-letters"),
    await bob.get("/supervision"),
    await bob.get("/projections/x"),
    await bob.get("/performance/resilience"),
    await bob.get("/flows"),
    await bob.get("/orders?accountId=alice"),
    await bob.post("/events", {}),
    await bob.post("/markets/ACME/pause"),
    await bob.post(`${event}/cancel`),
  ].map(({ status }) => status);
  assert.deepEqual(new Set(statuses), new Set([403]));
  await eventuallyEqual(() => kept(bob.id), {
    listAudit: 2,
    listUsers: 1,
    listDeadLetters: 1,
    getSupervision: 1,
    getProjection: 1,
    getResilience: 1,
    listFlows: 1,
    listOrders: 1,
    scheduleEvent: 1,
    pauseMarket: 1,
    cancelEvent: 1,
  });
  assert.equal((await bob.get("/events")).status, 200);

  const person = await somebodyWho(api, "admin");
  const expiresAt = new Date(Date.now() + 86_400_000).toISOString();
  const made = await person.client.post("/api-keys", {
    name: "CI",
    scopes: ["events:read"],
    expiresAt,
  });
  const program = api.bearing(made.body.key);
  assert.equal((await program.get("/dead-letters")).status, 403);
  assert.equal((await program.get("/accounts/me")).status, 403);
  await eventuallyEqual(async () => {
    const denied = await itemsOf(root, `/audit?act=access%20denied&actor=${person.id}`);
    assert(denied.every(({ detail }) => detail.keyId === made.body.id));
    return deniedIn(denied);
  }, { listDeadLetters: 1, getAccount: 1 });
});

/** Keeps in memory what it is given, unless it is away. */
class Shelf implements Audit {
  readonly kept: { readonly entry: Kept; readonly operator: Operator }[] = [];
  isAway = false;

  record(entry: AuditEntry, operator: Operator): Promise<void> {
    if (this.isAway) return Promise.reject(new TransientFault("Away"));
    this.kept.push({ entry: entry as Kept, operator });
    return Promise.resolve();
  }

  get denials(): number {
    return this.kept.reduce((sum, { entry }) => sum + entry.detail.denials, 0);
  }
}

function denyingWith(audit: Audit) {
  const env = new VirtualEnv();
  const failures: unknown[] = [];
  const denials = new Denials({ audit, env, onFailure: (error) => void failures.push(error) });
  const app = new Hono<CallerEnv>().get("*", (c) => {
    const id = c.req.query("as");
    const { principal } = nobody;
    const caller = {
      principal: id === undefined ? principal : { id, roles: [] },
      messageId: CORRELATION,
      correlationId: CORRELATION,
      deadline: 0,
    };
    c.set("caller", caller);
    denials.note(c, id === undefined ? undefined : "listAudit");
    return c.body(null);
  });
  const deny = async (as?: string) => void await app.request(as === undefined ? "/" : `/?as=${as}`);
  return { env, denials, deny, failures };
}

Deno.test("however many are denied, and by however many, each is counted and few rows are written", async () => {
  const shelf = new Shelf();
  const { env, denials, deny } = denyingWith(shelf);
  const TIMES = 3;
  const CALLERS = 200;
  for (let time = 0; time < TIMES; time++) {
    for (let n = 0; n < CALLERS; n++) await deny(`caller-${n}`);
    await deny();
  }
  await env.advance(REST_MS);
  assert.equal(shelf.denials, TIMES * (CALLERS + 1));
  const [first, ...round] = shelf.kept;
  assert.deepEqual([first!.operator.id, first!.entry.detail.denials], ["caller-0", 1]);
  // Beside those who have their own: strangers, and all the rest.
  assert.equal(round.length, CALLERS_MAX + 2);
  const strangers = round.filter(({ entry }) => entry.act === "token denied");
  assert.deepEqual(strangers.map(({ entry }) => entry.detail.denials), [TIMES]);
  await denials[Symbol.asyncDispose]();
  assert.equal(shelf.kept.length, 1 + round.length);
});

Deno.test("what cannot be kept now is kept later, with all that came meanwhile", async () => {
  const shelf = new Shelf();
  const { env, denials, deny, failures } = denyingWith(shelf);
  shelf.isAway = true;
  for (let n = 0; n < 5; n++) {
    await deny();
    await deny("ben");
    await env.advance(REST_MS);
  }
  assert.equal(shelf.denials, 0);
  assert.equal(failures.length, 1, "said once, and not each second");
  shelf.isAway = false;
  await env.advance(REST_MS);
  assert.deepEqual(
    shelf.kept.map(({ entry, operator }) => [entry.act, operator.id, entry.detail.denials]),
    [["token denied", "nobody", 5], ["access denied", "ben", 5]],
  );
  shelf.isAway = true;
  await deny();
  await denials[Symbol.asyncDispose]();
  assert.equal(failures.length, 2, "and it ends, even if nothing can be kept");
});
