/** Times in what comes in, and in what is answered. */
import { z } from "zod";

const FIRST_TIME = Date.parse("0001-01-01T00:00:00Z");
const LAST_TIME = Date.parse("9999-12-31T23:59:59.999Z");

/**
 * A schema for moments in ISO 8601, in the years 1 to 9999: the year 0, which JavaScript knows, is
 * none to Postgres, and offsets lead into years of which it makes texts that nothing else can read.
 *
 * Kept as `toISOString` writes them, so that equal times are equal texts.
 */
export const instant = z.iso.datetime({ offset: true }).max(40)
  .refine((time) => isBetween(Date.parse(time), FIRST_TIME, LAST_TIME), {
    error: "Must be a time that exists, in the years 1 to 9999",
  })
  .transform((time) => new Date(time).toISOString())
  .meta({ examples: ["2040-06-01T18:00:00Z"] });

/** The same as a `Date`. */
export const date = instant.transform((time) => new Date(time));

/** As times are answered. */
export const time = z.iso.datetime().meta({ examples: ["2040-06-01T18:00:00.000Z"] });

/** False for what is no number at all. */
function isBetween(value: number, min: number, max: number): boolean {
  return value >= min && value <= max;
}
