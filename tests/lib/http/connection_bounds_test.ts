import assert from "node:assert/strict";
import {
  type ConnectionBounds,
  leastMissed,
  LEAVING_MS,
  networkOf,
  overrun,
  type Standing,
} from "../../../lib/http/connection_bounds.ts";

const bounds: ConnectionBounds = {
  connectionsMax: 10,
  perAddressMax: 5,
  headMs: 2_000,
  idleMs: 3_000,
  requestMs: 4_000,
  closingMs: 500,
};

const fresh: Standing = { since: 100, inProgress: 0, isFresh: true, isLeaving: false };
const idle: Standing = { ...fresh, isFresh: false };
const busy: Standing = { ...idle, inProgress: 1 };

const cases: readonly (readonly [string, Standing, string, number])[] = [
  ["silent or amid its first head", fresh, "head", bounds.headMs],
  ["at rest after an answer", idle, "idle", bounds.idleMs],
  ["amid a request", busy, "request", bounds.requestMs],
  ["to be closed once its answer is out", { ...idle, isLeaving: true }, "left", LEAVING_MS],
  ["to be closed but not answered", { ...busy, isLeaving: true }, "request", bounds.requestMs],
];

for (const [what, standing, cut, ms] of cases) {
  Deno.test(`a connection ${what} has its bound, and outruns no other`, () => {
    assert.equal(overrun(standing, standing.since + ms, bounds), undefined);
    assert.equal(overrun(standing, standing.since + ms + 1, bounds), cut);
  });
}

Deno.test("a newcomer takes the place of who never asked, then of who was answered longest ago", () => {
  const asked = [{ ...idle, since: 5 }, { ...idle, since: 3 }, { ...busy, since: 1 }];
  const silent = [{ ...fresh, since: 7 }, { ...fresh, since: 8 }];
  assert.equal(leastMissed([...asked, ...silent]), silent[0]);
  assert.equal(leastMissed(asked), asked[1]);
  assert.equal(leastMissed([busy, busy]), undefined);
  assert.equal(leastMissed([]), undefined);
});

Deno.test("an address counts by itself in IPv4, with its /64 in IPv6", () => {
  assert.equal(networkOf("192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("::ffff:192.0.2.7"), "192.0.2.7");
  assert.equal(networkOf("2001:db8:1:2::9"), "2001:db8:1:2");
  assert.equal(networkOf("2001:db8:1:2:a:b:c:d"), networkOf("2001:db8:1:2::9"));
  assert.notEqual(networkOf("2001:db8:1:3::9"), networkOf("2001:db8:1:2::9"));
  assert.equal(networkOf("2001:db8::9"), "2001:db8:0:0");
  assert.equal(networkOf("::1"), "0:0:0:0");
  assert.equal(networkOf("fe80::1%eth0"), "fe80:0:0:0");
});
