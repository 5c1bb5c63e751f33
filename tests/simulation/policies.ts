/**
 * What stands between a node and its database, as `lib/postgres/database.ts` puts it there: breakers
 * that refuse at once, and the budget of retries.
 *
 * @module
 */
import { TransientFault } from "../../lib/fault.ts";
import { isUnwritable } from "../../lib/postgres/breakers.ts";
import { Dependency } from "../../lib/resilience/dependency.ts";
import { RetryBudget } from "../../lib/resilience/retry_budget.ts";
import type { StoreState } from "../../lib/runtime/system.ts";
import { carried, type Connected, type Ports } from "./database.ts";
import type { Incarnation } from "./incarnation.ts";

export interface Policies {
  readonly ports: Ports;
  readonly budget: RetryBudget;
  readonly storeState: StoreState;
}

/** Calls that change nothing, and go on while nothing can be written. */
const reading = new Set(["load", "readStream", "readFeed", "through", "due", "depth", "nextDueMs"]);

export function policiesOver(
  ports: Ports,
  connected: Connected,
  env: Incarnation,
  onLost: (name: "server" | "writing") => void,
): Policies {
  const server = new Dependency({
    name: "database",
    env,
    probe: async () => void await ports.projections.through("everything"),
  });
  const writing = new Dependency({
    name: "database-writing",
    env,
    probe: () => ports.store.saveSnapshots([]),
  });
  server.onChange(({ state }) => {
    if (state === "closed") return;
    onLost("server");
    // Once it is known that nothing answers, whoever waits had better know as well.
    connected.drop();
  });
  writing.onChange(({ state }) => state !== "closed" && onLost("writing"));
  const over = <Port extends object>(port: Port) =>
    carried(port, async (call, run) => {
      const refusal = server.refusal() ?? (reading.has(call) ? undefined : writing.refusal());
      if (refusal !== undefined) throw refusal;
      const startedAt = env.monotonic();
      try {
        const answer = await run();
        server.succeeded();
        return answer;
      } catch (fault) {
        if (isUnwritable(fault)) writing.failed(fault);
        if (isLost(fault)) server.failed(fault, env.monotonic() - startedAt);
        throw fault;
      }
    });
  return {
    ports: {
      store: over(ports.store),
      outbox: over(ports.outbox),
      jobs: over(ports.jobs),
      projections: over(ports.projections),
    },
    budget: new RetryBudget(env),
    storeState: {
      refusal: () => server.refusal(),
      get isReadOnly() {
        return !server.isAvailable || !writing.isAvailable;
      },
    },
  };
}

/** Nobody there, or nobody who answers. */
const lost = new Set(["57P03", "ECONNREFUSED", "CONNECTION_CLOSED", "53300"]);

function isLost(fault: unknown): boolean {
  if (!(fault instanceof TransientFault)) return false;
  const { code } = (fault.cause ?? {}) as { readonly code?: string };
  return code !== undefined && lost.has(code);
}
