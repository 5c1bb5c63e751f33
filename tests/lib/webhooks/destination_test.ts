/** Where webhooks may not go, however it is written. */
import assert from "node:assert/strict";
import { systemEnv } from "../../../lib/env.ts";
import type { OutboxMessage } from "../../../lib/runtime/outbox.ts";
import { isPublicAddress } from "../../../lib/webhooks/addresses.ts";
import { webhookTarget } from "../../../lib/webhooks/delivery.ts";
import { admission, type Resolve } from "../../../lib/webhooks/destination.ts";
import { poster } from "../../../lib/webhooks/post.ts";
import { RawSink } from "../../support/sink.ts";

const PUBLIC = "1.1.1.1";
const everywherePublic: Resolve = () => Promise.resolve([PUBLIC]);

/** `PORT` is that of something which listens on this machine. */
const hostile = [
  // This machine, in all its spellings.
  "https://127.0.0.1:PORT/",
  "http://127.0.0.1:PORT/",
  "https://127.1/",
  "https://127.0.1/",
  "https://2130706433/",
  "https://0x7f000001/",
  "https://0x7f.0.0.1/",
  "https://0177.0.0.1/",
  "https://017700000001/",
  "https://127.0.0.1./",
  "https://127.255.255.254/",
  "https://0.0.0.0/",
  "https://0/",
  "https://0.1.2.3/",
  "https://[::1]/",
  "https://[::1]:PORT/",
  "https://[0:0:0:0:0:0:0:1]/",
  "https://[::]/",
  "https://[::ffff:127.0.0.1]/",
  "https://[::ffff:7f00:1]/",
  "https://[::127.0.0.1]/",
  "https://[::ffff:0:127.0.0.1]/",
  "https://localhost/",
  "https://localhost:PORT/",
  "https://LOCALHOST/",
  "https://localhost./",
  "https://１２７.０.０.１/",
  "https://127。0。0。1/",
  "https://ⓛⓞⓒⓐⓛⓗⓞⓢⓣ/",
  "https://%6c%6f%63%61%6c%68%6f%73%74/",
  // Networks that are somebody's own.
  "https://10.0.0.1/",
  "https://10.255.255.255/",
  "https://172.16.0.1/",
  "https://172.31.255.255/",
  "https://192.168.1.1/",
  "https://100.64.0.1/",
  "https://[fc00::1]/",
  "https://[fd12:3456::1]/",
  "https://[fe80::1]/",
  "https://[fe80::1%25eth0]/",
  "https://[fec0::1]/",
  "https://[::ffff:10.0.0.1]/",
  "https://[::ffff:192.168.0.1]/",
  // What clouds tell their machines.
  "https://169.254.169.254/latest/meta-data/",
  "http://169.254.169.254/latest/meta-data/",
  "https://0xa9fea9fe/",
  "https://2852039166/",
  "https://[::ffff:a9fe:a9fe]/",
  "https://[fd00:ec2::254]/",
  "https://100.100.100.200/",
  "https://168.63.129.16/",
  "https://192.0.0.192/",
  // Tunnels into IPv4.
  "https://[64:ff9b::7f00:1]/",
  "https://[64:ff9b::a9fe:a9fe]/",
  "https://[64:ff9b:1::a00:1]/",
  "https://[2002:7f00:1::]/",
  "https://[2002:a00:1::1]/",
  "https://[2001:0:4136:e378:8000:63bf:3fff:fdd2]/",
  // For documents, tests, groups and everybody.
  "https://192.0.2.1/",
  "https://198.51.100.1/",
  "https://203.0.113.1/",
  "https://198.18.0.1/",
  "https://224.0.0.1/",
  "https://240.0.0.1/",
  "https://255.255.255.255/",
  "https://[ff02::1]/",
  "https://[2001:db8::1]/",
  "https://[100::1]/",
  // Names of the network inside, and names that lead there.
  "https://postgres/",
  "https://metadata/computeMetadata/v1/",
  "https://inside.example/",
  "https://localtest.me/",
  "https://both.example/",
  "https://mapped.example/",
  "https://nowhere.example/",
  // Other ports, other schemes, other tricks.
  "http://outside.example/",
  "https://outside.example:22/",
  "https://outside.example:25/",
  "https://outside.example:80/",
  "https://outside.example:5432/",
  "https://outside.example:6379/",
  "https://outside.example:PORT/",
  "https://outside.example:0/",
  "https://outside.example:99999/",
  "https://user@outside.example/",
  "https://user:pass@outside.example/",
  "https://outside.example@127.0.0.1:PORT/",
  "https://outside.example#@127.0.0.1/",
  "https://outside.example/#",
  "https://outside.example\\@127.0.0.1/",
  "https://127.0.0.1\\.outside.example/",
  "https://outside.example./",
  "https://.example/",
  "https://outside..example/",
  "ftp://outside.example/",
  "file:///etc/passwd",
  "gopher://127.0.0.1:PORT/_x",
  "data:text/plain,x",
  "javascript:alert(1)",
  "ws://outside.example/",
  "unix:/var/run/docker.sock",
  "//outside.example/",
  "https:",
  "https://",
  "https:///x",
  " https://outside.example/",
  "https://outside.example/\r\nHost: inside",
  "https://out\tside.example/",
  "https://outside.example/\u0000",
  `https://outside.example/${"x".repeat(2_000)}`,
  "",
];

const names: Record<string, readonly string[]> = {
  "localhost": ["127.0.0.1", "::1"],
  "postgres": ["172.20.0.5"],
  "metadata": ["169.254.169.254"],
  "inside.example": ["10.1.2.3"],
  "localtest.me": ["127.0.0.1"],
  // One good address does not make the other better.
  "both.example": [PUBLIC, "127.0.0.1"],
  "mapped.example": ["::ffff:127.0.0.1"],
  "outside.example": [PUBLIC],
};

