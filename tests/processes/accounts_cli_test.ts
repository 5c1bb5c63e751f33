/** The first administrator, and keys that follow one another, as an operator has them. */
import assert from "node:assert/strict";
import { send } from "../support/cluster.ts";
import { type Ending, ServerProcess } from "../support/server_process.ts";

async function scratch(): Promise<{ readonly path: string } & AsyncDisposable> {
  const path = await Deno.makeTempDir({ prefix: "troupe_accounts_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

function assertDone({ code, stderr }: Ending): void {
  assert.equal(code, 0, stderr.join("\n"));
}

function assertRefused({ code, stderr }: Ending, reason: RegExp): void {
  assert.notEqual(code, 0);
  assert.match(stderr.join("\n"), reason);
  assert.equal(stderr.length, 1, stderr.join("\n"));
}

Deno.test("the first administrator signs in with what was printed once, and makes others", async () => {
  await using directory = await scratch();
  const DATA_DIR = directory.path;
  const made = await ServerProcess.run({ DATA_DIR }, "create-admin", "Ada@Example.org");
  assertDone(made);
  const [, password] = /^password, shown this once: (\S+)$/.exec(made.stdout.at(-1)!) ?? [];
  assert(password !== undefined, made.stdout.join("\n"));
  const again = await ServerProcess.run({ DATA_DIR }, "create-admin", "ada@example.org");
  assertDone(again);
  assert.match(again.stdout.join("\n"), /keeps its password/);
  assert.doesNotMatch(again.stdout.join("\n"), /shown this once/);
  assertRefused(await ServerProcess.run({ DATA_DIR }, "create-admin"), /usage/);
  assertRefused(await ServerProcess.run({ DATA_DIR }, "create-admin", "no address"), /email/);

  await using server = await ServerProcess.start({ DATA_DIR });
  const body = { email: "ada@example.org", password };
  const signedIn = await send(server, "POST", "/auth/login", { body });
  assert.equal(signedIn.status, 200, JSON.stringify(signedIn.body));
  assert.deepEqual(signedIn.body.roles, ["user", "admin"]);
  const token = signedIn.body.accessToken;
  const users = await send(server, "GET", "/users", { token });
  assert.equal(users.status, 200);
  assert.deepEqual(users.body.items.map(({ email }: { email: string }) => email), [
    "ada@example.org",
  ]);
  assert(!JSON.stringify(server.log).includes(password), "the log tells no passwords");
});

Deno.test("a key is replaced while tokens of the one before go on", async () => {
  await using directory = await scratch();
  const variables = { DATA_DIR: directory.path, TOKEN_SECRET: "" };
  const minted = await ServerProcess.run(variables, "token", "ana");
  const token = minted.stdout.at(-1)!;
  const rotated = await ServerProcess.run(variables, "rotate-token-key");
  assertDone(rotated);
  const kids = rotated.stdout.map((line) => line.split(": ")[1]!);
  assert.equal(kids.length, 2);
  await using server = await ServerProcess.start(variables);
  const response = await fetch(`${server.url}/.well-known/jwks.json`);
  const { keys } = await response.json();
  assert.deepEqual(keys.map(({ kid }: { kid: string }) => kid), kids);
  assert.equal((await send(server, "GET", "/me/registrations", { token })).status, 200);
  assertRefused(
    await ServerProcess.run({ DATA_DIR: directory.path }, "rotate-token-key"),
    /TOKEN_SECRETS_RETIRED/,
  );
});
