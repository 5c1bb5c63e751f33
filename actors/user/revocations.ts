/**
 * What of a user's has ended before its time, as it is recorded.
 *
 * @module
 */
import { type QueryExecutorProvider, type RawBuilder, sql } from "kysely";
import { type Event, Event as EventSchema } from "./events.ts";

/** A migration has made an index of just these. */
export const revokingTypes = ["SessionsEnded", "KeyRevoked"] satisfies readonly Event["type"][];

export interface Ended {
  readonly at: number;
  readonly subject: string;
  readonly sessions: readonly string[];
  readonly keys: readonly string[];
  readonly isWhole: boolean;
}

/** Undefined for whatever ends nothing. */
export function endedBy(userId: string, recorded: unknown): Ended | undefined {
  const event = EventSchema.parse(recorded);
  const none = { subject: userId, sessions: [], keys: [], isWhole: false };
  switch (event.type) {
    case "SessionsEnded": {
      const { sessionIds: sessions, isWhole } = event;
      return { ...none, at: Date.parse(event.at), sessions, isWhole };
    }
    case "KeyRevoked":
      return { ...none, at: Date.parse(event.at), keys: [event.keyId] };
    default:
      return undefined;
  }
}

type Ending = { readonly key: string; readonly data: unknown };

/**
 * Reads them by the transactions that recorded them, and not by time: a transaction that was still
 * running at one look is found at the next, however long it takes and whatever clocks say.
 */
export function revocationsIn(db: QueryExecutorProvider) {
  const page = async (which: RawBuilder<unknown>) => {
    const { rows: [row] } = await sql<{ horizon: string; endings: readonly Ending[] }>`
      select pg_snapshot_xmin(pg_current_snapshot())::text as horizon,
        (select coalesce(jsonb_agg(jsonb_build_object('key', key, 'data', data)), '[]')
          from event
          where kind = 'user' and type in ('SessionsEnded', 'KeyRevoked') and ${which}) as endings`
      .execute(db);
    const { horizon, endings } = row!;
    const revocations = endings.map(({ key, data }) => endedBy(key, data))
      .filter((ended) => ended !== undefined);
    return { horizon, revocations };
  };
  return {
    recent: (withinMs: number) => page(sql`at > now() - ${withinMs} * interval '1 ms'`),
    since: (horizon: string) => page(sql`transaction >= ${horizon}::xid8`),
  };
}
