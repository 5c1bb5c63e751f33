/**
 * Sixteen clients who want something at a steady rate, whether or not they have been answered: what
 * they want follows from a seed, and from what they were told.
 *
 * @module
 */
import { systemEnv } from "../../lib/env.ts";
import type { VirtualEnv } from "../support/virtual_env.ts";
import type { Clients, Ending, Wish } from "./client.ts";
import { Traders } from "./traders.ts";
import {
  accepting,
  misused,
  type Person,
  publishing,
  reading,
  registering,
  repeated,
  revising,
  scheduling,
  type Seats,
  standing,
  withdrawing,
} from "./wishes.ts";

const CLIENTS = 16;
/** Live events that take registrations at any time. */
const STAGES = 12;
/** Operations in progress beyond which no more are begun; counted as withheld. */
const OUTSTANDING_MAX = 400;
/** Of all that is wanted. */
const TRADING_PERCENT = 15;
/** Answered wishes that may be repeated. */
const REMEMBERED_MAX = 64;

export interface LoadOptions {
  readonly clients: Clients;
  readonly chance: VirtualEnv;
  readonly organizer: Person;
  readonly people: readonly Person[];
  readonly trading: Readonly<Record<"feed" | "admin", Person>> & {
    readonly traders: readonly Person[];
  };
  /** Operations a second. */
  readonly rate: number;
}

interface Stage {
  readonly key: string;
  readonly seats: Seats;
  /** Registrations that were asked for. */
  asked: number;
}

interface Ticket {
  readonly person: Person;
  readonly stage: Stage;
  readonly registrationId: string;
  readonly isWaiting: boolean;
}

export class Load {
  readonly #options: LoadOptions;
  readonly #traders: Traders;
  readonly #stages: Stage[] = [];
  readonly #tickets: Ticket[] = [];
  readonly #remembered: { readonly wish: Wish; readonly i: number }[] = [];
  readonly #running = new Set<Promise<void>>();
  /** All that were ever made. */
  readonly keys: string[] = [];
  withheld = 0;

  /** Those that take registrations now. */
  get stages(): readonly string[] {
    return this.#stages.map(({ key }) => key);
  }

