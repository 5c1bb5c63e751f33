/** Makes the tokens of people, with the key that the server verifies them by. */
import { readConfig } from "../lib/config.ts";
import { systemEnv } from "../lib/env.ts";
import { openTokenKeys } from "../lib/http/token_keys.ts";
import { mintToken } from "../lib/http/tokens.ts";

export type Mint = (sub: string, roles: readonly string[]) => Promise<string>;

const ttlMs = 3_600_000;

/** With the key of the configuration in the environment, which must be the server's. */
export async function openMint(): Promise<Mint> {
  const { tokens, dataDir } = readConfig(Deno.env.toObject());
  const keys = await openTokenKeys({ secrets: tokens.secrets, dataDir });
  const { issuer, audience } = tokens;
  const options = { keys, issuer, audience, env: systemEnv };
  return (sub, roles) => mintToken(options, { sub, roles, ttlMs });
}
