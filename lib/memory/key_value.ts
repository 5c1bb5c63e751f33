/** The key-value store of a node that shares with nobody. */
import type { Env } from "../env.ts";
import { type Entries, increment, type KeyValue, type Script } from "../kv/key_value.ts";

export interface MemoryKeyValueOptions {
  readonly env: Pick<Env, "monotonic">;
  /** Beyond it, what was set longest ago is forgotten. */
  readonly entriesMax?: number;
}

const ENTRIES_MAX = 100_000;

export class MemoryKeyValue implements KeyValue {
  readonly isAvailable = true;
  readonly #entries: TimedEntries;

  constructor({ env, entriesMax = ENTRIES_MAX }: MemoryKeyValueOptions) {
    this.#entries = new TimedEntries(env, entriesMax);
  }

  get(key: string): Promise<string | undefined> {
    const value = this.#entries.get(key);
    return Promise.resolve(value === undefined ? undefined : String(value));
  }

  set(key: string, value: string, ttlMs: number): Promise<void> {
    this.#entries.set(key, value, ttlMs);
    return Promise.resolve();
  }

  setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean> {
    const isAbsent = this.#entries.get(key) === undefined;
    if (isAbsent) this.#entries.set(key, value, ttlMs);
    return Promise.resolve(isAbsent);
  }

  delete(key: string): Promise<boolean> {
    return Promise.resolve(this.#entries.delete(key));
  }

  async increment(key: string, by: number, ttlMs: number): Promise<number> {
    const [sum] = await this.run(increment, [key], [String(by), String(ttlMs)]);
    return sum!;
  }

  run(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly number[]> {
    return Promise.resolve(script.here(this.#entries, keys, args));
  }
}

interface Entry {
  readonly value: unknown;
  readonly endsAt: number;
}

class TimedEntries implements Entries {
  readonly #env: Pick<Env, "monotonic">;
  readonly #max: number;
  readonly #entries = new Map<string, Entry>();

  constructor(env: Pick<Env, "monotonic">, max: number) {
    this.#env = env;
    this.#max = max;
  }

  get now(): number {
    return Math.floor(this.#env.monotonic());
  }

  get(key: string): unknown {
    return this.#present(key)?.value;
  }

  set(key: string, value: unknown, ttlMs?: number): void {
    const before = this.#present(key);
    const endsAt = ttlMs === undefined ? before?.endsAt ?? Infinity : this.now + ttlMs;
    // To the end of the line, at whose beginning is what was set longest ago.
    this.#entries.delete(key);
    this.#entries.set(key, { value, endsAt });
    if (this.#entries.size > this.#max) this.#forgetOne();
  }

  delete(key: string): boolean {
    const isPresent = this.#present(key) !== undefined;
    this.#entries.delete(key);
    return isPresent;
  }

  #present(key: string): Entry | undefined {
    const entry = this.#entries.get(key);
    if (entry === undefined || this.now < entry.endsAt) return entry;
    this.#entries.delete(key);
    return undefined;
  }

  #forgetOne(): void {
    for (const key of this.#entries.keys().take(1)) this.#entries.delete(key);
  }
}
