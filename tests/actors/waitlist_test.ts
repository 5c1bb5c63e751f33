import assert from "node:assert/strict";
import fc from "fast-check";
import * as Waitlist from "../../actors/live_event/waitlist.ts";

/** A line of `count` people, and their tickets. */
function lineOf(count: number) {
  let line = Waitlist.empty;
  const tickets: number[] = [];
  for (let i = 0; i < count; i++) {
    const [next, ticket] = Waitlist.append(line, `person-${i}`);
    line = next;
    tickets.push(ticket);
  }
  return { line, tickets };
}

Deno.test("whoever joins stands last, at the position that the size tells", () => {
  const { line, tickets } = lineOf(3);
  assert.deepEqual(Waitlist.first(line, 3), ["person-0", "person-1", "person-2"]);
  assert.deepEqual(tickets.map((ticket) => Waitlist.positionOf(line, ticket)), [1, 2, 3]);
  assert.equal(line.size, 3);
});

Deno.test("when somebody leaves, only those behind move up", () => {
  const { line, tickets } = lineOf(4);
  const shorter = Waitlist.remove(line, tickets[1]!);
  assert.deepEqual(
    tickets.map((ticket) => Waitlist.positionOf(shorter, ticket)),
    [1, undefined, 2, 3],
  );
});

Deno.test("first takes no more than there are, and none if none are asked", () => {
  const { line } = lineOf(2);
  assert.deepEqual(Waitlist.first(line, 5), ["person-0", "person-1"]);
  assert.deepEqual(Waitlist.first(line, 0), []);
  assert.deepEqual(Waitlist.first(Waitlist.empty, 1), []);
});

Deno.test("a ticket that nobody holds has no position, and cannot leave", () => {
  const { line, tickets } = lineOf(2);
  const shorter = Waitlist.remove(line, tickets[0]!);
  for (const ticket of [tickets[0]!, 2, 33, 1_000_000]) {
    assert.equal(Waitlist.positionOf(shorter, ticket), undefined);
    assert.equal(Waitlist.remove(shorter, ticket), shorter);
  }
});

Deno.test("a line that runs empty is the shared empty one", () => {
  const { line, tickets } = lineOf(100);
  assert.equal(tickets.reduce(Waitlist.remove, line), Waitlist.empty);
});

Deno.test("100,000 people stand in order, also after every third has left", () => {
  const { line, tickets } = lineOf(100_000);
  const left = tickets.filter((_, i) => i % 3 === 0).reduce(Waitlist.remove, line);
  const stayed = tickets.filter((_, i) => i % 3 !== 0);
  assert.equal(left.size, stayed.length);
  stayed.forEach((ticket, i) => assert.equal(Waitlist.positionOf(left, ticket), i + 1));
  assert.deepEqual(Waitlist.first(left, 3), ["person-1", "person-2", "person-4"]);
  assert.equal(Waitlist.positionOf(line, tickets.at(-1)!), 100_000);
});

Deno.test("no sequence of joining and leaving departs from a plain array, nor alters an old line", () => {
  const step = fc.oneof(
    { weight: 3, arbitrary: fc.record({ join: fc.integer({ min: 1, max: 300 }) }) },
    {
      weight: 3,
      // Who leaves, in thousandths of the line, and how many behind go too: whole nodes run empty.
      arbitrary: fc.record({ from: fc.nat(1000), leave: fc.integer({ min: 1, max: 200 }) }),
    },
  );
  fc.assert(fc.property(fc.array(step, { maxLength: 15 }), (steps) => {
    let line = Waitlist.empty;
    let model: { readonly id: string; readonly ticket: number }[] = [];
    let joined = 0;
    const past: { line: Waitlist.Waitlist; ids: string[] }[] = [];
    for (const step of steps) {
      past.push({ line, ids: model.map(({ id }) => id) });
      if ("join" in step) {
        for (let i = 0; i < step.join; i++) {
          const id = `person-${joined++}`;
          const [next, ticket] = Waitlist.append(line, id);
          line = next;
          model = [...model, { id, ticket }];
        }
      } else {
        const from = Math.floor(model.length * step.from / 1001);
        const leaving = model.slice(from, from + step.leave);
        line = leaving.reduce((line, { ticket }) => Waitlist.remove(line, ticket), line);
        model = model.filter((person) => !leaving.includes(person));
      }
      assert.equal(line.size, model.length);
      model.forEach(({ ticket }, i) => assert.equal(Waitlist.positionOf(line, ticket), i + 1));
    }
    past.push({ line, ids: model.map(({ id }) => id) });
    for (const { line, ids } of past) assert.deepEqual(Waitlist.first(line, line.size), ids);
  }));
});
