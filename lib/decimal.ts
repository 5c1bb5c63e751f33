/**
 * Decimal numbers as whole numbers of a smallest unit, so that nothing is ever rounded.
 *
 * `bigint` does the arithmetic; this is only how such numbers are read and written.
 *
 * @module
 */

const DECIMAL = /^(-?)(0|[1-9]\d*)(?:\.(\d+))?$/;

/**
 * How many units of 10^-`decimals` a text such as `12.34` says; `undefined` where it is not one: no
 * exponent, no `+`, no leading zeros, and no more decimals than there are.
 */
export function unitsOf(text: string, decimals: number): bigint | undefined {
  const match = DECIMAL.exec(text);
  if (match === null) return undefined;
  const [, sign, whole, fraction = ""] = match;
  if (fraction.length > decimals) return undefined;
  const units = BigInt(whole! + fraction.padEnd(decimals, "0"));
  return sign === "-" ? -units : units;
}

/** The shortest text that {@linkcode unitsOf} reads as `units`. */
export function decimalOf(units: bigint | number, decimals: number): string {
  const digits = String(units).replace("-", "").padStart(decimals + 1, "0");
  const whole = digits.slice(0, digits.length - decimals);
  const fraction = digits.slice(digits.length - decimals).replace(/(?<!0)0+$/, "");
  const sign = units < 0 ? "-" : "";
  return fraction === "" ? sign + whole : `${sign}${whole}.${fraction}`;
}
