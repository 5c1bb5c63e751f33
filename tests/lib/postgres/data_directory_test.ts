/** One directory, several processes: what must never go wrong with it. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { sql } from "kysely";
import { DataDirectoryInUse } from "../../../lib/postgres/data_lock.ts";
import { type Database, DatabaseUnusable, openDatabase } from "../../../lib/postgres/database.ts";
import { eventually, hasOutcome, one } from "./database_contract.ts";

Deno.test("what was recorded is there when the directory is opened again", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "new", "data");
  {
    await using database = await openDatabase({ dataDir });
    await sql`create table number (value int primary key)`.execute(database.db);
    await sql`insert into number (value) values (7)`.execute(database.db);
  }
  await using database = await openDatabase({ dataDir });
  assert.deepEqual(await numbers(database), [7]);
  assert.equal(database.durability.store, "embedded");
  assert.equal(database.durability.survivesPowerLoss, false);
});

Deno.test("a closed database was shut down in order, so the next start recovers nothing", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "data");
  {
    await using database = await openDatabase({ dataDir });
    await sql`create table number (value int primary key)`.execute(database.db);
  }
  const control = await Deno.readFile(join(dataDir, "global", "pg_control"));
  const DB_SHUTDOWNED = 1;
  assert.equal(new DataView(control.buffer).getUint32(16, true), DB_SHUTDOWNED);
});

Deno.test("a directory that is open is refused, with the process that has it", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "data");
  await using holder = await holdDirectory(dataDir);
  await assert.rejects(openDatabase({ dataDir }), (error) => {
    assert(error instanceof DataDirectoryInUse);
    assert.equal(error.directory, dataDir);
    assert.equal(error.pid, holder.pid);
    assert.equal(error.message, `Cannot open ${dataDir}: process ${holder.pid} has it open`);
    return true;
  });
});

Deno.test("a process that is killed loses nothing that it had confirmed", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "data");
  for (const round of [1, 2]) {
    await using holder = await holdDirectory(dataDir);
    const confirmed = await holder.kill();
    await using database = await openDatabase({ dataDir });
    const found = await numbers(database);
    assert.deepEqual(confirmed, found.slice(0, confirmed.length), `round ${round}`);
    assert(confirmed.length > 10);
    await sql`drop table number`.execute(database.db);
  }
});

Deno.test("a first start that was cut short leaves nothing in the way of the next", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "data");
  await Deno.mkdir(join(`${dataDir}.unfinished`, "base"), { recursive: true });
  await Deno.writeTextFile(join(`${dataDir}.unfinished`, "PG_VERSION"), "18\n");
  await using database = await openDatabase({ dataDir });
  assert.equal(await one(database.db, sql`1`), 1);
});

Deno.test("a directory with something else in it is refused and left alone", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "data");
  await Deno.mkdir(dataDir);
  await Deno.writeTextFile(join(dataDir, "thesis.txt"), "years of work");
  await assert.rejects(openDatabase({ dataDir }), DatabaseUnusable);
  assert.deepEqual(await Array.fromAsync(Deno.readDir(dataDir), ({ name }) => name), [
    "thesis.txt",
  ]);
});

Deno.test("a directory with a broken database in it is refused", async () => {
  await using directory = await temporaryDirectory();
  const dataDir = join(directory.path, "data");
  await openAndClose(dataDir);
  await Deno.remove(join(dataDir, "global", "pg_control"));
  await assert.rejects(openDatabase({ dataDir }), DatabaseUnusable);
});

Deno.test("an engine that dies fails what waits for it, at once and without doubt", async () => {
  await using engines = captureWorkers();
  await using database = await openDatabase({ memory: true });
  const sleeping = sql`select pg_sleep(5)`.execute(database.db);
  const inTransaction = assert.rejects(
    database.db.transaction().execute(async () => {}),
    hasOutcome("not-applied"),
  );
  // Sent, though the driver waits for the end of this turn to send.
  await new Promise((resolve) => setImmediate(resolve));
  await new Promise((resolve) => setImmediate(resolve));
  engines.fail("boom");
  await assert.rejects(sleeping, hasOutcome("unknown"));
  await inTransaction;
  for (let time = 0; time < 4; time++) {
    await assert.rejects(one(database.db, sql`1`), (fault) => {
      assert.match(String(fault), /embedded database has ended/, "it is not waited for");
      return hasOutcome("not-applied")(fault);
    });
  }
});

Deno.test("an engine that dies over a directory is started again, and has lost nothing", async () => {
  await using directory = await temporaryDirectory();
  await using engines = captureWorkers();
  await using database = await openDatabase({ dataDir: join(directory.path, "data") });
  await sql`create table number (value int)`.execute(database.db);
  await sql`insert into number values (1)`.execute(database.db);
  engines.fail("boom");
  await eventually(async () => assert.deepEqual(await numbers(database), [1]));
  await sql`insert into number values (2)`.execute(database.db);
  assert.deepEqual(await numbers(database), [1, 2]);
});

async function openAndClose(dataDir: string): Promise<void> {
  await using _database = await openDatabase({ dataDir });
}

async function numbers({ db }: Database): Promise<number[]> {
  const { rows } = await sql<{ value: number }>`select value from number order by value`
    .execute(db);
  return rows.map(({ value }) => value);
}

async function temporaryDirectory(): Promise<AsyncDisposable & { readonly path: string }> {
  const path = await Deno.makeTempDir({ prefix: "troupe_" });
  return { path, [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }) };
}

interface Holder extends AsyncDisposable {
  readonly pid: number;
  /** Ends the process in the midst of its work; returns what it had confirmed. */
  kill(): Promise<number[]>;
}

/** Another process, at work in the directory. */
async function holdDirectory(dataDir: string): Promise<Holder> {
  const child = new Deno.Command("deno", {
    args: [
      "run",
      "--no-lock",
      "--allow-read",
      "--allow-write",
      "--allow-env",
      join(import.meta.dirname!, "data_directory_holder.ts"),
      dataDir,
    ],
    stdout: "piped",
    stderr: "null",
  }).spawn();
  const confirmed: number[] = [];
  const isAtWork = Promise.withResolvers<void>();
  const listening = listen();

  async function listen(): Promise<void> {
    let text = "";
    for await (const chunk of child.stdout.pipeThrough(new TextDecoderStream())) {
      text += chunk;
      const lines = text.split("\n");
      // The last line may be cut short, as the process was.
      text = lines.pop()!;
      confirmed.push(...lines.map(Number));
      if (confirmed.length > 50) isAtWork.resolve();
    }
    isAtWork.reject(new Error("The other process has ended"));
  }

  async function kill(): Promise<number[]> {
    try {
      child.kill("SIGKILL");
    } catch {
      // It has ended before.
    }
    await Promise.all([child.status, listening]);
    return confirmed;
  }

  await isAtWork.promise;
  return { pid: child.pid, kill, [Symbol.asyncDispose]: async () => void await kill() };
}

/** Lets a test fail the workers that are made from now on, as a crash in them would. */
function captureWorkers(): AsyncDisposable & { fail(message: string): void } {
  const { Worker } = globalThis;
  const workers: Worker[] = [];
  globalThis.Worker = class extends Worker {
    constructor(...args: ConstructorParameters<typeof Worker>) {
      super(...args);
      workers.push(this);
    }
  };
  return {
    fail(message) {
      for (const worker of workers) {
        worker.dispatchEvent(new ErrorEvent("error", { message, cancelable: true }));
      }
    },
    [Symbol.asyncDispose]: () => {
      globalThis.Worker = Worker;
      return Promise.resolve();
    },
  };
}
