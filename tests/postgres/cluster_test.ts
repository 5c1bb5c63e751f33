/** Four processes over one database: to their callers they are one. */
import assert from "node:assert/strict";
import { fire, type LoadPlan } from "../../bench/load_generator.ts";
import {
  assertExact,
  assertLists,
  historyOf,
  organizerToken,
  played,
  publishedEvent,
  type Registered,
  registeredIn,
  send,
} from "../support/cluster.ts";
import { createServerDatabase } from "../support/database.ts";
import { ServerProcess, tokenFor } from "../support/server_process.ts";

const SERVERS = 4;

class Cluster implements AsyncDisposable {
  readonly servers: readonly ServerProcess[];
  readonly #resources: AsyncDisposableStack;

  private constructor(servers: readonly ServerProcess[], resources: AsyncDisposableStack) {
    this.servers = servers;
    this.#resources = resources;
  }

  static async start(): Promise<Cluster> {
    await using starting = new AsyncDisposableStack();
    const { url: DATABASE_URL } = starting.use(await createServerDatabase());
    const variables = { DATABASE_URL, DATABASE_POOL_MAX: "4" };
    const servers = await Promise.all(
      Array.from({ length: SERVERS }, () => ServerProcess.start(variables)),
    );
    for (const server of servers) starting.use(server);
    return new Cluster(servers, starting.move());
  }

  /** The servers in turn. */
  server(n: number): ServerProcess {
    return this.servers[n % SERVERS]!;
  }

  /** Registrations of `user-{i}`, dealt to all servers. */
  plan(eventId: string, plan: Pick<LoadPlan, "requests"> & Partial<LoadPlan>): LoadPlan {
    return {
      targets: this.servers.map(({ url }) => url),
      connections: 64,
      method: "POST",
      path: `/api/v1/events/${eventId}/registrations`,
      body: '{"userId":"user-{i}"}',
      tokens: [organizerToken],
      isCaptured: true,
      ...plan,
    };
  }

