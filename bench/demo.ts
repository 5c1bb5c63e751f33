/**
 * `deno task demo`: a ticket rush against a running server, shown as it goes and checked afterwards.
 *
 *     demo.ts [--url=http://127.0.0.1:8000] [--people=20000] [--seats=1000] [--connections=64]
 *
 * People hold tokens made with the server's own key: run it with the same `DATA_DIR` or
 * `TOKEN_SECRET`. It exits with 1 if anything is not exact, with 2 if it could not run at all.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { ApiClient, type EventView, type ListedRegistration } from "./api_client.ts";
import { RushProgress } from "./demo_progress.ts";
import { faultsInRush } from "./exactness.ts";
import { type CapturedAnswer, fire, type LoadReport } from "./load_generator.ts";
import { openMint } from "./token_mint.ts";
import {
  concludeWith,
  counted,
  serverUrlDefault,
  serverUrlFrom,
  tellCheck,
  wholeNumberFrom,
} from "./verdicts.ts";

interface Options {
  readonly url: string;
  readonly people: number;
  readonly seats: number;
  readonly connections: number;
}

/** What the rush was about and what it led to. */
interface Rush {
  readonly eventId: string;
  readonly tokens: readonly string[];
  readonly registrations: readonly Registered[];
}

interface Registered {
  readonly registrationId: string;
  readonly status: "confirmed" | "waitlisted";
  readonly position?: number;
}

// With the pause in between, ten seconds in which a server may be restarted.
const attemptsMax = 200;
const readers = 10;
const quittersWaiting = 5;
const quittersSeated = 25;

function optionsFrom(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      url: { type: "string", default: serverUrlDefault },
      people: { type: "string", default: "20000" },
      seats: { type: "string", default: "1000" },
      connections: { type: "string", default: "64" },
    },
  });
  return {
    url: serverUrlFrom(values.url),
    people: wholeNumberFrom("people", values.people),
    seats: wholeNumberFrom("seats", values.seats),
    connections: wholeNumberFrom("connections", values.connections),
  };
}

async function demo(options: Options): Promise<string[]> {
  const { url, people, seats } = options;
  const anyone = new ApiClient(url, "");
  await anyone.expectReady();
  const mint = await openMint();
  const organizer = new ApiClient(url, await mint("demo-organizer", ["organizer"]));
  // Long lists have more pages than one of them may ask for in a minute.
  const names = Array.from({ length: readers }, (_, index) => `demo-reader-${index}`);
  const admins = await Promise.all(names.map((name) => mint(name, ["admin"])));
  const reader = new ApiClient(url, ...admins);
  const event = await publishedEvent(organizer, seats);
  console.log(`${url}: event ${event.id} has ${counted(seats)} seats`);

  console.log(`${counted(people)} people get their tokens`);
  const tokens = await Promise.all(
    Array.from({ length: people }, (_, i) => mint(personOf(event.id, i), [])),
  );
  const report = await rushed(options, event.id, tokens);
  printReport(report);

  const rush = { eventId: event.id, tokens, registrations: registrationsIn(report.answers ?? []) };
  const faults = faultsInRush(report.answers ?? [], seats);
  tellCheck(`The answers: ${counted(seats)} confirmed at most, positions without gap`, faults);
  if (faults.length > 0) return faults;
  faults.push(...await faultsInReadBack(reader, rush));
  faults.push(...await faultsInPromotion(reader, url, rush));
  return faults;
}

async function publishedEvent(organizer: ApiClient, seats: number): Promise<EventView> {
  const tomorrow = Date.now() + 24 * 3_600_000;
  const event = await organizer.post<EventView>("/events", {
    title: "Demo: the rush",
    startsAt: new Date(tomorrow).toISOString(),
    endsAt: new Date(tomorrow + 2 * 3_600_000).toISOString(),
    capacity: seats,
  });
  return await organizer.post<EventView>(`/events/${event.id}/publish`, {});
}

/** Everybody registers for themselves, under a key with which they may safely ask again. */
async function rushed(
  { url, people, connections }: Options,
  eventId: string,
  tokens: readonly string[],
): Promise<LoadReport> {
  using progress = new RushProgress(people);
  return await fire({
    targets: [url],
    connections: Math.min(connections, people),
    requests: people,
    method: "POST",
    path: `/api/v1/events/${eventId}/registrations`,
    body: "{}",
    tokens,
    idempotencyKey: `demo-${eventId}-{i}`,
    attemptsMax,
    isCaptured: true,
  }, (_, answer, latencyMs) => progress.add(answer, latencyMs));
}

function registrationsIn(answers: readonly CapturedAnswer[]): Registered[] {
  return answers.filter(({ status }) => status === 201).map(({ body }) => JSON.parse(body));
}

/** The event and its lists, read back, must tell what people were answered. */
async function faultsInReadBack(reader: ApiClient, rush: Rush): Promise<string[]> {
  const waiting = waitingIn(rush);
  const seated = rush.registrations.filter(({ status }) => status === "confirmed");
  const faults = await faultsInCounts(reader, rush, seated.length, waiting.length);
  tellCheck("GET /events/:id counts them", faults);

  const listed = await reader.registrations(rush.eventId);
  const listFaults = differences(
    "confirmed",
    idsOf(listed, "confirmed").toSorted(),
    seated.map(({ registrationId }) => registrationId).toSorted(),
  );
  listFaults.push(...differences("waitlisted", idsOf(listed, "waitlisted"), waiting));
  tellCheck(
    `GET /events/:id/registrations lists all ${counted(listed.length)}, in order`,
    listFaults,
  );
  return [...faults, ...listFaults];
}

