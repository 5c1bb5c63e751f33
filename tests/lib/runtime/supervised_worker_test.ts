/** Workers whose loops throw: they begin again, rest when that does not help, and end when told to. */
import assert from "node:assert/strict";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { defaultWorkerStrategy, Worker } from "../../../lib/runtime/worker.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";
import { watched } from "./world.ts";

const { restartsMax, restartWindowMs, pauseFirstMs, quarantineMs } = defaultWorkerStrategy;
const LOOK_MS = 1_000;
const FOREVER_MS = 3_600_000;

/** Two loops that look again and again, and throw if they are told to. */
class Pair extends Worker {
  override readonly env: VirtualEnv;
  readonly observed: RuntimeEvent[];
  readonly looks: { left: number; right: number } = { left: 0, right: 0 };
  /** Each defect shows itself but once. */
  isOnce = false;
  readonly defects: { left?: unknown; right?: unknown } = {};

  constructor(env = new VirtualEnv()) {
    const observed: RuntimeEvent[] = [];
    const observe = (event: RuntimeEvent) => void observed.push(event);
    super({ name: "pair", env, observe, drainMs: 5_000 });
    this.env = env;
    this.observed = observed;
  }

  protected override async run(): Promise<void> {
    await Promise.all([
      this.keep(() => this.#look("left")),
      this.keep(() => this.#look("right")),
    ]);
  }

  async #look(side: "left" | "right"): Promise<void> {
    while (!this.isDraining) {
      this.looks[side]++;
      this.#failIfTold(side);
      await this.pause(LOOK_MS);
    }
    this.#failIfTold(side);
  }

  #failIfTold(side: "left" | "right"): void {
    const error = this.defects[side];
    if (this.isOnce) delete this.defects[side];
    if (error !== undefined) throw error;
  }

  told(): string[] {
    return this.observed.map((event) => {
      switch (event.type) {
        case "worker-failed":
          return event.restartInMs === undefined ? "ended" : "begins again";
        case "quarantined":
        case "released":
          return `${event.type}, ${event.held}`;
        default:
          return event.type;
      }
    });
  }
}

const bug = new TypeError("state is undefined");

Deno.test("a loop that throws begins again at once, then later, and its sibling does not notice", async () => {
  const pair = new Pair();
  await using _ = pair.start();
  await pair.env.advance(LOOK_MS / 2);
  pair.defects.left = bug;
  await pair.env.advance(LOOK_MS / 2 + 1);
  assert.deepEqual(pair.told(), ["begins again", "begins again"]);
  const [first, second] = pair.observed.map((event) =>
    event.type === "worker-failed" ? event.restartInMs : undefined
  );
  assert.equal(first, 0);
  assert(second! >= pauseFirstMs / 2 && second! <= pauseFirstMs);
  assert.deepEqual(pair.observed[0], {
    type: "worker-failed",
    worker: "pair",
    error: bug,
    restartInMs: 0,
  });
  const { state, restarts, failure } = pair.health();
  assert.deepEqual([state, restarts, failure?.message], ["restarting", 2, bug.message]);
  delete pair.defects.left;
  const { left } = pair.looks;
  await pair.env.advance(10 * LOOK_MS);
  assert.equal(pair.health().state, "running");
  assert(pair.looks.left - left >= 9 && pair.looks.left - left <= 11, "once, and not twice over");
  assert.equal(pair.looks.right, 12);
  await pair.env.advance(restartWindowMs);
  assert.equal(pair.health().restarts, undefined);
});

Deno.test("a loop that goes on throwing is left alone for a while, and then begins afresh", async () => {
  const pair = new Pair();
  pair.defects.left = bug;
  await using _ = pair.start();
  await pair.env.advance(restartWindowMs / 2 - 1);
  const attempt = [...Array(restartsMax).fill("begins again"), "quarantined, 1"];
  assert.deepEqual(pair.told().slice(0, attempt.length), attempt);
  assert.equal(pair.looks.left, restartsMax + 1);
  assert.equal(pair.health().state, "quarantined");
  delete pair.defects.left;
  await pair.env.advance(quarantineMs);
  assert.deepEqual(pair.told(), [...attempt, "released, 0"]);
  assert.equal(pair.health().state, "running");
  assert(pair.looks.left > restartsMax + 1);
  pair.defects.left = bug;
  await pair.env.advance(FOREVER_MS);
  const cycle = ["released, 0", ...attempt];
  assert.deepEqual(pair.told().slice(attempt.length, attempt.length + 2 * cycle.length), [
    ...cycle,
    ...cycle,
  ]);
});

Deno.test("defects that lie far apart lead into no quarantine", async () => {
  const pair = new Pair();
  pair.isOnce = true;
  await using _ = pair.start();
  for (let defects = 0; defects < 3 * restartsMax; defects++) {
    pair.defects.right = bug;
    await pair.env.advance(2 * restartWindowMs / restartsMax);
  }
  assert.deepEqual(pair.told(), Array(3 * restartsMax).fill("begins again"));
});

Deno.test("a worker that waits to begin again, or is in quarantine, ends at once when it is told to", async () => {
  for (const ms of [60, restartWindowMs / 2 - 1]) {
    const pair = new Pair();
    pair.defects.left = bug;
    pair.start();
    await pair.env.advance(ms);
    const before = pair.told().length;
    assert.equal(pair.health().state, ms === 60 ? "restarting" : "quarantined");
    delete pair.defects.left;
    const stopped = watched(pair.stop());
    await pair.env.settle();
    assert.deepEqual([stopped.state, pair.health().state], ["resolved", "stopped"]);
    assert.deepEqual([pair.told().length, pair.env.sleepers], [before, 0]);
  }
});

Deno.test("what a loop throws while it is drained is told, and holds up nobody", async () => {
  const pair = new Pair().start() as Pair;
  await pair.env.advance(1);
  pair.defects.left = bug;
  const stopped = watched(pair.stop());
  await pair.env.settle();
  assert.equal(stopped.state, "resolved");
  assert.deepEqual(pair.told(), ["ended"]);
});
