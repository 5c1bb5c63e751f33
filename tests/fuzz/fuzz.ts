/**
 * `deno task fuzz --requests 20000 --seed 7`: starts the service, and sends it what its own document
 * allows and forbids: each field broken in at least thirty ways, one at a time, and whole requests in
 * every way there is. Fewer requests than that takes are a failure as well.
 *
 * Nothing may be answered with 5xx, with a status or a body that is not documented, or slowly; and the
 * process must not grow by it. `--url` and a `--token` have it look at a server that runs already.
 * Its last line is `N passed, N failed`.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { figuresOf } from "../../bench/processes.ts";
import { ServerProcess, tokenFor } from "../support/server_process.ts";
import { listsTellTheTruth, nothingStaysKept } from "./aftermath.ts";
import type { OpenApiDocument } from "./document.ts";
import { type Finding, type Fuzzed, FuzzRun } from "./fuzz_run.ts";
import { WAYS_MIN } from "./rounds.ts";

const { values } = parseArgs({
  args: Deno.args,
  options: {
    requests: { type: "string", default: "20000" },
    seed: { type: "string", default: String(Math.floor(Math.random() * 1e6)) },
  },
});
const [requests, seed] = [Number(values.requests), Number(values.seed)];

/** Of all requests, so many go first, until the process has what it needs to serve at all. */
const WARMING_PART = 0.2;
/** By so much the process may be larger at the end, when it has as many actors as it will have. */
const GROWTH_MAX_MB = 200;
const FINDINGS_SHOWN = 40;

const directory = await Deno.makeTempDir({ prefix: "troupe_fuzz_" });
try {
  await using server = await ServerProcess.start({
    DATABASE_URL: Deno.env.get("DATABASE_URL") ?? "",
    DATA_DIR: `${directory}/data`,
    RATE_LIMITS: "off",
    // Nobody waits for the writes that tokens are made up for.
    CONSISTENCY_WAIT_MS: "50",
    RESIDENT_ACTORS_MAX: "1000",
  });
  process.exitCode = await fuzz(server) ? 0 : 1;
} finally {
  await Deno.remove(directory, { recursive: true });
}

async function fuzz(server: ServerProcess): Promise<boolean> {
  const document: OpenApiDocument = await (await fetch(`${server.url}/openapi.json`)).json();
  const tokens = [
    await tokenFor("alice", "organizer", "trader", "feed", "admin"),
    await tokenFor("ann", "organizer", "trader"),
    await tokenFor("bob", "user"),
    await tokenFor("root", "admin"),
    undefined,
    "a.b.c",
  ];
  const run = new FuzzRun(document, { url: server.url, seed, tokens });
  const warming = Math.ceil(requests * WARMING_PART);
  await run.send(warming);
  const before = (await figuresOf(server.pid)).residentMb;
  await run.send(requests - warming);
  const growth = (await figuresOf(server.pid)).residentMb - before;
  const [chief, other] = tokens as [string, string];
  const events = await listsTellTheTruth(server.url, chief);
  const orders = await nothingStaysKept(server.url, chief) +
    await nothingStaysKept(server.url, other);
  console.log(`${events} events and ${orders} orders came of it, and all are as they should be`);
  const defects = server.log.filter(({ level }) => level === "error");
  return told(run.outcome, growth, defects.map((entry) => JSON.stringify(entry)));
}

function told(outcome: Fuzzed, growth: number, defects: readonly string[]): boolean {
  const { findings, sent, coverage, statuses, misdescribed, slowestMs } = outcome;
  const { ways, thin, unmet } = coverage;
  for (const finding of findings.slice(0, FINDINGS_SHOWN)) console.log(described(finding));
  for (const defect of defects.slice(0, FINDINGS_SHOWN)) console.log(defect);
  console.log(`${sent} requests, seed ${seed}: ${ways.tried} of ${ways.all} ways to break a field`);
  if (thin.length > 0) console.log(`broken in too few: ${shown(thin)}`);
  if (unmet.length > 0) console.log(`never met: ${shown(unmet)}`);
  console.log(`statuses: ${countsIn(statuses)}`);
  console.log(`valid by the document, and refused: ${countsIn(misdescribed)}`);
  console.log(`slowest answer ${Math.round(slowestMs)} ms; grown by ${Math.round(growth)} MB`);
  const checks = [
    ["nothing is answered but what is documented", findings.length === 0],
    [`every field is broken in ${WAYS_MIN} ways or more`, thin.length === 0],
    ["every way to break a request as a whole is met", unmet.length === 0],
    ["no defect is logged", defects.length === 0],
    ["the process does not grow", growth <= GROWTH_MAX_MB],
  ] as const;
  for (const [name, holds] of checks) console.log(`${holds ? "ok    " : "FAILED"} ${name}`);
  const failed = checks.filter(([, holds]) => !holds).length;
  console.log(`\n${checks.length - failed} passed, ${failed} failed`);
  return failed === 0;
}

function shown(names: readonly string[]): string {
  const more = names.length > FINDINGS_SHOWN ? `, and ${names.length - FINDINGS_SHOWN} more` : "";
  return names.slice(0, FINDINGS_SHOWN).join(", ") + more;
}

function described({ number, attempt, status, what, said }: Finding): string {
  const { operation, broken, method, path, headers, content } = attempt;
  return [
    `#${number} ${operation.id} (${broken ?? "as documented"}): ${what}`,
    `  ${method} ${path.slice(0, 300)} ${JSON.stringify(headers).slice(0, 300)}`,
    `  ${String(content ?? "").slice(0, 300)}`,
    `  ${status} ${said}`,
  ].join("\n");
}

function countsIn<Key>(counts: ReadonlyMap<Key, number>): string {
  const sorted = [...counts].sort(([, a], [, b]) => b - a);
  return sorted.map(([key, count]) => `${key}: ${count}`).join(", ") || "none";
}