/** Some who wait leave, some who have seats leave, and whoever waited longest must move up. */
async function faultsInPromotion(
  reader: ApiClient,
  url: string,
  rush: Rush,
): Promise<string[]> {
  const waiting = waitingIn(rush);
  const leavingWait = waiting.filter((_, index) => index % 2 === 1).slice(0, quittersWaiting);
  const seated = rush.registrations.filter(({ status }) => status === "confirmed");
  const leavingSeats = seated.slice(0, quittersSeated).map(({ registrationId }) => registrationId);
  await leave(url, rush, leavingWait);
  await leave(url, rush, leavingSeats);
  const left = waiting.filter((id) => !leavingWait.includes(id));
  const promoted = left.slice(0, leavingSeats.length);
  const stillWaiting = left.slice(promoted.length);

  const seatedNow = seated.length - leavingSeats.length + promoted.length;
  const faults = await faultsInCounts(reader, rush, seatedNow, stillWaiting.length);
  const listed = await reader.registrations(rush.eventId);
  const expected = [...seated.map(({ registrationId }) => registrationId), ...promoted]
    .filter((id) => !leavingSeats.includes(id));
  faults.push(
    ...differences("confirmed", idsOf(listed, "confirmed").toSorted(), expected.toSorted()),
    ...differences("waitlisted", idsOf(listed, "waitlisted"), stillWaiting),
    ...differences(
      "withdrawn",
      idsOf(listed, "withdrawn").toSorted(),
      [...leavingWait, ...leavingSeats].toSorted(),
    ),
  );
  if (promoted.length > 0) faults.push(...await faultsInStanding(url, rush, promoted.at(-1)!));
  if (stillWaiting.length > 0) {
    faults.push(...await faultsInStanding(url, rush, stillWaiting[0]!, 1));
  }
  tellCheck(
    `${leavingSeats.length} seats and ${leavingWait.length} waiting people given up: ` +
      `the ${promoted.length} who waited longest moved up`,
    faults,
  );
  return faults;
}

/** Everybody at once, each with their own token. */
async function leave(url: string, rush: Rush, registrationIds: readonly string[]): Promise<void> {
  await Promise.all(
    registrationIds.map((registrationId) =>
      clientOf(url, rush, registrationId).delete(
        `/events/${rush.eventId}/registrations/${registrationId}`,
      )
    ),
  );
}

/** What the person themselves is told: a seat, or `position`. */
async function faultsInStanding(
  url: string,
  rush: Rush,
  registrationId: string,
  position?: number,
): Promise<string[]> {
  const person = clientOf(url, rush, registrationId);
  const standing = await person.get<Registered>(`/events/${rush.eventId}/registrations/me`);
  const expected = position === undefined ? "confirmed" : "waitlisted";
  return standing.status === expected && standing.position === position ? [] : [
    `${registrationId} stands as ${JSON.stringify(standing)}, not ${expected} ${position ?? ""}`,
  ];
}

async function faultsInCounts(
  reader: ApiClient,
  { eventId }: Rush,
  confirmed: number,
  waitlisted: number,
): Promise<string[]> {
  const event = await reader.get<EventView>(`/events/${eventId}`, { isStrong: true });
  return event.confirmed === confirmed && event.waitlisted === waitlisted ? [] : [
    `the event counts ${event.confirmed} confirmed and ${event.waitlisted} waitlisted, ` +
    `not ${confirmed} and ${waitlisted}`,
  ];
}

/** Ids of those who were told to wait, whoever was told the first position first. */
function waitingIn({ registrations }: Rush): string[] {
  return registrations
    .filter(({ status }) => status === "waitlisted")
    .toSorted((a, b) => a.position! - b.position!)
    .map(({ registrationId }) => registrationId);
}

function clientOf(url: string, { registrations, tokens }: Rush, registrationId: string): ApiClient {
  const index = registrations.findIndex((registered) =>
    registered.registrationId === registrationId
  );
  return new ApiClient(url, tokens[index]!);
}

function idsOf(listed: readonly ListedRegistration[], status: string): string[] {
  return listed.filter((item) => item.status === status).map((item) => item.registrationId);
}

function differences(what: string, is: readonly string[], expected: readonly string[]): string[] {
  if (is.length !== expected.length) return [`${is.length} are ${what}, not ${expected.length}`];
  const at = expected.findIndex((id, index) => is[index] !== id);
  return at < 0 ? [] : [`${what} number ${at + 1} is ${is[at]}, not ${expected[at]}`];
}

function personOf(eventId: string, index: number): string {
  return `${eventId.slice(0, 8)}-person-${index}`;
}

function printReport({ requests, seconds, perSecond, p50Ms, p99Ms, maxMs, retries }: LoadReport) {
  console.log(
    `${counted(requests)} registrations in ${seconds.toFixed(1)} s: ${
      counted(perSecond)
    } a second, ` +
      `half within ${p50Ms.toFixed(1)} ms, 99 % within ${p99Ms.toFixed(1)} ms, ` +
      `all within ${maxMs.toFixed(0)} ms; ${retries} asked again`,
  );
}

await concludeWith(() => demo(optionsFrom(Deno.args)));
