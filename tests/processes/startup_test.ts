/** How the service starts, how it refuses to, and how it ends; on the embedded database. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sql } from "kysely";
import { openDatabase } from "../../lib/postgres/database.ts";
import { migrateToLatest } from "../../lib/postgres/migrate.ts";
import { migrations } from "../../migrations/all.ts";
import { commitOf, newEvent } from "../contracts/store_contract.ts";
import { historyOf, organizerToken, played, publishedEvent, send } from "../support/cluster.ts";
import { postIn } from "../support/post.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { type Ending, freePort, ServerProcess, type Variables } from "../support/server_process.ts";

/** A new directory, gone at the end. */
async function scratch(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "troupe_startup_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

/** One line for whoever started it, and nothing of the inside. */
function assertRefused({ code, stderr }: Ending, reason: RegExp): void {
  assert.notEqual(code, 0);
  assert.equal(stderr.length, 1, stderr.join("\n"));
  assert.match(stderr[0]!, reason);
  assert.doesNotMatch(stderr[0]!, /^ +at |Uncaught|file:\/\//);
}

Deno.test("a port in use is refused in one line", async () => {
  await using directory = await scratch();
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const PORT = String(listener.addr.port);
  const ending = await ServerProcess.run({ DATA_DIR: directory.path, PORT });
  assertRefused(ending, RegExp(`${PORT}.*in use|in use.*${PORT}`));
});

const faultyVariables: readonly (readonly [string, Variables, RegExp])[] = [
  ["a database server that is not there", {
    DATABASE_URL: "postgres://ana:hush@127.0.0.1:1/troupe",
  }, /127\.0\.0\.1:1\/troupe/],
  ["a URL of another kind", { DATABASE_URL: "mysql://ana:hush@localhost/troupe" }, /DATABASE_URL/],
  ["a URL that is none", { DATABASE_URL: "ana:hush@localhost" }, /DATABASE_URL/],
  ["a URL with a faulty port", { DATABASE_URL: "postgres://ana:hush@db:port/t" }, /DATABASE_URL/],
  ["a URL with an unknown parameter", {
    DATABASE_URL: "postgres://ana:hush@127.0.0.1:1/troupe?sslmod=require",
  }, /sslmod/],
  ["several faults, all of them", {
    PORT: "99999",
    LOG_LEVEL: "loud",
    SHUTDOWN_MS: "-1",
    TOKEN_SECRET: "short",
  }, /(?=.*PORT)(?=.*LOG_LEVEL)(?=.*SHUTDOWN_MS)(?=.*TOKEN_SECRET)/],
];

for (const [what, variables, reason] of faultyVariables) {
  Deno.test(`told in one line, without secrets: ${what}`, async () => {
    await using directory = await scratch();
    const ending = await ServerProcess.run({ DATA_DIR: directory.path, ...variables });
    assertRefused(ending, reason);
    assert.doesNotMatch(ending.stderr[0]!, /hush|short/);
  });
}

Deno.test("a data directory that cannot be made is refused in one line", async () => {
  await using directory = await scratch();
  const file = join(directory.path, "file");
  await Deno.writeTextFile(file, "");
  const DATA_DIR = join(file, "data");
  assertRefused(await ServerProcess.run({ DATA_DIR }), RegExp(DATA_DIR));
  // The token key is all that is needed here, and it cannot be kept either.
  assertRefused(await ServerProcess.run({ DATA_DIR, TOKEN_SECRET: "" }, "token", "ana"), /data/);
});

Deno.test("a data directory whose files are damaged is refused in one line", async () => {
  await using directory = await scratch();
  await Deno.mkdir(join(directory.path, "postgres"));
  await Deno.writeTextFile(join(directory.path, "postgres", "PG_VERSION"), "17\n");
  assertRefused(await ServerProcess.run({ DATA_DIR: directory.path }), /database/);
});

Deno.test("a database from a newer release is refused in one line", async () => {
  await using directory = await scratch();
  const DATA_DIR = directory.path;
  assert.equal((await ServerProcess.run({ DATA_DIR }, "migrate")).code, 0);
  {
    await using database = await openDatabase({ dataDir: join(DATA_DIR, "postgres") });
    await sql`insert into kysely_migration (name, timestamp) values ('9999_tomorrow', 'now')`
      .execute(database.db);
  }
  assertRefused(await ServerProcess.run({ DATA_DIR }), /9999_tomorrow/);
  assertRefused(await ServerProcess.run({ DATA_DIR }, "migrate"), /9999_tomorrow/);
});

Deno.test("a second process on one data directory is refused, and the first goes on", async () => {
  await using directory = await scratch();
  const DATA_DIR = directory.path;
  const eventId = await (async () => {
    await using first = await ServerProcess.start({ DATA_DIR });
    const eventId = await publishedEvent(first, { capacity: 2 });
    for (const command of ["serve", "migrate"]) {
      assertRefused(await ServerProcess.run({ DATA_DIR }, command), RegExp(`${DATA_DIR}.*process`));
    }
    const path = `/events/${eventId}/registrations`;
    assert.equal((await send(first, "POST", path, { body: {} })).status, 201);
    first.kill("SIGTERM");
    assert.equal((await first.ended).code, 0);
    return eventId;
  })();
  await using later = await ServerProcess.start({ DATA_DIR });
  assert.equal(played(await historyOf(later, eventId)).confirmed.length, 1);
});

Deno.test("migrating twice changes nothing the second time", async () => {
  await using directory = await scratch();
  const DATA_DIR = directory.path;
  const first = await ServerProcess.run({ DATA_DIR }, "migrate");
  assert.deepEqual([first.code, first.stderr], [0, []]);
  assert(first.stdout.length > 0 && first.stdout.every((line) => line.startsWith("applied ")));
  const second = await ServerProcess.run({ DATA_DIR }, "migrate");
  assert.deepEqual([second.code, second.stderr], [0, []]);
  assert.deepEqual(second.stdout, ["nothing to apply"]);
});

Deno.test("a token that was minted is one that the server takes, with its roles", async () => {
  await using directory = await scratch();
  const variables = { DATA_DIR: directory.path, TOKEN_SECRET: "" };
  const mint = async (...args: readonly string[]) => {
    const { code, stdout, stderr } = await ServerProcess.run(variables, "token", ...args);
    assert.deepEqual([code, stderr, stdout.length], [0, [], 1]);
    return stdout[0]!;
  };
  const organizer = await mint("olga", "--role", "organizer");
  await using server = await ServerProcess.start(variables);
  const visitor = await mint("vera");
  const body = { title: "Rush", startsAt: "2090-06-01T18:00:00Z", endsAt: "2090-06-01T19:00:00Z" };
  const make = async (token: string) =>
    (await send(server, "POST", "/events", { token, body: { ...body, capacity: 1 } })).status;
  assert.equal(await make(organizer), 201);
  assert.equal(await make(visitor), 403);
  assert.equal(await make(organizerToken), 401, "one under another key");
});

Deno.test("dead letters are seen to from the command line", async () => {
  await using directory = await scratch();
  const DATA_DIR = directory.path;
  const run = (...args: readonly string[]) =>
    ServerProcess.run({ DATA_DIR }, "dead-letters", ...args);
  assertRefused(await run("list"), /lacks 0001_event_store/);

  const id = await buriedIn(`${DATA_DIR}/postgres`);
  const listed = await run("list", "--kind", "nobody");
  assert.deepEqual([listed.code, listed.stdout.length], [0, 1]);
  const letter = JSON.parse(listed.stdout[0]!);
  assert.deepEqual([letter.id, letter.error, letter.command], [id, "why", { note: "x" }]);
  assert.deepEqual((await run("list", "--kind", "somebody")).stdout, []);
  assert.deepEqual((await run("show", id)).stdout, listed.stdout);

  const edited = await run("edit", id, '{"note":"y"}');
  assert.deepEqual(JSON.parse(edited.stdout[0]!).command, { note: "y" });
  assertRefused(await run("edit", id, "{"), /JSON/);
  assertRefused(await run("edit", id, '{"note":"\\u0000"}'), /can be kept/);
  assertRefused(await run("redrive", crypto.randomUUID()), /there is no dead letter/);
  assertRefused(await run("redrive"), /usage/);
  assertRefused(await run("show", "it"), /no id of a dead letter; usage/);
  assert.deepEqual((await run("redrive", "--kind", "nobody")).stdout.length, 1);
  assert.deepEqual((await run("list")).stdout, []);
  assertRefused(await run("discard", id), /there is no dead letter/);
});

Deno.test("a projection is rebuilt from the command line, unless a server has the data", async () => {
  await using directory = await scratch();
  const DATA_DIR = directory.path;
  const run = (...args: readonly string[]) =>
    ServerProcess.run({ DATA_DIR }, "rebuild-projection", ...args);
  {
    await using server = await ServerProcess.start({ DATA_DIR });
    await publishedEvent(server, { capacity: 3 });
    assertRefused(await run("live_event_listing"), /has it open/);
    server.kill("SIGTERM");
    await server.ended;
  }
  for (const args of [[], ["nothing"], ["live_event_listing", "more"]]) {
    assertRefused(await run(...args), /usage: rebuild-projection live_event_listing/);
  }
  const rebuilt = await run("live_event_listing");
  assert.deepEqual([rebuilt.code, rebuilt.stdout], [
    0,
    ["rebuilt live_event_listing of 2 events"],
  ], rebuilt.stderr.join("\n"));
});

/** A database with one dead letter in it. */
async function buriedIn(dataDir: string): Promise<string> {
  await using database = await openDatabase({ dataDir });
  await migrateToLatest(database.maintenance, migrations);
  const { store, outbox } = postIn(database);
  const to = { kind: "nobody", key: "x" };
  const messageId = crypto.randomUUID();
  const ids = { correlationId: crypto.randomUUID(), causationId: crypto.randomUUID() };
  const principal = { id: "ana", roles: [] };
  const message = {
    messageId,
    to,
    schema: 1,
    command: { note: "x" },
    ...ids,
    principal,
    delayMs: 0,
  };
  await store.commit([commitOf("sender", "s", {
    at: Date.parse("2020-01-01"),
    events: [newEvent("Sent")],
    messages: [message],
  })]);
  const [lane] = await outbox.claim([to], { token: 1, leaseMs: 60_000, limit: 1 });
  const { token, messages: [{ position } = { position: 0 }] } = lane!;
  const failed = { attempts: 1, error: "why", isParked: false };
  assert.equal(await outbox.bury({ address: to, token, position, ...failed }), true);
  return messageId;
}

Deno.test("a mistake on the command line is told in one line", async () => {
  await using directory = await scratch();
  const variables = { DATA_DIR: directory.path };
  assertRefused(await ServerProcess.run(variables, "serv"), /serv/);
  assertRefused(await ServerProcess.run(variables, "token"), /usage/);
  assertRefused(await ServerProcess.run(variables, "token", "ana", "--rolle", "admin"), /rolle/);
  assertRefused(await ServerProcess.run(variables, "token", "ana", "--role", "No Role"), /role/i);
  assertRefused(await ServerProcess.run(variables, "token", "a\nb"), /name/i);
});

function registrationRequest(eventId: string, userId: string): string {
  const body = JSON.stringify({ userId });
  return [
    `POST /api/v1/events/${eventId}/registrations HTTP/1.1`,
    "host: test",
    "connection: close",
    `authorization: Bearer ${organizerToken}`,
    "content-type: application/json",
    `content-length: ${body.length}`,
    "",
    body,
  ].join("\r\n");
}

/** Undefined for a connection that was closed without a word. */
function wholeAnswer(text: string): { status: number; body: string } | undefined {
  if (text === "") return undefined;
  const [head, body = ""] = text.split("\r\n\r\n", 2);
  const length = Number(/content-length: (\d+)/i.exec(head!)?.[1]);
  assert.equal(new TextEncoder().encode(body).length, length, "the answer is whole");
  return { status: Number(head!.slice(9, 12)), body };
}

const signals: readonly Deno.Signal[] = ["SIGTERM", "SIGINT"];
const UNDER_WAY = 200;
const SIGNAL_AFTER = 60;

for (const signal of signals) {
  Deno.test(`${signal} in the rush: what was carried out is answered, and the rest never was`, async () => {
    await using directory = await scratch();
    const DATA_DIR = directory.path;
    await using server = await ServerProcess.start({ DATA_DIR });
    const eventId = await publishedEvent(server, { capacity: 50 });
    const port = Number(server.port);
    const connections = await Promise.all(
      Array.from({ length: UNDER_WAY }, () => RawConnection.accepted(port)),
    );
    // Some always wait for their answer, so that the signal finds them at every stage.
    let sent = 0;
    const answers: ReturnType<typeof wholeAnswer>[] = [];
    const lane = async () => {
      while (sent < UNDER_WAY) {
        const user = sent++;
        using connection = connections[user]!;
        await connection.send(registrationRequest(eventId, `user-${user}`)).catch(() => {});
        answers.push(wholeAnswer(await connection.rest()));
        if (answers.length === SIGNAL_AFTER) server.kill(signal);
      }
    };
    await Promise.all(Array.from({ length: 50 }, lane));
    assert.equal((await server.ended).code, 0);
    await assert.rejects(Deno.connect({ hostname: "127.0.0.1", port }));

    const acknowledged: string[] = [];
    for (const answer of answers) {
      if (answer?.status === 201) acknowledged.push(JSON.parse(answer.body).registrationId);
      else assert([undefined, 503].includes(answer?.status), answer?.body);
    }
    assert(acknowledged.length >= SIGNAL_AFTER);
    await using later = await ServerProcess.start({ DATA_DIR });
    const { registered } = played(await historyOf(later, eventId));
    assert.deepEqual([...registered.keys()].sort(), acknowledged.sort());
  });

  Deno.test(`a second ${signal} ends it at once`, async () => {
    await using directory = await scratch();
    await using server = await ServerProcess.start({
      DATA_DIR: directory.path,
      SHUTDOWN_MS: "600000",
    });
    using _unfinished = await unfinishedRequest(server);
    server.kill(signal);
    await server.logged("stopping");
    server.kill(signal);
    assert.equal((await server.ended).code, signal === "SIGTERM" ? 143 : 130);
  });
}

Deno.test("what is not over at the deadline is given up, and the exit code says so", async () => {
  await using directory = await scratch();
  // Less than it takes to look again whether a connection has left.
  await using server = await ServerProcess.start({ DATA_DIR: directory.path, SHUTDOWN_MS: "10" });
  using _unfinished = await unfinishedRequest(server);
  server.kill("SIGTERM");
  assert.equal((await server.ended).code, 1);
  await server.logged("gave up on an orderly end");
});

Deno.test("a signal while it starts ends it in order", async () => {
  await using directory = await scratch();
  const variables = { DATA_DIR: directory.path, PORT: String(freePort()) };
  await using server = await ServerProcess.spawn(variables);
  await server.logged("database open");
  server.kill("SIGTERM");
  assert.equal((await server.ended).code, 0);
  await using again = await ServerProcess.start(variables);
  await publishedEvent(again, { capacity: 1 });
});

/** A request whose body never comes: no orderly end can finish it. */
async function unfinishedRequest(server: ServerProcess): Promise<Disposable> {
  const eventId = await publishedEvent(server, { capacity: 1 });
  const connection = await RawConnection.open(Number(server.port));
  await connection.send(registrationRequest(eventId, "slow").slice(0, -3));
  // Answered on another connection, later than the server has read that.
  await publishedEvent(server, { capacity: 1 });
  return connection;
}
