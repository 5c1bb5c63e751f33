/** What was found to be wrong: all of it counted, and enough of each kind told in words. */

const TOLD_OF_EACH_MAX = 10;

export type BreachKind =
  | "lost"
  | "doubled"
  | "failed-but-applied"
  | "unasked"
  | "gap"
  | "rule"
  | "order"
  | "answer"
  | "stale"
  | "false-rejection"
  | "forgotten"
  | "other-reply"
  | "misuse"
  | "bug"
  | "listing"
  | "notice"
  | "undrained"
  | "conservation"
  | "reservations"
  | "executions"
  | "priority"
  | "too-little";

export class Breaches {
  readonly #texts = new Map<BreachKind, string[]>();
  #count = 0;

  add(kind: BreachKind, text: string): void {
    this.#count++;
    const texts = this.#texts.get(kind) ?? [];
    this.#texts.set(kind, texts);
    if (texts.length < TOLD_OF_EACH_MAX) texts.push(`${kind}: ${text}`);
  }

  told(): { readonly breaches: readonly string[]; readonly breachCount: number } {
    return { breaches: [...this.#texts.values()].flat(), breachCount: this.#count };
  }
}
