/** The tables of the runtime, as the migrations left them. */
import type { ColumnType, Generated } from "kysely";
import type { FlowStatus } from "../jobs/flow/state.ts";
import type { MissedPolicy } from "../jobs/schedule_plan.ts";
import type { AuditOutcome } from "../runtime/audit.ts";
import type { Principal } from "../runtime/envelope.ts";

/** Postgres' 64-bit transaction id, as decimal text; compared in SQL only. */
type TransactionId = ColumnType<string, string, string>;
type Int8 = ColumnType<number | bigint | string, number, number>;

interface OfActor {
  kind: string;
  key: string;
}

interface OfMessage extends OfActor {
  position: Int8;
  message_id: string;
  schema: number;
  command: unknown;
  correlation_id: string;
  causation_id: string;
  principal: Principal;
  traceparent: string | null;
  at: Date;
}

export interface Tables {
  actor: OfActor & { version: Int8; revision: Int8; transaction: TransactionId };
  event: OfActor & {
    version: Int8;
    type: string;
    schema: number;
    data: unknown;
    correlation_id: string;
    causation_id: string;
    principal: string;
    at: Date;
    transaction: Generated<TransactionId>;
    position: Generated<Int8>;
  };
  snapshot: OfActor & { version: Int8; schema: number; state: unknown };
  reply: OfActor & {
    principal: string;
    idempotency_key: string;
    request_hash: string;
    outcome: unknown;
    at: Date;
  };
  checkpoint: {
    projection: string;
    transaction: TransactionId;
    position: Int8;
    through: TransactionId;
  };
  projection_rebuild: {
    projection: string;
    token: Int8;
    lease_until: Date;
    state: "running" | "done" | "failed";
    principal: string;
    started_at: Date;
    ended_at: Date | null;
    transaction: TransactionId;
    position: Int8;
    through: TransactionId;
    events: Int8;
    error: string | null;
    structure: string;
  };
  outbox: OfMessage & {
    available_at: Date;
    priority: Generated<number>;
    unique_key: string | null;
    concurrency_key: string | null;
    token: Int8 | null;
    lease_until: Date | null;
    attempts: Generated<number>;
    error: string | null;
    progress: unknown;
    cancelled_by: string | null;
  };
  lane: OfActor & {
    token: Int8;
    lease_until: Date;
    next_at: Date;
    attempts: number;
    attempted: Int8 | null;
    error: string | null;
    parked_at: Date | null;
  };
  dead_letter: OfMessage & {
    attempts: number;
    error: string;
    buried_at: Date;
    priority: Generated<number>;
    concurrency_key: string | null;
  };
  running_job: {
    queue: string;
    position: Int8;
    token: Int8;
    concurrency_key: string | null;
    lease_until: Date;
  };
  job_start: { queue: string; token: Int8; jobs: number; counts_until: Date };
  finished_job: Omit<OfMessage, keyof OfActor> & {
    queue: string;
    priority: number;
    concurrency_key: string | null;
    attempts: number;
    progress: unknown;
    cancelled_by: string | null;
    result: unknown;
    finished_at: Date;
    keep_until: Date;
  };
  flow: {
    id: string;
    name: string;
    status: FlowStatus;
    nodes: number;
    completed: number;
    failed: number;
    started_by: string;
    correlation_id: string;
    started_at: Date;
    ended_at: Date | null;
    version: ColumnType<number, number, number>;
  };
  audit: {
    id: Generated<Int8>;
    at: Generated<Date>;
    principal: string;
    act: string;
    subject: string;
    detail: unknown;
    outcome: Generated<AuditOutcome>;
    came_from: string | null;
    correlation_id: string | null;
  };
  audit_seal: {
    number: Int8;
    audit_id: Int8;
    key_id: string;
    mac: Uint8Array;
  };
  schedule: {
    id: string;
    cron: string;
    time_zone: string;
    job_type: string;
    queue: string;
    missed: MissedPolicy;
    jitter_ms: number;
    is_in_code: boolean;
    status: "active" | "paused";
    next_at: Date | null;
    last_run_for: Date | null;
    last_run_at: Date | null;
    version: Int8;
  };
}
