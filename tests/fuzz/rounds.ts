/**
 * Which attempt comes next. A round breaks each field once, in another way than the rounds before; so
 * as many rounds are as many ways, of each field alike.
 *
 * @module
 */
import { type Attempt, type Attempts, breakagesOf, type Field } from "./attempts.ts";
import { wholeBreakages } from "./whole_breakages.ts";

/** In so many ways each field is broken, at the least. */
export const WAYS_MIN = 30;
/** In one of so many rounds an operation has no attempt that is valid: those are fewer, and dear. */
const INVALID_EVERY = 3;
/** In one of so many it has one that is broken as a whole. */
const WHOLE_EVERY = 6;

type Make = (seed: number) => Attempt;

export interface Coverage {
  /** How many ways there are to break fields, and how many of them were tried. */
  readonly ways: { readonly all: number; readonly tried: number };
  /** Fields that were broken in fewer ways than {@linkcode WAYS_MIN}. */
  readonly thin: readonly string[];
  /** Ways to break a request as a whole that no operation has met. */
  readonly unmet: readonly string[];
}

export class Rounds {
  readonly #sources: readonly Attempts[];
  readonly #seed: number;
  /** By field, the ways in which it was broken. */
  readonly #tried: ReadonlyMap<string, Set<string>>;
  readonly #ways: number;
  /** How often a request was broken so. */
  readonly #met = new Map(wholeBreakages.map((breakage) => [breakage, 0]));
  #rounds = 0;
  #left: Make[] = [];

  constructor(sources: readonly Attempts[], seed: number) {
    this.#sources = sources;
    this.#seed = seed;
    const fields = sources.flatMap(({ operation, fields }) =>
      fields.map((field) => [nameOf(operation.id, field.name), breakagesOf(field)] as const)
    );
    this.#tried = new Map(fields.map(([name]) => [name, new Set()]));
    this.#ways = fields.reduce((sum, [, { length }]) => sum + length, 0);
  }

  /** The next attempt, made of `seed`. */
  next(seed: number): Attempt {
    if (this.#left.length === 0) this.#left = this.#round(this.#rounds++).reverse();
    const attempt = this.#left.pop()!(seed);
    const { operation, field, broken } = attempt;
    if (field !== undefined) this.#tried.get(nameOf(operation.id, field))!.add(broken!);
    return attempt;
  }

  get coverage(): Coverage {
    const tried = [...this.#tried];
    return {
      ways: { all: this.#ways, tried: tried.reduce((sum, [, { size }]) => sum + size, 0) },
      thin: tried.filter(([, { size }]) => size < WAYS_MIN)
        .map(([name, { size }]) => `${name}: ${size}`),
      unmet: [...this.#met].filter(([breakage, times]) =>
        times === 0 && this.#sources.some((source) => source.brokenAsWhole(0, breakage))
      ).map(([{ name }]) => name),
    };
  }

  /** Those of all operations side by side, so that none has to wait for what another makes. */
  #round(round: number): Make[] {
    return this.#sources.flatMap((source, place) => {
      const turn = round + place;
      const makes: Make[] = [
        ...(turn % INVALID_EVERY === 0 ? [] : [(seed: number) => source.valid(seed)]),
        ...source.fields.map((field) => this.#breaking(source, field, round)),
        ...(turn % WHOLE_EVERY === 0 ? [(seed: number) => this.#whole(source, seed)] : []),
      ];
      return makes.map((make, turn) => ({ make, at: turn / makes.length }));
    }).sort((a, b) => a.at - b.at).map(({ make }) => make);
  }

  /** Fields start at different ways, and at others by another seed. */
  #breaking(source: Attempts, field: Field, round: number): Make {
    const breakages = breakagesOf(field);
    const start = mixed(`${this.#seed} ${source.operation.id} ${field.name}`);
    const breakage = breakages[(start + round) % breakages.length]!;
    return (seed) => source.broken(seed, field, breakage);
  }

  /** In the way that was met least so far, of those that are any to the operation. */
  #whole(source: Attempts, seed: number): Attempt {
    for (const [breakage, times] of [...this.#met].sort(([, a], [, b]) => a - b)) {
      const attempt = source.brokenAsWhole(seed, breakage);
      if (attempt === undefined) continue;
      this.#met.set(breakage, times + 1);
      return attempt;
    }
    return source.valid(seed);
  }
}

function nameOf(operation: string, field: string): string {
  return `${operation} ${field}`;
}

/** A number made of a text: near texts have numbers far from each other. */
export function mixed(text: string): number {
  let hash = 0x811c9dc5;
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193);
  hash = Math.imul(hash ^ hash >>> 15, 0x2c1b3c6d);
  return (hash ^ hash >>> 13) >>> 0;
}
