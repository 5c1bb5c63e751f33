/**
 * The outbox on a simulated Postgres.
 *
 * @module
 */
import { isLane } from "../../../lib/memory/lanes.ts";
import { inOrder } from "../../../lib/memory/streams.ts";
import { type Address, addressText } from "../../../lib/runtime/envelope.ts";
import type {
  Burial,
  Claim,
  ClaimedLane,
  Completion,
  DueCursor,
  DuePage,
  LaneStanding,
  Outbox,
  OutboxDepth,
  SettledLane,
} from "../../../lib/runtime/outbox.ts";
import type { SimulatedPostgres } from "./server.ts";
import type { SessionPool } from "./session_pool.ts";
import { actorRow, reading, writing } from "./store.ts";
import type { Transaction } from "./transaction.ts";

export class SimulatedOutbox implements Outbox {
  readonly #server: SimulatedPostgres;
  readonly #relay: SessionPool;

  constructor(server: SimulatedPostgres, relay: SessionPool) {
    this.#server = server;
    this.#relay = relay;
  }

  /** The messages are those of the statement's snapshot, however long it then waits for a lane. */
  async claim(asked: readonly Address[], claim: Claim): Promise<readonly ClaimedLane[]> {
    const addresses = asked.filter(isLane).sort(inOrder);
    if (addresses.length === 0) return [];
    const { lanes } = this.#server.statements;
    return await this.#relay.run({
      name: "claim",
      run: async (transaction) => {
        const { now } = transaction;
        const seen = addresses.map((address) => lanes.due(address, now, claim.limit));
        await lockLanes(transaction, addresses);
        let claimed: readonly ClaimedLane[];
        transaction.atCommit(() => {
          claimed = addresses.flatMap((address, n) =>
            lanes.claim(address, claim, seen[n]!, now) ?? []
          );
        });
        return () => claimed;
      },
    });
  }

  async settle(asked: readonly SettledLane[]): Promise<readonly Address[]> {
    const ordered = [...asked].sort((a, b) => inOrder(a.address, b.address));
    const { lanes } = this.#server.statements;
    return await this.#relay.run({
      name: "settle",
      run: async (transaction) => {
        await lockLanes(transaction, ordered.map(({ address }) => address));
        let freed: readonly Address[];
        transaction.atCommit(() => {
          freed = ordered.filter((lane) => lanes.settle(lane, transaction.now))
            .map(({ address }) => address);
        });
        return () => freed;
      },
    });
  }

  async bury(burial: Burial): Promise<boolean> {
    const { address, token } = burial;
    const { statements } = this.#server;
    return await this.#relay.run({
      name: "bury",
      run: async (transaction) => {
        const { now } = transaction;
        await lockLanes(transaction, [address]);
        if (!statements.lanes.holds(address, token, now)) return () => false;
        const id = transaction.drawId();
        await transaction.lock(actorRow(address));
        let isBuried: boolean;
        transaction.atCommit(() => {
          isBuried = statements.bury(burial, now, id);
        });
        return () => isBuried;
      },
    });
  }

  async complete(completion: Completion): Promise<boolean> {
    const { lanes } = this.#server.statements;
    return await this.#relay.run({
      name: "complete",
      run: async (transaction) => {
        await lockLanes(transaction, [completion.address]);
        let isTaken: boolean;
        transaction.atCommit(() => {
          isTaken = lanes.complete(completion, transaction.now);
        });
        return () => isTaken;
      },
    });
  }

  async postpone(lane: Address, limit: number): Promise<number> {
    const { lanes } = this.#server.statements;
    return await this.#relay.run(
      writing("postpone", ({ now }) => lanes.postpone(lane, limit, now)),
    );
  }

  async standing(lane: Address, countMax: number): Promise<LaneStanding> {
    const { lanes } = this.#server.statements;
    return await this.#relay.run(
      reading("standing", ({ now }) => lanes.standing(lane, countMax, now)),
    );
  }

  async due(after: DueCursor | undefined, limit: number): Promise<DuePage> {
    const { lanes } = this.#server.statements;
    return await this.#relay.run(reading("due", ({ now }) => lanes.duePage(after, limit, now)));
  }

  async depth(countMax: number): Promise<OutboxDepth> {
    const { lanes } = this.#server.statements;
    return await this.#relay.run(reading("depth", ({ now }) => lanes.depth(countMax, now)));
  }

  async tidy(): Promise<void> {
    const { lanes } = this.#server.statements;
    await this.#relay.run(writing("tidy", ({ now }) => lanes.tidy(now)));
  }
}

async function lockLanes(transaction: Transaction, lanes: readonly Address[]): Promise<void> {
  for (const lane of lanes) {
    const wait = transaction.lock(`lane ${addressText(lane)}`);
    if (wait !== undefined) await wait;
  }
}
