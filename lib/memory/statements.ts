/**
 * All that is done to the tables of one database.
 *
 * @module
 */
import type { Burial } from "../runtime/outbox.ts";
import { Jobs } from "./jobs.ts";
import { Lanes } from "./lanes.ts";
import { bury, Letters } from "./letters.ts";
import { Streams } from "./streams.ts";
import type { Tables } from "./tables.ts";

export class Statements {
  readonly tables: Tables;
  readonly lanes: Lanes;
  readonly jobs: Jobs;
  readonly letters: Letters;
  readonly streams: Streams;

  constructor(tables: Tables) {
    this.tables = tables;
    this.lanes = new Lanes(tables);
    this.jobs = new Jobs(tables, this.lanes);
    this.letters = new Letters(tables, this.lanes, this.jobs);
    this.streams = new Streams(tables, this.lanes, this.jobs);
  }

  drawTransaction(): number {
    return ++this.tables.drawn.transaction;
  }

  bury(burial: Burial, now: number, transaction: number): boolean {
    const buried = this.lanes.bury(burial, now);
    if (buried === undefined) return false;
    this.streams.raiseRevision(burial.address, transaction);
    const { attempts, error } = burial;
    const { message } = buried;
    if (message === undefined) return false;
    bury(this.tables, message, { priority: 0 }, { attempts, error, buriedAt: now });
    return true;
  }
}