  /** Every server's lists show what the history says. */
  async assertAgreement(eventId: string): Promise<void> {
    const { consistencyToken } = await send(this.server(0), "GET", `/events/${eventId}`, {
      headers: { "cache-control": "no-cache" },
    });
    const history = await historyOf(this.server(1), eventId);
    const standing = played(history);
    for (const server of this.servers) {
      await assertLists(server, eventId, standing, consistencyToken);
      const { body } = await send(server, "GET", `/events/${eventId}`, {
        headers: { "consistency-token": consistencyToken },
      });
      assert.deepEqual(
        [body.version, body.confirmed, body.waitlisted],
        [history.length, standing.confirmed.length, standing.waitlisted.length],
      );
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#resources.disposeAsync();
  }
}

Deno.test("four servers share one rush: seats, waitlist, history and lists are exact", async (t) => {
  await using cluster = await Cluster.start();
  const capacity = 200;
  const eventId = await publishedEvent(cluster.server(0), { capacity, waitlistCapacity: 5_000 });
  const path = `/events/${eventId}/registrations`;
  let registered: Registered[] = [];

  await t.step("4,000 people for 200 seats", async () => {
    const { answers } = await fire(cluster.plan(eventId, { requests: 4_000 }));
    registered = registeredIn(answers!);
    assertExact(registered, capacity);
  });

  await t.step("whoever asks again is registered already", async () => {
    const { statuses, answers } = await fire(
      cluster.plan(eventId, { requests: 256, firstIndex: 1_000 }),
    );
    assert.deepEqual(statuses, { 409: 256 });
    for (const { body } of answers!) assert.match(body, /already-registered/);
  });

  await t.step(
    "people leave and come back through other servers, while new ones come",
    async () => {
      const newcomers = fire(
        cluster.plan(eventId, { requests: 800, firstIndex: 10_000, connections: 16 }),
      );
      const usersWho = (status: string, count: number) =>
        registered.flatMap((one, user) => one.status === status ? [user] : []).slice(0, count);
      const leavers = [...usersWho("confirmed", 160), ...usersWho("waitlisted", 320)];
      const LANES = 24;
      const lanes = Array.from({ length: LANES }, async (_, lane) => {
        for (let n = lane; n < leavers.length; n += LANES) {
          const user = leavers[n]!;
          const { registrationId } = registered[user]!;
          const left = await send(cluster.server(n), "DELETE", `${path}/${registrationId}`);
          assert.equal(left.status, 204, JSON.stringify(left.body));
          const body = { userId: `user-${user}` };
          const back = await send(cluster.server(n + 1), "POST", path, { body });
          assert.equal(back.status, 201, JSON.stringify(back.body));
        }
      });
      await Promise.all(lanes);
      registeredIn((await newcomers).answers!);
    },
  );

  await t.step("the history is linear, and every server's lists agree with it", async () => {
    await cluster.assertAgreement(eventId);
    const { confirmed, waitlisted } = played(await historyOf(cluster.server(3), eventId));
    assert.deepEqual([confirmed.length, waitlisted.length], [capacity, 4_800 - capacity]);
  });

  await t.step("each one in line is told the same place by every server", async () => {
    const { waitlisted } = played(await historyOf(cluster.server(0), eventId));
    for (const index of [0, 1, 999, waitlisted.length - 1]) {
      const { userId, registrationId } = waitlisted[index]!;
      const token = await tokenFor(userId);
      for (const server of cluster.servers) {
        const { body } = await send(server, "GET", `${path}/me`, { token });
        assert.deepEqual(
          [body.registrationId, body.status, body.position],
          [registrationId, "waitlisted", index + 1],
        );
      }
    }
  });
});

/**
 * Refusals that each server gives before the state changes elsewhere. As many in a row let it believe
 * itself alone again: it no longer takes the row lock, and knows nothing newer than its memory.
 */
const REFUSALS = 12;

Deno.test("no server refuses for a reason that has passed, be it sold out or registered already", async () => {
  await using cluster = await Cluster.start();
  const eventId = await publishedEvent(cluster.server(0), { capacity: 12, waitlistCapacity: 4 });
  const path = `/events/${eventId}/registrations`;
  const register = async (server: number, userId: string) => {
    const { status, body } = await send(cluster.server(server), "POST", path, { body: { userId } });
    if (status === 201) return { userId, registrationId: body.registrationId as string };
    assert.equal(status, 409, JSON.stringify(body));
    return body.type.slice("/problems/live-event/".length) as string;
  };
  const leave = async (server: number, registrationId: string) => {
    const left = await send(cluster.server(server), "DELETE", `${path}/${registrationId}`);
    assert.equal(left.status, 204, JSON.stringify(left.body));
  };
  const asked = await Promise.all(Array.from({ length: 16 }, (_, n) => register(n, `user-${n}`)));
  let holders = asked.filter((answer) => typeof answer !== "string");
  assert.equal(holders.length, 16);
  let newcomers = 0;

  for (let round = 0; round < 20; round++) {
    const leaving = holders.slice(0, 1 + round % 6);
    await Promise.all(cluster.servers.map(async (_, server) => {
      for (let n = 0; n < REFUSALS; n++) {
        assert.equal(await register(server, leaving[0]!.userId), "already-registered");
        assert.equal(await register(server, "nobody"), "sold-out");
      }
    }));
    await Promise.all(leaving.map(({ registrationId }, n) => leave(round + n, registrationId)));
    // One of those who left comes back; with the newcomers, they are two more than there is room
    // for, and they ask servers that saw nobody leave.
    const asking = leaving.slice(1).map(() => `newcomer-${newcomers++}`);
    const late = [`newcomer-${newcomers++}`, `newcomer-${newcomers++}`];
    const back = await register(round + 1, leaving[0]!.userId);
    assert(typeof back !== "string", `round ${round}: ${back}`);
    const answers = await Promise.all(
      [...asking, ...late].map((userId, n) => register(round + n + 2, userId)),
    );
    const admitted = answers.filter((answer) => typeof answer !== "string");
    assert.equal(admitted.length, leaving.length - 1, `round ${round}: all the room is given`);
    assert.equal(answers.filter((answer) => answer === "sold-out").length, 2);
    holders = [...holders.slice(leaving.length), back, ...admitted];
  }
  await cluster.assertAgreement(eventId);
});
