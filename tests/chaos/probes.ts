/** How long it takes after a fault until every node does as it is asked again. */
import { systemEnv } from "../../lib/env.ts";
import type { Clients } from "./client.ts";
import { type Person, revising } from "./wishes.ts";

const INTERVAL_MS = 100;
/**
 * A node is well once so many commands in a row were carried out, each within this time, and each
 * about another live event. More at once would be a load of their own.
 */
const IN_A_ROW = 12;
const WELL_MS_MAX = 1_000;
const ATTEMPT_MS = 2_000;
/** Not more at one node at once: it may be that none is answered. */
const UNANSWERED_MAX = 10;

const insistence = { attemptMs: ATTEMPT_MS, attemptsMax: 1 };

export interface ProbesOptions {
  readonly clients: Clients;
  readonly organizer: Person;
  /** The live events in use: those that somebody waits for may not be well when others are. */
  readonly keys: () => readonly string[];
}

export class Probes {
  readonly #options: ProbesOptions;
  readonly #perNode: readonly (() => Promise<number | undefined>)[];

  constructor(options: ProbesOptions) {
    this.#options = options;
    this.#perNode = Array.from({ length: options.clients.nodes }, (_, node) => {
      let asked = 0;
      return () => this.#ask(node, asked++);
    });
  }

  /** Milliseconds from then until all nodes were well; undefined if that took over `withinMs`. */
  async recovery(since: number, withinMs: number): Promise<number | undefined> {
    const times = await Promise.all(this.#perNode.map((ask) => wellAt(ask, withinMs)));
    const last = times.reduce<number>((latest, at) => Math.max(latest, at ?? Infinity), since);
    return Number.isFinite(last) ? last - since : undefined;
  }

  /** When a command was carried out by that node; undefined if it was not, or late. */
  async #ask(node: number, n: number): Promise<number | undefined> {
    const { clients, organizer } = this.#options;
    const keys = this.#options.keys();
    const sentAt = performance.now();
    const wish = revising(organizer, keys[n % keys.length]!);
    const answered = await clients.insist(`probe-${node}`, wish, node, insistence);
    const at = performance.now();
    return answered?.ended.type === "ok" && at - sentAt < WELL_MS_MAX ? at : undefined;
  }
}

/** When the first of a row was carried out that was carried out as a whole. */
async function wellAt(
  ask: () => Promise<number | undefined>,
  withinMs: number,
): Promise<number | undefined> {
  const giveUpAt = performance.now() + withinMs;
  const answeredAt: (number | undefined)[] = [];
  let unanswered = 0;
  const asked = async () => {
    const place = answeredAt.push(undefined) - 1;
    unanswered++;
    answeredAt[place] = await ask();
    unanswered--;
  };
  while (performance.now() < giveUpAt) {
    const row = rowIn(answeredAt);
    if (row !== undefined) return row;
    if (unanswered < UNANSWERED_MAX) void asked();
    await systemEnv.sleep(INTERVAL_MS);
  }
  return undefined;
}

function rowIn(answeredAt: readonly (number | undefined)[]): number | undefined {
  let length = 0;
  for (let place = 0; place < answeredAt.length; place++) {
    length = answeredAt[place] === undefined ? 0 : length + 1;
    if (length === IN_A_ROW) return answeredAt[place - IN_A_ROW + 1];
  }
  return undefined;
}
