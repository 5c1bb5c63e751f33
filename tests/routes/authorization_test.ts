/**
 * Who may call what: every operation by everybody. What is to be heard follows from what is declared;
 * what is declared and has no valid request in `valid_requests.ts` fails here.
 */
import assert from "node:assert/strict";
import type { Operation } from "../../lib/http/operation.ts";
import { type Answer, assertProblem, type Client, published, since } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import {
  aliceRoles,
  declaredIn,
  mayCall,
  mostPowerful,
  pathOf,
  requestFor,
  Scene,
  sent,
  type ValidRequest,
  validRequests,
} from "../support/valid_requests.ts";

const database = await databaseOfThisFile();
const { operations } = await declaredIn(database);

Deno.test("every operation has a valid request, and there is none for what is no operation", () => {
  const ids = operations.map(({ id }) => id);
  assert.deepEqual(Object.keys(validRequests).toSorted(), ids.toSorted());
});

const operating = ["jobs", "flows", "schedules", "operations"];

/** Who is let in, said once more: to open something to others is a change in two places. */
function accessWanted({ id, tag }: Operation): string {
  if (tag === "health" || tag === "documentation") return "anyone";
  if (tag === "identity") return identity[id] ?? "caller";
  if (operating.includes(tag)) return "admin";
  if (["pauseMarket", "resumeMarket", "replayWebhook"].includes(id)) return "admin";
  if (["quotePrice", "recordSentiment"].includes(id)) return "feed or admin";
  if (tag === "webhooks" || id === "scheduleEvent") return "organizer or admin";
  return trading.has(id) ? "trader or admin" : "caller";
}

const identity: Readonly<Record<string, string>> = {
  getKeySet: "anyone",
  signUp: "anyone",
  verifyEmail: "anyone",
  signIn: "anyone",
  refreshSession: "anyone",
  listUsers: "admin",
  getUser: "admin",
  disableUser: "admin",
  enableUser: "admin",
  setRoles: "admin",
};

const trading = new Set([
  "deposit",
  "withdraw",
  "placeOrder",
  "rebalance",
  "setLimits",
  "pauseTrading",
  "resumeTrading",
]);

const accessOf = ({ access }: Operation) =>
  typeof access === "string" ? access : access.join(" or ");

Deno.test("every operation lets in whom it should", () => {
  for (const operation of operations) {
    assert.equal(accessOf(operation), accessWanted(operation), operation.id);
  }
});

/** None of them has anything of alice's; the last are let in to more. */
function strangersIn({ api }: Scene) {
  return {
    "a user": { client: api.as("ben", "user"), roles: ["user"] },
    "another user": { client: api.as("cora"), roles: [] },
    "an organizer of another event": { client: api.as("olga", "organizer"), roles: ["organizer"] },
    "a trader": { client: api.as("tara", "trader"), roles: ["trader"] },
    "a feed": { client: api.as("fred", "feed"), roles: ["feed"] },
  };
}

for (const operation of operations) {
  const { id, others } = operation;
  Deno.test(`${id} is for ${accessOf(operation)}${others === undefined ? "" : `, and ${others} to others`}`, async () => {
    await using scene = new Scene(database);
    const request = await requestFor(operation, scene);
    await hearsAnonymous(scene, operation, request);
    await published(scene.api.as("olga", "organizer"));
    for (const [who, { client, roles }] of Object.entries(strangersIn(scene))) {
      await hears(who, { client, roles, operation, request });
    }
    // Nothing has come of it so far: what was hers is as it was.
    const hers = goodOnce.has(id) ? await requestFor(operation, scene) : request;
    const own = await sent(scene.alice, operation, hers);
    if (mayCall(operation, aliceRoles)) assertLetIn("alice", own);
    else assertProblem(own, 403, "/problems/forbidden");
    const another = await requestFor(operation, scene);
    const managed = await sent(scene.admin, operation, another);
    const refusal = forOwnerAlone.get(id);
    if (refusal !== undefined) assert.equal(managed.status, refusal, managed.text);
    else if (isAboutCaller(operation)) assertNotRefused("an administrator", managed);
    else assertLetIn("an administrator", managed);
  });
}

/** What not even an administrator does for another: nobody is seated who did not want the seat. */
const forOwnerAlone = new Map([["acceptOffer", 403], ["endSession", 404], ["revokeApiKey", 404]]);

/** What the first who sends it has used up. */
const goodOnce = new Set(["verifyEmail"]);

/** What others do by it they do with what is their own, which may not be there. */
function isAboutCaller(operation: Operation): boolean {
  return operation.others === undefined && mayCall(operation, aliceRoles);
}

async function hearsAnonymous(
  { api }: Scene,
  operation: Operation,
  request: ValidRequest,
): Promise<void> {
  const answer = await sent(api.bearing(undefined), operation, request);
  if (operation.access === "anyone") return assertLetIn("anybody", answer);
  assertProblem(answer, 401, "/problems/unauthenticated");
  assertProblem(
    await sent(api.bearing("e30.e30.e30"), operation, request),
    401,
    "/problems/unauthenticated",
  );
}

interface Call {
  readonly client: Client;
  readonly roles: readonly string[];
  readonly operation: Operation;
  readonly request: ValidRequest;
}

async function hears(who: string, { client, roles, operation, request }: Call): Promise<void> {
  const answer = await sent(client, operation, request);
  if (!mayCall(operation, roles)) return assertProblem(answer, 403, "/problems/forbidden");
  switch (operation.others) {
    case undefined:
      return assertNotRefused(who, answer);
    case 403:
      assert.equal(answer.status, 403, `${who}: ${answer.text}`);
      assert.notEqual(answer.body.type, "/problems/forbidden");
      return;
    case 404:
      assert.equal(answer.status, 404, `${who}: ${answer.text}`);
      assert.deepEqual(said(answer), said(await sent(client, operation, missing(request))));
  }
}

