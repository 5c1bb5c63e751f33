import assert from "node:assert/strict";
import { Hono } from "hono";
import { readConfig } from "../../../lib/config.ts";
import { clientAddress, proxyList } from "../../../lib/http/client_address.ts";

/** What a request counts for that comes from `peer` with these headers. */
async function seen(
  peer: string,
  headers: readonly (readonly [string, string])[],
  trusted = "10.0.0.0/8, 2001:db8:ffff::/48",
): Promise<string> {
  const { trustedProxies } = readConfig({ TRUSTED_PROXIES: trusted });
  const app = new Hono().get("/", (c) => c.text(clientAddress(c)));
  const request = new Request("http://localhost/", { headers: headers as [string, string][] });
  const response = await app.fetch(request, {
    peer: { remoteAddress: peer, isLeaving: false },
    isTrustedProxy: proxyList(trustedProxies),
  });
  return await response.text();
}

const forwarded = (...values: string[]) =>
  values.map((value) => ["x-forwarded-for", value] as const);

Deno.test("without a trusted proxy it is the other end of the connection, whatever is said", async () => {
  assert.equal(await seen("203.0.113.9", []), "203.0.113.9");
  assert.equal(await seen("203.0.113.9", forwarded("198.51.100.1")), "203.0.113.9");
  assert.equal(await seen("203.0.113.9", forwarded("198.51.100.1"), ""), "203.0.113.9");
  assert.equal(await seen("10.0.0.1", forwarded("198.51.100.1"), ""), "10.0.0.1");
});

Deno.test("behind trusted proxies it is the last that they were asked by", async () => {
  assert.equal(await seen("10.0.0.1", forwarded("198.51.100.1")), "198.51.100.1");
  assert.equal(await seen("10.0.0.1", forwarded("198.51.100.1, 10.1.1.1")), "198.51.100.1");
  assert.equal(
    await seen("10.0.0.1", forwarded("198.51.100.1,10.2.2.2 ,\t10.1.1.1")),
    "198.51.100.1",
  );
  assert.equal(await seen("2001:db8:ffff::1", forwarded("198.51.100.1")), "198.51.100.1");
  assert.equal(await seen("10.0.0.1", []), "10.0.0.1");
  assert.equal(
    await seen("10.0.0.1", forwarded("10.3.3.3")),
    "10.3.3.3",
    "itself asked by a proxy",
  );
});

Deno.test("nothing that a client writes before its proxy's word counts", async () => {
  const spoofs = [
    ...["1.2.3.4", "10.9.9.9", "unknown", "", ",", ",,,", "🎻", "127.0.0.1", "::1"],
    ...["1.2.3.4, 10.0.0.2", " ".repeat(500), "1.2.3.4,".repeat(2_000), "a".repeat(8_000)],
  ].filter((text) => /^[\x20-\x7e]*$/.test(text));
  for (const spoof of spoofs) {
    assert.equal(
      await seen("10.0.0.1", forwarded(`${spoof}, 198.51.100.1`)),
      "198.51.100.1",
      spoof,
    );
  }
});

Deno.test("headers sent several times are one, of which the end counts", async () => {
  assert.equal(await seen("10.0.0.1", forwarded("1.2.3.4", "198.51.100.1")), "198.51.100.1");
  assert.equal(
    await seen("10.0.0.1", forwarded(...Array(50).fill("1.2.3.4"), "198.51.100.1")),
    "198.51.100.1",
  );
  for (
    const name of ["forwarded", "x-real-ip", "true-client-ip", "cf-connecting-ip", "x-client-ip"]
  ) {
    const spoofed = [[name, name === "forwarded" ? "for=1.2.3.4" : "1.2.3.4"]] as const;
    assert.equal(await seen("10.0.0.1", spoofed), "10.0.0.1", name);
  }
});

Deno.test("a hop that is no address counts for the proxy that let it through", async () => {
  for (
    const garbage of [
      "unknown",
      "_hidden",
      "1.2.3",
      "1.2.3.4.5",
      "0x7f000001",
      "017.0.0.1",
      "2130706433",
      "1.2.3.4:99999999",
      "[::1",
      "::g",
      "<script>",
      "10.0.0.1%00",
    ]
  ) {
    assert.equal(
      await seen("10.0.0.1", forwarded(`198.51.100.1, ${garbage}`)),
      "10.0.0.1",
      garbage,
    );
    assert.equal(await seen("10.0.0.1", forwarded(`${garbage}, 10.4.4.4`)), "10.4.4.4", garbage);
  }
});

Deno.test("a port is no part of an address", async () => {
  assert.equal(await seen("10.0.0.1", forwarded("198.51.100.1:4711")), "198.51.100.1");
  assert.equal(await seen("10.0.0.1", forwarded("[2001:db8:1:2::3]:4711")), "2001:db8:1:2");
});

Deno.test("an address of IPv6 counts by its /64, in every spelling, and one that is IPv4 as that", async () => {
  const same = [
    "2001:db8:1:2::1",
    "2001:DB8:1:2:ffff:ffff:ffff:ffff",
    "2001:0db8:0001:0002:0000:0000:0000:0009",
    "2001:db8:1:2:0:0:1.2.3.4",
  ];
  for (const address of same) {
    assert.equal(await seen("10.0.0.1", forwarded(address)), "2001:db8:1:2", address);
  }
  assert.notEqual(await seen("10.0.0.1", forwarded("2001:db8:1:3::1")), "2001:db8:1:2");
  for (const mapped of ["::ffff:198.51.100.1", "::FFFF:c633:6401", "0:0:0:0:0:ffff:c633:6401"]) {
    assert.equal(await seen("10.0.0.1", forwarded(mapped)), "198.51.100.1", mapped);
  }
  assert.equal(await seen("::ffff:10.0.0.1", forwarded("198.51.100.1")), "198.51.100.1");
  assert.equal(await seen("2001:db8:1:2::7", []), await seen("10.0.0.1", forwarded(same[0]!)));
});
