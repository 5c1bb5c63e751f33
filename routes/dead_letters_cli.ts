/**
 * The dead letters for whoever has a shell where the service runs.
 *
 * @module
 */
import { parseArgs } from "node:util";
import type { DeadLetter, DeadLetters, Operator } from "../lib/runtime/outbox.ts";
import { Command, letterView, REDRIVE_MAX } from "./dead_letters.ts";

const deadLettersUsage =
  "usage: dead-letters list [--kind KIND] | show ID | edit ID JSON | redrive ID | redrive --kind KIND | discard ID";

/** What was asked for is none of what there is, or makes no sense. */
export class DeadLettersUsageError extends Error {}

const PAGE = 200;

/** Does what `args` say, and tells `print` each letter that it was about, a line of JSON each. */
export async function deadLettersCommand(
  letters: DeadLetters,
  args: readonly string[],
  operator: Operator,
  print: (line: string) => void,
): Promise<void> {
  const { act, id, json, kind } = parsed(args);
  const show = (letter: DeadLetter) => print(JSON.stringify(letterView(letter)));
  switch (act) {
    case "list":
      return await listed(letters, kind, show);
    case "show":
      return show(found(await letters.get(given(id)), id));
    case "edit": {
      const { schema } = found(await letters.get(given(id)), id);
      const change = { schema, command: contentOf(given(json)) };
      return show(found(await letters.edit(given(id), change, operator), id));
    }
    case "redrive": {
      const which = kind === undefined ? { messageId: given(id) } : { kind, limit: REDRIVE_MAX };
      const raised = await letters.redrive(which, operator);
      if (kind === undefined) found(raised[0], id);
      return raised.forEach(show);
    }
    case "discard":
      if (!await letters.discard(given(id), operator)) found(undefined, id);
      return;
    default:
      throw new DeadLettersUsageError(deadLettersUsage);
  }
}

const UUID = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

function parsed(args: readonly string[]) {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: { kind: { type: "string" } },
    });
    const [act, id, json] = positionals;
    if (id !== undefined && !UUID.test(id)) throw new Error(`${id} is no id of a dead letter`);
    return { act, id, json, kind: values.kind };
  } catch (error) {
    const message = `${(error as Error).message}; ${deadLettersUsage}`;
    throw new DeadLettersUsageError(message, { cause: error });
  }
}

function given(value: string | undefined): string {
  if (value === undefined) throw new DeadLettersUsageError(deadLettersUsage);
  return value;
}

/** Held to what HTTP holds it to. */
function contentOf(json: string): unknown {
  try {
    return Command.parse(JSON.parse(json));
  } catch (cause) {
    throw new DeadLettersUsageError("the new command must be JSON that can be kept", { cause });
  }
}

function found(letter: DeadLetter | undefined, id: string | undefined): DeadLetter {
  if (letter === undefined) throw new DeadLettersUsageError(`there is no dead letter ${id}`);
  return letter;
}

/** Page by page, so that a million of them fit as well. */
async function listed(
  letters: DeadLetters,
  kind: string | undefined,
  show: (letter: DeadLetter) => void,
): Promise<void> {
  for (let after = 0;;) {
    const page = await letters.list({ ...(kind !== undefined && { kind }), after, limit: PAGE });
    page.forEach(show);
    const last = page.at(-1);
    if (page.length < PAGE || last === undefined) return;
    after = last.position;
  }
}
