/**
 * The service with one route more, which does all that registering does before the actor.
 *
 * @module
 */
import { startService } from "../main.ts";
import { readConfig } from "../lib/config.ts";
import { parsedParams } from "../lib/http/parsed.ts";
import { causeOf } from "../lib/http/cause.ts";
import { systemEnv } from "../lib/env.ts";
import { shutdownRequested } from "../lib/signals.ts";
import { EventPath, Registrant } from "../routes/live_event_schemas.ts";

await using _service = await startService({
  config: readConfig(Deno.env.toObject()),
  extend: ({ http, parseBody }) => {
    http.post("/api/v1/events/:id/no-op", async (c) => {
      const { id } = parsedParams(c, EventPath);
      const { userId } = await parseBody(c, Registrant, { absent: {} });
      const answered = userId ?? causeOf(c).principal.id;
      const registrationId = systemEnv.uuid();
      c.header("Location", `/api/v1/events/${id}/registrations/${registrationId}`);
      c.header("ETag", '"1"');
      const position = answered.length;
      return c.json({ registrationId, status: "waitlisted", position, version: 1 }, 201);
    });
  },
});
await shutdownRequested();
