/**
 * Users as whoever is shown one of their keys needs them.
 *
 * @module
 */
import { unaskedCause } from "../../lib/runtime/envelope.ts";
import type { ActorSystem } from "../../lib/runtime/system.ts";
import * as User from "./aggregate.ts";
import { isActive, keyOf } from "./state.ts";

export interface KeyHoldersOptions {
  readonly system: ActorSystem;
  readonly env: { now(): number; monotonic(): number; uuid(): string };
}

const TIMEOUT_MS = 5_000;

export function keyHolders({ system, env }: KeyHoldersOptions) {
  const cause = () => unaskedCause(env, { id: "keys", roles: [] }, TIMEOUT_MS);
  return {
    /** Confirmed with the database; undefined for a key that is not there, or is good no more. */
    async find(userId: string, keyId: string) {
      const at = env.now();
      const { view } = await system.read(User, userId, cause(), (state) => {
        const key = keyOf(state, keyId, at);
        if (key === undefined || !isActive(state)) return undefined;
        const { scopes, secretHash, expiresAt } = key;
        const principal = { id: userId, roles: state.roles };
        return { principal, scopes, secretHash, expiresAt: Date.parse(expiresAt) };
      }, { isStrong: true });
      return view;
    },
  };
}
