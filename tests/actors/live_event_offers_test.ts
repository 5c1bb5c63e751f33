/** Seats that are offered for a time: who gets the offer, how it ends, and who comes next. */
import assert from "node:assert/strict";
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { details, standingOf } from "../../actors/live_event/views.ts";
import { AT, given, KEY } from "../support/given.ts";
import {
  accepted,
  acceptOffer,
  admin,
  ana,
  ben,
  by,
  cancelled,
  cho,
  completed,
  completion,
  dueAtOnce,
  lapsed,
  lapsing,
  offered,
  olga,
  open,
  person,
  promoted,
  register,
  registered,
  reminder,
  rival,
  scheduled,
  shortened,
  started,
  startsAt,
  waitlisted,
  withdraw,
  withdrawn,
} from "../support/recital.ts";

const MINUTE_MS = 60_000;
const inMinutes = (count: number) => new Date(AT + count * MINUTE_MS).toISOString();
const lapse = (expiresAt: string) => ({ type: "Lapse", expiresAt }) as const;
const [dag, eva] = ["dag", "eva"] as const;

/** One seat, which ana has; ben, cho and dag wait for an offer of an hour. */
const crowd = [
  ...open({ offerMinutes: 60 }),
  registered(ana),
  waitlisted(ben, 1),
  waitlisted(cho, 2),
  waitlisted(dag, 3),
];
const oneHour = inMinutes(60);
/** Ana has left, and her seat is offered to ben. */
const bensTurn = [...crowd, withdrawn(ana), offered(ben, oneHour)];

Deno.test("an offer's length is recorded with the plan, and can be revised", () => {
  given(LiveEvent, [])
    .when({
      type: "Schedule",
      title: "Recital",
      startsAt,
      endsAt: "2030-06-01T20:00:00.000Z",
      capacity: 1,
      offerMinutes: 30,
    }, olga)
    .then(scheduled({ offerMinutes: 30 }));
  const event = given(LiveEvent, open({ offerMinutes: 30 }));
  assert.equal(details(event.state).offerMinutes, 30);
  event.when({ type: "Revise", offerMinutes: 30 }, olga).then();
  event.when({ type: "Revise", offerMinutes: 45 }, olga)
    .then({ type: "Revised", offerMinutes: 45 });
});

Deno.test("a freed seat is offered to whoever has waited longest, and then offered on", () => {
  given(LiveEvent, crowd).when(withdraw(ana), by(ana))
    .thenTelling([lapsing(oneHour)], withdrawn(ana), offered(ben, oneHour));
  const [later, at] = [inMinutes(121), AT + 61 * MINUTE_MS];
  given(LiveEvent, bensTurn).when(lapse(oneHour), { at })
    .thenTelling([lapsing(later, at)], lapsed(ben), offered(cho, later));
});

Deno.test("a person who is offered a seat stands in no line, and sees how long it is kept", () => {
  const { state } = given(LiveEvent, bensTurn);
  assert.deepEqual(standingOf(state, ben), {
    ...person(ben),
    status: "offered",
    offerExpiresAt: oneHour,
  });
  assert.deepEqual(standingOf(state, cho), { ...person(cho), status: "waitlisted", position: 1 });
  const { confirmed, waitlisted, offered } = details(state);
  assert.deepEqual({ confirmed, waitlisted, offered }, { confirmed: 0, waitlisted: 2, offered: 1 });
});

Deno.test("the seat that is offered is nobody else's meanwhile", () => {
  given(LiveEvent, bensTurn).when(register(eva), by(eva)).then(waitlisted(eva, 3));
  const alone = [...open({ offerMinutes: 60 }), registered(ana), waitlisted(ben, 1)];
  given(LiveEvent, [...alone, withdrawn(ana), offered(ben, oneHour)])
    .when(register(eva), by(eva)).then(waitlisted(eva, 1));
});

Deno.test("who is offered a seat does not register again", () => {
  given(LiveEvent, bensTurn)
    .when({ type: "Register", registrationId: "another", userId: ben }, by(ben))
    .thenRejected("already-registered");
});

