/** What administrators do with schedules over HTTP, and what they are told when it makes no sense. */
import assert from "node:assert/strict";
import { sql } from "kysely";
import type { JobCommand } from "../../lib/jobs/job.ts";
import { handles } from "../../lib/jobs/job_worker.ts";
import {
  type Answer,
  Api,
  assertProblem,
  BODY_BYTES_MAX,
  type Client,
  eventually,
  itemsOf,
  since,
} from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { sendReport } from "../support/reports.ts";

const database = await databaseOfThisFile();

const INVALID = "/problems/invalid-request";
const NOBODY = "/schedules/01900000-0000-7000-8000-000000000000";

function node(): Api {
  return new Api(database, { bindings: [handles(sendReport, () => null)] });
}

function body(changes: Readonly<Record<string, unknown>> = {}) {
  return {
    cron: "30 2 * * *",
    timeZone: "Europe/Berlin",
    job: { type: "send-report", payload: { to: "ana" } },
    ...changes,
  };
}

/** The path of a new schedule. */
async function created(root: Client, changes: Readonly<Record<string, unknown>> = {}) {
  const { status, body: made, text } = await root.post("/schedules", body(changes));
  assert.equal(status, 201, text);
  return `/schedules/${made.id}`;
}

/** The jobs that were enqueued by requests with that correlation id. */
async function jobsOf(answer: Answer): Promise<readonly JobCommand[]> {
  const correlationId = answer.headers.get("x-correlation-id");
  const { rows } = await sql<{ command: JobCommand }>`
    select command from outbox where kind = 'job' and correlation_id = ${correlationId}::text::uuid
    union all
    select command from finished_job where correlation_id = ${correlationId}::text::uuid`
    .execute(database.db);
  return rows.map(({ command }) => command);
}

Deno.test("POST /schedules makes a schedule that says when it runs next", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const made = await root.post("/schedules", body({ missed: "once", jitterMs: 500 }));
  assert.equal(made.status, 201, made.text);
  const { id, nextRuns, ...rest } = made.body;
  assert.equal(made.headers.get("location"), `/api/v1/schedules/${id}`);
  assert.equal(made.headers.get("etag"), '"1"');
  assert.deepEqual(rest, {
    cron: "30 2 * * *",
    timeZone: "Europe/Berlin",
    job: { type: "send-report", queue: "reports", payload: { to: "ana" } },
    missed: "once",
    jitterMs: 500,
    status: "active",
    isInCode: false,
    version: 1,
  });
  assert.equal(nextRuns.length, 5);
  assert.match(nextRuns[0], /T0[01]:30:00\.000Z$/);
  const read = await root.get(`/schedules/${id}`);
  assert.deepEqual([read.status, read.body], [200, made.body]);
});

Deno.test("without more words a schedule is in UTC and skips what it misses", async () => {
  await using api = node();
  const { cron, job } = body();
  const { body: made } = await api.as("root", "admin").post("/schedules", { cron, job });
  assert.deepEqual([made.timeZone, made.missed, made.jitterMs], ["UTC", "skip", 0]);
});

Deno.test("a repeated POST under one key makes one schedule", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const key = { "idempotency-key": crypto.randomUUID() };
  const first = await root.post("/schedules", body(), key);
  const second = await root.post("/schedules", body(), key);
  assert.deepEqual([second.status, second.body], [201, first.body]);
  const other = await root.post("/schedules", body({ cron: "0 3 * * *" }), key);
  assertProblem(other, 422, "/problems/idempotency-key-reused");
});

Deno.test("PATCH revises, and with another time there are other next runs", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const path = await created(root);
  const job = { type: "send-report", payload: { to: "ben" } };
  const { status, body: revised } = await root.patch(path, { cron: "0 12 * * *", job });
  assert.deepEqual([status, revised.job.payload, revised.version], [200, { to: "ben" }, 2]);
  assert.match(revised.nextRuns[0], /T1[01]:00:00\.000Z$/);
  assert.equal((await root.patch(path, {})).body.version, 2, "nothing was to change");
  const stale = await root.patch(path, { missed: "all" }, { "if-match": '"1"' });
  assertProblem(stale, 412, "/problems/version-mismatch");
});

Deno.test("what is paused has no next runs until it is resumed", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const path = await created(root);
  const paused = await root.post(`${path}/pause`);
  assert.deepEqual([paused.status, paused.body.status, paused.body.nextRuns], [200, "paused", []]);
  assertProblem(await root.post(`${path}/pause`), 409, "/problems/schedule/already-paused");
  const resumed = await root.post(`${path}/resume`);
  assert.deepEqual([resumed.status, resumed.body.status], [200, "active"]);
  assert.equal(resumed.body.nextRuns.length, 5);
  assertProblem(await root.post(`${path}/resume`), 409, "/problems/schedule/not-paused");
});

