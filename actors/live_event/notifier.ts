/**
 * Process manager: has people told of what befell their registrations.
 *
 * It follows the feed with a checkpoint of its own, so a registration does not wait for it, and
 * enqueues in the transaction that moves the checkpoint, so each event leads to its notice once.
 *
 * @module
 */
import type { QueryExecutorProvider } from "kysely";
import { enqueue } from "../../lib/jobs/job.ts";
import type { Message } from "../../lib/runtime/aggregate.ts";
import type { Projection } from "../../lib/runtime/projector.ts";
import type { FeedEvent, NewMessage } from "../../lib/runtime/store.ts";
import { kind } from "./aggregate.ts";
import {
  announcementIn,
  deliverNotices,
  noticedTypes,
  noticeIn,
  NOTICES_MAX,
  tellAttendees,
} from "./notices.ts";

export interface NotifierOptions {
  /** Writes jobs into the outbox, with whatever else the transaction does. */
  readonly enqueue: (
    transaction: QueryExecutorProvider,
    jobs: readonly NewMessage[],
  ) => Promise<unknown>;
  readonly uuid: () => string;
}

export function notifier(options: NotifierOptions): Projection<QueryExecutorProvider> {
  return {
    name: "live_event_notifier",
    kind,
    types: noticedTypes,
    // Whoever updates an old service does not want everyone told of everything anew.
    start: "now",
    async apply(transaction, events) {
      await options.enqueue(transaction, jobsFor(events, options.uuid));
    },
  };
}

function jobsFor(events: readonly FeedEvent[], uuid: () => string): readonly NewMessage[] {
  const noticed = events.flatMap((event) => {
    const notice = noticeIn(event);
    return notice === undefined ? [] : [{ event, notice }];
  });
  const jobs: NewMessage[] = [];
  for (let from = 0; from < noticed.length; from += NOTICES_MAX) {
    const some = noticed.slice(from, from + NOTICES_MAX);
    const notices = some.map(({ notice }) => notice);
    jobs.push(caused(enqueue(deliverNotices, { notices }), some[0]!.event, uuid()));
  }
  for (const event of events) {
    const type = announcementIn(event);
    if (type === undefined) continue;
    const { address: { key: eventId }, at } = event;
    const payload = { eventId, type, at: new Date(at).toISOString() };
    jobs.push(caused(enqueue(tellAttendees, payload), event, uuid()));
  }
  return jobs;
}

/** Jobs for many are found by the id of the first; each notice keeps its own. */
function caused(
  message: Message,
  { correlationId, causationId, principalId }: FeedEvent,
  messageId: string,
): NewMessage {
  const principal = { id: principalId, roles: [] };
  return { delayMs: 0, ...message, messageId, correlationId, causationId, principal };
}
