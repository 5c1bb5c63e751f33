/**
 * For administrators: messages that no actor could handle, and what is to become of them.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { pageOf, pageParameters, placeIn } from "../lib/http/pages.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { ProblemError } from "../lib/http/problem.ts";
import { isStorable, text } from "../lib/http/text.ts";
import type { DeadLetter, DeadLetters } from "../lib/runtime/outbox.ts";

export interface DeadLetterOptions {
  readonly deadLetters: DeadLetters;
  readonly parseBody: BodyParser;
}

export const REDRIVE_MAX = 1_000;

const LetterPath = z.object({ id: z.uuid().toLowerCase() });
const kind = text({ min: 1, max: 100 });

const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  kind: kind.exactOptional(),
  key: text({ min: 1, max: 500 }).exactOptional(),
});

/** V8 parses JSON of any depth; whoever walks it, as Postgres does, needs a bound. */
export const DEPTH_MAX = 64;

export function isKeepable(value: unknown, depth = 0): boolean {
  if (typeof value === "string") return isStorable(value);
  if (typeof value === "number") return Number.isFinite(value);
  if (typeof value !== "object" || value === null) return true;
  return depth < DEPTH_MAX &&
    Object.entries(value).every(([name, inner]) =>
      isStorable(name) && isKeepable(inner, depth + 1)
    );
}

export const Command = z.custom<Readonly<Record<string, unknown>>>(
  (value) =>
    typeof value === "object" && !Array.isArray(value) && value !== null && isKeepable(value),
  { error: `Must be an object without U+0000 or unpaired surrogates, at most ${DEPTH_MAX} deep` },
);

const Change = z.strictObject({
  command: Command,
  schema: z.int().min(1).max(32_767).exactOptional(),
});

const AllOfKind = z.strictObject({
  kind,
  limit: z.int().min(1).max(REDRIVE_MAX).default(REDRIVE_MAX),
});

const Nothing = z.strictObject({});

export function deadLetters({ deadLetters, parseBody }: DeadLetterOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .get("/", async (c) => {
      const { cursor, limit, ...filter } = parsedQuery(c, ListQuery);
      const letters = await deadLetters.list({
        ...filter,
        after: cursor?.[0] ?? 0,
        limit: limit + 1,
      });
      return answer(c, 200, pageOf(letters, limit, letterView, ({ position }) => [position]));
    })
    .post("/redrive", async (c) => {
      const { principal } = c.get("caller");
      const raised = await deadLetters.redrive(await parseBody(c, AllOfKind), principal);
      return answer(c, 200, { redriven: raised.length });
    })
    .get("/:id", async (c) => {
      const { id } = parsedParams(c, LetterPath);
      return answer(c, 200, letterView(found(await deadLetters.get(id))));
    })
    .patch("/:id", async (c) => {
      const { id } = parsedParams(c, LetterPath);
      const { command, schema } = await parseBody(c, Change);
      const before = found(await deadLetters.get(id));
      const change = { command, schema: schema ?? before.schema };
      const letter = await deadLetters.edit(id, change, c.get("caller").principal);
      return answer(c, 200, letterView(found(letter)));
    })
    .post("/:id/redrive", async (c) => {
      const { id } = parsedParams(c, LetterPath);
      await parseBody(c, Nothing, { absent: {} });
      const raised = await deadLetters.redrive({ messageId: id }, c.get("caller").principal);
      return answer(c, 200, letterView(found(raised[0])));
    })
    .delete("/:id", async (c) => {
      const { id } = parsedParams(c, LetterPath);
      const isDiscarded = await deadLetters.discard(id, c.get("caller").principal);
      if (!isDiscarded) throw notFound();
      return answer(c, 204);
    });
}

export function letterView(letter: DeadLetter) {
  const { messageId, to, command, schema, principal, correlationId, causationId } = letter;
  return {
    id: messageId,
    kind: to.kind,
    key: to.key,
    command,
    schema,
    principalId: principal.id,
    correlationId,
    causationId,
    toldAt: new Date(letter.at).toISOString(),
    attempts: letter.attempts,
    error: letter.error,
    buriedAt: new Date(letter.buriedAt).toISOString(),
  };
}

function found(letter: DeadLetter | undefined): DeadLetter {
  if (letter === undefined) throw notFound();
  return letter;
}

function notFound(): ProblemError {
  return new ProblemError("/problems/dead-letter-not-found", {
    status: 404,
    title: "There is no such dead letter",
  });
}
