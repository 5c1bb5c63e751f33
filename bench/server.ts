/**
 * The real service, and beside it the no-op route that its figures are compared with.
 *
 * The no-op does all that a registration does before it reaches the actor: same method, path, body,
 * validation and token check, same kind of answer.
 *
 * @module
 */
import { readConfig } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import { answer } from "../lib/http/answer.ts";
import { causeOf } from "../lib/http/cause.ts";
import { parsedParams } from "../lib/http/parsed.ts";
import { shutdownRequested } from "../lib/signals.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { type ServiceParts, startService } from "../deploy/service.ts";
import { chosenServer } from "./server_kinds.ts";
import { tokenHeader } from "../routes/consistency.ts";
import { EventPath, Registrant } from "../routes/live_event_schemas.ts";

function addNoop({ http, parseBody, system }: ServiceParts): void {
  http.post("/api/v1/noop/:id/registrations", async (c) => {
    parsedParams(c, EventPath);
    const body = await parseBody(c, Registrant, { absent: {} });
    const cause = causeOf(c);
    const registrationId = cause.messageId;
    const userId = body.userId ?? cause.principal.id;
    const registration = { registrationId, status: "confirmed", version: userId.length };
    return answer(c, 201, registration, tokenHeader("1"));
  });
  http.post("/bench/bare", async (c) => {
    await c.req.raw.text();
    return new Response('{"status":"confirmed"}', {
      headers: { "content-type": "application/json" },
    });
  });
  http.get("/bench", (c) => {
    const { rss, heapUsed } = Deno.memoryUsage();
    return c.json({ rss, heapUsed, residents: system.residents });
  });
}

if (import.meta.main) {
  const config = readConfig(Deno.env.toObject());
  const log = openLog(config.logLevel, console.log, systemEnv.now);
  const stop = shutdownRequested();
  await using service = await startService(config, log, addNoop, chosenServer());
  log("info", "listening", { url: service.url });
  await stop;
}
