/**
 * Somebody who wants something done, and to know whether it was: asks again under the same key,
 * through one node after another, until there is a definite answer.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
import { type Answered, type HttpClient, type Request, Unanswered } from "./http_client.ts";
import type { Ended, History, Invoked, OperationName, Untimed } from "./history.ts";

export interface Wish {
  readonly f: OperationName;
  readonly key: string;
  readonly who: string;
  readonly request: Request;
  /** Of a command. */
  readonly keyed?: { readonly command: string; readonly idempotencyKey: string };
  readonly registrationId?: string;
  readonly capacity?: number;
  readonly asked?: Readonly<Record<string, unknown>>;
  readonly of?: number;
  /** What is written down of an answer that is no refusal. */
  readonly told: (answered: Answered) => Pick<Ended, "key" | "version" | "value">;
}

export interface Ending {
  readonly i: number;
  readonly ended: Untimed<Ended>;
}

export interface Insistence {
  readonly attemptMs: number;
  readonly attemptsMax: number;
}

export const patient: Insistence = { attemptMs: 6_000, attemptsMax: Infinity };

const PAUSE_MS = 100;
const PAUSE_MS_MAX = 1_000;

/** Answers that say nothing about what became of the request, or that it is to be sent again. */
const indefinite = new Set([408, 429, 500, 502, 503, 504]);

export class Clients {
  readonly #http: HttpClient;
  readonly #history: History;
  readonly #hasEnded: AbortSignal;
  #operations = 0;
  /** Operations in progress. */
  outstanding = 0;

  /** Once it has ended, nobody asks again. */
  constructor(http: HttpClient, history: History, hasEnded: AbortSignal) {
    this.#http = http;
    this.#history = history;
    this.#hasEnded = hasEnded;
  }

  get nodes(): number {
    return this.#http.nodes;
  }

  /** Resolves to the definite answer; undefined if there was none in all attempts. */
  async insist(
    process: string,
    wish: Wish,
    node: number,
    { attemptMs, attemptsMax }: Insistence = patient,
  ): Promise<Ending | undefined> {
    const i = this.#operations++;
    this.#history.write(invocation(i, process, wish));
    const request = carrying(wish);
    this.outstanding++;
    try {
      for (let attempt = 1;; attempt++) {
        const at = (node + attempt - 1) % this.#http.nodes;
        const answered = await this.#attempt(i, at, request, attemptMs);
        if (answered !== undefined) return this.#end(i, at, wish, answered);
        if (attempt >= attemptsMax || this.#hasEnded.aborted) return undefined;
        await systemEnv.sleep(Math.min(PAUSE_MS_MAX, PAUSE_MS * attempt) * (0.5 + Math.random()));
      }
    } finally {
      this.outstanding--;
    }
  }

  async #attempt(
    i: number,
    node: number,
    request: Request,
    timeoutMs: number,
  ): Promise<Answered | undefined> {
    try {
      const answered = await this.#http.send(node, request, timeoutMs);
      const isRunning = answered.body?.type === "/problems/idempotency-key-in-progress";
      if (!indefinite.has(answered.status) && !isRunning) return answered;
      const why = answered.body?.title;
      this.#history.write({ type: "info", i, node, http: answered.status, why });
    } catch (error) {
      if (!(error instanceof Unanswered)) throw error;
      this.#history.write({ type: "info", i, node, why: error.message });
    }
    return undefined;
  }

  #end(i: number, node: number, { told }: Wish, answered: Answered): Ending {
    const { status: http, body } = answered;
    const ended: Untimed<Ended> = http < 400
      ? { type: "ok", i, node, http, ...told(answered) }
      : { type: "fail", i, node, http, value: reasonIn(body) };
    this.#history.write(ended);
    return { i, ended };
  }
}

function invocation(
  i: number,
  process: string,
  { f, key, who, keyed, registrationId, capacity, asked, of }: Wish,
): Untimed<Invoked> {
  return {
    type: "invoke",
    i,
    process,
    f,
    key,
    who,
    ...keyed,
    ...(registrationId !== undefined && { registrationId }),
    ...(capacity !== undefined && { capacity }),
    ...(asked !== undefined && { asked }),
    ...(of !== undefined && { of }),
  };
}

function carrying({ request, keyed }: Wish): Request {
  if (keyed === undefined) return request;
  const headers = {
    ...request.headers,
    "idempotency-key": keyed.idempotencyKey,
    "x-correlation-id": keyed.command,
  };
  return { ...request, headers };
}

/** The last word of a problem's type. */
function reasonIn(body: { readonly type?: string } | null): string {
  return body?.type?.split("/").at(-1) ?? "";
}
