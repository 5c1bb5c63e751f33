/**
 * One live event: what is recorded of it, held against all that anybody was told of it.
 *
 * @module
 */
import type { Breaches } from "./breaches.ts";
import type { Operation, RememberedReply } from "./checker.ts";
import { commandNames } from "./history.ts";
import { type Counts, LiveEventRules, type RecordedEvent } from "./rules.ts";

/** Where it stood when all had come to rest, and at each version that it had later. */
export interface ActorFindings {
  readonly stands: readonly (Counts & { readonly version: number })[];
}

export interface ActorContext {
  /** All that were about it. */
  readonly operations: readonly Operation[];
  readonly byCommand: ReadonlyMap<string, Operation>;
  readonly replies: ReadonlyMap<string, RememberedReply>;
  readonly breaches: Breaches;
}

/** What one command has led to. */
interface Effect {
  readonly operation: Operation;
  readonly events: readonly RecordedEvent[];
  readonly first: number;
  readonly last: number;
}

/** To look at while the event stands at that version. */
type Look = (rules: LiveEventRules) => string[];

/** What the service tells itself: what follows bears the name of whoever caused it long before. */
const timed = new Set(["Lapsed"]);

export function checkActor(
  key: string,
  events: readonly RecordedEvent[],
  context: ActorContext,
): ActorFindings {
  const { operations, replies, breaches } = context;
  const commands = operations.filter(isCommand);
  const effects = effectsOf(key, events, context);
  for (const operation of new Set([...commands, ...effects.keys()])) {
    checkEffect(operation, effects.get(operation), replies, breaches);
  }
  const floors = floorsOf(operations);
  checkFloors(key, floors, breaches);
  const looks = new Map<number, Look[]>();
  const lookAt = (version: number, look: Look) => {
    if (!looks.has(version)) looks.set(version, []);
    looks.get(version)!.push(look);
  };
  for (const operation of operations) {
    const { f } = operation.invoked;
    if (f === "read" || f === "strong-read" || f === "standing") planRead(operation, lookAt);
  }
  const pending = refusalsOf(operations, effects, floors, replies, breaches);
  return replayed(key, events, looks, pending, breaches);
}

function isCommand({ invoked: { f } }: Operation): boolean {
  return (commandNames as readonly string[]).includes(f);
}

function effectsOf(
  key: string,
  events: readonly RecordedEvent[],
  { byCommand, breaches }: ActorContext,
): ReadonlyMap<Operation, Effect> {
  const effects = new Map<Operation, Effect>();
  const causes = new Set<string>();
  for (const group of byCause(events)) {
    const { type, causationId, correlationId, version: first } = group[0]!;
    const at = `${key} at ${first}, ${type}`;
    if (causes.has(causationId)) breaches.add("doubled", `${at}: its message had effect before`);
    causes.add(causationId);
    if (timed.has(type)) continue;
    const operation = byCommand.get(correlationId);
    if (operation === undefined) {
      breaches.add("unasked", `${at}: nobody asked for it`);
    } else if (effects.has(operation)) {
      breaches.add("doubled", `${at}: operation ${operation.invoked.i} had effect before`);
    } else effects.set(operation, { operation, events: group, first, last: group.at(-1)!.version });
  }
  return effects;
}

function byCause(events: readonly RecordedEvent[]): RecordedEvent[][] {
  const groups: RecordedEvent[][] = [];
  for (const event of events) {
    const group = groups.at(-1);
    if (group?.at(-1)?.causationId === event.causationId) group.push(event);
    else groups.push([event]);
  }
  return groups;
}

const typesOf: Readonly<Record<string, readonly string[]>> = {
  schedule: ["Scheduled"],
  publish: ["Published"],
  revise: ["Revised"],
  register: ["Registered", "Waitlisted"],
  accept: ["Accepted"],
  withdraw: ["Withdrawn"],
};

