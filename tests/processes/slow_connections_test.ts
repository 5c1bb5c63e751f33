/** Connections that hold on, by the hundred, to a real server; and one client that only wants served. */
import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { publishedEvent } from "../support/cluster.ts";
import { Http2Connection } from "../support/http2_connection.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { ServerProcess, tokenFor } from "../support/server_process.ts";

const OF_EACH_KIND = 200;
/** As short as a busy machine lets them be. */
const bounds = {
  HEAD_MS: "1000",
  BODY_MS: "1000",
  KEEP_ALIVE_MS: "2000",
  CONNECTIONS_PER_ADDRESS_MAX: "2000",
};
const GONE_WITHIN_MS = 30_000;
/** Fewer than HTTP/2 lets one connection ask for at once: there is room for others. */
const ANSWERS_NOT_TAKEN = 50;
/** Of the one who only wants served, and one to spare. */
const GOOD_CONNECTIONS = 2;

const GET = "GET /health/live HTTP/1.1\r\nhost: test\r\n\r\n";
const LAST_GET = GET.replace("\r\n\r\n", "\r\nconnection: close\r\n\r\n");
const DEAF = "asks on and on and takes no answer";

/** What each kind sends at first. */
async function kindsOf(server: ServerProcess): Promise<Readonly<Record<string, string>>> {
  const eventId = await publishedEvent(server, { capacity: 2 });
  const post = [
    `POST /api/v1/events/${eventId}/registrations HTTP/1.1`,
    "host: test",
    `authorization: Bearer ${await tokenFor("slow")}`,
    "content-type: application/json",
    "content-length: 99",
    "",
    '{"userId"',
  ].join("\r\n");
  return {
    "says nothing": "",
    "sends half a head": "GET /health/live HTTP/1.1\r\nhost: te",
    "sends half a body": post,
    "rests after an answer": GET,
    [DEAF]: GET.repeat(1_000),
  };
}

/** Those of a process; the embedded database opens and closes files as it likes. */
async function socketsOf({ pid }: ServerProcess): Promise<number> {
  // Deno reads of /proc only with every permission.
  const script = `
    const folder = "/proc/${pid}/fd/";
    const links = Array.from(Deno.readDirSync(folder), ({ name }) => {
      try {
        return Deno.readLinkSync(folder + name);
      } catch {
        return "closed meanwhile";
      }
    });
    console.log(links.filter((link) => link.startsWith("socket:")).length);`;
  const { stdout } = await new Deno.Command("deno", { args: ["eval", script] }).output();
  return Number(new TextDecoder().decode(stdout));
}

/** Asks again and again, each time anew, until `isOver`; resolves to the answers' statuses. */
async function served(server: ServerProcess, isOver: () => boolean): Promise<string[]> {
  const statuses: string[] = [];
  while (!isOver()) {
    using connection = await RawConnection.open(Number(server.port));
    await connection.send(LAST_GET);
    statuses.push(...statusesIn(await connection.rest()));
  }
  return statuses;
}

function statusesIn(text: string): string[] {
  return [...text.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status!);
}

Deno.test({
  name: "a thousand connections that hold on are closed, and others are served meanwhile",
  ignore: Deno.build.os !== "linux",
  fn: async () => {
    await using cleaning = new AsyncDisposableStack();
    const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_slow_" });
    cleaning.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
    await using server = await ServerProcess.start({ DATA_DIR, ...bounds });
    const kinds = await kindsOf(server);
    const before = await socketsOf(server);

    const held: (readonly [kind: string, RawConnection])[] = [];
    using _ = {
      [Symbol.dispose]: () => held.forEach(([, connection]) => connection[Symbol.dispose]()),
    };
    for (let i = 0; i < OF_EACH_KIND; i++) {
      for (const [kind, text] of Object.entries(kinds)) {
        const connection = await RawConnection.open(Number(server.port));
        held.push([kind, connection]);
        await connection.send(text);
      }
    }
    assert(await socketsOf(server) > before + OF_EACH_KIND, "they are there");
    let isOver = false;
    const good = served(server, () => isOver);
    good.catch(() => {/* seen below */});
    // To read from those that take no answer would be to take it.
    const ends = held.filter(([kind]) => kind !== DEAF)
      .map(async ([kind, connection]) => [kind, statusesIn(await connection.rest())] as const);
    const statuses = Map.groupBy(await Promise.all(ends), ([kind]) => kind);
    const until = performance.now() + GONE_WITHIN_MS;
    let left = Infinity;
    while (left > GOOD_CONNECTIONS && performance.now() < until) {
      left = await socketsOf(server) - before;
    }
    isOver = true;
    assert.deepEqual(new Set(await good), new Set(["200"]));
    assert(left <= GOOD_CONNECTIONS, `${left} sockets are left`);

    const statusesOf = (kind: string) => new Set(statuses.get(kind)!.flatMap(([, all]) => all));
    assert.deepEqual(statusesOf("says nothing"), new Set());
    assert.deepEqual(statusesOf("sends half a head"), new Set());
    // Or 503, from a server that has more to do than it can.
    const slow = statusesOf("sends half a body");
    assert(slow.isSubsetOf(new Set(["408", "503"])), [...slow].join());
    assert.equal(statuses.get("sends half a body")!.flatMap(([, all]) => all).length, OF_EACH_KIND);
    assert.deepEqual(statusesOf("rests after an answer"), new Set(["200"]));
    const told = server.log.filter(({ message }) => message === "connections cut");
    assert(told.some(({ because }) => because === "head"), "it is told");
  },
});

Deno.test("over HTTP/2, nobody keeps an answer waiting by asking for something else", async () => {
  await using cleaning = new AsyncDisposableStack();
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_slow_" });
  cleaning.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
  const requests = { REQUEST_TIMEOUT_MS: "1000", CONSISTENCY_WAIT_MS: "0" };
  await using server = await ServerProcess.start({ DATA_DIR, ...bounds, ...requests });
  using deaf = new Http2Connection(Number(server.port), { windowBytes: 1 });
  for (let i = 0; i < ANSWERS_NOT_TAKEN; i++) {
    const { ":status": status } = await deaf.headOf({ ":path": "/docs/swagger-ui-bundle.js" });
    assert.equal(status, 200);
  }
  const ping = { ":method": "HEAD", ":path": "/health/live" };
  const asking = assert.rejects(async () => {
    for (;;) await deaf.headOf(ping);
  });
  const over = new AbortController();
  const late = systemEnv.sleep(GONE_WITHIN_MS, over.signal).then(() => "it is still there");
  const ends = [deaf.closed.then(() => "cut"), late.catch(() => "cut")];
  assert.equal(await Promise.race(ends), "cut");
  over.abort();
  await asking;
  assert.equal((await server.logged("connections cut")).because, "request");
});
