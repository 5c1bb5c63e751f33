/**
 * I8: money is neither made nor lost.
 *
 * @module
 */
import type { Event } from "../actors/purse.ts";
import * as Purse from "../actors/purse.ts";
import { addressText } from "../../../lib/runtime/envelope.ts";
import type { NewEvent } from "../../../lib/runtime/store.ts";
import type { Committed } from "../history.ts";
import { Broken, type Chronicle } from "./chronicle.ts";

/** All purses together with what is under way; wrong at once when anything is out of order. */
class Ledger {
  readonly #underWay = new Map<string, { readonly to: string; readonly amount: number }>();
  readonly #balances = new Map<string, number>();
  #opened = 0;

  post(purse: string, event: Event): void {
    switch (event.type) {
      case "Opened":
        this.#opened += event.amount;
        return this.#add(purse, event.amount);
      case "Sent": {
        const { transferId, to, amount } = event;
        if (this.#underWay.has(transferId)) throw new Broken("I8", `${transferId} was sent twice`);
        this.#underWay.set(transferId, { to, amount });
        return this.#add(purse, -amount);
      }
      case "Received": {
        const { transferId, amount } = event;
        const sent = this.#underWay.get(transferId);
        if (sent?.to !== purse || sent.amount !== amount) {
          throw new Broken("I8", `${purse} received ${transferId}, which is not under way to it`);
        }
        this.#underWay.delete(transferId);
        this.#add(purse, amount);
      }
    }
  }

  check(): void {
    let sum = 0;
    for (const balance of this.#balances.values()) sum += balance;
    for (const { amount } of this.#underWay.values()) sum += amount;
    if (sum !== this.#opened) throw new Broken("I8", `${sum} is there of ${this.#opened}`);
  }

  settled(): void {
    const [transferId] = this.#underWay.keys();
    if (transferId !== undefined) throw new Broken("I8", `${transferId} has never arrived`);
  }

  #add(purse: string, amount: number): void {
    const balance = (this.#balances.get(purse) ?? 0) + amount;
    if (balance < 0) throw new Broken("I8", `${purse} has ${balance}`);
    this.#balances.set(purse, balance);
  }
}

/** After each commit. */
export function conserved(): (committed: Committed) => void {
  const ledger = new Ledger();
  return ({ commit: { address, events } }) => {
    if (address.kind !== Purse.kind) return;
    for (const { data } of events as readonly (NewEvent & { readonly data: Event })[]) {
      ledger.post(address.key, data);
    }
    ledger.check();
  };
}

/** In the end all has arrived, and who followed the feed saw the same at every step. */
export function moneyHasArrived({ history }: Chronicle): void {
  const ledger = new Ledger();
  for (const { address, data } of history.effects.get("money") ?? []) {
    if (address.kind !== Purse.kind) {
      throw new Broken("I8", `${addressText(address)} is followed as a purse`);
    }
    ledger.post(address.key, data as Event);
    ledger.check();
  }
  ledger.settled();
}
