/**
 * The database of a run, reached over connections that fail as the plan says.
 *
 * @module
 */
import { TransientFault } from "../../lib/fault.ts";
import type { JobQueue } from "../../lib/jobs/job_queue.ts";
import { MemoryStore } from "../../lib/memory/store.ts";
import type { Outbox } from "../../lib/runtime/outbox.ts";
import {
  type Advance,
  type Projection,
  type ProjectionStore,
  wantedBy,
} from "../../lib/runtime/projector.ts";
import {
  type Commit,
  type CommitOutcome,
  type FeedCursor,
  type FeedEvent,
  feedStart,
  isWriting,
  type Store,
} from "../../lib/runtime/store.ts";
import type { Incarnation } from "./incarnation.ts";
import type { StatementFault } from "./plan.ts";
import { Life, type Place, type Scheduler } from "./scheduler.ts";

/** What a consumer of the feed made of its events, in their order. */
export type Effects = FeedEvent[];

/** All that a node needs of a database. */
export interface Ports {
  readonly store: Store;
  readonly outbox: Outbox;
  readonly jobs: JobQueue;
  readonly projections: ProjectionStore<Effects>;
}

export interface DatabaseOptions {
  readonly scheduler: Scheduler;
  readonly place: Place;
  readonly now: () => number;
  /** The longest way to it, or back. */
  readonly wayMs: number;
  /** How the `nth` call of that name by that node fails. */
  readonly faultOf: (node: Place, call: string, nth: number) => StatementFault | undefined;
  readonly onCommit: (commit: Commit, transaction: string) => void;
}

/** After so long a node takes a silent connection for lost. */
const SILENCE_MS = 1_500;
/** By so much a late statement is later than that. */
const LATE_MS = 1_000;
const SLOW_MS = 300;

export class SimulatedDatabase {
  /** Effects of each consumer. */
  readonly effects = new Map<string, Effects>();
  readonly #options: DatabaseOptions;
  readonly #life: Life;
  readonly #store: MemoryStore;
  readonly #checkpoints = new Map<string, { cursor: FeedCursor; through: string }>();
  readonly #cutUntil = new Map<number, number>();
  #downUntil = 0;

  constructor(options: DatabaseOptions) {
    this.#options = options;
    this.#life = new Life(options.place);
    this.#store = new MemoryStore({ now: options.now });
  }

  /** What is in it, without a connection. */
  get truth(): MemoryStore {
    return this.#store;
  }

  /** Whether every consumer has come to the end of the feed. */
  async isFollowed(consumers: readonly Projection<Effects>[]): Promise<boolean> {
    for (const { name, ...wanted } of consumers) {
      const after = this.#checkpoints.get(name)?.cursor ?? feedStart;
      const { events } = await this.#store.readFeed({ after, limit: 1, ...wantedBy(wanted) });
      if (events.length > 0) return false;
    }
    return true;
  }

  /** Jobs that have not ended. */
  async openJobs(queue: string): Promise<number> {
    const jobs = await this.#store.outbox.jobs.list({ queue, limit: Infinity });
    const ended = ["completed", "failed", "cancelled"];
    return jobs.filter(({ status }) => !ended.includes(status)).length;
  }

  /** All connections end, and it takes no others for a while. */
  restart(ms: number): void {
    this.#downUntil = this.#options.scheduler.now + ms;
  }

  /** The connections of that node end, and it gets no others for a while. */
  cut(node: Place, ms: number): void {
    this.#cutUntil.set(node.index, this.#options.scheduler.now + ms);
  }

