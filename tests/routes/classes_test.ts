/** What each route is to the service when there is not enough of it for everybody. */
import assert from "node:assert/strict";
import { classFinder } from "../../routes/admission.ts";
import { Api } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

Deno.test("what is for operators, and nothing else, is let in whatever happens", async () => {
  await using api = new Api(database);
  const areas = new Set(["health", "operations"]);
  for (const operation of api.operations) {
    const isOperators = areas.has(operation.tag);
    assert.equal(operation.class === "operator", isOperators, operation.id);
  }
});

Deno.test("a read that answers a page is a list, unless one actor alone has all of it", async () => {
  await using api = new Api(database);
  const pages = api.operations.filter(({ query, asks }) =>
    asks !== "actor" && query !== undefined && "cursor" in (query as { shape?: object }).shape!
  );
  assert(pages.length > 8);
  for (const { id, class: requestClass } of pages) {
    assert(requestClass === "list" || requestClass === "operator", id);
  }
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
  ["GET", "/api/v1/event%73", "list"],
  ["GET", "/api/v1/%65vents?q=%3f", "list"],
  ["GET", "/api/v1/dead%2Dletters", "operator"],
  ["GET", "/api/v1/events%2F0198%2Fhistory", "read"],
  ["GET", "/nowhere", "read"],
  ["POST", "/nowhere", "command"],
] as const;

Deno.test("the class of a request follows from its operation", async (t) => {
  await using api = new Api(database);
  const classOf = classFinder(api.operationOf);
  for (const [method, path, requestClass] of table) {
    await t.step(`${method} ${path} is of class ${requestClass}`, () => {
      assert.equal(classOf(new Request(`http://localhost${path}`, { method })), requestClass);
    });
  }
});
