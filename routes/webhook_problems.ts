/** How each refusal of a webhook endpoint reads over HTTP; a reason without a face does not compile. */
import type * as WebhookEndpoint from "../actors/webhook_endpoint/aggregate.ts";
import { refusals } from "../lib/http/refusals.ts";

/** What anybody may have. */
export const ENDPOINTS_MAX = 20;

type Reason = WebhookEndpoint.Reason | "too-many" | "forbidden-url";

export const { problemOf, known, refused } = refusals<Reason>("webhook", "endpoint", {
  "not-found": { status: 404, title: "No such webhook endpoint" },
  "already-exists": { status: 409, title: "The webhook endpoint exists already" },
  "disabled": { status: 409, title: "The webhook endpoint is disabled" },
  "too-many": {
    status: 409,
    title: "There are too many webhook endpoints",
    detail: `Nobody may have more than ${ENDPOINTS_MAX}`,
  },
  "forbidden-url": { status: 422, title: "Nothing may be sent to this URL" },
});
