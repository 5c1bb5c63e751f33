import assert from "node:assert/strict";
import { Hono } from "hono";
import { answer } from "../../../lib/http/answer.ts";
import type { Arrival } from "../../../lib/http/arrival.ts";
import { guarding, openDoor } from "../../../lib/http/door.ts";
import { denoServer, platformServer } from "../../../lib/http/server.ts";
import { rawAnswer, requestText } from "../../support/raw_answer.ts";

/** Lets in whoever came by HTTPS. */
function app() {
  const app = new Hono<{ Bindings: Arrival }>();
  app.get("/", (c) => answer(c, 200));
  guarding(app, { ...openDoor, isHttpsRequired: true });
  return app;
}

for (
  const [server, statuses] of [[denoServer, [308, 308]], [platformServer, [308, 200]]] as const
) {
  Deno.test(`${server.name} believes a URL of the platform, and of nobody else`, async () => {
    const { fetch } = app();
    const place = { hostname: "127.0.0.1", port: 0 };
    await using serving = server(place, (request, peer) => fetch(request, { peer }));
    const answers = [];
    for (const scheme of ["http", "https"]) {
      answers.push(await rawAnswer(serving.addr.port, requestText({ path: `${scheme}://test/` })));
    }
    assert.deepEqual(answers.map((answer) => answer?.status), statuses);
  });
}

Deno.test("what comes from within the process is what its URL says", async () => {
  const { fetch } = app();
  const answer = await fetch(new Request("https://test/"));
  assert(answer.headers.has("strict-transport-security"));
  const plain = await fetch(new Request("http://test/"));
  assert(!plain.headers.has("strict-transport-security"));
});
