/**
 * Whatever was accepted: lists show what the actors know, and nothing stays kept for nobody.
 *
 * @module
 */
import assert from "node:assert/strict";

/** For how long a list may be waited for, or an order's way to its end. */
const WAIT_MS = 30_000;
const PAUSE_MS = 100;
const PAGE = 200;

interface Item {
  readonly id: string;
  readonly status: string;
}

/** Somebody who asks, and is answered with JSON. */
class Asker {
  readonly #url: string;
  readonly #token: string;

  constructor(url: string, token: string) {
    this.#url = url;
    this.#token = token;
  }

  async ask(method: string, path: string, headers: Readonly<Record<string, string>> = {}) {
    const response = await fetch(`${this.#url}/api/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${this.#token}`, ...headers },
    });
    return { status: response.status, headers: response.headers, body: await response.json() };
  }

  async items(path: string): Promise<readonly Item[]> {
    const items: Item[] = [];
    for (let cursor = "";;) {
      const { status, body } = await this.ask("GET", `${path}?limit=${PAGE}${cursor}`);
      assert.equal(status, 200, JSON.stringify(body));
      items.push(...body.items);
      if (body.nextCursor === undefined) return items;
      cursor = `&cursor=${body.nextCursor}`;
    }
  }
}

/** @throws {AssertionError} on the first event that the list shows otherwise than it is. */
export async function listsTellTheTruth(url: string, token: string): Promise<number> {
  const asker = new Asker(url, token);
  let listed: readonly Item[] = [];
  await eventually(async () => {
    listed = await asker.items("/events");
    for (const item of listed) {
      const strong = { "cache-control": "no-cache" };
      assert.deepEqual(item, (await asker.ask("GET", `/events/${item.id}`, strong)).body);
    }
  });
  return listed.length;
}

/** @throws {AssertionError} if cash or shares stay kept once all that waits is cancelled. */
export async function nothingStaysKept(url: string, token: string): Promise<number> {
  const asker = new Asker(url, token);
  const orders = await asker.items("/orders");
  for (const { id, status } of orders) {
    if (status === "pending" || status === "working") await asker.ask("DELETE", `/orders/${id}`);
  }
  await eventually(async () => {
    const { reserved } = (await asker.ask("GET", "/accounts/me")).body;
    const { items } = (await asker.ask("GET", "/positions")).body;
    const kept = [reserved, ...items.map((position: { reserved: string }) => position.reserved)];
    assert.deepEqual(kept.filter((amount) => amount !== "0"), []);
  });
  return orders.length;
}

async function eventually(holds: () => Promise<void>): Promise<void> {
  const until = performance.now() + WAIT_MS;
  for (;;) {
    try {
      return await holds();
    } catch (error) {
      if (!(error instanceof assert.AssertionError) || performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  }
}
