/** What the service says of itself, held against what it is. */
import assert from "node:assert/strict";
import { createConfig, lintFromString } from "@redocly/openapi-core";
import { Validator } from "@seriousme/openapi-schema-validator";
import { generalProblems } from "../../lib/http/general_problems.ts";
import { answerExamples, examplesOf } from "../../lib/http/examples.ts";
import { PIECE_BYTES } from "../../lib/http/in_pieces.ts";
import { scopeOf } from "../../lib/http/operation.ts";
import { defaultQuotas } from "../../lib/quotas.ts";
import { Api } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

async function documentOf(api: Api) {
  const response = await api.http.request("/openapi.json");
  assert.equal(response.status, 200);
  assert.equal(response.headers.get("content-type"), "application/json");
  return await response.json();
}

Deno.test("the document is there for anyone, and whoever has it is told that nothing changed", async () => {
  await using api = new Api(database);
  const first = await api.http.request("/openapi.json");
  const etag = first.headers.get("etag")!;
  assert.match(first.headers.get("cache-control")!, /^private, max-age=\d+$/);
  assert.equal((await first.json()).openapi, "3.1.1");
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`]) {
    const again = await api.http.request("/openapi.json", { headers: { "if-none-match": known } });
    assert.equal(again.status, 304, known);
    assert.equal(await again.text(), "");
    assert.equal(again.headers.get("etag"), etag);
  }
  const other = await api.http.request("/openapi.json", { headers: { "if-none-match": '"x"' } });
  assert.equal((await other.json()).openapi, "3.1.1");
});

Deno.test("every operation is in the document: who may ask, what for, and what it answers", async () => {
  await using api = new Api(database);
  const { paths, components } = await documentOf(api);
  // deno-lint-ignore no-explicit-any -- as it is in the document
  const resolved = (thing: any) =>
    thing.$ref === undefined
      ? thing
      : components[thing.$ref.split("/")[2]][thing.$ref.split("/")[3]];
  assert(api.operations.length > 60);
  let described = 0;
  for (const operation of api.operations) {
    const { id, method, path, access, answers, problems = [], limit = "general" } = operation;
    const told = paths[path]?.[method];
    assert.equal(told?.operationId, id);
    described++;
    const isOpen = access === "anyone";
    assert.deepEqual(told.security, isOpen ? [] : [{ token: [] }, { key: [scopeOf(operation)] }]);
    assert.equal(told["x-rate-limit"], limit ?? undefined, id);
    if (limit !== null) {
      const { limit: most, windowMs } = defaultQuotas[limit];
      assert(told.description.includes(`\`${limit}\`: ${most} in ${windowMs / 1_000} s`), id);
    }
    const parameters = told.parameters.map(resolved);
    const inPath = [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => name);
    assert.deepEqual(
      // deno-lint-ignore no-explicit-any -- as it is in the document
      parameters.filter((one: any) => one.in === "path").map((one: any) => one.name),
      inPath,
    );
    const all = [...problems, ...generalProblems(operation)];
    const statuses = [...Object.keys(answers), ...all.map(({ problem }) => `${problem.status}`)];
    assert.deepEqual(Object.keys(told.responses).sort(), [...new Set(statuses)].sort(), id);
    for (const { type, problem } of all) {
      if (problem.status in answers) continue;
      const { content } = resolved(told.responses[problem.status]);
      const { allOf } = content["application/problem+json"].schema;
      assert(allOf[1].properties.type.enum.includes(type), `${id} ${type}`);
    }
  }
  const told = Object.values(paths).flatMap((methods) => Object.keys(methods as object));
  assert.equal(told.length, described);
});

