/** Whatever breaks, wherever it does: the caller hears that it did and an id, and nothing else. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { Api, assertProblem, published } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

/** What nobody outside may ever read. */
const INNER =
  "innermost-7f3a at /srv/troupe/lib/postgres/secret.ts:7 postgres://ana:hush@db/troupe";

const telling =
  /innermost|\/srv\/|hush|postgres|\brelation\b|column|select|stack|\.ts\b|TypeError/i;

type Check = (api: Api) => Promise<void>;

async function broken(statement: string, mending: string, check: () => Promise<void>) {
  await sql.raw(statement).execute(database.db);
  try {
    await check();
  } finally {
    await sql.raw(mending).execute(database.db);
  }
}

/** One per layer that a request goes through: what fails there, and a request that gets there. */
const layers: Readonly<Record<string, Check>> = {
  "the store, on writing": async (api) => {
    const alice = api.as("alice", "organizer");
    const event = await published(alice);
    api.store.failNext("commit", new TypeError(INNER));
    assertGeneric(api, await alice.post(`${event}/cancel`));
  },
  "the store, on reading": async (api) => {
    const alice = api.as("alice", "organizer");
    const event = await published(alice);
    api.store.failNext("readStream", new TypeError(INNER));
    assertGeneric(api, await alice.get(`${event}/history`));
  },
  "an actor, on coming to life": async (api) => {
    const event = await published(api.as("alice", "organizer"));
    await using other = api.anotherNode();
    other.store.failNext("load", new RangeError(INNER));
    assertGeneric(other, await other.as("alice", "organizer").get(event));
  },
  "a list, in its query": async (api) => {
    const [table, away] = ["live_event", "live_event_innermost_7f3a"];
    await broken(
      `alter table ${table} rename to ${away}`,
      `alter table ${away} rename to ${table}`,
      async () => assertGeneric(api, await api.as("alice").get("/events")),
    );
  },
  "a command that needs the database beside its actor": async (api) => {
    const [table, away] = ["audit", "audit_innermost_7f3a"];
    await broken(
      `alter table ${table} rename to ${away}`,
      `alter table ${away} rename to ${table}`,
      async () => {
        const admin = api.as("ada", "admin");
        assertGeneric(api, await admin.post("/performance/reset-circuit-breakers", {}));
      },
    );
  },
};

function assertGeneric(api: Api, answer: Parameters<typeof assertProblem>[0]): void {
  assertProblem(answer, 500, "about:blank");
  assert.deepEqual(answer.body, {
    type: "about:blank",
    instance: answer.path,
    status: 500,
    title: "Internal Server Error",
  });
  for (const [name, value] of answer.headers) assert.doesNotMatch(`${name}: ${value}`, telling);
  const { error, request } = api.bugs.pop()!;
  assert(error instanceof Error, "it is kept for who can mend it");
  assert.equal(request.correlationId, answer.headers.get("x-correlation-id"));
  assert.deepEqual(api.bugs, []);
}

for (const [layer, check] of Object.entries(layers)) {
  Deno.test(`what fails in ${layer}, is told by an id alone`, async () => {
    await using api = new Api(database);
    await check(api);
  });
}
