/** Flows over HTTP, with real workers. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import { z } from "zod";
import * as Flow from "../../lib/jobs/flow/aggregate.ts";
import { childResults, readChildResults } from "../../lib/jobs/flow/views.ts";
import { CHILDREN_MAX, DEPTH_MAX, NODES_MAX } from "../../lib/jobs/flow/plan.ts";
import { defineJob, Unretryable } from "../../lib/jobs/job.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { FLOW_BODY_BYTES_MAX } from "../../routes/flows.ts";
import {
  type Answer,
  Api,
  assertProblem,
  type Client,
  eventually,
  eventuallyEqual,
  itemsOf,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const Numbered = z.strictObject({ n: z.int() });
const number = defineJob({ type: "number", queue: "numbers", payload: Numbered });
const sum = defineJob({ type: "sum", queue: "sums", payload: z.strictObject({}) });
const fault = defineJob({ type: "fault", queue: "faults", payload: z.strictObject({}) });
const held = defineJob({ type: "held", queue: "held", payload: z.strictObject({}) });
const undo = defineJob({ type: "undo", queue: "undoings", payload: z.strictObject({}) });

interface Service extends AsyncDisposable {
  readonly api: Api;
  readonly admin: Client;
  /** What was undone, with what it had given. */
  readonly undone: unknown[];
  /** Lets those end that are held. */
  release(): void;
}

function service(): Service {
  const undone: unknown[] = [];
  const gate = Promise.withResolvers<void>();
  const bindings = [
    handles(number, ({ n }) => ({ n })),
    handles(sum, async (_, { reportTo, cause }) => {
      const results = await readChildResults(api.system, reportTo!, cause());
      return results.map((child) => child.outcome === "completed" ? valueOf(child.result) : 0)
        .reduce((total, n) => total + n, 0);
    }),
    handles(fault, () => {
      throw new Unretryable("no luck");
    }),
    handles(held, () => gate.promise),
    handles(undo, async (_, { reportTo, cause }) => {
      undone.push(...await readChildResults(api.system, reportTo!, cause()));
    }),
  ];
  const api = new Api(database, { bindings });
  return {
    api,
    admin: api.as("root", "admin"),
    undone,
    release: gate.resolve,
    async [Symbol.asyncDispose]() {
      gate.resolve();
      await api[Symbol.asyncDispose]();
      assert.deepEqual(api.bugs, []);
      const failures = api.observed.filter(({ type }) =>
        type === "delivery-failed" || type === "buried" || type === "restarted"
      );
      assert.deepEqual(failures, [], "every message had somebody to handle it");
    },
  };
}

function valueOf(result: unknown): number {
  return typeof result === "number" ? result : (result as { n: number }).n;
}

/** Sums of sums. */
const nodes = [
  { name: "total", type: "sum", payload: {} },
  { name: "left", type: "sum", payload: {}, parent: "total" },
  { name: "right", type: "number", payload: { n: 100 }, parent: "total" },
  { name: "1", type: "number", payload: { n: 1 }, parent: "left" },
  { name: "2", type: "number", payload: { n: 2 }, parent: "left" },
];

async function started(client: Client, nodes: unknown, headers = {}): Promise<Answer> {
  const answer = await client.post("/flows", { nodes }, headers);
  assert.equal(answer.status, 201, answer.text);
  return answer;
}

async function ended(client: Client, id: string): Promise<Answer> {
  for (;;) {
    const answer = await client.get(`/flows/${id}`, { "cache-control": "no-cache" });
    assert.equal(answer.status, 200, answer.text);
    if (!["running", "cancelling"].includes(answer.body.status)) return answer;
  }
}

/** What is wrong, place by place. */
async function faultsOf(client: Client, body: unknown): Promise<readonly string[]> {
  const answer = await client.post("/flows", body);
  assertProblem(answer, 400, "/problems/invalid-request");
  return answer.body.errors.map(({ path, message }: { path: string[]; message: string }) =>
    `${path.join(".")}: ${message}`
  );
}

