/** What the job routes accept and answer. */
import { z } from "zod";
import { time } from "../lib/http/instant.ts";
import { pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { text } from "../lib/http/text.ts";
import { PRIORITY_MOST } from "../lib/jobs/job.ts";
import { jobStatuses } from "../lib/jobs/job_queue.ts";
import { Command as Keepable } from "./dead_letters.ts";

const DELAY_MOST_MS = 366 * 24 * 3_600_000;
const ATTEMPTS_MOST = 1_000;

const key = text({ min: 1, max: 200 });
const queue = text({ min: 1, max: 100 });

/** What is wanted done. */
export const wanted = { type: text({ min: 1, max: 100 }), payload: Keepable };

/** How and when it is to be done. */
export const chosen = {
  delayMs: z.int().min(0).max(DELAY_MOST_MS).exactOptional()
    .describe("Not before so long from now"),
  priority: z.int().min(0).max(PRIORITY_MOST).exactOptional().describe("0 is the most urgent"),
  attemptsMax: z.int().min(1).max(ATTEMPTS_MOST).exactOptional(),
  concurrencyKey: key.exactOptional()
    .describe("Of the jobs with one key only so many run at a time, as the queue says"),
};

const asked = {
  type: "live_event.tell_attendees",
  payload: {
    eventId: "3f0c1d6e-3c0c-4c4b-9a53-0a6a2f2d4a11",
    type: "reminder",
    at: "2040-05-31T18:00:00.000Z",
  },
};

export const NewJob = z.strictObject({
  ...wanted,
  ...chosen,
  uniqueKey: key.exactOptional()
    .describe("While one of that key waits or runs, that one is answered instead of a new one"),
}).meta({ id: "NewJob", examples: [asked] });

export const JobPath = z.object({ id: z.uuid().toLowerCase() });

export const JobListQuery = z.strictObject({
  ...pageParameters,
  cursor: placeIn(z.tuple([z.int().min(0)])).exactOptional(),
  queue,
  status: z.enum(jobStatuses).exactOptional(),
});

const attempts = z.int().min(0).describe("How often it was begun");

export const Job = z.strictObject({
  id: z.uuid(),
  type: z.string(),
  queue: z.string(),
  status: z.enum(jobStatuses),
  priority: z.int(),
  payload: z.unknown(),
  attempts,
  progress: z.unknown().optional().describe("As its handler last told"),
  result: z.unknown().optional().describe("What it gave, once it completed"),
  error: z.string().exactOptional().describe("Why the last attempt failed"),
  cancelledBy: z.string().exactOptional(),
  principalId: z.string(),
  correlationId: z.guid(),
  causationId: z.guid(),
  enqueuedAt: time,
  dueAt: time.exactOptional().describe("Of one that waits"),
  finishedAt: time.exactOptional(),
}).meta({
  id: "Job",
  examples: [{
    id: "5d0f4c56-4f2b-4d6e-a6f1-0f4b8e5f2c33",
    ...asked,
    queue: "notices",
    status: "waiting",
    priority: 4,
    attempts: 0,
    principalId: "root",
    correlationId: "c2a2a1f0-58cf-4f3e-8a44-8d2f0b9f5c10",
    causationId: "c2a2a1f0-58cf-4f3e-8a44-8d2f0b9f5c10",
    enqueuedAt: "2040-05-31T17:59:59.000Z",
    dueAt: "2040-05-31T17:59:59.000Z",
  }],
});

export const Jobs = pageSchema(Job);

export const JobProgress = z.strictObject({
  status: z.enum(jobStatuses),
  attempts,
  progress: z.unknown().describe("As its handler last told; null if it never did"),
}).meta({ id: "JobProgress" });