Deno.test("what says who asked, and how often they may, is for no cache that others share", async (t) => {
  await using api = new Api(database, { rateLimits: "general=1000/min" });
  const paths = [
    "/openapi.json",
    "/problems/too-many-requests",
    "/problems/live-event/sold-out",
    "/.well-known/jwks.json",
    "/docs",
    "/docs/start.js",
  ];
  for (const path of paths) {
    await t.step(path, async () => {
      const { status, headers, body } = await api.http.request(path);
      await body?.cancel();
      assert.equal(status, 200);
      for (const name of ["x-correlation-id", "ratelimit", "ratelimit-policy"]) {
        assert(headers.has(name), name);
      }
      assert.match(headers.get("cache-control")!, /^private, max-age=\d+$/);
    });
  }
});

/** What is wrong with a document by the rules of linters; the strict ones of Redocly, and more. */
async function faultsOf(document: Record<string, unknown>): Promise<readonly string[]> {
  const config = await createConfig({
    extends: ["recommended-strict"],
    rules: { "no-invalid-schema-examples": "error", "no-invalid-parameter-examples": "error" },
  });
  const problems = await lintFromString({ source: JSON.stringify(document), config });
  const { valid, errors } = await new Validator().validate(structuredClone(document));
  const said = problems.map(({ ruleId, message, location }) =>
    `${ruleId}: ${message} at ${location[0]?.pointer}`
  );
  return valid ? said : [...said, `schema: ${JSON.stringify(errors)}`];
}

Deno.test("linters find nothing wrong with the document, and would if there were", async (t) => {
  await using api = new Api(database);
  const document = await documentOf(api);
  assert.deepEqual(await faultsOf(document), []);
  const event = "/api/v1/events";
  const planted: Record<string, (broken: typeof document) => void> = {
    "operation-summary": ({ paths }) => delete paths[event].get.summary,
    "operation-operationId-unique": ({ paths }) => paths[event].get.operationId = "getEvent",
    "no-unresolved-refs": ({ components }) => delete components.schemas.LiveEvent,
    "no-unused-components": ({ components }) => components.schemas.Idle = { type: "string" },
    "no-invalid-schema-examples": ({ components }) =>
      components.schemas.NewJob.examples[0].type = 1,
    "no-invalid-media-type-examples": ({ paths }) =>
      delete paths[event].post.requestBody.content["application/json"].examples["example 1"].value
        .title,
    "schema": ({ paths }) => paths[event].get.parameters.push({ name: "where" }),
  };
  for (const [rule, plant] of Object.entries(planted)) {
    await t.step(rule, async () => {
      const broken = structuredClone(document);
      plant(broken);
      const faults = await faultsOf(broken);
      assert(faults.some((fault) => fault.startsWith(`${rule}:`)), faults.join("\n") || "none");
    });
  }
});

Deno.test("every example of a request is one that its route takes", async () => {
  await using api = new Api(database);
  const anybody = api.as("root", "admin", "organizer", "trader", "feed");
  let sent = 0;
  for (const { id, method, path, body } of api.operations) {
    if (body === undefined) continue;
    const examples = examplesOf(body);
    assert(examples.length > 0, id);
    for (const example of examples) {
      assert.equal(body.safeParse(example).error, undefined, id);
      if (path.includes("{") || method !== "post") continue;
      const { status, text } = await anybody.post(path, example);
      assert.notEqual(status, 400, `${id}: ${text}`);
      sent++;
    }
  }
  assert(sent > 8);
});

Deno.test("every answer has an example, which is what its route is declared to answer", async () => {
  await using api = new Api(database);
  for (const { id, answers } of api.operations) {
    for (const schema of Object.values(answers)) {
      if (schema === null) continue;
      for (const example of answerExamples(schema)) {
        assert.equal(
          schema.safeParse(example).error,
          undefined,
          `${id} ${JSON.stringify(example)}`,
        );
      }
    }
  }
  const { paths, components, tags } = await documentOf(api);
  let seen = 0;
  for (const [path, methods] of Object.entries<Record<string, unknown>>(paths)) {
    for (const [method, told] of Object.entries(methods)) {
      // deno-lint-ignore no-explicit-any -- as it is in the document
      for (const answer of Object.values<any>((told as any).responses)) {
        const { content = {} } = answer.$ref === undefined
          ? answer
          : components.responses[answer.$ref.split("/")[3]];
        for (const { examples } of Object.values<{ readonly examples?: object }>(content)) {
          assert(Object.keys(examples ?? {}).length > 0, `${method} ${path}`);
          seen++;
        }
      }
    }
  }
  assert(seen > 0);
  for (const { name, description } of tags) assert.notEqual(description, name);
});

