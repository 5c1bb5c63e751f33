import assert from "node:assert/strict";
import { Api, databaseOfThisFile } from "../support/api.ts";
import { classOf, declaredClassOf } from "../../routes/classes.ts";

const database = await databaseOfThisFile();

Deno.test("every route is of a class that somebody chose", async () => {
  await using api = new Api(database);
  const routes = api.http.routes.filter(({ method }) => method !== "ALL");
  assert(routes.length > 40);
  const undeclared = routes
    .filter(({ method, path }) => declaredClassOf(method, path) === undefined)
    .map(({ method, path }) => `${method} ${path}`);
  assert.deepEqual(undeclared, []);
});

const table = [
  ["GET", "/health/ready", "operator"],
  ["GET", "/api/v1/events", "list"],
  ["HEAD", "/api/v1/events", "list"],
  ["POST", "/api/v1/events", "command"],
  ["GET", "/api/v1/events/0198", "read"],
  ["PATCH", "/api/v1/events/0198", "command"],
  ["GET", "/api/v1/events/0198/registrations", "list"],
  ["POST", "/api/v1/events/0198/registrations", "command"],
  ["GET", "/api/v1/events/0198/registrations/me", "read"],
  ["DELETE", "/api/v1/events/0198/registrations/0199", "command"],
  ["GET", "/api/v1/events/0198/history", "list"],
  ["GET", "/api/v1/me/notices", "list"],
  ["GET", "/api/v1/jobs/0198/progress", "read"],
  ["GET", "/api/v1/flows/0198/nodes", "read"],
  ["GET", "/api/v1/dead-letters", "operator"],
  ["POST", "/api/v1/dead-letters/0198/redrive", "operator"],
  ["POST", "/api/v1/performance/reset-circuit-breakers", "operator"],
  ["GET", "/api/v1/supervision", "operator"],
  ["POST", "/api/v1/projections/live_event_listing/rebuild", "operator"],
  ["GET", "/nowhere", "read"],
  ["POST", "/nowhere", "command"],
] as const;

for (const [method, path, requestClass] of table) {
  Deno.test(`${method} ${path} is of class ${requestClass}`, () => {
    assert.equal(classOf(method, path), requestClass);
  });
}