function checkEffect(
  { invoked, ended }: Operation,
  effect: Effect | undefined,
  replies: ReadonlyMap<string, RememberedReply>,
  breaches: Breaches,
): void {
  const { i, f, idempotencyKey = "" } = invoked;
  const reply = replies.get(idempotencyKey);
  const name = `operation ${i}, ${f}`;
  if (ended?.type === "fail" && effect !== undefined) {
    breaches.add("failed-but-applied", `${name}: it is there at ${effect.first}`);
  }
  if (effect !== undefined && !typesOf[f]!.includes(effect.events[0]!.type)) {
    breaches.add("answer", `${name}: it led to ${effect.events[0]!.type}`);
  }
  if ((effect !== undefined) !== (reply?.isAccepted ?? false)) {
    const remembered = reply === undefined ? "no reply is" : "another reply is";
    breaches.add("forgotten", `${name}: ${effect ? "done" : "not done"}, and ${remembered} kept`);
  }
  if (ended?.type !== "ok") return;
  if (effect === undefined) return breaches.add("lost", `${name}: it was acknowledged`);
  if (effect.last !== ended.version || reply !== undefined && reply.version !== ended.version) {
    const told = `it is at ${effect.last}, remembered at ${reply?.version}`;
    breaches.add("answer", `${name}: acknowledged at ${ended.version}, ${told}`);
  }
  const wrong = differences(effect.events[0]!, ended.value);
  if (wrong.length > 0) breaches.add("answer", `${name}: answered another ${wrong.join()}`);
}

/** The fields of an answer about a registration that are not as they were recorded. */
function differences({ type, data }: RecordedEvent, value: unknown): string[] {
  if (!["Registered", "Waitlisted", "Accepted"].includes(type)) return [];
  const { registrationId, position } = data;
  const status = type === "Waitlisted" ? "waitlisted" : "confirmed";
  const recorded: Record<string, unknown> = { registrationId, status, position };
  return Object.keys(recorded).filter((field) => {
    return (value as Record<string, unknown>)[field] !== recorded[field];
  });
}

/**
 * The version that was known to be there when each operation was invoked: the highest that anybody
 * had been told before. What is decided afterwards is decided on it or on a later one.
 */
export function floorsOf(operations: readonly Operation[]): ReadonlyMap<Operation, number> {
  const told = operations.filter(({ invoked: { f }, ended }) => {
    return ended?.version !== undefined && f !== "repeat" && f !== "misuse";
  }).toSorted((a, b) => a.ended!.t - b.ended!.t);
  const floors = new Map<Operation, number>();
  let [next, floor] = [0, 0];
  for (const operation of operations.toSorted((a, b) => a.invoked.t - b.invoked.t)) {
    for (; next < told.length && told[next]!.ended!.t < operation.invoked.t; next++) {
      floor = Math.max(floor, told[next]!.ended!.version!);
    }
    floors.set(operation, floor);
  }
  return floors;
}

function checkFloors(
  key: string,
  floors: ReadonlyMap<Operation, number>,
  breaches: Breaches,
): void {
  for (const [operation, floor] of floors) {
    const { invoked: { i, f }, ended } = operation;
    if (ended?.type !== "ok") continue;
    const at = `operation ${i}, ${f} of ${key}: at ${ended.version}, and ${floor} was there before`;
    if (isCommand(operation) && ended.version! <= floor) breaches.add("order", at);
    const isStrong = f === "strong-read" || f === "standing";
    if (isStrong && ended.version! < floor) breaches.add("stale", at);
  }
}

function planRead(
  { invoked, ended }: Operation,
  lookAt: (version: number, look: Look) => void,
): void {
  if (ended?.type !== "ok") return;
  const { f, i, who } = invoked;
  lookAt(ended.version!, (rules) => {
    const is = JSON.stringify(f === "standing" ? rules.standingOf(who) : rules.counts);
    const told = JSON.stringify(ended.value);
    return is === told ? [] : [`operation ${i}, ${f}: told ${told}, which was ${is}`];
  });
}

/** A refusal, and between which versions it has to have been true. */
interface Refusal {
  readonly operation: Operation;
  readonly from: number;
  readonly to: number;
}