Deno.test("Accept makes the offered seat one's own", () => {
  given(LiveEvent, bensTurn).when(acceptOffer(ben), by(ben)).then(accepted(ben));
  const { state } = given(LiveEvent, [...bensTurn, accepted(ben)]);
  assert.equal(standingOf(state, ben)?.status, "confirmed");
  assert.deepEqual([state.confirmed, state.offers.size, state.waitlist.size], [1, 0, 2]);
});

Deno.test("Accept is for the person alone, not even for the organizer", () => {
  const event = given(LiveEvent, bensTurn);
  for (const other of [olga, admin]) {
    event.when(acceptOffer(ben), other).thenRejected("not-yours");
  }
  for (const other of [by(cho), rival]) {
    event.when(acceptOffer(ben), other).thenRejected("registration-not-found");
  }
});

Deno.test("Accept is refused where nothing is offered", () => {
  const event = given(LiveEvent, crowd);
  event.when(acceptOffer(ana), by(ana)).thenRejected("not-offered");
  event.when(acceptOffer(ben), by(ben)).thenRejected("not-offered");
  event.when(acceptOffer(eva), by(eva)).thenRejected("registration-not-found");
  given(LiveEvent, [...bensTurn, accepted(ben)])
    .when(acceptOffer(ben), by(ben)).thenRejected("not-offered");
  given(LiveEvent, []).when(acceptOffer(ben), by(ben)).thenRejected("not-found");
  given(LiveEvent, [scheduled()]).when(acceptOffer(ben), by(ben)).thenRejected("not-found");
});

Deno.test("Accept is refused from the moment the offer ends, even if its timer is late", () => {
  const event = given(LiveEvent, bensTurn);
  const end = Date.parse(oneHour);
  event.when(acceptOffer(ben), { ...by(ben), at: end - 1 }).then(accepted(ben));
  event.when(acceptOffer(ben), { ...by(ben), at: end }).thenRejected("offer-lapsed");
  given(LiveEvent, [...bensTurn, lapsed(ben)])
    .when(acceptOffer(ben), by(ben)).thenRejected("registration-not-found");
});

Deno.test("whoever declines an offer passes it on", () => {
  given(LiveEvent, bensTurn).when(withdraw(ben), by(ben))
    .thenTelling([lapsing(oneHour)], withdrawn(ben, "offered"), offered(cho, oneHour));
  const at = Date.parse(oneHour) + 5 * MINUTE_MS;
  given(LiveEvent, bensTurn).when(withdraw(ben), { ...olga, at }).thenTelling(
    [lapsing(inMinutes(125), at)],
    withdrawn(ben, "offered"),
    offered(cho, inMinutes(125)),
  );
});

Deno.test("whoever lets an offer lapse is out of the line, and may join it again at its end", () => {
  const over = given(LiveEvent, [...bensTurn, lapsed(ben), offered(cho, inMinutes(120))]);
  assert.equal(standingOf(over.state, ben), undefined);
  over.when(withdraw(ben), by(ben)).thenRejected("registration-not-found");
  over.when({ type: "Register", registrationId: "second", userId: ben }, by(ben))
    .then({ type: "Waitlisted", registrationId: "second", userId: ben, position: 2 });
});

Deno.test("an offer that nobody stands behind leaves a free seat", () => {
  const alone = [...open({ offerMinutes: 60 }), registered(ana), waitlisted(ben, 1)];
  const offer = [...alone, withdrawn(ana), offered(ben, oneHour)];
  given(LiveEvent, offer).when(lapse(oneHour), { at: Date.parse(oneHour) }).then(lapsed(ben));
  given(LiveEvent, [...offer, lapsed(ben)]).when(register(eva), by(eva)).then(registered(eva));
});

