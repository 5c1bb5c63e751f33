/**
 * What the statements of the outbox do, each at one moment: `now` is the time of the database.
 *
 * @module
 */
import { JOB_KIND } from "../jobs/job.ts";
import { type Address, addressText } from "../runtime/envelope.ts";
import type {
  Burial,
  Claim,
  ClaimedLane,
  Completion,
  DueCursor,
  DuePage,
  LaneStanding,
  OutboxDepth,
  OutboxMessage,
  SettledLane,
} from "../runtime/outbox.ts";
import type { NewMessage } from "../runtime/store.ts";
import type { LaneRow, Tables, WaitingRow } from "./tables.ts";

export class Lanes {
  readonly #tables: Tables;

  constructor(tables: Tables) {
    this.#tables = tables;
  }

  add(
    { delayMs: _, job: __, ...message }: NewMessage,
    position: number,
    at: number,
    availableAt: number,
  ) {
    this.put({ ...message, position, at }, availableAt);
  }

  /** At the place in its lane that its position says. */
  put(message: OutboxMessage, availableAt: number): void {
    const { outbox } = this.#tables;
    const text = addressText(message.to);
    const lane = outbox.get(text);
    const row = { message: Object.freeze(message), availableAt };
    if (lane === undefined) return void outbox.set(text, [row]);
    let place = lane.length;
    while (place > 0 && lane[place - 1]!.message.position > message.position) place--;
    lane.splice(place, 0, row);
  }

  has(address: Address, position: number): boolean {
    return this.#all(address).some(({ message }) => message.position === position);
  }

  take(address: Address, position: number): OutboxMessage | undefined {
    const { outbox } = this.#tables;
    const text = addressText(address);
    const lane = outbox.get(text) ?? [];
    const place = lane.findIndex(({ message }) => message.position === position);
    if (place < 0) return undefined;
    const [taken] = lane.splice(place, 1);
    if (lane.length === 0) outbox.delete(text);
    return taken!.message;
  }

  /**
   * Those that a claim of the lane would give. What was told at once is due whatever the clock says,
   * which may have been turned back: otherwise what is told now would overtake it.
   */
  due(address: Address, now: number, limit: number): readonly OutboxMessage[] {
    const due: OutboxMessage[] = [];
    for (const { message, availableAt } of this.#all(address)) {
      if (due.length === limit) break;
      if (availableAt <= message.at || availableAt <= now) due.push(message);
    }
    return due;
  }

