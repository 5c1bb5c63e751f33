/** A line break that somebody sends stays within the value that it is in: no header comes of it. */
import assert from "node:assert/strict";
import { z } from "zod";
import type { Operation } from "../../lib/http/operation.ts";
import { Api, type Client, published } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const breaks = [
  "%0d%0aInjected:%20yes",
  "%0aInjected:%20yes",
  "%0dInjected:%20yes",
  "%0d%0a%0d%0a%3Chtml%3EInjected",
  "%E5%98%8A%E5%98%8DInjected:%20yes",
  "%E2%80%A8Injected:%20yes",
  "%250d%250aInjected:%20yes",
  "%00Injected:%20yes",
];

function pathsOf({ path, query }: Operation, event: string): readonly string[] {
  const known = path.replace("/events/{id}", event).replaceAll(/\{\w+\}/g, crypto.randomUUID());
  const fields = query instanceof z.ZodObject ? Object.keys(query.shape) : [];
  const parts = [...path.matchAll(/\{\w+\}/g)].map(([part]) => part);
  return [
    ...[...fields, "unknown"].map((name) => `${known}?${name}=HERE`),
    ...parts.map((part) =>
      path.replace(part, "HERE").replace("/events/{id}", event)
        .replaceAll(/\{\w+\}/g, crypto.randomUUID())
    ),
    `${known}HERE`,
    `${known}?HERE`,
  ];
}

async function assertWhole(client: Client, method: string, path: string): Promise<void> {
  const { status, headers, text, body } = await client.send(method, path);
  assert(status < 500, `${method} ${path}: ${status}`);
  assert.equal(headers.get("injected"), null);
  for (const [name, value] of headers) {
    assert.doesNotMatch(value, /[\r\n\0]|injected/i, `${name} of ${method} ${path}`);
  }
  // What is repeated, such as the path, is a value of JSON, and escaped as such.
  if (text !== "") {
    assert.doesNotMatch(text, /[\r\n\0]/);
    assert.equal(typeof body, "object");
  }
}

Deno.test("a line break in a path or a query becomes none in an answer, of whatever operation", async () => {
  await using api = new Api(database);
  const event = await published(api.as("otto", "organizer"));
  const client = api.as("ada", "admin", "organizer", "trader", "feed");
  const operations = api.operations.filter(({ path }) => path.startsWith("/api/"));
  assert(operations.length > 60);
  for (const operation of operations) {
    for (const path of pathsOf(operation, event)) {
      for (const text of breaks) {
        await assertWhole(client, operation.method.toUpperCase(), path.replace("HERE", text));
      }
    }
  }
});

Deno.test("what is repeated of a request's headers is what could have no line break in it", async () => {
  await using api = new Api(database);
  const client = api.as("ada", "admin", "organizer");
  for (const text of [...breaks, "a b", "injected\tyes", "\u00e9injected", "injected"]) {
    for (
      const name of [
        ...["x-correlation-id", "idempotency-key", "if-match", "consistency-token", "traceparent"],
        ...["origin", "host", "x-forwarded-host", "access-control-request-headers", "accept"],
      ]
    ) {
      const { status, headers } = await client.get("/events", { [name]: text });
      assert(status < 500, `${name}: ${text}`);
      for (const [header, value] of headers) {
        assert.doesNotMatch(value, /injected/i, `${header} repeats ${name}`);
      }
    }
  }
});
