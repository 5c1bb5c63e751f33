/**
 * A way to break the runtime, as data: what stands in the source, what is to stand there instead,
 * and who should notice.
 *
 * @module
 */

export interface Mutant {
  readonly name: string;
  /** From the root of the project. */
  readonly file: string;
  /** Stands in the file exactly once. */
  readonly find: string;
  readonly replace: string;
  /** What it breaks, in one line. */
  readonly says: string;
  /** Any of these invariants notices; that others do as well is well, and not enough. */
  readonly screams: readonly string[];
  /** The seeds in which it has to be noticed, where the usual number is too small. */
  readonly seedsMax?: number;
}

/** The source with the mistake in it. */
export function mutated(
  source: string,
  { name, file, find, replace }: Pick<Mutant, "name" | "file" | "find" | "replace">,
): string {
  const first = source.indexOf(find);
  if (first < 0) throw new Error(`${name} does not fit: ${file} has no such passage any more`);
  if (source.indexOf(find, first + 1) >= 0) {
    throw new Error(`${name} does not fit: ${file} has that passage more than once`);
  }
  return source.slice(0, first) + replace + source.slice(first + find.length);
}
