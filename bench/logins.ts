/**
 * What signing in costs others, and what it tells of who there is.
 *
 *     deno task logins [--runs=300] [--parallel=50] [--requests=4000] [--rounds=3]
 *
 * First somebody who has an account and somebody who has none sign in with a wrong password, in turns,
 * never so often that a pause begins, and sign up: fails unless the medians of each are within a tenth
 * of each other. Then so many sign in at a time, over and
 * over, while a client registers people as it did before: fails unless its p99 is less than doubled.
 *
 * @module
 */
import { setTimeout as delay } from "node:timers/promises";
import { parseArgs } from "node:util";
import { People, startReal } from "./contestants.ts";
import { FAILURES_FREE } from "../actors/user/state.ts";
import { medianOf } from "./figures.ts";
import { GoodClient } from "./good_client.ts";
import { createDatabase, databaseServer, type Server, settle } from "./processes.ts";

const timingRatioMax = 1.1;
const p99RatioMax = 2;
const rushing = "grace@example.org";
const password = "an umbrella of elephants";

async function createAccount(
  email: string,
  env: Readonly<Record<string, string>>,
): Promise<void> {
  const main = new URL("../main.ts", import.meta.url).pathname;
  const child = new Deno.Command("deno", {
    args: [
      "run",
      "--quiet",
      "--allow-net",
      "--allow-env",
      "--allow-read",
      "--allow-write",
      "--allow-sys=hostname",
      main,
      "create-admin",
      email,
    ],
    env: { ...Deno.env.toObject(), ...env },
    stdin: "piped",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const stdin = child.stdin.getWriter();
  await stdin.write(new TextEncoder().encode(`${password}\n`));
  await stdin.close();
  const { success, stderr } = await child.output();
  if (!success) throw new Error(new TextDecoder().decode(stderr));
}

interface Attempt {
  readonly status: number;
  readonly ms: number;
}

type Way = "login" | "sign-up";

async function attempt({ url }: Server, way: Way, as: string, word: string): Promise<Attempt> {
  const startedAt = performance.now();
  const response = await fetch(`${url}/api/v1/auth/${way}`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ email: as, password: word }),
  });
  await response.body?.cancel();
  return { status: response.status, ms: performance.now() - startedAt };
}

/** Of one account, or of one name that nobody has: one more would begin a pause. */
const guessesEach = FAILURES_FREE - 1;
/** When actors leave memory: whoever was asked for just now would be known by that. */
const idleMs = 100;

/** By how much longer the slower of two takes, to sign up and in: who is there, and who is not. */
async function timingRatio(server: Server, runs: number): Promise<number> {
  const times = { "sign-up": [[], []], "login": [[], []] } as Record<Way, [number[], number[]]>;
  const timed = async (way: Way, isKnown: boolean, as: string) => {
    const word = way === "login" ? "not the right one" : password;
    const { status, ms } = await attempt(server, way, as, word);
    if (status !== (way === "login" ? 401 : 202)) throw new Error(`${way} was answered ${status}`);
    times[way][isKnown ? 0 : 1].push(ms);
  };
  for (let run = 0; run < runs; run++) {
    await delay(2 * idleMs);
    const guessed = `${Math.floor(run / guessesEach)}@example.org`;
    // Who signs up here for the first time is guessed at later.
    const [known, unknown] = [
      { "sign-up": rushing, "login": `known${guessed}` },
      { "sign-up": `known${run}@example.org`, "login": `unknown${guessed}` },
    ];
    for (const way of ["sign-up", "login"] as const) {
      // In turns, so that neither always comes after the other.
      const isKnownFirst = run % 2 === 0;
      for (const isKnown of [isKnownFirst, !isKnownFirst]) {
        await timed(way, isKnown, (isKnown ? known : unknown)[way]);
      }
    }
  }
  return Math.max(
    ...Object.entries(times).map(([way, [known, unknown]]) => {
      const medians = [medianOf(known), medianOf(unknown)];
      const [first, second] = medians.map((ms) => ms.toFixed(1));
      console.log(`${way}: known ${first} ms, unknown ${second} ms, medians of ${runs}`);
      return Math.max(...medians) / Math.min(...medians);
    }),
  );
}

/** Many who sign in again and again, until they are told to stop. */
function crowd(server: Server, parallel: number) {
  const attempts: Attempt[] = [];
  let isOver = false;
  const members = Array.from({ length: parallel }, async () => {
    while (!isOver) attempts.push(await attempt(server, "login", rushing, password));
  });
  return {
    async stop(): Promise<readonly Attempt[]> {
      isOver = true;
      await Promise.all(members);
      return attempts;
    },
  };
}

async function main(args: string[]): Promise<number> {
  const { values } = parseArgs({
    args,
    options: {
      runs: { type: "string", default: "300" },
      parallel: { type: "string", default: "50" },
      requests: { type: "string", default: "4000" },
      rounds: { type: "string", default: "3" },
    },
  });
  const [runs, parallel, requests, rounds] = [
    values.runs,
    values.parallel,
    values.requests,
    values.rounds,
  ].map(Number) as [number, number, number, number];
  await using closing = new AsyncDisposableStack();
  const people = await People.create();
  const token = await people.organizer();
  const database = await createDatabase(databaseServer());
  closing.defer(database.drop);
  const dataDir = await Deno.makeTempDir({ prefix: "troupe_logins_" });
  closing.defer(() => Deno.remove(dataDir, { recursive: true }));
  const { secret } = people;
  const server = await startReal({
    secret,
    dataDir,
    databaseUrl: database.url,
    env: { ...unlimited, ...forgetful },
  });
  closing.defer(server.stop);
  const env = { DATABASE_URL: database.url, DATA_DIR: dataDir, TOKEN_SECRET: secret };
  await createAccount(rushing, env);

  await attempt(server, "login", rushing, password);
  const timing = await timingRatio(server, runs);

  const good = closing.use(await GoodClient.open(server, token));
  await good.p99Ms(requests);
  const ratios: number[] = [];
  for (let round = 1; round <= rounds; round++) {
    await settle(server.pid);
    const before = await good.p99Ms(requests);
    const signingIn = crowd(server, parallel);
    const meanwhile = await good.p99Ms(requests);
    const attempts = await signingIn.stop();
    const byStatus = Map.groupBy(attempts, ({ status }) => status);
    const counts = [...byStatus].map(([status, of]) => `${of.length} × ${status}`).join(", ");
    console.log(
      `round ${round}: p99 ${before.toFixed(1)} ms alone, ${meanwhile.toFixed(1)} ms with ` +
        `${parallel} signing in (${counts})`,
    );
    ratios.push(meanwhile / before);
  }
  const ratio = medianOf(ratios);
  const said = (value: number) => value.toFixed(2);
  console.log(`timing ${said(timing)} times, less than ${timingRatioMax}`);
  console.log(`p99 ${said(ratio)} times, less than ${p99RatioMax}`);
  const isGood = timing < timingRatioMax && ratio < p99RatioMax;
  console.log(isGood ? "HELD" : "NOT HELD");
  return isGood ? 0 : 1;
}

/** All come from one address, to one account. */
const unlimited: Readonly<Record<string, string>> = { RATE_LIMITS: "off" };
const forgetful: Readonly<Record<string, string>> = { IDLE_MS: String(idleMs) };

if (import.meta.main) Deno.exit(await main(Deno.args));
