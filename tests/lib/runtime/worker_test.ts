/** The life of whatever works beside the actors. */
import assert from "node:assert/strict";
import type { RuntimeEvent } from "../../../lib/runtime/observe.ts";
import { Worker, type WorkerOptions } from "../../../lib/runtime/worker.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

const POLL_MS = 1_000;
const DRAIN_MS = 5_000;

/** Looks for work, and has in hand what it is given until that is let go. */
class Watcher extends Worker {
  readonly looks: number[] = [];
  readonly #held = new Set<() => void>();
  #idle: (() => void) | undefined;
  onLook: () => void | Promise<void> = () => {};
  isAbandoned = false;

  readonly observed: RuntimeEvent[];

  constructor(options: Partial<WorkerOptions> & Pick<WorkerOptions, "env">) {
    const observed: RuntimeEvent[] = [];
    const observe = (event: RuntimeEvent) => void observed.push(event);
    super({ name: "watcher", drainMs: DRAIN_MS, observe, ...options });
    this.observed = observed;
  }

  hold(): () => void {
    const release = () => {
      this.#held.delete(release);
      if (this.#held.size === 0) this.#idle?.();
    };
    this.#held.add(release);
    return release;
  }

  protected override get inHand(): number {
    return this.#held.size;
  }

  protected override async run(): Promise<void> {
    while (!this.isDraining) {
      this.looks.push(this.env.monotonic());
      try {
        await this.onLook();
        this.note();
      } catch (error) {
        this.note(error);
      }
      await this.rest(POLL_MS);
    }
  }

  protected override async finish(): Promise<void> {
    if (this.#held.size > 0) await new Promise<void>((resolve) => this.#idle = resolve);
  }

  protected override abandon(): void {
    this.isAbandoned = true;
    for (const release of this.#held) release();
  }
}

Deno.test("a worker that was not started does nothing, and never will once it is stopped", async () => {
  const env = new VirtualEnv();
  const worker = new Watcher({ env });
  assert.deepEqual(worker.health(), { name: "watcher", state: "configured", inHand: 0 });
  await env.advance(10 * POLL_MS);
  await worker.stop();
  assert.deepEqual([worker.looks, worker.health().state], [[], "stopped"]);
  assert.throws(() => worker.start(), /Cannot start watcher: stopped/);
});

Deno.test("a worker looks again when it is woken, and else when its time has come", async () => {
  const env = new VirtualEnv();
  await using worker = new Watcher({ env }).start();
  await env.advance(POLL_MS + 300);
  worker.wake();
  worker.wake();
  await env.advance(POLL_MS);
  assert.deepEqual(worker.looks, [0, POLL_MS, POLL_MS + 300, 2 * POLL_MS + 300]);
});

Deno.test("what wakes a worker while it looks is not missed", async () => {
  const env = new VirtualEnv();
  const worker = new Watcher({ env });
  worker.onLook = () => {
    if (worker.looks.length === 1) worker.wake();
  };
  await using _ = worker.start();
  await env.advance(0);
  assert.deepEqual(worker.looks, [0, 0]);
});

Deno.test("draining waits for what is in hand, for all who ask", async () => {
  const env = new VirtualEnv();
  const worker = new Watcher({ env }).start();
  assert.throws(() => worker.start(), /Cannot start watcher: running/);
  const release = worker.hold();
  let ended = 0;
  for (const end of [worker.drain(), worker.drain(), worker.stop()]) void end.then(() => ended++);
  await env.advance(DRAIN_MS - 1);
  assert.deepEqual([ended, worker.health().state, worker.health().inHand], [0, "draining", 1]);
  release();
  await env.settle();
  assert.deepEqual([ended, worker.health().state], [3, "stopped"]);
  assert.equal(worker.isAbandoned, false);
  assert.equal(env.sleepers, 0);
});

Deno.test("what does not end in time is abandoned when it is stopped, not when it is drained", async () => {
  const env = new VirtualEnv();
  const worker = new Watcher({ env }).start();
  worker.hold();
  void worker.drain();
  await env.advance(10 * DRAIN_MS);
  assert.equal(worker.isAbandoned, false);
  await env.until(worker.stop());
  assert.equal(worker.isAbandoned, true);
  assert.equal(env.monotonic(), 11 * DRAIN_MS);
});

Deno.test("its health tells of the last failure, until a step goes well", async () => {
  const env = new VirtualEnv();
  const worker = new Watcher({ env });
  let error: unknown = new RangeError("boom");
  worker.onLook = () => {
    if (error !== undefined) throw error;
  };
  await using _ = worker.start();
  const at = env.now();
  await env.settle();
  assert.deepEqual(worker.health().failure, { at, message: "boom" });
  error = "a string";
  await env.advance(POLL_MS);
  assert.deepEqual(worker.health().failure, { at: at + POLL_MS, message: "a string" });
  error = undefined;
  await env.advance(POLL_MS);
  assert.equal(worker.health().failure, undefined);
});
