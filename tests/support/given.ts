/** Given events, when a command, then events: an aggregate's whole test surface. */
import assert from "node:assert/strict";
import type { Aggregate, DecisionContext, Message } from "../../lib/runtime/aggregate.ts";
import type { Principal } from "../../lib/runtime/envelope.ts";

/** The time of every decision that is not given another. */
export const AT = Date.parse("2030-01-01T12:00:00Z");

/** The key of the actor. */
export const KEY = "it";

const nobody: Principal = { id: "nobody", roles: [] };

/** Both the history and what is decided must have the shape that the aggregate records. */
export function given<
  State,
  Command,
  Event extends { readonly type: string },
  Reason extends string,
>(
  aggregate: Aggregate<State, Command, Event, Reason>,
  history: readonly Event[],
) {
  const state = history
    .map((event) => aggregate.Event.parse(event))
    .reduce((state, event) => aggregate.evolve(state, event), aggregate.initial);
  return {
    state,
    when(
      command: Command,
      { key = KEY, at = AT, principal = nobody }: Partial<DecisionContext> = {},
    ) {
      const decision = aggregate.decide(state, command, { key, at, principal });
      const thenTelling = (messages: readonly Message[], ...events: Event[]) => {
        assert.deepEqual({ messages: [], ...decision }, { accepted: true, events, messages });
        const written = JSON.parse(JSON.stringify(events)) as unknown[];
        assert.deepEqual(written.map((event) => aggregate.Event.parse(event)), events);
      };
      return {
        thenTelling,
        /** And nothing is told. */
        then: (...events: Event[]) => thenTelling([], ...events),
        thenRejected(reason: Reason) {
          assert.deepEqual(decision, { accepted: false, reason });
        },
      };
    },
  };
}