function refusalsOf(
  operations: readonly Operation[],
  effects: ReadonlyMap<Operation, Effect>,
  floors: ReadonlyMap<Operation, number>,
  replies: ReadonlyMap<string, RememberedReply>,
  breaches: Breaches,
): Refusal[] {
  const begun = [...effects.values()].toSorted((a, b) =>
    a.operation.invoked.t - b.operation.invoked.t
  );
  // The lowest version that was made by what was asked for then or later.
  const lowest = begun.map(({ first }) => first);
  for (let at = lowest.length - 2; at >= 0; at--) {
    lowest[at] = Math.min(lowest[at]!, lowest[at + 1]!);
  }
  const refusals: Refusal[] = [];
  for (const operation of operations) {
    const { invoked, ended } = operation;
    if (ended?.type !== "fail" || invoked.f === "repeat" || invoked.f === "misuse") continue;
    const later = begun.findIndex(({ operation }) => operation.invoked.t > ended.t);
    // A plain read may be of a while ago.
    const from = invoked.f === "read" ? 0 : floors.get(operation)!;
    const to = later < 0 ? Infinity : lowest[later]! - 1;
    const reply = replies.get(invoked.idempotencyKey ?? "");
    if (reply === undefined) {
      refusals.push({ operation, from, to });
    } else if (reply.reason !== ended.value) {
      const text = `operation ${invoked.i}: told ${ended.value}, and kept ${reply.reason}`;
      breaches.add("answer", text);
    } else {
      const { version } = reply;
      if (version < from || version > to) {
        const text = `operation ${invoked.i}: ${reply.reason} at ${version}, not in ${from}–${to}`;
        breaches.add("false-rejection", text);
      }
      refusals.push({ operation, from: version, to: version });
    }
  }
  return refusals.toSorted((a, b) => a.from - b.from);
}

/** Plays all events by the rules, and looks at each version at what was told of it. */
function replayed(
  key: string,
  events: readonly RecordedEvent[],
  looks: Map<number, Look[]>,
  refusals: Refusal[],
  breaches: Breaches,
): ActorFindings {
  const rules = new LiveEventRules();
  let open: Refusal[] = [];
  let next = 0;
  const lookAround = (version: number) => {
    for (const look of looks.get(version) ?? []) {
      for (const text of look(rules)) breaches.add("answer", `${key} at ${version}: ${text}`);
    }
    looks.delete(version);
    while (next < refusals.length && refusals[next]!.from <= version) open.push(refusals[next++]!);
    open = open.filter(({ operation: { invoked, ended }, to }) => {
      if (version <= to && rules.refuses(invoked, ended!.value as string)) return false;
      if (to > version) return true;
      breaches.add("false-rejection", refusalText({ invoked, ended: ended!, version }));
      return false;
    });
  };
  lookAround(0);
  let stands = [{ version: 0, ...rules.counts }];
  events.forEach((event, index) => {
    const at = `${key} at ${event.version}, ${event.type}`;
    if (event.version !== index + 1) breaches.add("gap", `${at}: it is number ${index + 1}`);
    for (const text of rules.apply(event)) breaches.add("rule", `${at}: ${text}`);
    if (events[index + 1]?.causationId === event.causationId) return;
    for (const text of rules.atRest()) breaches.add("rule", `${at}: ${text}`);
    lookAround(event.version);
    const standing = { version: event.version, ...rules.counts };
    stands = event.isLate ? [...stands, standing] : [standing];
  });
  const version = events.length;
  for (const { operation: { invoked, ended } } of [...open, ...refusals.slice(next)]) {
    breaches.add("false-rejection", refusalText({ invoked, ended: ended!, version }));
  }
  for (const at of looks.keys()) {
    breaches.add("answer", `${key}: told of version ${at}, which is not`);
  }
  return { stands };
}

function refusalText(
  { invoked: { i, f, key }, ended: { value, http }, version }:
    & { readonly version: number }
    & Required<Pick<Operation, "invoked" | "ended">>,
): string {
  return `operation ${i}, ${f} of ${key}: ${value} (${http}) was never true up to ${version}`;
}
