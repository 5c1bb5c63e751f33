/**
 * For each operation a request that makes sense, about something that is alice's where it is about
 * something that is somebody's. Whatever is declared has its line here.
 *
 * @module
 */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { z } from "zod";
import { publicEventTypes } from "../../actors/live_event/public_events.ts";
import * as LoginName from "../../actors/login_name/aggregate.ts";
import * as User from "../../actors/user/aggregate.ts";
import type { Operation } from "../../lib/http/operation.ts";
import { defineJob, Unretryable } from "../../lib/jobs/job.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import { PostgresAudit } from "../../lib/postgres/audit.ts";
import { auditKeyOf } from "../../lib/postgres/audit_chain.ts";
import { PostgresAuditSealing } from "../../lib/postgres/audit_seals.ts";
import type { Database } from "../../lib/postgres/database.ts";
import {
  type Answer,
  Api,
  type Client,
  draft,
  eventuallyEqual,
  plan,
  published,
  registered,
} from "./api.ts";
import { loginKeyOf } from "../../routes/identity.ts";
import * as Counter from "./counter.ts";
import { PASSWORD, PASSWORD_HASH, signedUp, someAddress, tokenIn } from "./people.ts";
import { order, untilStatus } from "./trading_scene.ts";

export interface ValidRequest {
  /** By name, as the path has them in braces. */
  readonly params?: Readonly<Record<string, string>>;
  /** With its question mark. */
  readonly query?: string;
  readonly body?: Readonly<Record<string, unknown>>;
}

const HOUR_MS = 3_600_000;
const Numbered = z.strictObject({ n: z.int() });
/** What is due after an hour is found waiting by every test. */
const later = defineJob({ type: "later", queue: "later", payload: Numbered });
const flawed = defineJob({ type: "flawed", queue: "flawed", payload: Numbered });

/** One service with people who have things; `secrets` are in what is alice's alone. */
export class Scene implements AsyncDisposable {
  readonly api: Api;
  readonly database: Database;
  readonly secrets: string[] = [];
  readonly alice: Client;
  readonly admin: Client;
  readonly feed: Client;
  /** Has events of her own, to which others come. */
  readonly iris: Client;

  constructor(database: Database) {
    this.database = database;
    this.api = new Api(database, {
      bindings: [
        handles(later, () => {}),
        handles(flawed, () => {
          throw new Unretryable("no luck");
        }),
      ],
      webhooks: { allowedHosts: ["sink.test"], resolve: () => Promise.resolve(["127.0.0.1"]) },
    });
    this.api.system.host(Counter, { restartsMax: 0, quarantinedMax: 0 });
    this.alice = this.api.asUser(crypto.randomUUID(), ...aliceRoles);
    this.admin = this.api.as("ada", "admin");
    this.feed = this.api.as("frank", "feed");
    this.iris = this.api.as("iris", "organizer");
  }

  /** A word that is nowhere else, in what only alice may see. */
  secret(word: string = `secret-${crypto.randomUUID()}`): string {
    this.secrets.push(word);
    return word;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.api[Symbol.asyncDispose]();
    assert.deepEqual(this.api.bugs, []);
  }
}

type Maker = (scene: Scene) => ValidRequest | Promise<ValidRequest>;

const nothing: Maker = () => ({});

const ofDraft: Maker = async (scene) => {
  const path = await draft(scene.alice, { title: scene.secret() });
  return { params: { id: idIn(path) } };
};

/** Everybody sees it, and she alone manages it. */
const ofPublished: Maker = async ({ alice }) => {
  return { params: { id: idIn(await published(alice, { capacity: 100 })) } };
};

const ofOthersEvent: Maker = async ({ iris }) => {
  return { params: { id: idIn(await published(iris, { capacity: 100 })) } };
};

const ofRegistered: Maker = async (scene) => {
  const { alice, iris } = scene;
  const event = await published(iris, { capacity: 100 });
  const registrationId = scene.secret(await registered(alice, event));
  return { params: { id: idIn(event), registrationId } };
};

const onlyEvent = (maker: Maker): Maker => async (scene) => {
  const { id } = (await maker(scene)).params!;
  return { params: { id: id! } };
};

