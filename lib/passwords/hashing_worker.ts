/**
 * The thread that hashes passwords: Argon2id blocks it for as long as one takes.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { argon2id, argon2Verify } from "hash-wasm";
import popular from "popular-passwords" with { type: "json" };

export type HashingRequest =
  | { readonly do: "hash"; readonly password: string; readonly cost: HashingCost }
  | { readonly do: "verify"; readonly password: string; readonly hash: string }
  | { readonly do: "look-up"; readonly password: string };

export interface HashingCost {
  readonly memoryKiB: number;
  readonly passes: number;
}

export type HashingReply =
  | { readonly is: "hash"; readonly hash: string }
  | { readonly is: "verdict"; readonly isSo: boolean }
  | { readonly is: "failed"; readonly message: string };

const SALT_BYTES = 16;
const HASH_BYTES = 32;

const known: ReadonlySet<string> = new Set(popular);

self.onmessage = async ({ data }: MessageEvent<HashingRequest>) => {
  try {
    self.postMessage(await replyTo(data));
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    self.postMessage({ is: "failed", message } satisfies HashingReply);
  }
};

async function replyTo(request: HashingRequest): Promise<HashingReply> {
  const { password } = request;
  switch (request.do) {
    case "hash":
      return {
        is: "hash",
        hash: await argon2id({
          password,
          salt: crypto.getRandomValues(new Uint8Array(SALT_BYTES)),
          memorySize: request.cost.memoryKiB,
          iterations: request.cost.passes,
          parallelism: 1,
          hashLength: HASH_BYTES,
          outputType: "encoded",
        }),
      };
    case "verify":
      return { is: "verdict", isSo: await argon2Verify({ password, hash: request.hash }) };
    case "look-up":
      return { is: "verdict", isSo: known.has(password.toLowerCase()) };
  }
}
