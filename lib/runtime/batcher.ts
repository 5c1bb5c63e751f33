/**
 * Turns requests that arrive while others run into one call.
 *
 * A batch starts as soon as those who could join it have run, and holds whatever gathered while the
 * last one was under way: as large as the store is slow, and no waiting in an idle system.
 *
 * @module
 */

export interface BatcherOptions<Request, Answer> {
  /** One answer per request, in their order; throwing fails them all. */
  readonly run: (batch: readonly Request[]) => Promise<readonly Answer[]>;
  readonly batchMax: number;
  /** Batches running at one time. */
  readonly inFlightMax: number;
  /** A batch holds at most `weightMax` together, unless a single request weighs more. */
  readonly weight?: (request: Request) => number;
  readonly weightMax?: number;
}

interface Waiting<Request, Answer> {
  readonly request: Request;
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: unknown) => void;
}

export class Batcher<Request, Answer> {
  readonly #options: BatcherOptions<Request, Answer>;
  #waiting: Waiting<Request, Answer>[] = [];
  #inFlight = 0;
  #isStarting = false;

  constructor(options: BatcherOptions<Request, Answer>) {
    this.#options = options;
  }

  /** Resolves with the answer to this request, once its batch has run. */
  add(request: Request): Promise<Answer> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ request, resolve, reject });
      if (this.#isStarting || this.#inFlight >= this.#options.inFlightMax) return;
      this.#isStarting = true;
      // Not at once: whoever else was resumed by the same answer joins the batch first.
      void Promise.resolve().then(() => {
        this.#isStarting = false;
        this.#start();
      });
    });
  }

  #start(): void {
    while (this.#waiting.length > 0 && this.#inFlight < this.#options.inFlightMax) {
      this.#inFlight++;
      void this.#settle(this.#waiting.splice(0, this.#batchSize()));
    }
  }

  #batchSize(): number {
    const { batchMax, weight, weightMax = Infinity } = this.#options;
    if (weight === undefined) return batchMax;
    let total = 0;
    let size = 0;
    for (const { request } of this.#waiting) {
      total += weight(request);
      if (size > 0 && (size === batchMax || total > weightMax)) break;
      size++;
    }
    return size;
  }

  async #settle(batch: readonly Waiting<Request, Answer>[]): Promise<void> {
    try {
      const answers = await this.#options.run(batch.map(({ request }) => request));
      batch.forEach(({ resolve }, index) => resolve(answers[index]!));
    } catch (error) {
      for (const { reject } of batch) reject(error);
    } finally {
      this.#inFlight--;
      this.#start();
    }
  }
}
