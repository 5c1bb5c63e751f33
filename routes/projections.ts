/**
 * For administrators: how far the projections are, and having one made anew.
 *
 * @module
 */
import { z } from "zod";
import type { Env } from "../lib/env.ts";
import { answer } from "../lib/http/answer.ts";
import { time } from "../lib/http/instant.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { type KnownProblem, ProblemError } from "../lib/http/problem.ts";
import { text } from "../lib/http/text.ts";
import {
  type ProjectionStanding,
  type Rebuild,
  type Rebuilder,
  RebuildRefused,
} from "../lib/runtime/rebuild.ts";
import { operatorOf } from "./audited.ts";

export interface ProjectionOptions {
  readonly rebuilder: Pick<Rebuilder<never>, "list" | "find" | "start">;
  /** In epoch milliseconds. */
  readonly env: Pick<Env, "now">;
}

const ProjectionPath = z.object({ name: text({ min: 1, max: 100 }) });

const Projection = z.strictObject({
  name: z.string(),
  through: z.string().describe("Writes up to this transaction are shown, and perhaps later ones"),
  lagMs: z.number().describe("The age of the oldest event that is not shown yet; 0 without one"),
  rebuild: z.strictObject({
    state: z.enum(["running", "interrupted", "done", "failed"]),
    principalId: z.string(),
    startedAt: time,
    endedAt: time.exactOptional(),
    events: z.int().describe("Applied so far"),
    through: z.string(),
    error: z.string().exactOptional(),
  }).exactOptional().describe("The newest one"),
}).meta({
  id: "Projection",
  examples: [{ name: "live_event_listing", through: "1207", lagMs: 0 }],
});

const NOT_FOUND: KnownProblem = {
  type: "/problems/projection-not-found",
  problem: { status: 404, title: "There is no such projection" },
};
const RUNNING: KnownProblem = {
  type: "/problems/rebuild-running",
  problem: {
    status: 409,
    title: "A projection is being rebuilt",
    detail: "One is rebuilt at a time",
  },
};
const NOT_REBUILDABLE: KnownProblem = {
  type: "/problems/not-rebuildable",
  problem: { status: 409, title: "This projection cannot be rebuilt" },
};

const byAdmin = { tag: "operations", access: ["admin"], class: "operator" } as const;

export function projections({ rebuilder, env }: ProjectionOptions): readonly Route[] {
  const view = (standing: ProjectionStanding) => projectionView(standing, env.now());
  return [
    route({
      ...byAdmin,
      id: "listProjections",
      method: "get",
      path: "/api/v1/projections",
      summary: "How far the read tables are behind what is recorded",
      answers: { 200: z.strictObject({ items: z.array(Projection) }) },
    }, async (c) => {
      const standings = await rebuilder.list();
      return answer(c, 200, { items: standings.map(view) });
    }),
    route({
      ...byAdmin,
      id: "getProjection",
      method: "get",
      path: "/api/v1/projections/{name}",
      summary: "How far one of them is, and its newest rebuild",
      params: ProjectionPath,
      answers: { 200: Projection },
      problems: [NOT_FOUND],
    }, async (c, { params: { name } }) => {
      return answer(c, 200, view(found(await rebuilder.find(name))));
    }),
    route({
      ...byAdmin,
      id: "rebuildProjection",
      act: { name: "projection rebuild", on: "projection", isKeptWithin: true },
      locates: true,
      method: "post",
      path: "/api/v1/projections/{name}/rebuild",
      summary: "Makes the read tables of a projection anew, beside those in use",
      params: ProjectionPath,
      answers: { 202: Projection },
      problems: [NOT_FOUND, RUNNING, NOT_REBUILDABLE],
    }, async (c, { params: { name } }) => {
      found(await rebuilder.start(name, operatorOf(c)).catch(asProblem));
      const standing = found(await rebuilder.find(name));
      const Location = `/api/v1/projections/${encodeURIComponent(name)}`;
      return answer(c, 202, view(standing), { Location });
    }),
  ];
}

export function projectionView(
  { name, through, oldestAt, rebuild }: ProjectionStanding,
  now: number,
) {
  return {
    name,
    through,
    lagMs: oldestAt === undefined ? 0 : Math.max(0, now - oldestAt),
    ...(rebuild !== undefined && { rebuild: rebuildView(rebuild) }),
  };
}

function rebuildView({ startedAt, endedAt, ...rebuild }: Rebuild) {
  return {
    ...rebuild,
    startedAt: new Date(startedAt).toISOString(),
    ...(endedAt !== undefined && { endedAt: new Date(endedAt).toISOString() }),
  };
}

function found<Thing>(thing: Thing | undefined): Thing {
  if (thing === undefined) throw ProblemError.of(NOT_FOUND);
  return thing;
}

function asProblem(error: unknown): never {
  if (!(error instanceof RebuildRefused)) throw error;
  if (error.reason === "running") throw ProblemError.of(RUNNING);
  const { type, problem } = NOT_REBUILDABLE;
  throw new ProblemError(type, { ...problem, detail: error.message });
}
