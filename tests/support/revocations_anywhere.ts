/** What must be true of several nodes that hear nothing of one another: they share a database only. */
import assert from "node:assert/strict";
import type { Database } from "../../lib/postgres/database.ts";
import { Api, type Client, eventuallyEqual } from "./api.ts";
import { personOf, refresh, somebody } from "./people.ts";

/**
 * Asks the other node until it refuses. That it comes to is what is held to here, on real clocks and
 * a machine that may be busy; how soon is held to on a virtual one (`revocation_watch_test.ts`).
 */
async function refuses(api: Api, credential: string): Promise<void> {
  const status = async () => (await api.bearing(credential).get("/me/registrations")).status;
  await eventuallyEqual(status, 401);
}

export async function assertRevokedEverywhere(database: Database): Promise<void> {
  await using here = new Api(database);
  await using there = here.anotherNode();
  const root = here.as("root", "admin");
  const json = { "content-type": "application/json" };
  const ways: Record<string, (client: Client, id: string) => Promise<{ status: number }>> = {
    "logout": (client) => client.post("/auth/logout"),
    "logout everywhere": (client) => client.post("/auth/logout-everywhere"),
    "disable": (_, id) => root.post(`/users/${id}/disable`),
    "roles": (_, id) => root.send("PUT", `/users/${id}/roles`, '{"roles":["trader"]}', json),
  };
  for (const [way, revoke] of Object.entries(ways)) {
    const { id, client, accessToken } = await somebody(here);
    const elsewhere = there.bearing(accessToken);
    // It has been verified there, and is remembered.
    assert.equal((await elsewhere.get("/me/registrations")).status, 200, way);
    assert((await revoke(client, id)).status < 300, way);
    assert.equal((await client.get("/me/registrations")).status, 401, `${way}: here at once`);
    await refuses(there, accessToken);
  }

  const person = await somebody(here);
  const next = (await refresh(here, person.refreshToken)).body;
  await refresh(here, next.refreshToken);
  assert.equal((await there.bearing(next.accessToken).get("/me/registrations")).status, 200);
  assert.equal((await refresh(there, person.refreshToken)).status, 401, "a token comes back");
  await refuses(here, next.accessToken);

  const owner = await personOf(here, person.email);
  const expiresAt = new Date(Date.now() + 3_600_000).toISOString();
  const key = { name: "CI", scopes: ["events:read"], expiresAt };
  const { body } = await owner.client.post("/api-keys", key);
  const program = there.bearing(body.key);
  assert.equal((await program.get("/me/registrations")).status, 200, "a key is good anywhere");
  assert.equal((await owner.client.delete(`/api-keys/${body.id}`)).status, 204);
  await refuses(there, body.key);

  // A node that begins afterwards has heard nothing at all.
  await using late = here.anotherNode();
  const again = await late.bearing(next.accessToken).get("/me/registrations");
  assert.equal(again.status, 401);
}
