/** All that is asked of the service in such a run, and what is written down of the answers. */
import { systemEnv } from "../../lib/env.ts";
import type { Wish } from "./client.ts";
import type { Answered } from "./http_client.ts";
import type { Counts } from "./rules.ts";

export interface Person {
  readonly id: string;
  readonly token: string;
}

export interface Seats {
  readonly capacity: number;
  readonly waitlistCapacity: number;
  readonly offerMinutes?: number;
}

const [startsAt, endsAt] = ["2090-06-01T18:00:00.000Z", "2090-06-01T22:00:00.000Z"];

export function scheduling(organizer: Person, seats: Seats): Wish {
  const body = JSON.stringify({ title: "Chaos", startsAt, endsAt, ...seats });
  return {
    ...by(organizer, "schedule", "", "POST", "/events", body),
    told: ({ version, body }) => ({ key: body.id, version: version!, value: countsOf(body) }),
  };
}

export function publishing(organizer: Person, key: string): Wish {
  const wish = by(organizer, "publish", key, "POST", `/events/${key}/publish`);
  return { ...wish, told: countsTold };
}

/** Under a title that it never had before, so that it leads to something. */
export function revising(organizer: Person, key: string, capacity?: number): Wish {
  const body = JSON.stringify({ title: systemEnv.uuid(), capacity });
  const wish = by(organizer, "revise", key, "PATCH", `/events/${key}`, body);
  return { ...wish, ...(capacity !== undefined && { capacity }), told: countsTold };
}

export function registering(person: Person, key: string): Wish {
  return {
    ...by(person, "register", key, "POST", `/events/${key}/registrations`),
    told: registrationTold,
  };
}

export function accepting(person: Person, key: string, registrationId: string): Wish {
  const path = `/events/${key}/registrations/${registrationId}/accept`;
  return {
    ...by(person, "accept", key, "POST", path),
    registrationId,
    told: registrationTold,
  };
}

export function withdrawing(person: Person, key: string, registrationId: string): Wish {
  const path = `/events/${key}/registrations/${registrationId}`;
  return {
    ...by(person, "withdraw", key, "DELETE", path),
    registrationId,
    told: ({ version }) => ({ version: version!, value: null }),
  };
}

export function reading(person: Person, key: string, isStrong: boolean): Wish {
  return {
    f: isStrong ? "strong-read" : "read",
    key,
    who: person.id,
    request: { method: "GET", path: `/events/${key}`, token: person.token, ...strong(isStrong) },
    told: countsTold,
  };
}

/** How somebody stands who is registered. */
export function standing({ id, token }: Person, key: string): Wish {
  const path = `/events/${key}/registrations/me`;
  return {
    f: "standing",
    key,
    who: id,
    request: { method: "GET", path, token, ...strong(true) },
    told: ({ version, body: { registrationId, userId, status, position } }) => {
      const place = { registrationId, userId, status, ...(position !== undefined && { position }) };
      return { version: version!, value: place };
    },
  };
}

/** The same again, under the same key. */
export function repeated(wish: Wish, of: number): Wish {
  const { keyed, ...rest } = wish;
  // Under another name, so that whatever it leads to shows that it was this.
  return { ...rest, f: "repeat", of, keyed: { ...keyed!, command: systemEnv.uuid() } };
}

/** Something else under the key of an earlier wish. */
export function misused(wish: Wish, of: number): Wish {
  const request = { ...wish.request, body: `${wish.request.body ?? "{}"} ` };
  return { ...repeated({ ...wish, request }, of), f: "misuse" };
}

export function by(
  { id, token }: Person,
  f: Wish["f"],
  key: string,
  method: string,
  path: string,
  body?: string,
): Omit<Wish, "told"> {
  const command = systemEnv.uuid();
  return {
    f,
    key,
    who: id,
    request: { method, path, token, ...(body !== undefined && { body }) },
    keyed: { command, idempotencyKey: `${f}-${command}` },
  };
}

function strong(isStrong: boolean) {
  return isStrong ? { headers: { "cache-control": "no-cache" } } : {};
}

function countsTold({ version, body }: Answered) {
  return { version: version!, value: countsOf(body) };
}

function registrationTold({ body: { version, ...registration } }: Answered) {
  return { version, value: registration };
}

function countsOf({ status, capacity, confirmed, waitlisted, offered }: Counts): Counts {
  return { status, capacity, confirmed, waitlisted, offered };
}
