/**
 * For administrators: what stands between this node and what it depends on, and how busy it is.
 *
 * @module
 */
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { time } from "../lib/http/instant.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { type KnownProblem, ProblemError } from "../lib/http/problem.ts";
import { text } from "../lib/http/text.ts";
import { TransientFault } from "../lib/fault.ts";
import type { DependencyStanding } from "../lib/resilience/dependency.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import type { NodeState } from "../lib/runtime/node_state.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import { reasonOf } from "../lib/runtime/outbox.ts";
import { record } from "./audited.ts";
import { mode } from "./health.ts";

export interface PerformanceOptions {
  readonly state: NodeState;
  readonly audit: Audit;
  readonly observe: Observe;
}

const WhichBreaker = z.strictObject({
  name: text({ min: 1, max: 100 }).exactOptional().describe("All of them, unless said"),
}).meta({ id: "WhichBreaker", examples: [{ name: "database" }] });

const Report = z.strictObject({
  mode,
  because: z.array(z.string()).describe("All that speaks against the normal mode"),
  load: z.strictObject({
    loopMs: z.number().describe("By how much the event loop came late, at least"),
    queueMs: z.number().describe("How long messages waited for their actors, at least"),
    turnMs: z.number().describe("How long turns of actors took, at least"),
    inFlight: z.int().describe("Requests under way"),
    inFlightMax: z.int().nullable().describe("Null where there is no bound"),
    isShedding: z.boolean(),
    level: z.literal([0, 1, 2])
      .describe("0: nobody is refused. 1: some lists are. 2: all are, and some commands"),
    refusedShare: z.number().describe("Of the commands"),
  }),
  breakers: z.array(z.strictObject({
    name: z.string(),
    state: z.enum(["closed", "open", "half-open"]),
    failures: z.int().describe("In a row"),
    since: time,
    retryAfterMs: z.int().exactOptional().describe("Until it is tried; absent while it is closed"),
    error: z.string().exactOptional(),
  })),
  bulkheads: z.array(z.strictObject({
    name: z.string(),
    running: z.int(),
    waiting: z.int(),
    refused: z.int().describe("Since the start of the node"),
  })),
  retries: z.strictObject({
    left: z.int().describe("That may be made at once"),
    refused: z.int().describe("Since the start of the node"),
  }),
}).meta({ id: "ResilienceReport" });

const NOT_FOUND: KnownProblem = {
  type: "/problems/breaker-not-found",
  problem: { status: 404, title: "There is no such breaker" },
};

const byAdmin = { tag: "operations", access: ["admin"], class: "operator" } as const;

export function performance({ state, audit, observe }: PerformanceOptions): readonly Route[] {
  return [
    route({
      ...byAdmin,
      id: "getResilience",
      method: "get",
      path: "/api/v1/performance/resilience",
      summary: "What stands between this node and what it depends on, and how busy it is",
      answers: { 200: Report },
    }, (c) => {
      const { load: { shedding, ...load }, breakers, ...report } = state.report();
      const { level, admittedShare } = shedding;
      return answer(c, 200, {
        ...report,
        load: { ...load, level, refusedShare: 1 - admittedShare },
        breakers: breakers.map(breakerView),
      });
    }),
    route({
      ...byAdmin,
      id: "resetCircuitBreakers",
      act: { name: "breaker reset", on: "breaker", isKeptWithin: true },
      method: "post",
      path: "/api/v1/performance/reset-circuit-breakers",
      summary: "Has this node use again at once what had failed it",
      body: WhichBreaker,
      bodyOptions: { absent: {} },
      answers: { 200: z.strictObject({ reset: z.array(z.string()) }) },
      problems: [NOT_FOUND],
    }, async (c, { body: { name } }) => {
      const reset = await state.resetBreakers(name);
      if (reset.length === 0) throw ProblemError.of(NOT_FOUND);
      // Only now: before it, the database may have been one of them.
      const act = { act: "breaker reset", subject: `breaker/${name ?? "*"}`, detail: { reset } };
      await record(c, audit, act).catch((error) => {
        if (!(error instanceof TransientFault)) throw error;
        observe({ type: "maintenance-failed", task: "audit", error });
      });
      return answer(c, 200, { reset });
    }),
  ];
}

function breakerView({ since, retryAfterMs, error, ...breaker }: DependencyStanding) {
  return {
    ...breaker,
    since: new Date(since).toISOString(),
    ...(retryAfterMs !== undefined && { retryAfterMs: Math.ceil(retryAfterMs) }),
    ...(error !== undefined && { error: reasonOf(error) }),
  };
}
