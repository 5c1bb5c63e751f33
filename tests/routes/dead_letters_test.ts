/** What administrators see of the messages that nobody could handle, and do about them. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import type { Address } from "../../lib/runtime/envelope.ts";
import type { NewMessage } from "../../lib/runtime/store.ts";
import { commitOf, newEvent } from "../contracts/store_contract.ts";
import { type Answer, Api, assertProblem, itemsOf } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { postIn } from "../support/post.ts";

const database = await databaseOfThisFile();
const { store, outbox } = postIn(database);

const INVALID = "/problems/invalid-request";
const NOT_FOUND = "/problems/dead-letter-not-found";
const NOBODY = "01900000-0000-7000-8000-000000000000";
const TOLD_AT = "2020-01-01T12:00:00.000Z";

interface Letter {
  readonly id: string;
  readonly key: string;
}

/** Nobody hosts it, and no other test knows it. */
function newKind(): string {
  return `lost_${crypto.randomUUID()}`;
}

function messageTo(to: Address, note: string): NewMessage {
  return {
    messageId: crypto.randomUUID(),
    to,
    schema: 2,
    command: { type: "Receive", note },
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principal: { id: "ana", roles: ["clerk"] },
    delayMs: 0,
  };
}

/**
 * A dead letter to each of the keys, in their order.
 *
 * It runs before there is a node: whoever claims first has the lanes. They stay claimed, so that
 * later on no relay takes what is put back, and it can be seen where it lies.
 */
async function buried(kind: string, ...keys: readonly string[]): Promise<readonly Letter[]> {
  const messages = keys.map((key, index) => messageTo({ kind, key }, `note ${index}`));
  await store.commit([commitOf(newKind(), "sender", {
    at: Date.parse(TOLD_AT),
    events: [newEvent("Sent")],
    messages,
  })]);
  const lanes = [...new Set(keys)].map((key) => ({ kind, key }));
  for (const lane of await outbox.claim(lanes, { token: 1, leaseMs: 3_600_000, limit: 100 })) {
    const { address, token } = lane;
    for (const { position } of lane.messages) {
      const why = { attempts: 8, error: "RangeError: the box exploded", isParked: false };
      assert.equal(await outbox.bury({ address, token, position, ...why }), true);
    }
  }
  return messages.map(({ messageId, to }) => ({ id: messageId, key: to.key }));
}

/** What waits in the outbox for actors of that kind. */
async function waiting(kind: string): Promise<readonly { id: string; command: unknown }[]> {
  const { rows } = await sql<{ id: string; command: unknown }>`
    select message_id::text as id, command from outbox where kind = ${kind} order by position`
    .execute(database.db);
  return rows;
}

