/** The router of paths finds what Hono's own would, also where one expression cannot tell them apart. */
import assert from "node:assert/strict";
import { TrieRouter } from "hono/router/trie-router";
import { PathRouter } from "../../../lib/http/path_router.ts";

const routes = [
  ["ALL", "/api/*"],
  ["GET", "/api/users/me"],
  ["GET", "/api/users/me/keys"],
  ["DELETE", "/api/users/me/keys/:id"],
  ["GET", "/api/users/:id"],
  ["POST", "/api/letters/redrive/all"],
  ["POST", "/api/letters/:id/redrive"],
  ["GET", "/api/events/:id"],
  ["GET", "/api/events/:id/registrations/:registrationId"],
  ["POST", "/api/events"],
  ["TRACE", "*"],
  ["GET", "/health/ready"],
] as const;

const asked = [
  "/api/users/me",
  "/api/users/me/keys",
  "/api/users/me/keys/7",
  "/api/users/7",
  "/api/users/7/keys",
  "/api/users/",
  "/api/users",
  "/api/letters/redrive/all",
  "/api/letters/7/redrive",
  "/api/letters/redrive/redrive",
  "/api/events/7",
  "/api/events/7/registrations/8",
  "/api/events",
  "/api/nothing",
  "/health/ready",
  "/",
];

Deno.test("each path has the handlers and parameters that it has by Hono's router", () => {
  const router = new PathRouter<number>();
  const reference = new TrieRouter<number>();
  for (const [index, [method, path]] of routes.entries()) {
    router.add(method, path, index);
    reference.add(method, path, index);
  }
  for (const method of ["GET", "POST", "DELETE", "TRACE", "PATCH"]) {
    for (const path of asked) {
      assert.deepEqual(found(router, method, path), found(reference, method, path), path);
    }
  }
});

type Matching = Pick<PathRouter<number>, "match">;

function found(router: Matching, method: string, path: string) {
  const [handlers, values] = router.match(method, path);
  return handlers.map(([handler, params]) => {
    // A router gives the parameters themselves, or where they stand among the values.
    const entries = Object.entries(params).map(([name, at]) => [
      name,
      typeof at === "number" ? values![at] : at,
    ]);
    return { handler, params: Object.fromEntries(entries) };
  });
}

Deno.test("what is added once requests are served is refused, and not ignored", () => {
  const router = new PathRouter<number>();
  router.add("GET", "/", 1);
  router.match("GET", "/");
  assert.throws(() => router.add("GET", "/late", 2), /Cannot add \/late/);
});
