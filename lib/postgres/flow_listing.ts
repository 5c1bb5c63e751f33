/**
 * Flows as a table: what no single flow can answer.
 *
 * @module
 */
import { type Kysely, type QueryExecutorProvider, sql } from "kysely";
import { Event, kind } from "../jobs/flow/aggregate.ts";
import type { FlowListing, FlowQuery, ListedFlow } from "../jobs/flow/listing.ts";
import type { FlowStatus } from "../jobs/flow/state.ts";
import { readEvent } from "../runtime/turn.ts";
import type { Projection } from "../runtime/projector.ts";
import type { FeedEvent } from "../runtime/store.ts";
import type { Tables } from "./tables.ts";

/** What a page of events changes about one flow. */
interface FlowChange {
  readonly id: string;
  name?: string;
  nodes?: number;
  startedBy?: string;
  correlationId?: string;
  startedAt?: string;
  endedAt?: string;
  status?: FlowStatus;
  /** Added to what is there. */
  completed: number;
  failed: number;
  version: number;
}

/** Takes pages of any size in two statements, however many flows they speak of. */
export const flowProjection: Projection<QueryExecutorProvider> = {
  name: "flow_listing",
  kind,
  hasIndex: true,
  tables: ["flow"],
  async apply(transaction, recorded) {
    const changes = new Map<string, FlowChange>();
    for (const stored of recorded) {
      const { key: id } = stored.address;
      const change = changes.get(id) ?? { id, completed: 0, failed: 0, version: 0 };
      changes.set(id, change);
      change.version = stored.version;
      note(change, stored);
    }
    await write(transaction, [...changes.values()]);
  },
};

function note(change: FlowChange, stored: FeedEvent): void {
  const at = new Date(stored.at).toISOString();
  const event = readEvent({ Event }, stored);
  switch (event.type) {
    case "FlowStarted":
      change.name = event.nodes[0]!.name;
      change.nodes = event.nodes.length;
      change.startedBy = stored.principalId;
      change.correlationId = stored.correlationId;
      change.startedAt = at;
      break;
    case "NodeCompleted":
      change.completed++;
      break;
    case "NodeFailed":
      change.failed++;
      break;
    case "FlowCancelling":
      change.status = "cancelling";
      break;
    case "FlowCompleted":
    case "FlowFailed":
    case "FlowCancelled":
      change.status = statusAfter[event.type];
      change.endedAt = at;
  }
}

const statusAfter = {
  FlowCompleted: "completed",
  FlowFailed: "failed",
  FlowCancelled: "cancelled",
} as const;

/** Inserts those that started in this page, then adds the changes to all. */
async function write(
  transaction: QueryExecutorProvider,
  changes: readonly FlowChange[],
): Promise<void> {
  const rows = JSON.stringify(changes);
  await sql`
    insert into flow (id, name, status, nodes, completed, failed, started_by, correlation_id,
      started_at, version)
    select r.id, r.name, 'running', r.nodes, 0, 0, r."startedBy", r."correlationId", r."startedAt", 0
    from jsonb_to_recordset(${rows}::text::jsonb) as r(id text, name text, nodes integer,
      "startedBy" text, "correlationId" uuid, "startedAt" timestamptz)
    where r.nodes is not null
    on conflict (id) do nothing`.execute(transaction);
  await sql`
    update flow f set
      status = coalesce(r.status, f.status),
      completed = f.completed + r.completed,
      failed = f.failed + r.failed,
      ended_at = coalesce(r."endedAt", f.ended_at),
      version = r.version
    from jsonb_to_recordset(${rows}::text::jsonb) as r(id text, status text, completed integer,
      failed integer, "endedAt" timestamptz, version bigint)
    where f.id = r.id`.execute(transaction);
}

export class PostgresFlowListing implements FlowListing {
  readonly #db: Kysely<Tables>;

  constructor(db: Kysely<Tables>) {
    this.#db = db;
  }

  async list({ status, before, limit }: FlowQuery): Promise<readonly ListedFlow[]> {
    return await this.#db.selectFrom("flow")
      .select([
        "id",
        "name",
        "status",
        "nodes",
        "completed",
        "failed",
        "started_by as startedBy",
        "correlation_id as correlationId",
        "started_at as startedAt",
        "ended_at as endedAt",
        "version",
      ])
      .$if(status !== undefined, (query) => query.where("status", "=", status!))
      .$if(
        before !== undefined,
        (query) =>
          query.where(sql<boolean>`(started_at, id) < (${before!.startedAt}, ${before!.id})`),
      )
      .orderBy("started_at", "desc").orderBy("id", "desc")
      .limit(limit)
      .execute();
  }
}
