/** What is kept of what administrators do, and of who tried to. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { auditKeyOf } from "../../lib/postgres/audit_chain.ts";
import { PostgresAuditSealing } from "../../lib/postgres/audit_seals.ts";
import { Api, assertProblem, type Client, eventuallyEqual, itemsOf } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();
const sealing = new PostgresAuditSealing(database.db, [auditKeyOf(new Uint8Array(32).fill(1))]);
const NOBODY = "0190a5c0-7b1e-7000-8000-00000000000a";
const CORRELATION = "0190a5c0-7b1e-7000-8000-0000000000cc";

interface Kept {
  readonly act: string;
  readonly subject: string;
  readonly outcome: string;
  readonly correlationId?: string;
}

/** All that was kept of one who acted, the first first. */
async function keptOf(admin: Client, { id }: Client = admin): Promise<readonly Kept[]> {
  return (await itemsOf(admin, `/audit?actor=${id}&limit=2`)).toReversed();
}

function saidOf(kept: readonly Kept[]): readonly string[] {
  return kept.map(({ act, subject, outcome }) => `${act} ${subject} ${outcome}`);
}

Deno.test("every command that is for administrators only is kept", async () => {
  await using api = new Api(database);
  const forAdmins = api.operations.filter(({ access, method }) =>
    method !== "get" && typeof access !== "string" && access.every((role) => role === "admin")
  );
  assert(forAdmins.length > 15);
  const unkept = forAdmins.filter(({ act }) => act === undefined).map(({ id }) => id);
  assert.deepEqual(unkept, []);
});

Deno.test("what is done, refused and denied is kept with who, what, on what and as part of what", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin");
  const headers = { "X-Correlation-Id": CORRELATION };
  const symbol = "KEPT";
  await api.as("feed", "feed").post(`/markets/${symbol}/prices`, { price: "10" });
  assert.equal((await root.post(`/markets/${symbol}/pause`, {}, headers)).status, 200);
  assert.equal((await root.post(`/markets/${symbol}/pause`, {}, headers)).status, 409);
  assert.equal((await root.post(`/markets/${symbol}/resume`, {}, headers)).status, 200);
  assert.equal((await root.post(`/flows/${NOBODY}/cancel`, {}, headers)).status, 404);
  assert.equal((await root.post(`/jobs/${NOBODY}/cancel`, {}, headers)).status, 404);
  assert.equal((await root.post(`/flows/${NOBODY}/cancel`, { x: 1 }, headers)).status, 400);
  const job = { type: "live_event.deliver_notices", payload: { notices: [] } };
  const { body: schedule } = await root.post("/schedules", { cron: "0 3 * * *", job }, headers);
  assert.equal((await root.post(`/schedules/${schedule.id}/pause`, {}, headers)).status, 200);
  assert.equal((await root.delete(`/schedules/${schedule.id}`, headers)).status, 204);
  const kept = await keptOf(root);
  assert.deepEqual(saidOf(kept), [
    `market pause market/${symbol} done`,
    `market pause market/${symbol} refused`,
    `market resume market/${symbol} done`,
    `flow cancel flow/${NOBODY} refused`,
    `job cancel job/${NOBODY} refused`,
    `schedule create schedule/${schedule.id} done`,
    `schedule pause schedule/${schedule.id} done`,
    `schedule delete schedule/${schedule.id} done`,
  ]);
  assert(kept.every(({ correlationId }) => correlationId === CORRELATION));

  const ben = api.as("ben", "trader");
  assert.equal((await ben.post(`/markets/${symbol}/pause`)).status, 403);
  assert.equal((await ben.post("/projections/live_event_listing/rebuild")).status, 403);
  assert.equal((await ben.get("/audit")).status, 403);
  const denied = async () => {
    const ofBen = await itemsOf(root, `/audit?actor=${ben.id}&act=access%20denied`);
    assert(ofBen.every(({ outcome }) => outcome === "refused"));
    return ofBen.flatMap(({ detail }) => Object.keys(detail.operations)).toSorted();
  };
  await eventuallyEqual(denied, ["listAudit", "pauseMarket", "rebuildProjection"]);
});

Deno.test("what was made is named", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin");
  const node = { name: "a", type: "live_event.deliver_notices", payload: { notices: [] } };
  const started = await root.post("/flows", { nodes: [node] });
  assert.equal(started.status, 201, started.text);
  assert.deepEqual(saidOf(await keptOf(root)), [`flow start flow/${started.body.id} done`]);
});

Deno.test("what cannot be kept is answered as if nobody knew whether it was done", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin");
  const symbol = "UNKEPT";
  await api.as("feed", "feed").post(`/markets/${symbol}/prices`, { price: "10" });
  const key = { "Idempotency-Key": "pause-1" };
  await sql`
    create function is_away() returns trigger language plpgsql as $$
    begin raise exception 'away' using errcode = '57P03'; end $$`.execute(database.db);
  await sql`create trigger away before insert on audit execute function is_away()`
    .execute(database.db);
  try {
    const answer = await root.post(`/markets/${symbol}/pause`, {}, key);
    assertProblem(answer, 504, "/problems/outcome-unknown");
  } finally {
    await sql`drop trigger away on audit`.execute(database.db);
    await sql`drop function is_away`.execute(database.db);
  }
  const again = await root.post(`/markets/${symbol}/pause`, {}, key);
  assert.deepEqual([again.status, again.body.status], [200, "paused"]);
  assert.deepEqual(saidOf(await keptOf(root)), [`market pause market/${symbol} done`]);
});

Deno.test("the audit is read by administrators, filtered, with its seals and its head", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin");
  await sealing.seal({ limit: 500, all: true });
  await root.post(`/flows/${NOBODY}/cancel`);
  const path = `/audit?act=flow%20cancel&subject=flow/${NOBODY}&actor=${root.id}`;
  const [unsealed] = (await root.get(path)).body.items;
  assert.equal(unsealed.seal, undefined);
  await sealing.seal({ limit: 500, all: true });
  const [sealed] = (await root.get(path)).body.items;
  const head = await root.get("/audit/head");
  assert.deepEqual(sealed, { ...unsealed, seal: head.body });
  assert.match(head.body.mac, /^[0-9a-f]{64}$/);
  const before = await root.get(`${path}&to=${encodeURIComponent(unsealed.at)}`);
  assert.deepEqual(before.body, { items: [] });
  const since = await root.get(`${path}&from=${encodeURIComponent(unsealed.at)}`);
  assert.deepEqual(since.body.items, [sealed]);
  for (const query of ["?limit=0", "?from=yesterday", "?actor=", "?other=1", "?cursor=x"]) {
    assertProblem(await root.get(`/audit${query}`), 400, "/problems/invalid-request");
  }
  for (const route of ["/audit", "/audit/head"]) {
    assert.equal((await api.as("olga", "organizer").get(route)).status, 403);
    assert.equal((await api.bearing(undefined).get(route)).status, 401);
  }
});
