/**
 * What users want to hear of: a price that is reached, or a volume. Each alert is given once.
 *
 * @module
 */
import { accept, type DecisionContext, reject } from "../../lib/runtime/aggregate.ts";
import type { Principal } from "../../lib/runtime/envelope.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import type { CommandOf, Verdict } from "./commands.ts";
import type { EventOf } from "./events.ts";
import type { Alert, State } from "./state.ts";

/** Of all users, on one market. */
export const ALERTS_MAX = 10_000;
/** Given at one time, in the order in which they were set; what is left waits for the next price. */
const TRIGGERED_MAX = 100;

/**
 * All alerts, and the nearest of each condition: a trade is compared with three numbers, however many
 * wait.
 */
export interface Alerts {
  readonly byId: PersistentMap<string, Alert>;
  readonly leastHigh: number;
  readonly greatestLow: number;
  readonly leastVolume: number;
}

export const noAlerts: Alerts = {
  byId: PersistentMap.of(),
  leastHigh: Infinity,
  greatestLow: -Infinity,
  leastVolume: Infinity,
};

export function withAlert(alerts: Alerts, alert: Alert): Alerts {
  return nearest({ ...alerts, byId: alerts.byId.set(alert.alertId, alert) }, alert);
}

export function withoutAlert(alerts: Alerts, alertId: string): Alerts {
  const byId = alerts.byId.delete(alertId);
  return byId === alerts.byId ? alerts : byId.values().reduce(nearest, { ...noAlerts, byId });
}

function nearest(alerts: Alerts, { condition, value }: Alert): Alerts {
  switch (condition) {
    case "price-at-least":
      return { ...alerts, leastHigh: Math.min(alerts.leastHigh, value) };
    case "price-at-most":
      return { ...alerts, greatestLow: Math.max(alerts.greatestLow, value) };
    case "volume-at-least":
      return { ...alerts, leastVolume: Math.min(alerts.leastVolume, value) };
  }
}

export function setAlert(
  { alerts, status }: State,
  { type: _, ...alert }: CommandOf<"SetAlert">,
  { principal }: DecisionContext,
): Verdict {
  if (status === "unknown") return reject("not-found");
  if (alerts.byId.has(alert.alertId)) return reject("already-exists");
  if (alerts.byId.size >= ALERTS_MAX) return reject("too-many-alerts");
  return accept({ ...alert, type: "AlertSet", ownerId: principal.id });
}

/** Somebody else's is not found. */
export function removeAlert(
  { alerts }: State,
  { alertId }: CommandOf<"RemoveAlert">,
  { principal }: DecisionContext,
): Verdict {
  const alert = alerts.byId.get(alertId);
  return alert !== undefined && isOf(alert, principal)
    ? accept({ type: "AlertRemoved", alertId })
    : reject("not-found");
}

function isOf({ ownerId }: Alert, principal: Principal): boolean {
  return ownerId === principal.id || principal.roles.includes("admin");
}

/** What is to be said of a new price, and of what was traded at it. */
export function triggered(
  { byId, leastHigh, greatestLow, leastVolume }: Alerts,
  { price, volume }: { readonly price: number; readonly volume: number },
): readonly EventOf<"AlertTriggered">[] {
  if (price < leastHigh && price > greatestLow && volume < leastVolume) return [];
  const isMet = ({ condition, value }: Alert) =>
    condition === "price-at-least"
      ? price >= value
      : condition === "price-at-most"
      ? price <= value
      : volume >= value;
  return byId.values().filter(isMet)
    .toSorted((a, b) => a.alertId < b.alertId ? -1 : 1)
    .slice(0, TRIGGERED_MAX)
    .map((alert) => ({ ...alert, type: "AlertTriggered", price, volume }));
}
