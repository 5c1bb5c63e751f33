/** What is made of an endpoint's answer, and when it is asked again, on a virtual clock. */
import assert from "node:assert/strict";
import { Webhook } from "standardwebhooks";
import { TransientFault } from "../../../lib/fault.ts";
import {
  type ClosedEndpoint,
  DEADLINE_MS,
  type OpenEndpoint,
  standardPausesMs,
  WEBHOOK,
  webhookTarget,
} from "../../../lib/webhooks/delivery.ts";
import type { PostAnswer, Posting } from "../../../lib/webhooks/post.ts";
import { newSecret, signatureHeaders } from "../../../lib/webhooks/signature.ts";
import { commitOf, newEvent } from "../../contracts/store_contract.ts";
import { Office } from "../../support/office.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
/** Days pass, of which nobody is to look at every half second. */
const limits = { pollMs: 5_000, depthMs: DAY_MS, tidyMs: DAY_MS };

/** An endpoint, and the network that leads to it. */
class Receiver {
  readonly env = new VirtualEnv();
  readonly posts: { readonly posting: Posting; readonly at: number }[] = [];
  readonly disabled: string[] = [];
  readonly reports: (string | undefined)[] = [];
  standing: OpenEndpoint | ClosedEndpoint = {
    isOpen: true,
    url: "https://a.example/hook",
    secrets: [newSecret()],
  };
  answer: () => PostAnswer | Promise<PostAnswer> = () => ({ status: 200, retryAfter: undefined });
  find: () => Promise<OpenEndpoint | ClosedEndpoint> = () => Promise.resolve(this.standing);

  office(): Office {
    const target = webhookTarget({
      endpoints: {
        find: () => this.find(),
        disable: (_, because) => {
          this.disabled.push(because);
          this.standing = { isOpen: false, reason: `disabled: ${because}` };
          return Promise.resolve();
        },
        report: (_, { failure }) => Promise.resolve(void this.reports.push(failure)),
      },
      admit: (url) =>
        Promise.resolve({
          isAdmitted: true,
          destination: { url: new URL(url), address: "1.1.1.1" },
        }),
      post: async (posting) => {
        this.posts.push({ posting, at: this.env.now() });
        return await this.answer();
      },
      env: this.env,
    });
    return new Office({ env: this.env, outside: [target], limits });
  }
}

async function told(office: Office, count: number): Promise<readonly string[]> {
  const messages = Array.from({ length: count }, (_, n) => ({
    messageId: crypto.randomUUID(),
    to: { kind: WEBHOOK, key: "a" },
    schema: 1,
    command: { type: "live_event.published", timestamp: "", data: { n } },
    correlationId: crypto.randomUUID(),
    causationId: crypto.randomUUID(),
    principal: { id: "ana", roles: [] },
    delayMs: 0,
  }));
  await office.memory.commit([
    commitOf("teller", crypto.randomUUID(), { events: [newEvent("Sent")], messages }),
  ]);
  office.relay.announce([{ kind: WEBHOOK, key: "a" }]);
  return messages.map(({ messageId }) => messageId);
}

Deno.test("a message is tried ten times over three days, then buried; the endpoint is disabled", async () => {
  const receiver = new Receiver();
  await using office = receiver.office();
  receiver.answer = () => ({ status: 503, retryAfter: undefined });
  const [first] = await told(office, 2);
  await office.env.advance(5 * DAY_MS);
  const ids = receiver.posts.map(({ posting }) => posting.headers["webhook-id"]);
  assert.deepEqual(ids, Array(10).fill(first), "always under one id");
  const waits = receiver.posts.slice(1).map(({ at }, n) => at - receiver.posts[n]!.at);
  for (const [n, wait] of waits.entries()) {
    const pause = standardPausesMs[n]!;
    assert(wait >= pause && wait < 1.2 * pause + limits.pollMs, `${wait} after ${pause}`);
  }
  const whole = receiver.posts.at(-1)!.at - receiver.posts[0]!.at;
  assert(whole > 3 * DAY_MS && whole < 4 * DAY_MS);
  assert.deepEqual(receiver.disabled, ["failing"]);
  const letters = await office.memory.outbox.list({ limit: 10 });
  assert.deepEqual(letters.map(({ attempts, error }) => [attempts, error]), [
    [10, "DeliveryFailure: It answered 503"],
    [1, "DeliveryFailure: disabled: failing"],
  ]);
});