Deno.test("a timer for an offer that has ended otherwise does nothing", () => {
  const ended = [
    [...bensTurn, accepted(ben)],
    [...bensTurn, lapsed(ben), offered(cho, inMinutes(120))],
    [...bensTurn, withdrawn(ben, "offered"), offered(cho, inMinutes(90))],
    [...bensTurn, cancelled],
    [...bensTurn, completed],
    crowd,
    [scheduled()],
    [],
  ];
  for (const history of ended) {
    given(LiveEvent, history).when(lapse(oneHour), { at: Date.parse(oneHour) }).then();
  }
});

Deno.test("an earlier offer's timer leaves the same person's next one alone", () => {
  const again = { registrationId: "second", userId: ben };
  const history = [
    ...open({ offerMinutes: 60 }),
    registered(ana),
    waitlisted(ben, 1),
    withdrawn(ana),
    offered(ben, oneHour),
    withdrawn(ben, "offered"),
    registered(ana),
    { type: "Waitlisted", ...again, position: 1 },
    withdrawn(ana),
    { type: "Offered", ...again, expiresAt: inMinutes(75) },
  ] as const;
  const event = given(LiveEvent, history);
  event.when(lapse(oneHour), { at: Date.parse(oneHour) }).then();
  event.when(lapse(inMinutes(75)), { at: AT + 75 * MINUTE_MS }).then({ type: "Lapsed", ...again });
});

Deno.test("a timer that comes early by the clock here counts as having come in time", () => {
  const at = Date.parse(oneHour) - 40;
  given(LiveEvent, bensTurn).when(lapse(oneHour), { at }).thenTelling(
    [lapsing(inMinutes(120), at)],
    lapsed(ben),
    offered(cho, inMinutes(120)),
  );
});

Deno.test("a timer takes along the offers whose own was lost, but none that is still open", () => {
  const history = [
    ...open({ capacity: 3, offerMinutes: 60 }),
    ...[ana, ben, cho].map(registered),
    ...[dag, eva, "fay"].map((userId, index) => waitlisted(userId, index + 1)),
    withdrawn(ana),
    offered(dag, inMinutes(60)),
    withdrawn(ben),
    offered(eva, inMinutes(70)),
    withdrawn(cho),
    offered("fay", inMinutes(80)),
  ];
  given(LiveEvent, history).when(lapse(inMinutes(70)), { at: AT + 70 * MINUTE_MS })
    .then(lapsed(dag), lapsed(eva));
});

Deno.test("seats that become free at once are offered in the order of the line, on one timer", () => {
  given(LiveEvent, crowd).when({ type: "Revise", capacity: 3 }, olga).thenTelling(
    [lapsing(oneHour)],
    { type: "Revised", capacity: 3 },
    offered(ben, oneHour),
    offered(cho, oneHour),
  );
  const both = [
    ...crowd,
    { type: "Revised", capacity: 3 } as const,
    offered(ben, oneHour),
    offered(cho, oneHour),
  ];
  const at = Date.parse(oneHour);
  given(LiveEvent, both).when(lapse(oneHour), { at }).thenTelling(
    [lapsing(inMinutes(120), at)],
    lapsed(ben),
    lapsed(cho),
    offered(dag, inMinutes(120)),
  );
});

Deno.test("more capacity while an offer is open is offered to those behind it", () => {
  given(LiveEvent, bensTurn).when({ type: "Revise", capacity: 2 }, olga).thenTelling(
    [lapsing(oneHour)],
    { type: "Revised", capacity: 2 },
    offered(cho, oneHour),
  );
});

Deno.test("an offered seat cannot be taken away, but a free one can", () => {
  const history = [
    ...open({ capacity: 3, offerMinutes: 60 }),
    ...[ana, ben, cho].map(registered),
    waitlisted(dag, 1),
    withdrawn(ana),
    offered(dag, oneHour),
  ];
  const event = given(LiveEvent, history);
  event.when({ type: "Revise", capacity: 2 }, olga).thenRejected("capacity-below-offered");
  event.when({ type: "Revise", capacity: 1 }, olga).thenRejected("capacity-below-confirmed");
  given(LiveEvent, [...history, lapsed(dag)])
    .when({ type: "Revise", capacity: 2 }, olga).then({ type: "Revised", capacity: 2 });
});

