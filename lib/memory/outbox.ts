/**
 * The outbox and its dead letters without a database, beside a {@linkcode MemoryStore}.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Address } from "../runtime/envelope.ts";
import type {
  Burial,
  Claim,
  ClaimedLane,
  Completion,
  DeadLetter,
  DeadLetterQuery,
  DeadLetters,
  DueCursor,
  DuePage,
  LaneStanding,
  Operator,
  Outbox,
  OutboxDepth,
  RedriveQuery,
  SettledLane,
} from "../runtime/outbox.ts";
import { MemoryJobQueue } from "./job_queue.ts";
import { isLane } from "./lanes.ts";
import type { Statements } from "./statements.ts";
import { inOrder } from "./streams.ts";
import type { AuditRow } from "./tables.ts";

export class MemoryOutbox implements Outbox, DeadLetters {
  readonly #env: Pick<Env, "now">;
  readonly #statements: Statements;
  readonly jobs: MemoryJobQueue;

  constructor(env: Pick<Env, "now">, statements: Statements) {
    this.#env = env;
    this.#statements = statements;
    this.jobs = new MemoryJobQueue(env, statements.jobs);
  }

  get audit(): readonly AuditRow[] {
    return this.#statements.tables.audit;
  }

  async claim(lanes: readonly Address[], claim: Claim): Promise<readonly ClaimedLane[]> {
    await null;
    const now = this.#env.now();
    const all = this.#statements.lanes;
    return lanes.filter(isLane).sort(inOrder).flatMap((address) =>
      all.claim(address, claim, all.due(address, now, claim.limit), now) ?? []
    );
  }

  async settle(lanes: readonly SettledLane[]): Promise<readonly Address[]> {
    await null;
    const now = this.#env.now();
    return lanes.filter((lane) => this.#statements.lanes.settle(lane, now))
      .map(({ address }) => address).sort(inOrder);
  }

  async bury(burial: Burial): Promise<boolean> {
    await null;
    return this.#statements.bury(burial, this.#env.now(), this.#statements.drawTransaction());
  }

  async complete(completion: Completion): Promise<boolean> {
    await null;
    return this.#statements.lanes.complete(completion, this.#env.now());
  }

  async postpone(lane: Address, limit: number): Promise<number> {
    await null;
    return this.#statements.lanes.postpone(lane, limit, this.#env.now());
  }

  async standing(lane: Address, countMax: number): Promise<LaneStanding> {
    await null;
    return this.#statements.lanes.standing(lane, countMax, this.#env.now());
  }

  async due(after: DueCursor | undefined, limit: number): Promise<DuePage> {
    await null;
    return this.#statements.lanes.duePage(after, limit, this.#env.now());
  }

  async depth(countMax: number): Promise<OutboxDepth> {
    await null;
    return this.#statements.lanes.depth(countMax, this.#env.now());
  }

  async tidy(): Promise<void> {
    await null;
    this.#statements.lanes.tidy(this.#env.now());
  }

  async list(query: DeadLetterQuery): Promise<readonly DeadLetter[]> {
    await null;
    return this.#statements.letters.list(query);
  }

  async get(messageId: string): Promise<DeadLetter | undefined> {
    await null;
    return this.#statements.letters.get(messageId);
  }

  async edit(
    messageId: string,
    change: { readonly schema: number; readonly command: unknown },
    operator: Operator,
  ): Promise<DeadLetter | undefined> {
    await null;
    return this.#statements.letters.edit(messageId, change, operator);
  }

  async redrive(which: RedriveQuery, operator: Operator): Promise<readonly DeadLetter[]> {
    await null;
    return this.#statements.letters.redrive(which, operator, this.#env.now());
  }

  async discard(messageId: string, operator: Operator): Promise<boolean> {
    await null;
    return this.#statements.letters.discard(messageId, operator);
  }
}