const ofOffered: Maker = async ({ api, alice, iris }) => {
  const event = await published(iris, { capacity: 1, offerMinutes: 30 });
  const ann = api.as("ann");
  const first = await registered(ann, event);
  const registrationId = await registered(alice, event);
  fine(await ann.delete(`${event}/registrations/${first}`));
  return { params: { id: idIn(event), registrationId } };
};

async function newSymbol({ feed }: Scene): Promise<string> {
  const letters = crypto.randomUUID().replaceAll("-", "").slice(0, 10).toUpperCase();
  const symbol = `S${letters}`;
  fine(await feed.post(`/markets/${symbol}/prices`, { price: "10" }));
  return symbol;
}

const ofMarket: Maker = async (scene) => ({ params: { symbol: await newSymbol(scene) } });

const ofPaused: Maker = async (scene) => {
  const symbol = await newSymbol(scene);
  fine(await scene.admin.post(`/markets/${symbol}/pause`));
  return { params: { symbol } };
};

const ofAlert: Maker = async (scene) => {
  const symbol = await newSymbol(scene);
  const asked = { condition: "price-at-least", price: "1000" };
  const { body } = fine(await scene.alice.post(`/markets/${symbol}/alerts`, asked));
  return { params: { symbol, alertId: scene.secret(body.id) } };
};

const ofTriggered: Maker = async (scene) => {
  const { params } = await ofAlert(scene);
  fine(await scene.feed.post(`/markets/${params!.symbol}/prices`, { price: "1001" }));
  return { params: { symbol: params!.symbol! } };
};

const withCash: Maker = async ({ alice }) => {
  fine(await alice.post("/accounts/deposits", { amount: "1000.00", currency: "USD" }));
  return {};
};

const withShares: Maker = async (scene) => {
  const symbol = scene.secret(await newSymbol(scene));
  const shares = { symbol, quantity: "7", price: "8" };
  fine(await scene.alice.post("/accounts/deposits", shares));
  return {};
};

/** An order of hers that waits. */
async function waitingIn(scene: Scene, symbol: string, quantity: string): Promise<string> {
  await withCash(scene);
  const { body } = fine(await scene.alice.post("/orders", order(symbol, "buy", { quantity })));
  await untilStatus(scene.alice, `/orders/${body.id}`, "working");
  return scene.secret(body.id);
}

const ofOrder: Maker = async (scene) => {
  return { params: { id: await waitingIn(scene, await newSymbol(scene), "3") } };
};

const ofBook: Maker = async (scene) => {
  const symbol = await newSymbol(scene);
  await waitingIn(scene, symbol, "3");
  return { params: { symbol } };
};

const ofTape: Maker = async (scene) => {
  const request = await ofBook(scene);
  const { symbol } = request.params!;
  const seller = scene.api.as("sally", "trader");
  fine(await seller.post("/accounts/deposits", { symbol, quantity: "1", price: "8" }));
  const asked = order(symbol!, "sell", { quantity: "1" });
  const { body } = fine(await seller.post("/orders", asked));
  await untilStatus(seller, `/orders/${body.id}`, "filled");
  return request;
};

const ofWebhook: Maker = async (scene) => {
  const { body } = fine(await scene.alice.post("/webhooks", webhook(scene.secret())));
  return { params: { id: scene.secret(body.id) } };
};

function webhook(name: string) {
  return { url: `http://sink.test:1/${name}`, types: [...publicEventTypes].slice(0, 1) };
}

const ofJob: Maker = async ({ admin }) => {
  const asked = { type: later.type, payload: { n: 1 }, delayMs: HOUR_MS };
  return { params: { id: fine(await admin.post("/jobs", asked)).body.id } };
};

const ofFailedJob: Maker = async ({ admin }) => {
  const { body } = fine(await admin.post("/jobs", { type: flawed.type, payload: { n: 1 } }));
  const read = async () => (await admin.get(`/jobs/${body.id}`)).body.status;
  await eventuallyEqual(read, "failed");
  return { params: { id: body.id } };
};

const oneNode = {
  nodes: [{ name: "only", type: later.type, payload: { n: 1 }, options: { delayMs: HOUR_MS } }],
};

const ofFlow: Maker = async ({ admin }) => {
  return { params: { id: fine(await admin.post("/flows", oneNode)).body.id } };
};

const yearly = { cron: "30 2 1 1 *", job: { type: later.type, payload: { n: 1 } } };

const ofSchedule: Maker = async ({ admin }) => {
  return { params: { id: fine(await admin.post("/schedules", yearly)).body.id } };
};

