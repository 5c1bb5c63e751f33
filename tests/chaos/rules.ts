/**
 * What a live event may do, in the simplest form there is: the judge of what one has done. It shares
 * nothing with the service.
 *
 * @module
 */
import type { Invoked } from "./history.ts";

/** One event, as it lies in the database. */
export interface RecordedEvent {
  readonly key: string;
  readonly version: number;
  readonly type: string;
  // deno-lint-ignore no-explicit-any -- what is in it follows from its type
  readonly data: any;
  readonly correlationId: string;
  readonly causationId: string;
  /** In epoch milliseconds. */
  readonly at: number;
  /** After all else had come to rest: nobody may have heard of it yet. */
  readonly isLate: boolean;
}

interface Place {
  readonly userId: string;
  readonly status: "confirmed" | "waitlisted" | "offered";
}

export interface Counts {
  readonly status: string;
  readonly capacity: number;
  readonly confirmed: number;
  readonly waitlisted: number;
  readonly offered: number;
}

export class LiveEventRules {
  #status = "unscheduled";
  #organizerId = "";
  #capacity = 0;
  #waitlistCapacity = Infinity;
  #isOffering = false;
  /** By registration. */
  readonly #places = new Map<string, Place>();
  /** Those who wait, in their order. */
  readonly #line = new Set<string>();
  readonly #counts = { confirmed: 0, waitlisted: 0, offered: 0 };
  /** The registration of each user. */
  readonly #users = new Map<string, string>();

  get counts(): Counts {
    return { status: this.#status, capacity: this.#capacity, ...this.#counts };
  }

  /** How a user stands, as the service tells it. */
  standingOf(userId: string): object | undefined {
    const registrationId = this.#users.get(userId);
    if (registrationId === undefined) return undefined;
    const { status } = this.#places.get(registrationId)!;
    const position = [...this.#line].indexOf(registrationId) + 1;
    return { registrationId, userId, status, ...(status === "waitlisted" && { position }) };
  }

  /** Follows one event, and says which rules it breaks. */
  apply({ type, data }: RecordedEvent): string[] {
    const { registrationId, userId } = data;
    switch (type) {
      case "Scheduled":
        return this.#scheduled(data);
      case "Revised":
        this.#plan(data);
        return this.#seatsHeld > this.#capacity ? ["more seats are held than there are"] : [];
      case "Published":
        this.#status = "published";
        return [];
      case "Registered":
      case "Waitlisted":
        return this.#joined(type, data);
      case "Promoted":
      case "Offered": {
        const [first] = this.#line;
        this.#put(registrationId, userId, type === "Offered" ? "offered" : "confirmed");
        return [
          ...(first === registrationId ? [] : ["it was not the first in line"]),
          ...(this.#isOffering === (type === "Offered") ? [] : ["seats are not given like this"]),
          ...(this.#seatsHeld > this.#capacity ? ["no seat was free"] : []),
        ];
      }
      case "Accepted": {
        const before = this.#places.get(registrationId)?.status;
        this.#put(registrationId, userId, "confirmed");
        return before === "offered" ? [] : ["it was not offered a seat"];
      }
      case "Withdrawn":
      case "Lapsed": {
        const before = this.#places.get(registrationId)?.status;
        this.#remove(registrationId);
        const expected = type === "Lapsed" ? "offered" : data.status;
        return before === expected ? [] : [`it was ${before}`];
      }
      default:
        return [`nobody asked for ${type}`];
    }
  }

  /** What must hold once all that a command led to is there. */
  atRest(): string[] {
    const isSeatFree = this.#seatsHeld < this.#capacity;
    return isSeatFree && this.#line.size > 0 ? ["somebody waits while a seat is free"] : [];
  }

  /** Whether the event, as it is now, has that reason to refuse. */
  refuses({ f, who, registrationId = "", capacity = Infinity }: Invoked, reason: string): boolean {
    const place = this.#places.get(registrationId);
    switch (reason) {
      case "not-found":
        return this.#status === "unscheduled" ||
          this.#status === "draft" && who !== this.#organizerId;
      case "already-published":
        return f === "publish" && this.#status === "published";
      case "not-published":
        return f === "register" && this.#status === "draft";
      case "already-registered":
        return this.#users.has(who);
      case "sold-out":
        return this.#status === "published" && this.#seatsHeld >= this.#capacity &&
          this.#line.size >= this.#waitlistCapacity;
      case "registration-not-found":
        return place === undefined && (f !== "standing" || !this.#users.has(who));
      case "not-offered":
        return place !== undefined && place.status !== "offered";
      case "capacity-below-confirmed":
        return capacity < this.#counts.confirmed;
      case "capacity-below-offered":
        return capacity < this.#seatsHeld;
      case "offer-lapsed":
        return place?.status === "offered";
      default:
        return false;
    }
  }

  get #seatsHeld(): number {
    return this.#counts.confirmed + this.#counts.offered;
  }

  #scheduled(data: Record<string, unknown>): string[] {
    if (this.#status !== "unscheduled") return ["it was scheduled before"];
    this.#status = "draft";
    this.#organizerId = data.organizerId as string;
    this.#plan(data);
    return [];
  }

  #plan(plan: Record<string, unknown>): void {
    if (plan.capacity !== undefined) this.#capacity = plan.capacity as number;
    if (plan.waitlistCapacity !== undefined) {
      this.#waitlistCapacity = plan.waitlistCapacity as number;
    }
    if (plan.offerMinutes !== undefined) this.#isOffering = true;
  }

  #joined(
    type: "Registered" | "Waitlisted",
    { registrationId, userId, position }: Record<string, unknown>,
  ): string[] {
    const isSeatFree = this.#seatsHeld < this.#capacity;
    const breaches = this.#status === "published" ? [] : ["it was not published"];
    if (this.#users.has(userId as string)) breaches.push(`${userId} was registered already`);
    if (type === "Registered" && !isSeatFree) breaches.push("no seat was free");
    if (type === "Waitlisted") {
      if (isSeatFree) breaches.push("a seat was free");
      if (this.#line.size >= this.#waitlistCapacity) breaches.push("there was no room to wait");
      if (position !== this.#line.size + 1) breaches.push(`${position} was not the next position`);
    }
    const status = type === "Registered" ? "confirmed" : "waitlisted";
    this.#put(registrationId as string, userId as string, status);
    return breaches;
  }

  #put(registrationId: string, userId: string, status: Place["status"]): void {
    this.#remove(registrationId);
    this.#places.set(registrationId, { userId, status });
    this.#users.set(userId, registrationId);
    this.#counts[status]++;
    if (status === "waitlisted") this.#line.add(registrationId);
  }

  #remove(registrationId: string): void {
    const place = this.#places.get(registrationId);
    if (place === undefined) return;
    this.#places.delete(registrationId);
    this.#users.delete(place.userId);
    this.#line.delete(registrationId);
    this.#counts[place.status]--;
  }
}
