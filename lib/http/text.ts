/** Text as it is kept, and given back as it was: whoever shows it makes it safe for the place. */
import { z } from "zod";

export interface TextBounds {
  /** In UTF-16 units. */
  readonly min?: number;
  readonly max: number;
  /** It may have several lines, and tabs in them. */
  readonly hasLines?: boolean;
}

/**
 * A schema for what people write. Every store takes it and gives it back unchanged, and no place that
 * shows it as text is led astray by it.
 *
 * So there are no controls in it, which steer terminals, nor what turns the direction of all that
 * follows, so that it reads as something else than it says. Direction marks and isolates, which a text
 * in two scripts needs, may be there.
 */
export function text({ min = 0, max, hasLines = false }: TextBounds) {
  const steering = hasLines ? STEERING_LINES : STEERING;
  const line = hasLines ? "other than line breaks and tabs" : "or line breaks";
  return z.string().min(min).max(max)
    .refine((value) => isStorable(value) && !steering.test(value), {
      error: `Must not contain control characters ${line}, bidi overrides or unpaired surrogates`,
    });
}

/** C0 and C1 controls, the separators that are line breaks, and embeddings and overrides. */
// deno-lint-ignore no-control-regex -- they are what is looked for
const STEERING = /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/;
// deno-lint-ignore no-control-regex -- the same but for \t and \n
const STEERING_LINES = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029\u202a-\u202e]/;

/** A schema for what names something that is there already, whatever it is called. */
export function storable({ min = 0, max }: Omit<TextBounds, "hasLines">) {
  return z.string().min(min).max(max).refine(isStorable, {
    error: "Must not contain U+0000 or unpaired surrogates",
  });
}

/** JSON can carry what a Postgres `text` cannot. */
export function isStorable(value: string): boolean {
  return !value.includes("\u0000") && value.isWellFormed();
}
