/** What holds for a live event after any sequence of commands, by whomever. */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { details, standingOf } from "../../actors/live_event/views.ts";
import { AT, KEY } from "../support/given.ts";

/** So many that each way in which an offer can end comes up several times. */
const RUNS = 1_000;
const MINUTE_MS = 60_000;
const iso = (hours: number) => new Date(AT + hours * 60 * MINUTE_MS).toISOString();
const users = ["ana", "ben", "cho", "dag", "eva", "fay", "gus"];

/** What a step does, and when; ids are drawn from few, so that they collide. */
type Step = {
  readonly command: LiveEvent.Command;
  /** "self" is whose registration, or event, it is. */
  readonly by: string;
  /** Since the step before; whatever is due by then comes first. */
  readonly afterMinutes: number;
};

/** As a new start: 20 minutes from then. */
const SOON = "soon";

const registrationId = fc.nat(9).map((n) => `registration-${n}`);
const revision = fc.record({
  type: fc.constant("Revise" as const),
  title: fc.constantFrom("Recital", "Gala"),
  startsAt: fc.constantFrom(iso(-1), iso(28), iso(30), SOON),
  capacity: fc.nat(5),
  waitlistCapacity: fc.nat(4),
  offerMinutes: fc.constantFrom(10, 40),
}, { requiredKeys: ["type"] });
const command: fc.Arbitrary<LiveEvent.Command> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constant("Register" as const),
      registrationId,
      userId: fc.constantFrom(...users),
    }),
  },
  {
    weight: 12,
    arbitrary: fc.record({
      type: fc.constantFrom("Withdraw" as const, "Accept" as const, "Accept" as const),
      registrationId,
    }),
  },
  { weight: 2, arbitrary: revision },
  {
    weight: 1,
    arbitrary: fc.constantFrom(...Array(5).fill({ type: "Publish" }), { type: "Cancel" }),
  },
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    command,
    by: fc.constantFrom("olga", "olga", "root", ...Array(10).fill("self"), ...users),
    afterMinutes: fc.constantFrom(...Array(16).fill(0), 5, 5, 15, 45, 300),
  }),
  { minLength: 20, maxLength: 80, size: "max" },
);
const plan = fc.record({
  title: fc.constant("Recital"),
  startsAt: fc.constant(iso(30)),
  endsAt: fc.constant(iso(32)),
  capacity: fc.nat(3),
  waitlistCapacity: fc.integer({ min: 2, max: 6 }),
  offerMinutes: fc.constantFrom(10, 40),
}, { requiredKeys: ["title", "startsAt", "endsAt", "capacity"] });

Deno.test("no sequence of commands overbooks, seats twice, or lets wait beside a free seat", () => {
  holds((state, _, at) => {
    const standings = standingsOf(state);
    const count = (status: string) => standings.filter((one) => one.status === status).length;
    const [confirmed, offered] = [count("confirmed"), count("offered")];
    assert.equal(state.confirmed, confirmed);
    assert.equal(state.offers.size, offered);
    assert(confirmed + offered <= state.capacity, "overbooked");
    const isOver = state.status !== "published" ||
      state.offerMinutes !== undefined && Date.parse(state.startsAt) <= at;
    assert(
      state.waitlist.size === 0 || confirmed + offered === state.capacity || isOver,
      "somebody waits beside a free seat",
    );
    assert.equal(confirmed + offered + state.waitlist.size, standings.length);
    assert.equal(state.registrations.size, standings.length);
    assert.equal(state.registrationIds.size, standings.length);
  });
});

Deno.test("no sequence of commands breaks the order of arrival", () => {
  // Kept apart from the state, by nothing but the events: who waits, first come first.
  let line: string[] = [];
  holds((state, events) => {
    for (const event of events) {
      if (event.type === "Scheduled") line = [];
      if (event.type === "Waitlisted") {
        line.push(event.registrationId);
        assert.equal(event.position, line.length);
      }
      if (event.type === "Promoted" || event.type === "Offered") {
        assert.equal(event.registrationId, line.shift());
      }
      if (event.type === "Withdrawn") line = line.filter((id) => id !== event.registrationId);
    }
    const waiting = standingsOf(state)
      .flatMap((standing) => standing.status === "waitlisted" ? [standing] : [])
      .sort((one, other) => one.position - other.position);
    assert.deepEqual(waiting.map(({ position }) => position), line.map((_, i) => i + 1));
    assert.deepEqual(waiting.map(({ registrationId }) => registrationId), line);
  });
});

Deno.test("every offer ends once, by its time, and never outlasts the start", () => {
  // Kept apart from the state, by nothing but the events: until when each open offer stands.
  const open = new Map<string, string>();
  const ended = { Accepted: 0, Lapsed: 0, Withdrawn: 0, OfferShortened: 0 };
  const follow = (event: LiveEvent.Event, at: number) => {
    switch (event.type) {
      case "Scheduled":
        return open.clear();
      case "Offered":
        assert(!open.has(event.registrationId), "offered twice");
        assert(Date.parse(event.expiresAt) > at, "ended before it began");
        return open.set(event.registrationId, event.expiresAt);
      case "OfferShortened":
        ended.OfferShortened++;
        assert(open.get(event.registrationId)! > event.expiresAt, "not shortened");
        return open.set(event.registrationId, event.expiresAt);
      case "Accepted":
        assert(Date.parse(open.get(event.registrationId)!) > at, "accepted too late");
        break;
      case "Lapsed":
        assert(Date.parse(open.get(event.registrationId)!) <= at, "lapsed too early");
        break;
      case "Withdrawn":
        if (event.status === "offered") break;
        return;
      default:
        return;
    }
    ended[event.type]++;
    assert(open.delete(event.registrationId), "ended twice");
  };
  holds((state, events, at) => {
    for (const event of events) follow(event, at);
    const offers = standingsOf(state).flatMap((standing) =>
      standing.status === "offered" ? [[standing.registrationId, standing.offerExpiresAt]] : []
    );
    assert.deepEqual(new Map(offers as [string, string][]), open);
    for (const expiresAt of open.values()) {
      assert(expiresAt <= state.startsAt, "outlasts the start");
    }
  }, (state) => {
    assert(state.status !== "published", "the end was missed");
    assert(open.size === 0 || state.status === "cancelled", "an offer stands for ever");
  });
  for (const [way, times] of Object.entries(ended)) assert(times > 0, `none was ${way}`);
});

