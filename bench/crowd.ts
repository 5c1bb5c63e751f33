/**
 * Many people who want different things. In an open loop their requests leave at their appointed
 * times, whether or not those before have been answered: that is how a crowd behaves, and what a
 * closed loop hides. In a closed loop each asks again once it has its answer.
 *
 * Reads plans as JSON lines and answers each with the JSON line of its {@linkcode CrowdReport}:
 *
 *     deno run --allow-net=127.0.0.1 bench/crowd.ts < plans.jsonl
 *
 * @module
 */
import { ConnectionLost, HttpConnection } from "./http_connection.ts";
import { TextLineStream } from "./text_lines.ts";

/** One kind of request. `{i}` in path and body is its number, `{id}` one of `ids` in turn. */
export interface RequestKind {
  readonly name: string;
  /** Its part of all requests, against the sum of all shares. */
  readonly share: number;
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

export interface CrowdPlan {
  readonly target: string;
  /** Requests a second of an open loop, or the number of those who ask in a closed one. */
  readonly pace: { readonly perSecond: number } | { readonly callers: number };
  readonly seconds: number;
  /** A request that finds all of them busy is not sent, and counted so. */
  readonly connectionsMax: number;
  /** What is answered later than this counts for nothing. */
  readonly patienceMs: number;
  readonly kinds: readonly RequestKind[];
  readonly ids: readonly string[];
  readonly token: string;
  /** What `{i}` is in the first request. */
  readonly firstIndex: number;
}

/** What became of the requests of one second and one kind. */
export interface KindReport {
  /** Answered in time and not refused. */
  good: number;
  /** 429 and 503. */
  refused: number;
  /** Any other status, by number; "late", "lost" and "unsent" beside them. */
  readonly other: Record<string, number>;
  /** Of the good ones, in milliseconds. */
  readonly latenciesMs: number[];
  readonly withoutRetryAfter: { count: number };
}

export interface CrowdReport {
  /** One per second. */
  readonly seconds: readonly Readonly<Record<string, KindReport>>[];
  /** Requests in all. */
  readonly sent: number;
}

/** How often requests leave: all that are due by then. */
const TICK_MS = 1;
const encoder = new TextEncoder();
const decoder = new TextDecoder();

class Crowd {
  readonly #plan: CrowdPlan;
  readonly #target: URL;
  readonly #idle: HttpConnection[] = [];
  readonly #deck: readonly RequestKind[];
  readonly #seconds: Record<string, KindReport>[];
  #connections = 0;
  #sent = 0;

  constructor(plan: CrowdPlan) {
    this.#plan = plan;
    this.#target = new URL(plan.target);
    this.#deck = deckOf(plan.kinds);
    this.#seconds = Array.from(
      { length: plan.seconds },
      () => Object.fromEntries(plan.kinds.map(({ name }) => [name, emptyReport()])),
    );
  }

