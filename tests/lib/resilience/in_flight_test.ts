import assert from "node:assert/strict";
import { InFlight } from "../../../lib/resilience/in_flight.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

function world() {
  const env = new VirtualEnv();
  const inFlight = new InFlight(env, { waitMs: 200, least: 10 });
  /** Lets `perSecond` come and go for a while. */
  const serve = async (perSecond: number, ms: number) => {
    for (let at = 0; at < ms; at += 100) {
      await env.advance(100);
      for (let n = 0; n < perSecond / 10; n++) {
        inFlight.began();
        inFlight.ended();
      }
      inFlight.measure();
    }
  };
  return { env, inFlight, serve };
}

Deno.test("a process that has done nothing yet takes a few", () => {
  const { inFlight } = world();
  for (let n = 0; n < 10; n++) {
    assert(inFlight.hasRoom(1));
    inFlight.began();
  }
  assert(!inFlight.hasRoom(1));
  assert(inFlight.hasRoom(2));
  assert(!inFlight.hasRoom(0.5));
  inFlight.ended();
  assert(inFlight.hasRoom(1));
});

Deno.test("as many may be under way as are done within the wait", async () => {
  const { inFlight, serve } = world();
  await serve(1_000, 1_000);
  assert.equal(Math.round(inFlight.limit), 200);
});

Deno.test("fewer that come are no sign of being slow, until it lasts", async () => {
  const { inFlight, serve } = world();
  await serve(1_000, 1_000);
  await serve(100, 3_000);
  assert.equal(Math.round(inFlight.limit), 200);
  await serve(100, 5_000);
  assert.equal(Math.round(inFlight.limit), 20);
  await serve(0, 6_000);
  assert.equal(inFlight.limit, 10);
});

Deno.test("one large commit passes for no high rate", async () => {
  const { inFlight, serve } = world();
  await serve(1_000, 400);
  await serve(5_000, 100);
  assert(inFlight.limit < 400, `it took ${inFlight.limit}`);
});
