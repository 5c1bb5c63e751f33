/**
 * A closed-loop load generator: an exact number of prepared requests over a fixed number of
 * connections, each of which sends its next request as soon as the last one is answered.
 *
 * As a module, {@linkcode fire}. As a process of its own it reads plans as JSON lines and answers
 * each with the JSON line of its {@linkcode LoadReport}:
 *
 *     deno run --allow-net=127.0.0.1 bench/load_generator.ts < plans.jsonl
 *
 * @module
 */
import process from "node:process";
import { TextLineStream } from "./text_lines.ts";
import { type Answer, ConnectionLost, HttpConnection } from "./http_connection.ts";

/** What to send. Request `i` (from 0) is made of templates in which `{i}` and `{id}` are replaced. */
export interface LoadPlan {
  /** Base URLs, dealt to the connections in turn; a lost connection moves on to the next one. */
  readonly targets: readonly string[];
  readonly connections: number;
  readonly requests: number;
  readonly method: string;
  readonly path: string;
  /** `{id}` of the nth request is `ids[n % ids.length]`. */
  readonly ids?: readonly string[];
  /** Of several, that of the nth request is `body[n % body.length]`. */
  readonly body?: string | readonly string[];
  /** The bearer token of a request is `tokens[{i} % tokens.length]`. */
  readonly tokens?: readonly string[];
  /** Sent as `Idempotency-Key`, the same one whenever the request is repeated. */
  readonly idempotencyKey?: string;
  /** What `{i}` is in request 0; 0 unless said. */
  readonly firstIndex?: number;
  /** How often one request may be sent; 1 unless said. Repeated on a lost connection, 429, 503, 504. */
  readonly attemptsMax?: number;
  /** A request that takes longer loses its connection; 30 seconds unless said. */
  readonly requestTimeoutMs?: number;
  /** Whether the report carries every answer. */
  readonly isCaptured?: boolean;
}

export interface LoadReport {
  readonly requests: number;
  readonly seconds: number;
  readonly perSecond: number;
  /** How many requests ended with each status; 0 stands for "never answered". */
  readonly statuses: Readonly<Record<string, number>>;
  readonly p50Ms: number;
  readonly p90Ms: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Requests that had to be sent again. */
  readonly retries: number;
  /** Processor time this process spent on one request: what the generator costs its neighbours. */
  readonly cpuMicrosPerRequest: number;
  /** By request, if captured. */
  readonly answers?: readonly CapturedAnswer[];
}

export interface CapturedAnswer {
  readonly status: number;
  readonly body: string;
}

/** Called with each final answer; its bytes are valid during the call only. */
export type OnAnswer = (index: number, answer: Answer, latencyMs: number) => void;

const requestTimeoutMsDefault = 30_000;
const retryPauseMs = 50;
const timeoutCheckMs = 500;
const repeated: readonly number[] = [0, 429, 503, 504];
const unanswered: Answer = { status: 0, head: new Uint8Array(), body: new Uint8Array() };
const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Sends the whole plan. Connections are open before the clock starts. */
export async function fire(plan: LoadPlan, onAnswer?: OnAnswer): Promise<LoadReport> {
  const run = new LoadRun(plan, onAnswer);
  await run.connect();
  return run.send();
}

class LoadRun {
  readonly #plan: LoadPlan;
  readonly #onAnswer: OnAnswer | undefined;
  readonly #targets: readonly URL[];
  readonly #requests: readonly Uint8Array[];
  readonly #latenciesMs: Float64Array<ArrayBuffer>;
  readonly #statuses = new Uint32Array(600);
  readonly #captured: (CapturedAnswer | undefined)[] = [];
  readonly #lanes: Lane[] = [];
  #next = 0;
  #retries = 0;

  constructor(plan: LoadPlan, onAnswer?: OnAnswer) {
    this.#plan = plan;
    this.#onAnswer = onAnswer;
    this.#targets = plan.targets.map((target) => new URL(target));
    this.#requests = requestsOf(plan);
    this.#latenciesMs = new Float64Array(plan.requests);
  }