Deno.test("people are reminded once of a start, while it is ahead of them", () => {
  let isReminded = false;
  let reminders = 0;
  holds((state, events, at) => {
    for (const event of events) {
      if (event.type === "Scheduled") isReminded = false;
      if (event.type === "Revised" && event.startsAt !== undefined) isReminded = false;
      if (event.type !== "Reminded") continue;
      reminders++;
      assert(!isReminded, "reminded twice");
      isReminded = true;
      assert.equal(event.startsAt, state.startsAt);
      const aheadMs = Date.parse(event.startsAt) - at;
      assert(aheadMs > 0 && aheadMs <= 24 * 60 * MINUTE_MS);
    }
  });
  assert(reminders > 0);
});

Deno.test("no event alters an earlier state", () => {
  let past: { readonly state: LiveEvent.State; readonly picture: unknown }[] = [];
  holds((state, events) => {
    if (events[0]?.type === "Scheduled") past = [];
    past.push({ state, picture: pictureOf(state) });
    for (const { state, picture } of past) assert.deepEqual(pictureOf(state), picture);
  });
  assert.deepEqual(pictureOf(LiveEvent.initial), {
    details: details(LiveEvent.initial),
    people: [],
  });
});

Deno.test("a state restored from its snapshot looks the same and decides the same", () => {
  // The restored state is carried on from event to event, and restored again at every step.
  let restored = LiveEvent.initial;
  holds((state, events) => {
    if (events[0]?.type === "Scheduled") restored = LiveEvent.initial;
    restored = roundTripped(events.reduce(LiveEvent.evolve, restored));
    assert.deepEqual(pictureOf(restored), pictureOf(state));
    const revise = { type: "Revise", capacity: state.capacity + 2 } as const;
    const context = { key: KEY, at: AT, principal: { id: "olga", roles: [] } };
    assert.deepEqual(
      LiveEvent.decide(restored, revise, context),
      LiveEvent.decide(state, revise, context),
    );
  });
});

/**
 * Runs random commands, with time passing and every timer coming when it is due, twice; `check` sees
 * each that was accepted, and `end` what is left when all is over.
 */
function holds(
  check: (state: LiveEvent.State, events: readonly LiveEvent.Event[], at: number) => void,
  end: (state: LiveEvent.State) => void = () => {},
) {
  fc.assert(
    fc.property(plan, steps, (plan, steps) => {
      let [state, at] = [LiveEvent.initial, AT];
      let timers: { readonly dueAt: number; readonly command: LiveEvent.Command }[] = [];
      const take = (command: LiveEvent.Command, by: string) => {
        const id = by === "self" ? selfOf(state, command) : by;
        const principal = { id, roles: id === "root" ? ["admin"] : [] };
        const decision = LiveEvent.decide(state, command, { key: KEY, at, principal });
        if (!decision.accepted) return;
        for (const { command, delayMs = 0 } of decision.messages ?? []) {
          timers.push({ dueAt: at + delayMs, command: LiveEvent.Command.parse(command) });
        }
        state = decision.events.reduce(
          (state, event) => LiveEvent.evolve(state, LiveEvent.Event.parse(event)),
          state,
        );
        check(state, decision.events, at);
        return decision.events;
      };
      const passUntil = (until: number) => {
        for (;;) {
          const next = timers.sort((one, other) => one.dueAt - other.dueAt)[0];
          if (next === undefined || next.dueAt > until) break;
          timers = timers.slice(1);
          at = next.dueAt;
          take(next.command, "ana");
          assert.deepEqual(take(next.command, "ana"), [], "the same timer worked twice");
        }
        at = until;
      };
      take({ type: "Schedule", ...plan }, "olga");
      take({ type: "Publish" }, "olga");
      for (const { command, by, afterMinutes } of steps) {
        passUntil(at + afterMinutes * MINUTE_MS);
        const isSoon = command.type === "Revise" && command.startsAt === SOON;
        const startsAt = new Date(at + 20 * MINUTE_MS).toISOString();
        take(isSoon ? { ...command, startsAt } : command, by);
      }
      passUntil(Infinity);
      end(state);
    }),
    { numRuns: RUNS },
  );
}

function selfOf({ registrations }: LiveEvent.State, command: LiveEvent.Command): string {
  if ("userId" in command) return command.userId;
  if (!("registrationId" in command)) return "olga";
  return registrations.get(command.registrationId)?.userId ?? "nobody";
}

function standingsOf(state: LiveEvent.State) {
  return users.map((userId) => standingOf(state, userId)).filter((one) => one !== undefined);
}

function pictureOf(state: LiveEvent.State) {
  return { details: details(state), people: standingsOf(state) };
}

function roundTripped(state: LiveEvent.State): LiveEvent.State {
  return LiveEvent.snapshot.decode(JSON.parse(JSON.stringify(LiveEvent.snapshot.encode(state))));
}
