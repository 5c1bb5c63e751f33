/**
 * Finds the handlers of a request by its method and path.
 *
 * Hono's router of one regular expression is the fastest that it has, but cannot tell `/users/{id}`
 * from `/users/me/keys`; where one path is too much for it, Hono takes another router for all of them,
 * which costs each request 2 µs and 2 kB more. Here that other one serves only what begins like them.
 *
 * @module
 */
import { type Result, type Router, UnsupportedPathError } from "hono/router";
import { RegExpRouter } from "hono/router/reg-exp-router";
import { TrieRouter } from "hono/router/trie-router";

type Added<T> = readonly [method: string, path: string, handler: T];

export class PathRouter<T> implements Router<T> {
  readonly name = "PathRouter";
  readonly #added: Added<T>[] = [];
  #built: ReturnType<typeof built<T>> | undefined;

  add(...added: Added<T>): void {
    if (this.#built !== undefined) throw new Error(`Cannot add ${added[1]}: it has been matched`);
    this.#added.push(added);
  }

  match(method: string, path: string): Result<T> {
    const { quick, whole, ambiguous } = this.#built ??= built(this.#added);
    for (const beginning of ambiguous) {
      if (path.startsWith(beginning)) return whole.match(method, path);
    }
    return quick.match(method, path);
  }
}

function built<T>(added: readonly Added<T>[]) {
  const whole = new TrieRouter<T>();
  for (const each of added) whole.add(...each);
  const unsupported = new Set<string>();
  let quick: Router<T> | undefined;
  while (quick === undefined) quick = quickRouter(added, unsupported);
  const ambiguous = new Set([...unsupported].map((path) => /^[^:*]*/.exec(path)![0]));
  return { quick, whole, ambiguous: [...ambiguous] };
}

/** Of all but those paths; undefined if there was one more, which has been added to them. */
function quickRouter<T>(
  added: readonly Added<T>[],
  unsupported: Set<string>,
): Router<T> | undefined {
  const router = new RegExpRouter<T>();
  for (const [method, path, handler] of added) {
    if (unsupported.has(path)) continue;
    try {
      router.add(method, path, handler);
    } catch (error) {
      if (!(error instanceof UnsupportedPathError)) throw error;
      unsupported.add(path);
      return undefined;
    }
  }
  return router;
}
