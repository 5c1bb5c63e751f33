/**
 * What goes wrong in a simulated Postgres, as data: it may be drawn from a seed, written down, shrunk
 * and put back, and be another from one moment to the next.
 *
 * @module
 */

/** What a statement may end with before it has done anything, by its SQLSTATE. */
export const statementErrors = {
  "serialization failure": "40001",
  "deadlock": "40P01",
  "lock not available": "55P03",
  "statement timeout": "57014",
  "disk full": "53100",
  /** The session is ended; the others go on. */
  "terminated": "57P01",
} as const;
export type StatementError = keyof typeof statementErrors;

export function isStatementError(name: string | undefined): name is StatementError {
  return name !== undefined && name in statementErrors;
}

export const commitMishaps = [
  /** An error says so, and nothing is there. */
  "failed commit",
  /** It is there, and nobody hears of it: the connection is lost. */
  "lost reply",
  /** Silence until the client has given up; then it is there. */
  "hung, then committed",
  /** Silence until the client has given up, and it never was. */
  "hung, then rolled back",
  /** The server goes down amid the commit, and after its recovery it is there. */
  "panic, though committed",
  /** The server goes down amid the commit, and after its recovery it never was. */
  "panic, rolled back",
] as const;
export type CommitMishap = typeof commitMishaps[number];

export function isCommitMishap(name: string | undefined): name is CommitMishap {
  return commitMishaps.includes(name as CommitMishap);
}

/** Milliseconds at least and at most; drawn anew each time. */
export type Span = readonly [least: number, most: number];

export interface FaultPlan {
  /** Probabilities for each statement. */
  readonly errors: Partial<Record<StatementError, number>>;
  /** Probabilities for each transaction that has written something. */
  readonly commits: Partial<Record<CommitMishap, number>>;
  /** The probability for each new connection that there are too many already. */
  readonly tooManyConnections: number;
  /** The probability for each statement that it takes as long as `stallMs`. */
  readonly stalls: number;
  readonly stallMs: Span;
  /** How long the server refuses connections after a panic. */
  readonly panicMs: Span;
  /** Statements with this text in what they write are refused for ever (23514). */
  readonly refused?: string;
}

export const noFaults: FaultPlan = {
  errors: {},
  commits: {},
  tooManyConnections: 0,
  stalls: 0,
  stallMs: [500, 2_000],
  panicMs: [200, 3_000],
};

/** How long things take. A span that ends at 0 takes no time, not even a turn of the clock. */
export interface Pace {
  readonly connectMs: Span;
  /** From the client to the moment in which the statement begins. */
  readonly requestMs: Span;
  /** From the statement's end to the moment in which what it wrote is there. */
  readonly commitMs: Span;
  readonly replyMs: Span;
}

export const usualPace: Pace = {
  connectMs: [1, 5],
  requestMs: [0.1, 1],
  commitMs: [0.2, 4],
  replyMs: [0.1, 1],
};

/** What came about, and how often: what was planned, and what followed from how things fell out. */
export type Occurrence =
  | StatementError
  | CommitMishap
  | "too many connections"
  | "stall"
  | "refused content"
  | "restart"
  | "failover"
  | "connection cut"
  | "black hole"
  | "clock jump"
  /** The client gave up on an answer. */
  | "no answer in time"
  | "connection refused"
  /** Every connection was held by a transaction. */
  | "no connection free"
  | "lock wait"
  | "lock timeout"
  | "lock circle"
  | "idle transaction ended"
  /** A transaction was there before one with a lower id. */
  | "commit out of order"
  /** A reader of the feed was kept from something by a transaction that still ran. */
  | "horizon held back"
  /** An exclusive turn gave way, as its id was lower than that of what it was decided on. */
  | "overtaken";
