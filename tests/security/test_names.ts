/**
 * The names of tests, as their sources have them.
 *
 * @module
 */

const CALL = /\b(?:Deno\.test|t\.step)\(\s*(?:\{\s*name:\s*)?(?=["`])/g;
const QUOTED = /"(?:[^"\\\n]|\\.)*"/y;

/** Of tests and their steps; a template stands as it is written, with `${…}` where its parts are. */
export function testNamesIn(source: string): ReadonlySet<string> {
  const names = new Set<string>();
  for (const { index, 0: { length } } of source.matchAll(CALL)) {
    const start = index + length;
    if (source[start] === "`") {
      names.add(source.slice(start + 1, endOfTemplate(source, start)));
    } else {
      QUOTED.lastIndex = start;
      const quoted = QUOTED.exec(source)?.[0];
      if (quoted !== undefined) names.add(JSON.parse(quoted));
    }
  }
  return names;
}

/** What stands in a template between its `${…}`. */
export function fixedPartsOf(template: string): readonly string[] {
  const parts: string[] = [];
  let from = 0;
  for (let at = 0; at < template.length; at++) {
    if (!template.startsWith("${", at)) continue;
    parts.push(template.slice(from, at));
    at = endOfExpression(template, at + 1);
    from = at + 1;
  }
  return [...parts, template.slice(from)];
}

/** The place of the backtick that ends the template which begins at `start`. */
function endOfTemplate(source: string, start: number): number {
  for (let at = start + 1; at < source.length; at++) {
    if (source[at] === "\\") at++;
    else if (source[at] === "`") return at;
    else if (source.startsWith("${", at)) at = endOfExpression(source, at + 1);
  }
  throw new Error(`No end of the template at ${start}`);
}

/** The place of the brace that closes the one at `start`. */
function endOfExpression(source: string, start: number): number {
  let depth = 0;
  for (let at = start; at < source.length; at++) {
    if (source[at] === "{") depth++;
    else if (source[at] === "}" && --depth === 0) return at;
    else if (source[at] === "`") at = endOfTemplate(source, at);
    else if (source[at] === '"') {
      QUOTED.lastIndex = at;
      at += (QUOTED.exec(source)?.[0].length ?? 1) - 1;
    }
  }
  throw new Error(`No end of the expression at ${start}`);
}
