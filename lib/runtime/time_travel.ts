/**
 * Any actor as it was.
 *
 * @module
 */
import type { Aggregate } from "./aggregate.ts";
import type { Store } from "./store.ts";
import { readEvent } from "./turn.ts";

/** Events of one query. */
const PAGE_MAX = 5_000;

/**
 * The state of an actor at a past version, made of its events alone; snapshots may have been written
 * by another release. Undefined if it never came to that version.
 */
export async function stateAt<
  State,
  Command,
  Event extends { readonly type: string },
  Reason extends string,
>(
  store: Pick<Store, "readStream">,
  aggregate: Aggregate<State, Command, Event, Reason>,
  key: string,
  version: number,
): Promise<State | undefined> {
  const address = { kind: aggregate.kind, key };
  let state = aggregate.initial;
  for (let after = 0; after < version;) {
    const page = await store.readStream(address, { after, through: version, limit: PAGE_MAX });
    if (page.length === 0) return undefined;
    for (const stored of page) state = aggregate.evolve(state, readEvent(aggregate, stored));
    after = page.at(-1)!.version;
  }
  return state;
}