/** Of an actor, and with it its kind. */
const ofQuarantined: Maker = async ({ api }) => {
  api.system.supervision.releaseKind(Counter.kind);
  const key = crypto.randomUUID();
  const command = { type: "Explode", where: "decide" } as const;
  await assert.rejects(api.system.ask(Counter, key, command, cause(), () => null));
  return { params: { kind: Counter.kind, key } };
};

const ofDataLoss: Maker = async ({ api, database: { db } }) => {
  const key = crypto.randomUUID();
  const add = () => {
    const command = { type: "Add", amount: 1 } as const;
    return api.system.ask(Counter, key, command, cause(), () => null);
  };
  await add();
  await sql`delete from event where kind = ${Counter.kind} and key = ${key}`.execute(db);
  await sql`delete from actor where kind = ${Counter.kind} and key = ${key}`.execute(db);
  await assert.rejects(add(), /lost events/);
  return {};
};

const ofSealed: Maker = async ({ database: { db } }) => {
  const entry = { act: "flow cancel", subject: "flow/*", outcome: "refused", detail: {} } as const;
  await new PostgresAudit(db).record(entry, { id: "somebody" });
  const keys = [auditKeyOf(new Uint8Array(32))] as const;
  await new PostgresAuditSealing(db, keys).seal({ limit: 500, all: true });
  return {};
};

function cause() {
  const messageId = crypto.randomUUID();
  return {
    messageId,
    correlationId: messageId,
    causationId: messageId,
    principal: { id: "ana", roles: [] },
    deadline: Infinity,
  };
}

const first = (name: string, maker: Maker): Maker => async (scene) => {
  return { params: { [name]: (await maker(scene)).params![name]! } };
};

const after = (before: (scene: Scene, request: ValidRequest) => Promise<Answer>, maker: Maker) => {
  return async (scene: Scene) => {
    const request = await maker(scene);
    fine(await before(scene, request));
    return request;
  };
};

const withBody =
  (body: NonNullable<ValidRequest["body"]>, maker: Maker): Maker => async (scene) => {
    return { ...await maker(scene), body };
  };

const withQuery = (query: string, maker: Maker): Maker => async (scene) => {
  return { ...await maker(scene), query };
};

/** Of those for whom it was asked before: an account comes once. */
const accounts = new WeakMap<Scene, Promise<string>>();

/** Alice's address, under which she has an account. */
function accountIn(scene: Scene): Promise<string> {
  let account = accounts.get(scene);
  if (account === undefined) accounts.set(scene, account = newAccountIn(scene));
  return account;
}

async function newAccountIn(scene: Scene): Promise<string> {
  const email = `${scene.secret()}@example.org`;
  const { id: userId } = scene.alice;
  const claim = { type: "Claim", userId } as const;
  const name = await scene.api.system.ask(LoginName, loginKeyOf(email), claim, cause(), () => null);
  const command = {
    type: "Appoint",
    email,
    passwordHash: PASSWORD_HASH,
    roles: aliceRoles,
  } as const;
  const user = await scene.api.system.ask(User, userId, command, cause(), () => null);
  assert(name.accepted && user.accepted);
  return email;
}

const ofAccount: Maker = async (scene) => {
  await accountIn(scene);
  return {};
};

const ofUser: Maker = async (scene) => {
  await accountIn(scene);
  return { params: { id: scene.alice.id } };
};

async function signedIn(scene: Scene) {
  const body = { email: await accountIn(scene), password: PASSWORD };
  return fine(await scene.api.bearing(undefined).post("/auth/login", body)).body;
}

const ofSession: Maker = async (scene) => {
  return { params: { sessionId: (await signedIn(scene)).sessionId } };
};

function newKey(scene: Scene) {
  const expiresAt = new Date(Date.now() + HOUR_MS).toISOString();
  return { name: scene.secret(), scopes: ["events:read"], expiresAt };
}

const ofKey: Maker = async (scene) => {
  await accountIn(scene);
  return { params: { keyId: fine(await scene.alice.post("/api-keys", newKey(scene))).body.id } };
};

const fiveDollars = { amount: "5.00", currency: "USD" };