Deno.test("another length is for the offers to come; without one seats go at once", () => {
  given(LiveEvent, bensTurn).when({ type: "Revise", offerMinutes: 5, capacity: 2 }, olga)
    .thenTelling(
      [lapsing(inMinutes(5))],
      { type: "Revised", offerMinutes: 5, capacity: 2 },
      offered(cho, inMinutes(5)),
    );
  given(LiveEvent, [...open(), registered(ana), waitlisted(ben, 1)])
    .when(withdraw(ana), by(ana)).then(withdrawn(ana), promoted(ben));
});

Deno.test("no offer outlasts the start of the event, and none is made from then on", () => {
  const close = started - 20 * MINUTE_MS;
  given(LiveEvent, crowd).when(withdraw(ana), { ...by(ana), at: close })
    .thenTelling([lapsing(startsAt, close)], withdrawn(ana), offered(ben, startsAt));
  const last = given(LiveEvent, [...crowd, withdrawn(ana), offered(ben, startsAt)]);
  last.when(lapse(startsAt), { at: started }).then(lapsed(ben));
  last.when(lapse(startsAt), { at: started - 40 }).then(lapsed(ben));
  last.when(acceptOffer(ben), { ...by(ben), at: started }).thenRejected("offer-lapsed");
  given(LiveEvent, crowd).when({ type: "Revise", capacity: 2 }, { ...olga, at: started })
    .then({ type: "Revised", capacity: 2 });
});

Deno.test("seats that nobody got before the start are offered if that is put off", () => {
  const [begins, at] = ["2030-06-01T19:00:00.000Z", started + MINUTE_MS];
  const history = [...crowd, withdrawn(ana), offered(ben, startsAt), lapsed(ben)];
  given(LiveEvent, history).when({ type: "Revise", startsAt: begins }, { ...olga, at })
    .thenTelling(
      // Those registered hear of a start that is so near at once.
      [dueAtOnce(reminder(begins)), lapsing(begins, at)],
      { type: "Revised", startsAt: begins },
      offered(cho, begins),
    );
});

Deno.test("an earlier start shortens the offers that would outlast it, and only those", () => {
  const history = [
    ...open({ capacity: 2, offerMinutes: 60 }),
    registered(ana),
    registered(ben),
    waitlisted(cho, 1),
    waitlisted(dag, 2),
    waitlisted(eva, 3),
    withdrawn(ana),
    offered(cho, inMinutes(20)),
    withdrawn(ben),
    offered(dag, inMinutes(60)),
  ];
  const begins = inMinutes(30);
  const moved = { type: "Revised", startsAt: begins, capacity: 3 } as const;
  given(LiveEvent, history).when({ ...moved, type: "Revise" }, olga).thenTelling(
    [dueAtOnce(reminder(begins)), lapsing(begins)],
    moved,
    shortened(dag, begins),
    offered(eva, begins),
  );
  const after = given(LiveEvent, [...history, moved, shortened(dag, begins), offered(eva, begins)]);
  assert.deepEqual(standingOf(after.state, dag), {
    ...person(dag),
    status: "offered",
    offerExpiresAt: begins,
  });
  after.when(lapse(inMinutes(60)), { at: AT + 60 * MINUTE_MS })
    .then(lapsed(cho), lapsed(dag), lapsed(eva));
  after.when(lapse(begins), { at: AT + 30 * MINUTE_MS })
    .then(lapsed(cho), lapsed(dag), lapsed(eva));
});

Deno.test("a later start leaves open offers as they are", () => {
  const begins = "2030-07-01T18:00:00.000Z";
  const ends = "2030-07-01T20:00:00.000Z";
  given(LiveEvent, bensTurn).when({ type: "Revise", startsAt: begins, endsAt: ends }, olga)
    .thenTelling(
      [completion(ends), reminder(begins)],
      { type: "Revised", startsAt: begins, endsAt: ends },
    );
});

