/**
 * The thread of the embedded database. The engine blocks its thread while a statement runs.
 *
 * @module
 */
/// <reference lib="deno.worker" />
import { join } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { createDataDirectory, template } from "./data_template.ts";

export type EmbeddedRequest =
  /** Without a directory the data are in memory. */
  | { readonly do: "open"; readonly dataDir: string | undefined }
  /** Gives the engine the state in which a new connection expects it. */
  | { readonly do: "reset"; readonly socket: number }
  /** Messages of the Postgres protocol, each of them whole. */
  | { readonly do: "run"; readonly socket: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly do: "close" };

export type EmbeddedReply =
  | { readonly is: "ready" }
  | { readonly is: "reset"; readonly socket: number }
  | { readonly is: "answer"; readonly socket: number; readonly bytes: Uint8Array<ArrayBuffer> }
  | { readonly is: "closed" }
  | { readonly is: "failed"; readonly message: string };

const startParams = [
  ...PGlite.defaultStartParams,
  // 128 MB would be touched over time, and the pages of a small database are in the system's
  // cache anyway.
  "-c",
  "shared_buffers=8MB",
  "-c",
  "timezone=UTC",
];

const sync = Uint8Array.of(0x53, 0, 0, 0, 4);

let engine: PGlite | undefined;

self.onmessage = async ({ data }: MessageEvent<EmbeddedRequest>) => {
  try {
    await handle(data);
  } catch (error) {
    reply({ is: "failed", message: error instanceof Error ? error.message : String(error) });
  }
};

async function handle(request: EmbeddedRequest): Promise<void> {
  switch (request.do) {
    case "open":
      engine = await openEngine(request.dataDir);
      return reply({ is: "ready" });
    case "reset":
      // The session before may have stopped within a message or a transaction.
      for (const message of [sync, query("rollback"), query("discard all")]) await run(message);
      return reply({ is: "reset", socket: request.socket });
    case "run": {
      const bytes = await run(request.bytes);
      return reply({ is: "answer", socket: request.socket, bytes }, [bytes.buffer]);
    }
    case "close":
      await engine?.close();
      return reply({ is: "closed" });
  }
}

async function openEngine(dataDir: string | undefined): Promise<PGlite> {
  if (dataDir === undefined) {
    return await PGlite.create({ loadDataDir: await template(), startParams });
  }
  if (!await exists(join(dataDir, "PG_VERSION"))) await createDataDirectory(dataDir);
  return await PGlite.create({ dataDir, startParams });
}

async function exists(path: string): Promise<boolean> {
  try {
    await Deno.stat(path);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** The engine runs to the end before this returns its promise, so requests keep their order. */
async function run(bytes: Uint8Array): Promise<Uint8Array<ArrayBuffer>> {
  const answer: Uint8Array[] = [];
  // The bytes are the engine's own memory, and are overwritten next.
  const onRawData = (bytes: Uint8Array) => void answer.push(bytes.slice());
  await engine!.execProtocolRawStream(bytes, { syncToFs: false, onRawData });
  return joined(answer);
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole;
}

function query(text: string): Uint8Array {
  const body = new TextEncoder().encode(`${text}\0`);
  const message = new Uint8Array(5 + body.length);
  message[0] = 0x51;
  new DataView(message.buffer).setInt32(1, 4 + body.length);
  message.set(body, 5);
  return message;
}

function reply(message: EmbeddedReply, transfer: Transferable[] = []): void {
  self.postMessage(message, transfer);
}
