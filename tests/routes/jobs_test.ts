/** Jobs over HTTP, with real workers. */
import assert from "node:assert/strict";
import { z } from "zod";
import { defineJob, Unretryable } from "../../lib/jobs/job.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import {
  type Answer,
  Api,
  assertProblem,
  type Client,
  eventuallyEqual,
  itemsOf,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const INVALID = "/problems/invalid-request";
const NOT_FOUND = "/problems/job-not-found";
const NOBODY = "01900000-0000-7000-8000-000000000000";
const HOUR_MS = 3_600_000;

const Numbered = z.strictObject({ n: z.int(), note: z.string().exactOptional() });
const add = defineJob({ type: "add", queue: "sums", payload: Numbered });
const brief = defineJob({ type: "brief", queue: "briefs", payload: Numbered, retentionMs: 0 });
const flawed = defineJob({ type: "flawed", queue: "flaws", payload: Numbered });
const held = defineJob({ type: "held", queue: "held", payload: Numbered });
const wide = defineJob({ type: "wide", queue: "wide", payload: z.record(z.string(), z.unknown()) });
/** Only what is due later than any test lasts is found in it. */
const later = defineJob({ type: "later", queue: "later", payload: Numbered });

function service() {
  const gate = Promise.withResolvers<void>();
  let isMended = false;
  const api = new Api(database, {
    bindings: [
      handles(add, async ({ n }, { progress }) => {
        await progress({ percent: 99 });
        return { n: n + 1 };
      }),
      handles(brief, () => {}),
      handles(flawed, () => {
        if (!isMended) throw new Unretryable("no luck");
      }),
      handles(held, async (_, { signal }) => {
        await Promise.race([
          gate.promise,
          new Promise((_, reject) => signal.addEventListener("abort", () => reject(signal.reason))),
        ]);
      }),
      handles(wide, () => {}),
      handles(later, () => {}),
    ],
  });
  return {
    api,
    admin: api.as("root", "admin"),
    release: gate.resolve,
    mend: () => isMended = true,
    async [Symbol.asyncDispose]() {
      gate.resolve();
      await api[Symbol.asyncDispose]();
      assert.deepEqual(api.bugs, []);
    },
  };
}

function asked(type: string, changes: Readonly<Record<string, unknown>> = {}) {
  return { type, payload: { n: 1 }, ...changes };
}

async function enqueued(admin: Client, type: string, changes = {}): Promise<string> {
  const { status, body, text } = await admin.post("/jobs", asked(type, changes));
  assert.equal(status, 201, text);
  return body.id;
}

async function reaches(admin: Client, id: string, status: string): Promise<void> {
  await eventuallyEqual(async () => (await admin.get(`/jobs/${id}`)).body.status, status);
}

function pathsOf({ body }: Answer): readonly string[] {
  return (body.errors as { path: unknown[] }[]).map(({ path }) => path.join("."));
}

Deno.test("jobs are for administrators alone, and nobody else changes any", async () => {
  await using it = service();
  const id = await enqueued(it.admin, "later", { delayMs: HOUR_MS });
  const requests = [
    ["GET", "/jobs?queue=later"],
    ["GET", `/jobs/${id}`],
    ["GET", `/jobs/${id}/progress`],
    ["POST", "/jobs"],
    ["POST", `/jobs/${id}/cancel`],
    ["POST", `/jobs/${id}/retry`],
  ] as const;
  const outsiders = [
    [it.api.as("alice"), 403, "/problems/forbidden"],
    [it.api.as("olga", "organizer"), 403, "/problems/forbidden"],
    [it.api.bearing(undefined), 401, "/problems/unauthenticated"],
    [it.api.bearing("nonsense"), 401, "/problems/unauthenticated"],
  ] as const;
  for (const [method, path] of requests) {
    for (const [client, status, type] of outsiders) {
      const content = method === "GET" ? undefined : JSON.stringify(asked("later"));
      const headers = { "content-type": "application/json" };
      assertProblem(await client.send(method, path, content, headers), status, type);
    }
  }
  assert.equal((await it.admin.get(`/jobs/${id}`)).body.status, "delayed");
});

