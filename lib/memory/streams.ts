/**
 * What the statements of the event store do, each at one moment.
 *
 * A commit has two: one in which it is judged and draws its numbers, and one in which what it wrote
 * is there. In between it must hold its actors.
 *
 * @module
 */
import { PoisonFault } from "../fault.ts";
import { JOB_KIND } from "../jobs/job.ts";
import { type Address, addressText } from "../runtime/envelope.ts";
import {
  type Commit,
  type CommitOutcome,
  type FeedCursor,
  type FeedEvent,
  type FeedPage,
  type FeedQuery,
  isWriting,
  type Loaded,
  type LoadRequest,
  type NewMessage,
  type RememberedReply,
  type Snapshot,
  type StoredEvent,
} from "../runtime/store.ts";
import { kept } from "./copied.ts";
import type { Jobs } from "./jobs.ts";
import type { Lanes } from "./lanes.ts";
import type { ActorRow, FeedRow, Tables } from "./tables.ts";

/** What a commit will have written, and the numbers that it has drawn for it. */
export interface Change {
  readonly address: Address;
  readonly at: number;
  readonly transaction: number;
  /** The last numbers that were drawn before its own. */
  readonly drawn: { readonly event: number; readonly message: number };
  readonly events: Commit["events"];
  readonly replies: Commit["replies"];
  readonly messages: readonly NewMessage[];
  readonly consumed: readonly number[];
}

export class Streams {
  readonly #tables: Tables;
  readonly #lanes: Lanes;
  readonly #jobs: Jobs;

  constructor(tables: Tables, lanes: Lanes, jobs: Jobs) {
    this.#tables = tables;
    this.#lanes = lanes;
    this.#jobs = jobs;
  }

  load({ address, afterVersion }: LoadRequest): Loaded {
    const text = addressText(address);
    const { actors, snapshots } = this.#tables;
    const actor = actors.get(text);
    const snapshot = afterVersion === undefined ? snapshots.get(text) : undefined;
    const after = afterVersion ?? snapshot?.version ?? 0;
    return {
      revision: actor?.revision ?? 0,
      version: actor?.events.length ?? 0,
      transaction: String(actor?.transaction ?? 0),
      ...(snapshot !== undefined && { snapshot }),
      events: actor?.events.slice(after) ?? [],
    };
  }

  exists(address: Address): boolean {
    return this.#tables.actors.has(addressText(address));
  }

  /** Whether the commit takes the actor's row, or tries to make it: that draws a transaction's id. */
  takes(commit: Commit): boolean {
    const { address, revision } = commit;
    if (!isWriting(commit)) return false;
    const actor = this.#tables.actors.get(addressText(address));
    if (revision > 0) return actor?.revision === revision;
    return actor !== undefined || this.#gone(commit).length === 0;
  }

  /** Undefined where there is nothing against it; `transaction` is that of the whole batch. */
  judged(commit: Commit, transaction: number): CommitOutcome | undefined {
    const { address, revision, replies } = commit;
    const actor = this.#tables.actors.get(addressText(address));
    if ((actor?.revision ?? 0) !== revision) return { is: "conflict" };
    const gone = this.#gone(commit);
    if (gone.length > 0) return { is: "consumed", gone };
    const known = replies.flatMap((reply) => actor?.replies.get(replyKey(reply)) ?? []);
    if (known.length > 0) return { is: "duplicate", replies: known.map(({ reply }) => reply) };
    return isWriting(commit) ? undefined : { is: "ok", transaction: String(transaction) };
  }

  #gone({ address, consumed = [] }: Commit): readonly number[] {
    return consumed.filter((position) => !this.#lanes.has(address, position));
  }

  /**
   * Draws the numbers of a batch, of which those commits are to be applied: of events in the order of
   * locks, of messages in that of the batch, in which the changes come back.
   *
   * @throws {PoisonFault} when one tells a job that waits already.
   */
  draw(batch: readonly Commit[], applied: readonly number[], transaction: number): Change[] {
    const { drawn } = this.#tables;
    const before = new Map<number, number>();
    for (const n of applied) {
      before.set(n, drawn.event);
      drawn.event += batch[n]!.events.length;
    }
    const keys = new Set<string>();
    return [...applied].sort((a, b) => a - b).map((n) => {
      const { address, at, events, replies, messages = [], consumed = [] } = batch[n]!;
      for (const message of messages) this.#refuseKnown(message, keys);
      const numbers = { event: before.get(n)!, message: drawn.message };
      drawn.message += messages.length;
      return { address, at, transaction, drawn: numbers, events, replies, messages, consumed };
    });
  }

  /** `keys` are those of the jobs before it in the batch: whose key is taken is not told at all. */
  #refuseKnown({ messageId, to, job }: NewMessage, keys: Set<string>): void {
    if (to.kind !== JOB_KIND) return;
    const { uniqueKey } = job ?? {};
    const key = `${to.key}\n${uniqueKey}`;
    if (keys.has(key) || this.#jobs.holderOf(to.key, uniqueKey) !== undefined) return;
    if (this.#jobs.waits(messageId)) {
      throw new PoisonFault(`Cannot tell the job ${messageId}: it is there already`);
    }
    if (uniqueKey !== undefined) keys.add(key);
  }