Deno.test("a flow runs up its tree, and every job knows what its children gave", async () => {
  await using running = service();
  const { admin } = running;
  const answer = await started(admin, nodes);
  const { id } = answer.body;
  assert.equal(answer.headers.get("location"), `/api/v1/flows/${id}`);
  assert.equal(answer.headers.get("etag"), '"1"');
  assert.deepEqual(answer.body, {
    id,
    status: "running",
    nodes: {
      total: 5,
      waiting: 2,
      running: 3,
      compensating: 0,
      completed: 0,
      failed: 0,
      cancelled: 0,
      abandoned: 0,
    },
    version: 1,
  });
  const { body } = await ended(admin, id);
  assert.equal(body.status, "completed");
  assert.equal(body.result, 103);
  assert.equal(body.nodes.completed, 5);

  const items = await itemsOf(admin, `/flows/${id}/nodes?limit=2`);
  assert.deepEqual(
    items.map(({ name, parent, status, result }) => [name, parent, status, result]),
    [
      ["total", undefined, "completed", 103],
      ["left", "total", "completed", 3],
      ["right", "total", "completed", { n: 100 }],
      ["1", "left", "completed", { n: 1 }],
      ["2", "left", "completed", { n: 2 }],
    ],
  );
});

Deno.test("one correlation id is on the flow, on each of its events, and on each of its jobs", async () => {
  await using running = service();
  const correlationId = crypto.randomUUID();
  const { admin } = running;
  const headers = { "x-correlation-id": correlationId };
  const { body: { id } } = await started(admin, nodes, headers);
  const last = await ended(admin, id);
  const address = { kind: "flow", key: id };
  const events = await new PostgresEventStore(database).readStream(address);
  assert.deepEqual(new Set(events.map((event) => event.correlationId)), new Set([correlationId]));
  assert.equal(events.at(-1)?.type, "FlowCompleted");
  for (const { jobId } of await itemsOf(admin, `/flows/${id}/nodes`)) {
    const { status, body } = await admin.get(`/jobs/${jobId}`);
    assert.equal(status, 200);
    assert.equal(body.correlationId, correlationId);
    assert.equal(body.principalId, admin.id);
  }
  const { body: { items } } = await admin.get("/flows?limit=1", since(last));
  assert.equal(items[0].correlationId, correlationId);
});

Deno.test("what failed for good fails the flow, or what of it does not ignore that", async () => {
  await using running = service();
  const { admin } = running;
  const failing = [
    { name: "a", type: "sum", payload: {} },
    { name: "b", type: "fault", payload: {}, parent: "a" },
    { name: "c", type: "number", payload: { n: 2 }, parent: "a" },
  ];
  const strict = await started(admin, failing);
  const { body } = await ended(admin, strict.body.id);
  assert.equal(body.status, "failed");
  assert.equal(body.error, "b failed: Unretryable: no luck");
  const lenient = await started(admin, [
    { ...failing[0], onChildFailure: "ignore" },
    ...failing.slice(1),
  ]);
  const ending = await ended(admin, lenient.body.id);
  assert.equal(ending.body.result, 2);
  const failed = await itemsOf(admin, `/flows/${lenient.body.id}/nodes?status=failed`);
  assert.deepEqual(failed.map(({ name, error }) => [name, error]), [
    ["b", "Unretryable: no luck"],
  ]);
});

Deno.test("what was done is undone by jobs that know what it had given", async () => {
  await using running = service();
  const { admin, undone } = running;
  const compensate = { type: "undo", payload: {} };
  const { body: { id } } = await started(admin, [
    { name: "root", type: "sum", payload: {}, onChildFailure: "compensate" },
    { name: "sub", type: "sum", payload: {}, parent: "root", compensate },
    { name: "n", type: "number", payload: { n: 7 }, parent: "sub", compensate },
    { name: "last", type: "fault", payload: {}, parent: "root" },
    { name: "before", type: "held", payload: {}, parent: "last" },
  ]);
  const completed = async () => {
    const items = await itemsOf(admin, `/flows/${id}/nodes?status=completed`);
    return items.map(({ name }) => name).toSorted();
  };
  await eventuallyEqual(completed, ["n", "sub"]);
  running.release();
  const { body } = await ended(admin, id);
  assert.equal(body.error, "last failed: Unretryable: no luck");
  assert.deepEqual(undone, [
    { node: "sub", outcome: "completed", result: 7 },
    { node: "n", outcome: "completed", result: { n: 7 } },
  ]);
  const items = await itemsOf(admin, `/flows/${id}/nodes?status=completed`);
  assert.deepEqual(items.map(({ name, compensation }) => [name, compensation?.status]), [
    ["sub", "completed"],
    ["n", "completed"],
    ["before", undefined],
  ]);
});

