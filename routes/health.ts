/**
 * Whether this process lives, and whether it can serve.
 *
 * @module
 */
import { z } from "zod";
import { answer } from "../lib/http/answer.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { WorkerStanding } from "./supervision_views.ts";

export interface Readiness {
  readonly isReady: boolean;
  /** For whoever runs the service: stores, their settings, what is amiss. */
  readonly details: Readonly<Record<string, unknown>>;
}

export const mode = z.enum(["normal", "no-kv", "shedding", "read-only", "draining"]);

const details = {
  mode,
  because: z.array(z.string()).describe("All that speaks against the normal mode"),
  database: z.enum(["reachable", "unreachable"]).exactOptional(),
  durability: z.strictObject({
    store: z.enum(["server", "embedded", "memory"]),
    version: z.string().describe("Of Postgres"),
    settings: z.record(z.string(), z.string()),
    survivesPowerLoss: z.boolean(),
  }).exactOptional(),
  nodes: z.int().exactOptional().describe(
    "How many nodes this one knows of, itself included, where they have a Redis to hear one another",
  ),
  revocations: z.strictObject({
    ageMs: z.int().describe("How long ago it was last known what is revoked"),
    held: z.int(),
    isKnown: z.boolean().describe(
      "Where it is not, nobody is believed while anything can be changed",
    ),
  }),
  supervision: z.strictObject({
    quarantined: z.int().describe("How many actors are kept away"),
    stoppedKinds: z.array(z.string()),
    isDataLost: z.boolean(),
  }),
  workers: z.array(WorkerStanding),
};

/** Whoever asks is not to be counted: balancers do, all the time, and from one address. */
const forAnyone = {
  method: "get",
  tag: "health",
  access: "anyone",
  class: "operator",
  limit: null,
} as const;

/** `/live` answers while the loop turns; `/ready` is 503 while requests had better go elsewhere. */
export function health(readiness: () => Promise<Readiness>): readonly Route[] {
  return [
    route({
      ...forAnyone,
      id: "getLiveness",
      path: "/health/live",
      summary: "Whether the process lives",
      answers: { 200: z.strictObject({ status: z.literal("live") }) },
    }, (c) => answer(c, 200, { status: "live" })),
    route({
      ...forAnyone,
      id: "getReadiness",
      path: "/health/ready",
      summary: "Whether the process can serve, and what is amiss",
      answers: {
        200: z.strictObject({ status: z.literal("ready"), ...details }),
        503: z.strictObject({ status: z.literal("unavailable"), ...details }),
      },
    }, async (c) => {
      const { isReady, details } = await readiness();
      return answer(c, isReady ? 200 : 503, {
        status: isReady ? "ready" : "unavailable",
        ...details,
      });
    }),
  ];
}