  /** `messages` are those that were due when the statement began. */
  claim(
    address: Address,
    { token, leaseMs }: Claim,
    messages: readonly OutboxMessage[],
    now: number,
  ): ClaimedLane | undefined {
    const { lanes } = this.#tables;
    const text = addressText(address);
    const known = lanes.get(text);
    const lane = known ?? newLane(address, token, now);
    const isFree = lane.token === token || lane.nextAt <= now && lane.leaseUntil <= now &&
        !(lane.isParked && this.#hasLetters(text));
    if (!isFree) return undefined;
    lanes.set(text, Object.assign(lane, { token, leaseUntil: now + leaseMs, isParked: false }));
    const head = messages[0]?.position;
    const attempts = head !== undefined && lane.attempted === head ? lane.attempts : 0;
    return { address, token, attempts, messages };
  }

  /** True if the lane is free now and has messages due. */
  settle({ address, token, pause }: SettledLane, now: number): boolean {
    const { lanes } = this.#tables;
    const text = addressText(address);
    const lane = lanes.get(text);
    if (lane?.token !== token) return false;
    if (pause !== undefined) {
      const { ms, position, attempts } = pause;
      Object.assign(lane, { leaseUntil: now, nextAt: now + ms, attempted: position, attempts });
      return false;
    }
    lane.leaseUntil = now;
    if (lane.isParked) return false;
    lanes.delete(text);
    return this.due(address, now, 1).length > 0;
  }

  /** Undefined if the claim no longer holds; `message` is what it has taken out, if it was there. */
  bury(
    { address, token, position, isParked }: Burial,
    now: number,
  ): { readonly message: OutboxMessage | undefined } | undefined {
    const lane = this.#held(address, token, now);
    if (lane === undefined) return undefined;
    Object.assign(lane, { attempts: 0, isParked });
    return { message: this.take(address, position) };
  }

  complete({ address, token, position }: Completion, now: number): boolean {
    if (this.#held(address, token, now) === undefined) return false;
    return this.take(address, position) !== undefined;
  }

  holds(address: Address, token: number, now: number): boolean {
    return this.#held(address, token, now) !== undefined;
  }

  postpone(address: Address, limit: number, now: number): number {
    const nextAt = this.#tables.lanes.get(addressText(address))?.nextAt ?? 0;
    if (nextAt <= now) return 0;
    const early = this.#all(address).filter(({ availableAt }) => availableAt < nextAt)
      .slice(-limit);
    for (const row of early) row.availableAt = nextAt;
    return early.length;
  }

  standing(address: Address, countMax: number, now: number): LaneStanding {
    const all = this.#all(address);
    const lane = this.#tables.lanes.get(addressText(address));
    const head = all[0]?.message.position;
    return {
      waiting: Math.min(all.length, countMax),
      attempts: head !== undefined && lane?.attempted === head ? lane.attempts : 0,
      restMs: Math.max(0, (lane?.nextAt ?? 0) - now),
    };
  }

  duePage(after: DueCursor | undefined, limit: number, now: number): DuePage {
    const from = {
      availableAt: Number(after?.availableAt ?? -Infinity),
      position: after?.position,
    };
    const found: WaitingRow[] = [];
    let nextAt = Infinity;
    for (const lane of this.#tables.outbox.values()) {
      for (const row of lane) {
        if (row.availableAt > now) nextAt = Math.min(nextAt, row.availableAt);
        else if (comesAfter(row, from)) found.push(row);
      }
    }
    found.sort((a, b) => a.availableAt - b.availableAt || a.message.position - b.message.position);
    const page = found.slice(0, limit);
    const lanes = new Map(page.map(({ message: { to } }) => [addressText(to), to]));
    const last = page.length === limit ? page.at(-1) : undefined;
    return {
      lanes: [...lanes.values()],
      next: last && { availableAt: String(last.availableAt), position: last.message.position },
      nextDueMs: nextAt === Infinity ? undefined : nextAt - now,
    };
  }

  depth(countMax: number, now: number): OutboxDepth {
    const { outbox, letters } = this.#tables;
    let due = 0;
    let oldest = now;
    for (const lane of outbox.values()) {
      for (const { availableAt } of lane) {
        if (availableAt > now) continue;
        due++;
        oldest = Math.min(oldest, availableAt);
      }
    }
    return {
      due: Math.min(due, countMax),
      oldestMs: now - oldest,
      dead: Math.min(letters.size, countMax),
    };
  }

  /** Forgets lanes that whoever had them has left for good. */
  tidy(now: number): void {
    const { lanes, outbox } = this.#tables;
    for (const [text, { leaseUntil, nextAt, isParked }] of lanes) {
      if (leaseUntil <= now && nextAt <= now && !isParked && !outbox.has(text)) lanes.delete(text);
    }
  }

  #all(address: Address): readonly WaitingRow[] {
    return this.#tables.outbox.get(addressText(address)) ?? [];
  }

  #held(address: Address, token: number, now: number): LaneRow | undefined {
    const lane = this.#tables.lanes.get(addressText(address));
    return lane?.token === token && lane.leaseUntil > now ? lane : undefined;
  }

  #hasLetters(lane: string): boolean {
    for (const { letter } of this.#tables.letters.values()) {
      if (addressText(letter.to) === lane) return true;
    }
    return false;
  }
}

/** Workers take jobs, wherever they lie. */
export function isLane({ kind }: Address): boolean {
  return kind !== JOB_KIND;
}

function newLane(address: Address, token: number, now: number): LaneRow {
  return {
    address,
    token,
    leaseUntil: now,
    nextAt: now,
    attempts: 0,
    attempted: undefined,
    isParked: false,
  };
}

function comesAfter(
  { availableAt, message: { position } }: WaitingRow,
  from: { readonly availableAt: number; readonly position: number | undefined },
): boolean {
  return availableAt > from.availableAt ||
    availableAt === from.availableAt && position > (from.position ?? 0);
}
