/** What demonstrations share: their options, how they tell what is exact, and how they end. */
import process from "node:process";
import { NotAnswering } from "./api_client.ts";
import { ConnectionLost } from "./http_connection.ts";

export const serverUrlDefault = "http://127.0.0.1:8000";

/** The options are such that there is nothing to run; the message is for people. */
export class CannotRun extends Error {
  override readonly name = "CannotRun";
}

export function serverUrlFrom(text: string): string {
  if (URL.parse(text)?.protocol !== "http:") {
    throw new CannotRun(`--url must be an http:// address, not ${text}`);
  }
  return text.replace(/\/+$/, "");
}

/** A whole number, more than 0 unless `min` says otherwise. */
export function wholeNumberFrom(
  name: string,
  text: string,
  { min = 1, max = Number.MAX_SAFE_INTEGER }: { readonly min?: number; readonly max?: number } = {},
): number {
  const value = Number(text);
  if (text !== "" && Number.isInteger(value) && value >= min && value <= max) return value;
  const bounds = max === Number.MAX_SAFE_INTEGER ? `of at least ${min}` : `from ${min} to ${max}`;
  throw new CannotRun(`--${name} must be a whole number ${bounds}, not ${text}`);
}

export function tellCheck(what: string, faults: readonly string[]): void {
  console.log(`${faults.length === 0 ? "  exact     " : "  NOT EXACT "}${what}`);
  for (const fault of faults.slice(0, faultsShownMax)) console.log(`            ${fault}`);
  const more = faults.length - faultsShownMax;
  if (more > 0) console.log(`            and ${more} more like that`);
}

const faultsShownMax = 20;

export function counted(value: number): string {
  return Math.round(value).toLocaleString("en");
}

/** Exits with 1 if anything is not exact, with 2 if it could not run at all. */
export async function concludeWith(demo: () => Promise<readonly string[]>): Promise<void> {
  try {
    const faults = await demo();
    const isExact = faults.length === 0;
    console.log(isExact ? "Everything is exact." : "Something is not exact, see above.");
    process.exitCode = isExact ? 0 : 1;
  } catch (error) {
    console.error(isUnderstood(error) ? error.message : error);
    process.exitCode = 2;
  }
}

function isUnderstood(error: unknown): error is Error {
  return error instanceof CannotRun || error instanceof NotAnswering ||
    error instanceof ConnectionLost || error instanceof Deno.errors.ConnectionRefused;
}
