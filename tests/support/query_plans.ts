/**
 * How much of a database statements read.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type CompiledQuery, CompiledQuery as Compiled, type Kysely } from "kysely";

/** What is built and asked by way of it is written down; what is compiled already is not. */
export function recordingBuilt<Tables>(
  db: Kysely<Tables>,
  statements: CompiledQuery[],
): Kysely<Tables> {
  return db.withPlugin({
    transformQuery: ({ node, queryId }) => {
      statements.push(db.getExecutor().compileQuery(node, queryId));
      return node;
    },
    transformResult: ({ result }) => Promise.resolve(result),
  });
}

/** Compiled statements that went through it are written down, those of `sql` among them. */
export function recording<Tables>(
  db: Kysely<Tables>,
  statements: CompiledQuery[],
): Kysely<Tables> {
  const note = (target: object) =>
    new Proxy(target, {
      get(own, name) {
        const value = Reflect.get(own, name, own);
        if (name === "executeQuery") {
          return (query: CompiledQuery, ...rest: unknown[]) => {
            statements.push(query);
            return value.call(own, query, ...rest);
          };
        }
        if (name === "getExecutor") return () => note(value.call(own));
        return typeof value === "function" ? value.bind(own) : value;
      },
    });
  return note(db) as Kysely<Tables>;
}

/** Pages that a statement reads, were it run again. */
export async function pagesOf<Tables>(
  db: Kysely<Tables>,
  { sql: text, parameters }: CompiledQuery,
) {
  let plan: { [key: string]: unknown } = {};
  const undone = new Error("only to look");
  const looking = db.transaction().execute(async (transaction) => {
    const explained = Compiled.raw(`explain (analyze, buffers, format json) ${text}`, [
      ...parameters,
    ]);
    const { rows } = await transaction.executeQuery<{ "QUERY PLAN": unknown }>(explained);
    const found = rows[0]!["QUERY PLAN"];
    const trees = (typeof found === "string" ? JSON.parse(found) : found) as {
      Plan: typeof plan;
    }[];
    plan = trees[0]!.Plan;
    throw undone;
  });
  await looking.catch((error) => assert.equal(error, undone));
  return { pages: Number(plan["Shared Hit Blocks"]) + Number(plan["Shared Read Blocks"]), plan };
}
