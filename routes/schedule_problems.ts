/** How each refusal of a schedule reads over HTTP; a reason without a face does not compile. */
import type * as Schedule from "../lib/jobs/schedule.ts";
import { refusals } from "../lib/http/refusals.ts";

export const { problemOf, known, refused } = refusals<Schedule.Reason>("schedule", "schedule", {
  "not-found": { status: 404, title: "No such schedule" },
  "already-exists": { status: 409, title: "The schedule exists already" },
  "already-paused": { status: 409, title: "The schedule is paused already" },
  "not-paused": { status: 409, title: "The schedule is not paused" },
  "defined-in-code": {
    status: 409,
    title: "The schedule is defined in the code of the service",
    detail: "It is revised there; it can be paused here",
  },
  "never-due": {
    status: 422,
    title: "The schedule would never be due",
    errors: [{ path: ["cron"], message: "Must name a time that comes" }],
  },
});
