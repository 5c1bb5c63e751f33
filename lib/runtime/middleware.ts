/**
 * Layers around the handling of events: what happens before, after, on error, or not at all.
 *
 * @module
 */
import type { Env } from "../env.ts";
import type { Address } from "./envelope.ts";
import type { Observe } from "./observe.ts";
import type { StoredEvent } from "./store.ts";

export interface PublishedEvent extends StoredEvent {
  readonly address: Address;
}

/** Some events on their way to one subscriber. */
export interface Delivery {
  readonly subscriber: string;
  /** In the turn that recorded them, or from the feed with a checkpoint of its own. */
  readonly mode: "synchronous" | "durable";
  readonly events: readonly PublishedEvent[];
  /** Counted from 1, for these events by this process. */
  readonly attempt: number;
}

/** What a layer returns that means to keep the events from its subscriber; they count as handled. */
export const skipped = Symbol("skipped");

export type Handled = void | typeof skipped;

/** A synchronous subscriber is handled without a promise, so that it is done within the turn. */
export type Handling = Handled | Promise<Handled>;

/**
 * A layer around the handling by every subscriber. It calls `next` once, or returns
 * {@linkcode skipped}: to do neither is taken for a mistake, and fails the delivery, as whatever it
 * throws does. What it does behind an `await` puts a synchronous subscriber off until after the
 * turn; {@linkcode around} makes layers that do not.
 */
export type Middleware = (delivery: Delivery, next: () => Handling) => Handling;

/** Sends a delivery through the layers, the first being the outermost, to `handle`. */
export function through(
  layers: readonly Middleware[],
  delivery: Delivery,
  handle: () => Handling,
): Handling {
  const enter = (depth: number): Handling => {
    const layer = layers[depth];
    if (layer === undefined) return handle();
    let calls = 0;
    const next = () => {
      if (++calls > 1) throw new Error(`A layer handed ${delivery.subscriber} its events twice`);
      return enter(depth + 1);
    };
    return then(layer(delivery, next), (handled) => {
      if (calls > 0 || handled === skipped) return handled;
      throw new Error(`A layer kept events from ${delivery.subscriber} without saying so`);
    });
  };
  return enter(0);
}

export interface Hooks {
  readonly before?: (delivery: Delivery) => void;
  /** Of a durable subscriber: it is done, though its transaction may still fail to commit. */
  readonly after?: (delivery: Delivery, handled: Handled) => void;
  /** Looks on: the delivery has failed all the same. */
  readonly failed?: (delivery: Delivery, error: unknown) => void;
}

/** A layer that only looks on, and puts nobody off. */
export function around({ before, after, failed }: Hooks): Middleware {
  return (delivery, next) => {
    before?.(delivery);
    const fail = (error: unknown): never => {
      failed?.(delivery, error);
      throw error;
    };
    let handling: Handling;
    try {
      handling = next();
    } catch (error) {
      return fail(error);
    }
    const done = (handled: Handled) => {
      after?.(delivery, handled);
      return handled;
    };
    return isPromise(handling) ? handling.then(done, fail) : done(handling);
  };
}

/** Tells observers of every delivery: how long it took, or how it failed. */
export function observing(env: Pick<Env, "monotonic">, observe: Observe): Middleware {
  return (delivery, next) => {
    const { subscriber, mode, attempt } = delivery;
    const about = { subscriber, mode, attempt, events: delivery.events.length };
    const startedAt = env.monotonic();
    return around({
      after: (_, handled) => {
        const durationMs = env.monotonic() - startedAt;
        observe({ type: "handled", ...about, durationMs, isSkipped: handled === skipped });
      },
      failed: (_, error) => observe({ type: "handling-failed", ...about, error }),
    })(delivery, next);
  };
}

export function isPromise(handling: Handling): handling is Promise<Handled> {
  return typeof handling === "object" && typeof handling.then === "function";
}

function then(handling: Handling, go: (handled: Handled) => Handled): Handling {
  return isPromise(handling) ? handling.then(go) : go(handling);
}
