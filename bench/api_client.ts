/** The service as one of its users sees it. */

export interface EventView {
  readonly id: string;
  readonly confirmed: number;
  readonly waitlisted: number;
  readonly version: number;
}

export interface ListedRegistration {
  readonly registrationId: string;
  readonly userId: string;
  readonly status: "confirmed" | "waitlisted" | "withdrawn";
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly nextCursor?: string;
}

export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

/** What was answered, be it a refusal. */
export interface Reply {
  readonly status: number;
  /** Undefined where there is none. */
  // deno-lint-ignore no-explicit-any -- its shape is for who asked to know
  readonly body: any;
}

/** The server cannot be reached, or does not answer as it should; the message is for people. */
export class NotAnswering extends Error {
  override readonly name = "NotAnswering";
}

const pageSize = 200;
const consistencyHeader = "consistency-token";
const consistencyAttemptsMax = 20;
const retryPauseMs = 250;
// With the pauses in between, ten seconds in which a server may be restarted.
const askAttemptsMax = 200;
const askPauseMs = 50;

/** Somebody, or several who take turns; whoever asks too often waits for as long as they are told. */
export class ApiClient {
  readonly #url: string;
  readonly #tokens: readonly string[];
  #turn = 0;

  constructor(url: string, ...tokens: readonly string[]) {
    this.#url = url;
    this.#tokens = tokens;
  }

  /** @throws {NotAnswering} with what to do about it. */
  async expectReady(): Promise<void> {
    try {
      const response = await fetch(`${this.#url}/health/ready`);
      await response.body?.cancel();
      if (response.ok) return;
      throw new NotAnswering(`${this.#url} answers, but is not ready: ${response.status}`);
    } catch (cause) {
      if (cause instanceof NotAnswering) throw cause;
      throw new NotAnswering(
        `No server answers at ${this.#url}. Start one with "deno task start" and leave it running.`,
        { cause },
      );
    }
  }

  /** A strong read sees every write that was acknowledged before it, through whatever server. */
  async get<T>(path: string, { isStrong = false } = {}): Promise<T> {
    const headers = isStrong ? { "cache-control": "no-cache" } : {};
    const response = await this.#send({ method: "GET", path, headers });
    return await response.json() as T;
  }

  async post<T>(path: string, body: unknown): Promise<T> {
    const response = await this.#send({ method: "POST", path, body });
    return await response.json() as T;
  }

  async delete(path: string): Promise<void> {
    await (await this.#send({ method: "DELETE", path })).body?.cancel();
  }

  /**
   * The answer, whatever it is. As long as there is none, or only that it cannot be said now, the
   * request is repeated under the same key.
   */
  async ask(exchange: Exchange, idempotencyKey: string): Promise<Reply> {
    const headers = { ...exchange.headers, "idempotency-key": idempotencyKey };
    for (let attempt = 1;; attempt++) {
      try {
        const response = await this.#sendOnce({ ...exchange, headers });
        const text = await response.text();
        if (response.status === 429) {
          await pauseAsked(response);
          continue;
        }
        const isAnswered = response.status !== 503 && response.status !== 504;
        if (isAnswered || attempt === askAttemptsMax) {
          return { status: response.status, body: text === "" ? undefined : JSON.parse(text) };
        }
      } catch (error) {
        if (!(error instanceof NotAnswering) || attempt === askAttemptsMax) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, askPauseMs));
    }
  }

  /** All registrations of an event, in the order of arrival, with every write so far in them. */
  async registrations(eventId: string): Promise<ListedRegistration[]> {
    const path = `/events/${eventId}`;
    const event = await this.#send({
      method: "GET",
      path,
      headers: { "cache-control": "no-cache" },
    });
    await event.body?.cancel();
    const token = event.headers.get(consistencyHeader);
    const headers = token === null ? {} : { [consistencyHeader]: token };
    const all: ListedRegistration[] = [];
    for (let cursor: string | undefined = "";;) {
      const query = cursor === "" ? "" : `&cursor=${encodeURIComponent(cursor)}`;
      const response = await this.#send({
        method: "GET",
        path: `${path}/registrations?limit=${pageSize}${query}`,
        headers,
      });
      const page = await response.json() as Page<ListedRegistration>;
      all.push(...page.items);
      cursor = page.nextCursor;
      if (cursor === undefined) return all;
    }
  }

  /** A list that does not show a write yet says 503 when it has waited long enough: asked again. */
  async #send(exchange: Exchange): Promise<Response> {
    for (let attempt = 1;; attempt++) {
      const response = await this.#sendOnce(exchange);
      if (response.ok) return response;
      const text = await response.text();
      if (response.status === 429 && attempt < consistencyAttemptsMax) {
        await pauseAsked(response);
        continue;
      }
      if (response.status === 503 && attempt < consistencyAttemptsMax) {
        await new Promise((resolve) => setTimeout(resolve, retryPauseMs));
        continue;
      }
      const advice = response.status === 401
        ? ". Run this with the DATA_DIR or TOKEN_SECRET that the server runs with"
        : "";
      const { method, path } = exchange;
      throw new NotAnswering(`${method} ${path} was answered ${response.status} ${text}${advice}`);
    }
  }

  async #sendOnce({ method, path, body, headers }: Exchange): Promise<Response> {
    const token = this.#tokens[this.#turn++ % this.#tokens.length];
    try {
      return await fetch(`${this.#url}/api/v1${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { "content-type": "application/json" }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      });
    } catch (cause) {
      throw new NotAnswering(`${this.#url} does not answer any more`, { cause });
    }
  }
}

/** As long as whoever refused has said. */
async function pauseAsked({ headers }: Response): Promise<void> {
  const seconds = Number(headers.get("retry-after") ?? 1);
  await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
}
