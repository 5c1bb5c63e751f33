/**
 * Has it kept that somebody was kept out: who showed what does not hold, or asked for what is not
 * theirs. Each once, and together those that come so fast that whoever sends them would otherwise
 * decide how much is written.
 *
 * @module
 */
import type { Context } from "hono";
import type { Env } from "../lib/env.ts";
import { pause } from "../lib/resilience/pause.ts";
import { type CallerEnv, nobody } from "../lib/http/caller.ts";
import type { Audit, AuditEntry } from "../lib/runtime/audit.ts";
import type { Operator } from "../lib/runtime/outbox.ts";
import { operatorOf } from "./audited.ts";

/** From one round of entries to the next; between them denials are counted. */
export const REST_MS = 1_000;
/** Those who have an entry of their own in one round; all others share one. */
export const CALLERS_MAX = 16;
const PATH_CHARS_MAX = 200;

export interface DenialOptions {
  readonly audit: Audit;
  readonly env: Pick<Env, "sleep">;
  /** Hears that entries cannot be kept for now; must not throw. */
  readonly onFailure: (error: unknown) => void;
}

/** What is denied to one caller, or to one sort of them, and not kept yet. */
interface Sum {
  /** Who has it together. */
  readonly of: string;
  readonly operator: Operator;
  readonly keyId?: string | undefined;
  /** Of one of them. */
  readonly path: string;
  readonly denials: number;
  /** How often each operation; of paths that lead nowhere, none. */
  readonly operations: ReadonlyMap<string, number>;
}

const STRANGERS = "strangers";
const OTHERS = "others";

export class Denials implements AsyncDisposable {
  readonly #options: DenialOptions;
  readonly #stopped = new AbortController();
  #sums = new Map<string, Sum>();
  #keeping: Promise<void> | undefined;
  #isFailing = false;

  constructor(options: DenialOptions) {
    this.#options = options;
  }

  /** Of a caller who was not let in to an operation. Neither waits nor throws. */
  note(c: Context<CallerEnv>, operation: string | undefined): void {
    this.#add(sumOf(c, operation));
    this.#keeping ??= this.#keep().finally(() => this.#keeping = undefined);
  }

  /** Keeps what has not been kept yet, if that is possible. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    await this.#keeping;
  }

  #add(sum: Sum): void {
    const { of } = sum;
    const hasOwn = of === STRANGERS || this.#sums.has(of) || this.#own < CALLERS_MAX;
    const added = hasOwn
      ? sum
      : { ...sum, of: OTHERS, operator: { ...sum.operator, id: nobody.principal.id } };
    const before = this.#sums.get(added.of);
    this.#sums.set(added.of, before === undefined ? added : together(before, added));
  }

  get #own(): number {
    return this.#sums.size - Number(this.#sums.has(STRANGERS)) - Number(this.#sums.has(OTHERS));
  }

  async #keep(): Promise<void> {
    const { env } = this.#options;
    while (this.#sums.size > 0) {
      const isLast = this.#stopped.signal.aborted;
      const sums = this.#sums;
      this.#sums = new Map();
      for (const sum of sums.values()) await this.#record(sum);
      if (isLast) return;
      await pause(env, REST_MS, this.#stopped.signal);
    }
  }

  async #record(sum: Sum): Promise<void> {
    const { audit, onFailure } = this.#options;
    try {
      await audit.record(entryOf(sum), sum.operator);
      this.#isFailing = false;
    } catch (error) {
      // The next round has it as well.
      this.#add(sum);
      if (!this.#isFailing) onFailure(error);
      this.#isFailing = true;
    }
  }
}

function sumOf(c: Context<CallerEnv>, operation: string | undefined): Sum {
  const { principal, keyId } = c.get("caller");
  return {
    of: principal === nobody.principal ? STRANGERS : `caller ${principal.id} ${keyId}`,
    operator: operatorOf(c),
    keyId,
    // As it came, in ASCII: what it stands for may be nothing that can be stored.
    path: new URL(c.req.url).pathname.slice(0, PATH_CHARS_MAX),
    denials: 1,
    operations: new Map(operation === undefined ? [] : [[operation, 1]]),
  };
}

function together(one: Sum, other: Sum): Sum {
  const operations = new Map(one.operations);
  for (const [id, times] of other.operations) operations.set(id, (operations.get(id) ?? 0) + times);
  return { ...one, denials: one.denials + other.denials, operations };
}

function entryOf({ of, keyId, path, denials, operations }: Sum): AuditEntry {
  const detail = {
    denials,
    path,
    operations: Object.fromEntries(operations),
    ...(of !== OTHERS && keyId !== undefined && { keyId }),
  };
  const outcome = "refused";
  if (of === STRANGERS) {
    return { act: "token denied", subject: "credential/unknown", outcome, detail };
  }
  const [asked, another] = operations.keys();
  const subject = `operation/${another === undefined ? asked ?? "*" : "*"}`;
  return { act: "access denied", subject, outcome, detail };
}
