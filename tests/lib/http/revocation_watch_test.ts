import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import {
  defaultWatchLimits,
  type RevocationPage,
  type RevocationSource,
  RevocationWatch,
} from "../../../lib/http/revocation_watch.ts";
import { type Revocation, Revocations } from "../../../lib/http/revocations.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const { pollMs, staleMs } = defaultWatchLimits;
const limits = { sessionMs: 600_000, subjectMs: 3_600_000 };

/** Gives what was recorded, by the transactions that recorded it. */
class Ledger implements RevocationSource {
  readonly recorded: { readonly transaction: number; readonly revocation: Revocation }[] = [];
  readonly asked: string[] = [];
  horizon = 100;
  isAway = false;

  recent(withinMs: number): Promise<RevocationPage> {
    this.asked.push(`recent ${withinMs}`);
    return this.#page(0);
  }

  since(horizon: string): Promise<RevocationPage> {
    this.asked.push(`since ${horizon}`);
    return this.#page(Number(horizon));
  }

  #page(from: number): Promise<RevocationPage> {
    if (this.isAway) return Promise.reject(new TransientFault("away"));
    const revocations = this.recorded.filter(({ transaction }) => transaction >= from)
      .map(({ revocation }) => revocation);
    return Promise.resolve({ revocations, horizon: String(this.horizon) });
  }
}

function watched({ isReadOnly = (): boolean => false } = {}) {
  const env = new VirtualEnv();
  const source = new Ledger();
  const wall = { aheadMs: 0 };
  const clocks = { now: () => env.now() + wall.aheadMs, monotonic: () => env.monotonic() };
  const revocations = new Revocations(limits, clocks);
  const ended = (session: string): Revocation => {
    return { at: env.now(), subject: "ada", sessions: [session], keys: [], isWhole: false };
  };
  const hasEnded = (sessionId: string) =>
    revocations.covers({ subject: "ada", sessionId, issuedAt: env.now() });
  const start = () =>
    new RevocationWatch({
      env,
      source,
      revocations,
      isReadOnly,
      observe: () => {},
      limits: { recentMs: limits.subjectMs },
    });
  return { env, wall, source, revocations, ended, hasEnded, start };
}

Deno.test("what was revoked before the node began is known before anybody is believed", async () => {
  const { source, ended, hasEnded, start } = watched();
  source.recorded.push({ transaction: 7, revocation: ended("s") });
  await using watch = start();
  const waiting = watch.believing();
  assert(waiting !== undefined, "nobody is believed before");
  await waiting;
  assert(hasEnded("s"));
  assert.equal(watch.believing(), undefined);
  assert.deepEqual(source.asked, [`recent ${limits.subjectMs}`]);
});

Deno.test("what another node records is known after the next look, in well under a second", async () => {
  assert(2 * pollMs < 1_000);
  const { env, source, ended, hasEnded, start } = watched();
  await using watch = start();
  await watch.ready;
  source.recorded.push({ transaction: 101, revocation: ended("s") });
  assert.equal(hasEnded("s"), false);
  await env.advance(pollMs);
  assert(hasEnded("s"));
  assert.equal(source.asked.at(-1), "since 100");
});

Deno.test("a store that was put back in time is read from the beginning", async () => {
  const { env, source, ended, hasEnded, start } = watched();
  await using watch = start();
  await watch.ready;
  source.horizon = 50;
  source.recorded.push({ transaction: 40, revocation: ended("s") });
  await env.advance(2 * pollMs);
  assert(hasEnded("s"));
});

Deno.test("while it is not known what was revoked nobody is believed, and everybody after that", async () => {
  const { env, source, start } = watched();
  await using watch = start();
  await watch.ready;
  source.isAway = true;
  await env.advance(staleMs);
  assert.equal(watch.believing(), undefined, "for a while what was known last will do");
  assert.equal(watch.isKnown, true);
  await env.advance(pollMs);
  assert.throws(() => watch.believing(), TransientFault);
  assert.equal(watch.isKnown, false);
  assert.match(watch.health().failure!.message, /away/);
  source.isAway = false;
  await env.advance(pollMs);
  assert.equal(watch.believing(), undefined);
  assert.equal(watch.health().failure, undefined);
});

Deno.test("where nothing can be changed, what was known last is believed on", async () => {
  const { env, source, start } = watched({ isReadOnly: () => true });
  await using watch = start();
  await watch.ready;
  source.isAway = true;
  await env.advance(10 * staleMs);
  assert.equal(watch.believing(), undefined);
  assert.equal(watch.isKnown, false);
});

Deno.test("who waits for a first look that never ends well waits no longer than others", async () => {
  const { env, source, start } = watched();
  source.isAway = true;
  await using watch = start();
  const waiting = assert.rejects(async () => await watch.believing(), TransientFault);
  await env.advance(staleMs + pollMs);
  await waiting;
  assert.throws(() => watch.believing(), TransientFault);
  source.isAway = false;
  await env.advance(pollMs);
  assert.equal(watch.believing(), undefined);
});

Deno.test("what nobody can show any more is let go of", async () => {
  const { env, source, revocations, ended, start } = watched();
  await using watch = start();
  await watch.ready;
  for (let count = 0; count < 1_000; count++) {
    source.recorded.push({ transaction: 101, revocation: ended(`s${count}`) });
  }
  source.recorded.push({ transaction: 101, revocation: { ...ended("t"), isWhole: true } });
  await env.advance(pollMs);
  assert.equal(revocations.size, 1_002);
  source.recorded.length = 0;
  await env.advance(limits.sessionMs + pollMs);
  assert.equal(revocations.size, 1);
  await env.advance(limits.subjectMs);
  assert.equal(revocations.size, 0);
});

Deno.test("a wall clock that goes forward and back revives nothing, whenever it is heard of", async () => {
  const { env, wall, source, ended, hasEnded, start } = watched();
  await using watch = start();
  await watch.ready;
  source.recorded.push({ transaction: 101, revocation: ended("before") });
  await env.advance(pollMs);
  wall.aheadMs = 2 * limits.sessionMs;
  source.recorded.push({ transaction: 101, revocation: ended("meanwhile") });
  await env.advance(pollMs);
  source.recorded.length = 0;
  wall.aheadMs = 0;
  await env.advance(pollMs);
  assert(hasEnded("before"));
  assert(hasEnded("meanwhile"));
});

Deno.test("what is found again and again is let go of as soon as what is found once", async () => {
  const { env, source, revocations, ended, start } = watched();
  await using watch = start();
  await watch.ready;
  // By a transaction that goes on and on: all that came after it began is found at each look.
  const whole = { ...ended("s"), sessions: [], isWhole: true };
  source.recorded.push({ transaction: 101, revocation: whole });
  await env.advance(limits.subjectMs - pollMs);
  assert.equal(revocations.size, 1);
  source.recorded.length = 0;
  await env.advance(3 * pollMs);
  assert.equal(revocations.size, 0);
});