Deno.test("the type of every problem leads to what explains it", async () => {
  await using api = new Api(database);
  const types = new Map(
    api.operations.flatMap((operation) =>
      [...operation.problems ?? [], ...generalProblems(operation)]
        .map(({ type, problem }) => [type, problem] as const)
    ),
  );
  types.delete("about:blank");
  assert(types.size > 60);
  for (const [type, { status, title }] of types) {
    const response = await api.http.request(type);
    assert.equal(response.status, 200, type);
    const explained = await response.json();
    assert.equal(explained.type, type);
    assert.equal(explained.status, status);
    // It may be the title of another thing that changed, but it is one.
    assert.equal(typeof explained.title, "string", title);
    assert(explained.operations.length > 0);
  }
  for (const nowhere of ["/problems/nothing", "/problems/live-event/nothing"]) {
    const response = await api.http.request(nowhere);
    assert.equal(response.status, 404);
    assert.equal((await response.json()).type, "/problems/problem-not-found");
  }
});

Deno.test("the page takes all it needs from the service, and may take nothing from elsewhere", async () => {
  await using api = new Api(database);
  const page = await api.http.request("/docs");
  assert.equal(page.headers.get("content-type"), "text/html; charset=utf-8");
  const policy = page.headers.get("content-security-policy")!;
  const sources = policy.split("; ").flatMap((directive) => directive.split(" ").slice(1));
  // A picture in a style sheet is no way out.
  assert.deepEqual([...new Set(sources)].sort(), ["'none'", "'self'", "data:"]);
  assert.doesNotMatch(policy, /(script|connect|style|default)-src[^;]*data:/);
  assert.match(policy, /^default-src 'none';/);
  const html = await page.text();
  assert.doesNotMatch(html, /<script(?! src=)|<style| style=| on\w+=|https?:/);
  const parts = [...html.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, part]) => part!)
    .filter((part) => part !== "data:,");
  assert.deepEqual(parts, ["docs/swagger-ui.css", "docs/swagger-ui-bundle.js", "docs/start.js"]);
  for (const part of parts) {
    const { pathname } = new URL(part, "http://localhost/docs");
    const response = await api.http.request(pathname);
    assert.equal(response.status, 200, part);
    const type = part.endsWith(".css") ? "text/css" : "text/javascript";
    assert.equal(response.headers.get("content-type"), `${type}; charset=utf-8`);
    const text = await response.text();
    assert(text.length > 100, part);
    if (part === "docs/start.js") {
      assert.doesNotMatch(text, /https?:/);
      // Swagger would otherwise have its own server judge the document.
      assert.match(text, /validatorUrl: null/);
    }
  }
});

Deno.test("the files of the page are held once, and given as they are taken", async () => {
  await using api = new Api(database);
  const firstOf = async (path: string) => {
    const response = await api.http.request(path);
    const reader = response.body!.getReader();
    const { value } = await reader.read();
    await reader.cancel();
    return { piece: value!, length: Number(response.headers.get("content-length")) };
  };
  for (const path of ["/docs/swagger-ui-bundle.js", "/docs/swagger-ui.css", "/openapi.json"]) {
    const [one, other] = [await firstOf(path), await firstOf(path)];
    assert(one.length > 100_000, path);
    assert.equal(one.piece.length, PIECE_BYTES);
    assert.equal(one.piece.buffer, other.piece.buffer, `${path} is copied for each answer`);
    const whole = await (await api.http.request(path)).bytes();
    assert.equal(whole.length, one.length);
    assert.deepEqual(whole, new Uint8Array(one.piece.buffer as ArrayBuffer));
  }
});
