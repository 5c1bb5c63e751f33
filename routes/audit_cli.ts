/**
 * The verification of the audit, for whoever has a shell where the service runs.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { type AuditSeal, sealText } from "../lib/runtime/audit.ts";

/** What was asked for makes no sense, or the audit does not hold. */
export class AuditCommandFailed extends Error {}

const NOTHING = "nothing is sealed: of a service that has been used, all was taken out";
const usage = "usage: audit-verify [--head NUMBER:MAC]";

/** What a verification found; see `lib/postgres/audit_verification.ts`. */
export type Finding =
  | { readonly isWhole: true; readonly head?: AuditSeal; readonly unsealed: number }
  | {
    readonly isWhole: false;
    readonly number: number;
    readonly auditId?: string;
    readonly what: string;
  };

/**
 * Verifies all, against the head that `args` name, if they do, and tells `print` the newest.
 *
 * @throws {AuditCommandFailed} that names the first row which does not hold.
 */
export async function auditVerifyCommand(
  verify: (anchor: AuditSeal | undefined) => Promise<Finding>,
  args: readonly string[],
  print: (line: string) => void,
): Promise<void> {
  const finding = await verify(anchorIn(args));
  if (!finding.isWhole) {
    const { number, auditId, what } = finding;
    const row = auditId === undefined ? "" : ` (row ${auditId})`;
    throw new AuditCommandFailed(`The audit does not hold from number ${number}${row} on: ${what}`);
  }
  const { head, unsealed } = finding;
  print(head === undefined ? NOTHING : `whole, head ${sealText(head)}`);
  if (unsealed > 0) print(`${unsealed} not sealed yet`);
}

function anchorIn(args: readonly string[]): AuditSeal | undefined {
  try {
    const { values: { head } } = parseArgs({
      args: [...args],
      options: { head: { type: "string" } },
    });
    if (head === undefined) return undefined;
    const [, number, mac] = /^([1-9][0-9]{0,14}):([0-9a-f]{64})$/.exec(head) ?? [];
    if (number === undefined || mac === undefined) throw new Error(`${head} is no head`);
    return { number: Number(number), mac };
  } catch (cause) {
    throw new AuditCommandFailed(`${(cause as Error).message}; ${usage}`, { cause });
  }
}
