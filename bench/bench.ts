/**
 * `deno task bench`: measures the service against what it must reach, and writes the figures down.
 *
 *     bench.ts [--store=postgres|embedded] [--rounds=N] [--only=TEXT] [--quick] [--people] [--out=FILE]
 *              [--against=FOLDER]
 *
 * `--only` keeps the figures whose name contains the text, `--quick` shrinks everything, `--people`
 * posts with a token per person instead of the organizer's. `--against` names another
 * checkout: rush and spread are then between its service and this one, so that what a change costs
 * is seen between neighbours in a round. Server Postgres is the one at `DATABASE_URL`; databases are
 * made and dropped in it. Jobs need npm, and for BullMQ a Redis at `REDIS_URL`.
 *
 * @module
 */
import { dirname } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { type Bench, fullSizes, quickSizes } from "./arena.ts";
import { People } from "./contestants.ts";
import {
  type Figure,
  figures,
  type Finding,
  findingOf,
  groups,
  nameOf,
  type Sample,
  type Store,
} from "./figures.ts";
import type { LoadReport } from "./load_generator.ts";
import { asAdmin, databaseServer, LoadProcess } from "./processes.ts";
import { findingsTable, sampleLine, samplesTable } from "./report.ts";
import { workloads } from "./workloads.ts";

const peopleCount = 20_000;

interface Options {
  readonly store: Store;
  readonly rounds: number | undefined;
  readonly only: string;
  readonly isQuick: boolean;
  readonly hasPeople: boolean;
  readonly out: string;
  readonly against: string | undefined;
}

interface Results {
  readonly samples: readonly Sample[];
  readonly faults: readonly string[];
  readonly loadCpuMicros: readonly number[];
}

function optionsFrom(args: string[]): Options {
  const { values } = parseArgs({
    args,
    options: {
      store: { type: "string", default: "postgres" },
      rounds: { type: "string" },
      only: { type: "string", default: "" },
      quick: { type: "boolean", default: false },
      people: { type: "boolean", default: false },
      out: { type: "string" },
      against: { type: "string" },
    },
  });
  const { store, rounds, out, against } = values;
  if (store !== "postgres" && store !== "embedded") {
    throw new Error(`Cannot measure the store "${store}": there are postgres and embedded`);
  }
  if (rounds !== undefined && !/^[1-9][0-9]*$/.test(rounds)) {
    throw new Error(`Cannot run ${rounds} rounds`);
  }
  return {
    store,
    rounds: rounds === undefined ? undefined : Number(rounds),
    only: values.only.toLowerCase(),
    isQuick: values.quick,
    hasPeople: values.people,
    out: out ?? new URL(`results/${store}.json`, import.meta.url).pathname,
    against,
  };
}

async function tokensFor(people: People, hasPeople: boolean): Promise<string[]> {
  if (!hasPeople) return [await people.organizer()];
  return await Promise.all(
    Array.from({ length: peopleCount }, (_, i) => people.token(`person-${i}`)),
  );
}

async function measureAll(
  options: Options,
  wanted: readonly Figure[],
  adminUrl: string,
): Promise<Results> {
  const results = {
    samples: [] as Sample[],
    faults: [] as string[],
    loadCpuMicros: [] as number[],
  };
  const sizes = options.isQuick ? quickSizes : fullSizes;
  const people = await People.create();
  const load = new LoadProcess();
  const bench: Bench = {
    store: options.store,
    adminUrl,
    sizes: { ...sizes, rounds: options.rounds ?? sizes.rounds },
    people,
    tokens: await tokensFor(people, options.hasPeople),
    organizer: await people.organizer(),
    load,
    against: options.against,
    tell: (sample: Sample, report?: LoadReport) => {
      results.samples.push(sample);
      // What answers slowly also costs the generator more, which wakes up for every single answer.
      if (report && sample.contestant === "bare") {
        results.loadCpuMicros.push(report.cpuMicrosPerRequest);
      }
      console.log(sampleLine(sample));
    },
    fault: (text) => {
      results.faults.push(text);
      console.log(`NOT EXACT  ${text}`);
    },
  };
  try {
    for (const group of groups) {
      if (wanted.some((figure) => figure.group === group)) await workloads[group](bench);
    }
  } finally {
    await load.close();
  }
  return results;
}

/** The settings without which a figure says nothing about durable commands. */
async function durabilityOf(adminUrl: string): Promise<Record<string, string>> {
  const settings: Record<string, string> = {};
  await asAdmin(adminUrl, async (sql) => {
    const rows = await sql<{ name: string; setting: string }[]>`
      select name, setting from pg_settings where name in
        ('server_version', 'fsync', 'full_page_writes', 'synchronous_commit', 'wal_level')`;
    for (const { name, setting } of rows) settings[name] = setting;
  });
  return settings;
}

async function writeResults(
  options: Options,
  { samples, faults }: Results,
  { findings, durability }: {
    readonly findings: readonly Finding[];
    readonly durability: Readonly<Record<string, string>>;
  },
): Promise<void> {
  const results = {
    store: options.store,
    isQuick: options.isQuick,
    at: new Date().toISOString(),
    machine: { deno: Deno.version.deno, processors: navigator.hardwareConcurrency },
    durability,
    figures: findings.map(({ figure, ...finding }) => ({
      ...finding,
      atLeast: figure.atLeast,
      atMost: figure.atMost,
    })),
    faults,
    samples,
  };
  await Deno.mkdir(dirname(options.out), { recursive: true });
  await Deno.writeTextFile(options.out, `${JSON.stringify(results, null, 2)}\n`);
}

async function main(args: string[]): Promise<number> {
  const options = optionsFrom(args);
  const adminUrl = databaseServer();
  const wanted = figures.filter((figure) =>
    (figure.store ?? options.store) === options.store &&
    nameOf(figure).toLowerCase().includes(options.only)
  );
  if (wanted.length === 0) {
    throw new Error(
      `Cannot measure "${options.only}": known are\n  ${figures.map(nameOf).join("\n  ")}`,
    );
  }
  const durability = options.store === "postgres" ? await durabilityOf(adminUrl) : {};
  if (durability.fsync === "off") throw new Error("Cannot measure durable commands with fsync=off");

  const results = await measureAll(options, wanted, adminUrl);
  const findings = wanted.flatMap((figure) => findingOf(figure, results.samples) ?? []);
  console.log(`\n${samplesTable(results.samples)}`);
  if (findings.length > 0) console.log(`\n${findingsTable(findings)}`);
  const cpu = results.loadCpuMicros;
  if (cpu.length > 0) {
    const mean = cpu.reduce((sum, micros) => sum + micros, 0) / cpu.length;
    console.log(
      `\nAgainst a bare server the load generator spent ${
        mean.toFixed(1)
      } µs of processor time on ` +
        "a request; the rate that it can reach is that of the contestant called bare.",
    );
  }
  for (const fault of results.faults) console.log(`NOT EXACT  ${fault}`);
  await writeResults(options, results, { findings, durability });
  console.log(`\nWritten to ${options.out}`);
  return results.faults.length === 0 && findings.every(({ isMet }) => isMet) ? 0 : 1;
}

try {
  process.exitCode = await main(Deno.args);
} catch (error) {
  // Whole, as what fails here is rarely the options and often what a server said.
  console.error(error);
  process.exitCode = 2;
}