/** The same of what has never been. */
function missing({ params = {}, ...request }: ValidRequest): ValidRequest {
  const last = Object.keys(params).at(-1)!;
  return { ...request, params: { ...params, [last]: crypto.randomUUID() } };
}

/** All of an answer that could tell one thing from another. */
function said({ status, headers, body: { instance: _, ...body } }: Answer) {
  return { status, body, headers: [...headers.keys()].toSorted() };
}

function assertNotRefused(who: string, { status, text }: Answer): void {
  assert(![401, 403].includes(status) && status < 500, `${who} is refused: ${status} ${text}`);
}

function assertLetIn(who: string, { status, text }: Answer): void {
  assert(status < 400, `${who} is refused: ${status} ${text}`);
}

/** What of alice's is hers alone is in what she reads by these, and in nothing that others read. */
const showing = [
  "getEvent",
  "getOrder",
  "getOwnRegistration",
  "getPortfolio",
  "getWebhook",
  "analyzeRisk",
  "getMe",
  "listApiKeys",
  "listEvents",
  "listOrders",
  "listOwnNotices",
  "listOwnRegistrations",
  "listPositions",
  "listRiskAlerts",
  "listWebhooks",
];

Deno.test("nobody reads what is another's, nor after its owner has just read it", async () => {
  await using scene = new Scene(database);
  const strangers = Object.values(strangersIn(scene));
  const own = operations.filter(isOwnView);
  const blank = new Map<string, unknown>();
  for (const operation of own) {
    for (const { client } of strangers) {
      blank.set(`${operation.id} ${client.id}`, timeless(await sent(client, operation, {})));
    }
  }
  const reading = operations.filter((operation) =>
    operation.method === "get" && mayCall(operation, aliceRoles)
  );
  const requests = new Map<Operation, ValidRequest>();
  for (const operation of reading) requests.set(operation, await requestFor(operation, scene));
  const last = await scene.alice.post("/events", (await validRequests.scheduleEvent!(scene)).body);
  const shown = [];
  for (const [operation, request] of requests) {
    const path = pathOf(operation, request);
    const toAlice = await scene.alice.get(path, since(last));
    assertLetIn("alice", toAlice);
    if (secretsIn(toAlice, scene).length > 0) shown.push(operation.id);
    for (const { client } of strangers) {
      const answer = await client.get(path, since(last));
      assert.deepEqual(secretsIn(answer, scene), [], `${operation.id} tells them ${client.id}`);
      const before = blank.get(`${operation.id} ${client.id}`);
      if (before !== undefined) assert.deepEqual(timeless(answer), before, operation.id);
    }
  }
  assert.deepEqual(shown.toSorted(), showing.toSorted());
});

/** What is about nobody but the caller. */
function isOwnView({ method, path, tag, access }: Operation): boolean {
  if (method !== "get" || path.includes("{")) return false;
  return access === "caller" && (tag === "trading" || path.startsWith("/api/v1/me/"));
}

function timeless({ text }: Answer): unknown {
  return JSON.parse(text.replaceAll(/"\d{4}-\d\d-\d\dT[\d:.]+Z"/g, '"then"'));
}

function secretsIn({ text, path }: Answer, { secrets }: Scene): readonly string[] {
  const told = text.replace(JSON.stringify(path), "");
  return secrets.filter((secret) => told.includes(secret));
}

Deno.test("to others a draft is what has never been, whatever they do with it", async () => {
  await using scene = new Scene(database);
  const ofEvent = operations.filter(({ path }) => path.startsWith("/api/v1/events/{id}"));
  assert(ofEvent.length >= 10);
  const draft = (await validRequests.publishEvent!(scene)).params!.id!;
  for (const operation of ofEvent) {
    const request = await requestFor(operation, scene);
    const about = (id: string) => ({ ...request, params: { ...request.params, id } });
    for (const { client } of Object.values(strangersIn(scene))) {
      const answer = await sent(client, operation, about(draft));
      assert.equal(answer.status, 404, `${operation.id}: ${answer.text}`);
      const never = await sent(client, operation, about(crypto.randomUUID()));
      assert.deepEqual(said(answer), said(never), operation.id);
    }
  }
});

Deno.test("what has never been is found by nobody", async () => {
  await using scene = new Scene(database);
  const ofThing = operations.filter(({ path }) => /\{\w*[iI]d\}/.test(path));
  assert(ofThing.length >= 35);
  for (const operation of ofThing) {
    const request = await requestFor(operation, scene);
    const caller = mostPowerful(scene, operation);
    const answer = await sent(caller, operation, missing(request));
    assert.equal(answer.status, 404, `${operation.id}: ${answer.text}`);
  }
});

const byAccount = operations.filter(({ query }) =>
  Object.hasOwn((query as { shape?: object } | undefined)?.shape ?? {}, "accountId")
);

Deno.test("whose account it is about is the caller's to say only if that is an administrator", async () => {
  await using scene = new Scene(database);
  assert(byAccount.length >= 7);
  for (const operation of byAccount) {
    const request = { query: `?accountId=${scene.alice.id}` };
    assertLetIn("alice", await sent(scene.alice, operation, request));
    assertLetIn("an administrator", await sent(scene.admin, operation, request));
    for (const { client } of Object.values(strangersIn(scene))) {
      assertProblem(await sent(client, operation, request), 403, "/problems/forbidden");
    }
  }
});
