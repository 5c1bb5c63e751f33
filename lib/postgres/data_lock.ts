/**
 * The lock that keeps a data directory to one process. Two engines in one directory destroy it,
 * and neither would notice.
 *
 * @module
 */
import { basename, dirname, join, resolve } from "node:path";

/** Another process has the data directory open. */
export class DataDirectoryInUse extends Error {
  override readonly name = "DataDirectoryInUse";
  readonly directory: string;
  /** Of the process that holds it, where that is known. */
  readonly pid: number | undefined;

  constructor(directory: string, pid: number | undefined) {
    super(`Cannot open ${directory}: process ${pid ?? "unknown"} has it open`);
    this.directory = directory;
    this.pid = pid;
  }
}

/**
 * Takes the directory for this process, until disposed.
 *
 * The lock is the operating system's: it ends with the process, however that ends. The file beside
 * the directory stays where it is, since to remove it would let two processes lock two files.
 *
 * @throws {DataDirectoryInUse} at once when another process has it.
 */
export async function lockDataDirectory(directory: string): Promise<Disposable> {
  const absolute = resolve(directory);
  await Deno.mkdir(dirname(absolute), { recursive: true });
  const path = join(dirname(absolute), `${basename(absolute)}.lock`);
  // Not truncated: it may say who has the lock.
  const file = await Deno.open(path, { create: true, read: true, write: true });
  if (!await file.tryLock(true)) {
    file.close();
    throw new DataDirectoryInUse(absolute, await readPid(path));
  }
  await file.truncate();
  await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
  return file;
}

async function readPid(path: string): Promise<number | undefined> {
  const pid = Number.parseInt(await Deno.readTextFile(path));
  return Number.isNaN(pid) ? undefined : pid;
}
