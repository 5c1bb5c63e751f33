/**
 * For administrators: messages that no actor could handle, and what is to become of them.
 *
 * @module
 */
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { time } from "../lib/http/instant.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf, pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { type KnownProblem, ProblemError } from "../lib/http/problem.ts";
import { isStorable, storable } from "../lib/http/text.ts";
import type { DeadLetter, DeadLetters } from "../lib/runtime/outbox.ts";
import { operatorOf } from "./audited.ts";

export interface DeadLetterOptions {
  readonly deadLetters: DeadLetters;
}

export const REDRIVE_MAX = 1_000;

const LetterPath = z.object({ id: z.uuid().toLowerCase() });
const kind = storable({ min: 1, max: 100 });

const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  kind: kind.exactOptional(),
  key: storable({ min: 1, max: 500 }).exactOptional(),
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
).meta({ override: { type: "object", additionalProperties: true } });

const Change = z.strictObject({
  command: Command,
  schema: z.int().min(1).max(32_767).exactOptional()
    .describe("The version of the command's form; as it was, unless said"),
}).meta({ id: "DeadLetterChange", examples: [{ command: { type: "Expire" } }] });

const AllOfKind = z.strictObject({
  kind,
  limit: z.int().min(1).max(REDRIVE_MAX).default(REDRIVE_MAX),
}).meta({ id: "DeadLettersOfKind", examples: [{ kind: "order", limit: 100 }] });

const Letter = z.strictObject({
  id: z.uuid(),
  kind: z.string(),
  key: z.string(),
  command: z.json().describe("What the actor was told"),
  schema: z.int().describe("The version of the command's form"),
  principalId: z.string(),
  correlationId: z.string(),
  causationId: z.string(),
  toldAt: time,
  attempts: z.int(),
  error: z.string().describe("What the last attempt failed with"),
  buriedAt: time,
}).meta({ id: "DeadLetter" });

const NOT_FOUND: KnownProblem = {
  type: "/problems/dead-letter-not-found",
  problem: { status: 404, title: "There is no such dead letter" },
};

const byAdmin = { tag: "operations", access: ["admin"], class: "operator" } as const;
const ofLetter = {
  ...byAdmin,
  path: "/api/v1/dead-letters/{id}",
  params: LetterPath,
  answers: { 200: Letter },
  problems: [NOT_FOUND],
} as const;

export function deadLetters({ deadLetters }: DeadLetterOptions): readonly Route[] {
  return [
    route({
      ...byAdmin,
      id: "listDeadLetters",
      method: "get",
      path: "/api/v1/dead-letters",
      summary: "Messages that no actor could handle, in the order in which they were told",
      query: ListQuery,
      answers: { 200: pageSchema(Letter) },
    }, async (c, { query: { cursor, limit, ...filter } }) => {
      const letters = await deadLetters.list({
        ...filter,
        after: cursor?.[0] ?? 0,
        limit: limit + 1,
      });
      return answer(c, 200, pageOf(letters, limit, letterView, ({ position }) => [position]));
    }),
    route({
      ...byAdmin,
      id: "redriveDeadLetters",
      act: { name: "dead-letter redrive", on: "dead_letter", isKeptWithin: true },
      method: "post",
      path: "/api/v1/dead-letters/redrive",
      summary: "Brings the first dead letters of a kind once more",
      body: AllOfKind,
      answers: { 200: z.strictObject({ redriven: z.int() }) },
    }, async (c, { body }) => {
      const raised = await deadLetters.redrive(body, operatorOf(c));
      return answer(c, 200, { redriven: raised.length });
    }),
    route({
      ...ofLetter,
      id: "getDeadLetter",
      method: "get",
      summary: "A dead letter, and why it is one",
    }, async (c, { params: { id } }) => {
      return answer(c, 200, letterView(found(await deadLetters.get(id))));
    }),
    route({
      ...ofLetter,
      id: "editDeadLetter",
      act: { name: "dead-letter edit", on: "dead_letter", isKeptWithin: true },
      method: "patch",
      summary: "Replaces what a dead letter says",
      body: Change,
    }, async (c, { params: { id }, body: { command, schema } }) => {
      const before = found(await deadLetters.get(id));
      const change = { command, schema: schema ?? before.schema };
      const letter = await deadLetters.edit(id, change, operatorOf(c));
      return answer(c, 200, letterView(found(letter)));
    }),
    route({
      ...ofLetter,
      id: "redriveDeadLetter",
      act: { name: "dead-letter redrive", on: "dead_letter", isKeptWithin: true },
      method: "post",
      path: "/api/v1/dead-letters/{id}/redrive",
      summary: "Brings a dead letter once more",
    }, async (c, { params: { id } }) => {
      const raised = await deadLetters.redrive({ messageId: id }, operatorOf(c));
      return answer(c, 200, letterView(found(raised[0])));
    }),
    route({
      ...ofLetter,
      id: "discardDeadLetter",
      act: { name: "dead-letter discard", on: "dead_letter", isKeptWithin: true },
      method: "delete",
      summary: "Gives a dead letter up for good",
      answers: { 204: null },
    }, async (c, { params: { id } }) => {
      const isDiscarded = await deadLetters.discard(id, operatorOf(c));
      if (!isDiscarded) throw ProblemError.of(NOT_FOUND);
      return answer(c, 204);
    }),
  ];
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
  if (letter === undefined) throw ProblemError.of(NOT_FOUND);
  return letter;
}
