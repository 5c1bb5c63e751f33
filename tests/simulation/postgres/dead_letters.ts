/**
 * Dead letters on a simulated Postgres.
 *
 * @module
 */
import type {
  DeadLetter,
  DeadLetterQuery,
  DeadLetters,
  Operator,
  RedriveQuery,
} from "../../../lib/runtime/outbox.ts";
import type { SimulatedPostgres } from "./server.ts";
import type { SessionPool } from "./session_pool.ts";
import { reading, writing } from "./store.ts";

export class SimulatedDeadLetters implements DeadLetters {
  readonly #server: SimulatedPostgres;
  readonly #db: SessionPool;

  constructor(server: SimulatedPostgres, db: SessionPool) {
    this.#server = server;
    this.#db = db;
  }

  async list(query: DeadLetterQuery): Promise<readonly DeadLetter[]> {
    const { letters } = this.#server.statements;
    return await this.#db.run(reading("list letters", () => letters.list(query)));
  }

  async get(messageId: string): Promise<DeadLetter | undefined> {
    const { letters } = this.#server.statements;
    return await this.#db.run(reading("get letter", () => letters.get(messageId)));
  }

  async edit(
    messageId: string,
    change: { readonly schema: number; readonly command: unknown },
    operator: Operator,
  ): Promise<DeadLetter | undefined> {
    const { letters } = this.#server.statements;
    const edit = () => letters.edit(messageId, change, operator);
    return await this.#db.run(writing("edit letter", edit, change));
  }

  async redrive(which: RedriveQuery, operator: Operator): Promise<readonly DeadLetter[]> {
    const { letters } = this.#server.statements;
    return await this.#db.run(
      writing("redrive", ({ now }) => letters.redrive(which, operator, now)),
    );
  }

  async discard(messageId: string, operator: Operator): Promise<boolean> {
    const { letters } = this.#server.statements;
    return await this.#db.run(writing("discard", () => letters.discard(messageId, operator)));
  }
}
