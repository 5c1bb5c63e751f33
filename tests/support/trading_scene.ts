/**
 * People who trade over HTTP.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type Api, type Client, eventuallyEqual } from "./api.ts";

export interface Scene {
  readonly buyer: Client;
  readonly seller: Client;
  readonly feed: Client;
  readonly admin: Client;
}

/** Two people who can trade, and a market that is theirs. */
export async function opened(api: Api, symbol: string): Promise<Scene> {
  const people = {
    buyer: api.as("buyer", "trader"),
    seller: api.as("seller", "trader"),
    feed: api.as("feed", "feed"),
    admin: api.as("root", "admin"),
  };
  const { buyer, seller, feed } = people;
  const answers = [
    await feed.post(`/markets/${symbol}/prices`, { price: "10.00" }),
    await buyer.post("/accounts/deposits", { amount: "1000.00", currency: "USD" }),
    await seller.post("/accounts/deposits", { symbol, quantity: "50", price: "8" }),
  ];
  for (const { status, text } of answers) assert.equal(status, 200, text);
  return people;
}

export const order = (symbol: string, side: "buy" | "sell", differing: object = {}) => {
  return { type: "limit", symbol, side, price: "10", quantity: "5", ...differing };
};

/** The path of the new order. */
export async function placed(person: Client, body: object): Promise<string> {
  const answer = await person.post("/orders", body);
  assert.equal(answer.status, 201, answer.text);
  assert.equal(answer.headers.get("location"), `/api/v1/orders/${answer.body.id}`);
  return `/orders/${answer.body.id}`;
}

export async function untilStatus(person: Client, path: string, status: string) {
  await eventuallyEqual(async () => (await person.get(path)).body.status, status);
  return (await person.get(path)).body;
}
