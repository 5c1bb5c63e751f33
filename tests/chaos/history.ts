/**
 * What was asked and answered, in the order in which it happened: one JSON object a line.
 *
 * An operation is invoked once. Every attempt whose outcome its client cannot know is an `info`; the
 * attempt that told it ends the operation with `ok` or `fail`, which may be long after, and from
 * another node. An operation without either has an outcome that nobody will ever know.
 *
 * @module
 */
import { TextLineStream } from "../../bench/text_lines.ts";

export type CommandName = "schedule" | "publish" | "revise" | "register" | "accept" | "withdraw";
/** `pay-out` takes out cash or shares; `halt` and `resume` are of a market. */
export type TradingName =
  | "quote"
  | "halt"
  | "resume"
  | "deposit"
  | "pay-out"
  | "place"
  | "replace"
  | "cancel";
export type ReadName = "read" | "strong-read" | "standing";
/** `repeat` sends a command again that was answered; `misuse` its key with something else. */
export type OperationName = CommandName | TradingName | ReadName | "repeat" | "misuse";

export const commandNames: readonly CommandName[] = [
  "schedule",
  "publish",
  "revise",
  "register",
  "accept",
  "withdraw",
];

export const tradingNames: readonly TradingName[] = [
  "quote",
  "halt",
  "resume",
  "deposit",
  "pay-out",
  "place",
  "replace",
  "cancel",
];

interface Timed {
  /** Monotonic nanoseconds. */
  readonly t: number;
}

export interface Invoked extends Timed {
  readonly type: "invoke";
  /** Of the operation; unique. */
  readonly i: number;
  readonly process: string;
  readonly f: OperationName;
  /** The id of the live event, or in trading `kind/key`; empty where it is to be made. */
  readonly key: string;
  /** The principal. */
  readonly who: string;
  /** Under which all that a command leads to is found: sent as its correlation id. */
  readonly command?: string;
  readonly idempotencyKey?: string;
  readonly registrationId?: string;
  /** That a revision asks for. */
  readonly capacity?: number;
  /** In trading: what is to be recorded of it. */
  readonly asked?: Readonly<Record<string, unknown>>;
  /** Of the operation that is repeated, or whose key is misused. */
  readonly of?: number;
}

export interface Unknown extends Timed {
  readonly type: "info";
  readonly i: number;
  readonly node: number;
  readonly http?: number;
  /** What the answer said; what went wrong, where there was none. */
  readonly why?: string;
}

export interface Ended extends Timed {
  readonly type: "ok" | "fail";
  readonly i: number;
  readonly node: number;
  readonly http: number;
  /** Of what was made by this. */
  readonly key?: string;
  readonly version?: number;
  /** What the answer said: of a failure, its reason. */
  readonly value: unknown;
}

/** What was done to the system; `recovered` has how long it took to be well again. */
export interface Struck extends Timed {
  readonly type: "fault";
  readonly fault: string;
  readonly stage: "begun" | "ended" | "recovered";
  readonly fired?: boolean;
  readonly note?: string;
}

export type Entry = Invoked | Unknown | Ended | Struck;

/** A timed entry before its time. */
export type Untimed<E> = E extends Timed ? Omit<E, "t"> : never;

const encoder = new TextEncoder();

/** Writes each entry before it returns: what was sent has been written down before. */
export class History implements Disposable {
  readonly #file: Deno.FsFile;
  readonly #startedAt = performance.now();

  constructor(path: string) {
    this.#file = Deno.openSync(path, { create: true, truncate: true, write: true });
  }

  write(entry: Untimed<Entry>): void {
    const t = Math.round((performance.now() - this.#startedAt) * 1e6);
    this.#file.writeSync(encoder.encode(`${JSON.stringify({ t, ...entry })}\n`));
  }

  [Symbol.dispose](): void {
    this.#file.close();
  }
}

export async function* readHistory(path: string): AsyncGenerator<Entry> {
  using file = await Deno.open(path);
  const lines = file.readable.pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) yield JSON.parse(line);
}
