/**
 * One life of a node: its clocks, its chance, and the points at which it may end.
 *
 * @module
 */
import type { Env } from "../../lib/env.ts";
import { AT } from "../support/given.ts";
import { countedUuid, mixed, mulberry32 } from "../support/seeded.ts";
import type { NodePlan } from "./plan.ts";
import { Life, type Place, type Scheduler } from "./scheduler.ts";

/** Ids of one life; more than any run draws. */
const IDS_MAX = 2 ** 32;

/** A wall clock, which goes on while its node is down. */
export class WallClock {
  readonly #scheduler: Scheduler;
  readonly #plan: NodePlan;
  #jumpedMs = 0;

  constructor(scheduler: Scheduler, plan: NodePlan) {
    this.#scheduler = scheduler;
    this.#plan = plan;
  }

  now(): number {
    const { skewMs, rate } = this.#plan;
    return Math.floor(AT + skewMs + this.#jumpedMs + this.#scheduler.now * rate);
  }

  jump(byMs: number): void {
    this.#jumpedMs += byMs;
  }
}

export interface IncarnationOptions {
  readonly scheduler: Scheduler;
  readonly place: Place;
  readonly clock: WallClock;
  readonly rate: number;
  readonly seed: number;
  /** Counted from 1. */
  readonly number: number;
  /** Whether the node ends here. */
  readonly crashes: (place: Place, call: string, nth: number, side: Side) => boolean;
}

/** Of what is awaited: before it has any effect, or after that, before anyone hears of it. */
export type Side = "before" | "after";

export class Incarnation extends Life implements Env {
  readonly #options: IncarnationOptions;
  readonly #random: () => number;
  readonly #bornAt: number;
  #ids: number;

  constructor(options: IncarnationOptions) {
    super(options.place);
    const { seed, place, number, scheduler } = options;
    this.#options = options;
    this.#random = mulberry32(mixed(seed, place.index, number));
    this.#bornAt = scheduler.now;
    this.#ids = (place.index * 1_000 + number) * IDS_MAX;
  }

  /** False if the node ends here: nothing that follows may happen. */
  passes(call: string, nth: number, side: Side): boolean {
    if (this.isOver) return false;
    return !this.#options.crashes(this.place, call, nth, side);
  }

  /** At once, unless it stands still; never, if its life is over. */
  async resumed(): Promise<void> {
    const { scheduler } = this.#options;
    if (this.isOver || this.place.pausedUntil > scheduler.now) {
      await scheduler.pause(this, "resumes", 0);
    }
  }

  now(): number {
    return this.#options.clock.now();
  }

  monotonic(): number {
    return (this.#options.scheduler.now - this.#bornAt) * this.#options.rate;
  }

  /** To 53 bits: claims draw their tokens from it. */
  random(): number {
    return (Math.floor(this.#random() * 2 ** 21) + this.#random()) / 2 ** 21;
  }

  uuid(): string {
    return countedUuid(this.now(), ++this.#ids);
  }

  async sleep(ms: number, signal?: AbortSignal): Promise<void> {
    const { scheduler, rate } = this.#options;
    await scheduler.sleep(this, "sleep", Math.max(0, ms) / rate, signal);
    if (!this.passes("sleep", this.place.count("slept"), "after")) await forever();
  }

  soon(task: () => void): void {
    this.#options.scheduler.after(this, "soon", 0, () => {
      if (this.passes("soon", this.place.count("turned to"), "after")) task();
    });
  }
}

/** Each its own: one for all would keep in memory whoever waits for it. */
export function forever(): Promise<never> {
  return new Promise(() => {});
}
