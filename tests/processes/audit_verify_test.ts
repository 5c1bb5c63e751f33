/** The audit from outside: sealed by the service, verified by a task, which says when it does not hold. */
import assert from "node:assert/strict";
import { ServerProcess, tokenFor } from "../support/server_process.ts";

const admin = await tokenFor("root", "admin");

Deno.test("what is done is sealed within moments, and verified against a head that was told", async () => {
  await using cleaning = new AsyncDisposableStack();
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_audit_" });
  cleaning.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
  const variables = { DATA_DIR };
  const server = cleaning.use(await ServerProcess.start(variables));
  const ask = async (path: string, method = "GET") => {
    const headers = { authorization: `Bearer ${admin}` };
    const answer = await fetch(`${server.url}/api/v1${path}`, { method, headers });
    return { status: answer.status, body: await answer.json() };
  };
  assert.equal((await ask("/audit/head")).status, 404);
  assert.equal((await ask("/performance/reset-circuit-breakers", "POST")).status, 200);
  let answer = await ask("/audit/head");
  while (answer.status === 404) answer = await ask("/audit/head");
  const { body: head } = answer;
  const { items: [record] } = (await ask("/audit")).body;
  assert.deepEqual(record.seal, head);
  assert.deepEqual([record.act, record.actorId, record.from], [
    "breaker reset",
    "root",
    "127.0.0.1",
  ]);
  server.kill("SIGTERM");
  assert.equal((await server.ended).code, 0);

  const verify = (...args: readonly string[]) =>
    ServerProcess.run(variables, "audit-verify", ...args);
  const told = `${head.number}:${head.mac}`;
  const whole = await verify("--head", told);
  assert.deepEqual([whole.code, whole.stdout], [0, [`whole, head ${told}`]]);
  const cut = await verify("--head", `${head.number + 1}:${head.mac}`);
  assert.equal(cut.code, 1);
  assert.match(cut.stderr.join("\n"), /from number 2 on: the end was cut off: 2 was told$/);
  const other = await verify("--head", `${head.number}:${"0".repeat(64)}`);
  assert.match(other.stderr.join("\n"), /from number 1 \(row 1\) on: another seal was told/);
  const odd = await verify("--head", "latest");
  assert.match(odd.stderr.join("\n"), /latest is no head; usage: audit-verify/);
  const keyless = await ServerProcess.run(
    { ...variables, AUDIT_KEY: "another key of which nobody has ever heard before" },
    "audit-verify",
  );
  assert.match(keyless.stderr.join("\n"), /it was sealed with the key [0-9a-f]{16}, not given/);

  await using again = await ServerProcess.start(variables);
  const { number, mac } = await again.logged("audit head");
  assert.deepEqual({ number, mac }, head, "what is newest is told to the log as well");
});