/** By the id of the operation. */
export const validRequests: Readonly<Record<string, Maker>> = {
  getLiveness: nothing,
  getReadiness: nothing,

  getKeySet: nothing,
  signUp: () => ({ body: { email: someAddress(), password: PASSWORD } }),
  verifyEmail: async ({ api }) => {
    const email = await signedUp(api);
    const token = tokenIn(api.letters.findLast(({ to }) => to === email)!);
    return { body: { token, password: PASSWORD } };
  },
  signIn: async (scene) => ({ body: { email: await accountIn(scene), password: PASSWORD } }),
  refreshSession: async (scene) => {
    return { body: { refreshToken: (await signedIn(scene)).refreshToken } };
  },
  signOut: ofAccount,
  signOutEverywhere: ofAccount,
  changePassword: withBody(
    { password: PASSWORD, newPassword: "a murmuration of starlings" },
    ofAccount,
  ),
  getMe: ofAccount,
  reviseMe: withBody({ profile: { displayName: "Alice" } }, ofAccount),
  listSessions: ofNothingBut(ofSession),
  endSession: ofSession,
  listApiKeys: ofNothingBut(ofKey),
  makeApiKey: async (scene) => {
    await accountIn(scene);
    return { body: newKey(scene) };
  },
  revokeApiKey: ofKey,
  listUsers: ofAccount,
  getUser: ofUser,
  disableUser: ofUser,
  enableUser: ofUser,
  setRoles: withBody({ roles: ["feed"] }, ofUser),

  scheduleEvent: () => ({ body: plan() }),
  reviseEvent: withBody({ capacity: 101 }, ofPublished),
  publishEvent: ofDraft,
  cancelEvent: ofPublished,
  listEvents: async (scene) => {
    await ofDraft(scene);
    return { query: `?organizerId=${scene.alice.id}` };
  },
  getEvent: ofDraft,
  listEventHistory: ofPublished,
  register: withBody({}, ofOthersEvent),
  acceptOffer: ofOffered,
  withdrawRegistration: ofRegistered,
  getOwnRegistration: onlyEvent(ofRegistered),
  listRegistrations: ofPublished,
  listOwnRegistrations: ofNothingBut(ofRegistered),
  listOwnNotices: async (scene) => {
    const { params } = await ofRegistered(scene);
    await eventuallyEqual(async () => {
      const { items } = (await scene.alice.get("/me/notices")).body;
      return items.some(({ eventId }: { eventId: string }) => eventId === params!.id);
    }, true);
    return {};
  },

  deposit: () => ({ body: fiveDollars }),
  withdraw: withBody(fiveDollars, withCash),
  getAccount: withCash,
  listPositions: withShares,
  placeOrder: async (scene) => {
    await withCash(scene);
    return { body: order(await newSymbol(scene), "buy", { price: "1" }) };
  },
  changeOrder: withBody({ price: "2" }, ofOrder),
  cancelOrder: ofOrder,
  listOrders: ofNothingBut(ofOrder),
  getOrder: ofOrder,
  quotePrice: withBody({ price: "11" }, ofMarket),
  recordSentiment: withBody({ score: 80, source: "wire" }, ofMarket),
  pauseMarket: withBody({ reason: "news" }, ofMarket),
  resumeMarket: ofPaused,
  getBook: ofBook,
  listTrades: ofTape,
  listMarketAlerts: ofTriggered,
  setAlert: withBody({ condition: "price-at-least", price: "1000" }, ofMarket),
  removeAlert: ofAlert,
  getPortfolio: withShares,
  getPerformance: withCash,
  rebalance: async (scene) => {
    await withCash(scene);
    return { body: { weights: { [await newSymbol(scene)]: "0.1" } } };
  },
  setLimits: () => ({ body: { orderCost: "500.00" } }),
  pauseTrading: nothing,
  resumeTrading: after(({ alice }) => alice.post("/risk/pause"), nothing),
  getRiskStatus: async ({ alice }) => {
    const limits = JSON.stringify({ orderCost: "500.00" });
    const headers = { "content-type": "application/json" };
    fine(await alice.send("PUT", "/risk/limits", limits, headers));
    return {};
  },
  listRiskAlerts: ofNothingBut(ofTriggered),
  analyzeRisk: withShares,

  listWebhooks: ofNothingBut(ofWebhook),
  getWebhook: ofWebhook,
  createWebhook: () => ({ body: webhook("new") }),
  reviseWebhook: withBody(webhook("other"), ofWebhook),
  enableWebhook: ofWebhook,
  disableWebhook: ofWebhook,
  deleteWebhook: ofWebhook,
  rotateWebhookSecret: ofWebhook,
  testWebhook: ofWebhook,
  replayWebhook: withBody({ from: "2026-06-01T00:00:00Z" }, ofWebhook),

  enqueueJob: () => ({ body: { type: later.type, payload: { n: 1 }, delayMs: HOUR_MS } }),
  listJobs: withQuery(`?queue=${later.queue}`, nothing),
  getJob: ofJob,
  getJobProgress: ofJob,
  cancelJob: ofJob,
  retryJob: ofFailedJob,
  startFlow: () => ({ body: oneNode }),
  cancelFlow: ofFlow,
  listFlows: nothing,
  getFlow: ofFlow,
  listFlowNodes: ofFlow,
  listSchedules: nothing,
  getSchedule: ofSchedule,
  createSchedule: () => ({ body: yearly }),
  reviseSchedule: withBody({ cron: "0 9 1 1 *" }, ofSchedule),
  deleteSchedule: ofSchedule,
  pauseSchedule: ofSchedule,
  resumeSchedule: after(
    ({ admin }, { params }) => admin.post(`/schedules/${params!.id}/pause`),
    ofSchedule,
  ),
  runSchedule: ofSchedule,

  listDeadLetters: nothing,
  redriveDeadLetters: () => ({ body: { kind: "nothing-there" } }),
  getDeadLetter: ofFailedJob,
  editDeadLetter: withBody({ command: { type: flawed.type, payload: { n: 2 } } }, ofFailedJob),
  redriveDeadLetter: ofFailedJob,
  discardDeadLetter: ofFailedJob,
  listAudit: nothing,
  getAuditHead: ofSealed,
  listProjections: nothing,
  getProjection: () => ({ params: { name: "live_event_listing" } }),
  rebuildProjection: () => ({ params: { name: "live_event_listing" } }),
  getResilience: nothing,
  resetCircuitBreakers: () => ({ body: {} }),
  getSupervision: nothing,
  releaseActor: ofQuarantined,
  releaseKind: first("kind", ofQuarantined),
  acknowledgeDataLoss: ofDataLoss,

  getOpenApi: nothing,
  explainGeneralProblem: () => ({ params: { name: "invalid-request" } }),
  explainProblem: () => ({ params: { area: "live-event", name: "sold-out" } }),
};

