/**
 * I9: seats and the line for them, played by the simplest rules there are.
 *
 * @module
 */
import * as LiveEvent from "../../../actors/live_event/aggregate.ts";
import type { Committed } from "../history.ts";
import { Broken } from "./chronicle.ts";

type Event = LiveEvent.Event;

/** One live event. */
class Hall {
  readonly #key: string;
  readonly #seated = new Map<string, string>();
  readonly #offered = new Map<string, string>();
  /** In the order in which they came. */
  readonly #line = new Map<string, string>();
  #capacity = 0;
  #lineMax = Infinity;
  #isOpen = false;

  constructor(key: string) {
    this.#key = key;
  }

  play(event: Event): void {
    switch (event.type) {
      case "Scheduled":
        this.#capacity = event.capacity;
        this.#lineMax = event.waitlistCapacity ?? Infinity;
        break;
      case "Published":
        this.#isOpen = true;
        break;
      case "Cancelled":
      case "Completed":
        this.#isOpen = false;
        break;
      case "Revised":
        this.#capacity = event.capacity ?? this.#capacity;
        break;
      case "Registered":
        this.#isNew(event);
        this.#seated.set(event.registrationId, event.userId);
        break;
      case "Waitlisted":
        this.#isNew(event);
        this.#that(event.position === this.#line.size + 1, `position ${event.position} is next`);
        this.#that(this.#line.size < this.#lineMax, "there is room in the line");
        this.#that(this.#held >= this.#capacity, "no seat is free");
        this.#line.set(event.registrationId, event.userId);
        break;
      case "Promoted":
      case "Offered": {
        const [first] = this.#line.keys();
        this.#that(first === event.registrationId, `${event.registrationId} is first in line`);
        this.#line.delete(event.registrationId);
        const list = event.type === "Promoted" ? this.#seated : this.#offered;
        list.set(event.registrationId, event.userId);
        break;
      }
      case "Accepted":
        this.#that(this.#offered.delete(event.registrationId), "a seat was offered");
        this.#seated.set(event.registrationId, event.userId);
        break;
      case "Lapsed":
        this.#that(this.#offered.delete(event.registrationId), "a seat was offered");
        break;
      case "Withdrawn": {
        const lists = {
          confirmed: this.#seated,
          offered: this.#offered,
          waitlisted: this.#line,
        };
        const wasThere = lists[event.status].delete(event.registrationId);
        this.#that(wasThere, `${event.registrationId} was ${event.status}`);
      }
    }
    this.#that(this.#held <= this.#capacity, "no more seats are given than there are");
  }

  /** Once all events of a commit are played. */
  rest(): void {
    if (!this.#isOpen) return;
    const isFair = this.#held === this.#capacity || this.#line.size === 0;
    this.#that(isFair, "nobody waits while a seat is free");
  }

  get #held(): number {
    return this.#seated.size + this.#offered.size;
  }

  #isNew({ registrationId, userId }: { registrationId: string; userId: string }): void {
    for (const list of [this.#seated, this.#offered, this.#line]) {
      this.#that(!list.has(registrationId), `${registrationId} is new`);
      this.#that(!list.values().some((user) => user === userId), `${userId} is not in yet`);
    }
  }

  #that(holds: boolean, what: string): void {
    if (!holds) throw new Broken("I9", `at ${this.#key} it does not hold that ${what}`);
  }
}

/** After each commit. */
export function fairlySeated(): (committed: Committed) => void {
  const halls = new Map<string, Hall>();
  return ({ commit: { address: { kind, key }, events } }) => {
    if (kind !== LiveEvent.kind) return;
    const hall = halls.get(key) ?? new Hall(key);
    halls.set(key, hall);
    for (const { data } of events) hall.play(data as Event);
    if (events.length > 0) hall.rest();
  };
}
