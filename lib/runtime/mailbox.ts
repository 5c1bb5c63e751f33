/** A bounded queue with one reader. Full means refuse at once; it never grows past its capacity. */
export class Mailbox<Message> {
  readonly #capacity: number;
  // An actor at rest owns no array: a hundred thousand of them are kept in memory.
  #waiting: Message[] | undefined;

  constructor(capacity: number) {
    this.#capacity = capacity;
  }

  get size(): number {
    return this.#waiting?.length ?? 0;
  }

  /** The oldest message, which stays where it is. */
  get first(): Message | undefined {
    return this.#waiting?.[0];
  }

  /** False when full. Never waits: the sender decides what that means to it. */
  offer(message: Message): boolean {
    if (this.#waiting === undefined) this.#waiting = [message];
    else if (this.#waiting.length >= this.#capacity) return false;
    else this.#waiting.push(message);
    return true;
  }

  /** The oldest messages, at most `limit`, in the order of their arrival. */
  take(limit: number): Message[] {
    const waiting = this.#waiting ?? [];
    if (waiting.length > limit) return waiting.splice(0, limit);
    this.#waiting = undefined;
    return waiting;
  }
}
