/**
 * A running service and the document that it gives of itself, held against each other.
 *
 * @module
 */
import { type Attempt, Attempts } from "./attempts.ts";
import { type OpenApiDocument, operationsIn } from "./document.ts";
import { KnownValues } from "./known_values.ts";
import { type Coverage, mixed, Rounds } from "./rounds.ts";
import { type Answer, Judge } from "./verdicts.ts";

export interface FuzzOptions {
  readonly url: string;
  readonly seed: number;
  /** Tokens of those who call, from whoever may do most; undefined is nobody. */
  readonly tokens: readonly (string | undefined)[];
}

export interface Finding {
  readonly number: number;
  readonly attempt: Attempt;
  readonly status: number;
  readonly what: string;
  readonly said: string;
}

export interface Fuzzed {
  readonly sent: number;
  readonly findings: readonly Finding[];
  readonly statuses: ReadonlyMap<number, number>;
  readonly coverage: Coverage;
  /** Valid by the document, and refused as what cannot be read. */
  readonly misdescribed: ReadonlyMap<string, number>;
  readonly slowestMs: number;
}

/** Requests that are under way at once. */
const HANDS = 8;
/** Beyond it an answer is slow, if it is so each time. */
const SLOW_MS = 1_000;
const SLOW_TRIES = 3;
/** A machine that is busy with something else is so for a while. */
const SLOW_PAUSE_MS = 3_000;
const TIMEOUT_MS = 30_000;
const SAID_CHARS_MAX = 300;
/** Of ten requests without a broken field, whoever may do most sends so many, and any the others. */
const CHIEF_OF_TEN = 6;

/** One way through all there is to try. */
export class FuzzRun {
  readonly #options: FuzzOptions;
  readonly #judge: Judge;
  readonly #known = new KnownValues();
  readonly #rounds: Rounds;
  readonly #findings: Finding[] = [];
  readonly #statuses = new Map<number, number>();
  readonly #misdescribed = new Map<string, number>();
  #sent = 0;
  #wanted = 0;
  #slowestMs = 0;

  constructor(document: OpenApiDocument, options: FuzzOptions) {
    this.#options = options;
    this.#judge = new Judge(document);
    const sources = operationsIn(document)
      .map((operation) => new Attempts(document, operation, this.#known));
    this.#rounds = new Rounds(sources, options.seed);
  }

  /** Sends the next so many requests. */
  async send(requests: number): Promise<void> {
    this.#wanted += requests;
    await Promise.all(Array.from({ length: HANDS }, () => this.#hand()));
  }

  /** What came of all that was sent so far. */
  get outcome(): Fuzzed {
    return {
      sent: this.#sent,
      findings: this.#findings,
      statuses: this.#statuses,
      coverage: this.#rounds.coverage,
      misdescribed: this.#misdescribed,
      slowestMs: this.#slowestMs,
    };
  }

  async #hand(): Promise<void> {
    while (this.#sent < this.#wanted) {
      const number = this.#sent++;
      await this.#try(number, this.#rounds.next(this.#options.seed + number));
    }
  }

  async #try(number: number, attempt: Attempt): Promise<void> {
    const token = this.#tokenFor(number, attempt);
    const [answer, tookMs] = await this.#timed(attempt, token);
    this.#statuses.set(answer.status, (this.#statuses.get(answer.status) ?? 0) + 1);
    for (const what of this.#judge.findings(attempt, answer)) {
      this.#note(number, attempt, answer, what);
    }
    if (tookMs > SLOW_MS && await this.#isSlow(attempt, token)) {
      this.#note(number, attempt, answer, `slow: ${Math.round(tookMs)} ms`);
    }
    if (attempt.broken === undefined && answer.status === 400) {
      const { id } = attempt.operation;
      this.#misdescribed.set(id, (this.#misdescribed.get(id) ?? 0) + 1);
    }
    if (answer.status < 300) this.#known.learn(attempt.operation.path, jsonIn(answer.text));
  }

  /** The machine may have been busy: what is slow by itself is so again. */
  async #isSlow(attempt: Attempt, token: string | undefined): Promise<boolean> {
    for (let n = 1; n < SLOW_TRIES; n++) {
      await new Promise((resolve) => setTimeout(resolve, SLOW_PAUSE_MS));
      const [, tookMs] = await this.#timed(attempt, token);
      if (tookMs <= SLOW_MS) return false;
    }
    return true;
  }

  #note(number: number, attempt: Attempt, { status, text }: Answer, what: string): void {
    this.#findings.push({ number, attempt, status, what, said: text.slice(0, SAID_CHARS_MAX) });
  }

  /** Whoever is not let in is refused before anybody looks at a field. */
  #tokenFor(number: number, { operation, field }: Attempt): string | undefined {
    const { tokens, seed } = this.#options;
    if (operation.isOpen) return undefined;
    const turn = mixed(`${seed} ${number}`);
    return field !== undefined || turn % 10 < CHIEF_OF_TEN
      ? tokens[0]
      : tokens[Math.floor(turn / 10) % tokens.length];
  }

  async #timed(attempt: Attempt, token: string | undefined): Promise<[Answer, number]> {
    const began = performance.now();
    const answer = await this.#answerTo(attempt, token);
    const tookMs = performance.now() - began;
    this.#slowestMs = Math.max(this.#slowestMs, tookMs);
    return [answer, tookMs];
  }

  async #answerTo(
    { method, path, headers, content }: Attempt,
    token: string | undefined,
  ): Promise<Answer> {
    const mayCarry = method !== "GET" && method !== "HEAD";
    const response = await fetch(this.#options.url + path, {
      method,
      headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }), ...headers },
      ...(content !== undefined && mayCarry && { body: content }),
      redirect: "manual",
      signal: AbortSignal.timeout(TIMEOUT_MS),
    });
    return { status: response.status, headers: response.headers, text: await response.text() };
  }
}

function jsonIn(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Pages of text have no values for anybody.
    return undefined;
  }
}
