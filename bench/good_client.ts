/**
 * The client that only wants to be served, while others make that hard.
 *
 * @module
 */
import { createRealEvents, REGISTER_PATH } from "./contestants.ts";
import { LoadProcess, type Server } from "./processes.ts";

const connections = 8;
const seats = 1_000_000;

/** Registers people for an event of its own, as many at a time as it has connections. */
export class GoodClient implements AsyncDisposable {
  readonly eventId: string;
  readonly #load: LoadProcess;
  readonly #server: Server;
  readonly #token: string;
  #index = 0;

  private constructor(load: LoadProcess, server: Server, token: string, eventId: string) {
    this.#load = load;
    this.#server = server;
    this.#token = token;
    this.eventId = eventId;
  }

  static async open(server: Server, token: string): Promise<GoodClient> {
    const load = new LoadProcess();
    const [id] = await createRealEvents(server.url, { load, token, count: 1, capacity: seats });
    return new GoodClient(load, server, token, id!);
  }

  /** @throws unless every request was served. */
  async p99Ms(requests: number): Promise<number> {
    const { p99Ms, statuses } = await this.#load.fire({
      targets: [this.#server.url],
      connections,
      requests,
      method: "POST",
      path: REGISTER_PATH,
      ids: [this.eventId],
      body: `{"userId":"person-{i}"}`,
      tokens: [this.#token],
      firstIndex: this.#index,
    });
    this.#index += requests;
    const refused = Object.keys(statuses).filter((status) => status !== "201");
    if (refused.length > 0) throw new Error(`It was not served: ${JSON.stringify(statuses)}`);
    return p99Ms;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#load.close();
  }
}
