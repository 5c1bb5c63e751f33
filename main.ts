/**
 * Composition root: what the service is made of, in the order in which it starts.
 *
 * @module
 */
import type { Hono } from "hono";
import type { Kysely } from "kysely";
import * as LiveEvent from "./actors/live_event/aggregate.ts";
import { type LiveEventTables, projection } from "./actors/live_event/projection.ts";
import { type Config, ConfigurationError, readConfig } from "./lib/config.ts";
import { systemEnv } from "./lib/env.ts";
import { TransientFault } from "./lib/fault.ts";
import type { CallerEnv } from "./lib/http/caller.ts";
import { type BodyParser, bodyParser } from "./lib/http/parsed.ts";
import { openTokenKey } from "./lib/http/token_key.ts";
import { mintToken, TokenVerifier } from "./lib/http/tokens.ts";
import { type Database, openDatabase } from "./lib/postgres/database.ts";
import { PostgresEventStore } from "./lib/postgres/event_store.ts";
import { migrateToLatest } from "./lib/postgres/migrate.ts";
import { PostgresProjectionStore } from "./lib/postgres/projection_store.ts";
import { startHousekeeping } from "./lib/runtime/housekeeping.ts";
import type { RuntimeEvent } from "./lib/runtime/observe.ts";
import { Projector } from "./lib/runtime/projector.ts";
import { ActorSystem } from "./lib/runtime/system.ts";
import { shutdownRequested } from "./lib/signals.ts";
import { migrations } from "./migrations/all.ts";
import { app } from "./routes/app.ts";

