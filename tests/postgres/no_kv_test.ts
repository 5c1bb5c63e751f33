/** Two processes that share a Redis: what one wrote the other shows at once, and without Redis all goes on. */
import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { publishedEvent, send } from "../support/cluster.ts";
import { createServerDatabase } from "../support/database.ts";
import { OwnRedis } from "../support/own_redis.ts";
import { ServerProcess } from "../support/server_process.ts";

/** However it went, the nodes have noticed by then. */
const NOTICED_MS_MAX = 15_000;

type Server = { readonly url: string };

async function eventually(holds: () => Promise<boolean>, what: string): Promise<void> {
  const until = systemEnv.monotonic() + NOTICED_MS_MAX;
  while (!await holds()) {
    assert(systemEnv.monotonic() < until, `${what}, not within ${NOTICED_MS_MAX} ms`);
    await systemEnv.sleep(50);
  }
}

async function modeOf({ url }: Server): Promise<string | null> {
  const response = await fetch(`${url}/health/live`);
  await response.body?.cancel();
  return response.headers.get("service-mode");
}

async function versionAt(server: Server, eventId: string): Promise<number> {
  const { status, body } = await send(server, "GET", `/events/${eventId}`);
  assert.equal(status, 200);
  return body.version;
}

async function registered(server: Server, eventId: string, userId: string): Promise<number> {
  const path = `/events/${eventId}/registrations`;
  const { status, body } = await send(server, "POST", path, { body: { userId } });
  assert.equal(status, 201, JSON.stringify(body));
  return body.version;
}

Deno.test("plain reads are fresh on every node while there is a Redis, and go on without one", async () => {
  await using redis = await OwnRedis.start();
  await using database = await createServerDatabase();
  const variables = {
    DATABASE_URL: database.url,
    DATABASE_POOL_MAX: "4",
    REDIS_URL: redis.url,
  };
  await using writer = await ServerProcess.start(variables);
  await using reader = await ServerProcess.start(variables);
  const both = [writer, reader];
  const eventId = await publishedEvent(writer, { capacity: 100 });
  assert.equal(await versionAt(reader, eventId), 2, "the reader has the event in memory");

  const version = await registered(writer, eventId, "ana");
  await eventually(async () => await versionAt(reader, eventId) === version, "the reader hears");

  await redis.crash();
  for (const server of both) {
    await eventually(async () => await modeOf(server) === "no-kv", "the mode is no-kv");
  }
  const later = await registered(writer, eventId, "ben");
  assert.equal(await registered(reader, eventId, "cho"), later + 1);
  const strong = { headers: { "cache-control": "no-cache" } };
  const { body } = await send(writer, "GET", `/events/${eventId}`, strong);
  assert.equal(body.version, later + 1);

  await redis.restart();
  for (const server of both) {
    await eventually(async () => await modeOf(server) === "normal", "the mode is normal");
  }
  const last = await registered(writer, eventId, "dan");
  await eventually(async () => await versionAt(reader, eventId) === last, "the reader hears again");
});