  apply(change: Change, now: number): void {
    const { address, at, transaction, drawn, messages } = change;
    const text = addressText(address);
    const actor = this.#tables.actors.get(text) ?? newActor(address);
    this.#tables.actors.set(text, actor);
    for (const position of change.consumed) this.#lanes.take(address, position);
    messages.forEach((message, n) => {
      const position = drawn.message + n + 1;
      const due = message.delayMs > 0 ? at + message.delayMs : Math.min(at, now);
      if (message.to.kind === JOB_KIND) this.#jobs.add(message, position, at, due);
      else this.#lanes.add(message, position, at, due);
    });
    change.events.forEach((event, n) => {
      const stored = Object.freeze({ ...event, version: actor.events.length + 1, at });
      actor.events.push(stored);
      this.#feed(address, stored, { transaction, position: drawn.event + n + 1 });
    });
    for (const reply of change.replies) actor.replies.set(replyKey(reply), { reply, at });
    actor.revision++;
    actor.transaction = transaction;
  }

  #feed(
    address: Address,
    stored: StoredEvent,
    { transaction, position }: { readonly transaction: number; readonly position: number },
  ): void {
    const { feed } = this.#tables;
    const cursor = { transaction: String(transaction), position: String(position) };
    const row = { transaction, position, event: Object.freeze({ ...stored, address, cursor }) };
    let place = feed.length;
    while (place > 0 && isBehind(feed[place - 1]!, row)) place--;
    feed.splice(place, 0, row);
  }

  /** So that no turn that was decided before can still be recorded. */
  raiseRevision(address: Address, transaction: number): void {
    const { actors } = this.#tables;
    const text = addressText(address);
    const actor = actors.get(text) ?? { ...newActor(address), transaction };
    actors.set(text, actor);
    actor.revision++;
  }

  saveSnapshots(
    asked: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): void {
    const { snapshots } = this.#tables;
    for (const { address, snapshot } of asked) {
      const text = addressText(address);
      if ((snapshots.get(text)?.version ?? -1) < snapshot.version) snapshots.set(text, snapshot);
    }
  }

  forgetReplies(givenBefore: number, limit: number): number {
    let forgotten = 0;
    for (const { replies } of this.#tables.actors.values()) {
      for (const [key, { at }] of replies) {
        if (at >= givenBefore) continue;
        if (forgotten === limit) return forgotten;
        replies.delete(key);
        forgotten++;
      }
    }
    return forgotten;
  }

  readStream(
    address: Address,
    { after = 0, through = Infinity, limit = Infinity }: {
      readonly after?: number;
      readonly through?: number;
      readonly limit?: number;
    },
  ): readonly StoredEvent[] {
    const events = this.#tables.actors.get(addressText(address))?.events ?? [];
    return events.slice(after, Math.min(through, after + limit));
  }

  /** Up to the oldest transaction that still runs: `horizon`, which is the next one if none does. */
  readFeed(
    { after, until, limit, kind, types, from = -Infinity, to = Infinity }: FeedQuery & {
      readonly until?: FeedCursor;
    },
    horizon: number,
  ): FeedPage {
    const { feed } = this.#tables;
    const kinds = kind === undefined ? undefined : [kind].flat();
    const last = until && numbersOf(until);
    const events: FeedEvent[] = [];
    for (let place = placeBehind(feed, numbersOf(after)); place < feed.length; place++) {
      const row = feed[place]!;
      if (events.length === limit || row.transaction >= horizon) break;
      if (last !== undefined && isBehind(row, last)) break;
      const { event } = row;
      if (kinds !== undefined && !kinds.includes(event.address.kind)) continue;
      if (types !== undefined && !types.includes(event.type)) continue;
      if (event.at >= from && event.at < to) events.push(event);
    }
    // The last transaction of a full page may go on behind it; those before are complete.
    const end = events.length < limit ? horizon : Number(events.at(-1)!.cursor.transaction);
    return { events, through: String(end - 1) };
  }
}

/** In the order in which they are applied: actors that are there before those that are not. */
export function inOrderOfLocks(batch: readonly Commit[]): readonly number[] {
  return [...batch.keys()].sort((a, b) => {
    const [one, other] = [batch[a]!, batch[b]!];
    const isNew = Number(one.revision === 0) - Number(other.revision === 0);
    return isNew || inOrder(one.address, other.address);
  });
}

export function inOrder(a: Address, b: Address): number {
  if (a.kind !== b.kind) return a.kind < b.kind ? -1 : 1;
  return a.key < b.key ? -1 : a.key > b.key ? 1 : 0;
}

/** As the store keeps it: nobody else has these objects. */
export function keptBatch(batch: readonly Commit[]): readonly Commit[] {
  return kept(batch);
}

type Place = Pick<FeedRow, "transaction" | "position">;

function numbersOf({ transaction, position }: FeedCursor): Place {
  return { transaction: Number(transaction), position: Number(position) };
}

function isBehind(a: Place, b: Place): boolean {
  return a.transaction > b.transaction ||
    a.transaction === b.transaction && a.position > b.position;
}

/** The first that comes after that place. */
function placeBehind(feed: readonly FeedRow[], after: Place): number {
  let low = 0;
  let high = feed.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (isBehind(feed[middle]!, after)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function newActor(address: Address): ActorRow {
  return { address, revision: 0, transaction: 0, events: [], replies: new Map() };
}

function replyKey({ principalId, key }: RememberedReply): string {
  return `${principalId}\n${key}`;
}