/** There is such a thing, and the request names none. */
function ofNothingBut(maker: Maker): Maker {
  return async (scene) => {
    await maker(scene);
    return {};
  };
}

/** All that the service declares, and what its router knows. */
export async function declaredIn(database: Database) {
  await using api = new Api(database);
  return { operations: api.operations, routes: api.http.routes };
}

export function requestFor({ id }: Operation, scene: Scene): ValidRequest | Promise<ValidRequest> {
  const make = validRequests[id];
  assert(make !== undefined, `${id} has no valid request`);
  return make(scene);
}

export const aliceRoles = ["organizer", "trader"] as const;

export function mayCall({ access }: Operation, roles: readonly string[]): boolean {
  return typeof access === "string" || access.some((role) => roles.includes(role));
}

/** Alice where she may, for it is about what is hers; otherwise an administrator. */
export function mostPowerful({ alice, admin }: Scene, operation: Operation): Client {
  return mayCall(operation, aliceRoles) ? alice : admin;
}

export function pathOf({ path }: Operation, { params = {}, query = "" }: ValidRequest): string {
  return path.replaceAll(/\{(\w+)\}/g, (_, name) => encodeURIComponent(params[name]!)) + query;
}

/** Sends it as that client. */
export function sent(client: Client, operation: Operation, request: ValidRequest): Promise<Answer> {
  const { body } = request;
  const content = body === undefined ? undefined : JSON.stringify(body);
  return sentText(client, operation, request, content);
}

export function sentText(
  client: Client,
  operation: Operation,
  request: ValidRequest,
  content: string | undefined,
): Promise<Answer> {
  const headers: Record<string, string> = content === undefined
    ? {}
    : { "content-type": "application/json" };
  return client.send(operation.method.toUpperCase(), pathOf(operation, request), content, headers);
}

function fine(answer: Answer): Answer {
  assert(answer.status < 300, answer.text);
  return answer;
}

function idIn(path: string): string {
  return path.split("/").at(-1)!;
}