  async connect(): Promise<void> {
    const opened = Array.from({ length: this.#plan.connections }, async (_, index) => {
      const connection = await HttpConnection.open(this.#targets[index % this.#targets.length]!);
      this.#lanes.push({ index, moves: 0, connection, startedAt: 0 });
    });
    const failed = (await Promise.allSettled(opened)).find((result) =>
      result.status === "rejected"
    );
    if (!failed) return;
    for (const lane of this.#lanes) lane.connection?.close();
    throw failed.reason;
  }

  async send(): Promise<LoadReport> {
    const watch = setInterval(() => this.#closeOverdue(), timeoutCheckMs);
    const cpuBefore = process.cpuUsage();
    const startedAt = performance.now();
    await Promise.all(this.#lanes.map((lane) => this.#drive(lane)));
    const seconds = (performance.now() - startedAt) / 1000;
    const cpu = process.cpuUsage(cpuBefore);
    clearInterval(watch);
    for (const lane of this.#lanes) lane.connection?.close();
    return this.#report(seconds, (cpu.user + cpu.system) / this.#plan.requests);
  }

  async #drive(lane: Lane): Promise<void> {
    while (this.#next < this.#plan.requests) {
      const index = this.#next++;
      const startedAt = performance.now();
      lane.startedAt = startedAt;
      const answer = await this.#answerOf(index, lane);
      const latencyMs = performance.now() - startedAt;
      this.#latenciesMs[index] = latencyMs;
      this.#statuses[answer.status]!++;
      if (this.#plan.isCaptured) this.#captured[index] = captured(answer);
      this.#onAnswer?.(index, answer, latencyMs);
    }
    lane.startedAt = 0;
  }

  async #answerOf(index: number, lane: Lane): Promise<Answer> {
    const attemptsMax = this.#plan.attemptsMax ?? 1;
    for (let attempt = 1;; attempt++) {
      const answer = await this.#attempt(this.#requests[index]!, lane);
      if (!repeated.includes(answer.status) || attempt >= attemptsMax) return answer;
      this.#retries++;
      const pauseMs = answer.status === 429 ? askedPauseMs(answer) : retryPauseMs;
      // The connection is not overdue meanwhile.
      lane.startedAt = 0;
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
      lane.startedAt = performance.now();
    }
  }

  async #attempt(request: Uint8Array, lane: Lane): Promise<Answer> {
    try {
      if (!lane.connection?.isOpen) {
        const target = this.#targets[(lane.index + lane.moves) % this.#targets.length]!;
        lane.connection = await HttpConnection.open(target);
      }
      return await lane.connection.exchange(request);
    } catch (error) {
      if (!isLoss(error)) throw error;
      lane.moves++;
      return unanswered;
    }
  }

  /** One timer for all: a timer per request would cost more than parsing its answer. */
  #closeOverdue(): void {
    const timeoutMs = this.#plan.requestTimeoutMs ?? requestTimeoutMsDefault;
    const oldest = performance.now() - timeoutMs;
    for (const lane of this.#lanes) {
      if (lane.startedAt > 0 && lane.startedAt < oldest) lane.connection?.close();
    }
  }

  #report(seconds: number, cpuMicrosPerRequest: number): LoadReport {
    const requests = this.#plan.requests;
    const sorted = this.#latenciesMs.sort();
    const percentile = (share: number) => sorted[Math.min(requests - 1, requests * share | 0)] ?? 0;
    const statuses: Record<string, number> = {};
    this.#statuses.forEach((count, status) => {
      if (count > 0) statuses[status] = count;
    });
    return {
      requests,
      seconds,
      perSecond: requests / seconds,
      statuses,
      p50Ms: percentile(0.5),
      p90Ms: percentile(0.9),
      p99Ms: percentile(0.99),
      maxMs: percentile(1),
      retries: this.#retries,
      cpuMicrosPerRequest,
      ...(this.#plan.isCaptured ? { answers: this.#captured.map((answer) => answer!) } : {}),
    };
  }
}

/** One connection's place in the run; the connection behind it may be replaced. */
interface Lane {
  readonly index: number;
  /** How often its connection was lost. */
  moves: number;
  connection: HttpConnection | undefined;
  /** When the request in flight was sent; 0 if there is none. */
  startedAt: number;
}

/** As long as whoever asks too often was told to wait. */
function askedPauseMs({ head }: Answer): number {
  const seconds = /^retry-after: *(\d+)/im.exec(decoder.decode(head))?.[1];
  return Number(seconds ?? 1) * 1_000;
}

function isLoss(error: unknown): boolean {
  return error instanceof ConnectionLost || error instanceof Deno.errors.ConnectionRefused ||
    error instanceof Deno.errors.ConnectionReset || error instanceof Deno.errors.TimedOut;
}

function captured(answer: Answer): CapturedAnswer {
  return { status: answer.status, body: decoder.decode(answer.body) };
}

/** Every request as the bytes that go on the wire, made before the clock starts. */
function requestsOf(plan: LoadPlan): Uint8Array[] {
  const host = new URL(plan.targets[0]!).host;
  const bodies = plan.body === undefined ? undefined : [plan.body].flat();
  return Array.from({ length: plan.requests }, (_, n) => {
    const i = (plan.firstIndex ?? 0) + n;
    const fill = (template: string) =>
      template
        .replaceAll("{i}", String(i))
        .replaceAll("{id}", plan.ids?.[n % plan.ids.length] ?? "");
    const lines = [`${plan.method} ${fill(plan.path)} HTTP/1.1`, `host: ${host}`];
    if (plan.tokens) lines.push(`authorization: Bearer ${plan.tokens[i % plan.tokens.length]}`);
    if (plan.idempotencyKey) lines.push(`idempotency-key: ${fill(plan.idempotencyKey)}`);
    const template = bodies?.[n % bodies.length];
    const body = template === undefined ? undefined : fill(template);
    if (body !== undefined) {
      lines.push("content-type: application/json");
      lines.push(`content-length: ${encoder.encode(body).length}`);
    }
    return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${body ?? ""}`);
  });
}

if (import.meta.main) {
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (line.trim() === "") continue;
    try {
      console.log(JSON.stringify(await fire(JSON.parse(line) as LoadPlan)));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
}