Deno.test("a job is enqueued, done, and shows what it gave", async () => {
  await using it = service();
  const made = await it.admin.post("/jobs", asked("add", { payload: { n: 6 }, priority: 2 }));
  assert.equal(made.status, 201, made.text);
  const { id } = made.body;
  assert.equal(made.headers.get("location"), `/api/v1/jobs/${id}`);
  assert.deepEqual([made.body.type, made.body.queue, made.body.priority], ["add", "sums", 2]);
  await reaches(it.admin, id, "completed");
  const { body } = await it.admin.get(`/jobs/${id}`);
  const { payload, result, attempts, principalId } = body;
  assert.deepEqual({ payload, result, attempts, principalId }, {
    payload: { n: 6 },
    result: { n: 7 },
    attempts: 1,
    principalId: it.admin.id,
  });
  const { body: progress } = await it.admin.get(`/jobs/${id}/progress`);
  assert.deepEqual(progress, { status: "completed", attempts: 1, progress: { percent: 99 } });
});

Deno.test("a job that is not kept is enqueued like any other, and forgotten with its end", async () => {
  await using it = service();
  const ids = await Promise.all(Array.from({ length: 20 }, () => enqueued(it.admin, "brief")));
  for (const id of ids) {
    await eventuallyEqual(async () => (await it.admin.get(`/jobs/${id}`)).status, 404);
  }
});

Deno.test("a request repeated under its key is one job; another under that key is refused", async () => {
  await using it = service();
  const key = () => ({ "Idempotency-Key": crypto.randomUUID() });
  for (const type of ["add", "later", "flawed"]) {
    const headers = key();
    const body = asked(type, { delayMs: type === "later" ? HOUR_MS : 0 });
    const first = await it.admin.post("/jobs", body, headers);
    assert.equal(first.status, 201, first.text);
    const { id } = first.body;
    if (type !== "later") await reaches(it.admin, id, type === "add" ? "completed" : "failed");
    const again = await it.admin.post("/jobs", body, headers);
    assert.deepEqual([again.status, again.body.id], [201, id]);
    const others = [{ payload: { n: 2 } }, { priority: 1 }, { uniqueKey: "x" }, { delayMs: 9 }];
    for (const change of others) {
      const other = await it.admin.post("/jobs", { ...body, ...change }, headers);
      assertProblem(other, 422, "/problems/idempotency-key-reused");
    }
    assert.equal((await it.admin.get(`/jobs/${id}`)).body.payload.n, 1);
    const another = await it.api.as("rosa", "admin").post("/jobs", body, headers);
    assert.notEqual(another.body.id, id, "keys of others are others");
  }
  const headers = key();
  const body = asked("later", { delayMs: HOUR_MS });
  const answers = await Promise.all(
    Array.from({ length: 10 }, () => it.admin.post("/jobs", body, headers)),
  );
  assert.deepEqual(new Set(answers.map(({ status }) => status)), new Set([201]));
  assert.equal(new Set(answers.map(({ body }) => body.id)).size, 1);
});

Deno.test("while one of a unique key is there, it is found instead of another", async () => {
  await using it = service();
  const body = asked("later", { uniqueKey: crypto.randomUUID(), delayMs: HOUR_MS });
  const answers = await Promise.all(Array.from({ length: 8 }, () => it.admin.post("/jobs", body)));
  const made = answers.filter(({ status }) => status === 201);
  assert.equal(made.length, 1);
  const { id } = made[0]!.body;
  for (const { status, body } of answers) {
    assert.deepEqual([body.id, [200, 201].includes(status)], [
      id,
      true,
    ]);
  }
  await it.admin.post(`/jobs/${id}/cancel`);
  const next = await it.admin.post("/jobs", body);
  assert.equal(next.status, 201);
  assert.notEqual(next.body.id, id);
});

