/**
 * What is done to dead letters, each at one moment.
 *
 * @module
 */
import { JOB_KIND } from "../jobs/job.ts";
import type {
  DeadLetter,
  DeadLetterQuery,
  Operator,
  OutboxMessage,
  RedriveQuery,
} from "../runtime/outbox.ts";
import { kept } from "./copied.ts";
import type { Jobs } from "./jobs.ts";
import type { Lanes } from "./lanes.ts";
import type { LetterRow, Tables, Traits } from "./tables.ts";

export class Letters {
  readonly #tables: Tables;
  readonly #lanes: Lanes;
  readonly #jobs: Jobs;

  constructor(tables: Tables, lanes: Lanes, jobs: Jobs) {
    this.#tables = tables;
    this.#lanes = lanes;
    this.#jobs = jobs;
  }

  list({ kind, key, after = 0, limit }: DeadLetterQuery): readonly DeadLetter[] {
    return this.#inOrder().map(({ letter }) => letter).filter(({ to, position }) =>
      position > after && (kind === undefined || to.kind === kind) &&
      (key === undefined || to.key === key)
    ).slice(0, limit);
  }

  get(messageId: string): DeadLetter | undefined {
    return this.#tables.letters.get(messageId)?.letter;
  }

  edit(
    messageId: string,
    change: { readonly schema: number; readonly command: unknown },
    operator: Operator,
  ): DeadLetter | undefined {
    const { letters } = this.#tables;
    const row = letters.get(messageId);
    if (row === undefined) return undefined;
    const { schema, command } = kept(change);
    const letter = Object.freeze({ ...row.letter, schema, command });
    letters.set(messageId, { ...row, letter });
    this.#record("edit", letter, operator);
    return letter;
  }

  redrive(which: RedriveQuery, operator: Operator, now: number): readonly DeadLetter[] {
    const chosen = "messageId" in which
      ? this.#inOrder().filter(({ letter }) => letter.messageId === which.messageId)
      : this.#inOrder().filter(({ letter: { to } }) =>
        to.kind === which.kind && (which.key === undefined || to.key === which.key)
      ).slice(0, which.limit);
    for (const { letter, traits } of chosen) {
      const { attempts: _, error: __, buriedAt: ___, ...message } = letter;
      if (message.to.kind !== JOB_KIND) this.#lanes.put(message, now);
      else if (!this.#jobs.waits(message.messageId)) this.#jobs.put(message, traits, now);
      this.#seenTo("redrive", letter, operator);
    }
    return chosen.map(({ letter }) => letter);
  }

  discard(messageId: string, operator: Operator): boolean {
    const row = this.#tables.letters.get(messageId);
    if (row === undefined) return false;
    this.#seenTo("discard", row.letter, operator);
    return true;
  }

  #seenTo(act: string, letter: DeadLetter, operator: Operator): void {
    this.#tables.letters.delete(letter.messageId);
    this.#record(act, letter, operator);
  }

  #record(act: string, { messageId }: DeadLetter, { id }: Operator): void {
    this.#tables.audit.push({ principal: id, act: `dead-letter ${act}`, messageId });
  }

  #inOrder(): LetterRow[] {
    return [...this.#tables.letters.values()]
      .sort((a, b) => a.letter.position - b.letter.position);
  }
}

/** Of messages under one id there is one letter, the last. */
export function bury(
  { letters }: Tables,
  message: OutboxMessage,
  { priority, concurrencyKey }: Traits,
  why: Pick<DeadLetter, "attempts" | "error" | "buriedAt">,
): void {
  const letter = Object.freeze({ ...message, ...why });
  // It may be put back while another like it waits: then both are to run.
  const traits = { priority, ...(concurrencyKey !== undefined && { concurrencyKey }) };
  letters.set(message.messageId, { letter, traits });
}
