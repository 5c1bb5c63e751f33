import assert from "node:assert/strict";
import { Hono } from "hono";
import type { CallerEnv } from "../../../lib/http/caller.ts";
import type { Operation } from "../../../lib/http/operation.ts";
import { problemForError } from "../../../lib/http/problem.ts";
import { rateLimits } from "../../../lib/http/rate_limited.ts";
import type { KeyValue } from "../../../lib/kv/key_value.ts";
import { Limiter } from "../../../lib/limits/limiter.ts";
import { MemoryKeyValue } from "../../../lib/memory/key_value.ts";
import { quotasIn } from "../../../lib/quotas.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

interface Visit {
  readonly id?: string;
  readonly keyId?: string;
  readonly address?: string;
}

/** Who may ask so often; `admit` says how a request is counted. */
function asker(
  rateLimitsText: string,
  admit: (limits: ReturnType<typeof rateLimits>) => ReturnType<typeof rateLimits>["admitStranger"],
  store?: KeyValue,
) {
  const limiter = new Limiter({
    env: new VirtualEnv(),
    quotas: quotasIn(rateLimitsText),
    ...(store && { shared: { store, prefix: "test" } }),
  });
  const limits = rateLimits(limiter);
  return async ({ id = "ana", keyId, address = "192.0.2.1" }: Visit): Promise<number> => {
    const app = new Hono<CallerEnv>().get("/", async (c) => {
      c.set("caller", {
        principal: { id, roles: [] },
        messageId: "",
        correlationId: "",
        deadline: 0,
        ...(keyId !== undefined && { keyId }),
      });
      await admit(limits)(c);
      return c.text("");
    });
    app.onError(problemForError({ report: assert.fail, uuid: () => "" }));
    const peer = { remoteAddress: address, isLeaving: false };
    return (await app.fetch(new Request("http://localhost/"), { peer })).status;
  };
}

const operation: Operation = {
  id: "look",
  method: "get",
  path: "/",
  tag: "test",
  summary: "Looks",
  access: "caller",
  answers: { 200: null },
};

Deno.test("a key counts for its owner and for itself, and a user who shows none for the user", async () => {
  const ask = asker("general=3/h api-key=1/h", ({ admit }) => (c) => admit(c, operation));
  assert.equal(await ask({ keyId: "one" }), 200);
  assert.equal(await ask({ keyId: "one", address: "192.0.2.2" }), 429);
  assert.equal(await ask({ keyId: "other" }), 200);
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ address: "192.0.2.2" }), 429);
  assert.equal(await ask({ keyId: "third" }), 429);
  assert.equal(await ask({ id: "one" }), 200, "a user who is called as a key is");
});

Deno.test("what takes no token counts by the address", async () => {
  const open = { ...operation, access: "anyone" } as const;
  const ask = asker("general=1/h", ({ admit }) => (c) => admit(c, open));
  assert.equal(await ask({}), 200);
  assert.equal(await ask({ id: "ben" }), 429);
  assert.equal(await ask({ address: "192.0.2.2" }), 200);
});

Deno.test("what counts under no limit is never refused", async () => {
  const free = { ...operation, limit: null };
  const ask = asker("general=1/h", ({ admit }) => (c) => admit(c, free));
  for (let time = 0; time < 3; time++) assert.equal(await ask({}), 200);
});

Deno.test("a login counts for its address and for the account, however that is spelled", async () => {
  const attempts = ["ana@example.org", "ANA@example.org", " ana@EXAMPLE.org", "ａna@example.org"];
  let time = 0;
  const ask = asker(
    "login-account=2/h",
    ({ admitAs }) => (c) => admitAs(c, "login", attempts[time++]!),
  );
  const from = (last: number) => ask({ address: `192.0.2.${last}` });
  assert.deepEqual([await from(1), await from(2), await from(3), await from(4)], [
    200,
    200,
    429,
    429,
  ]);
});

Deno.test("where logins are counted nobody can read who they are of", async () => {
  const store = new MemoryKeyValue({ env: new VirtualEnv() });
  const keys: string[] = [];
  store.run = (script, at, args) => {
    keys.push(...at);
    return MemoryKeyValue.prototype.run.call(store, script, at, args);
  };
  const ask = asker("", ({ admitAs }) => (c) => admitAs(c, "login", "ana@example.org"), store);
  assert.equal(await ask({}), 200);
  assert.equal(keys.length, 2);
  for (const key of keys) assert.doesNotMatch(key, /ana|example/);
});

Deno.test("logins of nobody in particular count for their addresses, and hold up nobody else", async () => {
  const ask = asker("login=2/h", ({ admitAs }) => (c) => admitAs(c, "login", ""));
  assert.deepEqual([await ask({}), await ask({}), await ask({})], [200, 200, 429]);
  assert.equal(await ask({ address: "192.0.2.2" }), 200);
});