interface AuditRow {
  readonly principal: string;
  readonly act: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

async function audited({ id }: Pick<Letter, "id">): Promise<readonly AuditRow[]> {
  const { rows } = await sql<AuditRow>`
    select principal, act, detail from audit where subject = ${`dead_letter/${id}`} order by id`
    .execute(database.db);
  return rows;
}

/** What the audit says of a letter: nothing that a person may want to have forgotten. */
async function described(actor: string, command: unknown, attempts: number) {
  const { rows } = await sql<{ commandSha256: string }>`
    select encode(sha256(convert_to(${JSON.stringify(command)}::text::jsonb::text, 'UTF8')), 'hex')
      as "commandSha256"`.execute(database.db);
  return { actor, attempts, ...rows[0]! };
}

function actsOf(rows: readonly AuditRow[]): readonly string[] {
  return rows.map(({ principal, act }) => `${principal}: ${act}`);
}

function idsOf(items: readonly { readonly id: string }[]): readonly string[] {
  return items.map(({ id }) => id);
}

/** Every request there is, with a body that is accepted. */
function requests({ id }: Pick<Letter, "id">, kind: string) {
  return [
    ["GET", "/dead-letters", undefined],
    ["GET", `/dead-letters/${id}`, undefined],
    ["PATCH", `/dead-letters/${id}`, { command: { type: "Receive", note: "x" } }],
    ["POST", `/dead-letters/${id}/redrive`, {}],
    ["POST", "/dead-letters/redrive", { kind }],
    ["DELETE", `/dead-letters/${id}`, undefined],
  ] as const;
}

Deno.test("dead letters are for administrators alone, and nobody else changes any", async () => {
  const kind = newKind();
  const [letter] = await buried(kind, "a");
  await using api = new Api(database);
  const outsiders = [
    [api.as("alice"), 403, "/problems/forbidden"],
    [api.as("olga", "organizer"), 403, "/problems/forbidden"],
    [api.bearing(undefined), 401, "/problems/unauthenticated"],
    [api.bearing("nonsense"), 401, "/problems/unauthenticated"],
  ] as const;
  for (const [method, path, body] of requests(letter!, kind)) {
    for (const [client, status, type] of outsiders) {
      const content = body === undefined ? undefined : JSON.stringify(body);
      const headers = { "content-type": "application/json" };
      assertProblem(await client.send(method, path, content, headers), status, type);
    }
  }
  const seen = await api.as("root", "admin").get(`/dead-letters/${letter!.id}`);
  assert.equal(seen.body.command.note, "note 0");
  assert.deepEqual(await audited(letter!), []);
});

Deno.test("a dead letter shows what was told, on whose behalf, and why it was given up", async () => {
  const kind = newKind();
  const before = Date.now();
  const [letter] = await buried(kind, "a/b");
  await using api = new Api(database);
  const { status, body } = await api.as("root", "admin").get(`/dead-letters/${letter!.id}`);
  assert.equal(status, 200);
  const { correlationId, causationId, buriedAt, ...rest } = body;
  assert.deepEqual(rest, {
    id: letter!.id,
    kind,
    key: "a/b",
    command: { type: "Receive", note: "note 0" },
    schema: 2,
    principalId: "ana",
    toldAt: TOLD_AT,
    attempts: 8,
    error: "RangeError: the box exploded",
  });
  for (const id of [correlationId, causationId]) assert.match(id, /^[0-9a-f-]{36}$/);
  assert(Date.parse(buriedAt) >= before - 1);
});

Deno.test("an id is known in capitals too", async () => {
  const [letter] = await buried(newKind(), "a");
  await using api = new Api(database);
  const { status, body } = await api.as("root", "admin")
    .get(`/dead-letters/${letter!.id.toUpperCase()}`);
  assert.deepEqual([status, body.id], [200, letter!.id]);
});

Deno.test("dead letters are listed in the order in which they were told, page by page", async () => {
  const kind = newKind();
  const letters = await buried(kind, "a", "b", "a", "c", "b");
  await buried(newKind(), "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  for (const limit of [1, 2, 4, 5, 200]) {
    const items = await itemsOf(admin, `/dead-letters?kind=${kind}&limit=${limit}`);
    assert.deepEqual(idsOf(items), idsOf(letters), `in pages of ${limit}`);
  }
  const first = await admin.get(`/dead-letters?kind=${kind}&limit=5`);
  assert.equal(first.body.nextCursor, undefined, "a full page need not have another behind it");
});

Deno.test("dead letters are listed by kind, by actor, or all of them", async () => {
  const [kind, other] = [newKind(), newKind()];
  const letters = await buried(kind, "a", "b", "a");
  const [stranger] = await buried(other, "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const of = async (query: string) => idsOf(await itemsOf(admin, `/dead-letters${query}`));
  assert.deepEqual(await of(`?kind=${other}`), [stranger!.id]);
  assert.deepEqual(await of(`?kind=${kind}&key=a`), [letters[0]!.id, letters[2]!.id]);
  assert.deepEqual(await of(`?kind=${kind}&key=nobody`), []);
  assert.deepEqual(await of(`?kind=${newKind()}`), []);
  const all = new Set(await of("?limit=200"));
  for (const { id } of [...letters, stranger!]) assert(all.has(id));
  const byKey = new Set(await of("?key=a&limit=200"));
  assert(byKey.has(stranger!.id) && !byKey.has(letters[1]!.id));
});

Deno.test("an edited letter reads as edited from then on, and the audit keeps the digest of what it was", async () => {
  const kind = newKind();
  const [letter, untouched] = await buried(kind, "a", "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}`;
  const command = { type: "Receive", note: "mended", more: [1, null, { Ωμέγα: true }] };
  const edited = await admin.patch(path, { command });
  assert.equal(edited.status, 200);
  assert.deepEqual([edited.body.command, edited.body.schema], [command, 2]);
  assert.deepEqual((await admin.get(path)).body, edited.body);

  const again = await admin.patch(path, { command: {}, schema: 3 });
  assert.deepEqual([again.body.command, again.body.schema], [{}, 3]);
  assert.equal(
    (await admin.get(`/dead-letters/${untouched!.id}`)).body.command.note,
    "note 1",
    "no other letter changes",
  );
  const rows = await audited(letter!);
  assert.deepEqual(actsOf(rows), Array(2).fill(`${admin.id}: dead-letter edit`));
  const actor = `${kind}/a`;
  const { attempts } = edited.body;
  assert.deepEqual(rows.map(({ detail }) => detail), [
    await described(actor, { type: "Receive", note: "note 0" }, attempts),
    await described(actor, command, attempts),
  ]);
  assert.deepEqual(await waiting(kind), [], "nothing is put back by that");
});

Deno.test("a letter that is put back lies in the outbox, and is no dead letter any more", async () => {
  const kind = newKind();
  const [letter, other] = await buried(kind, "a", "b");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}`;
  const before = await admin.get(path);
  const raised = await admin.post(`${path}/redrive`);
  assert.equal(raised.status, 200);
  assert.deepEqual(raised.body, before.body);
  const command = { type: "Receive", note: "note 0" };
  assert.deepEqual(await waiting(kind), [{ id: letter!.id, command }]);
  assertProblem(await admin.get(path), 404, NOT_FOUND);
  assertProblem(await admin.post(`${path}/redrive`), 404, NOT_FOUND);
  assert.deepEqual(idsOf(await itemsOf(admin, `/dead-letters?kind=${kind}`)), [other!.id]);
  const [row, ...more] = await audited(letter!);
  assert.deepEqual(actsOf([row!, ...more]), [`${admin.id}: dead-letter redrive`]);
  assert.deepEqual(row!.detail, await described(`${kind}/a`, command, before.body.attempts));
});

Deno.test("what is edited is put back as it now reads", async () => {
  const kind = newKind();
  const [letter] = await buried(kind, "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}`;
  await admin.patch(path, { command: { note: "mended" } });
  await admin.post(`${path}/redrive`, {});
  assert.deepEqual(await waiting(kind), [{ id: letter!.id, command: { note: "mended" } }]);
});

Deno.test("all letters to a kind are put back, the first told first, as many as asked for", async () => {
  const [kind, other] = [newKind(), newKind()];
  const letters = await buried(kind, "a", "b", "a");
  await buried(other, "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const redrive = async (body: unknown) => {
    const answer = await admin.post("/dead-letters/redrive", body);
    assert.equal(answer.status, 200, answer.text);
    return answer.body;
  };
  assert.deepEqual(await redrive({ kind, limit: 2 }), { redriven: 2 });
  assert.deepEqual(idsOf(await waiting(kind)), idsOf(letters.slice(0, 2)));
  assert.deepEqual(await redrive({ kind }), { redriven: 1 });
  assert.deepEqual(idsOf(await waiting(kind)), idsOf(letters));
  assert.deepEqual(await redrive({ kind }), { redriven: 0 });
  assert.deepEqual(await waiting(other), [], "and none of another");
  for (const letter of letters) {
    assert.deepEqual(actsOf(await audited(letter)), [`${admin.id}: dead-letter redrive`]);
  }
});

Deno.test("a letter that is dropped is gone for good, and the audit says which it was", async () => {
  const kind = newKind();
  const [letter] = await buried(kind, "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}`;
  const { attempts } = (await admin.get(path)).body;
  const dropped = await admin.delete(path);
  assert.deepEqual([dropped.status, dropped.text], [204, ""]);
  assertProblem(await admin.delete(path), 404, NOT_FOUND);
  assert.deepEqual(idsOf(await itemsOf(admin, `/dead-letters?kind=${kind}`)), []);
  assert.deepEqual(await waiting(kind), []);
  const rows = await audited(letter!);
  assert.deepEqual(actsOf(rows), [`${admin.id}: dead-letter discard`]);
  const command = { type: "Receive", note: "note 0" };
  assert.deepEqual(rows[0]!.detail, await described(`${kind}/a`, command, attempts));
});

Deno.test("to what is not there nothing is done, and nothing of it is audited", async () => {
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${NOBODY}`;
  const answers: readonly Answer[] = [
    await admin.get(path),
    await admin.patch(path, { command: {} }),
    await admin.post(`${path}/redrive`),
    await admin.delete(path),
  ];
  for (const answer of answers) assertProblem(answer, 404, NOT_FOUND);
  assert.deepEqual(await audited({ id: NOBODY }), []);
});

Deno.test("what is no id is a bad request", async () => {
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  for (const id of ["1", "x".repeat(36), `${NOBODY}0`, "%00", "%F0%9F%93%AE"]) {
    const path = `/dead-letters/${id}`;
    assertProblem(await admin.get(path), 400, INVALID);
    assertProblem(await admin.patch(path, { command: {} }), 400, INVALID);
    assertProblem(await admin.post(`${path}/redrive`), 400, INVALID);
    assertProblem(await admin.delete(path), 400, INVALID);
  }
});

Deno.test("a list is asked for by what it knows alone", async () => {
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const cursorOf = (place: unknown) => btoa(JSON.stringify(place)).replaceAll("=", "");
  const queries = [
    "limit=0",
    "limit=201",
    "limit=-1",
    "limit=1.5",
    "limit=x",
    "kind=",
    `kind=${"k".repeat(101)}`,
    "kind=%00",
    "kind=a&kind=b",
    "key=",
    `key=${"k".repeat(501)}`,
    "cursor=",
    "cursor=!",
    "cursor=bm9uc2Vuc2U",
    `cursor=${cursorOf([])}`,
    `cursor=${cursorOf([-1])}`,
    `cursor=${cursorOf(["1"])}`,
    `cursor=${cursorOf([1, 2])}`,
    `cursor=${cursorOf([1e300])}`,
    "after=1",
    "__proto__=1",
  ];
  for (const query of queries) {
    assertProblem(await admin.get(`/dead-letters?${query}`), 400, INVALID);
  }
});

Deno.test("an edit is what a command can be, and nothing else", async () => {
  const [letter] = await buried(newKind(), "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}`;
  const bodies = [
    {},
    { command: null },
    { command: "Receive" },
    { command: [] },
    { schema: 1 },
    { command: {}, schema: 0 },
    { command: {}, schema: 32_768 },
    { command: {}, schema: 1.5 },
    { command: {}, schema: "1" },
    { command: {}, schema: null },
    { command: {}, error: "none" },
    { command: {}, kind: "other" },
  ];
  for (const body of bodies) assertProblem(await admin.patch(path, body), 400, INVALID);
  assert.equal((await admin.get(path)).body.command.note, "note 0");
  assert.deepEqual(await audited(letter!), []);
});

Deno.test("an edit that no store can keep is a bad request", async () => {
  const [letter] = await buried(newKind(), "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}`;
  const bodies = [
    { command: { note: "\0" } },
    { command: { "\0": 1 } },
    { command: { note: "\ud83d" } },
    { command: { deep: [{ note: ["\udcee"] }] } },
  ];
  for (const body of bodies) assertProblem(await admin.patch(path, body), 400, INVALID);
  assert.deepEqual(api.bugs, []);
});

Deno.test("an edit that is nested too deep is a bad request", async () => {
  const [letter] = await buried(newKind(), "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const content = `{"command":{"a":${"[".repeat(30_000)}${"]".repeat(30_000)}}}`;
  const headers = { "content-type": "application/json" };
  const answer = await admin.send("PATCH", `/dead-letters/${letter!.id}`, content, headers);
  assertProblem(answer, 400, INVALID);
  assert.deepEqual(api.bugs, []);
});

Deno.test("an edit keeps every field that it was given", async () => {
  const [letter] = await buried(newKind(), "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const command = '{"constructor":{"a":1},"toString":"c","hasOwnProperty":null}';
  const headers = { "content-type": "application/json" };
  const path = `/dead-letters/${letter!.id}`;
  const answer = await admin.send("PATCH", path, `{"command":${command}}`, headers);
  assert.equal(answer.status, 200, answer.text);
  assert.deepEqual(answer.body.command, JSON.parse(command));
});

Deno.test("to put back all letters takes a kind, and a limit that is one", async () => {
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const kind = newKind();
  const bodies = [
    {},
    { kind: "" },
    { kind: 1 },
    { kind: "k".repeat(101) },
    { kind: "\0" },
    { kind, limit: 0 },
    { kind, limit: 1_001 },
    { kind, limit: "1" },
    { kind, limit: null },
    { kind, key: "a" },
  ];
  for (const body of bodies) {
    assertProblem(await admin.post("/dead-letters/redrive", body), 400, INVALID);
  }
  const { status, headers } = await admin.post("/dead-letters/redrive");
  assert.deepEqual([status, headers.get("content-type")], [415, "application/problem+json"]);
});

Deno.test("to put one letter back takes nothing more than its id", async () => {
  const kind = newKind();
  const [letter] = await buried(kind, "a");
  await using api = new Api(database);
  const admin = api.as("root", "admin");
  const path = `/dead-letters/${letter!.id}/redrive`;
  for (const body of [{ kind }, { limit: 1 }, [], null]) {
    assertProblem(await admin.post(path, body), 400, INVALID);
  }
  assert.deepEqual(await waiting(kind), []);
});
