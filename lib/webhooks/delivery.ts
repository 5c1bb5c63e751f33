/**
 * A message on its way to a webhook endpoint: looked up, addressed, signed, sent, judged.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { withinDeadline } from "../resilience/deadline.ts";
import type { OutboxMessage } from "../runtime/outbox.ts";
import { DeliveryFailure, type OutsideTarget } from "../runtime/outside_lanes.ts";
import type { Admit } from "./destination.ts";
import type { Post, PostAnswer } from "./post.ts";
import { signatureHeaders } from "./signature.ts";

/** The kind of the lanes; each has the key of its endpoint. */
export const WEBHOOK = "webhook";

const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;

/** The schedule that Standard Webhooks suggests: ten attempts over three days. */
export const standardPausesMs: readonly number[] = [
  5_000,
  5 * MINUTE_MS,
  30 * MINUTE_MS,
  2 * HOUR_MS,
  5 * HOUR_MS,
  10 * HOUR_MS,
  14 * HOUR_MS,
  20 * HOUR_MS,
  24 * HOUR_MS,
];

/** However long an endpoint asks to be left alone, it is tried again after that. */
const RETRY_AFTER_MOST_MS = 24 * HOUR_MS;

export interface OpenEndpoint {
  readonly isOpen: true;
  readonly url: string;
  /** One or two. */
  readonly secrets: readonly string[];
}

/** The other reason for which nothing is sent, in words for a dead letter. */
export interface ClosedEndpoint {
  readonly isOpen: false;
  readonly reason: string;
}

export interface DeliveryReport {
  readonly at: number;
  /** Undefined for a success. */
  readonly failure: string | undefined;
}

/** What is known of the endpoints. Every method throws `TransientFault` where it cannot be done. */
export interface Endpoints {
  /** As it stands at this moment, whichever node has changed it. */
  find(id: string): Promise<OpenEndpoint | ClosedEndpoint>;
  disable(id: string, because: "gone" | "failing"): Promise<void>;
  report(id: string, report: DeliveryReport): Promise<void>;
}

export interface WebhookOptions {
  readonly endpoints: Endpoints;
  readonly admit: Admit;
  readonly post: Post;
  readonly env: Env;
  readonly deadlineMs?: number;
  readonly pausesMs?: readonly number[];
}

/** From the look-up of the name to the end of the answer. */
export const DEADLINE_MS = 10_000;

/** An endpoint that answered nothing but failures for all the attempts is disabled. */
export function webhookTarget(options: WebhookOptions): OutsideTarget {
  const { endpoints, env, pausesMs = standardPausesMs } = options;
  return {
    kind: WEBHOOK,
    pausesMs,
    async deliver(message, signal) {
      const { key: id } = message.to;
      const endpoint = await endpoints.find(id);
      if (!endpoint.isOpen) throw new DeliveryFailure(endpoint.reason, { isPermanent: true });
      const failure = await failureOf(attempted(options, endpoint, message, signal));
      // What an aborted delivery came to is known to nobody.
      signal.throwIfAborted();
      const report = endpoints.report(id, { at: env.now(), failure: failure?.message });
      if (failure === undefined) return void await report.catch(() => {/* it was delivered */});
      await report;
      if (failure.isPermanent) await endpoints.disable(id, "gone");
      throw failure;
    },
    exhausted: ({ to }) => endpoints.disable(to.key, "failing"),
  };
}

function attempted(
  { admit, post, env, deadlineMs: ms = DEADLINE_MS }: WebhookOptions,
  { url, secrets }: OpenEndpoint,
  { messageId: id, command }: OutboxMessage,
  cancelled: AbortSignal,
): Promise<DeliveryFailure | undefined> {
  const late = () => new Error(`There was no whole answer within ${ms} ms`);
  return withinDeadline(async (signal) => {
    const admission = await admit(url);
    if (!admission.isAdmitted) {
      return new DeliveryFailure(`The URL is refused: ${admission.reason}`);
    }
    signal.throwIfAborted();
    const body = JSON.stringify(command);
    const headers = signatureHeaders({ id, at: env.now(), body }, secrets);
    const { destination } = admission;
    return judged(await post({ destination, headers, body }, signal), env.now());
  }, { env, ms, cancelled, late });
}

/** Of whatever went wrong at the other side or on the way to it. */
async function failureOf(
  attempt: Promise<DeliveryFailure | undefined>,
): Promise<DeliveryFailure | undefined> {
  try {
    return await attempt;
  } catch (error) {
    return new DeliveryFailure((error as Error).message, { cause: error });
  }
}

function judged(
  { status, retryAfter }: PostAnswer,
  now: number,
): DeliveryFailure | undefined {
  if (status >= 200 && status < 300) return undefined;
  if (status === 410) return new DeliveryFailure("It answered 410: gone", { isPermanent: true });
  if (status >= 300 && status < 400) {
    return new DeliveryFailure(`It answered ${status}: redirects are not followed`);
  }
  const retryAfterMs = Math.min(RETRY_AFTER_MOST_MS, waitOf(retryAfter, now));
  return new DeliveryFailure(`It answered ${status}`, { retryAfterMs });
}

/** `Retry-After` in seconds or as a date; 0 for what is neither. */
function waitOf(retryAfter: string | undefined, now: number): number {
  if (retryAfter === undefined) return 0;
  if (/^[0-9]{1,9}$/.test(retryAfter)) return Number(retryAfter) * 1_000;
  const until = Date.parse(retryAfter);
  return Number.isNaN(until) ? 0 : Math.max(0, until - now);
}