Deno.test("a cancelled event passes nothing on, and its offers cannot be accepted", () => {
  const over = given(LiveEvent, [...bensTurn, cancelled]);
  over.when(acceptOffer(ben), by(ben)).thenRejected("cancelled");
  over.when(withdraw(ben), by(ben)).then(withdrawn(ben, "offered"));
  given(LiveEvent, [...bensTurn, completed])
    .when(acceptOffer(ben), by(ben)).thenRejected("completed");
});

Deno.test("what one turn leaves of many offers lapses in the next, in the order of the line", () => {
  const history: LiveEvent.Event[] = [...open({ capacity: 0, offerMinutes: 60 })];
  for (let i = 1; i <= 1_003; i++) history.push(waitlisted(`user-${i}`, i));
  history.push({ type: "Revised", capacity: 1_002 });
  for (let i = 1; i <= 1_002; i++) history.push(offered(`user-${i}`, oneHour));
  const at = Date.parse(oneHour);
  const first: LiveEvent.Event[] = [];
  for (let i = 1; i <= 1_000; i++) first.push(lapsed(`user-${i}`));
  first.push(offered("user-1003", inMinutes(120)));
  given(LiveEvent, history).when(lapse(oneHour), { at }).thenTelling(
    [dueAtOnce(lapsing(oneHour)), lapsing(inMinutes(120), at)],
    ...first,
  );
  given(LiveEvent, [...history, ...first]).when(lapse(oneHour), { at })
    .then(lapsed("user-1001"), lapsed("user-1002"));
});

Deno.test("100,000 seats are offered and shortened on one message, and lapse by the thousand", () => {
  const count = 100_000;
  const history: LiveEvent.Event[] = [...open({ capacity: 0, offerMinutes: 60 })];
  for (let i = 1; i <= count; i++) history.push(waitlisted(`user-${i}`, i));
  let state = history.reduce(LiveEvent.evolve, LiveEvent.initial);
  const take = (command: LiveEvent.Command) => {
    const decision = LiveEvent.decide(state, command, { ...olga, key: KEY, at: AT });
    assert(decision.accepted);
    state = decision.events.reduce(LiveEvent.evolve, state);
    return { events: decision.events.length, messages: decision.messages!.length };
  };
  assert.deepEqual(take({ type: "Revise", capacity: count }), { events: count + 1, messages: 1 });
  assert.deepEqual(
    take({ type: "Revise", startsAt: inMinutes(30) }),
    { events: count + 1, messages: 2 },
  );
  for (let left = count; left > 1_000; left -= 1_000) {
    assert.deepEqual(take(lapse(inMinutes(30))), { events: 1_000, messages: 1 });
  }
  assert.deepEqual(take(lapse(inMinutes(30))), { events: 1_000, messages: 0 });
  assert.deepEqual([state.offers.size, state.registrations.size], [0, 0]);
});

Deno.test("a snapshot keeps open offers, their order and their times", () => {
  const history = [
    ...crowd,
    { type: "Revised", capacity: 3 } as const,
    offered(ben, oneHour),
    offered(cho, inMinutes(90)),
  ];
  const { state } = given(LiveEvent, history);
  const written = JSON.stringify(LiveEvent.snapshot.encode(state));
  const restored = LiveEvent.snapshot.decode(JSON.parse(written));
  for (const userId of [ana, ben, cho, dag]) {
    assert.deepEqual(standingOf(restored, userId), standingOf(state, userId));
  }
  assert.deepEqual(LiveEvent.snapshot.encode(restored), LiveEvent.snapshot.encode(state));
  for (const [text, other] of [[oneHour, "soon"], [`"${ben}"`, `"${ana}"`]] as const) {
    const spoilt = JSON.parse(written.replace(text, other));
    assert.throws(() => LiveEvent.snapshot.decode(spoilt), `accepted ${other}`);
  }
});
