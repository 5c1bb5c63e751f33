/**
 * Virtual time, and the one order in which everything happens that a run consists of.
 *
 * What is due together, or nearly so, happens in an order that follows from the seed and from what it
 * is (where, called what, for the how manieth time), and from nothing that happened before: a run with
 * one operation less goes on as it did otherwise, which is what makes failures shrink.
 *
 * @module
 */
import { mixed, textHash } from "../support/seeded.ts";

/** Somewhere things happen: a node, the database, a client. */
export class Place {
  readonly index: number;
  readonly name: string;
  /** What is due before it, in virtual milliseconds, happens then. */
  pausedUntil = 0;
  readonly #counts = new Map<string, number>();

  constructor(index: number, name: string) {
    this.index = index;
    this.name = name;
  }

  /** The how manieth time this is, from 1. */
  count(label: string): number {
    const count = (this.#counts.get(label) ?? 0) + 1;
    this.#counts.set(label, count);
    return count;
  }
}

/** As long as it lasts, what was begun in it goes on; after that, nothing of it ever happens. */
export class Life {
  readonly place: Place;
  isOver = false;

  constructor(place: Place) {
    this.place = place;
  }
}

export interface Task {
  /** In virtual milliseconds. */
  due: number;
  readonly order: number;
  readonly label: number;
  readonly life: Life;
  /** Undefined once it was called off. */
  go: (() => void) | undefined;
}

/** How far what is due at the same time may be apart. */
const WINDOW_MS = 1;

export class Scheduler {
  readonly #seed: number;
  readonly #heap: Task[] = [];
  readonly #labels = new Map<string, number>();
  #now = 0;
  #trace = 0x811c9dc5;
  #steps = 0;

  constructor(seed: number) {
    this.#seed = seed;
  }

  /** Virtual milliseconds since the run began. */
  get now(): number {
    return this.#now;
  }

  /** Tells this course of events from any other. */
  get trace(): string {
    return (this.#trace >>> 0).toString(16).padStart(8, "0");
  }

  get steps(): number {
    return this.#steps;
  }

  /** Has `go` called after `delayMs` and a little, unless the life is over by then. */
  after(life: Life, label: string, delayMs: number, go: () => void): Task {
    const { place } = life;
    const hashed = this.#labelHash(label);
    const order = mixed(this.#seed, place.index, hashed, place.count(label));
    const due = this.#now + delayMs + (order / 2 ** 32) * WINDOW_MS;
    const task = { due, order, label: hashed, life, go };
    this.#push(task);
    return task;
  }

  /** Resolves after `delayMs` and a little; never, if the life is over by then. */
  pause(life: Life, label: string, delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.after(life, label, delayMs, resolve));
  }

  /** The same, unless the signal comes first: then it rejects with its reason. */
  sleep(life: Life, label: string, ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (signal === undefined) return this.pause(life, label, ms);
    return new Promise((resolve, reject) => {
      if (signal.aborted) return reject(signal.reason);
      const task = this.after(life, label, ms, () => {
        signal.removeEventListener("abort", onAbort);
        resolve();
      });
      const onAbort = () => {
        task.go = undefined;
        reject(signal.reason);
      };
      signal.addEventListener("abort", onAbort, { once: true });
    });
  }

  /** Uniform in [0, 1); the same for the same thing in every run of this seed. */
  chance(place: Place, label: string): number {
    const order = mixed(this.#seed, place.index, this.#labelHash(label), place.count(label));
    return order / 2 ** 32;
  }

  /** Goes on until `isOver`, which is looked at after every task; false if that never came. */
  async run(isOver: () => boolean, untilMs: number): Promise<boolean> {
    while (!isOver()) {
      const task = this.#heap[0];
      if (task === undefined || task.due > untilMs) return false;
      this.#pop();
      if (task.go === undefined || task.life.isOver) continue;
      const { pausedUntil, index } = task.life.place;
      if (pausedUntil > task.due) {
        task.due = pausedUntil + (task.order / 2 ** 32) * WINDOW_MS;
        this.#push(task);
        continue;
      }
      this.#now = task.due;
      this.#note(index, task);
      task.go();
      await settled();
    }
    return true;
  }

  #note(place: number, { due, label }: Task): void {
    this.#steps++;
    let trace = this.#trace;
    for (const part of [place, Math.floor(due * 1_000), label]) {
      trace = Math.imul(trace ^ part, 0x01000193);
      trace ^= trace >>> 15;
    }
    this.#trace = trace;
  }

  #labelHash(label: string): number {
    let hash = this.#labels.get(label);
    if (hash === undefined) this.#labels.set(label, hash = textHash(label));
    return hash;
  }

  #push(task: Task): void {
    const heap = this.#heap;
    let index = heap.length;
    heap.push(task);
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (!isBefore(task, heap[parent]!)) break;
      heap[index] = heap[parent]!;
      index = parent;
    }
    heap[index] = task;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    const { length } = heap;
    if (length === 0) return;
    let index = 0;
    for (let child = 1; child < length; child = 2 * index + 1) {
      if (child + 1 < length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[index] = heap[child]!;
      index = child;
    }
    heap[index] = last;
  }
}

function isBefore(one: Task, other: Task): boolean {
  return one.due < other.due || one.due === other.due && one.order < other.order;
}

/** Every promise that can go on without a further task has. */
function settled(): Promise<void> {
  return new Promise((resolve) => void setImmediate(resolve));
}
