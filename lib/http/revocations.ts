/**
 * What had been given out to last longer, and counts no more: held in memory, asked at every request.
 *
 * @module
 */
import type { Env } from "../env.ts";

/** Something came to its end before its time. */
export interface Revocation {
  /** In epoch milliseconds. */
  readonly at: number;
  /** Whose it was; the id of a principal. */
  readonly subject: string;
  readonly sessions: readonly string[];
  /** Ids of API keys. */
  readonly keys: readonly string[];
  /** With them ends all else that the subject had been given until then. */
  readonly isWhole: boolean;
}

/** What has to be known of a token to tell whether it was revoked. */
export interface Revocable {
  readonly subject: string;
  readonly sessionId?: string | undefined;
  /** In epoch milliseconds, cut to the second. */
  readonly issuedAt: number;
}

export interface RevocationLimits {
  /** How long a token of a session can outlive it: then nothing needs to be known of it. */
  readonly sessionMs: number;
  /** The same of tokens without a session. */
  readonly subjectMs: number;
}

interface Noted {
  /** As in {@linkcode Revocation}. */
  readonly at: number;
  /** In monotonic milliseconds: a clock on the wall that is changed brings nothing back to life. */
  readonly notedAt: number;
}

export type RevocationListener = (revocation: Revocation) => void;

export class Revocations {
  readonly #limits: RevocationLimits;
  readonly #env: Pick<Env, "monotonic">;
  /** What was noted first comes first. */
  readonly #sessions = new Map<string, Noted>();
  readonly #subjects = new Map<string, Noted>();
  readonly #listeners: RevocationListener[] = [];

  constructor(limits: RevocationLimits, env: Pick<Env, "monotonic">) {
    this.#limits = limits;
    this.#env = env;
  }

  /** How many are held. */
  get size(): number {
    return this.#sessions.size + this.#subjects.size;
  }

  /** Hears of each, perhaps more than once; must not throw. */
  onRevoked(listener: RevocationListener): void {
    this.#listeners.push(listener);
  }

  /** Any number of times, and in any order. */
  note(revocation: Revocation): void {
    const { at, subject, sessions, isWhole } = revocation;
    const noted = { at, notedAt: this.#env.monotonic() };
    for (const id of sessions) if (!this.#sessions.has(id)) this.#sessions.set(id, noted);
    if (isWhole && at > (this.#subjects.get(subject)?.at ?? -Infinity)) {
      this.#subjects.delete(subject);
      this.#subjects.set(subject, noted);
    }
    for (const tell of this.#listeners) tell(revocation);
  }

  covers({ subject, sessionId, issuedAt }: Revocable): boolean {
    if (sessionId !== undefined) return this.#sessions.has(sessionId);
    const ended = this.#subjects.get(subject);
    return ended !== undefined && issuedAt <= ended.at;
  }

  /** Lets go of what nobody can show any more: all of it had been given out before it was noted. */
  forget(): void {
    const now = this.#env.monotonic();
    forgetBefore(this.#sessions, now - this.#limits.sessionMs);
    forgetBefore(this.#subjects, now - this.#limits.subjectMs);
  }
}

function forgetBefore(ended: Map<string, Noted>, before: number): void {
  for (const [id, { notedAt }] of ended) {
    if (notedAt >= before) return;
    ended.delete(id);
  }
}
