/**
 * For administrators: what was done by them and their like, and the seal that holds it together.
 *
 * @module
 */
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { date, time } from "../lib/http/instant.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { pageOf, pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { type KnownProblem, ProblemError } from "../lib/http/problem.ts";
import { storable } from "../lib/http/text.ts";
import { auditOutcomes, type AuditRecord, type AuditTrail } from "../lib/runtime/audit.ts";

export interface AuditOptions {
  readonly auditTrail: AuditTrail;
}

const ListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  actor: storable({ min: 1, max: 200 }).exactOptional().describe("The id of who acted"),
  act: storable({ min: 1, max: 100 }).exactOptional(),
  subject: storable({ min: 1, max: 700 }).exactOptional().describe("What it was done to"),
  from: date.exactOptional(),
  to: date.exactOptional().describe("The first moment after"),
});

const Seal = z.strictObject({
  number: z.int().describe("Without gaps, from 1"),
  mac: z.string().describe("In hexadecimal digits"),
}).meta({ id: "AuditSeal" });

const Record = z.strictObject({
  id: z.int(),
  at: time,
  actorId: z.string(),
  from: z.string().exactOptional().describe("The address that it came from"),
  act: z.string(),
  subject: z.string(),
  outcome: z.enum(auditOutcomes),
  correlationId: z.uuid().exactOptional(),
  detail: z.record(z.string(), z.json()),
  seal: Seal.exactOptional().describe("Absent for a second, until it is sealed"),
}).meta({ id: "AuditRecord" });

const NOTHING_SEALED: KnownProblem = {
  type: "/problems/nothing-sealed",
  problem: { status: 404, title: "The audit holds nothing that is sealed" },
};

const byAdmin = { tag: "operations", access: ["admin"], class: "operator" } as const;

export function audit({ auditTrail }: AuditOptions): readonly Route[] {
  return [
    route({
      ...byAdmin,
      id: "listAudit",
      method: "get",
      path: "/api/v1/audit",
      summary: "What was done by administrators and for security, the newest first",
      query: ListQuery,
      answers: { 200: pageSchema(Record) },
    }, async (c, { query: { cursor, limit, from, to, ...filter } }) => {
      const records = await auditTrail.list({
        ...filter,
        ...(from !== undefined && { from: from.getTime() }),
        ...(to !== undefined && { to: to.getTime() }),
        ...(cursor !== undefined && { before: cursor[0] }),
        limit: limit + 1,
      });
      return answer(c, 200, pageOf(records, limit, recordView, ({ id }) => [id]));
    }),
    route({
      ...byAdmin,
      id: "getAuditHead",
      method: "get",
      path: "/api/v1/audit/head",
      summary:
        "The newest seal; whoever keeps it elsewhere can tell later that nothing was cut off",
      answers: { 200: Seal },
      problems: [NOTHING_SEALED],
    }, async (c) => {
      const head = await auditTrail.head();
      if (head === undefined) throw ProblemError.of(NOTHING_SEALED);
      return answer(c, 200, head);
    }),
  ];
}

function recordView({ operator, at, ...record }: AuditRecord) {
  const { id: actorId, from, correlationId } = operator;
  return {
    ...record,
    at: new Date(at).toISOString(),
    actorId,
    ...(from !== undefined && { from }),
    ...(correlationId !== undefined && { correlationId }),
  };
}
