import assert from "node:assert/strict";
import fc from "fast-check";
import { type Load, LoadGauge } from "../../../lib/resilience/load_gauge.ts";
import {
  defaultSheddingLimits as limits,
  type Delays,
  nextShedding,
  noShedding,
  type Shedding,
} from "../../../lib/resilience/shedding.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const calm: Delays = { loopMs: 0, queueMs: 0, turnMs: 0 };
const { loopTargetMs, queueTargetMs, turnTargetMs, listsAfter, commandsAfter, calmAfter } = limits;

function after(times: number, delays: Delays, before: Shedding = noShedding): Shedding {
  let shedding = before;
  for (let time = 0; time < times; time++) shedding = nextShedding(shedding, delays, limits);
  return shedding;
}

const signals: readonly (readonly [string, Delays])[] = [
  ["the event loop", { ...calm, loopMs: loopTargetMs * 1.5 }],
  ["mailboxes", { ...calm, queueMs: queueTargetMs * 1.5 }],
  ["commits", { ...calm, turnMs: turnTargetMs * 1.5 }],
];

for (const [what, delays] of signals) {
  Deno.test(`a standing delay of ${what} costs lists first, then ever more of the commands`, () => {
    assert.equal(after(listsAfter - 1, delays).level, 0);
    const lists = after(listsAfter, delays);
    assert.deepEqual([lists.level, lists.admittedShare], [1, 1]);
    const commands = after(commandsAfter, delays, lists);
    assert.equal(commands.level, 2);
    const shares = [5, 10, 20].map((times) => after(times, delays, commands).admittedShare);
    assert(shares[0]! > shares[1]! && shares[1]! > shares[2]! && shares[2]! > 0);
  });
}

Deno.test("a delay that does not stand costs nobody anything", () => {
  const [, delays] = signals[0]!;
  let shedding = noShedding;
  for (const _ of Array(100)) {
    shedding = after(listsAfter - 1, delays, shedding);
    shedding = after(1, calm, shedding);
  }
  assert.equal(shedding.level, 0);
});

Deno.test("after the worst all are admitted again within 20 s, lists the last", () => {
  const worst = after(1_000, { ...calm, loopMs: loopTargetMs * 10 });
  assert(worst.admittedShare > 0, "some are tried, however bad it is");
  const levels: number[] = [];
  let shedding = worst;
  while (shedding.level > 0) {
    shedding = after(1, calm, shedding);
    levels.push(shedding.level);
  }
  assert(levels.length < 200, `it took ${levels.length} intervals`);
  assert.deepEqual(levels, levels.toSorted((a, b) => b - a), "and it does not waver");
});

Deno.test("lists come back a few at a time, and as many fewer as is too much", () => {
  const [, delays] = signals[0]!;
  const without = after(listsAfter, delays);
  assert.deepEqual([without.level, without.listsShare], [1, 0]);
  assert.equal(after(calmAfter - 1, calm, without).listsShare, 0);
  const some = after(calmAfter, calm, without);
  assert(some.listsShare > 0 && some.listsShare < 0.1);
  const more = after(15, calm, some);
  assert(more.listsShare > 2 * some.listsShare && more.listsShare < 1);
  const fewer = after(1, delays, more);
  assert.deepEqual([fewer.level, fewer.listsShare], [1, more.listsShare / 2]);
  assert.equal(after(calmAfter - 1, calm, fewer).listsShare, fewer.listsShare, "for a while");
  const none = after(5, delays, more);
  assert.equal(none.listsShare, 0);
  assert.equal(after(10, delays, more).level, 2, "only then commands are refused");
  assert.equal(after(200, calm, fewer).level, 0);
});

Deno.test("ten times too much is answered with about a tenth within two seconds", () => {
  // What is delayed depends on what is admitted.
  let shedding = noShedding;
  const shares: number[] = [];
  for (let interval = 0; interval < 600; interval++) {
    const load = shedding.admittedShare * 10;
    shedding = after(1, { ...calm, queueMs: load > 1 ? queueTargetMs * load : 0 }, shedding);
    shares.push(shedding.admittedShare);
  }
  const later = shares.slice(20);
  assert(Math.max(...later) < 0.2, `it admitted up to ${Math.max(...later)}`);
  const used = later.reduce((sum, share) => sum + Math.min(share, 0.1), 0) / later.length;
  assert(used > 0.08, `it made use of ${used} where 0.1 could be served`);
});