  connect(node: Incarnation): Ports {
    const over = <Port extends object>(port: Port) =>
      carried(port, (call, run) => this.#call(node, call, run));
    const { outbox } = this.#store;
    return {
      store: over(this.#reported(node)),
      outbox: over(outbox),
      jobs: over(outbox.jobs),
      projections: over({
        advance: (projection: Projection<Effects>, limit: number) =>
          this.#advance(node, projection, limit),
        through: (name: string) => Promise.resolve(this.#checkpoints.get(name)?.through ?? "0"),
      }),
    };
  }

  #call<T>(node: Incarnation, call: string, run: () => Promise<T>): Promise<T> {
    const { scheduler, wayMs, faultOf } = this.#options;
    const { place } = node;
    let fault = faultOf(place, call, place.count(call));
    if (!this.#isReachable(place)) fault = "refused";
    // Who has given up waiting is not asked to decide any more.
    else if (fault === "late" && call === "commitExclusively") fault = "unheard";
    const way = () => wayMs * scheduler.chance(place, "way");
    return new Promise((resolve, reject) => {
      const answer = (ms: number, go: () => void) =>
        void scheduler.after(node, `${call} answered`, ms, go);
      const silence = () => reject(new TransientFault("Silence", { outcome: "unknown" }));
      if (fault === "refused") {
        return answer(way(), () => reject(new TransientFault("The connection is refused")));
      }
      if (fault === "lost" || fault === "late") answer(SILENCE_MS, silence);
      if (fault === "lost") return;
      const extraMs = fault === "late" ? SILENCE_MS + LATE_MS : fault === "slow" ? SLOW_MS : 0;
      scheduler.after(this.#life, call, way() + extraMs, () => {
        const isUnheard = fault === "late" || fault === "unheard";
        run().then(
          (value) => {
            if (fault === "late") return;
            answer(
              way(),
              () => isUnheard || !this.#isReachable(place) ? silence() : resolve(value),
            );
          },
          (error) => answer(way(), () => reject(error)),
        );
      });
    });
  }

  #isReachable(node: Place): boolean {
    const { now } = this.#options.scheduler;
    return now >= this.#downUntil && now >= (this.#cutUntil.get(node.index) ?? 0);
  }

  /** The store, with a word to the checkers of all that is committed. */
  #reported(node: Incarnation): Store {
    const store = this.#store;
    const report = (commit: Commit, outcome: CommitOutcome) => {
      if (outcome.is === "ok" && isWriting(commit)) {
        this.#options.onCommit(commit, outcome.transaction);
      }
      return outcome;
    };
    return {
      load: (requests) => store.load(requests),
      commit: async (batch) => {
        const outcomes = await store.commit(batch);
        return outcomes.map((outcome, index) => report(batch[index]!, outcome));
      },
      commitExclusively: async (address, afterVersion, decide) => {
        let commit: Commit;
        const outcome = await store.commitExclusively(address, afterVersion, (caughtUp) => {
          if (node.isOver) throw new TransientFault("Nobody is there to decide");
          commit = decide(caughtUp);
          return commit;
        });
        return report(commit!, outcome);
      },
      saveSnapshots: (snapshots) => store.saveSnapshots(snapshots),
      forgetReplies: (givenBefore, limit) => store.forgetReplies(givenBefore, limit),
      readStream: (address, range) => store.readStream(address, range),
      readFeed: (query) => store.readFeed(query),
    };
  }

  async #advance(
    node: Incarnation,
    projection: Projection<Effects>,
    limit: number,
  ): Promise<Advance> {
    const { name } = projection;
    const { cursor: after } = this.#checkpoints.get(name) ?? { cursor: feedStart };
    const page = await this.#store.readFeed({ after, limit, ...wantedBy(projection) });
    const { events, through } = page;
    const effects: Effects = [];
    if (node.isOver) throw new TransientFault("Nobody is there to apply it");
    if (events.length > 0) await projection.apply(effects, events);
    const earlier = this.effects.get(name) ?? [];
    earlier.push(...effects);
    this.effects.set(name, earlier);
    this.#checkpoints.set(name, { cursor: events.at(-1)?.cursor ?? after, through });
    return { events: events.length, through };
  }
}

/** A port whose every call goes through `call`. */
export function carried<Port extends object>(
  port: Port,
  call: <T>(name: string, run: () => Promise<T>) => Promise<T>,
): Port {
  const methods = new Map<PropertyKey, unknown>();
  return new Proxy(port, {
    get(target, name) {
      const known = methods.get(name);
      if (known !== undefined) return known;
      const method = Reflect.get(target, name);
      if (typeof method !== "function") return method;
      const through = (...args: unknown[]) =>
        call(String(name), () => method.apply(target, args) as Promise<unknown>);
      methods.set(name, through);
      return through;
    },
  });
}
