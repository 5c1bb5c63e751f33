/**
 * For administrators: what stands between this node and what it depends on, and how busy it is.
 *
 * @module
 */
import { Hono } from "hono";
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { type CallerEnv, requireRole } from "../lib/http/caller.ts";
import { type BodyParser, parsedQuery } from "../lib/http/parsed.ts";
import { ProblemError } from "../lib/http/problem.ts";
import { text } from "../lib/http/text.ts";
import { TransientFault } from "../lib/fault.ts";
import type { DependencyStanding } from "../lib/resilience/dependency.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import type { NodeState } from "../lib/runtime/node_state.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import { reasonOf } from "../lib/runtime/outbox.ts";

export interface PerformanceOptions {
  readonly state: NodeState;
  readonly audit: Audit;
  readonly observe: Observe;
  readonly parseBody: BodyParser;
}

const Nothing = z.strictObject({});
const WhichBreaker = z.strictObject({ name: text({ min: 1, max: 100 }).exactOptional() });

export function performance(
  { state, audit, observe, parseBody }: PerformanceOptions,
): Hono<CallerEnv> {
  return new Hono<CallerEnv>()
    .use(async (c, next) => {
      requireRole(c, "admin");
      await next();
    })
    .get("/resilience", (c) => {
      parsedQuery(c, Nothing);
      const { load: { shedding, ...load }, breakers, ...report } = state.report();
      const { level, admittedShare } = shedding;
      return answer(c, 200, {
        ...report,
        load: { ...load, level, refusedShare: 1 - admittedShare },
        breakers: breakers.map(breakerView),
      });
    })
    .post("/reset-circuit-breakers", async (c) => {
      const { name } = await parseBody(c, WhichBreaker, { absent: {} });
      const reset = await state.resetBreakers(name);
      if (reset.length === 0) {
        throw new ProblemError("/problems/breaker-not-found", {
          status: 404,
          title: "There is no such breaker",
        });
      }
      // Only now: before it, the database may have been one of them.
      const entry = { act: "breaker reset", subject: `breaker/${name ?? "*"}`, detail: { reset } };
      await audit.record(entry, c.get("caller").principal).catch((error) => {
        if (!(error instanceof TransientFault)) throw error;
        observe({ type: "maintenance-failed", task: "audit", error });
      });
      return answer(c, 200, { reset });
    });
}

function breakerView({ since, retryAfterMs, error, ...breaker }: DependencyStanding) {
  return {
    ...breaker,
    since: new Date(since).toISOString(),
    ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
    ...(error !== undefined && { error: reasonOf(error) }),
  };
}
