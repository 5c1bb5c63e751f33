import assert from "node:assert/strict";
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { details, mayView, positionOf, standingOf } from "../../actors/live_event/views.ts";
import { AT, given, KEY } from "../support/given.ts";
import {
  admin,
  ana,
  ben,
  by,
  cancelled,
  cho,
  completed,
  completion,
  dueAtOnce,
  endsAt,
  olga,
  open,
  person,
  promoted,
  published,
  register,
  registered,
  reminder,
  rival,
  schedule,
  scheduled,
  started,
  startsAt,
  waitlisted,
  withdraw,
  withdrawn,
} from "../support/recital.ts";

const before = new Date(AT).toISOString();

Deno.test("Schedule makes the caller the organizer of a draft", () => {
  given(LiveEvent, []).when(schedule, olga).then(scheduled());
  assert.equal(given(LiveEvent, [scheduled()]).state.status, "draft");
});

Deno.test("Schedule records what is optional only where it is given", () => {
  const more = { description: "Late Schubert", venue: "Small hall", waitlistCapacity: 5 };
  given(LiveEvent, [])
    .when({ ...schedule, ...more }, olga)
    .then({ ...scheduled(), ...more });
});

Deno.test("Schedule is refused where there is an event already", () => {
  given(LiveEvent, [scheduled()]).when(schedule, olga).thenRejected("already-exists");
});

Deno.test("Schedule is refused unless it starts in the future", () => {
  given(LiveEvent, []).when(schedule, { ...olga, at: started }).thenRejected("starts-in-past");
  given(LiveEvent, []).when(schedule, { ...olga, at: started - 1 }).then(scheduled());
});

Deno.test("Schedule is refused unless it ends after it starts", () => {
  given(LiveEvent, [])
    .when({ ...schedule, endsAt: startsAt }, olga)
    .thenRejected("ends-before-start");
});

Deno.test("nothing but Schedule finds an event that was never scheduled", () => {
  const commands: LiveEvent.Command[] = [
    { type: "Revise", title: "Gala" },
    { type: "Publish" },
    { type: "Cancel" },
    register(ana),
    withdraw(ana),
  ];
  for (const command of commands) {
    given(LiveEvent, []).when(command, admin).thenRejected("not-found");
  }
});

Deno.test("a draft exists only for its organizer and admins", () => {
  const draft = given(LiveEvent, [scheduled()]);
  draft.when({ type: "Publish" }, rival).thenRejected("not-found");
  draft.when(register(ana), by(ana)).thenRejected("not-found");
  draft.when({ type: "Publish" }, admin).thenTelling(
    [completion(endsAt), reminder(startsAt)],
    published,
  );
  assert.deepEqual(
    [olga, admin, rival].map(({ principal }) => mayView(draft.state, principal)),
    [true, true, false],
  );
});

Deno.test("a published or cancelled event exists for everyone", () => {
  assert(mayView(given(LiveEvent, open()).state, rival.principal));
  assert(mayView(given(LiveEvent, [...open(), cancelled]).state, rival.principal));
});

Deno.test("Revise, Publish and Cancel are for the organizer and admins", () => {
  const commands: LiveEvent.Command[] = [
    { type: "Revise", title: "Gala" },
    { type: "Publish" },
    { type: "Cancel" },
  ];
  for (const command of commands) {
    given(LiveEvent, open()).when(command, rival).thenRejected("not-organizer");
  }
  given(LiveEvent, open()).when({ type: "Cancel" }, admin).then(cancelled);
});

Deno.test("Publish is accepted once, from draft", () => {
  given(LiveEvent, [scheduled()]).when({ type: "Publish" }, olga)
    .thenTelling([completion(endsAt), reminder(startsAt)], published);
  given(LiveEvent, open()).when({ type: "Publish" }, olga).thenRejected("already-published");
  given(LiveEvent, [...open(), cancelled]).when({ type: "Publish" }, olga)
    .thenRejected("cancelled");
});