  constructor(options: LoadOptions) {
    this.#options = options;
    this.#traders = new Traders({
      ...options.trading,
      below: (limit) => this.#below(limit),
      wish: (process, wish) => this.#wish(process, wish),
    });
  }

  /** Makes what is to be fought over. */
  async prepare(): Promise<void> {
    const stages = Array.from({ length: STAGES }, () => this.#open("client-0"));
    await Promise.all([...stages, this.#traders.prepare("client-1")]);
  }

  /** Goes on until the signal, and resolves once everything begun has been answered. */
  async run(isOver: AbortSignal): Promise<void> {
    const { rate } = this.#options;
    const startedAt = performance.now();
    for (let begun = 0; !isOver.aborted; begun++) {
      const dueIn = startedAt + 1_000 * begun / rate - performance.now();
      if (dueIn > 0) await systemEnv.sleep(dueIn);
      if (this.#options.clients.outstanding >= OUTSTANDING_MAX) this.withheld++;
      else this.#begin(this.#one(`client-${begun % CLIENTS}`));
    }
    while (this.#running.size > 0) await Promise.all(this.#running);
  }

  #begin(running: Promise<void>): void {
    this.#running.add(running);
    // Whoever waits for all of them hears of it.
    running.catch(() => {}).finally(() => this.#running.delete(running));
  }

  #below(limit: number): number {
    return Math.floor(this.#options.chance.random() * limit);
  }

  async #wish(process: string, wish: Wish) {
    const { clients } = this.#options;
    const ending = await clients.insist(process, wish, this.#below(clients.nodes));
    if (ending !== undefined && isRemembered(wish, ending)) {
      this.#remembered[this.#below(REMEMBERED_MAX)] = { wish, i: ending.i };
    }
    return ending?.ended.type === "ok" ? ending.ended : undefined;
  }

  async #one(process: string): Promise<void> {
    if (this.#below(100) < TRADING_PERCENT) return await this.#traders.one(process);
    const stage = this.#stages[this.#below(this.#stages.length)]!;
    const what = this.#below(100);
    if (what < 42) return await this.#register(process, stage);
    if (what < 64) return await this.#withdraw(process);
    if (what < 70) return await this.#accept(process);
    if (what < 74) return await this.#revise(process, stage);
    if (what < 84) return void await this.#read(process, stage, false);
    if (what < 93) return void await this.#read(process, stage, true);
    return await this.#again(process, what < 98);
  }

  async #register(process: string, stage: Stage): Promise<void> {
    const { capacity, waitlistCapacity } = stage.seats;
    if (stage.asked++ > 3 * (capacity + waitlistCapacity)) await this.#replace(process, stage);
    const { people } = this.#options;
    // Few enough that some ask for a second seat.
    const person = people[this.#below(people.length)]!;
    const ended = await this.#wish(process, registering(person, stage.key));
    if (ended === undefined) return;
    const { registrationId, status } = ended.value as Record<"registrationId" | "status", string>;
    this.#tickets.push({ person, stage, registrationId, isWaiting: status === "waitlisted" });
  }

  async #withdraw(process: string): Promise<void> {
    const ticket = this.#drawn();
    if (ticket === undefined) return;
    const { person, stage, registrationId } = ticket;
    await this.#wish(process, withdrawing(person, stage.key, registrationId));
    // Some try it a second time.
    if (this.#below(30) === 0) this.#tickets.push(ticket);
  }

  /** Whoever waits where seats are offered looks first; a few take what they were not offered. */
  async #accept(process: string): Promise<void> {
    const waiting = this.#tickets.filter(({ isWaiting, stage }) => {
      return isWaiting && stage.seats.offerMinutes !== undefined;
    });
    const ticket = waiting[this.#below(waiting.length)];
    if (ticket === undefined) return await this.#look(process);
    const { person, stage, registrationId } = ticket;
    const found = await this.#wish(process, standing(person, stage.key));
    const { status } = (found?.value ?? {}) as { status?: string };
    if (status !== "offered" && this.#below(20) > 0) return;
    await this.#wish(process, accepting(person, stage.key, registrationId));
  }

  async #look(process: string): Promise<void> {
    const ticket = this.#tickets[this.#below(this.#tickets.length)];
    if (ticket !== undefined) await this.#wish(process, standing(ticket.person, ticket.stage.key));
  }

  async #revise(process: string, stage: Stage): Promise<void> {
    const capacity = stage.seats.capacity + this.#below(8);
    const { organizer } = this.#options;
    await this.#wish(process, revising(organizer, stage.key, capacity));
  }

  async #read(process: string, { key }: Stage, isStrong: boolean): Promise<void> {
    const { people } = this.#options;
    await this.#wish(process, reading(people[this.#below(people.length)]!, key, isStrong));
  }

  async #again(process: string, isRepeated: boolean): Promise<void> {
    const answered = this.#remembered.filter(({ wish: { f } }) => f !== "repeat" && f !== "misuse");
    const earlier = answered[this.#below(answered.length)];
    if (earlier === undefined) return;
    const { wish, i } = earlier;
    await this.#wish(process, isRepeated ? repeated(wish, i) : misused(wish, i));
  }

  /** A ticket that nobody else has in hand. */
  #drawn(): Ticket | undefined {
    return this.#tickets.splice(this.#below(this.#tickets.length), 1)[0];
  }

  async #replace(process: string, stage: Stage): Promise<void> {
    if (!this.#stages.includes(stage)) return;
    stage.asked = -Infinity;
    await this.#open(process);
    this.#stages.splice(this.#stages.indexOf(stage), 1);
  }

  async #open(process: string): Promise<void> {
    const { organizer } = this.#options;
    const isOffering = this.#below(3) === 0;
    const seats: Seats = {
      capacity: 5 + this.#below(40),
      waitlistCapacity: 5 + this.#below(40),
      ...(isOffering && { offerMinutes: 1 }),
    };
    const scheduled = await this.#wish(process, scheduling(organizer, seats));
    if (scheduled === undefined) return;
    const key = scheduled.key!;
    this.keys.push(key);
    this.#stages.push({ key, seats, asked: 0 });
    // Until it is published, others find that it is not there.
    await this.#wish(process, publishing(organizer, key));
  }
}

/** Nothing is remembered of what does not exist: an order that was refused may be taken another time. */
function isRemembered({ f, keyed }: Wish, { ended }: Ending): boolean {
  return keyed !== undefined && (f !== "place" || ended.type === "ok");
}