Deno.test("each attempt is signed anew, with the time that it is", async () => {
  const receiver = new Receiver();
  await using office = receiver.office();
  receiver.answer = () => ({
    status: receiver.posts.length < 3 ? 500 : 200,
    retryAfter: undefined,
  });
  await told(office, 1);
  await office.env.advance(HOUR_MS);
  const times = receiver.posts.map(({ posting }) => Number(posting.headers["webhook-timestamp"]));
  const seconds = receiver.posts.map(({ at }) => Math.floor(at / 1_000));
  assert.equal(receiver.posts.length, 3);
  assert.deepEqual(times, seconds);
  assert.equal(new Set(receiver.posts.map(({ posting }) => posting.body)).size, 1);
});

Deno.test("an endpoint that says when to come back is asked then, if that is later", async () => {
  const receiver = new Receiver();
  await using office = receiver.office();
  const asked = [
    "3600",
    new Date(receiver.env.now() + 3 * HOUR_MS).toUTCString(),
    "soon",
    "9999999",
  ];
  receiver.answer = () => {
    const retryAfter = asked[receiver.posts.length - 1];
    return { status: retryAfter === undefined ? 200 : 429, retryAfter };
  };
  await told(office, 1);
  await office.env.advance(4 * DAY_MS);
  const [one, two, three, four] = receiver.posts.slice(1).map(({ at }, n) =>
    (at - receiver.posts[n]!.at) / 3_600_000
  );
  assert(one! >= 1 && one! < 1.3);
  assert(two! >= 1.7 && two! < 2.5);
  assert(three! >= 0.5 && three! < 0.7, "what is no time counts as nothing");
  assert(four! >= 24 && four! < 29, "nobody is waited for longer than a day");
});

Deno.test("whatever goes wrong on the way is a failure with its words", async () => {
  const receiver = new Receiver();
  await using office = receiver.office();
  const answers = [
    () => Promise.reject(new Error("connect ECONNREFUSED")),
    () => new Promise<PostAnswer>(() => {}),
    () => ({ status: 301, retryAfter: undefined }),
    () => ({ status: 204, retryAfter: undefined }),
  ];
  receiver.answer = () => answers[receiver.posts.length - 1]!();
  await told(office, 1);
  await office.env.advance(HOUR_MS);
  assert.deepEqual(receiver.reports, [
    "connect ECONNREFUSED",
    `There was no whole answer within ${DEADLINE_MS} ms`,
    "It answered 301: redirects are not followed",
    undefined,
  ]);
  assert.deepEqual(receiver.disabled, []);
});

Deno.test("while the endpoint cannot be looked up, no attempt is counted and nothing is sent", async () => {
  const receiver = new Receiver();
  await using office = receiver.office();
  let failures = 0;
  receiver.find = () =>
    ++failures <= 30
      ? Promise.reject(new TransientFault("no database"))
      : Promise.resolve(receiver.standing);
  await told(office, 1);
  await office.env.advance(HOUR_MS);
  assert.equal(receiver.posts.length, 1);
  assert.deepEqual(office.seen("delivery-failed"), []);
});

Deno.test("signatures hold with another's verifier, and not for what was changed or is old", () => {
  const [old, current] = [newSecret(), newSecret()];
  const at = Date.now();
  const body = JSON.stringify({ type: "x", data: { name: "Ωμέγα" } });
  const headers = { ...signatureHeaders({ id: "msg_1", at, body }, [current, old]) };
  for (const secret of [old, current]) {
    assert.deepEqual(new Webhook(secret).verify(body, headers), JSON.parse(body));
  }
  assert.equal(headers["webhook-signature"]!.split(" ").length, 2);
  assert.throws(() => new Webhook(newSecret()).verify(body, headers));
  assert.throws(() => new Webhook(current).verify(`${body} `, headers));
  assert.throws(() => new Webhook(current).verify(body, { ...headers, "webhook-id": "msg_2" }));
  const stale = { ...signatureHeaders({ id: "msg_1", at: at - 6 * 60_000, body }, [current]) };
  assert.throws(() => new Webhook(current).verify(body, stale), /too old/);
  const [ours] = signatureHeaders({ id: "msg_1", at, body }, [current])["webhook-signature"]!
    .split(" ");
  assert.equal(ours, new Webhook(current).sign("msg_1", new Date(at), body));
});
