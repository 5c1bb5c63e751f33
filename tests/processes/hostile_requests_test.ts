/** Requests that two servers in a row could read differently, or that no client sends. */
import assert from "node:assert/strict";
import { organizerToken } from "../support/cluster.ts";
import { RawConnection } from "../support/raw_connection.ts";
import { ServerProcess } from "../support/server_process.ts";

const POST = "POST /api/v1/events HTTP/1.1\r\n";
const HEAD =
  `${POST}host: test\r\ncontent-type: application/json\r\nauthorization: Bearer ${organizerToken}\r\n`;
/** What would be taken for a request of its own, by whoever ends the first one too early. */
const SMUGGLED = "GET /health/live HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n";

const hostile: Readonly<Record<string, string>> = {
  "two lengths that differ": `${HEAD}content-length: 2\r\ncontent-length: 50\r\n\r\n{}${SMUGGLED}`,
  "a length that is none": `${HEAD}content-length: +2\r\n\r\n{}${SMUGGLED}`,
  "a length below zero": `${HEAD}content-length: -1\r\n\r\n{}${SMUGGLED}`,
  "a length and chunks":
    `${HEAD}content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "chunks and a length":
    `${HEAD}transfer-encoding: chunked\r\ncontent-length: 5\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding that is none": `${HEAD}transfer-encoding: xchunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding after chunks":
    `${HEAD}transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "two encodings":
    `${HEAD}transfer-encoding: identity\r\ntransfer-encoding: chunked, x\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding before chunks that nobody knows":
    `${HEAD}transfer-encoding: foo, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding before chunks that is not undone":
    `${HEAD}transfer-encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding that ends like chunks":
    `${HEAD}transfer-encoding: xchunked,chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding in a line of its own":
    `${HEAD}transfer-encoding: foo\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "an encoding of what has no body":
    `GET /health/live HTTP/1.1\r\nhost: test\r\ntransfer-encoding: x, chunked\r\n\r\n0\r\n\r\n${SMUGGLED}`,
  "a chunk that is longer than it says":
    `${HEAD}transfer-encoding: chunked\r\n\r\n2\r\n{}{}\r\n0\r\n\r\n${SMUGGLED}`,
  "a chunk whose length is none":
    `${HEAD}transfer-encoding: chunked\r\n\r\nzz\r\n{}\r\n0\r\n\r\n${SMUGGLED}`,
  "two hosts": `${POST}host: test\r\nhost: other\r\n\r\n${SMUGGLED}`,
  "a space before the colon": `${POST}host : test\r\n\r\n${SMUGGLED}`,
  "a folded header": `${POST}host: test\r\nx: a\r\n b\r\n\r\n${SMUGGLED}`,
  "a zero byte in a header": `${POST}host: test\r\nx: a\0b\r\n\r\n${SMUGGLED}`,
  "200 headers": `${POST}host: test\r\n${
    Array.from({ length: 200 }, (_, i) => `x-${i}: y\r\n`).join("")
  }\r\n${SMUGGLED}`,
  "a header of a megabyte": `${POST}host: test\r\nx: ${"y".repeat(1_048_576)}\r\n\r\n${SMUGGLED}`,
  "a target of a megabyte": `GET /${"y".repeat(1_048_576)} HTTP/1.1\r\nhost: test\r\n\r\n`,
  "another protocol": "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n",
};

Deno.test("a hostile request is 400 or cut, and what hides in it never seen", async (t) => {
  await using cleaning = new AsyncDisposableStack();
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_hostile_" });
  cleaning.defer(() => Deno.remove(DATA_DIR, { recursive: true }));
  const bounds = { HEAD_MS: "1000", BODY_MS: "1000", KEEP_ALIVE_MS: "1000" };
  await using server = await ServerProcess.start({ DATA_DIR, ...bounds });
  const port = Number(server.port);
  const sent = async (text: string) => {
    using connection = await RawConnection.open(port);
    // It may be cut while it is still being sent.
    const sending = connection.send(text).catch(() => {});
    const answers = await connection.rest();
    await sending;
    return [...answers.matchAll(/HTTP\/1\.1 (\d{3})/g)].map(([, status]) => status!);
  };

  for (const [what, text] of Object.entries(hostile)) {
    await t.step(what, async () => {
      const statuses = await sent(text);
      // What follows a refusal may be refused as well.
      assert(statuses.length <= 2, statuses.join());
      assert(statuses.every((status) => ["400", "414", "431"].includes(status)), statuses.join());
    });
  }
  await t.step("TRACE is not allowed, whoever asks", async () => {
    for (const path of ["/health/live", "/api/v1/events", "/nowhere"]) {
      assert.deepEqual(await sent(SMUGGLED.replace("GET /health/live", `TRACE ${path}`)), ["405"]);
    }
  });
  await t.step("and whoever asks rightly is answered", async () => {
    assert.deepEqual(await sent(SMUGGLED), ["200"]);
    for (const encoding of ["chunked", "Chunked"]) {
      const chunked = `${HEAD}transfer-encoding: ${encoding}\r\n\r\n2\r\n{}\r\n0\r\n\r\n`;
      // Understood, if not what the route accepts.
      assert.deepEqual(await sent(`${chunked}${SMUGGLED}`), ["400", "200"]);
    }
  });
});
