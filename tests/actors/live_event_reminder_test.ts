/** A day before the start: who is reminded of what, and when nobody is. */
import assert from "node:assert/strict";
import * as LiveEvent from "../../actors/live_event/aggregate.ts";
import { AT, given } from "../support/given.ts";
import {
  cancelled,
  completed,
  completion,
  dueAtOnce,
  endsAt,
  HOUR_MS,
  olga,
  open,
  published,
  reminded,
  reminder,
  scheduled,
  started,
  startsAt,
} from "../support/recital.ts";

const remind = { type: "Remind", startsAt } as const;
const dayBefore = { at: started - 24 * HOUR_MS };
const later = "2030-06-01T19:00:00.000Z";
const moved = { type: "Revised", startsAt: later } as const;
const movedBack = { type: "Revised", startsAt } as const;

Deno.test("a published event reminds of its start a day before it, once", () => {
  given(LiveEvent, open()).when(remind, dayBefore).then(reminded);
  given(LiveEvent, [...open(), reminded]).when(remind, dayBefore).then();
});

Deno.test("a timer is set with the publication, while the start is more than a day away", () => {
  const draft = given(LiveEvent, [scheduled()]);
  for (const at of [AT, dayBefore.at - 1]) {
    draft.when({ type: "Publish" }, { ...olga, at })
      .thenTelling([completion(endsAt, at), reminder(startsAt, at)], published);
  }
  for (const at of [dayBefore.at, started - 1]) {
    draft.when({ type: "Publish" }, { ...olga, at })
      .thenTelling([completion(endsAt, at)], published);
  }
});

Deno.test("nobody is reminded of a draft, of what is called off, or of what is past", () => {
  for (const history of [[], [scheduled()], [...open(), cancelled], [...open(), completed]]) {
    given(LiveEvent, history).when(remind, dayBefore).then();
  }
  given(LiveEvent, open()).when(remind, { at: started - 1 }).then(reminded);
  given(LiveEvent, open()).when(remind, { at: started }).then();
});

Deno.test("a start that is moved has a timer of its own, and the old one means nothing", () => {
  given(LiveEvent, open()).when({ type: "Revise", startsAt: later }, olga)
    .thenTelling([reminder(later)], moved);
  given(LiveEvent, [scheduled()]).when({ type: "Revise", startsAt: later }, olga).then(moved);
  const event = given(LiveEvent, [...open(), moved]);
  event.when(remind, dayBefore).then();
  event.when({ ...remind, startsAt: later }, dayBefore).then({ ...reminded, startsAt: later });
});

Deno.test("a start that is moved into the coming day is told of at once", () => {
  const at = dayBefore.at + 2 * HOUR_MS;
  given(LiveEvent, open()).when({ type: "Revise", startsAt: later }, { ...olga, at })
    .thenTelling([dueAtOnce(reminder(later, at))], moved);
});

Deno.test("another start after a reminder is reminded of again, the same one is not", () => {
  given(LiveEvent, [...open(), reminded, moved])
    .when({ ...remind, startsAt: later }, dayBefore).then({ ...reminded, startsAt: later });
  const retitled = { type: "Revised", title: "Gala", endsAt: "2030-06-01T21:00:00.000Z" } as const;
  given(LiveEvent, [...open(), reminded, retitled]).when(remind, dayBefore).then();
});

Deno.test("a start that is moved and moved back is reminded of once, by either timer", () => {
  const there = [...open(), moved, movedBack];
  given(LiveEvent, there).when(remind, dayBefore).then(reminded);
  given(LiveEvent, [...there, reminded]).when(remind, dayBefore).then();
  // In between everyone had been told of the other.
  given(LiveEvent, [...open(), reminded, moved, movedBack]).when(remind, dayBefore).then(reminded);
});

Deno.test("a snapshot knows whether people were reminded", () => {
  for (const history of [open(), [...open(), reminded], [...open(), reminded, moved]]) {
    const { state } = given(LiveEvent, history);
    const written = JSON.stringify(LiveEvent.snapshot.encode(state));
    assert.equal(LiveEvent.snapshot.decode(JSON.parse(written)).isReminded, state.isReminded);
  }
});