Deno.test("a published event is completed at its end, once", () => {
  const complete = { type: "Complete", endsAt } as const;
  given(LiveEvent, open()).when(complete).then(completed);
  assert.equal(given(LiveEvent, [...open(), completed]).state.status, "completed");
  for (const history of [[], [scheduled()], [...open(), cancelled], [...open(), completed]]) {
    given(LiveEvent, history).when(complete).then();
  }
});

Deno.test("an end that is moved is told anew, and the old one means nothing any more", () => {
  const later = "2030-06-01T22:00:00.000Z";
  const revised = { type: "Revised", endsAt: later } as const;
  given(LiveEvent, open()).when({ type: "Revise", endsAt: later }, olga)
    .thenTelling([completion(later)], revised);
  given(LiveEvent, [scheduled()]).when({ type: "Revise", endsAt: later }, olga).then(revised);
  given(LiveEvent, [scheduled(), revised]).when({ type: "Publish" }, olga)
    .thenTelling([completion(later), reminder(startsAt)], published);
  const moved = given(LiveEvent, [...open(), revised]);
  moved.when({ type: "Complete", endsAt }).then();
  moved.when({ type: "Complete", endsAt: later }).then(completed);
});

Deno.test("an event that is over by the time it is published is completed at once", () => {
  const over = Date.parse(endsAt) + 1;
  given(LiveEvent, [scheduled()]).when({ type: "Publish" }, { ...olga, at: over })
    .thenTelling([dueAtOnce(completion(endsAt))], published);
});

Deno.test("what is over can be neither revised, published nor cancelled", () => {
  const over = given(LiveEvent, [...open(), completed]);
  over.when({ type: "Revise", title: "Gala" }, olga).thenRejected("completed");
  over.when({ type: "Publish" }, olga).thenRejected("completed");
  over.when({ type: "Cancel" }, olga).thenRejected("completed");
});

Deno.test("Cancel is accepted once, from draft or published", () => {
  given(LiveEvent, [scheduled()]).when({ type: "Cancel" }, olga).then(cancelled);
  given(LiveEvent, open()).when({ type: "Cancel" }, olga).then(cancelled);
  given(LiveEvent, [...open(), cancelled]).when({ type: "Cancel" }, olga)
    .thenRejected("cancelled");
});

Deno.test("Revise records only what changes", () => {
  given(LiveEvent, open())
    .when({ type: "Revise", title: "Gala", startsAt, capacity: 1, venue: "Hall" }, olga)
    .then({ type: "Revised", title: "Gala", venue: "Hall" });
});

Deno.test("Revise that changes nothing is accepted and records nothing", () => {
  given(LiveEvent, open()).when({ type: "Revise", title: "Recital", startsAt }, olga).then();
  given(LiveEvent, open()).when({ type: "Revise" }, olga).then();
});

Deno.test("Revise is refused once the event is cancelled", () => {
  given(LiveEvent, [...open(), cancelled])
    .when({ type: "Revise", title: "Gala" }, olga)
    .thenRejected("cancelled");
});

Deno.test("Revise is refused if the start would lie in the past", () => {
  given(LiveEvent, open())
    .when({ type: "Revise", startsAt: before }, olga)
    .thenRejected("starts-in-past");
});

Deno.test("Revise may still retitle an event that has started", () => {
  given(LiveEvent, open())
    .when({ type: "Revise", title: "Gala", startsAt }, { ...olga, at: started })
    .then({ type: "Revised", title: "Gala" });
});

Deno.test("Revise is refused if the event would end before it starts", () => {
  const event = given(LiveEvent, open());
  event.when({ type: "Revise", startsAt: endsAt }, olga).thenRejected("ends-before-start");
  event.when({ type: "Revise", endsAt: startsAt }, olga).thenRejected("ends-before-start");
});

Deno.test("Revise may take away free seats, but none that is taken", () => {
  const event = given(LiveEvent, [...open({ capacity: 4 }), registered(ana), registered(ben)]);
  event.when({ type: "Revise", capacity: 2 }, olga).then({ type: "Revised", capacity: 2 });
  event.when({ type: "Revise", capacity: 1 }, olga).thenRejected("capacity-below-confirmed");
});

