/** Makes the tokens of people, with the key that the server verifies them by. */
import { readConfig } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import { openTokenKey } from "../lib/http/token_key.ts";
import { mintToken } from "../lib/http/tokens.ts";

export type Mint = (sub: string, roles: readonly string[]) => Promise<string>;

const ttlMs = 3_600_000;

/** With the key of the configuration in the environment, which must be the server's. */
export async function openMint(): Promise<Mint> {
  const { tokens, dataDir } = readConfig(Deno.env.toObject());
  const key = await openTokenKey({ secret: tokens.secret, dataDir });
  const { issuer, audience } = tokens;
  const options = { key, issuer, audience, env: systemEnv };
  return (sub, roles) => mintToken(options, { sub, roles, ttlMs });
}
