/** Shows a rush while it lasts: one line that redraws itself, or a line each second where it cannot. */
import type { Answer } from "./http_connection.ts";
import { counted } from "./verdicts.ts";

const redrawMs = 150;
const lineMs = 1_000;
const barWidth = 24;
const decoder = new TextDecoder();
const encoder = new TextEncoder();

export class RushProgress implements Disposable {
  readonly #total: number;
  readonly #startedAt = performance.now();
  readonly #isTerminal = Deno.stdout.isTerminal();
  readonly #timer: ReturnType<typeof setInterval>;
  readonly #latenciesMs: Float64Array<ArrayBuffer>;
  #done = 0;
  #confirmed = 0;
  #waitlisted = 0;
  #errors = 0;

  constructor(total: number) {
    this.#total = total;
    this.#latenciesMs = new Float64Array(total);
    this.#timer = setInterval(() => this.#show(), this.#isTerminal ? redrawMs : lineMs);
  }

  add({ status, body }: Answer, latencyMs: number): void {
    this.#latenciesMs[this.#done++] = latencyMs;
    if (status !== 201) this.#errors++;
    else if (decoder.decode(body).includes(`"confirmed"`)) this.#confirmed++;
    else this.#waitlisted++;
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer);
    this.#show();
    if (this.#isTerminal) Deno.stdout.writeSync(encoder.encode("\n"));
  }

  #show(): void {
    const line = this.#line();
    // Erases what a longer line left behind.
    const text = this.#isTerminal ? `\r${line}\x1b[K` : `${line}\n`;
    Deno.stdout.writeSync(encoder.encode(text));
  }

  #line(): string {
    const seconds = (performance.now() - this.#startedAt) / 1000;
    const filled = Math.round(barWidth * this.#done / this.#total);
    const sorted = this.#latenciesMs.slice(0, this.#done).sort();
    const p99Ms = sorted[Math.floor(this.#done * 0.99)] ?? 0;
    return [
      `[${"#".repeat(filled).padEnd(barWidth, "-")}]`,
      `${counted(this.#done)} of ${counted(this.#total)}`,
      `${counted(this.#done / seconds)}/s`,
      `confirmed ${counted(this.#confirmed)}`,
      `waitlisted ${counted(this.#waitlisted)}`,
      `p99 ${p99Ms.toFixed(0)} ms`,
      `errors ${this.#errors}`,
    ].join("  ");
  }
}