Deno.test("a job that waits is cancelled at once, one that runs when it is told, neither twice", async () => {
  await using it = service();
  const waits = await enqueued(it.admin, "later", { delayMs: HOUR_MS });
  const now = await it.admin.post(`/jobs/${waits}/cancel`);
  assert.deepEqual([now.status, now.body.status, now.body.cancelledBy], [
    200,
    "cancelled",
    it.admin.id,
  ]);
  assertProblem(await it.admin.post(`/jobs/${waits}/cancel`), 409, "/problems/job-has-ended");
  const runs = await enqueued(it.admin, "held");
  await reaches(it.admin, runs, "active");
  for (const _ of [1, 2]) {
    const soon = await it.admin.post(`/jobs/${runs}/cancel`, {});
    assert.deepEqual([soon.status, soon.body.status], [202, "active"]);
  }
  await reaches(it.admin, runs, "cancelled");
  assertProblem(await it.admin.post(`/jobs/${runs}/cancel`), 409, "/problems/job-has-ended");
});

Deno.test("a job that has failed is tried again on demand, any other is not", async () => {
  await using it = service();
  const id = await enqueued(it.admin, "flawed");
  await reaches(it.admin, id, "failed");
  const { body } = await it.admin.get(`/jobs/${id}`);
  assert.deepEqual([body.error, body.attempts], ["Unretryable: no luck", 1]);
  assertProblem(await it.admin.post(`/jobs/${id}/cancel`), 409, "/problems/job-has-ended");
  it.mend();
  const retried = await it.admin.post(`/jobs/${id}/retry`);
  assert.equal(retried.status, 200, retried.text);
  await reaches(it.admin, id, "completed");
  const NOT_FAILED = "/problems/job-has-not-failed";
  assertProblem(await it.admin.post(`/jobs/${id}/retry`), 409, NOT_FAILED);
  const waits = await enqueued(it.admin, "later", { delayMs: HOUR_MS });
  assertProblem(await it.admin.post(`/jobs/${waits}/retry`), 409, NOT_FAILED);
});

Deno.test("what is retried while another has its unique key is done beside it", async () => {
  await using it = service();
  const uniqueKey = crypto.randomUUID();
  const id = await enqueued(it.admin, "flawed", { uniqueKey });
  await reaches(it.admin, id, "failed");
  const other = await enqueued(it.admin, "flawed", { uniqueKey, delayMs: HOUR_MS });
  it.mend();
  assert.equal((await it.admin.post(`/jobs/${id}/retry`)).status, 200);
  await reaches(it.admin, id, "completed");
  assert.equal((await it.admin.get(`/jobs/${other}`)).body.status, "delayed");
});

Deno.test("jobs are listed by queue and status, page by page, the newest first", async () => {
  await using it = service();
  const ids: string[] = [];
  for (let n = 0; n < 7; n++) {
    ids.unshift(await enqueued(it.admin, "wide", { payload: { n }, delayMs: HOUR_MS }));
  }
  await it.admin.post(`/jobs/${ids[2]}/cancel`);
  const all = await itemsOf(it.admin, "/jobs?queue=wide&limit=2");
  assert.deepEqual(all.map(({ id }) => id), ids);
  const delayed = await itemsOf(it.admin, "/jobs?queue=wide&status=delayed&limit=4");
  assert.deepEqual(delayed.map(({ id }) => id), ids.toSpliced(2, 1));
  const cancelled = await itemsOf(it.admin, "/jobs?queue=wide&status=cancelled");
  assert.deepEqual(cancelled.map(({ id }) => id), [ids[2]]);
  assert.deepEqual(await itemsOf(it.admin, "/jobs?queue=nobody-knows-it"), []);
});

Deno.test("who asks for a job that is not there hears so", async () => {
  await using it = service();
  for (const path of ["", "/progress"]) {
    assertProblem(await it.admin.get(`/jobs/${NOBODY}${path}`), 404, NOT_FOUND);
  }
  for (const path of ["/cancel", "/retry"]) {
    assertProblem(await it.admin.post(`/jobs/${NOBODY}${path}`), 404, NOT_FOUND);
  }
});

