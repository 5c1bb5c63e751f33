/**
 * A webhook endpoint: where its owner wants to hear of which events, and with what secret.
 *
 * What `decide` upholds and everyone else may assume:
 * - to all but its owner and admins it does not exist, and to nobody once it is deleted;
 * - there are at most two active secrets, and just one a day after the last change.
 *
 * @module
 */
import { z } from "zod";
import {
  accept,
  type Decision,
  type DecisionContext,
  type Message,
  reject,
} from "../../lib/runtime/aggregate.ts";
import type { Principal } from "../../lib/runtime/envelope.ts";

export const kind = "webhook_endpoint";

/** The lane by which messages leave for an endpoint; its key is that of the endpoint. */
export const lane = "webhook";

/** How long the secret before is still good, so that receivers can change theirs in peace. */
export const PREVIOUS_SECRET_MS = 24 * 3_600_000;

export interface Subscription {
  readonly url: string;
  /** Of the events that it is told of. */
  readonly types: readonly string[];
  readonly description?: string;
}

export type DisabledBecause =
  /** Its owner wanted it so. */
  | "asked"
  /** It answered 410. */
  | "gone"
  /** It failed for as long as a message is tried. */
  | "failing";

export type Command =
  | { readonly type: "Create"; readonly secret: string } & Subscription
  | { readonly type: "Revise" } & Partial<Subscription>
  | { readonly type: "RotateSecret"; readonly secret: string }
  | { readonly type: "Enable" }
  | { readonly type: "Disable" }
  | { readonly type: "Delete" }
  /** Sends something by the way that everything goes. */
  | { readonly type: "Test" }
  /** By whoever delivers. */
  | { readonly type: "Suspend"; readonly because: "gone" | "failing" };

type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

const time = z.iso.datetime();

export const Event = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("Created"),
    ownerId: z.string(),
    url: z.string(),
    types: z.array(z.string()),
    description: z.string().exactOptional(),
    secret: z.string(),
    createdAt: time,
  }),
  /** Holds only what changed. */
  z.object({
    type: z.literal("Revised"),
    url: z.string().exactOptional(),
    types: z.array(z.string()).exactOptional(),
    description: z.string().exactOptional(),
  }),
  z.object({ type: z.literal("SecretRotated"), secret: z.string(), previousUntil: time }),
  z.object({ type: z.literal("Enabled") }),
  z.object({ type: z.literal("Disabled"), because: z.enum(["asked", "gone", "failing"]) }),
  z.object({ type: z.literal("Tested") }),
  z.object({ type: z.literal("Deleted") }),
]);
export type Event = z.infer<typeof Event>;

export type Reason = "not-found" | "already-exists" | "disabled";

export interface State extends Subscription {
  readonly status: "absent" | "enabled" | "disabled" | "deleted";
  readonly disabledBecause?: DisabledBecause;
  readonly ownerId: string;
  readonly createdAt: string;
  readonly secret: string;
  readonly previousSecret?: { readonly secret: string; readonly until: string };
}

export const initial: State = {
  status: "absent",
  ownerId: "",
  url: "",
  types: [],
  createdAt: "",
  secret: "",
};

type Verdict = Decision<Event, Reason>;

export function decide(state: State, command: Command, context: DecisionContext): Verdict {
  if (command.type === "Create") return create(state, command, context);
  if (command.type === "Suspend") {
    const { because } = command;
    return state.status === "enabled" ? accept({ type: "Disabled", because }) : accept();
  }
  if (!mayManage(state, context.principal)) return reject("not-found");
  switch (command.type) {
    case "Revise":
      return revise(state, command);
    case "RotateSecret":
      return rotate(command, context);
    case "Enable":
      return state.status === "enabled" ? accept() : accept({ type: "Enabled" });
    case "Disable":
      return disable(state);
    case "Delete":
      return accept({ type: "Deleted" });
    case "Test":
      return test(state, context);
  }
}

function create(
  { status }: State,
  command: CommandOf<"Create">,
  { at, principal }: DecisionContext,
): Verdict {
  if (status !== "absent") return reject("already-exists");
  const createdAt = new Date(at).toISOString();
  return accept({
    ...command,
    types: [...command.types],
    type: "Created",
    ownerId: principal.id,
    createdAt,
  });
}

function revise(state: State, { url, types, description }: CommandOf<"Revise">): Verdict {
  const changes = {
    ...(url !== undefined && url !== state.url && { url }),
    ...(types !== undefined && types.join() !== state.types.join() && { types: [...types] }),
    ...(description !== undefined && description !== state.description && { description }),
  };
  return Object.keys(changes).length === 0 ? accept() : accept({ type: "Revised", ...changes });
}

function rotate({ secret }: CommandOf<"RotateSecret">, { at }: DecisionContext): Verdict {
  const previousUntil = new Date(at + PREVIOUS_SECRET_MS).toISOString();
  return accept({ type: "SecretRotated", secret, previousUntil });
}

function disable({ status, disabledBecause }: State): Verdict {
  // What was suspended is thereby confirmed, and says so.
  return status === "disabled" && disabledBecause === "asked"
    ? accept()
    : accept({ type: "Disabled", because: "asked" });
}

function test({ status }: State, { key, at }: DecisionContext): Verdict {
  if (status !== "enabled") return reject("disabled");
  const timestamp = new Date(at).toISOString();
  const command = { type: "webhook.test", timestamp, data: { endpointId: key } };
  const message: Message = { to: { kind: lane, key }, schema: 1, command };
  return { accepted: true, events: [{ type: "Tested" }], messages: [message] };
}

export function evolve(state: State, event: Event): State {
  switch (event.type) {
    case "Created": {
      const { type: _, ...details } = event;
      return { ...state, ...details, status: "enabled" };
    }
    case "Revised": {
      const { type: _, ...changes } = event;
      return { ...state, ...changes };
    }
    case "SecretRotated": {
      const { secret, previousUntil: until } = event;
      return { ...state, secret, previousSecret: { secret: state.secret, until } };
    }
    case "Enabled": {
      const { disabledBecause: _, ...rest } = state;
      return { ...rest, status: "enabled" };
    }
    case "Disabled":
      return { ...state, status: "disabled", disabledBecause: event.because };
    case "Tested":
      return state;
    case "Deleted":
      // Nobody needs the secrets any more.
      return { ...initial, status: "deleted" };
  }
}

/** The owner and every admin; nobody what is not there. */
export function mayManage({ status, ownerId }: State, principal: Principal): boolean {
  if (status === "absent" || status === "deleted") return false;
  return ownerId === principal.id || principal.roles.includes("admin");
}

/** Those that a delivery at that time is signed with; the newest first. */
export function activeSecrets({ secret, previousSecret }: State, at: number): readonly string[] {
  const isStillGood = previousSecret !== undefined && Date.parse(previousSecret.until) > at;
  return isStillGood ? [secret, previousSecret.secret] : [secret];
}

/** What may be read of it; never a secret. */
export function details({ secret: _, previousSecret, ...rest }: State) {
  return {
    ...rest,
    ...(previousSecret !== undefined && { previousSecretUntil: previousSecret.until }),
  };
}
