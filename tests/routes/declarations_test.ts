/** What is declared is what is served, and takes what it declares and nothing else. */
import assert from "node:assert/strict";
import { z } from "zod";
import { type Operation, patternOf } from "../../lib/http/operation.ts";
import { Api, assertProblem } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import {
  declaredIn,
  mostPowerful,
  requestFor,
  Scene,
  sent,
  sentText,
} from "../support/valid_requests.ts";

const database = await databaseOfThisFile();
const { operations, routes } = await declaredIn(database);

const tags = [
  "identity",
  "events",
  "webhooks",
  "jobs",
  "flows",
  "schedules",
  "trading",
  "operations",
  "health",
  "documentation",
];

Deno.test("every operation says what it is, under a name of its own", () => {
  assert.equal(new Set(operations.map(({ id }) => id)).size, operations.length);
  for (const { id, tag, summary, answers, access, problems = [] } of operations) {
    assert.match(id, /^[a-z]+([A-Z][a-z]*)*$/);
    assert(tags.includes(tag), `${id}: ${tag}`);
    assert.match(summary, /^[A-Z].{10,}[^.]$/, id);
    assert(Object.keys(answers).some((status) => status.startsWith("2")), id);
    assert(access.length > 0, id);
    const types = problems.map(({ type }) => type);
    assert.equal(new Set(types).size, types.length, id);
  }
});

/** What is answered by no operation: the page that shows them. */
const undeclared = /^\/docs(\/.*)?$/;

Deno.test("what is served is declared, and what is declared is served", () => {
  const served = routes
    .filter(({ method, path }) => !["ALL", "TRACE"].includes(method) && !undeclared.test(path))
    .map(({ method, path }) => `${method} ${path}`);
  const declared = operations.map(({ method, path }) =>
    `${method.toUpperCase()} ${patternOf(path)}`
  );
  assert.deepEqual([...new Set(served)].toSorted(), declared.toSorted());
});

const methods = ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];

Deno.test("a path takes the methods that are declared, and says so to all others", async () => {
  await using api = new Api(database);
  const root = api.as("root", "admin", "organizer", "trader", "feed");
  const anyone = api.bearing(undefined);
  const paths = operations.map(({ path }) => path.replaceAll(/\{\w+\}/g, crypto.randomUUID()));
  for (const path of new Set(paths)) {
    const taken = methods.filter((method) => api.operationOf(method, path) !== undefined);
    const allowed = taken.includes("GET") ? [...taken, "HEAD"] : taken;
    // Under /api nobody learns without a token what there is.
    const isOpen = !path.startsWith("/api/");
    for (const method of methods.filter((method) => !taken.includes(method))) {
      const answer = await root.send(method, path);
      assertProblem(answer, 405, "about:blank");
      assert.deepEqual(answer.headers.get("allow")!.split(", ").toSorted(), allowed.toSorted());
      const unknown = await anyone.send(method, path);
      if (isOpen) assertProblem(unknown, 405, "about:blank");
      else assertProblem(unknown, 401, "/problems/unauthenticated");
    }
  }
});

/** As somebody would have them who hopes that what is sent is kept as it is. */
const extras = [
  `"role":"admin"`,
  `"roles":["admin"]`,
  `"version":1`,
  `"ownerId":"mallory"`,
  `"createdAt":"2026-01-01T00:00:00.000Z"`,
  `"__proto__":{"role":"admin"}`,
  `"constructor":{"prototype":{"role":"admin"}}`,
];

/** Is whatever a job, or an actor, takes. */
const free = new Set(["payload", "command"]);

/** The body with that in it, once in each of its objects. */
function tampered(value: unknown, extra: string): string[] {
  if (Array.isArray(value)) {
    return value.flatMap((item, place) =>
      tampered(item, extra).map((text) =>
        `[${value.map((each, at) => at === place ? text : JSON.stringify(each)).join()}]`
      )
    );
  }
  if (typeof value !== "object" || value === null) return [];
  const entries = Object.entries(value);
  const texts = entries.map(([name, inner]) => `${JSON.stringify(name)}:${JSON.stringify(inner)}`);
  const inner = entries.flatMap(([name, value], place) =>
    free.has(name) ? [] : tampered(value, extra).map((text) => {
      const others = texts.with(place, `${JSON.stringify(name)}:${text}`);
      return `{${others.join()}}`;
    })
  );
  return [`{${[...texts, extra].join()}}`, ...inner];
}

/** What an answer has at any depth. */
function namesIn(shape: unknown): readonly string[] {
  if (typeof shape !== "object" || shape === null) return [];
  const { properties = {} } = shape as { readonly properties?: object };
  return [...Object.keys(properties), ...Object.values(shape).flatMap(namesIn)];
}

/** What it answers, and whoever is answered might send back for it to be believed. */
function answeredOnly({ answers, body }: Operation): readonly string[] {
  const answered = Object.values(answers).filter((answer) => answer !== null)
    .flatMap((answer) => namesIn(z.toJSONSchema(answer, { unrepresentable: "any" })));
  const asked = namesIn(body && z.toJSONSchema(body, { unrepresentable: "any", io: "input" }));
  return [...new Set(answered).difference(new Set(asked))];
}

for (const operation of operations.filter(({ method }) => method !== "get")) {
  Deno.test(`${operation.id} takes nothing of what only it answers`, async () => {
    await using scene = new Scene(database);
    const request = await requestFor(operation, scene);
    const caller = mostPowerful(scene, operation);
    for (const name of answeredOnly(operation)) {
      const more = { ...request, body: { ...request.body, [name]: "x" } };
      const answer = await sent(caller, operation, more);
      assertProblem(answer, 400, "/problems/invalid-request");
      assert(answer.text.includes(name), `${name} is said to be the matter`);
    }
  });
}

Deno.test("there is much that is only answered", () => {
  const commands = operations.filter(({ method }) => method !== "get");
  assert(commands.flatMap(answeredOnly).length > 3 * commands.length);
});

for (const operation of operations) {
  Deno.test(`${operation.id} takes nothing that it does not declare`, async () => {
    await using scene = new Scene(database);
    const request = await requestFor(operation, scene);
    const caller = mostPowerful(scene, operation);
    const { query = "" } = request;
    for (const name of ["role", "accountid", "__proto__", "constructor"]) {
      const more = { ...request, query: `${query}${query === "" ? "?" : "&"}${name}=admin` };
      assertProblem(await sent(caller, operation, more), 400, "/problems/invalid-request");
    }
    if (operation.method !== "get") {
      const { body: declared = {} } = request;
      const bodies = extras
        .filter((extra) => !Object.keys(declared).some((name) => extra.startsWith(`"${name}"`)))
        .flatMap((extra) => tampered(declared, extra));
      for (const body of bodies) {
        const answer = await sentText(caller, operation, request, body);
        assertProblem(answer, 400, "/problems/invalid-request");
      }
    }
    // Without that it is what the operation takes.
    const { status, text } = await sent(caller, operation, request);
    assert(status < 300, text);
    assert.equal(Object.hasOwn(Object.prototype, "role"), false);
  });
}
