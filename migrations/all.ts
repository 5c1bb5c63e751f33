/** Every migration, in order; a folder that is scanned cannot be bundled. */
import type { Migration } from "kysely/migration";
import * as eventStore from "./0001_event_store.ts";
import * as liveEventListing from "./0002_live_event_listing.ts";
import * as outbox from "./0003_outbox.ts";
import * as jobs from "./0004_jobs.ts";
import * as offers from "./0005_offers.ts";
import * as webhooks from "./0006_webhooks.ts";
import * as flows from "./0007_flows.ts";
import * as schedules from "./0008_schedules.ts";
import * as projectionRebuild from "./0009_projection_rebuild.ts";
import * as notices from "./0010_notices.ts";
import * as quietFeed from "./0011_quiet_feed.ts";
import * as trading from "./0012_trading.ts";
import * as accounts from "./0013_accounts.ts";
import * as auditChain from "./0014_audit_chain.ts";

export const migrations: Readonly<Record<string, Migration>> = {
  "0001_event_store": eventStore,
  "0002_live_event_listing": liveEventListing,
  "0003_outbox": outbox,
  "0004_jobs": jobs,
  "0005_offers": offers,
  "0006_webhooks": webhooks,
  "0007_flows": flows,
  "0008_schedules": schedules,
  "0009_projection_rebuild": projectionRebuild,
  "0010_notices": notices,
  "0011_quiet_feed": quietFeed,
  "0012_trading": trading,
  "0013_accounts": accounts,
  "0014_audit_chain": auditChain,
};
