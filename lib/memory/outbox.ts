/**
 * The outbox and its dead letters without a database, beside a {@linkcode MemoryStore}.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { type Address, addressText } from "../runtime/envelope.ts";
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
  OutboxMessage,
  RedriveQuery,
  SettledLane,
} from "../runtime/outbox.ts";
import { JOB_KIND } from "../jobs/job.ts";
import type { NewMessage } from "../runtime/store.ts";
import { copied } from "./copied.ts";
import { MemoryJobQueue } from "./job_queue.ts";

interface Waiting {
  readonly message: OutboxMessage;
  availableAt: number;
}

interface Lane {
  readonly token: number;
  leaseUntil: number;
  nextAt: number;
  /** The message whose attempts are counted. */
  position: number | undefined;
  attempts: number;
  isParked: boolean;
}

export interface AuditEntry {
  readonly principal: string;
  readonly act: string;
  readonly messageId: string;
}

export class MemoryOutbox implements Outbox, DeadLetters {
  readonly #env: Pick<Env, "now">;
  readonly #raiseRevision: (address: Address) => void;
  /** By position, which is the order of insertion but for what was put back. */
  readonly #waiting = new Map<number, Waiting>();
  readonly #lanes = new Map<string, Lane>();
  readonly #dead = new Map<string, DeadLetter>();
  readonly audit: AuditEntry[] = [];
  readonly jobs: MemoryJobQueue;
  #position = 0;

  constructor(env: Pick<Env, "now">, raiseRevision: (address: Address) => void) {
    this.#env = env;
    this.#raiseRevision = raiseRevision;
    this.jobs = new MemoryJobQueue(env, {
      nextPosition: () => ++this.#position,
      tell: (messages, at) => this.add(messages, at),
      bury: (letter) => void this.#dead.set(letter.messageId, letter),
      dead: () => this.#dead.values(),
    });
  }

  /** Those of the positions that are not there, or not this actor's. */
  gone({ kind, key }: Address, positions: readonly number[]): readonly number[] {
    return positions.filter((position) => {
      const to = this.#waiting.get(position)?.message.to;
      return to?.kind !== kind || to.key !== key;
    });
  }

  take(positions: readonly number[]): void {
    for (const position of positions) this.#waiting.delete(position);
  }

