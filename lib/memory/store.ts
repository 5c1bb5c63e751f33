/**
 * The store without a database: for tests and trials, held to the same contract as the real ones.
 *
 * It answers in a later microtask, and keeps its data as JSON, so that nobody comes to rely on
 * sharing objects with it.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { PoisonFault } from "../fault.ts";
import { type Address, addressText } from "../runtime/envelope.ts";
import {
  type Commit,
  type CommitOutcome,
  type FeedEvent,
  type FeedPage,
  type FeedQuery,
  isWriting,
  type Loaded,
  type LoadRequest,
  type RememberedReply,
  type Snapshot,
  type Store,
  type StoredEvent,
} from "../runtime/store.ts";
import { copied } from "./copied.ts";
import { MemoryOutbox } from "./outbox.ts";

interface Actor {
  readonly events: StoredEvent[];
  readonly replies: Map<string, { readonly reply: RememberedReply; readonly at: number }>;
  revision: number;
  transaction: number;
  snapshot?: Snapshot;
}

export class MemoryStore implements Store {
  readonly #actors = new Map<string, Actor>();
  readonly #feed: FeedEvent[] = [];
  readonly outbox: MemoryOutbox;
  #transaction = 0;

  constructor(env: Pick<Env, "now">) {
    this.outbox = new MemoryOutbox(env, (address) => {
      const actor = this.#actorAt(address);
      actor.revision++;
      actor.transaction = ++this.#transaction;
      this.#actors.set(addressText(address), actor);
    });
  }

  async load(requests: readonly LoadRequest[]): Promise<readonly Loaded[]> {
    await null;
    return requests.map((request) => this.#load(request));
  }

  async commit(batch: readonly Commit[]): Promise<readonly CommitOutcome[]> {
    await null;
    batch.forEach(refusePoison);
    this.#transaction++;
    return batch.map((commit) => this.#apply(commit));
  }

  async commitExclusively(
    address: Address,
    afterVersion: number,
    decide: (caughtUp: Loaded) => Commit,
  ): Promise<CommitOutcome> {
    await null;
    const commit = decide(this.#load({ address, afterVersion }));
    refusePoison(commit);
    this.#transaction++;
    return this.#apply(commit);
  }

  async saveSnapshots(
    snapshots: readonly { readonly address: Address; readonly snapshot: Snapshot }[],
  ): Promise<void> {
    await null;
    for (const { address, snapshot } of snapshots) {
      const actor = this.#actors.get(addressText(address));
      if (actor === undefined || (actor.snapshot?.version ?? 0) >= snapshot.version) continue;
      actor.snapshot = copied(snapshot);
    }
  }

  async forgetReplies(givenBefore: number, limit: number): Promise<number> {
    await null;
    let forgotten = 0;
    for (const { replies } of this.#actors.values()) {
      for (const [key, { at }] of replies) {
        if (at >= givenBefore) continue;
        if (forgotten === limit) return forgotten;
        replies.delete(key);
        forgotten++;
      }
    }
    return forgotten;
  }

  async readStream(
    address: Address,
    { after = 0, through = Infinity, limit = Infinity }: {
      readonly after?: number;
      readonly through?: number;
      readonly limit?: number;
    } = {},
  ): Promise<readonly StoredEvent[]> {
    await null;
    const events = this.#actors.get(addressText(address))?.events ?? [];
    return copied(events.slice(after, Math.min(through, after + limit)));
  }

  async readFeed(query: FeedQuery): Promise<FeedPage> {
    await null;
    const { after, limit, kind, types, from = -Infinity, to = Infinity } = query;
    const events: FeedEvent[] = [];
    for (const event of this.#feed.slice(Number(after.position))) {
      if (events.length === limit) return { events: copied(events), through: before(events) };
      if (kind !== undefined && ![kind].flat().includes(event.address.kind)) continue;
      if (types !== undefined && !types.includes(event.type)) continue;
      if (event.at >= from && event.at < to) events.push(event);
    }
    return { events: copied(events), through: String(this.#transaction) };
  }

  #load({ address, afterVersion }: LoadRequest): Loaded {
    const actor = this.#actors.get(addressText(address));
    if (actor === undefined) return { revision: 0, version: 0, transaction: "0", events: [] };
    const snapshot = afterVersion === undefined ? actor.snapshot : undefined;
    return copied({
      revision: actor.revision,
      version: actor.events.length,
      transaction: String(actor.transaction),
      ...(snapshot !== undefined && { snapshot }),
      events: actor.events.slice(afterVersion ?? snapshot?.version ?? 0),
    });
  }

  #apply(commit: Commit): CommitOutcome {
    const { address, revision, events, replies, at, messages = [], consumed = [] } = commit;
    const actor = this.#actorAt(address);
    if (actor.revision !== revision) return { is: "conflict" };
    const gone = this.outbox.gone(address, consumed);
    if (gone.length > 0) return { is: "consumed", gone };
    const known = replies.flatMap((reply) => actor.replies.get(replyKey(reply)) ?? []);
    if (known.length > 0) {
      return { is: "duplicate", replies: copied(known.map(({ reply }) => reply)) };
    }
    const transaction = String(this.#transaction);
    if (!isWriting(commit)) return { is: "ok", transaction };
    this.outbox.take(consumed);
    this.outbox.add(copied(messages), at);
    for (const event of events) {
      const stored = copied({ ...event, version: actor.events.length + 1, at });
      actor.events.push(stored);
      const cursor = { transaction, position: String(this.#feed.length + 1) };
      this.#feed.push({ ...stored, address, cursor });
    }
    for (const reply of replies) actor.replies.set(replyKey(reply), { reply: copied(reply), at });
    actor.revision++;
    actor.transaction = this.#transaction;
    this.#actors.set(addressText(address), actor);
    return { is: "ok", transaction };
  }

  #actorAt(address: Address): Actor {
    return this.#actors.get(addressText(address)) ??
      { events: [], replies: new Map(), revision: 0, transaction: 0 };
  }
}

/** The last page entry's transaction may go on behind it; those before are complete. */
function before(events: readonly FeedEvent[]): string {
  return String(BigInt(events.at(-1)!.cursor.transaction) - 1n);
}

function replyKey({ principalId, key }: RememberedReply): string {
  return `${principalId}\n${key}`;
}

/** Postgres cannot keep U+0000 in a jsonb; a store that could would hide that. */
function refusePoison({ events, replies, messages }: Commit): void {
  if (jsonOf([events, replies, messages]).includes("\\u0000")) {
    throw new PoisonFault("Cannot store the character U+0000");
  }
}

function jsonOf(content: unknown): string {
  try {
    return JSON.stringify(content);
  } catch (cause) {
    throw new PoisonFault("Cannot store what is no JSON", { cause });
  }
}