Deno.test("a flow can be cancelled once, and what still runs then has no effect", async () => {
  await using running = service();
  const { api, admin } = running;
  const { body: { id } } = await started(admin, [
    { name: "root", type: "number", payload: { n: 1 } },
    { name: "slow", type: "held", payload: {}, parent: "root" },
  ]);
  const cancelled = await admin.post(`/flows/${id}/cancel`);
  assert.equal(cancelled.status, 200);
  assert.equal(cancelled.body.status, "cancelled");
  assert.equal(cancelled.body.cancelledBy, admin.id);
  assertProblem(await admin.post(`/flows/${id}/cancel`), 409, "/problems/flow/ended");
  running.release();
  await eventually(() =>
    api.observed.some((event) => event.type === "delivered" && event.address.key === id)
  );
  const { body } = await ended(admin, id);
  assert.deepEqual([body.status, body.version], ["cancelled", 2]);
  const { view } = await api.system.read(
    Flow,
    id,
    {
      messageId: id,
      correlationId: id,
      causationId: id,
      principal: { id: "x", roles: [] },
      deadline: Infinity,
    },
    (state) => childResults(state, "root"),
  );
  assert.deepEqual(view, [{ node: "slow", outcome: "cancelled" }]);
});

Deno.test("a repeated start under one key is one flow, and another flow under it is refused", async () => {
  await using running = service();
  const { admin } = running;
  const headers = { "idempotency-key": crypto.randomUUID() };
  const first = await started(admin, nodes, headers);
  await ended(admin, first.body.id);
  const again = await started(admin, nodes, headers);
  assert.deepEqual(again.body, first.body);
  assert.equal(again.headers.get("location"), first.headers.get("location"));
  const other = await admin.post("/flows", { nodes: nodes.slice(0, 1) }, headers);
  assertProblem(other, 422, "/problems/idempotency-key-reused");
});

Deno.test("flows are listed, the newest first, by what became of them", async () => {
  await using running = service();
  const { admin } = running;
  const one = (type: string, payload: unknown) => [{ name: type, type, payload }];
  const ids: string[] = [];
  for (const [type, payload] of [["number", { n: 1 }], ["fault", {}], ["held", {}]] as const) {
    const { body } = await started(admin, one(type, payload));
    ids.push(body.id);
    if (type !== "held") await ended(admin, body.id);
  }
  const last = await admin.post(`/flows/${ids[2]}/cancel`, {});
  const listed = async (query = "") =>
    (await itemsOf(admin, `/flows?limit=1${query}`, since(last)))
      .filter(({ id }) => ids.includes(id));
  const all = await listed();
  assert.deepEqual(all.map(({ id }) => id), ids.toReversed());
  assert.deepEqual(
    all.map(({ status, name, nodes, completed, failed }) => {
      return [status, name, nodes, completed, failed];
    }),
    [
      ["cancelled", "held", 1, 0, 0],
      ["failed", "fault", 1, 0, 1],
      ["completed", "number", 1, 1, 0],
    ],
  );
  for (const { startedAt, endedAt, startedBy } of all) {
    assert(Date.parse(startedAt) <= Date.parse(endedAt));
    assert.equal(startedBy, admin.id);
  }
  for (const [index, status] of ["completed", "failed", "cancelled"].entries()) {
    assert.deepEqual((await listed(`&status=${status}`)).map(({ id }) => id), [ids[index]]);
  }
});

