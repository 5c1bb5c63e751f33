/** Bodies that are small to send and would be large to have: refused, and nothing of them kept. */
import assert from "node:assert/strict";
import v8 from "node:v8";
import vm from "node:vm";
import { Api, assertProblem, type Client, draft } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

/** That all of them together may leave behind in memory. */
const GROWTH_BYTES_MAX = 50 * 2 ** 20;

v8.setFlagsFromString("--expose-gc");
const collectGarbage: () => void = vm.runInNewContext("gc");

/** What is held once nothing is left that nobody holds. */
async function heldBytes(): Promise<number> {
  // What was looked at through a WeakRef stays until the turn of the event loop is over.
  await new Promise<void>((resolve) => setImmediate(resolve));
  collectGarbage();
  const { heapUsed, external, rss } = Deno.memoryUsage();
  return Math.max(rss, heapUsed + external);
}
const ROUNDS = 5;
const CHUNK = new TextEncoder().encode("x".repeat(16_384));

type Content = () => BodyInit;

/** As it comes over the network: in parts, and of no length that anybody was told. */
function streamed(parts: () => Iterator<Uint8Array<ArrayBuffer>>): Content {
  return () => {
    const left = parts();
    return new ReadableStream<Uint8Array<ArrayBuffer>>({
      pull(controller) {
        const { done, value } = left.next();
        if (done) controller.close();
        else controller.enqueue(value);
      },
    });
  };
}

function encoded(text: string): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(text);
}

function* manyKeys() {
  yield encoded("{");
  for (let n = 0; n < 1_000_000; n += 1_000) {
    yield encoded(Array.from({ length: 1_000 }, (_, i) => `"k${n + i}":0,`).join(""));
  }
  yield encoded('"k":0}');
}

function* longString() {
  yield encoded('{"title":"');
  for (let sent = 0; sent < 10 * 2 ** 20; sent += CHUNK.length) yield CHUNK;
  yield encoded('"}');
}

function* deepForLong() {
  const brackets = encoded("[".repeat(CHUNK.length));
  for (let sent = 0; sent < 10 * 2 ** 20; sent += brackets.length) yield brackets;
}

const whole = (text: string): Content => () => text;
const DEEP = 10_000;

/** Small enough to be read: what is in them is what is wrong. */
const invalid: Readonly<Record<string, Content>> = {
  "arrays 10,000 deep": whole("[".repeat(DEEP) + "]".repeat(DEEP)),
  "objects 10,000 deep": whole('{"a":'.repeat(DEEP) + "0" + "}".repeat(DEEP)),
  "a field 10,000 deep": whole(`{"title":${"[".repeat(DEEP)}${"]".repeat(DEEP)}}`),
  "a field 10,000 objects deep": whole(
    `{"capacity":${'{"a":'.repeat(DEEP)}1${"}".repeat(DEEP)}}`,
  ),
  "10,000 keys": whole(`{${Array.from({ length: 5_000 }, (_, n) => `"k${n}":0`).join()}}`),
  "one key 60,000 times": whole(`{${Array.from({ length: 9_000 }, () => '"a":0').join()}}`),
  "20,000 items": whole(`[${Array.from({ length: 20_000 }, () => "0").join()}]`),
  "a string of escapes": whole(`{"title":"${"\\u0000".repeat(10_000)}"}`),
  "a number of 60,000 digits": whole(`{"capacity":${"9".repeat(60_000)}}`),
  "a number beyond all": whole('{"capacity":1e999}'),
  "a number below all": whole('{"capacity":-1e999}'),
  "a number next to nothing": whole('{"capacity":1e-999}'),
  "less than nothing by a sign": whole('{"capacity":-0}'),
  "one beyond the exact": whole('{"capacity":9007199254740993}'),
  "a half": whole('{"capacity":1.5}'),
};

/** Too large, whatever is in them. */
const tooLarge: Readonly<Record<string, Content>> = {
  "a million keys": streamed(manyKeys),
  "a string of 10 MB": streamed(longString),
  "brackets of 10 MB": streamed(deepForLong),
};

const JSON_TYPE = { "content-type": "application/json" };

async function assertRefused(client: Client, places: readonly (readonly [string, string])[]) {
  for (const [method, path] of places) {
    for (const [what, content] of Object.entries(invalid)) {
      const answer = await client.send(method, path, content(), JSON_TYPE);
      assertProblem(answer, 400, "/problems/invalid-request");
      assert(answer.text.length < 8_192, `${what} is answered at length`);
    }
    for (const content of Object.values(tooLarge)) {
      const answer = await client.send(method, path, content(), JSON_TYPE);
      assertProblem(answer, 413, "/problems/body-too-large");
      const declared = { ...JSON_TYPE, "content-length": String(10 * 2 ** 20) };
      const said = await client.send(method, path, content(), declared);
      assertProblem(said, 413, "/problems/body-too-large");
    }
  }
}

Deno.test("deep, wide, long and huge bodies are refused, and leave no 50 MB behind", async () => {
  await using api = new Api(database);
  const client = api.as("otto", "organizer", "trader", "feed", "admin");
  const event = await draft(client);
  const places = [
    ["POST", "/events"],
    ["PATCH", event],
    ["POST", `${event}/registrations`],
    ["POST", "/orders"],
    ["POST", "/webhooks"],
    ["POST", "/jobs"],
    ["POST", "/schedules"],
    ["PUT", "/risk/limits"],
    ["POST", "/portfolio/rebalance"],
  ] as const;
  // What is made once, such as the code of a schema, is none of theirs.
  await assertRefused(client, places);
  const before = await heldBytes();
  for (let round = 0; round < ROUNDS; round++) await assertRefused(client, places);
  const growth = await heldBytes() - before;
  assert(growth < GROWTH_BYTES_MAX, `${growth} bytes more`);
  assert.deepEqual(api.bugs, []);
});

Deno.test("an amount of money is what was written, or refused: none is rounded on its way", async () => {
  await using api = new Api(database);
  const trader = api.as("tara", "trader");
  const deposited = async (amount: string) =>
    await trader.send("POST", "/accounts/deposits", `{"amount":${amount},"currency":"USD"}`, {
      ...JSON_TYPE,
    });
  for (
    const amount of ["1e999", "-0", "0.1", "9007199254740993", '"1e3"', '"-0"', '"NaN"', '"0x10"']
  ) {
    assertProblem(await deposited(amount), 400, "/problems/invalid-request");
  }
  const { body } = await deposited('"987654321.01"');
  assert.equal(body.cash, "987654321.01");
});
