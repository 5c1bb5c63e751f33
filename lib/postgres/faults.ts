/**
 * What a failure of the driver means to whoever asked: try again, never try again, or a bug.
 *
 * @module
 */
import { type FaultOutcome, PoisonFault, TransientFault } from "../fault.ts";

/** How far a statement had come when it failed. */
export type Stage =
  /** It was not sent yet. */
  | "unsent"
  /** Sent within a transaction that nobody has asked to commit. */
  | "uncommitted"
  /** Sent as a COMMIT, or as a statement that commits by itself. */
  | "committing";

type Verdict = "never-started" | "rolled-back" | "interrupted" | "poison" | "bug";

/**
 * The verdict on an SQLSTATE, or else on its class, its first two characters.
 *
 * `interrupted` says that the session ended: whether the work survived depends on the stage.
 */
const verdicts: Readonly<Record<string, Verdict>> = {
  "08": "interrupted",
  "08001": "never-started", // the client could not connect
  "08004": "never-started", // the server refused the connection
  "0A000": "bug",
  "22": "poison", // data exception
  "23": "poison", // integrity constraint violation
  "25006": "rolled-back", // read-only transaction: the server is a standby now
  "25P03": "interrupted", // idle in transaction for too long
  "25P04": "interrupted", // transaction_timeout
  "28": "never-started", // authentication
  "3D000": "never-started", // no such database
  "40": "rolled-back", // deadlock, serialization failure
  "40003": "interrupted", // statement completion unknown
  "53": "rolled-back", // out of disk, memory or connections
  "53300": "never-started", // too many connections
  "54": "poison", // program limit exceeded: a key or document too large
  "55P03": "rolled-back", // lock not available
  "57014": "rolled-back", // cancelled, or statement_timeout
  "57P01": "interrupted", // terminated by an administrator
  "57P02": "interrupted", // another backend crashed
  "57P03": "never-started", // starting up or shutting down
  "57P05": "interrupted", // idle for too long
  "58": "rolled-back", // the server's storage or system failed

  CONNECT_TIMEOUT: "never-started",
  CONNECTION_CLOSED: "interrupted",
  CONNECTION_DESTROYED: "interrupted",
  CONNECTION_ENDED: "never-started",
  EAI_AGAIN: "never-started",
  ECONNABORTED: "interrupted",
  ECONNREFUSED: "never-started",
  ECONNRESET: "interrupted",
  EHOSTUNREACH: "interrupted",
  ENETUNREACH: "interrupted",
  ENOENT: "never-started", // no such Unix socket
  ENOTFOUND: "never-started",
  EPIPE: "interrupted",
  ETIMEDOUT: "interrupted",
};

interface DriverError {
  readonly code: string;
  readonly message: string;
  readonly severity?: string;
}

/**
 * The fault that `error` amounts to, with `error` as its cause; `error` itself where it is a bug.
 *
 * The same request may be sent again after a {@linkcode TransientFault}, though under its old
 * message id if the outcome is `unknown`, and never after a {@linkcode PoisonFault}.
 */
export function toFault(error: unknown, stage: Stage): unknown {
  if (!isDriverError(error)) return error;
  const verdict = verdictOn(error);
  if (verdict === "bug") return error;
  const message = `Postgres failed: ${error.message} (${error.code})`;
  if (verdict === "poison") return new PoisonFault(message, { cause: error });
  return new TransientFault(message, { cause: error, outcome: outcomeOf(verdict, stage) });
}

/** A read that broke off has changed nothing, whatever the connection was in the middle of. */
export async function asRead<T>(read: Promise<T>): Promise<T> {
  try {
    return await read;
  } catch (fault) {
    if (!(fault instanceof TransientFault) || fault.outcome === "not-applied") throw fault;
    throw new TransientFault(fault.message, { cause: fault, retryAfterMs: fault.retryAfterMs });
  }
}

function verdictOn({ code, severity }: DriverError): Verdict {
  // A server that panics has stopped somewhere, perhaps behind the point where the commit was
  // durable: with a failed fsync of the log, the row was there after recovery.
  if (severity === "PANIC") return "interrupted";
  return verdicts[code] ?? verdicts[code.slice(0, 2)] ?? "bug";
}

function outcomeOf(verdict: Verdict, stage: Stage): FaultOutcome {
  return verdict === "interrupted" && stage === "committing" ? "unknown" : "not-applied";
}

function isDriverError(error: unknown): error is DriverError {
  return error instanceof Error && "code" in error && typeof error.code === "string";
}