Deno.test("the list of flows can be made anew", async () => {
  await using running = service();
  const { admin } = running;
  const one = [{ name: "anew", type: "number", payload: { n: 1 } }];
  const { body: { id } } = await started(admin, one);
  const last = await ended(admin, id);
  const listed = async () =>
    (await itemsOf(admin, "/flows", since(last))).find((flow) => flow.id === id);
  const before = await listed();
  await sql`update flow set status = 'running', completed = 77 where id = ${id}`.execute(
    database.db,
  );
  assert.equal((await admin.post("/projections/flow_listing/rebuild")).status, 202);
  for (let state = "running"; state === "running";) {
    const { body } = await admin.get("/projections/flow_listing");
    state = body.rebuild.state;
  }
  assert.deepEqual(await listed(), before);
});

Deno.test("flows are for administrators", async () => {
  await using running = service();
  const organizer = running.api.as("olga", "organizer");
  const id = crypto.randomUUID();
  for (
    const answer of [
      await organizer.post("/flows", { nodes }),
      await organizer.get("/flows"),
      await organizer.get(`/flows/${id}`),
      await organizer.get(`/flows/${id}/nodes`),
      await organizer.post(`/flows/${id}/cancel`),
    ]
  ) assertProblem(answer, 403, "/problems/forbidden");
});

Deno.test("a flow that never was is not found", async () => {
  await using running = service();
  const { admin } = running;
  const id = crypto.randomUUID();
  for (
    const answer of [
      await admin.get(`/flows/${id}`),
      await admin.get(`/flows/${id}/nodes`),
      await admin.post(`/flows/${id}/cancel`),
    ]
  ) assertProblem(answer, 404, "/problems/flow/not-found");
  assertProblem(await admin.get("/flows/x"), 400, "/problems/invalid-request");
});

Deno.test("cycles, strangers, doubles and second roots are refused by their place", async () => {
  await using running = service();
  const { admin } = running;
  const at = (name: string, parent?: string) => {
    return { name, type: "sum", payload: {}, ...(parent !== undefined && { parent }) };
  };
  assert.deepEqual(await faultsOf(admin, { nodes: [at("root"), at("a", "b"), at("b", "a")] }), [
    "nodes.1.parent: Must not lead back to the node",
    "nodes.2.parent: Must not lead back to the node",
  ]);
  assert.deepEqual(
    await faultsOf(admin, { nodes: [at("root"), at("a", "x"), at("root", "root"), at("c")] }),
    [
      "nodes.2.name: Another node has this name",
      "nodes.1.parent: There is no node of this name",
      "nodes.3.parent: Only one node may be without a parent",
      "nodes.2.parent: Must not lead back to the node",
    ],
  );
});

Deno.test("a flow too deep, too wide or too large is refused by its place", async () => {
  await using running = service();
  const { admin } = running;
  const chain = Array.from({ length: DEPTH_MAX + 1 }, (_, index) => ({
    ...{ name: `${index}`, type: "sum", payload: {} },
    ...(index > 0 && { parent: `${index - 1}` }),
  }));
  assert.deepEqual(await faultsOf(admin, { nodes: chain }), [
    `nodes.${DEPTH_MAX}.parent: A flow must not be deeper than ${DEPTH_MAX} nodes`,
  ]);
  const fan = (width: number) => [
    { name: "root", type: "sum", payload: {} },
    ...Array.from({ length: width }, (_, index) => {
      return { name: `${index}`, type: "number", payload: { n: index }, parent: "root" };
    }),
  ];
  assert.deepEqual(await faultsOf(admin, { nodes: fan(CHILDREN_MAX + 1) }), [
    `nodes.${CHILDREN_MAX + 1}.parent: A node must not have more than ${CHILDREN_MAX} children`,
  ]);
  const [tooMany] = await faultsOf(admin, { nodes: fan(NODES_MAX) });
  assert.match(tooMany!, /^nodes: .*10000/);
  const huge = { nodes: [{ name: "x".repeat(FLOW_BODY_BYTES_MAX), type: "sum", payload: {} }] };
  assertProblem(await admin.post("/flows", huge), 413, "/problems/body-too-large");
});

