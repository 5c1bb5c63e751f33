/** What is secret or personal goes through the service, and none of it is found in the log. */
import assert from "node:assert/strict";
import { ServerProcess, tokenFor } from "../support/server_process.ts";

const CANARY = "canary-5f1c9e";

Deno.test("no secret and nothing that people write is logged, and each entry is one line", async () => {
  await using cleaning = new AsyncDisposableStack();
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_canaries_" });
  cleaning.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
  const server = cleaning.use(await ServerProcess.start({ DATA_DIR, LOG_LEVEL: "debug" }));
  const token = await tokenFor(`${CANARY}-person`, "organizer", "admin", "trader");
  const answers: string[] = [];
  const ask = async (method: string, path: string, body?: string, headers = {}) => {
    const answer = await fetch(`${server.url}/api/v1${path}`, {
      method,
      headers: {
        authorization: `Bearer ${token}`,
        "content-type": "application/json",
        "idempotency-key": `${CANARY}-${method}${path.length}${body?.length}`,
        cookie: `session=${CANARY}`,
        ...headers,
      },
      ...(body !== undefined && { body }),
    });
    const text = await answer.text();
    if (answer.status >= 400) answers.push(text);
    return { status: answer.status, text };
  };
  const plan = {
    title: `${CANARY} title`,
    description: `${CANARY}\n\tlines`,
    startsAt: "2040-06-01T18:00:00Z",
    endsAt: "2040-06-01T20:00:00Z",
    capacity: 1,
  };
  const made = await ask("POST", "/events", JSON.stringify(plan));
  assert.equal(made.status, 201, made.text);
  const event = `/events/${JSON.parse(made.text).id}`;
  assert.equal((await ask("POST", `${event}/publish`, "{}")).status, 200);
  assert.equal((await ask("POST", `${event}/registrations`, "{}")).status, 201);
  const hostile = [`${CANARY}\n{"level":"error"}`, `${CANARY}\u001b[2J`, `${CANARY}","level":"x`];
  for (const text of hostile) {
    await ask("POST", "/events", JSON.stringify({ ...plan, title: text }));
    await ask("POST", "/events", `{"${text}`);
    await ask("GET", `/events?q=${encodeURIComponent(text)}&${encodeURIComponent(text)}=1`);
    await ask("GET", `/events/${encodeURIComponent(text)}`);
    await ask("DELETE", `/${encodeURIComponent(text)}`);
    await ask(
      "POST",
      "/webhooks",
      JSON.stringify({ url: `https://${CANARY}.example/${text}`, types: [] }),
    );
    await ask("POST", "/jobs", JSON.stringify({ type: "x", payload: { text } }));
    await ask("POST", "/orders", JSON.stringify({ symbol: text }));
  }
  for (
    const credential of [`Bearer ${CANARY}.${CANARY}.x`, `Basic ${CANARY}`, `Bearer ${token}x`]
  ) {
    assert.equal(
      (await ask("GET", "/events", undefined, { authorization: credential })).status,
      401,
    );
  }
  server.kill("SIGTERM");
  const { stdout, stderr } = await server.ended;
  const lines = [...stdout, ...stderr];
  assert(lines.length > 5, "something was logged");
  const secrets = [token, token.split(".")[2]!, CANARY];
  // The name of an actor may be that of a person, as an account is; nothing else of people may.
  const allowed = new RegExp(`[a-z_]+/${CANARY}-person`, "g");
  for (const line of lines) {
    JSON.parse(line);
    for (const secret of secrets) assert(!line.replace(allowed, "").includes(secret), line);
  }
  for (const answer of answers) {
    const { instance: _, errors = [], ...said } = JSON.parse(answer);
    assert(!JSON.stringify(said).includes(CANARY), answer);
    assert(!errors.some(({ message }: { message: string }) => message.includes(CANARY)), answer);
  }
});
