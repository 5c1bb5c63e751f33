/**
 * The service as its callers see it from outside: several processes perhaps, over one store. And
 * what must be true of all that they have answered.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { CapturedAnswer } from "../../bench/load_generator.ts";
import { tokenFor } from "./server_process.ts";

/** The one who makes the events, and registers people for them. */
export const organizerToken = await tokenFor("olga", "organizer");

export interface Answer {
  readonly status: number;
  // deno-lint-ignore no-explicit-any -- what is in it is what the test is about
  readonly body: any;
  readonly consistencyToken: string;
}

export interface Request {
  readonly body?: unknown;
  readonly token?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** `path` is what follows `/api/v1`. */
export async function send(
  server: { readonly url: string },
  method: string,
  path: string,
  { body, token = organizerToken, headers = {} }: Request = {},
): Promise<Answer> {
  const response = await fetch(`${server.url}/api/v1${path}`, {
    method,
    headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...headers },
    ...(body !== undefined && { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  return {
    status: response.status,
    body: text === "" ? undefined : JSON.parse(text),
    consistencyToken: response.headers.get("consistency-token") ?? "",
  };
}

export interface Seats {
  readonly capacity: number;
  readonly waitlistCapacity?: number;
}

/** The id of a new event that takes registrations. */
export async function publishedEvent(
  server: { readonly url: string },
  seats: Seats,
): Promise<string> {
  const [startsAt, endsAt] = ["2090-06-01T18:00:00.000Z", "2090-06-01T22:00:00.000Z"];
  const made = await send(server, "POST", "/events", {
    body: { title: "Rush", startsAt, endsAt, ...seats },
  });
  assert.equal(made.status, 201, JSON.stringify(made.body));
  const published = await send(server, "POST", `/events/${made.body.id}/publish`);
  assert.equal(published.status, 200, JSON.stringify(published.body));
  return made.body.id;
}

export interface Registered {
  readonly registrationId: string;
  readonly status: "confirmed" | "waitlisted";
  readonly position?: number;
  readonly version: number;
}

/** What was answered to registrations of which every one had to succeed. */
export function registeredIn(answers: readonly CapturedAnswer[]): Registered[] {
  return answers.map(({ status, body }) => {
    assert.equal(status, 201, body);
    return JSON.parse(body);
  });
}

/** Holds the answers to one rush on a new event to its seats. */
export function assertExact(registered: readonly Registered[], capacity: number): void {
  const ids = new Set(registered.map(({ registrationId }) => registrationId));
  assert.equal(ids.size, registered.length, "no registration was given twice");
  const confirmed = registered.filter(({ status }) => status === "confirmed");
  assert.equal(confirmed.length, Math.min(capacity, registered.length), "confirmed");
  const positions = registered.flatMap(({ position }) => position ?? []).sort((a, b) => a - b);
  assert.deepEqual(positions, positions.map((_, index) => index + 1), "positions");
}

export interface Recorded {
  readonly version: number;
  readonly type: string;
  readonly causationId: string;
  // deno-lint-ignore no-explicit-any -- what is in it follows from its type
  readonly data: any;
}

export async function historyOf(
  server: { readonly url: string },
  eventId: string,
): Promise<Recorded[]> {
  return await allPages(server, `/events/${eventId}/history?limit=200`);
}

interface Person {
  readonly registrationId: string;
  readonly userId: string;
}

export interface Standing {
  readonly confirmed: readonly Person[];
  /** In the order of their promotion. */
  readonly waitlisted: readonly Person[];
  /** By registration, as it was at first. */
  readonly registered: ReadonlyMap<string, Omit<Registered, "registrationId">>;
}

/**
 * Plays a whole history by the rules, in the simplest way there is, and tells where it ends.
 *
 * @throws where it is not linear, where a message had its effect twice, or where a rule was broken.
 */
export function played(history: readonly Recorded[]): Standing {
  const confirmed = new Map<string, Person>();
  const waitlisted = new Map<string, Person>();
  const registered = new Map<string, Omit<Registered, "registrationId">>();
  const users = new Set<string>();
  const messages = new Set<string>();
  let capacity = 0;
  let waitlistCapacity = Infinity;
  history.forEach(({ version, type, causationId, data }, index) => {
    const at = `version ${version}, ${type}`;
    assert.equal(version, index + 1, `${at}: the versions have no gap`);
    const isNewMessage = history[index - 1]?.causationId !== causationId;
    assert(!isNewMessage || !messages.has(causationId), `${at}: its message had effect before`);
    messages.add(causationId);
    const { registrationId, userId } = data;
    switch (type) {
      case "Scheduled":
        ({ capacity, waitlistCapacity = Infinity } = data);
        break;
      case "Registered":
        assert(confirmed.size < capacity, `${at}: a seat was free`);
        assert(!users.has(userId), `${at}: ${userId} was not registered`);
        users.add(userId);
        confirmed.set(registrationId, { registrationId, userId });
        registered.set(registrationId, { status: "confirmed", version });
        break;
      case "Waitlisted":
        assert.equal(confirmed.size, capacity, `${at}: no seat was free`);
        assert(waitlisted.size < waitlistCapacity, `${at}: there was room to wait`);
        assert(!users.has(userId), `${at}: ${userId} was not registered`);
        assert.equal(data.position, waitlisted.size + 1, `${at}: the position is the next one`);
        users.add(userId);
        waitlisted.set(registrationId, { registrationId, userId });
        registered.set(registrationId, { status: "waitlisted", position: data.position, version });
        break;
      case "Promoted":
        assert(!isNewMessage, `${at}: it follows from what freed the seat`);
        assert.equal(firstOf(waitlisted), registrationId, `${at}: the first in line`);
        waitlisted.delete(registrationId);
        confirmed.set(registrationId, { registrationId, userId });
        break;
      case "Withdrawn": {
        const from = data.status === "confirmed" ? confirmed : waitlisted;
        assert(from.delete(registrationId), `${at}: it was ${data.status}`);
        users.delete(userId);
      }
    }
    const isOver = history[index + 1]?.causationId !== causationId;
    const mayWait = confirmed.size === capacity || waitlisted.size === 0;
    assert(!isOver || mayWait, `${at}: nobody waits while a seat is free`);
  });
  return { confirmed: [...confirmed.values()], waitlisted: [...waitlisted.values()], registered };
}

function firstOf(people: ReadonlyMap<string, Person>): string | undefined {
  for (const registrationId of people.keys()) return registrationId;
  return undefined;
}

/** Holds a server's lists of an event to what its history came to, once they show that token. */
export async function assertLists(
  server: { readonly url: string },
  eventId: string,
  { confirmed, waitlisted }: Standing,
  consistencyToken: string,
): Promise<void> {
  const listed = async (status: string) => {
    const path = `/events/${eventId}/registrations?limit=200&status=${status}`;
    const items = await allPages<Person>(server, path, { "consistency-token": consistencyToken });
    return items.map(({ registrationId, userId }) => ({ registrationId, userId }));
  };
  const byId = (a: Person, b: Person) => a.registrationId < b.registrationId ? -1 : 1;
  assert.deepEqual((await listed("confirmed")).sort(byId), confirmed.toSorted(byId));
  assert.deepEqual(await listed("waitlisted"), waitlisted, "in the order of the waitlist");
  const { body } = await send(server, "GET", `/events?limit=200&organizerId=olga`);
  const found = body.items.find(({ id }: { id: string }) => id === eventId);
  assert.deepEqual(
    [found?.confirmed, found?.waitlisted],
    [confirmed.length, waitlisted.length],
    "the counts in the list of events",
  );
}

async function allPages<Item>(
  server: { readonly url: string },
  path: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<Item[]> {
  const items: Item[] = [];
  for (let cursor = "";;) {
    const answer = await send(server, "GET", `${path}${cursor}`, { headers });
    // A transaction of somebody else on the same database server holds lists up: ask again.
    if (answer.status === 503) continue;
    assert.equal(answer.status, 200, JSON.stringify(answer.body));
    items.push(...answer.body.items);
    if (answer.body.nextCursor === undefined) return items;
    cursor = `&cursor=${answer.body.nextCursor}`;
  }
}
