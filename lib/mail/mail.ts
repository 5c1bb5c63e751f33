/**
 * The port by which letters leave for people.
 *
 * @module
 */

export interface Letter {
  readonly to: string;
  readonly subject: string;
  /** Plain text. What is secret in it is good for one use, and not for long. */
  readonly text: string;
}

/** Resolves once somebody else answers for the letter. */
export type SendMail = (letter: Letter) => Promise<void>;

/** Letters under way at a time; more are not sent, which their readers can have mended. */
const UNDER_WAY_MAX = 100;

/** Sends beside the requests that letters follow from: how long that takes tells nobody anything. */
export class OutgoingMail implements AsyncDisposable {
  readonly #send: SendMail;
  readonly #onFailure: (error: unknown) => void;
  readonly #underWay = new Set<Promise<void>>();

  /** `onFailure` hears of each letter that did not leave; must not throw. */
  constructor(send: SendMail, onFailure: (error: unknown) => void) {
    this.#send = send;
    this.#onFailure = onFailure;
  }

  /** Neither waits nor throws. */
  post(letter: Letter): void {
    if (this.#underWay.size >= UNDER_WAY_MAX) {
      return this.#onFailure(new Error(`Cannot send a letter: ${UNDER_WAY_MAX} are under way`));
    }
    const sent = this.#send(letter).catch(this.#onFailure).finally(() => {
      this.#underWay.delete(sent);
    });
    this.#underWay.add(sent);
  }

  /** Resolves once all have left, or failed to. */
  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#underWay);
  }
}