Deno.test("whatever is wrong with a request is refused, and named", async () => {
  await using it = service();
  const deep = JSON.parse('{"a":'.repeat(70) + "1" + "}".repeat(70));
  const wrong: readonly (readonly [unknown, ...string[]])[] = [
    [asked("nothing"), "type"],
    [asked(""), "type"],
    [{ ...asked("add"), type: 7 }, "type"],
    [{ payload: { n: 1 } }, "type"],
    [{ type: "add" }, "payload"],
    [asked("add", { payload: [1] }), "payload"],
    [asked("add", { payload: null }), "payload"],
    [asked("add", { payload: "text" }), "payload"],
    [asked("add", { payload: { n: "1" } }), "payload.n"],
    [asked("add", { payload: {} }), "payload.n"],
    [asked("add", { payload: { n: 0.5, note: 1 } }), "payload.n", "payload.note"],
    [asked("add", { payload: { n: 1, other: 1, more: 2 } }), "payload.other", "payload.more"],
    [asked("add", { payload: { n: 1, note: "\0" } }), "payload"],
    [asked("add", { payload: { n: 1, note: "\ud800" } }), "payload"],
    [asked("wide", { payload: { "\0": 1 } }), "payload"],
    [asked("wide", { payload: deep }), "payload"],
    [asked("add", { priority: 10 }), "priority"],
    [asked("add", { priority: -1 }), "priority"],
    [asked("add", { priority: 0.5 }), "priority"],
    [asked("add", { priority: "1" }), "priority"],
    [asked("add", { delayMs: -1 }), "delayMs"],
    [asked("add", { delayMs: 1e15 }), "delayMs"],
    [asked("add", { delayMs: null }), "delayMs"],
    [asked("add", { attemptsMax: 0 }), "attemptsMax"],
    [asked("add", { attemptsMax: 1_001 }), "attemptsMax"],
    [asked("add", { uniqueKey: "" }), "uniqueKey"],
    [asked("add", { uniqueKey: "x".repeat(201) }), "uniqueKey"],
    [asked("add", { uniqueKey: "a\0" }), "uniqueKey"],
    [asked("add", { concurrencyKey: { a: 1 } }), "concurrencyKey"],
    [asked("add", { requestHash: "x" }), "requestHash"],
    [asked("add", { reportTo: {}, queue: "x" }), "reportTo", "queue"],
    [[], ""],
  ];
  for (const [body, ...paths] of wrong) {
    const answer = await it.admin.post("/jobs", body);
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(pathsOf(answer), paths, JSON.stringify(body).slice(0, 100));
  }
  const queries = [
    ["", "queue"],
    ["?queue=", "queue"],
    ["?queue=a&queue=b", "queue"],
    [`?queue=${"x".repeat(101)}`, "queue"],
    ["?queue=a%00", "queue"],
    ["?queue=a&status=lost", "status"],
    ["?queue=a&limit=0", "limit"],
    ["?queue=a&limit=201", "limit"],
    ["?queue=a&cursor=nonsense", "cursor"],
    ["?queue=a&cursor=Wy0xXQ", "cursor"],
    ["?queue=a&other=1", "other"],
  ] as const;
  for (const [query, path] of queries) {
    const answer = await it.admin.get(`/jobs${query}`);
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(pathsOf(answer), [path], query);
  }
  for (const path of ["/jobs/x", "/jobs/x/progress", `/jobs/${NOBODY}x`]) {
    const answer = await it.admin.get(path);
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(pathsOf(answer), ["id"]);
  }
  for (const path of ["cancel", "retry"]) {
    assertProblem(await it.admin.post(`/jobs/x/${path}`), 400, INVALID);
    const answer = await it.admin.post(`/jobs/${NOBODY}/${path}`, { force: true });
    assertProblem(answer, 400, INVALID);
    assert.deepEqual(pathsOf(answer), ["force"]);
  }
});

Deno.test("a payload over its limit is refused, with the limit", async () => {
  await using it = service();
  // Short as it is sent, and long as it is kept.
  const over = `{"type":"wide","payload":{"numbers":[${Array(10_000).fill("1e20")}]}}`;
  const json = { "content-type": "application/json" };
  const answer = await it.admin.send("POST", "/jobs", over, json);
  assertProblem(answer, 400, INVALID);
  assert.deepEqual(pathsOf(answer), ["payload"]);
  assert.match(answer.body.errors[0].message, /more than 65536/);
  const huge = await it.admin.post(
    "/jobs",
    asked("wide", { payload: { text: "x".repeat(70_000) } }),
  );
  assertProblem(huge, 413, "/problems/body-too-large");
});
