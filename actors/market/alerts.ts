/**
 * What users want to hear of: a price that is reached, or a volume. Each alert is given once.
 *
 * @module
 */
import { accept, type DecisionContext, reject } from "../../lib/runtime/aggregate.ts";
import type { Principal } from "../../lib/runtime/envelope.ts";
import { joined, type Line, lineOf, withoutFirst } from "../../lib/runtime/persistent_line.ts";
import { PersistentMap } from "../../lib/runtime/persistent_map.ts";
import type { CommandOf, Verdict } from "./commands.ts";
import type { Event } from "./events.ts";
import type { Alert, Condition, State } from "./state.ts";

/** Of all users, on one market. */
export const ALERTS_MAX = 10_000;
/** Of one user, on one market. */
export const OWN_ALERTS_MAX = 100;
/** Given at one time. With more of them to give, they are marked, and given in so many turns as it takes. */
export const TRIGGERED_MAX = 100;

interface Waiting extends Alert {
  /** Later than that of all who were set before. */
  readonly place: number;
}

/** What befell a market: a price, and what was traded at it. */
export interface Occasion {
  readonly price: number;
  readonly volume: number;
}

interface Due {
  readonly alert: Alert;
  readonly occasion: Occasion;
}

/** A trade is compared with the nearest of each condition, however many wait. */
export interface Alerts {
  readonly byId: PersistentMap<string, Waiting>;
  /** The nearest last and, of those that are equally near, who was set first. */
  readonly ladders: Readonly<Record<Condition, readonly Waiting[]>>;
  readonly nextPlace: number;
  /** Those that were met and are to be given, in that order. */
  readonly due: Line<Due> | undefined;
}

export const noAlerts: Alerts = {
  byId: PersistentMap.of(),
  ladders: { "price-at-least": [], "price-at-most": [], "volume-at-least": [] },
  nextPlace: 0,
  due: undefined,
};

export function withAlert(alerts: Alerts, alert: Alert): Alerts {
  const { byId, ladders, nextPlace: place } = alerts;
  const waiting = { ...alert, place };
  const ladder = ladders[alert.condition];
  const longer = ladder.toSpliced(indexOf(ladder, waiting), 0, waiting);
  return {
    ...alerts,
    byId: byId.set(alert.alertId, waiting),
    ladders: { ...ladders, [alert.condition]: longer },
    nextPlace: place + 1,
  };
}

export function withoutAlert(alerts: Alerts, alertId: string): Alerts {
  const { byId, ladders } = alerts;
  const alert = byId.get(alertId);
  if (alert === undefined) return alerts;
  const ladder = ladders[alert.condition];
  const shorter = ladder.toSpliced(indexOf(ladder, alert), 1);
  return {
    ...alerts,
    byId: byId.delete(alertId),
    ladders: { ...ladders, [alert.condition]: shorter },
  };
}

/** All that are met wait no longer, and are due. */
export function marked(alerts: Alerts, occasion: Occasion): Alerts {
  let { byId, due } = alerts;
  for (const alert of metBy(alerts, occasion)) {
    byId = byId.delete(alert.alertId);
    due = withDue(due, alert, occasion);
  }
  const notMet = (condition: Condition) => {
    const ladder = alerts.ladders[condition];
    return ladder.slice(0, firstMet(ladder, occasion));
  };
  const ladders = {
    "price-at-least": notMet("price-at-least"),
    "price-at-most": notMet("price-at-most"),
    "volume-at-least": notMet("volume-at-least"),
  };
  return { ...alerts, byId, ladders, due };
}

export function withDue(due: Alerts["due"], alert: Alert, { price, volume }: Occasion) {
  const { alertId, ownerId, condition, value } = alert;
  const next = { alert: { alertId, ownerId, condition, value }, occasion: { price, volume } };
  return due === undefined ? lineOf(next) : joined(due, next);
}

/** One that is due is the first of those. */
export function given(alerts: Alerts, alertId: string): Alerts {
  const [first] = dueOf(alerts, 1);
  if (first?.alert.alertId !== alertId) return withoutAlert(alerts, alertId);
  const due = withoutFirst(alerts.due!, 1);
  return { ...alerts, due: due.start === due.end ? undefined : due };
}

function indexOf(ladder: readonly Waiting[], alert: Waiting): number {
  const need = needOf(alert);
  let low = 0;
  let high = ladder.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const other = ladder[middle]!;
    const further = needOf(other) - need || other.place - alert.place;
    if (further > 0) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** What has to be reached: of two, the lower is met first. */
function needOf({ condition, value }: Alert): number {
  return condition === "price-at-most" ? -value : value;
}

function isMet({ condition, value }: Alert, { price, volume }: Occasion): boolean {
  switch (condition) {
    case "price-at-least":
      return price >= value;
    case "price-at-most":
      return price <= value;
    case "volume-at-least":
      return volume >= value;
  }
}

/** From there on all are. */
function firstMet(ladder: readonly Waiting[], occasion: Occasion): number {
  return ladder.findLastIndex((alert) => !isMet(alert, occasion)) + 1;
}

/** In the order in which they were set. */
function metBy(alerts: Alerts, occasion: Occasion): readonly Waiting[] {
  return Object.values(alerts.ladders)
    .flatMap((ladder) => ladder.slice(firstMet(ladder, occasion)))
    .sort((a, b) => a.place - b.place);
}

export function setAlert(
  { alerts, status }: State,
  { type: _, ...alert }: CommandOf<"SetAlert">,
  { principal }: DecisionContext,
): Verdict {
  if (status === "unknown") return reject("not-found");
  if (alerts.byId.has(alert.alertId)) return reject("already-exists");
  if (alerts.byId.size >= ALERTS_MAX) return reject("too-many-alerts");
  const { id: ownerId } = principal;
  const own = alerts.byId.values().filter((other) => other.ownerId === ownerId);
  if (own.length >= OWN_ALERTS_MAX) return reject("too-many-own-alerts");
  return accept({ ...alert, type: "AlertSet", ownerId });
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
export function triggered(alerts: Alerts, { price, volume }: Occasion): readonly Event[] {
  const met = metBy(alerts, { price, volume });
  return met.length > TRIGGERED_MAX
    ? [{ type: "AlertsMet", price, volume }]
    : met.map((alert) => triggeredBy(alert, { price, volume }));
}

/** What is to be said next of what was met before. */
export function triggeredBefore(alerts: Alerts): readonly Event[] {
  return dueOf(alerts, TRIGGERED_MAX).map(({ alert, occasion }) => triggeredBy(alert, occasion));
}

/** The first of them, so many at most. */
export function dueOf({ due }: Alerts, max = Infinity): readonly Due[] {
  return due?.places.slice(due.start, Math.min(due.end, due.start + max)) ?? [];
}

function triggeredBy({ alertId, ownerId, condition, value }: Alert, occasion: Occasion): Event {
  return { type: "AlertTriggered", alertId, ownerId, condition, value, ...occasion };
}
