/** The tables of the runtime, as the migrations left them. */
import type { ColumnType, Generated } from "kysely";
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
  outbox: OfMessage & { available_at: Date };
  lane: OfActor & {
    token: Int8;
    lease_until: Date;
    next_at: Date;
    attempts: number;
    attempted: Int8 | null;
    error: string | null;
    parked_at: Date | null;
  };
  dead_letter: OfMessage & { attempts: number; error: string; buried_at: Date };
  audit: {
    id: Generated<Int8>;
    at: Generated<Date>;
    principal: string;
    act: string;
    subject: string;
    detail: unknown;
  };
}