  async run(): Promise<CrowdReport> {
    const { pace } = this.#plan;
    await ("callers" in pace ? this.#inTurn(pace.callers) : this.#onTime(pace.perSecond));
    for (const connection of this.#idle) connection.close();
    return { seconds: this.#seconds, sent: this.#sent };
  }

  async #inTurn(callers: number): Promise<void> {
    const startedAt = performance.now();
    const endsAt = startedAt + this.#plan.seconds * 1_000;
    const ask = async () => {
      for (let now = performance.now(); now < endsAt; now = performance.now()) {
        await this.#request(this.#sent++, now, startedAt);
      }
    };
    await Promise.all(Array.from({ length: callers }, ask));
  }

  async #onTime(perSecond: number): Promise<void> {
    const { seconds } = this.#plan;
    const startedAt = performance.now();
    const pending = new Set<Promise<void>>();
    for (let elapsedMs = 0; elapsedMs < seconds * 1_000;) {
      const due = Math.floor(elapsedMs / 1_000 * perSecond);
      for (; this.#sent < due; this.#sent++) {
        const dueAt = startedAt + this.#sent / perSecond * 1_000;
        const request = this.#request(this.#sent, dueAt, startedAt);
        pending.add(request);
        void request.finally(() => pending.delete(request));
      }
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      elapsedMs = performance.now() - startedAt;
    }
    // What is not answered by now is lost, and nobody waits for it longer than it counts.
    const patience = new Promise((resolve) => setTimeout(resolve, this.#plan.patienceMs));
    await Promise.race([Promise.allSettled(pending), patience]);
  }

  /** Latencies count from when the request was due, not from when it could be sent. */
  async #request(index: number, dueAt: number, startedAt: number): Promise<void> {
    const kind = this.#deck[index % this.#deck.length]!;
    const second = Math.min(this.#plan.seconds - 1, Math.floor((dueAt - startedAt) / 1_000));
    const report = this.#seconds[second]![kind.name]!;
    const connection = await this.#connection();
    if (connection === undefined) return count(report, "unsent");
    try {
      const { status, head } = await connection.exchange(this.#bytes(kind, index));
      const latencyMs = performance.now() - dueAt;
      if (status === 429 || status === 503) {
        report.refused++;
        if (!/retry-after:/i.test(decoder.decode(head))) report.withoutRetryAfter.count++;
      } else if (status >= 300) count(report, String(status));
      else if (latencyMs > this.#plan.patienceMs) count(report, "late");
      else {
        report.good++;
        report.latenciesMs.push(latencyMs);
      }
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error;
      count(report, "lost");
    }
    if (connection.isOpen) this.#idle.push(connection);
    else this.#connections--;
  }

  async #connection(): Promise<HttpConnection | undefined> {
    const idle = this.#idle.pop();
    if (idle !== undefined) return idle;
    if (this.#connections >= this.#plan.connectionsMax) return undefined;
    this.#connections++;
    try {
      return await HttpConnection.open(this.#target);
    } catch {
      // Refused or out of ports: as good as no connection.
      this.#connections--;
      return undefined;
    }
  }

  #bytes({ method, path, body }: RequestKind, index: number): Uint8Array {
    const { ids, token, firstIndex } = this.#plan;
    const i = String(firstIndex + index);
    const fill = (template: string) =>
      template.replaceAll("{i}", i).replaceAll("{id}", ids[index % ids.length]!);
    const lines = [
      `${method} ${fill(path)} HTTP/1.1`,
      `host: ${this.#target.host}`,
      `authorization: Bearer ${token}`,
    ];
    const content = body === undefined ? "" : fill(body);
    if (body !== undefined) {
      lines.push("content-type: application/json", `content-length: ${content.length}`);
    }
    return encoder.encode(`${lines.join("\r\n")}\r\n\r\n${content}`);
  }
}

/** The kinds in the proportion of their shares, spread evenly. */
function deckOf(kinds: readonly RequestKind[]): RequestKind[] {
  const total = kinds.reduce((sum, { share }) => sum + share, 0);
  const dealt = new Map(kinds.map((kind) => [kind, 0]));
  return Array.from({ length: total }, (_, index) => {
    const behind = (kind: RequestKind) => kind.share * (index + 1) / total - dealt.get(kind)!;
    const next = kinds.reduce((best, kind) => behind(kind) > behind(best) ? kind : best);
    dealt.set(next, dealt.get(next)! + 1);
    return next;
  });
}

function emptyReport(): KindReport {
  return { good: 0, refused: 0, other: {}, latenciesMs: [], withoutRetryAfter: { count: 0 } };
}

function count({ other }: KindReport, what: string): void {
  other[what] = (other[what] ?? 0) + 1;
}

if (import.meta.main) {
  const lines = Deno.stdin.readable
    .pipeThrough(new TextDecoderStream())
    .pipeThrough(new TextLineStream());
  for await (const line of lines) {
    if (line.trim() === "") continue;
    try {
      console.log(JSON.stringify(await new Crowd(JSON.parse(line) as CrowdPlan).run()));
    } catch (error) {
      console.log(JSON.stringify({ error: String(error) }));
    }
  }
}
