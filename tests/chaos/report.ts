/** What a run came to: printed, and written down. */
import type { ChaosOutcome, Episode } from "./chaos_run.ts";
import type { OperationName } from "./history.ts";

const RECOVERY_MS_MAX = 10_000;
/** From this length on, every kind of fault has to have fired. */
const LONG_RUN_MS = 600_000;

export interface Finding {
  readonly name: string;
  readonly faults: readonly string[];
}

interface Recovery {
  readonly kind: string;
  readonly times: number;
  readonly fired: number;
  readonly p50Ms: number;
  readonly maxMs: number;
}

/** All that had to hold, each with what was wrong with it. */
export function findingsOf(outcome: ChaosOutcome): readonly Finding[] {
  const { verdict, ailments, errors, episodes, kinds, forMs } = outcome;
  const more = verdict.breachCount - verdict.breaches.length;
  const unfired = kinds.filter((kind) => !hasFired(kind, episodes));
  const slow = episodes.filter(({ faults, recoveryMs = Infinity }) => {
    return faults.length === 1 && recoveryMs > RECOVERY_MS_MAX;
  });
  return [
    {
      name: "the history and the database tell one story",
      faults: [...verdict.breaches, ...(more > 0 ? [`and ${more} more`] : [])],
    },
    {
      name: `every single fault is over ${RECOVERY_MS_MAX / 1_000} s after its end`,
      faults: slow.map(({ faults: [fault], recoveryMs }) => {
        return `${fault!.kind} of ${fault!.ms} ms: ${recoveryMs?.toFixed(0) ?? "never"} ms`;
      }),
    },
    // A short one has no time for all, and says for which.
    ...(forMs < LONG_RUN_MS ? [] : [{ name: "every kind of fault has fired", faults: unfired }]),
    { name: "no node has died by itself, and all end in order", faults: ailments },
    {
      name: "no node has logged an error",
      faults: [...errors].map(([text, count]) => `${count} times: ${text}`),
    },
  ];
}

function hasFired(kind: string, episodes: readonly Episode[]): boolean {
  return episodes.some(({ faults, fired }) =>
    faults.some((fault, n) => fault.kind === kind && fired[n])
  );
}

export function printReport(
  outcome: ChaosOutcome,
  say: (line: string) => void,
): { readonly passed: number; readonly failed: number } {
  say("");
  for (const line of markdownOf(outcome)) say(line);
  const findings = findingsOf(outcome);
  for (const { name, faults } of findings) {
    say(`${faults.length === 0 ? "ok    " : "FAILED"} ${name}`);
    for (const fault of faults) say(`         ${fault}`);
  }
  const failed = findings.filter(({ faults }) => faults.length > 0).length;
  return { passed: findings.length - failed, failed };
}

/** Beside the other figures of this machine: as JSON, and as the text of a report. */
export async function writeReport(outcome: ChaosOutcome): Promise<string> {
  const { seed, forMs, verdict, skipped, errors, ...rest } = outcome;
  const path = `bench/results/chaos_${seed}_${forMs / 1_000}s`;
  await Deno.mkdir("bench/results", { recursive: true });
  const json = {
    seed,
    forMs,
    ...rest,
    skipped: [...skipped],
    errors: [...errors],
    verdict: { ...verdict, tallies: Object.fromEntries(verdict.tallies) },
    findings: findingsOf(outcome),
  };
  await Deno.writeTextFile(`${path}.json`, JSON.stringify(json, undefined, 1));
  await Deno.writeTextFile(`${path}.md`, `${markdownOf(outcome).join("\n")}\n`);
  return `${path}.json and .md`;
}

export function markdownOf(outcome: ChaosOutcome): string[] {
  const { seed, forMs, nodes, counts, verdict, withheld, kinds, episodes, skipped } = outcome;
  const number = (value: number) => value.toLocaleString("en");
  const acknowledged = (name: OperationName) => number(verdict.tallies.get(name)?.ok ?? 0);
  const unfired = kinds.filter((kind) => !hasFired(kind, episodes));
  return [
    `Seed ${seed}, ${forMs / 1_000} s of faults, ${nodes} nodes; ` +
    `${(outcome.tookMs / 1_000).toFixed(0)} s in all.`,
    "",
    `- ${number(verdict.acknowledged)} commands acknowledged, ${number(verdict.events)} events`,
    `- ${acknowledged("place")} orders, ${acknowledged("cancel")} cancellations and ` +
    `${acknowledged("replace")} replacements acknowledged, ${number(verdict.trades)} trades`,
    `- ${counts.serverKills} kills and ${counts.serverPauses} pauses of nodes, ` +
    `${counts.databaseCrashes} crashes and ${counts.databaseRestarts} restarts of the database, ` +
    `${episodes.length} episodes`,
    `- ${number(verdict.breachCount)} breaches`,
    `- nobody waited longer for a definite answer than ${duration(verdict.longestMs)}`,
    `- ${outcome.cores} cores, for which ${
      outcome.loadAverage.toFixed(1)
    } processes of the machine ` +
    "waited or ran on average",
    `- ${number(withheld)} operations withheld, as too many were in progress`,
    `- at rest ${(outcome.drainedMs / 1_000).toFixed(1)} s after the last fault`,
    ...(unfired.length === 0 ? [] : [`- never fired: ${unfired.join(", ")}`]),
    ...[...skipped].map(([kind, why]) => `- cannot here: ${kind}: ${why.trim()}`),
    "",
    "| operation | ok | refused | unknown for ever | attempts besides |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...[...verdict.tallies].map(([f, { ok, fail, info, attempts }]) =>
      `| ${f} | ${number(ok)} | ${number(fail)} | ${number(info)} | ${number(attempts)} |`
    ),
    "",
    "| fault | times | fired | recovery, p50 | recovery, at most |",
    "| --- | ---: | ---: | ---: | ---: |",
    ...recoveriesOf(episodes).map(({ kind, times, fired, p50Ms, maxMs }) =>
      `| ${kind} | ${times} | ${fired} | ${duration(p50Ms)} | ${duration(maxMs)} |`
    ),
    "",
  ];
}

function duration(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / 1_000).toFixed(2)} s` : "never";
}

/** By kind; what went wrong together stands apart. */
function recoveriesOf(episodes: readonly Episode[]): readonly Recovery[] {
  const byKind = new Map<string, Episode[]>();
  for (const episode of episodes) {
    const { faults } = episode;
    const kind = faults.length === 1 ? faults[0]!.kind : "two at once";
    if (!byKind.has(kind)) byKind.set(kind, []);
    byKind.get(kind)!.push(episode);
  }
  return [...byKind].map(([kind, some]) => {
    const times = some.map(({ recoveryMs = Infinity }) => recoveryMs).sort((a, b) => a - b);
    const fired = some.filter(({ fired }) => fired.every((is) => is)).length;
    const p50Ms = times[Math.floor((times.length - 1) / 2)]!;
    return { kind, times: some.length, fired, p50Ms, maxMs: times.at(-1)! };
  }).toSorted((a, b) => a.kind < b.kind ? -1 : 1);
}