const resolve: Resolve = (name) => {
  const found = names[name];
  return found === undefined ? Promise.reject(new Error("ENOTFOUND")) : Promise.resolve(found);
};

function message(key = "e"): OutboxMessage {
  const id = crypto.randomUUID();
  return {
    position: 1,
    messageId: id,
    to: { kind: "webhook", key },
    schema: 1,
    command: { type: "webhook.test", timestamp: "", data: {} },
    correlationId: id,
    causationId: id,
    principal: { id: "ana", roles: [] },
    at: 0,
  };
}

/** One delivery to that URL, by the way that all go; answers with what it failed by. */
async function delivered(url: string, resolve: Resolve, allowedHosts: readonly string[] = []) {
  const reports: (string | undefined)[] = [];
  const target = webhookTarget({
    endpoints: {
      find: () => Promise.resolve({ isOpen: true, url, secrets: ["whsec_AAAA"] }),
      disable: () => Promise.reject(new Error("nobody asked for it")),
      report: (_, { failure }) => Promise.resolve(void reports.push(failure)),
    },
    admit: admission({ resolve, allowedHosts }),
    post: poster(),
    env: systemEnv,
    deadlineMs: 1_000,
  });
  await target.deliver(message(), new AbortController().signal).catch(() => {});
  return reports[0];
}

Deno.test(`none of ${hostile.length} hostile URLs leads to a connection`, async () => {
  assert(hostile.length >= 60);
  await using sink = new RawSink(() => Promise.resolve());
  for (const pattern of hostile) {
    const url = pattern.replace("PORT", String(sink.port));
    const { isAdmitted } = await admission({ resolve, allowedHosts: [] })(url);
    assert.equal(isAdmitted, false, url);
    assert.match(await delivered(url, resolve) ?? "delivered", /^The URL is refused: Must /, url);
  }
  assert.equal(sink.connections, 0);
});

Deno.test("the sink of that test would have noticed a connection", async () => {
  await using sink = new RawSink((connection) => Promise.resolve(connection.close()));
  await delivered(`http://127.0.0.1:${sink.port}/`, resolve, ["127.0.0.1"]);
  assert.equal(sink.connections, 1);
});

Deno.test("what anybody may reach is admitted, with the address that it stands for", async () => {
  const admit = admission({ resolve: everywherePublic, allowedHosts: [] });
  const good: Record<string, string> = {
    "https://outside.example/": PUBLIC,
    "https://OUTSIDE.example/hooks?a=b&c=%20": PUBLIC,
    "https://outside.example:443/": PUBLIC,
    "https://outside.example:8443/": PUBLIC,
    "https://xn--bcher-kva.example/": PUBLIC,
    "https://bücher.example/": PUBLIC,
    "https://8.8.8.8/": "8.8.8.8",
    "https://[2606:4700:4700::1111]/": "2606:4700:4700::1111",
  };
  for (const [url, address] of Object.entries(good)) {
    const admission = await admit(url);
    assert(admission.isAdmitted, url);
    assert.equal(admission.destination.address, address);
  }
});

Deno.test("a name that first led outside, then inside, gets nothing the second time", async () => {
  await using sink = new RawSink(() => Promise.resolve());
  let asked = 0;
  const rebinding: Resolve = () => Promise.resolve(asked++ === 0 ? [PUBLIC] : ["127.0.0.1"]);
  const url = "https://rebinding.example/";
  const admit = admission({ resolve: rebinding, allowedHosts: [] });
  assert.equal((await admit(url)).isAdmitted, true);
  assert.match(await delivered(url, rebinding) ?? "", /^The URL is refused/);
  assert.equal(sink.connections, 0);
});

Deno.test("between the check and the connection nobody resolves the name again", async () => {
  await using sink = new RawSink((connection) => Promise.resolve(connection.close()));
  let asked = 0;
  // The first answer is where it must go; at the second there would be something to steal.
  const flipping: Resolve = () => Promise.resolve(asked++ === 0 ? ["127.0.0.1"] : ["127.0.0.2"]);
  const url = `http://flipping.test:${sink.port}/`;
  await delivered(url, flipping, ["flipping.test"]);
  assert.deepEqual([asked, sink.connections], [1, 1]);
});

Deno.test("a host is allowed by its name, or on one port only, and no other for it", async () => {
  const admit = admission({
    resolve: () => Promise.resolve(["127.0.0.1"]),
    allowedHosts: ["localhost", "Sink.test:9000", "127.0.0.1"],
  });
  const admitted = async (url: string) => (await admit(url)).isAdmitted;
  assert.equal(await admitted("http://localhost:1234/"), true);
  assert.equal(await admitted("https://localhost/"), true);
  assert.equal(await admitted("http://sink.test:9000/"), true);
  assert.equal(await admitted("http://127.0.0.1:9/"), true);
  assert.equal(await admitted("http://sink.test/"), false);
  assert.equal(await admitted("https://other.test/"), false);
  assert.equal(await admitted("http://localhost.evil.example/"), false);
  assert.equal(await admitted("http://user@localhost/"), false);
  assert.equal(await admitted("ftp://localhost/"), false);
});

Deno.test("what is no address is not public", () => {
  for (
    const text of ["", "example.com", "1.1.1", "1.1.1.1.1", "fe80::1%eth0", "1.1.1.1/8", "::g"]
  ) {
    assert.equal(isPublicAddress(text), false, text);
  }
  for (const text of ["1.1.1.1", "93.184.216.34", "2606:4700::1", "2a00:1450:4001::5"]) {
    assert.equal(isPublicAddress(text), true, text);
  }
});