Deno.test("POST /:id/run enqueues the job, once under one key", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const path = await created(root);
  const key = { "idempotency-key": "now", "x-correlation-id": crypto.randomUUID() };
  const first = await root.post(`${path}/run`, undefined, key);
  const second = await root.post(`${path}/run`, undefined, key);
  assert.deepEqual([first.status, second.status, second.body], [202, 202, first.body]);
  const scheduledFor = Date.parse(first.body.lastRun.scheduledFor);
  assert.deepEqual(await jobsOf(first), [
    { type: "send-report", payload: { to: "ana" }, scheduledFor },
  ]);
  await eventually(() => api.observed.some(({ type }) => type === "jobs-settled"));
  assert.equal(api.observed.some(({ type }) => type === "delivery-failed"), false);
});

Deno.test("a tick that is due enqueues the job and moves the next run", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const made = await root.post("/schedules", body({ cron: "0 0 1 * *", timeZone: "UTC" }));
  const { id, nextRuns: [due, next] } = made.body;
  await sql`update outbox set available_at = now() where kind = 'schedule'
    and key = ${id}`.execute(database.db);
  await eventually(() =>
    api.observed.some((seen) => seen.type === "delivered" && seen.address.key === id)
  );
  const { body: read } = await root.get(`/schedules/${id}`);
  assert.deepEqual([read.lastRun.scheduledFor, read.nextRuns[0]], [due, next]);
  const [job] = await jobsOf(made);
  assert.equal(job?.scheduledFor, Date.parse(due));
});

Deno.test("what was deleted is nowhere any more", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const path = await created(root);
  const deleted = await root.delete(path);
  assert.equal(deleted.status, 204);
  assertProblem(await root.get(path), 404, "/problems/schedule/not-found");
  assertProblem(await root.delete(path), 404, "/problems/schedule/not-found");
  const listed = await itemsOf(root, "/schedules", since(deleted));
  assert.equal(listed.some(({ id }) => path.endsWith(id)), false);
});

Deno.test("GET /schedules lists by id, by status and in pages, as each last was", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const paths: string[] = [];
  for (let count = 0; count < 5; count++) paths.push(await created(root, { jitterMs: count }));
  await root.post(`${paths[1]}/pause`);
  const last = await root.post(`${paths[2]}/run`);
  const mine = async (filter: string) => {
    const all = await itemsOf(root, `/schedules?limit=2${filter}`, since(last));
    return all.filter(({ id }) => paths.includes(`/schedules/${id}`));
  };
  const all = await mine("");
  assert.deepEqual(all.map(({ jitterMs }) => jitterMs), [0, 1, 2, 3, 4]);
  assert.deepEqual(all[1].status, "paused");
  assert.equal(all[1].nextAt, undefined);
  const { id, nextAt, ...listed } = all[2];
  assert.deepEqual(listed, {
    cron: "30 2 * * *",
    timeZone: "Europe/Berlin",
    missed: "skip",
    jitterMs: 2,
    isInCode: false,
    status: "active",
    lastRun: last.body.lastRun,
    version: 2,
    job: { type: "send-report", queue: "reports" },
  });
  assert.deepEqual([id, nextAt], [last.body.id, last.body.nextRuns[0]]);
  assert.deepEqual((await mine("&status=paused")).map(({ jitterMs }) => jitterMs), [1]);
  assert.deepEqual((await mine("&status=active")).map(({ jitterMs }) => jitterMs), [0, 2, 3, 4]);
});

const faults: Readonly<Record<string, readonly [field: string, asked: object]>> = {
  "no cron": ["cron", { cron: undefined }],
  "four fields": ["cron", { cron: "* * * *" }],
  "seconds": ["cron", { cron: "* * * * * *" }],
  "a minute that is none": ["cron", { cron: "60 * * * *" }],
  "a word": ["cron", { cron: "daily" }],
  "a cron that is a number": ["cron", { cron: 5 }],
  "a cron with U+0000": ["cron", { cron: "* * * * \u0000" }],
  "a cron without end": ["cron", { cron: `${"1,".repeat(9_000)}1 * * * *` }],
  "a zone on Mars": ["timeZone", { timeZone: "Mars/Base" }],
  "an empty zone": ["timeZone", { timeZone: "" }],
  "a zone that is null": ["timeZone", { timeZone: null }],
  "an unknown policy": ["missed", { missed: "some" }],
  "a jitter of days": ["jitterMs", { jitterMs: 90_000_000 }],
  "a negative jitter": ["jitterMs", { jitterMs: -1 }],
  "half a millisecond": ["jitterMs", { jitterMs: 0.5 }],
  "no job": ["job", { job: undefined }],
  "a job that is a text": ["job", { job: "send-report" }],
  "a job without a type": ["job.type", { job: { payload: {} } }],
  "an unknown type": ["job.type", { job: { type: "launch", payload: {} } }],
  "a type of every object": ["job.type", { job: { type: "constructor", payload: {} } }],
  "no payload": ["job.payload", { job: { type: "send-report" } }],
  "a payload that is a list": ["job.payload", { job: { type: "send-report", payload: [] } }],
  "an incomplete payload": ["job.payload.to", { job: { type: "send-report", payload: {} } }],
  "an unknown field in the payload": ["job.payload.cc", {
    job: { type: "send-report", payload: { to: "ana", cc: "ben" } },
  }],
  "a fault deep in the payload": ["job.payload.pages.1.title", {
    job: { type: "send-report", payload: { to: "ana", pages: [{ title: "a" }, { title: 1 }] } },
  }],
  "a payload with U+0000": ["job.payload", {
    job: { type: "send-report", payload: { to: "\u0000" } },
  }],
  "a queue of one's own": ["job.queue", {
    job: { type: "send-report", queue: "mine", payload: { to: "ana" } },
  }],
  "a field of nobody": ["isInCode", { isInCode: true }],
};

