/** Text as Postgres can keep it. */
import { z } from "zod";

/**
 * A schema for text of `min` to `max` UTF-16 units that every store takes and gives back unchanged.
 *
 * U+0000 and unpaired surrogates are refused: JSON can carry them, a Postgres `text` cannot.
 */
export function text({ min = 0, max }: { readonly min?: number; readonly max: number }) {
  return z.string().min(min).max(max).refine(isStorable, {
    error: "Must not contain U+0000 or unpaired surrogates",
  });
}

export function isStorable(value: string): boolean {
  return !value.includes("\u0000") && value.isWellFormed();
}