Deno.test("more capacity promotes those who have waited longest, in their order", () => {
  const waiting = [waitlisted(ben, 1), waitlisted(cho, 2), waitlisted("dag", 3)];
  given(LiveEvent, [...open(), registered(ana), ...waiting])
    .when({ type: "Revise", capacity: 3 }, olga)
    .then({ type: "Revised", capacity: 3 }, promoted(ben), promoted(cho));
});

Deno.test("more capacity can promote a waitlist of 150,000 at once", () => {
  const history: LiveEvent.Event[] = [...open({ capacity: 0 })];
  for (let i = 1; i <= 150_000; i++) history.push(waitlisted(`user-${i}`, i));
  const state = history.reduce(LiveEvent.evolve, LiveEvent.initial);
  const revise = { type: "Revise", capacity: 200_000 } as const;
  const decision = LiveEvent.decide(state, revise, { ...olga, key: KEY, at: AT });
  assert.equal(decision.accepted && decision.events.length, 150_001);
});

Deno.test("a smaller waitlist throws nobody out, and takes nobody in", () => {
  const revised = { type: "Revised", waitlistCapacity: 1 } as const;
  const history = [...open(), registered(ana), waitlisted(ben, 1), waitlisted(cho, 2)];
  given(LiveEvent, history)
    .when({ type: "Revise", waitlistCapacity: 1 }, olga)
    .then(revised);
  const event = given(LiveEvent, [...history, revised]);
  assert.equal(event.state.waitlist.size, 2);
  event.when(register("dag"), by("dag")).thenRejected("sold-out");
});

Deno.test("Register confirms while a seat is free, then puts on the waitlist", () => {
  given(LiveEvent, open()).when(register(ana), by(ana)).then(registered(ana));
  given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1)])
    .when(register(cho), by(cho))
    .then(waitlisted(cho, 2));
});

Deno.test("Register is refused when seats and waitlist are full", () => {
  given(LiveEvent, [...open({ waitlistCapacity: 0 }), registered(ana)])
    .when(register(ben), by(ben))
    .thenRejected("sold-out");
  given(LiveEvent, [...open({ waitlistCapacity: 1 }), registered(ana), waitlisted(ben, 1)])
    .when(register(cho), by(cho))
    .thenRejected("sold-out");
});

Deno.test("Register for somebody else is for the organizer and admins", () => {
  given(LiveEvent, open()).when(register(ana), rival).thenRejected("not-organizer");
  given(LiveEvent, open()).when(register(ana), olga).then(registered(ana));
  given(LiveEvent, open()).when(register(ana), admin).then(registered(ana));
});

Deno.test("Register is refused to who is confirmed or waiting already", () => {
  const event = given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1)]);
  for (const userId of [ana, ben]) {
    event
      .when({ type: "Register", registrationId: "another", userId }, by(userId))
      .thenRejected("already-registered");
  }
});

Deno.test("Register is refused under the registration id of another user", () => {
  given(LiveEvent, [...open({ capacity: 2 }), registered(ana)])
    .when({ ...register(ana), userId: ben }, by(ben))
    .thenRejected("already-registered");
});

Deno.test("Register is refused before publication and after cancellation", () => {
  given(LiveEvent, [scheduled()]).when(register(ana), olga).thenRejected("not-published");
  given(LiveEvent, [...open(), cancelled]).when(register(ana), by(ana)).thenRejected("cancelled");
});

Deno.test("Register and Withdraw are refused from the moment the event starts", () => {
  const event = given(LiveEvent, [...open({ capacity: 2 }), registered(ana)]);
  event.when(register(ben), { ...by(ben), at: started }).thenRejected("already-started");
  event.when(withdraw(ana), { ...by(ana), at: started }).thenRejected("already-started");
  event.when(register(ben), { ...by(ben), at: started - 1 }).then(registered(ben));
  event.when(withdraw(ana), { ...by(ana), at: started - 1 }).then(withdrawn(ana));
});

Deno.test("Withdraw gives the freed seat to whoever has waited longest", () => {
  given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1), waitlisted(cho, 2)])
    .when(withdraw(ana), by(ana))
    .then(withdrawn(ana), promoted(ben));
});

