/**
 * Keeps words out of what everybody reads.
 *
 * @module
 */
import {
  DataSet,
  englishDataset,
  englishRecommendedBlacklistMatcherTransformers,
  englishRecommendedTransformers,
  parseRawPattern,
  RegExpMatcher,
} from "obscenity";
import { ConfigurationError } from "../config.ts";
import { type KnownProblem, ProblemError } from "./problem.ts";

export const UNACCEPTABLE: KnownProblem = {
  type: "/problems/unacceptable-content",
  problem: { status: 422, title: "Everybody may read this, and it holds words that are refused" },
};

/** Texts by the names of their fields; those that are not there are none. */
export type Texts = Readonly<Record<string, string | undefined>>;

/** @throws {ProblemError} 422 that names each field with such a word. */
export type ContentFilter = (texts: Texts) => void;

/** Of a shorter one, as the filter sees it, too much is full: `xxx` is an X to it. */
const LETTERS_MIN = 3;

/** What the list takes for something else. */
const harmless = [
  "assyria",
  "cockpit",
  "cum laude",
  "cumin",
  "dick tracy",
  "dick van dyke",
  "fagott",
  "fukushima",
  "john lee hooker",
  "moby dick",
  "penistone",
  "philip k. dick",
  "pissarro",
  "rapeseed",
  "scat sing",
  "shiitake",
  "wankel",
];

/**
 * A filter by a list of English words, and by `words` of one's own, which count as whole words only.
 * It sees through capitals, accents, letters repeated or put for one another, and what is invisible.
 *
 * @throws {ConfigurationError} that names the words it could not tell.
 */
export function contentFilter(words: readonly string[]): ContentFilter {
  const { whitelistedTerms = [], ...listed } = dataset(words).build();
  const matcher = new RegExpMatcher({
    ...listed,
    whitelistedTerms: [...whitelistedTerms, ...harmless],
    ...englishRecommendedTransformers,
  });
  const isRefused = (text: string) => matcher.hasMatch(bare(text));
  const idle = words.filter((word) => seen(word).length < LETTERS_MIN || !isRefused(word));
  if (idle.length > 0) throw unusable(idle);
  return (texts) => {
    const faults = Object.entries(texts)
      .filter(([, text]) => text !== undefined && isRefused(text))
      .map(([field]) => ({ path: [field], message: "Must be said in other words" }));
    if (faults.length === 0) return;
    throw new ProblemError(UNACCEPTABLE.type, {
      ...UNACCEPTABLE.problem,
      detail: "A word in it is on the list of this service; write it otherwise, or leave it out",
      errors: faults,
    });
  };
}

function dataset(words: readonly string[]) {
  const all = new DataSet<{ originalWord: string }>().addAll(englishDataset);
  for (const word of words) {
    const pattern = seen(word).replace(/[[\]?|\\]/g, "\\$&");
    if (pattern === "") continue;
    all.addPhrase((phrase) =>
      phrase.setMetadata({ originalWord: word }).addPattern(parseRawPattern(`|${pattern}|`))
    );
  }
  return all;
}

/** Without the marks on letters, and what nobody sees. */
function bare(text: string): string {
  return text.normalize("NFD").replaceAll(/[\p{M}\p{Cf}]/gu, "");
}

/** A word as the matcher sees it in a text. */
function seen(word: string): string {
  const steps = englishRecommendedBlacklistMatcherTransformers
    .map((step) => "factory" in step ? step.factory() : step);
  const letters = Array.from(bare(word), (letter) => {
    let code = letter.codePointAt(0);
    for (const step of steps) if (code !== undefined) code = step.transform(code);
    return code === undefined ? "" : String.fromCodePoint(code);
  });
  return letters.join("");
}

function unusable(words: readonly string[]): ConfigurationError {
  const expected = `whole words that the filter can tell from others, and not ${words.join(", ")}`;
  return new ConfigurationError([{ name: "CONTENT_FILTER_WORDS", expected }]);
}
