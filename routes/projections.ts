/**
 * For administrators: how far the projections are, and having one made anew.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import type { Env } from "../lib/env.ts";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { type BodyParser, parsedParams, parsedQuery } from "../lib/http/parsed.ts";
import { ProblemError } from "../lib/http/problem.ts";
import { text } from "../lib/http/text.ts";
import {
  type ProjectionStanding,
  type Rebuild,
  type Rebuilder,
  RebuildRefused,
} from "../lib/runtime/rebuild.ts";

export interface ProjectionOptions {
  readonly rebuilder: Pick<Rebuilder<never>, "list" | "find" | "start">;
  /** In epoch milliseconds. */
  readonly env: Pick<Env, "now">;
  readonly parseBody: BodyParser;
}

const ProjectionPath = z.object({ name: text({ min: 1, max: 100 }) });
const Nothing = z.strictObject({});

export function projections({ rebuilder, env, parseBody }: ProjectionOptions): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .get("/", async (c) => {
      parsedQuery(c, Nothing);
      const standings = await rebuilder.list();
      return answer(c, 200, {
        items: standings.map((standing) => projectionView(standing, env.now())),
      });
    })
    .get("/:name", async (c) => {
      const { name } = parsedParams(c, ProjectionPath);
      return answer(c, 200, projectionView(found(await rebuilder.find(name)), env.now()));
    })
    .post("/:name/rebuild", async (c) => {
      const { name } = parsedParams(c, ProjectionPath);
      await parseBody(c, Nothing, { absent: {} });
      found(await rebuilder.start(name, c.get("caller").principal).catch(asProblem));
      const standing = found(await rebuilder.find(name));
      const Location = `/api/v1/projections/${encodeURIComponent(name)}`;
      return answer(c, 202, projectionView(standing, env.now()), { Location });
    });
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
  if (thing !== undefined) return thing;
  throw new ProblemError("/problems/projection-not-found", {
    status: 404,
    title: "There is no such projection",
  });
}

function asProblem(error: unknown): never {
  if (!(error instanceof RebuildRefused)) throw error;
  if (error.reason === "running") {
    throw new ProblemError("/problems/rebuild-running", {
      status: 409,
      title: "A projection is being rebuilt",
      detail: "One is rebuilt at a time",
    });
  }
  throw new ProblemError("/problems/not-rebuildable", {
    status: 409,
    title: "This projection cannot be rebuilt",
    detail: error.message,
  });
}
