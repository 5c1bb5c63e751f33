/** Words that are nowhere else, through every operation: none of them sings in a log or in an error. */
import assert from "node:assert/strict";
import { systemEnv } from "../../lib/env.ts";
import { openLog } from "../../lib/telemetry/log.ts";
import { logObserver } from "../../lib/telemetry/log_observer.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { declaredIn, mostPowerful, pathOf, requestFor, Scene } from "../support/valid_requests.ts";

const database = await databaseOfThisFile();
const { operations } = await declaredIn(database);

/** Of the operation, so that who is heard singing says where it was. */
class Cage {
  readonly words: string[] = [];

  word(where: string): string {
    const word = `canary-${where}-${crypto.randomUUID().slice(0, 8)}`;
    this.words.push(word);
    return word;
  }

  singingIn(text: string): readonly string[] {
    return this.words.filter((word) => text.includes(word));
  }
}

/** The body with a word in the place of each text that is anybody's to choose. */
function withWords(body: unknown, word: () => string): unknown {
  if (typeof body !== "object" || body === null) return body;
  if (Array.isArray(body)) return body.map((item) => withWords(item, word));
  const chosen = [
    "title",
    "description",
    "venue",
    "reason",
    "name",
    "displayName",
    "about",
    "note",
  ];
  return Object.fromEntries(
    Object.entries(body).map(([field, value]) => [
      field,
      chosen.includes(field) && typeof value === "string" ? word() : withWords(value, word),
    ]),
  );
}

Deno.test("no secret and no text of anybody's is in a line of the log, whatever is asked", async () => {
  const lines: string[] = [];
  const observe = logObserver(openLog("debug", (line) => void lines.push(line), systemEnv.now));
  const cage = new Cage();
  for (const operation of operations) {
    const { id } = operation;
    await using scene = new Scene(database);
    scene.api.onObserved(observe);
    const request = await requestFor(operation, scene);
    const caller = mostPowerful(scene, operation);
    const method = operation.method.toUpperCase();
    const path = pathOf(operation, request);
    const headers = {
      "user-agent": cage.word(id),
      "cookie": `session=${cage.word(id)}`,
      "referer": `https://app.example/${cage.word(id)}`,
      ...(method !== "GET" && { "idempotency-key": cage.word(id) }),
    };
    const send = (body: unknown) =>
      body === undefined
        ? caller.send(method, path, undefined, headers)
        : caller.send(method, path, JSON.stringify(body), {
          ...headers,
          "content-type": "application/json",
        });
    const answers = [
      await send(request.body && withWords(request.body, () => cage.word(id))),
      // What is refused is not repeated either.
      await caller.get(`${path.split("?")[0]}?${cage.word(id)}=${cage.word(id)}`, headers),
      ...(method === "GET" ? [] : [
        await send({ ...request.body, password: cage.word(id), unknown: cage.word(id) }),
        await send(cage.word(id)),
      ]),
    ];
    const refused = answers.slice(1);
    for (const { status, text, body } of refused) {
      assert(status >= 400 && status < 500, `${id}: ${status}`);
      // A name that is not known is said, so that it can be mended; no value is.
      const { errors = [], ...said } = body as { readonly errors?: unknown[] };
      assert.deepEqual(cage.singingIn(JSON.stringify(said)), [], `${id}: ${text}`);
      assert(errors.length <= 20);
    }
    // Of what is alice's, as far as it is words and not names of things.
    cage.words.push(...scene.secrets.filter((word) => word.startsWith("secret-")));
  }
  assert(lines.length > operations.length, "there is a log");
  assert(cage.words.length > 3 * operations.length);
  assert.deepEqual(cage.singingIn(lines.join("\n")), []);
});
