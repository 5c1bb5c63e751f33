/**
 * A node with a relay whose actors are postboxes, on a store without a database.
 *
 * @module
 */
import { MemoryStore } from "../../lib/memory/store.ts";
import type { Cause } from "../../lib/runtime/envelope.ts";
import type { RuntimeEvent } from "../../lib/runtime/observe.ts";
import type { Outbox } from "../../lib/runtime/outbox.ts";
import { OutboxRelay, type RelayLimits } from "../../lib/runtime/outbox_relay.ts";
import type { OutsideLimits, OutsideTarget } from "../../lib/runtime/outside_lanes.ts";
import { ActorSystem, type SystemLimits } from "../../lib/runtime/system.ts";
import { FaultyStore } from "./faulty_store.ts";
import * as Postbox from "./postbox.ts";
import { VirtualEnv } from "./virtual_env.ts";

export class Office {
  readonly env: VirtualEnv;
  readonly memory: MemoryStore;
  readonly store: FaultyStore;
  readonly system: ActorSystem;
  readonly observed: RuntimeEvent[] = [];
  readonly relay: OutboxRelay;

  constructor(
    {
      beside,
      env: ownEnv = new VirtualEnv(),
      limits = {},
      system = {},
      afterBurial = "pass",
      outbox,
      requests,
      outside = [],
      outsideLimits = {},
    }: {
      /** Another node, whose store and clock this one shares. */
      readonly beside?: Office;
      readonly env?: VirtualEnv;
      readonly limits?: Partial<RelayLimits>;
      readonly system?: Partial<SystemLimits>;
      readonly afterBurial?: "pass" | "park";
      readonly outbox?: (own: Outbox) => Outbox;
      readonly requests?: { readonly underWay: number };
      readonly outside?: readonly OutsideTarget[];
      readonly outsideLimits?: Partial<OutsideLimits>;
    } = {},
  ) {
    this.env = beside?.env ?? ownEnv;
    const { env } = this;
    this.memory = beside?.memory ?? new MemoryStore(env);
    this.store = new FaultyStore(this.memory);
    const observe = (event: RuntimeEvent) => {
      this.observed.push(event);
      if (event.type === "told") this.relay.announce(event.to);
    };
    this.system = new ActorSystem({ env, store: this.store, observe, limits: system });
    this.system.host({ ...Postbox, afterBurial });
    const { outbox: own } = this.memory;
    this.relay = new OutboxRelay({
      outbox: outbox?.(own) ?? own,
      system: this.system,
      env,
      observe,
      ...(requests !== undefined && { requests }),
      limits,
      outside,
      outsideLimits,
    });
  }

  async ask(key: string, command: Postbox.Command, cause: Partial<Cause> = {}): Promise<string> {
    const messageId = this.env.uuid();
    const full = {
      messageId,
      correlationId: messageId,
      causationId: messageId,
      principal: { id: "ana", roles: ["clerk"] },
      deadline: Infinity,
      ...cause,
    };
    await this.system.ask(Postbox, key, command, full, () => null);
    return messageId;
  }

  async send(to: readonly string[], ...notes: readonly string[]): Promise<string> {
    return await this.ask("sender", { type: "Send", to: [...to], notes: [...notes] });
  }

  async stream(key: string) {
    return await this.memory.readStream({ kind: Postbox.kind, key });
  }

  async notes(key: string): Promise<readonly string[]> {
    return (await this.stream(key)).map(({ data }) => Postbox.Event.parse(data))
      .flatMap((event) => event.type === "Received" ? [event.note] : []);
  }

  seen<Type extends RuntimeEvent["type"]>(type: Type): Extract<RuntimeEvent, { type: Type }>[] {
    return this.observed.filter((event): event is Extract<RuntimeEvent, { type: Type }> =>
      event.type === type
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.env.until(this.relay[Symbol.asyncDispose]());
    await this.env.until(this.system[Symbol.asyncDispose]());
  }
}

/** `own` in all but what is said otherwise. */
export function override(own: Outbox, changes: Partial<Outbox>): Outbox {
  return {
    claim: (...asked) => own.claim(...asked),
    settle: (lanes) => own.settle(lanes),
    bury: (burial) => own.bury(burial),
    complete: (completion) => own.complete(completion),
    postpone: (...asked) => own.postpone(...asked),
    standing: (...asked) => own.standing(...asked),
    due: (...asked) => own.due(...asked),
    depth: (countMax) => own.depth(countMax),
    tidy: () => own.tidy(),
    ...changes,
  };
}
