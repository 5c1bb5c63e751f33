/** The outbox and its dead letters where several sessions want the same rows. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { type Database, openDatabase } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import type { Address } from "../../lib/runtime/envelope.ts";
import type { ClaimedLane } from "../../lib/runtime/outbox.ts";
import { migrations } from "../../migrations/all.ts";
import type { Post } from "../contracts/outbox_contract.ts";
import { commitOf, newEvent, newKind } from "../contracts/store_contract.ts";
import { createServerDatabase } from "../support/database.ts";
import { postIn } from "../support/post.ts";

const PAST = Date.parse("2020-01-01T12:00:00Z");
const whole = {
  leaseMs: 3_600_000,
  limit: 100,
  get token() {
    return Math.floor(Math.random() * 2 ** 53);
  },
};
const root = { id: "root" };

interface Nodes extends AsyncDisposable {
  readonly database: Database;
  readonly post: Post;
  /** The same outbox as another node sees it. */
  readonly other: Post;
}

async function openNodes(): Promise<Nodes> {
  await using opening = new AsyncDisposableStack();
  const { url } = opening.use(await createServerDatabase());
  const [database, another] = [
    opening.use(await openDatabase({ url })),
    opening.use(await openDatabase({ url })),
  ];
  await migrateToLatest(database.maintenance, migrations);
  const resources = opening.move();
  return {
    database,
    post: postIn(database),
    other: postIn(another),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function told({ store }: Post, ...lanes: readonly Address[]): Promise<void> {
  const [outcome] = await store.commit([commitOf(newKind(), "sender", {
    at: PAST,
    events: [newEvent("Sent")],
    messages: lanes.map((to) => ({
      messageId: crypto.randomUUID(),
      to,
      schema: 1,
      command: { note: "1" },
      correlationId: crypto.randomUUID(),
      causationId: crypto.randomUUID(),
      principal: { id: "ana", roles: [] },
      delayMs: 0,
    })),
  })]);
  assert.equal(outcome?.is, "ok");
}

async function claimed({ outbox }: Post, ...lanes: readonly Address[]) {
  const claims = await outbox.claim(lanes, whole);
  assert.equal(claims.length, lanes.length);
  return claims;
}

function burialOf({ address, token, messages }: ClaimedLane) {
  const { position } = messages[0]!;
  return { address, token, position, attempts: 8, error: "why", isParked: false };
}

/** Resolves once so many statements on this database wait for a lock. */
async function waiting({ maintenance }: Database, statements: number): Promise<void> {
  const until = performance.now() + 10_000;
  for (;;) {
    const { rows: [row] } = await sql<{ count: number }>`
      select count(*)::int as count from pg_stat_activity
      where datname = current_database() and wait_event_type = 'Lock'`.execute(maintenance);
    if (row!.count === statements) return;
    assert(performance.now() < until, `${row!.count} statements wait, not ${statements}`);
  }
}

/** Keeps a row from all others until it is let go. */
async function holding(
  { db }: Database,
  table: "lane" | "actor" | "dead_letter",
  { kind, key }: Address,
  before: () => Promise<void>,
): Promise<void> {
  await db.transaction().execute(async (transaction) => {
    await sql`select from ${sql.table(table)} where kind = ${kind} and key = ${key} for update`
      .execute(transaction);
    await before();
  });
}

// "-" comes before "/", so that whole addresses have another order than kinds and keys.
for (
  const [name, first, second] of [
    ["one kind begins like another", ["kind", "x"], ["kind-b", "x"]],
    ["keys go beyond the first plane", ["kind", "\u{FF5E}"], ["kind", "\u{1F4EE}"]],
  ] as const
) {
  for (const held of [0, 1] as const) {
    Deno.test(`who claims lanes and who settles them never wait in a circle, also where ${name}: ${held}`, async () => {
      await using nodes = await openNodes();
      const { database, post, other } = nodes;
      const lanes = [first, second].map(([kind, key]) => ({ kind, key }));
      await told(post, ...lanes);
      const claims = await claimed(post, ...lanes);
      const pause = { ms: 0, position: 1, attempts: 1, error: "why" };
      const running: Promise<unknown>[] = [];
      await holding(database, "lane", lanes[held]!, async () => {
        running.push(post.outbox.settle(claims.map((claim) => ({ ...claim, pause }))));
        await waiting(database, 1);
        running.push(other.outbox.claim(lanes.toReversed(), whole));
        await waiting(database, 2);
      });
      const endings = await Promise.allSettled(running);
      assert.deepEqual(endings.map(({ status }) => status), ["fulfilled", "fulfilled"]);
    });
  }
}

Deno.test("a letter that is put back while somebody edits it is put back as edited", async () => {
  await using nodes = await openNodes();
  const { database, post } = nodes;
  const to = { kind: newKind(), key: "a" };
  await told(post, to);
  const [lane] = await claimed(post, to);
  await post.outbox.bury(burialOf(lane!));
  await post.outbox.settle([lane!]);
  const { messageId } = lane!.messages[0]!;
  let redriving: ReturnType<typeof post.deadLetters.redrive> | undefined;
  await holding(database, "dead_letter", to, async () => {
    const editing = post.deadLetters.edit(messageId, { schema: 1, command: { note: "2" } }, root);
    await waiting(database, 1);
    redriving = post.deadLetters.redrive({ messageId }, root);
    await waiting(database, 2);
    void editing;
  });
  assert.deepEqual((await redriving!).map(({ command }) => command), [{ note: "2" }]);
  const [again] = await claimed(post, to);
  assert.deepEqual(again!.messages.map(({ command }) => command), [{ note: "2" }]);
});

Deno.test("a letter is put back or dropped, never both", async () => {
  await using nodes = await openNodes();
  const { database, post } = nodes;
  const to = { kind: newKind(), key: "a" };
  await told(post, to);
  const [lane] = await claimed(post, to);
  await post.outbox.bury(burialOf(lane!));
  await post.outbox.settle([lane!]);
  const { messageId } = lane!.messages[0]!;
  const acts: Promise<unknown>[] = [];
  await holding(database, "dead_letter", to, async () => {
    acts.push(post.deadLetters.discard(messageId, root));
    await waiting(database, 1);
    acts.push(post.deadLetters.redrive({ messageId }, root));
    await waiting(database, 2);
  });
  assert.deepEqual(await Promise.all(acts), [true, []]);
  assert.deepEqual(await post.audit(), ["root: dead-letter discard"]);
});

Deno.test("a burial does not move an actor back behind what it has recorded", async () => {
  await using nodes = await openNodes();
  const { database, post } = nodes;
  const to = { kind: newKind(), key: "a" };
  await told(post, to);
  const [lane] = await claimed(post, to);
  let burying: Promise<boolean> | undefined;
  let recorded: string | undefined;
  await holding(database, "lane", to, async () => {
    burying = post.outbox.bury(burialOf(lane!));
    await waiting(database, 1);
    const [outcome] = await post.store.commit([commitOf(to.kind, to.key, {
      events: [newEvent("First")],
    })]);
    assert.equal(outcome?.is, "ok");
    if (outcome.is === "ok") recorded = outcome.transaction;
  });
  assert.equal(await burying, true);
  const [standing] = await post.store.load([{ address: to }]);
  assert.equal(standing?.revision, 2);
  assert(BigInt(standing.transaction) >= BigInt(recorded!));
});

Deno.test("a message that is handled while it is buried is handled", async () => {
  await using nodes = await openNodes();
  const { database, post } = nodes;
  const to = { kind: newKind(), key: "a" };
  await told(post, to);
  const [lane] = await claimed(post, to);
  const [message] = lane!.messages;
  let burying: Promise<boolean> | undefined;
  await holding(database, "lane", to, async () => {
    burying = post.outbox.bury(burialOf(lane!));
    await waiting(database, 1);
    const [outcome] = await post.store.commit([commitOf(to.kind, to.key, {
      events: [newEvent("First")],
      consumed: [message!.position],
    })]);
    assert.equal(outcome?.is, "ok");
  });
  assert.equal(await burying, false);
  assert.deepEqual(await post.deadLetters.list({ kind: to.kind, limit: 1 }), []);
});

Deno.test("a message that is buried while it is handled is buried", async () => {
  await using nodes = await openNodes();
  const { database, post } = nodes;
  const to = { kind: newKind(), key: "a" };
  await told(post, to);
  await post.store.commit([commitOf(to.kind, to.key, { events: [newEvent("First")] })]);
  const [lane] = await claimed(post, to);
  const running: Promise<unknown>[] = [];
  await holding(database, "actor", to, async () => {
    running.push(post.outbox.bury(burialOf(lane!)));
    await waiting(database, 1);
    running.push(
      post.store.commit([commitOf(to.kind, to.key, {
        revision: 1,
        version: 1,
        events: [newEvent("Late")],
        consumed: [lane!.messages[0]!.position],
      })]),
    );
    await waiting(database, 2);
  });
  assert.deepEqual(await Promise.all(running), [true, [{ is: "conflict" }]]);
  assert.equal((await post.store.readStream(to)).length, 1);
});

Deno.test("the room of a rush is given back once nothing waits, and never while something does", async () => {
  await using nodes = await openNodes();
  const { database: { db }, post } = nodes;
  const to = { kind: newKind(), key: "a" };
  const sizeKb = async () => {
    const { rows } = await sql<{ kb: number }>`
      select pg_total_relation_size('outbox') / 1000 as kb`.execute(db);
    return Number(rows[0]!.kb);
  };
  await told(post, ...Array.from({ length: 2_000 }, () => to));
  const full = await sizeKb();
  const [before] = await claimed(post, to);
  await sql`delete from outbox where position <> ${before!.messages[0]!.position}`.execute(db);
  await post.outbox.tidy();
  const left = await sql`select from outbox`.execute(db);
  assert.equal(left.rows.length, 1, "what waits stays");
  await sql`delete from outbox`.execute(db);
  await post.outbox.tidy();
  assert(await sizeKb() * 4 < full, `${await sizeKb()} of ${full} kB`);
  await told(post, to);
  const positions = await sql<{ position: number }>`select position from outbox`.execute(db);
  assert(positions.rows[0]!.position > before!.messages.at(-1)!.position, "the order goes on");
});

Deno.test("whoever writes while the room is to be given back is not kept waiting", async () => {
  await using nodes = await openNodes();
  const { database, post, other } = nodes;
  const to = { kind: newKind(), key: "a" };
  await told(post, ...Array.from({ length: 2_000 }, () => to));
  await sql`delete from outbox`.execute(database.db);
  // A vacuum tries for 5 s to cut off its end, without making anyone wait.
  await sql`alter table outbox set (vacuum_truncate = false)`.execute(database.db);
  await database.db.transaction().execute(async (transaction) => {
    // As a statement of somebody's that is not over: the lock cannot be had.
    await sql`lock table outbox in row exclusive mode`.execute(transaction);
    await Promise.all([post.outbox.tidy(), told(other, to)]);
  });
  const { rows } = await sql`select from outbox`.execute(database.db);
  assert.equal(rows.length, 1);
});
