import assert from "node:assert/strict";
import * as WebhookEndpoint from "../../actors/webhook_endpoint/aggregate.ts";
import { AT, given, KEY } from "../support/given.ts";

const owner = { principal: { id: "olga", roles: ["organizer"] } };
const admin = { principal: { id: "root", roles: ["admin"] } };
const stranger = { principal: { id: "stan", roles: ["organizer"] } };

const plan = { url: "https://a.example/", types: ["live_event.published"] };
const created: WebhookEndpoint.Event = {
  type: "Created",
  ...plan,
  ownerId: "olga",
  secret: "one",
  createdAt: new Date(AT).toISOString(),
};
const disabled = (because: WebhookEndpoint.DisabledBecause) =>
  ({ type: "Disabled", because }) as const;

Deno.test("an endpoint is its maker's", () => {
  given(WebhookEndpoint, []).when({ type: "Create", ...plan, secret: "one" }, owner).then(created);
  given(WebhookEndpoint, [created]).when({ type: "Create", ...plan, secret: "two" }, owner)
    .thenRejected("already-exists");
});

Deno.test("to all but its owner and admins an endpoint does not exist, and deleted to nobody", () => {
  const commands: WebhookEndpoint.Command[] = [
    { type: "Revise", url: "https://b.example/" },
    { type: "RotateSecret", secret: "two" },
    { type: "Enable" },
    { type: "Disable" },
    { type: "Test" },
    { type: "Delete" },
  ];
  for (const command of commands) {
    given(WebhookEndpoint, [created]).when(command, stranger).thenRejected("not-found");
    given(WebhookEndpoint, []).when(command, owner).thenRejected("not-found");
    given(WebhookEndpoint, [created, { type: "Deleted" }]).when(command, owner)
      .thenRejected("not-found");
  }
  given(WebhookEndpoint, [created]).when({ type: "Delete" }, admin).then({ type: "Deleted" });
  given(WebhookEndpoint, [created, { type: "Deleted" }])
    .when({ type: "Create", ...plan, secret: "two" }, owner).thenRejected("already-exists");
});

Deno.test("a revision records what changed and nothing else", () => {
  const { when } = given(WebhookEndpoint, [created]);
  when({ type: "Revise", ...plan, description: "new" }, owner)
    .then({ type: "Revised", description: "new" });
  when({ type: "Revise", ...plan }, owner).then();
});

Deno.test("there are two secrets for a day, and never three", () => {
  const until = (at: number) => new Date(at + WebhookEndpoint.PREVIOUS_SECRET_MS).toISOString();
  const rotated = (secret: string) =>
    ({ type: "SecretRotated", secret, previousUntil: until(AT) }) as const;
  given(WebhookEndpoint, [created]).when({ type: "RotateSecret", secret: "two" }, owner)
    .then(rotated("two"));
  const { activeSecrets, PREVIOUS_SECRET_MS } = WebhookEndpoint;
  const once = given(WebhookEndpoint, [created, rotated("two")]).state;
  assert.deepEqual(activeSecrets(once, AT), ["two", "one"]);
  assert.deepEqual(activeSecrets(once, AT + PREVIOUS_SECRET_MS - 1), ["two", "one"]);
  assert.deepEqual(activeSecrets(once, AT + PREVIOUS_SECRET_MS), ["two"]);
  const twice = given(WebhookEndpoint, [created, rotated("two"), rotated("three")]).state;
  assert.deepEqual(activeSecrets(twice, AT), ["three", "two"]);
  assert.doesNotMatch(JSON.stringify(WebhookEndpoint.details(twice)), /two|three|one/);
  const gone = given(WebhookEndpoint, [created, rotated("two"), { type: "Deleted" }]).state;
  assert.doesNotMatch(JSON.stringify(gone), /two|one/);
});

Deno.test("an endpoint is disabled by its owner or by what it answers, and says by which", () => {
  const because = (...history: WebhookEndpoint.Event[]) =>
    given(WebhookEndpoint, [created, ...history]).state.disabledBecause;
  given(WebhookEndpoint, [created]).when({ type: "Disable" }, owner).then(disabled("asked"));
  given(WebhookEndpoint, [created, disabled("asked")]).when({ type: "Disable" }, owner).then();
  given(WebhookEndpoint, [created, disabled("gone")]).when({ type: "Disable" }, owner)
    .then(disabled("asked"));
  given(WebhookEndpoint, [created]).when({ type: "Suspend", because: "gone" })
    .then(disabled("gone"));
  given(WebhookEndpoint, [created, disabled("asked")]).when({ type: "Suspend", because: "gone" })
    .then();
  given(WebhookEndpoint, []).when({ type: "Suspend", because: "failing" }).then();
  assert.equal(because(disabled("failing")), "failing");
  given(WebhookEndpoint, [created, disabled("gone")]).when({ type: "Enable" }, owner)
    .then({ type: "Enabled" });
  assert.equal(because(disabled("gone"), { type: "Enabled" }), undefined);
});

Deno.test("a test goes the way that everything goes, unless the endpoint is disabled", () => {
  const timestamp = new Date(AT).toISOString();
  given(WebhookEndpoint, [created]).when({ type: "Test" }, owner).thenTelling([{
    to: { kind: "webhook", key: KEY },
    schema: 1,
    command: { type: "webhook.test", timestamp, data: { endpointId: KEY } },
  }], { type: "Tested" });
  given(WebhookEndpoint, [created, disabled("asked")]).when({ type: "Test" }, owner)
    .thenRejected("disabled");
});
