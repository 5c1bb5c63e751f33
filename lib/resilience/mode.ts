/**
 * What the service keeps up, in one word.
 *
 * @module
 */

/** From the best to the gravest. `docs/degradation.md` says what each keeps and what it drops. */
export type Mode = "normal" | "no-kv" | "shedding" | "read-only" | "draining";

/** What speaks against the normal mode. Any number may hold at one time. */
export interface Conditions {
  /** What nodes share beside the database, Redis, does not answer. */
  readonly isKvAway: boolean;
  /** Some requests are refused so that others can be served. */
  readonly isShedding: boolean;
  /** The database does not answer. */
  readonly isDatabaseAway: boolean;
  /** The database answers, and takes no writes. */
  readonly isWritingRefused: boolean;
  /** The process is about to end. */
  readonly isDraining: boolean;
}

export const noConditions: Conditions = {
  isKvAway: false,
  isShedding: false,
  isDatabaseAway: false,
  isWritingRefused: false,
  isDraining: false,
};

/** Of all that holds, the gravest. */
export function modeOf(conditions: Conditions): Mode {
  if (conditions.isDraining) return "draining";
  if (conditions.isDatabaseAway || conditions.isWritingRefused) return "read-only";
  if (conditions.isShedding) return "shedding";
  return conditions.isKvAway ? "no-kv" : "normal";
}

const names: Readonly<Record<keyof Conditions, string>> = {
  isDraining: "draining",
  isDatabaseAway: "database-away",
  isWritingRefused: "writing-refused",
  isShedding: "shedding",
  isKvAway: "kv-away",
};

/** All that holds, the gravest first. */
export function namesOf(conditions: Conditions): readonly string[] {
  const all = Object.entries(names) as [keyof Conditions, string][];
  return all.filter(([condition]) => conditions[condition]).map(([, name]) => name);
}

export interface ModeChange {
  readonly mode: Mode;
  readonly before: Mode;
  readonly because: readonly string[];
}

/** The mode of this process, kept as its conditions change. */
export class ServiceMode {
  readonly #onChange: (change: ModeChange) => void;
  #conditions = noConditions;
  #mode: Mode = "normal";

  /** `onChange` hears of every other mode; it must not throw. */
  constructor(onChange: (change: ModeChange) => void) {
    this.#onChange = onChange;
  }

  get mode(): Mode {
    return this.#mode;
  }

  get conditions(): Conditions {
    return this.#conditions;
  }

  note(change: Partial<Conditions>): void {
    this.#conditions = { ...this.#conditions, ...change };
    const before = this.#mode;
    this.#mode = modeOf(this.#conditions);
    if (this.#mode === before) return;
    this.#onChange({ mode: this.#mode, before, because: namesOf(this.#conditions) });
  }
}
