/** How the first administrator comes to be: by whoever holds the database, and never over HTTP. */
import * as LoginName from "../actors/login_name/aggregate.ts";
import * as User from "../actors/user/aggregate.ts";
import type { Env } from "../lib/env.ts";
import { ProblemError } from "../lib/http/problem.ts";
import { newSecret } from "../lib/http/secrets.ts";
import type { PasswordHashing } from "../lib/passwords/hashing.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import { unaskedCause } from "../lib/runtime/envelope.ts";
import type { Operator } from "../lib/runtime/outbox.ts";
import type { ActorSystem } from "../lib/runtime/system.ts";
import { loginKeyOf, requireGoodPassword } from "./identity.ts";
import { SignUp } from "./user_schemas.ts";

export interface CreateAdminOptions {
  readonly system: ActorSystem;
  readonly hashing: Pick<PasswordHashing, "hash">;
  readonly audit: Audit;
  readonly env: Pick<Env, "monotonic" | "uuid">;
  readonly operator: Operator;
}

export class CreateAdminFailed extends Error {}

const TIMEOUT_MS = 10_000;

export interface AdminCredentials {
  readonly email: string;
  readonly password: string;
  /** It was made up, and nobody knows it yet. */
  readonly isNews: boolean;
}

/**
 * Makes the account with that address an administrator. One that is there keeps its password; a new
 * one has that which is given, and one that was made up is printed once.
 */
export async function createAdminCommand(
  { system, hashing, audit, env, operator }: CreateAdminOptions,
  { email, password, isNews }: AdminCredentials,
  print: (line: string) => void,
): Promise<void> {
  const cause = unaskedCause(env, { id: operator.id, roles: ["admin"] }, TIMEOUT_MS);
  const claim = { type: "Claim", userId: env.uuid() } as const;
  const key = loginKeyOf(email);
  const claimed = await system.ask(LoginName, key, claim, cause, ({ state }) => state.userId);
  if (!claimed.accepted) throw new Error(`A name was refused: ${claimed.reason}`);
  const userId = claimed.answer!;
  const passwordHash = await hashing.hash(password);
  const act = {
    act: "admin made",
    subject: `user/${userId}`,
    outcome: "done",
    detail: {},
  } as const;
  await audit.record(act, operator);
  const command = { type: "Appoint", email, passwordHash, roles: ["admin"] } as const;
  const appointed = { ...cause, messageId: env.uuid() };
  const outcome = await system.ask(User, userId, command, appointed, ({ state }) => {
    return state.passwordHash === passwordHash;
  });
  if (!outcome.accepted) throw new Error(`An administrator was refused: ${outcome.reason}`);
  const isNew = outcome.answer;
  print(`${email} is an administrator, ${userId}`);
  if (isNew && isNews) print(`password, shown this once: ${password}`);
  if (!isNew) print("the account was there already, and keeps its password");
}

/**
 * Those of the administrator to be, with the password that is given, or one that is made up.
 *
 * @throws {CreateAdminFailed} for an address that is none, or a password that would be guessed.
 */
export async function adminCredentials(
  [email, ...rest]: readonly string[],
  given: string | undefined,
  hashing: PasswordHashing,
): Promise<AdminCredentials> {
  const password = given ?? newSecret();
  const parsed = SignUp.safeParse({ email, password });
  if (!parsed.success || rest.length > 0) {
    const [issue] = parsed.error?.issues ?? [];
    const why = issue === undefined ? "" : `: ${issue.path.join(".")}: ${issue.message}`;
    throw new CreateAdminFailed(
      `usage: create-admin EMAIL, with a password piped in or none${why}`,
    );
  }
  try {
    await requireGoodPassword(hashing, parsed.data.password, {
      email: parsed.data.email,
      field: "password",
    });
  } catch (error) {
    if (!(error instanceof ProblemError)) throw error;
    const why = error.problem.errors?.[0]?.message ?? error.message;
    throw new CreateAdminFailed(`Cannot use this password: ${why}`, { cause: error });
  }
  return { ...parsed.data, isNews: given === undefined };
}