Deno.test("whatever it is told, the share is one, and only the gravest level refuses commands", () => {
  const delay = fc.double({ min: 0, max: 1e6, noNaN: true });
  const delays = fc.record({ loopMs: delay, queueMs: delay, turnMs: delay });
  fc.assert(fc.property(fc.array(delays, { maxLength: 200 }), (told) => {
    let shedding = noShedding;
    for (const each of told) {
      shedding = nextShedding(shedding, each, limits);
      assert(shedding.admittedShare > 0 && shedding.admittedShare <= 1);
      if (shedding.level < 2) assert.equal(shedding.admittedShare, 1);
    }
  }));
});

Deno.test("the gauge takes the least of an interval, and refuses by class", async () => {
  const env = new VirtualEnv();
  const seen: Load[] = [];
  await using gauge = new LoadGauge({
    env,
    limits: { listsAfter: 1, commandsAfter: 1 },
    onInterval: (load) => void seen.push(load),
  });
  gauge.took({ waitedMs: queueTargetMs * 9, durationMs: 5 });
  gauge.took({ waitedMs: 1, durationMs: 3 });
  await env.advance(100);
  assert.deepEqual([seen.at(-1)!.queueMs, seen.at(-1)!.turnMs], [1, 3]);
  await env.advance(100);
  assert.deepEqual([seen.at(-1)!.queueMs, seen.at(-1)!.turnMs], [0, 0], "nobody waited");

  const admitted = () => {
    const share = (requestClass: "command" | "read" | "operator" | "list" | "analytics") =>
      Array.from({ length: 1_000 }, () => gauge.admits(requestClass)).filter(Boolean).length;
    return (["analytics", "list", "command", "read", "operator"] as const).map(share);
  };
  for (let request = 0; request < 100; request++) gauge.began();
  assert.deepEqual(admitted(), [1_000, 1_000, 1_000, 1_000, 1_000]);
  const busy = async () => {
    gauge.took({ waitedMs: queueTargetMs * 9, durationMs: 5 });
    await env.advance(100);
  };
  await busy();
  assert.deepEqual(admitted(), [0, 0, 1_000, 1_000, 1_000]);
  await busy();
  const [, lists, commands, reads, operators] = admitted();
  assert.deepEqual([lists, reads, operators], [0, 1_000, 1_000]);
  assert(commands! > 600 && commands! < 900, `${commands} of 1,000 commands`);
});

Deno.test("a few requests are served however late the process is: they are not why", async () => {
  const env = new VirtualEnv();
  await using gauge = new LoadGauge({ env, onInterval() {} });
  for (let interval = 0; interval < 200; interval++) {
    gauge.took({ waitedMs: queueTargetMs * 9, durationMs: 5 });
    await env.advance(100);
  }
  assert.equal(gauge.load.shedding.level, 2);
  const admitted = () => {
    return Array.from({ length: 1_000 }, () => gauge.admits("command")).filter(Boolean).length;
  };
  for (let underWay = 0; underWay < 64; underWay++) {
    assert.equal(admitted(), 1_000, `${underWay} under way`);
    gauge.began();
  }
  assert(admitted() < 100);
  gauge.ended();
  assert.equal(admitted(), 1_000);
});

Deno.test("an event loop that comes late every time is noticed", async () => {
  const env = new VirtualEnv();
  const seen: Load[] = [];
  // Whoever wakes it is busy with others first.
  const late = {
    monotonic: () => env.monotonic(),
    random: () => env.random(),
    sleep: (ms: number, signal?: AbortSignal) => env.sleep(ms + 130, signal),
  };
  await using _gauge = new LoadGauge({ env: late, onInterval: (load) => void seen.push(load) });
  await env.advance(2_000);
  assert.equal(seen.at(-1)!.loopMs, 130);
  assert(seen.at(-1)!.shedding.level > 0);
});