for (const [name, [field, asked]] of Object.entries(faults)) {
  Deno.test(`${name} is refused, and ${field} is named`, async () => {
    await using api = node();
    const root = api.as("root", "admin");
    const answers = [await root.post("/schedules", body({ ...asked }))];
    const isLacking = JSON.stringify(asked) === "{}";
    if (!isLacking) answers.push(await root.patch(await created(root), asked));
    for (const refused of answers) {
      assertProblem(refused, 400, INVALID);
      const named = refused.body.errors.map(({ path }: { path: string[] }) => path.join("."));
      assert.deepEqual([...new Set(named)], [field], refused.text);
    }
    assert.deepEqual(api.bugs, []);
  });
}

Deno.test("all that is wrong is named at once", async () => {
  await using api = node();
  const refused = await api.as("root", "admin").post("/schedules", {
    cron: "x",
    timeZone: "y",
    job: { type: "z", payload: {} },
  });
  const named = refused.body.errors.map(({ path }: { path: string[] }) => path.join("."));
  assert.deepEqual(named, ["cron", "timeZone", "job.type"]);
});

Deno.test("a payload as large as a body may be is refused where a run would not hold it", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const withPayload = (to: string) => ({
    cron: "* * * * *",
    job: { type: "send-report", payload: { to } },
  });
  const most = "x".repeat(BODY_BYTES_MAX - JSON.stringify(withPayload("")).length);
  const refused = await root.post("/schedules", withPayload(most));
  assertProblem(refused, 400, INVALID);
  assert.deepEqual(refused.body.errors[0].path, ["job", "payload"]);
});

Deno.test("what never comes is refused, and the cron is named", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const never = { cron: "0 0 30 2 *" };
  const path = await created(root);
  for (
    const refused of [await root.post("/schedules", body(never)), await root.patch(path, never)]
  ) {
    assertProblem(refused, 422, "/problems/schedule/never-due");
    assert.deepEqual(refused.body.errors[0].path, ["cron"]);
  }
});

Deno.test("nothing can be done with a schedule that is not there", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const answers = [
    await root.get(NOBODY),
    await root.patch(NOBODY, { missed: "all" }),
    await root.delete(NOBODY),
    await root.post(`${NOBODY}/pause`),
    await root.post(`${NOBODY}/resume`),
    await root.post(`${NOBODY}/run`),
  ];
  for (const refused of answers) assertProblem(refused, 404, "/problems/schedule/not-found");
});

Deno.test("ids, bodies and parameters that make no sense are refused", async () => {
  await using api = node();
  const root = api.as("root", "admin");
  const path = await created(root);
  const answers = [
    await root.get(`/schedules/${"x".repeat(101)}`),
    await root.get("/schedules/%00"),
    await root.get("/schedules/.hidden"),
    await root.post(`${path}/pause`, { now: true }),
    await root.post(`${path}/run`, []),
    await root.get("/schedules?status=deleted"),
    await root.get("/schedules?cursor=x"),
    await root.get("/schedules?limit=0"),
  ];
  for (const refused of answers) assertProblem(refused, 400, INVALID);
});

Deno.test("schedules are none of the business of others than administrators", async () => {
  await using api = node();
  const path = await created(api.as("root", "admin"));
  const olga = api.as("olga", "organizer");
  const answers = [
    await olga.get("/schedules"),
    await olga.get(path),
    await olga.post("/schedules", body()),
    await olga.patch(path, {}),
    await olga.delete(path),
    await olga.post(`${path}/run`),
  ];
  for (const refused of answers) assertProblem(refused, 403, "/problems/forbidden");
});
