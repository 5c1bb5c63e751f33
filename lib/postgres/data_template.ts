/**
 * A new data directory, unpacked from a prepared one: to run `initdb` in WebAssembly takes seconds
 * and half a gigabyte.
 *
 * @module
 */
import { join } from "node:path";
import { dataDir as packedTemplate } from "@electric-sql/pglite-prepopulatedfs";

const BLOCK = 512;
const DIRECTORY = "5";

/** The template as a gzipped tar archive, for a database in memory. */
export async function template(): Promise<Blob> {
  return await packedTemplate();
}

/** Makes `directory` a data directory: all of it, or, if this process dies meanwhile, none. */
export async function createDataDirectory(directory: string): Promise<void> {
  const unfinished = `${directory}.unfinished`;
  await removeIfThere(unfinished);
  await Deno.mkdir(unfinished, { recursive: true, mode: 0o700 });
  const unpacked = (await template()).stream().pipeThrough(new DecompressionStream("gzip"));
  await extract(new Uint8Array(await new Response(unpacked).arrayBuffer()), unfinished);
  await Deno.rename(unfinished, directory);
}

/** Reads the form of tar that the template has: short names, files and directories only. */
async function extract(archive: Uint8Array, directory: string): Promise<void> {
  for (let at = 0; archive[at] !== undefined && archive[at] !== 0;) {
    const header = archive.subarray(at, at + BLOCK);
    const path = join(directory, text(header, 0, 100));
    const size = Number.parseInt(text(header, 124, 12), 8);
    const content = archive.subarray(at + BLOCK, at + BLOCK + size);
    if (text(header, 156, 1) === DIRECTORY) await Deno.mkdir(path, { mode: 0o700 });
    else await Deno.writeFile(path, content, { mode: 0o600 });
    at += BLOCK + Math.ceil(size / BLOCK) * BLOCK;
  }
}

function text(header: Uint8Array, at: number, length: number): string {
  return new TextDecoder().decode(header.subarray(at, at + length)).replace(/[\0 ].*$/s, "");
}

async function removeIfThere(directory: string): Promise<void> {
  try {
    await Deno.remove(directory, { recursive: true });
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
