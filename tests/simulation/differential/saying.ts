/**
 * What stores answer, in words that are the same for all of them.
 *
 * @module
 */
import type { JobHold } from "../../../lib/jobs/job_queue.ts";
import { type Address, addressText } from "../../../lib/runtime/envelope.ts";
import { CENTURY_MS, HOUR_MS, PAST, YEAR_MS } from "./operations.ts";

/** What happened so recently, by any clock, happened now. */
const NOW_MS = 5 * 60_000;

/** Knows messages by their positions, once a store has told of them. */
export class Namer {
  readonly #names = new Map<number, string>();
  readonly #byLane = new Map<string, number[]>();
  readonly #claimed: JobHold[] = [];
  readonly #tokens = new Map<string, number>();

  learn(message: Record<string, unknown>): void {
    const { messageId, position, to, address } = message;
    if (address !== undefined && typeof message.token === "number") {
      this.#tokens.set(addressText(address as Address), message.token);
    }
    if (typeof position !== "number" || typeof messageId !== "string") return;
    if (!this.#names.has(position)) {
      this.#names.set(position, messageId);
      const lane = addressText(to as Address);
      this.#byLane.set(lane, [...this.#byLane.get(lane) ?? [], position]);
    }
    const { queue, token } = message;
    if (typeof queue !== "string") return;
    const hold = { queue, position, token: token as number };
    const known = this.#claimed.findIndex((other) => other.position === position);
    if (known < 0) this.#claimed.push(hold);
    else this.#claimed[known] = hold;
  }

  nameOf(position: number): string {
    return this.#names.get(position) ?? "unknown";
  }

  /** The n-th of the messages that were ever seen there. */
  positionIn(lane: Address, nth: number): number | undefined {
    const known = this.#byLane.get(addressText(lane)) ?? [];
    return known[nth % Math.max(1, known.length)];
  }

  /** Under which the lane was claimed last. */
  tokenOf(lane: Address): number | undefined {
    return this.#tokens.get(addressText(lane));
  }

  headOf(lane: Address): number | undefined {
    return this.#byLane.get(addressText(lane))?.toSorted((a, b) => a - b)[0];
  }

  /** The n-th of the jobs that were ever claimed, under its last claim. */
  claimed(nth: number): JobHold | undefined {
    return this.#claimed[nth % Math.max(1, this.#claimed.length)];
  }
}

/** Without what is a store's own: its numbers of transactions and positions, and its clock. */
export function asSaid(answer: unknown, namer: Namer): unknown {
  learnFrom(answer, namer);
  return said("", answer, namer);
}

function learnFrom(answer: unknown, namer: Namer): void {
  if (Array.isArray(answer)) return answer.forEach((part) => learnFrom(part, namer));
  if (typeof answer !== "object" || answer === null) return;
  namer.learn(answer as Record<string, unknown>);
  for (const part of Object.values(answer)) learnFrom(part, namer);
}

function said(name: string, value: unknown, namer: Namer): unknown {
  if (name === "gone") return (value as number[]).map((position) => namer.nameOf(position)).sort();
  if (name === "position" || name === "next" || name === "attempted") {
    return typeof value === "number" ? namer.nameOf(value) : value;
  }
  if (name === "transaction") return value === "0" ? "none" : "some";
  if (name === "cursor") return undefined;
  if (name === "replies") return sorted(value as unknown[], namer);
  if (typeof value === "number" && moments.has(name)) return momentOf(value);
  if (typeof value === "number" && durations.has(name)) return durationOf(value);
  if (Array.isArray(value)) return value.map((part) => said("", part, namer));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, part]) => [key, said(key, part, namer)])
      .filter(([, part]) => part !== undefined),
  );
}

const moments = new Set(["at", "availableAt", "buriedAt", "finishedAt"]);
const durations = new Set(["nextDueMs", "oldestMs", "restMs", "againMs"]);

export function momentOf(ms: number): string {
  if (ms < PAST + YEAR_MS || isTold(ms - CENTURY_MS)) return new Date(ms).toJSON();
  return `now and ${durationOf(ms - Date.now())}`;
}

/** What operations say of the past is the same for every store, also when they put it off. */
function isTold(ms: number): boolean {
  return ms >= PAST && ms < PAST + YEAR_MS;
}

function durationOf(ms: number): string {
  if (Math.abs(ms) < NOW_MS) return "nothing";
  // In units so coarse that a second more or less makes no difference.
  if (ms > YEAR_MS / 2) return `${Math.round(ms / YEAR_MS)} years`;
  return `${Math.round(ms / HOUR_MS)} hours`;
}

function sorted(values: readonly unknown[], namer: Namer): unknown[] {
  return values.map((value) => said("", value, namer))
    .sort((a, b) => canonical(a) < canonical(b) ? -1 : 1);
}

/** Postgres gives the fields of an object an order of its own. */
export function canonical(value: unknown): string {
  return JSON.stringify(value, (_, part) => {
    if (typeof part !== "object" || part === null || Array.isArray(part)) return part;
    return Object.fromEntries(Object.entries(part).sort(([a], [b]) => a < b ? -1 : 1));
  });
}
