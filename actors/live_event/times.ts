/** Times are texts as `Date.prototype.toISOString` writes them, or epoch milliseconds. */

export function isAfter(time: string, at: number): boolean {
  return Date.parse(time) > at;
}

export function textOf(at: number): string {
  return new Date(at).toISOString();
}
