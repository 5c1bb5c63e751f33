/**
 * Holds stores equal: the same operations, played on each, come to the same, and leave the same.
 *
 * @module
 */
import assert from "node:assert/strict";
import { inspect } from "node:util";
import fc from "fast-check";
import { type Kysely, sql } from "kysely";
import { MemoryStore } from "../../../lib/memory/store.ts";
import type { Database } from "../../../lib/postgres/database.ts";
import type { Tables } from "../../../lib/postgres/tables.ts";
import { postIn } from "../../support/post.ts";
import type { Pace } from "../postgres/fault_plan.ts";
import { SimulatedPostgres } from "../postgres/server.ts";
import { type Operation, operations } from "./operations.ts";
import { Player, type Subject } from "./player.ts";
import { type Rows, rowsInMemory, rowsInPostgres } from "./rows.ts";
import type { Namer } from "./saying.ts";

/** A store that is empty, and can be looked into. */
export interface Contestant {
  readonly name: string;
  readonly subject: Subject;
  rows(namer: Namer): Promise<Rows>;
}

export type OpenContestant = () => Promise<Contestant>;

/** Time that goes on by itself, so that no two statements are at the same moment. */
function tickingTime() {
  let ticks = 0;
  const startedAt = Date.now();
  return {
    now: () => startedAt + ++ticks,
    monotonic: () => 0,
    sleep: () => new Promise<void>(() => {}),
  };
}

export function inMemory(): Promise<Contestant> {
  const time = tickingTime();
  const store = new MemoryStore(time);
  const { outbox } = store;
  return Promise.resolve({
    name: "in memory",
    subject: { store, outbox, deadLetters: outbox, jobs: outbox.jobs },
    rows: (namer) => Promise.resolve(rowsInMemory(store.tables, time.now(), namer)),
  });
}

const atOnce: Pace = { connectMs: [0, 0], requestMs: [0, 0], commitMs: [0, 0], replyMs: [0, 0] };

export function simulated(): Promise<Contestant> {
  const time = tickingTime();
  const server = new SimulatedPostgres({ time, seed: 1, pace: atOnce });
  return Promise.resolve({
    name: "simulated",
    subject: server.connect({ name: "node" }),
    rows: (namer) => Promise.resolve(rowsInMemory(server.tables, time.now(), namer)),
  });
}

/** Empties the database each time. */
export function inPostgres(name: string, database: Database): OpenContestant {
  return async () => {
    await empty(database.db);
    return {
      name,
      subject: postIn(database),
      rows: (namer) => rowsInPostgres(database.db, namer),
    };
  };
}

async function empty(db: Kysely<Tables>): Promise<void> {
  await sql`alter table audit disable trigger audit_is_kept`.execute(db);
  await sql`
    with a as (delete from actor), b as (delete from event), c as (delete from snapshot),
      d as (delete from reply), e as (delete from outbox), f as (delete from lane),
      g as (delete from dead_letter), h as (delete from audit), i as (delete from running_job),
      j as (delete from job_start), k as (delete from finished_job)
    select`.execute(db);
}

/** Draws lists of operations, and says of the smallest on which they disagree what came of it. */
export async function agree(
  openers: readonly OpenContestant[],
  options: fc.Parameters<[readonly Operation[]]>,
): Promise<void> {
  await fc.assert(
    fc.asyncProperty(operations, (list) => agreeOn(openers, list)),
    { reporter: (details) => report(details), ...options },
  );
}

async function report(details: fc.RunDetails<[readonly Operation[]]>): Promise<void> {
  if (!details.failed) return;
  const { counterexample, seed, counterexamplePath, errorInstance } = details;
  const list = counterexample?.[0].map((operation) => `  ${JSON.stringify(operation)},`).join("\n");
  await Promise.reject(
    new Error(
      `Stores disagree (seed ${seed}, path "${counterexamplePath}") on\n[\n${list}\n]\n` +
        `${(errorInstance as Error)?.message}`,
      { cause: errorInstance },
    ),
  );
}

export async function agreeOn(
  openers: readonly OpenContestant[],
  list: readonly Operation[],
): Promise<void> {
  const games = [];
  for (const open of openers) games.push(await play(await open(), list));
  const [first, ...others] = games;
  for (const other of others) {
    list.forEach((operation, n) => {
      const said = `${n + 1}: ${operation.is}\n${first!.name}: ${shown(first!.answers[n])}\n` +
        `${other.name}: ${shown(other.answers[n])}`;
      assert.deepEqual(other.answers[n], first!.answers[n], said);
    });
    for (const [table, rows] of Object.entries(first!.rows)) {
      const said = `${table}\n${first!.name}: ${shown(rows)}\n` +
        `${other.name}: ${shown(other.rows[table])}`;
      assert.deepEqual(other.rows[table], rows, said);
    }
  }
}

async function play({ name, subject, rows }: Contestant, list: readonly Operation[]) {
  const player = new Player(subject);
  const answers: unknown[] = [];
  for (const operation of list) answers.push(await player.play(operation));
  return { name, answers, rows: await rows(player.namer) };
}

function shown(value: unknown): string {
  return inspect(value, { depth: 8, breakLength: 100 });
}