  add(messages: readonly NewMessage[], at: number): void {
    for (const { delayMs, ...message } of messages) {
      const availableAt = delayMs > 0 ? at + delayMs : Math.min(at, this.#env.now());
      if (message.to.kind === JOB_KIND) {
        this.jobs.add(message, at, availableAt);
        continue;
      }
      const position = ++this.#position;
      this.#waiting.set(position, {
        message: { ...message, position, at },
        availableAt,
      });
    }
  }

  async claim(
    lanes: readonly Address[],
    { token, leaseMs, limit }: Claim,
  ): Promise<readonly ClaimedLane[]> {
    await null;
    const now = this.#env.now();
    return lanes.flatMap((address) => {
      if (address.kind === JOB_KIND) return [];
      const text = addressText(address);
      const known = this.#lanes.get(text);
      const isFree = known === undefined || known.token === token ||
        known.nextAt <= now && known.leaseUntil <= now && !(known.isParked && this.#hasDead(text));
      if (!isFree) return [];
      const messages = this.#dueOf(text).slice(0, limit).map(({ message }) => copied(message));
      const position = messages[0]?.position;
      const attempts = known?.position === position ? known?.attempts ?? 0 : 0;
      const leaseUntil = now + leaseMs;
      this.#lanes.set(text, {
        token,
        leaseUntil,
        nextAt: now,
        position,
        attempts,
        isParked: false,
      });
      return [{ address, token, attempts, messages }];
    });
  }

  async settle(lanes: readonly SettledLane[]): Promise<readonly Address[]> {
    await null;
    const now = this.#env.now();
    return lanes.flatMap(({ address, token, pause }) => {
      const text = addressText(address);
      const lane = this.#lanes.get(text);
      if (lane?.token !== token) return [];
      if (pause !== undefined) {
        const { ms, position, attempts } = pause;
        Object.assign(lane, { leaseUntil: now, nextAt: now + ms, position, attempts });
        return [];
      }
      lane.leaseUntil = now;
      if (lane.isParked) return [];
      this.#lanes.delete(text);
      return this.#dueOf(text).length > 0 ? [address] : [];
    });
  }

  async bury(
    { address, token, position, attempts, error, isParked }: Burial,
  ): Promise<boolean> {
    await null;
    const now = this.#env.now();
    const lane = this.#lanes.get(addressText(address));
    if (lane?.token !== token || lane.leaseUntil <= now) return false;
    Object.assign(lane, { attempts: 0, isParked });
    this.#raiseRevision(address);
    const waiting = this.#waiting.get(position);
    if (waiting === undefined) return false;
    this.#waiting.delete(position);
    const { message } = waiting;
    this.#dead.set(message.messageId, { ...message, attempts, error, buriedAt: now });
    return true;
  }

  async complete({ address, token, position }: Completion): Promise<boolean> {
    await null;
    const lane = this.#lanes.get(addressText(address));
    if (lane?.token !== token || lane.leaseUntil <= this.#env.now()) return false;
    if (this.gone(address, [position]).length > 0) return false;
    return this.#waiting.delete(position);
  }

  async postpone(address: Address, limit: number): Promise<number> {
    await null;
    const text = addressText(address);
    const nextAt = this.#lanes.get(text)?.nextAt ?? 0;
    if (nextAt <= this.#env.now()) return 0;
    const early = this.#of(text).filter(({ availableAt }) => availableAt < nextAt).slice(-limit);
    for (const waiting of early) waiting.availableAt = nextAt;
    return early.length;
  }

  async standing(address: Address, countMax: number): Promise<LaneStanding> {
    await null;
    const text = addressText(address);
    const all = this.#of(text);
    const lane = this.#lanes.get(text);
    return {
      waiting: Math.min(all.length, countMax),
      attempts: lane?.position === all[0]?.message.position ? lane?.attempts ?? 0 : 0,
      restMs: Math.max(0, (lane?.nextAt ?? 0) - this.#env.now()),
    };
  }

  async due(after: DueCursor | undefined, limit: number): Promise<DuePage> {
    await null;
    const now = this.#env.now();
    const inOrder = [...this.#waiting.values()].sort((a, b) =>
      a.availableAt - b.availableAt || a.message.position - b.message.position
    );
    const found = inOrder.filter(({ availableAt, message: { position } }) =>
      availableAt <= now && (after === undefined || availableAt > Number(after.availableAt) ||
        availableAt === Number(after.availableAt) && position > after.position)
    ).slice(0, limit);
    const lanes = new Map(found.map(({ message: { to } }) => [addressText(to), to]));
    const last = found.length === limit ? found.at(-1) : undefined;
    const later = inOrder.find(({ availableAt }) => availableAt > now);
    return {
      lanes: [...lanes.values()],
      next: last && { availableAt: String(last.availableAt), position: last.message.position },
      nextDueMs: later && later.availableAt - now,
    };
  }

  async depth(countMax: number): Promise<OutboxDepth> {
    await null;
    const now = this.#env.now();
    const due = [...this.#waiting.values()].map(({ availableAt }) => availableAt)
      .filter((availableAt) => availableAt <= now);
    const oldestMs = due.length === 0 ? 0 : now - Math.min(...due);
    return { due: Math.min(due.length, countMax), oldestMs, dead: this.#dead.size };
  }

  async tidy(): Promise<void> {
    await null;
  }

  async list({ kind, key, after = 0, limit }: DeadLetterQuery): Promise<readonly DeadLetter[]> {
    await null;
    return this.#deadInOrder().filter(({ to, position }) =>
      position > after && (kind === undefined || to.kind === kind) &&
      (key === undefined || to.key === key)
    ).slice(0, limit).map(copied);
  }

  async get(messageId: string): Promise<DeadLetter | undefined> {
    await null;
    const letter = this.#dead.get(messageId);
    return letter && copied(letter);
  }

  async edit(
    messageId: string,
    change: { readonly schema: number; readonly command: unknown },
    operator: Operator,
  ): Promise<DeadLetter | undefined> {
    await null;
    const letter = this.#dead.get(messageId);
    if (letter === undefined) return undefined;
    const changed = copied({ ...letter, ...change });
    this.#dead.set(messageId, changed);
    this.#record("edit", letter, operator);
    return copied(changed);
  }

  async redrive(
    which: RedriveQuery,
    operator: Operator,
  ): Promise<readonly DeadLetter[]> {
    await null;
    const letters = "messageId" in which
      ? this.#deadInOrder().filter(({ messageId }) => messageId === which.messageId)
      : this.#deadInOrder().filter(({ to: { kind, key } }) =>
        kind === which.kind && (which.key === undefined || key === which.key)
      ).slice(0, which.limit);
    for (const letter of letters) {
      const { attempts: _, error: __, buriedAt: ___, ...message } = letter;
      const availableAt = this.#env.now();
      if (message.to.kind === JOB_KIND) this.jobs.putBack(message, availableAt);
      else this.#waiting.set(message.position, { message, availableAt });
      this.#seenTo("redrive", letter, operator);
    }
    return letters.map(copied);
  }

  async discard(messageId: string, operator: Operator): Promise<boolean> {
    await null;
    const letter = this.#dead.get(messageId);
    if (letter === undefined) return false;
    this.#seenTo("discard", letter, operator);
    return true;
  }

  #seenTo(act: string, letter: DeadLetter, operator: Operator): void {
    this.#dead.delete(letter.messageId);
    this.#record(act, letter, operator);
  }

  #record(act: string, { messageId }: DeadLetter, { id }: Operator): void {
    this.audit.push({ principal: id, act: `dead-letter ${act}`, messageId });
  }

  #hasDead(lane: string): boolean {
    return [...this.#dead.values()].some(({ to }) => addressText(to) === lane);
  }

  #deadInOrder(): DeadLetter[] {
    return [...this.#dead.values()].sort((a, b) => a.position - b.position);
  }

  #dueOf(lane: string): Waiting[] {
    const now = this.#env.now();
    return this.#of(lane).filter(({ availableAt }) => availableAt <= now);
  }

  #of(lane: string): Waiting[] {
    return [...this.#waiting.values()].filter(({ message }) => addressText(message.to) === lane)
      .sort((a, b) => a.message.position - b.message.position);
  }
}
