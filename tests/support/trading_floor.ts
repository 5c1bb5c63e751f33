/**
 * All who take part in trading, without a runtime: what one tells another lies in a lane, first told
 * first brought, and which lane is served next is for the test to choose. As between real actors, only
 * the order within one lane can be relied on.
 *
 * @module
 */
import assert from "node:assert/strict";
import * as Account from "../../actors/account/aggregate.ts";
import * as Market from "../../actors/market/aggregate.ts";
import * as Order from "../../actors/order/aggregate.ts";
import * as Portfolio from "../../actors/portfolio/aggregate.ts";
import * as Risk from "../../actors/risk/aggregate.ts";
import type { Aggregate, Message } from "../../lib/runtime/aggregate.ts";
import { AT } from "./given.ts";
import { TradingBooks } from "./trading_books.ts";

// Each is driven in the same way, whatever it is about.
// deno-lint-ignore no-explicit-any
type AnyAggregate = Aggregate<any, any, any, string>;

const aggregates: Readonly<Record<string, AnyAggregate>> = {
  account: Account,
  market: Market,
  order: Order,
  portfolio: Portfolio,
  risk: Risk,
};

interface Recorded {
  readonly kind: string;
  readonly key: string;
  readonly event: { readonly type: string } & Readonly<Record<string, unknown>>;
}

export class TradingFloor {
  readonly recorded: Recorded[] = [];
  readonly books = new TradingBooks();
  readonly #states = new Map<string, unknown>();
  readonly #versions = new Map<string, number>();
  readonly #lanes = new Map<string, Message[]>();
  /** What is due later. */
  readonly #later: (readonly [from: string, message: Message])[] = [];

  /** The reason, if it is refused. */
  ask(kind: string, key: string, command: unknown, as = "nobody"): string | undefined {
    return this.#handle(kind, key, command, as);
  }

  /** Brings the first message of some lane; says whether there was one. */
  deliver(choice: number): boolean {
    const lanes = [...this.#lanes].filter(([, lane]) => lane.length > 0);
    if (lanes.length === 0) return false;
    const { to, command } = lanes[choice % lanes.length]![1].shift()!;
    const aggregate = aggregates[to.kind]!;
    const told = aggregate.Command!.parse(JSON.parse(JSON.stringify(command)));
    assert.equal(this.#handle(to.kind, to.key, told, "system"), undefined, "what is told is taken");
    return true;
  }

  /** Brings all there is, and all that follows from it. */
  settle(choice = 0): void {
    while (this.deliver(choice));
  }

  /** The day is over: what was to be told later is due. */
  endDay(): void {
    for (const [from, message] of this.#later.splice(0)) this.#send(from, message);
  }

  all<State>(kind: string): readonly (readonly [key: string, state: State])[] {
    return [...this.#states].filter(([address]) => address.startsWith(`${kind}/`))
      .map(([address, state]) => [address.slice(kind.length + 1), state as State]);
  }

  #handle(kind: string, key: string, command: unknown, as: string): string | undefined {
    const aggregate = aggregates[kind]!;
    const address = `${kind}/${key}`;
    const context = { key, at: AT, principal: { id: as, roles: [] } };
    let state = this.#states.get(address) ?? aggregate.initial;
    const decision = aggregate.decide(state, command, context);
    if (!decision.accepted) return decision.reason;
    for (const event of decision.events) {
      const read = aggregate.Event.parse(JSON.parse(JSON.stringify(event)));
      this.recorded.push({ kind, key, event: read });
      const version = (this.#versions.get(address) ?? 0) + 1;
      this.#versions.set(address, version);
      this.books.record({ kind, key, version, data: read });
      state = aggregate.evolve(state, read);
    }
    this.#states.set(address, state);
    for (const message of decision.messages ?? []) {
      if (message.delayMs === undefined) this.#send(address, message);
      else this.#later.push([address, message]);
    }
    return undefined;
  }

  #send(from: string, message: Message): void {
    const lane = `${from} → ${message.to.kind}/${message.to.key}`;
    const waiting = this.#lanes.get(lane) ?? [];
    waiting.push(message);
    this.#lanes.set(lane, waiting);
  }
}

/** What holds after every single event. */
export function assertSound({ books }: TradingFloor): void {
  assert.deepEqual(books.breaches, []);
}

/** What holds besides once nothing is on its way. */
export function assertSettled(floor: TradingFloor): void {
  assert.deepEqual(floor.books.atRest(), []);
  assertSound(floor);
}
