/**
 * A rush through which the server is killed again and again, and started again on the same store.
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

/** One server at a time, always at the same address. */
class PhoenixServer implements AsyncDisposable {
  readonly #variables: Variables;
  #process: ServerProcess;
  crashes = 0;

  private constructor(variables: Variables, process: ServerProcess) {
    this.#variables = variables;
    this.#process = process;
  }

  static async start(store: Variables): Promise<PhoenixServer> {
    const variables = { ...store, PORT: String(freePort()) };
    return new PhoenixServer(variables, await ServerProcess.start(variables));
  }

  get url(): string {
    return this.#process.url;
  }

  async crash(): Promise<void> {
    await this.#process.crash();
    this.crashes++;
    this.#process = await ServerProcess.start(this.#variables);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#process[Symbol.asyncDispose]();
  }
}

/** Sends the plan while the server dies `crashes` times, evenly spread; all clients insist. */
async function insist(
  server: PhoenixServer,
  plan: Pick<LoadPlan, "method" | "path" | "requests" | "idempotencyKey"> & Partial<LoadPlan>,
  crashes: number,
): Promise<readonly CapturedAnswer[]> {
  let answered = 0;
  const recoveries: Promise<void>[] = [];
  const crashDue = () => (recoveries.length + 1) * plan.requests / (crashes + 1);
  const { answers } = await fire({
    targets: [server.url],
    connections: 48,
    tokens: [organizerToken],
    attemptsMax: 10_000,
    isCaptured: true,
    ...plan,
  }, () => {
    answered++;
    if (recoveries.length < crashes && answered >= crashDue()) recoveries.push(server.crash());
  });
  await Promise.all(recoveries);
  return answers!;
}

/** The test itself: `store` says which store the server has. */
export async function survivesCrashes(
  store: Variables,
  { requests, crashes }: { readonly requests: number; readonly crashes: number },
): Promise<void> {
  await using server = await PhoenixServer.start(store);
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
}
