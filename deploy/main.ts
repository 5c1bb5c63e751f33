/**
 * The service where no process runs all the time, such as Deno Deploy: it serves while requests come,
 * and is woken every minute to bring and do what has become due meanwhile.
 *
 * It takes `--unstable-cron`, and a server in `DATABASE_URL`: nothing is kept in files there. Ticks of
 * schedules come up to a minute late, which is still on time.
 *
 * @module
 */
import { readConfig, variablesIn } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import { openLog } from "../lib/telemetry/log.ts";
import { serverOnPlatform } from "./server.ts";
import { startService } from "./service.ts";

/** Less than until it is woken again. */
const DRAIN_MS = 50_000;

const config = readConfig(variablesIn(Deno.env));
const log = openLog(config.logLevel, console.log, systemEnv.now);
// The edge takes the connections of the world, and decides where this listens.
const starting = startService(config, log, undefined, serverOnPlatform);

// Told when the module is read, and before anything is awaited: that is when Deploy looks for it.
Deno.cron("drain what is due", "* * * * *", async () => {
  const { drained } = await starting;
  log("info", "drained", { isComplete: await drained(DRAIN_MS) });
});

const { url } = await starting;
log("info", "listening", { url });
