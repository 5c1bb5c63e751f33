/** The rush: more people than seats at one moment, and none of them wronged. */
import assert from "node:assert/strict";
import * as fc from "fast-check";
import { Api, type Client, itemsOf, published, since } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";

const database = await databaseOfThisFile();

const SEATS = 100;
const PEOPLE = 2_000;
const WITHDRAWALS = 300;
const WITHDRAWALS_AT_ONCE = 10;

/** Somebody who is still registered. */
interface Registrant {
  readonly client: Client;
  readonly registrationId: string;
}

/** In the order in which they were let in. */
async function rush(event: string, people: readonly Client[]): Promise<Registrant[]> {
  const answers = await Promise.all(
    people.map((person) => person.post(`${event}/registrations`, {})),
  );
  assert.deepEqual(answers.filter(({ status }) => status !== 201), []);
  const bodies = answers.map(({ body }) => body);

  const confirmed = bodies.filter(({ status }) => status === "confirmed");
  assert.equal(confirmed.length, SEATS);
  const positions = bodies.filter(({ status }) => status === "waitlisted")
    .map(({ position }) => position);
  positions.sort((a, b) => a - b);
  assert.deepEqual(positions, Array.from({ length: PEOPLE - SEATS }, (_, n) => n + 1));
  assert.equal(new Set(bodies.map(({ registrationId }) => registrationId)).size, PEOPLE);

  return bodies
    .map(({ registrationId, version }, n) => ({ registrationId, version, client: people[n]! }))
    .sort((a, b) => a.version - b.version);
}

/** How one stands who is the nth of those that are left. */
function standingOf(n: number): readonly [status: string, position: number | undefined] {
  return n < SEATS ? ["confirmed", undefined] : ["waitlisted", n - SEATS + 1];
}

async function assertStanding(event: string, left: readonly Registrant[], n: number) {
  const { client, registrationId } = left[n]!;
  const { body } = await client.get(`${event}/registrations/me`);
  const [status, position] = standingOf(n);
  assert.deepEqual(
    [body.registrationId, body.status, body.position],
    [registrationId, status, position],
    `the ${n}th of ${left.length}`,
  );
}

Deno.test("2,000 people at once for 100 seats: each is told the truth, and it stays true", async () => {
  await using api = new Api(database);
  const alice = api.as("alice", "organizer");
  const event = await published(alice, { capacity: SEATS });
  const people = Array.from({ length: PEOPLE }, (_, n) => api.as(`person-${n}`));
  const left = await rush(event, people);

  // Whoever leaves, and whenever: seats are with the first of those who stay.
  const [choices] = fc.sample(
    fc.array(fc.nat(), { minLength: WITHDRAWALS, maxLength: WITHDRAWALS }),
    1,
  );
  for (let done = 0; done < WITHDRAWALS; done += WITHDRAWALS_AT_ONCE) {
    const leaving = choices!.slice(done, done + WITHDRAWALS_AT_ONCE).map((choice, n) => {
      // Every other one gives up a seat; the rest leave the line wherever they stand.
      const [gone] = left.splice(choice % (n % 2 === 0 ? SEATS : left.length), 1);
      return gone!;
    });
    const answers = await Promise.all(
      leaving.map(({ client, registrationId }) =>
        client.delete(`${event}/registrations/${registrationId}`)
      ),
    );
    assert.deepEqual(answers.filter(({ status }) => status !== 204), []);
    const places = [SEATS - 1, SEATS, left.length - 1, choices![done]! % left.length];
    for (const n of places) await assertStanding(event, left, n);
    const [gone] = leaving;
    assert.equal((await gone!.client.get(`${event}/registrations/me`)).status, 404);
  }
  for (const n of left.keys()) await assertStanding(event, left, n);

  const seen = await alice.get(event);
  const { confirmed, waitlisted } = seen.body;
  assert.deepEqual([confirmed, waitlisted], [SEATS, PEOPLE - WITHDRAWALS - SEATS]);
  const [listed] = await itemsOf(alice, `/events?organizerId=${alice.id}`, since(seen));
  assert.deepEqual(listed, seen.body);
  const path = `${event}/registrations?limit=200`;
  for (const status of ["confirmed", "waitlisted"]) {
    const items = await itemsOf(alice, `${path}&status=${status}`, since(seen));
    const expected = left.filter((_, n) => standingOf(n)[0] === status);
    assert.deepEqual(
      items.map(({ registrationId }) => registrationId),
      expected.map(({ registrationId }) => registrationId),
    );
  }
  const withdrawn = await itemsOf(alice, `${path}&status=withdrawn`, since(seen));
  assert.equal(withdrawn.length, WITHDRAWALS);

  await using other = api.anotherNode();
  assert.deepEqual((await other.as("alice").get(event)).body, seen.body, "as the store has it");
  const history = await itemsOf(alice, `${event}/history?limit=200`);
  assert.deepEqual(history.map(({ version }) => version), history.map((_, n) => n + 1));
});
