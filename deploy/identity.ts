/**
 * Who is believed: tokens, keys and what was revoked, as parts of a node.
 *
 * @module
 */
import type { QueryExecutorProvider } from "kysely";
import * as User from "../actors/user/aggregate.ts";
import { keyHolders } from "../actors/user/key_holders.ts";
import type { UserTables } from "../actors/user/projection.ts";
import { endedBy, revocationsIn, revokingTypes } from "../actors/user/revocations.ts";
import { ACCESS_MS, CLOCKS_APART_MS } from "../actors/user/state.ts";
import type { Audit } from "../lib/runtime/audit.ts";
import type { Env } from "../lib/env.ts";
import { API_KEY_PREFIX, ApiKeyVerifier } from "../lib/http/api_keys.ts";
import type { Verifier } from "../lib/http/credentials.ts";
import { RefreshTokens } from "../lib/http/refresh_tokens.ts";
import { RevocationWatch, type WatchLimits } from "../lib/http/revocation_watch.ts";
import { Revocations } from "../lib/http/revocations.ts";
import { CLOCK_TOLERANCE_MS, type TokenOptions, TokenVerifier } from "../lib/http/tokens.ts";
import { OutgoingMail, type SendMail } from "../lib/mail/mail.ts";
import { PasswordHashing } from "../lib/passwords/hashing.ts";
import type { HashingCost } from "../lib/passwords/hashing_worker.ts";
import type { Database } from "../lib/postgres/database.ts";
import { EventBus } from "../lib/runtime/event_bus.ts";
import type { Observe } from "../lib/runtime/observe.ts";
import { ActorSystem } from "../lib/runtime/system.ts";
import { Denials } from "../routes/denials.ts";
import type { LetterOptions } from "../routes/letters.ts";

export interface IdentitySetting {
  readonly tokens: TokenOptions;
  /** Tokens without a session that were made to last longer are refused. */
  readonly longestTokenMs: number;
  readonly sendMail: SendMail;
  readonly letters: LetterOptions;
  readonly hashing?: { readonly cost?: HashingCost; readonly threadsMax?: number };
  readonly revocations?: Partial<WatchLimits>;
}

interface IdentityNeeds {
  readonly database: Database;
  readonly system: ActorSystem;
  readonly bus: EventBus<QueryExecutorProvider>;
  readonly env: Env;
  readonly observe: Observe;
  readonly audit: Audit;
  readonly isReadOnly: () => boolean;
}

/** Who is believed, and what the routes need by which somebody comes to be. */
export function identityOn(
  { database, system, bus, env, observe, audit, isReadOnly }: IdentityNeeds,
  setting: IdentitySetting,
  parts: AsyncDisposableStack,
) {
  const { tokens, longestTokenMs, sendMail, letters } = setting;
  const longest = { sessionMs: ACCESS_MS, subjectMs: longestTokenMs };
  const lives = {
    sessionMs: longest.sessionMs + CLOCK_TOLERANCE_MS + CLOCKS_APART_MS,
    subjectMs: longest.subjectMs + CLOCK_TOLERANCE_MS + CLOCKS_APART_MS,
  };
  const revocations = new Revocations(lives, env);
  bus.subscribe({
    name: "revocations",
    kind: User.kind,
    types: revokingTypes,
    handle(events) {
      for (const { address, data } of events) {
        const ended = endedBy(address.key, data);
        if (ended !== undefined) revocations.note(ended);
      }
    },
  });
  const watch = parts.use(
    new RevocationWatch({
      source: revocationsIn(database.db),
      revocations,
      isReadOnly,
      env,
      observe,
      limits: { recentMs: Math.max(lives.sessionMs, lives.subjectMs), ...setting.revocations },
    }),
  );
  const ofTokens = new TokenVerifier({ ...tokens, revocations, longest });
  const ofKeys = new ApiKeyVerifier({ ...keyHolders({ system, env }), revocations, env });
  const onFailure = (task: string) => (error: unknown) =>
    observe({ type: "maintenance-failed", task, error });
  const denials = parts.use(new Denials({ audit, env, onFailure: onFailure("audit") }));
  const hashing = parts.use(new PasswordHashing({ env, ...setting.hashing }));
  const { name } = hashing.standing();
  hashing.onRefused(() => observe({ type: "bulkhead-full", bulkhead: name }));
  return {
    watch,
    standing: () => ({
      ageMs: Math.round(watch.ageMs),
      held: revocations.size,
      isKnown: watch.isKnown,
    }),
    authentication: {
      verifier: {
        verify: (credential, admit) =>
          credential.startsWith(API_KEY_PREFIX)
            ? ofKeys.verify(credential, admit)
            : ofTokens.verify(credential),
      } satisfies Verifier,
      believing: () => watch.believing(),
    },
    denials,
    parts: {
      hashing,
      tokens,
      refreshTokens: new RefreshTokens(tokens.keys),
      mail: parts.use(new OutgoingMail(sendMail, onFailure("mail"))),
      letters,
      db: database.queries.$extendTables<UserTables>(),
    },
  };
}
