/**
 * How many bytes `value` takes as JSON in UTF-8; no more than `bytesMax` where it surely is within that,
 * as most values are, and Infinity if it is no JSON.
 */
export function jsonBytes(value: unknown, bytesMax: number): number {
  const text = JSON.stringify(value);
  if (text === undefined) return Infinity;
  // A unit of UTF-16 takes three bytes at most.
  const most = 3 * text.length;
  return most <= bytesMax ? most : new TextEncoder().encode(text).length;
}
