/**
 * A rush through which the server is killed again and again, and started again on the same store; or
 * the store under it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { type CapturedAnswer, fire, type LoadPlan } from "../../bench/load_generator.ts";
import {
  assertExact,
  assertLists,
  historyOf,
  organizerToken,
  played,
  publishedEvent,
  registeredIn,
  send,
} from "../support/cluster.ts";
import { freePort, ServerProcess, type Variables } from "../support/server_process.ts";

const CAPACITY = 150;

/** Takes the store away and brings it back; told how often it was done before. */
export type Outage = (before: number) => Promise<void>;

/** One server at a time, always at the same address. */
class PhoenixServer implements AsyncDisposable {
  readonly #variables: Variables;
  readonly #outage: Outage | undefined;
  #process: ServerProcess;
  crashes = 0;

  private constructor(variables: Variables, process: ServerProcess, outage: Outage | undefined) {
    this.#variables = variables;
    this.#process = process;
    this.#outage = outage;
  }

  static async start(store: Variables, outage?: Outage): Promise<PhoenixServer> {
    const variables = { ...store, PORT: String(freePort()) };
    return new PhoenixServer(variables, await ServerProcess.start(variables), outage);
  }

  get url(): string {
    return this.#process.url;
  }

  /** Of the store, where there is an outage, and else of the server. */
  async crash(): Promise<void> {
    const before = this.crashes++;
    if (this.#outage !== undefined) return await this.#outage(before);
    await this.#process.crash();
    this.#process = await ServerProcess.start(this.#variables);
  }

  /** It ends as it should, and has taken nothing that befell it for a bug. */
  async end(): Promise<void> {
    this.#process.kill("SIGTERM");
    const { code, stderr } = await this.#process.ended;
    assert.deepEqual({ code, stderr }, { code: 0, stderr: [] });
    assert.deepEqual(this.#process.log.filter(({ level }) => level === "error"), []);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Sends the plan while something dies `crashes` times, evenly spread; all clients insist. */
async function insist(
  server: PhoenixServer,
  plan: Pick<LoadPlan, "method" | "path" | "requests" | "idempotencyKey"> & Partial<LoadPlan>,
  crashes: number,
): Promise<readonly CapturedAnswer[]> {
  let answered = 0;
  let recovering = Promise.resolve();
  let begun = 0;
  const crashDue = () => (begun + 1) * plan.requests / (crashes + 1);
  const { answers } = await fire({
    targets: [server.url],
    connections: 48,
    tokens: [organizerToken],
    attemptsMax: 10_000,
    isCaptured: true,
    ...plan,
  }, () => {
    answered++;
    if (begun === crashes || answered < crashDue()) return;
    begun++;
    recovering = recovering.then(() => server.crash());
    // Whoever waits for all of them hears of it.
    recovering.catch(() => {});
  });
  await recovering;
  return answers!;
}

export interface Rush {
  readonly requests: number;
  readonly crashes: number;
  /** What crashes instead of the server. */
  readonly outage?: Outage;
}

/** The test itself: `store` says which store the server has. */
export async function survivesCrashes(
  store: Variables,
  { requests, crashes, outage }: Rush,
): Promise<void> {
  await using server = await PhoenixServer.start(store, outage);
  const eventId = await publishedEvent(server, { capacity: CAPACITY, waitlistCapacity: requests });
  const registrations = `/api/v1/events/${eventId}/registrations`;
  const registering = {
    method: "POST",
    path: registrations,
    body: '{"userId":"user-{i}"}',
    idempotencyKey: "register-{i}",
    requests,
  };
  const registered = registeredIn(await insist(server, registering, crashes));
  assertExact(registered, CAPACITY);

  const afterRush = played(await historyOf(server, eventId));
  assert.equal(afterRush.registered.size, requests, "what is there is what was acknowledged");
  for (const { registrationId, ...acknowledged } of registered) {
    assert.deepEqual(afterRush.registered.get(registrationId), acknowledged);
  }
  const repeated = registeredIn(await insist(server, registering, 0));
  assert.deepEqual(repeated, registered, "whoever asks again is told the same");

  const leavers = registered.filter((_, user) => user % 3 === 0);
  const withdrawing = {
    method: "DELETE",
    path: `${registrations}/{id}`,
    ids: leavers.map(({ registrationId }) => registrationId),
    idempotencyKey: "withdraw-{i}",
    requests: leavers.length,
  };
  for (const { status, body } of await insist(server, withdrawing, 1)) {
    assert.equal(status, 204, body);
  }
  assert.equal(server.crashes, crashes + 1);

  const gone = new Set(withdrawing.ids);
  const standing = played(await historyOf(server, eventId));
  const left = [...standing.confirmed, ...standing.waitlisted];
  assert.equal(standing.confirmed.length, CAPACITY);
  assert.equal(left.length, requests - leavers.length);
  assert(left.every(({ registrationId }) => !gone.has(registrationId)));
  const inLine = afterRush.waitlisted.filter(({ registrationId }) => !gone.has(registrationId));
  const promoted = inLine.length - standing.waitlisted.length;
  assert.deepEqual(standing.waitlisted, inLine.slice(promoted), "the line has kept its order");
  const { consistencyToken } = await send(server, "GET", `/events/${eventId}`);
  await assertLists(server, eventId, standing, consistencyToken);
  await server.end();
}
