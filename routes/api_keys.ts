/**
 * API keys over HTTP: made by whose they are, shown once, and good for what they were made for.
 *
 * @module
 */
import * as User from "../actors/user/aggregate.ts";
import { type ApiKey, DAY_MS, KEY_DAYS_MAX, KEYS_MAX } from "../actors/user/state.ts";
import { answer } from "../lib/http/answer.ts";
import { newApiKey } from "../lib/http/api_keys.ts";
import { causeOf } from "../lib/http/cause.ts";
import { idOfNew } from "../lib/http/new_id.ts";
import { type Route, route } from "../lib/http/operation.ts";
import { invalidBody } from "../lib/http/parsed.ts";
import { problemResponse } from "../lib/http/problem.ts";
import { audited } from "./audited.ts";
import { type IdentityOptions, ownState } from "./identity.ts";
import { keyMadeLetter } from "./letters.ts";
import { noAccount, users as problems } from "./user_problems.ts";
import * as Schema from "./user_schemas.ts";

export function apiKeys(
  { system, audit, env, identity: { mail } }: IdentityOptions,
): readonly Route[] {
  const keys = { tag: "identity", path: "/api/v1/api-keys", access: "caller" } as const;
  return [
    route({
      ...keys,
      id: "listApiKeys",
      method: "get",
      summary: "The caller's keys that are good still",
      class: "list",
      answers: { 200: Schema.Keys },
      problems: problems.known("no-account"),
    }, async (c) => {
      const state = await ownState(c, system);
      const now = env.now();
      const good = state.keys.filter(({ expiresAt }) => Date.parse(expiresAt) > now);
      return answer(c, 200, { items: good.map(keyView) });
    }),
    route({
      ...keys,
      id: "makeApiKey",
      method: "post",
      summary: "Makes a key, which is in this answer and nowhere else",
      description: `At most ${KEYS_MAX}, each for up to ${KEY_DAYS_MAX} days. A repetition under ` +
        "the same Idempotency-Key makes no other, and does not show the first again.",
      body: Schema.NewKey,
      answers: { 201: Schema.MadeKey },
      problems: problems.known("too-many-keys", "key-exists", "no-account", "disabled"),
    }, async (c, { body: { name, scopes, expiresAt } }) => {
      const { email } = await ownState(c, system);
      requireSoon(expiresAt, env.now());
      const cause = causeOf(c);
      const { id } = cause.principal;
      const keyId = idOfNew(cause);
      const detail = { keyId, scopes, expiresAt };
      return await audited(
        c,
        audit,
        { act: "key made", subject: `user/${id}`, detail },
        async () => {
          const { text, secretHash } = newApiKey(id, keyId);
          const command = { type: "MakeKey", keyId, secretHash, name, scopes, expiresAt } as const;
          // What is remembered has no secret in it.
          const outcome = await system.ask(User, id, command, cause, ({ state }) => {
            return keyView(state.keys.find((key) => key.id === keyId)!);
          });
          const isRepeated = outcome.accepted
            ? outcome.replayed
            : outcome.reason.startsWith("idempotency-key-");
          if (isRepeated) return problemResponse(c, ...problems.problemOf("key-exists"));
          if (outcome.accepted) {
            mail.post(keyMadeLetter(email, outcome.answer));
            return answer(c, 201, { ...outcome.answer, key: text });
          }
          if (outcome.reason === "not-found") throw noAccount();
          return problems.refused(c, outcome);
        },
      );
    }),
    route({
      ...keys,
      id: "revokeApiKey",
      method: "delete",
      path: "/api/v1/api-keys/{keyId}",
      summary: "Has a key count no more, on every node within a second",
      others: 404,
      params: Schema.KeyPath,
      answers: { 204: null },
      problems: problems.known("no-such-key", "no-account"),
    }, async (c, { params: { keyId } }) => {
      const cause = causeOf(c);
      const { id } = cause.principal;
      const act = { act: "key revoked", subject: `user/${id}`, detail: { keyId } };
      return await audited(c, audit, act, async () => {
        const command = { type: "RevokeKey", keyId } as const;
        const outcome = await system.ask(User, id, command, cause, () => null);
        if (outcome.accepted) return answer(c, 204);
        if (outcome.reason === "not-found") throw noAccount();
        return problems.refused(c, outcome);
      });
    }),
  ];
}

/** @throws {ProblemError} 400 for a key that would be good for ever, or not even now. */
function requireSoon(expiresAt: string, now: number): void {
  const leftMs = Date.parse(expiresAt) - now;
  if (leftMs > 0 && leftMs <= KEY_DAYS_MAX * DAY_MS) return;
  throw invalidBody(["expiresAt"], `Must be within the next ${KEY_DAYS_MAX} days`);
}

function keyView({ secretHash: _, ...key }: ApiKey) {
  return key;
}
