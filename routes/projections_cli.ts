/**
 * Rebuilds for whoever has a shell where the service runs.
 *
 * @module
 */
import type { Observe } from "../lib/runtime/observe.ts";
import type { Operator } from "../lib/runtime/outbox.ts";
import type { Rebuilder } from "../lib/runtime/rebuild.ts";

/** It was not to be, or not like this. */
export class RebuildFailed extends Error {}

/** A line at most so often. */
const REPORT_EVERY_MS = 1_000;

/** Rebuilds the one projection that `args` name, and tells `print` where it then stands. */
export async function rebuildCommand(
  rebuilder: Pick<Rebuilder<never>, "start" | "list" | "find">,
  args: readonly string[],
  operator: Operator,
  print: (line: string) => void,
): Promise<void> {
  const [name, ...rest] = args;
  const rebuild = name === undefined || rest.length > 0
    ? undefined
    : await rebuilder.start(name, operator);
  if (rebuild === undefined) {
    const names = (await rebuilder.list()).map(({ name }) => name);
    throw new RebuildFailed(`usage: rebuild-projection ${names.join(" | ")}`);
  }
  const isDone = await rebuild.ended;
  const standing = await rebuilder.find(name!);
  if (!isDone) throw new RebuildFailed(`Not rebuilt: ${standing?.rebuild?.error ?? "interrupted"}`);
  print(`rebuilt ${name} of ${standing?.rebuild?.events} events`);
}

/** Tells `print` how a rebuild gets on. */
export function rebuildReport(print: (line: string) => void): Observe {
  let dueMs = REPORT_EVERY_MS;
  return (event) => {
    if (event.type === "rebuilding" && event.durationMs >= dueMs) {
      dueMs = event.durationMs + REPORT_EVERY_MS;
      print(`applied ${event.events} events`);
    } else if (event.type === "rebuild-failed" && event.retryInMs !== undefined) {
      print(`tries again: ${event.error}`);
    }
  };
}
