/**
 * Endpoints as whoever delivers to them needs them, and how their deliveries went.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import { unaskedCause } from "../../lib/runtime/envelope.ts";
import type { ActorSystem } from "../../lib/runtime/system.ts";
import * as WebhookEndpoint from "./aggregate.ts";
import type { WebhookTables } from "./projection.ts";

export interface DeliveriesOptions {
  readonly system: ActorSystem;
  readonly db: Kysely<WebhookTables>;
  readonly env: { now(): number; monotonic(): number; uuid(): string };
}

const TIMEOUT_MS = 5_000;
const FAILURE_CHARS_MAX = 500;

const closed: Readonly<Record<WebhookEndpoint.DisabledBecause, string>> = {
  asked: "The endpoint is disabled by its owner",
  gone: "The endpoint is disabled: it answered 410 gone",
  failing: "The endpoint is disabled: it failed for days",
};

export function endpointsIn({ system, db, env }: DeliveriesOptions) {
  const cause = () => unaskedCause(env, { id: "webhooks", roles: [] }, TIMEOUT_MS);
  return {
    /** Confirmed with the database: what another node has disabled gets nothing more. */
    async find(id: string) {
      const at = env.now();
      const { view } = await system.read(WebhookEndpoint, id, cause(), (state) => {
        const { status, disabledBecause = "asked", url } = state;
        if (status === "enabled") {
          return { isOpen: true, url, secrets: WebhookEndpoint.activeSecrets(state, at) } as const;
        }
        const reason = status === "disabled" ? closed[disabledBecause] : "The endpoint is deleted";
        return { isOpen: false, reason } as const;
      }, { isStrong: true });
      return view;
    },
    async disable(id: string, because: "gone" | "failing"): Promise<void> {
      const command = { type: "Suspend", because } as const;
      await system.ask(WebhookEndpoint, id, command, cause(), () => null);
    },
    async report(
      id: string,
      { at, failure }: { readonly at: number; readonly failure: string | undefined },
    ): Promise<void> {
      const time = new Date(at).toISOString();
      const said = failure?.slice(0, FAILURE_CHARS_MAX).toWellFormed().replaceAll("\0", "");
      await (said === undefined
        ? sql`
          insert into webhook_delivery (endpoint_id, last_success_at)
          values (${id}, ${time}::timestamptz)
          on conflict (endpoint_id) do update set last_success_at = excluded.last_success_at`
        : sql`
          insert into webhook_delivery (endpoint_id, last_failure_at, last_failure)
          values (${id}, ${time}::timestamptz, ${said})
          on conflict (endpoint_id) do update set last_failure_at = excluded.last_failure_at,
            last_failure = excluded.last_failure`).execute(db);
    },
  };
}

export async function deliveriesOf(db: Kysely<WebhookTables>, id: string) {
  return await db.selectFrom("webhook_delivery")
    .select([
      "last_success_at as lastSuccessAt",
      "last_failure_at as lastFailureAt",
      "last_failure as lastFailure",
    ])
    .where("endpoint_id", "=", id)
    .executeTakeFirst();
}
