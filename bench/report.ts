/** Samples and findings as text for a terminal. */
import { type Finding, medianOf, type Metric, type Sample } from "./figures.ts";

const units: Readonly<Record<Metric, string>> = {
  perSecond: "/s",
  p50Ms: "ms p50",
  p99Ms: "ms p99",
  maxMs: "ms at most",
  residentMb: "MB resident",
  growthMb: "MB growth",
  startMs: "ms to the first answer",
  outboxMb: "MB on disk",
};

export function sampleLine({ workload, contestant, round, values }: Sample): string {
  const shown = Object.entries(values)
    .map(([metric, value]) => `${rounded(value)} ${units[metric as Metric]}`);
  return `round ${round}  ${workload}  ${contestant}: ${shown.join(", ")}`;
}

/** Medians over the rounds; to be read down a workload, not across hours. */
export function samplesTable(samples: readonly Sample[]): string {
  const keys = new Set(samples.map(({ workload, contestant }) => `${workload}\t${contestant}`));
  const rows = [...keys].map((key) => {
    const [workload, contestant] = key.split("\t") as [string, string];
    const of = samples.filter((sample) =>
      sample.workload === workload && sample.contestant === contestant
    );
    const metrics = new Set(of.flatMap(({ values }) => Object.keys(values) as Metric[]));
    const medians = [...metrics].map((metric) => {
      const values = of.flatMap((sample) => sample.values[metric] ?? []);
      return `${rounded(medianOf(values))} ${units[metric]}`;
    });
    return [workload, contestant, medians.join("   "), ratioToReal(samples, of)];
  });
  return table(["workload", "contestant", "median", "real / it"], rows);
}

/** How many times its rate the real one reached, as the median of what the rounds say. */
function ratioToReal(samples: readonly Sample[], of: readonly Sample[]): string {
  const ratios = of.filter(({ contestant }) => contestant !== "real").flatMap((sample) => {
    const real = samples.find(({ workload, contestant, round }) =>
      workload === sample.workload && contestant === "real" && round === sample.round
    );
    const [reached, base] = [real?.values.perSecond, sample.values.perSecond];
    return reached === undefined || base === undefined ? [] : [reached / base];
  });
  return ratios.length === 0 ? "" : rounded(medianOf(ratios));
}

export function findingsTable(findings: readonly Finding[]): string {
  const rows = findings.map(({ figure, name, median, min, max, isMet }) => [
    isMet ? "ok" : "MISSED",
    name,
    figure.atLeast === undefined ? `at most ${figure.atMost}` : `at least ${figure.atLeast}`,
    rounded(median),
    `${rounded(min)} to ${rounded(max)}`,
  ]);
  return table(["", "figure", "target", "median", "rounds"], rows);
}

export function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = head.map((name, column) =>
    Math.max(name.length, ...rows.map((row) => row[column]!.length))
  );
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column]!)).join("  ").trimEnd();
  return [line(head), line(widths.map((width) => "-".repeat(width))), ...rows.map(line)].join("\n");
}

export function rounded(value: number): string {
  if (value >= 100) return Math.round(value).toLocaleString("en");
  return value.toPrecision(3);
}
