/** What a trading session takes for an answer that had to be, and what not. */
import assert from "node:assert/strict";
import type { ApiClient, Reply } from "../../bench/api_client.ts";
import { TradingRun } from "../../bench/trading_run.ts";
import type { SessionRequest } from "../../bench/trading_session.ts";

const request: SessionRequest = {
  by: 0,
  method: "POST",
  path: "/orders",
  body: { side: "sell" },
  places: 0,
  mayBe: ["market-paused"],
};

async function answered(reply: Reply, request: SessionRequest): Promise<TradingRun> {
  const client = { ask: () => Promise.resolve(reply) } as unknown as ApiClient;
  const run = new TradingRun({ clientOf: () => client, accounts: 1, connections: 1, mark: "m" });
  await run.send([request]);
  return run;
}

const refusal = (reason: string, status = 409): Reply => {
  return { status, body: { type: `/problems/order/${reason}` } };
};

Deno.test("a refusal that was to be expected is counted", async () => {
  const run = await answered(refusal("market-paused"), request);
  assert.deepEqual([run.surprises, [...run.refused]], [[], [["market-paused", 1]]]);
});

const surprising: readonly (readonly [Reply, SessionRequest])[] = [
  [refusal("insufficient-shares"), request],
  [refusal("market-paused", 422), request],
  [refusal("idempotency-key-in-progress"), request],
  [refusal("market-paused"), { ...request, mayBe: [] }],
  [{ status: 500, body: undefined }, request],
];

for (const [reply, request] of surprising) {
  const { status, body } = reply;
  Deno.test(`${status} ${body?.type} is a surprise to who expects ${request.mayBe}`, async () => {
    const run = await answered(reply, request);
    assert.deepEqual([run.surprises, run.refused.size], [[{ request, reply }], 0]);
  });
}
