/** What holds for a live event after any sequence of commands, by whomever. */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { details, standingOf } from "../../actors/live_event/views.ts";
import { AT, KEY } from "../support/given.ts";

const HOUR = 3_600_000;
const iso = (hours: number) => new Date(AT + hours * HOUR).toISOString();
const users = ["ana", "ben", "cho", "dag", "eva", "fay", "gus"];

/** What a step does; ids are drawn from few, so that they collide. */
type Step = { readonly command: LiveEvent.Command; readonly by: string; readonly hour: number };

const registrationId = fc.nat(25).map((n) => `registration-${n}`);
const revision = fc.record({
  type: fc.constant("Revise" as const),
  title: fc.constantFrom("Recital", "Gala"),
  startsAt: fc.constantFrom(-1, 10, 11).map(iso),
  capacity: fc.nat(5),
  waitlistCapacity: fc.nat(4),
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
    weight: 8,
    arbitrary: fc.record({ type: fc.constant("Withdraw" as const), registrationId }),
  },
  { weight: 4, arbitrary: revision },
  {
    weight: 1,
    arbitrary: fc.constantFrom(
      { type: "Publish" as const },
      { type: "Cancel" as const },
      { type: "Complete" as const, endsAt: iso(12) },
    ),
  },
);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    command,
    by: fc.constantFrom("olga", "olga", "root", ...users),
    hour: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 10),
  }),
  { minLength: 20, maxLength: 80, size: "max" },
);
const plan = fc.record({
  title: fc.constant("Recital"),
  startsAt: fc.constant(iso(10)),
  endsAt: fc.constant(iso(12)),
  capacity: fc.nat(3),
  waitlistCapacity: fc.integer({ min: 2, max: 6 }),
}, { requiredKeys: ["title", "startsAt", "endsAt", "capacity"] });

Deno.test("no sequence of commands overbooks, seats twice, or lets wait beside a free seat", () => {
  holds((state) => {
    const standings = standingsOf(state);
    const confirmed = standings.filter(({ status }) => status === "confirmed").length;
    assert.equal(state.confirmed, confirmed);
    assert(confirmed <= state.capacity, "overbooked");
    assert(
      state.waitlist.size === 0 || confirmed === state.capacity || state.status === "cancelled",
      "somebody waits beside a free seat",
    );
    assert.equal(confirmed + state.waitlist.size, standings.length);
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
      if (event.type === "Promoted") assert.equal(event.registrationId, line.shift());
      if (event.type === "Withdrawn") line = line.filter((id) => id !== event.registrationId);
    }
    const waiting = standingsOf(state)
      .flatMap((standing) => standing.status === "waitlisted" ? [standing] : [])
      .sort((one, other) => one.position - other.position);
    assert.deepEqual(waiting.map(({ position }) => position), line.map((_, i) => i + 1));
    assert.deepEqual(waiting.map(({ registrationId }) => registrationId), line);
  });
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

/** Runs random commands, and `check` after each that was accepted. */
function holds(check: (state: LiveEvent.State, events: readonly LiveEvent.Event[]) => void) {
  fc.assert(fc.property(plan, steps, (plan, steps) => {
    let state = LiveEvent.initial;
    const opening: Step[] = [
      { command: { type: "Schedule", ...plan }, by: "olga", hour: 0 },
      { command: { type: "Publish" }, by: "olga", hour: 0 },
    ];
    for (const { command, by, hour } of [...opening, ...steps]) {
      const principal = { id: by, roles: by === "root" ? ["admin"] : [] };
      const decision = LiveEvent.decide(state, command, {
        key: KEY,
        at: AT + hour * HOUR,
        principal,
      });
      if (!decision.accepted) continue;
      state = decision.events.reduce(
        (state, event) => LiveEvent.evolve(state, LiveEvent.Event.parse(event)),
        state,
      );
      check(state, decision.events);
    }
  }));
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