Deno.test("Withdraw from the waitlist promotes nobody", () => {
  given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1), waitlisted(cho, 2)])
    .when(withdraw(ben), by(ben))
    .then(withdrawn(ben, "waitlisted"));
});

Deno.test("Withdraw from a cancelled event promotes nobody", () => {
  given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1), cancelled])
    .when(withdraw(ana), by(ana))
    .then(withdrawn(ana));
});

Deno.test("Withdraw is for the registrant, the organizer and admins", () => {
  const event = given(LiveEvent, [...open(), registered(ana)]);
  event.when(withdraw(ana), by(ben)).thenRejected("registration-not-found");
  event.when(withdraw(ana), olga).then(withdrawn(ana));
  event.when(withdraw(ana), admin).then(withdrawn(ana));
});

Deno.test("Withdraw is refused for a registration that is not there, or no more", () => {
  const event = given(LiveEvent, [...open(), registered(ana), withdrawn(ana)]);
  event.when(withdraw(ana), by(ana)).thenRejected("registration-not-found");
  event.when(withdraw(ben), by(ben)).thenRejected("registration-not-found");
});

Deno.test("whoever withdrew may register again, at the end of the line", () => {
  const history = [...open(), registered(ana), waitlisted(ben, 1), waitlisted(cho, 2)];
  given(LiveEvent, [...history, withdrawn(ben, "waitlisted")])
    .when({ type: "Register", registrationId: "second", userId: ben }, by(ben))
    .then({ type: "Waitlisted", registrationId: "second", userId: ben, position: 2 });
});

Deno.test("a standing tells the seat, or the live position in the waitlist", () => {
  const history = [...open(), registered(ana), waitlisted(ben, 1), waitlisted(cho, 2)];
  const { state } = given(LiveEvent, [...history, withdrawn(ben, "waitlisted")]);
  assert.deepEqual(standingOf(state, ana), { ...person(ana), status: "confirmed" });
  assert.equal(standingOf(state, ben), undefined);
  assert.deepEqual(standingOf(state, cho), { ...person(cho), status: "waitlisted", position: 1 });
  assert.equal(positionOf(state, "registration-cho"), 1);
  assert.equal(positionOf(state, "registration-ana"), undefined);
});

Deno.test("the details count people and name nobody but the organizer", () => {
  const { state } = given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1)]);
  assert.deepEqual(details(state), {
    status: "published",
    organizerId: "olga",
    title: "Recital",
    startsAt,
    endsAt,
    capacity: 1,
    confirmed: 1,
    waitlisted: 1,
    offered: 0,
  });
});

Deno.test("a snapshot restores every field, and the shared empty parts", () => {
  const more = { description: "Late Schubert", venue: "Small hall", waitlistCapacity: 5 };
  for (const history of [[], [scheduled()], [{ ...scheduled(), ...more }, published, cancelled]]) {
    const { state } = given(LiveEvent, history);
    const written = JSON.stringify(LiveEvent.snapshot.encode(state));
    const restored = LiveEvent.snapshot.decode(JSON.parse(written));
    assert.deepEqual(details(restored), details(state));
    assert.equal(restored.registrations, LiveEvent.initial.registrations);
    assert.equal(restored.registrationIds, LiveEvent.initial.registrationIds);
    assert.equal(restored.waitlist, LiveEvent.initial.waitlist);
  }
});

Deno.test("a snapshot that was not encoded here is refused", () => {
  const event = given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1)]);
  const written = JSON.stringify(LiveEvent.snapshot.encode(event.state));
  const spoilt = [
    "{}",
    "[]",
    written.replace("published", "unscheduled"),
    written.replace(startsAt, "tomorrow"),
    written.replace(/1,null/, '"1",null'),
    written.replace('"registration-ana",', ""),
    written.replace("registration-ben", "registration-ana"),
    written.replace('"ben"', '"ana"'),
    written.replace(/\]$/, ",[]]"),
  ];
  for (const text of spoilt) {
    assert.notEqual(text, written);
    assert.throws(() => LiveEvent.snapshot.decode(JSON.parse(text)), `accepted ${text}`);
  }
});