Deno.test("whatever else is no flow is refused by its place", async () => {
  await using running = service();
  const { admin } = running;
  const fine = { name: "a", type: "number", payload: { n: 1 } };
  const cases: [body: unknown, at: string | RegExp][] = [
    [{}, "nodes"],
    [{ nodes: [] }, "nodes"],
    [{ nodes: "a" }, "nodes"],
    [{ nodes: [null] }, "nodes.0"],
    [{ nodes: [fine], more: 1 }, "more"],
    [{ nodes: [{ ...fine, children: [] }] }, "nodes.0.children"],
    [{ nodes: [{ ...fine, name: "a/b" }] }, "nodes.0.name"],
    [{ nodes: [{ ...fine, name: "" }] }, "nodes.0.name"],
    [{ nodes: [{ ...fine, name: "\u0000" }] }, "nodes.0.name"],
    [{ nodes: [{ ...fine, name: "x".repeat(101) }] }, "nodes.0.name"],
    [{ nodes: [{ ...fine, type: "unheard" }] }, "nodes.0.type"],
    [{ nodes: [{ ...fine, type: "__proto__" }] }, "nodes.0.type"],
    [{ nodes: [{ ...fine, payload: { n: 1.5 } }] }, "nodes.0.payload.n"],
    [{ nodes: [{ ...fine, payload: { n: 1, m: 2 } }] }, "nodes.0.payload.m"],
    [{ nodes: [{ ...fine, payload: 1 }] }, "nodes.0.payload"],
    [{ nodes: [{ ...fine, payload: { n: "\u0000" } }] }, "nodes.0.payload"],
    [{ nodes: [{ ...fine, onChildFailure: "panic" }] }, "nodes.0.onChildFailure"],
    [{ nodes: [{ ...fine, compensate: { type: "no", payload: {} } }] }, "nodes.0.compensate.type"],
    [{ nodes: [{ ...fine, compensate: { type: "undo" } }] }, "nodes.0.compensate.payload"],
    [{ nodes: [{ ...fine, options: { priority: 10 } }] }, "nodes.0.options.priority"],
    [{ nodes: [{ ...fine, options: { delayMs: -1 } }] }, "nodes.0.options.delayMs"],
    [{ nodes: [{ ...fine, options: { uniqueKey: "k" } }] }, "nodes.0.options.uniqueKey"],
    [{ nodes: [{ ...fine, parent: "a" }] }, "nodes"],
  ];
  for (const [body, at] of cases) {
    const [first] = await faultsOf(admin, body);
    assert.equal(first?.split(":")[0], at, JSON.stringify(body).slice(0, 200));
  }
  const many = Array.from({ length: 500 }, (_, index) => ({ ...fine, name: `${index}` }));
  assert.equal((await faultsOf(admin, { nodes: many })).length, 20);
});

Deno.test("lists take no other queries than theirs", async () => {
  await using running = service();
  const { admin } = running;
  const { body: { id } } = await started(admin, nodes.slice(0, 1));
  for (
    const path of [
      "/flows?status=waiting",
      "/flows?limit=0",
      "/flows?cursor=x",
      "/flows?cursor=WzFd",
      "/flows?name=x",
      `/flows/${id}/nodes?status=ended`,
      `/flows/${id}/nodes?limit=201`,
      `/flows/${id}/nodes?cursor=WyJ4Il0`,
    ]
  ) assertProblem(await admin.get(path), 400, "/problems/invalid-request");
  await ended(admin, id);
});

Deno.test("a thousand children: all begin with one commit, all results come together once", async () => {
  await using running = service();
  const { api, admin } = running;
  const CHILDREN = 1_000;
  const { body: { id } } = await started(admin, [
    { name: "root", type: "sum", payload: {} },
    ...Array.from({ length: CHILDREN }, (_, n) => {
      return { name: `${n}`, type: "number", payload: { n }, parent: "root" };
    }),
  ]);
  const { body } = await ended(admin, id);
  assert.equal(body.result, CHILDREN * (CHILDREN - 1) / 2);
  const events = await new PostgresEventStore(database).readStream({ kind: "flow", key: id });
  assert.equal(events.length, 1 + CHILDREN + 2 + 1);
  // Another node reads it anew, snapshot and all.
  await using other = api.anotherNode();
  const again = await other.as("root", "admin").get(`/flows/${id}`);
  assert.deepEqual(again.body, body);
});
