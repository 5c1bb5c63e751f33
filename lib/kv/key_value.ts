/**
 * What nodes share beside the database: small values under keys, each for a time.
 *
 * All of it may be gone at any moment, by a restart or a flush: nothing that must not be forgotten
 * belongs here.
 *
 * @module
 */
/** Every call either ends within the time that the store allows, or fails by a `TransientFault`. */
export interface KeyValue {
  get(key: string): Promise<string | undefined>;
  set(key: string, value: string, ttlMs: number): Promise<void>;
  /** Whether nothing was there, so that this now is. */
  setIfAbsent(key: string, value: string, ttlMs: number): Promise<boolean>;
  /** Whether it was there. */
  delete(key: string): Promise<boolean>;
  /** Adds to what is there, or to nothing, and gives the sum. Its time is that of the first. */
  increment(key: string, by: number, ttlMs: number): Promise<number>;
  /**
   * Runs it with nothing else in between, and gives what it returns.
   *
   * In a cluster all keys must lie together: of each, only what stands in the first `{…}` counts.
   */
  run(
    script: Script,
    keys: readonly string[],
    args: readonly string[],
  ): Promise<readonly number[]>;
  /** While it is not, every call is refused at once. */
  readonly isAvailable: boolean;
}

/** Something done to a few keys at once. It goes by the clock of the store, never by that of a node. */
export interface Script {
  /**
   * For a Redis, which gives back whole numbers. Without a shebang, so that every way to a Redis
   * takes it.
   */
  readonly lua: string;
  /** The same for a store in memory. */
  readonly here: (
    entries: Entries,
    keys: readonly string[],
    args: readonly string[],
  ) => readonly number[];
}

/** What a script sees of a store in memory. */
export interface Entries {
  /** In milliseconds of the clock of the store. */
  readonly now: number;
  get(key: string): unknown;
  /** Without a time of its own, it ends when what was there would have. */
  set(key: string, value: unknown, ttlMs?: number): void;
}

/** Keys: one. Arguments: what to add, and the time of the first in milliseconds. Gives the sum. */
export const increment: Script = {
  lua: `
local sum = redis.call('INCRBY', KEYS[1], ARGV[1])
if redis.call('PTTL', KEYS[1]) < 0 then redis.call('PEXPIRE', KEYS[1], ARGV[2]) end
return {sum}`,
  here(entries, [key], [by, ttlMs]) {
    const before = entries.get(key!);
    const sum = Number(before ?? 0) + Number(by);
    entries.set(key!, String(sum), before === undefined ? Number(ttlMs) : undefined);
    return [sum];
  },
};
