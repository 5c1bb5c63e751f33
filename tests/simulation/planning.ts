/**
 * Makes a plan out of a seed. Each seed has kinds of faults and habits of its own: what is always
 * there a little of everything hides what needs much of one thing, or none of another.
 *
 * @module
 */
import { Dice } from "./dice.ts";
import {
  type Act,
  type Fault,
  type NodePlan,
  type Operation,
  packetFaults,
  type Plan,
  type SeatPlan,
} from "./plan.ts";
import {
  commitMishaps,
  type FaultPlan,
  noFaults,
  type Pace,
  statementErrors,
  usualPace,
} from "./postgres/fault_plan.ts";
import { Trading } from "./trading_plan.ts";

export interface PlanSize {
  readonly operations: number;
  readonly nodes: number;
}

export const usualSize: PlanSize = { operations: 400, nodes: 3 };

/** The calls of a node at which something may go wrong, and about how many there are of each. */
const calls: Readonly<Record<string, number>> = {
  commit: 100,
  commitExclusively: 40,
  load: 40,
  saveSnapshots: 10,
  claim: 60,
  settle: 60,
  due: 20,
  bury: 4,
  complete: 20,
  advance: 60,
  extend: 4,
  started: 4,
};

/** The statements of a node, as the database knows them, and about how many of each there are. */
const statements: Readonly<Record<string, number>> = {
  "commit": 200,
  "lock actor": 150,
  "commit exclusively": 130,
  "commit page": 60,
  "move checkpoint": 20,
  "read page": 60,
  "claim": 40,
  "settle": 30,
  "load": 30,
  "claim jobs": 40,
  "settle jobs": 5,
  "complete": 5,
  "bury": 2,
  "save snapshots": 10,
};

/** Awaited, but no calls: a node may end there all the same. */
const turns: Readonly<Record<string, number>> = { sleep: 200, soon: 200 };

const OPEN_WITH = 100;
const SECOND_MS = 1_000;
/** Of the operations behind those that begin everything. */
const FIRST_ID = 100;
/** About as many as clients use at one time. */
const KEYS_RECENT = 5;

/** What the dice are for; trading has its own, so the rest is drawn as if there were none. */
const PLANNING = 0x706c616e;

type Keyed = Operation & { readonly key: string };

export function planOf(seed: number, size: PlanSize = usualSize): Plan {
  const dice = new Dice(seed, PLANNING);
  const trading = new Trading(seed);
  const few = dice.from(4, 10);
  const isSlow = dice.happens(0.04);
  const isRush = dice.happens(0.2);
  const clients = isRush ? 4 * few : few;
  const restMs = isSlow ? 6 * SECOND_MS : isRush ? 2 : dice.from(5, 150);
  const operations = new Workload(dice, trading, { ...size, clients, restMs }).operations;
  const lengthMs = (operations.length / clients) * restMs / 2 + 4 * SECOND_MS;
  return {
    seed,
    nodes: Array.from({ length: size.nodes }, () => nodePlan(dice)),
    clients,
    operations,
    faults: [...faultsOf(dice, { lengthMs, ...size }), ...trading.faults({ lengthMs, ...size })],
    limits: {
      snapshotEvery: dice.from(3, 40),
      residentMax: dice.happens(0.3) ? dice.from(1, 6) : 1_000,
      idleMs: dice.happens(0.3) ? 2 * SECOND_MS : 600 * SECOND_MS,
      turnMax: dice.happens(0.2) ? dice.from(1, 4) : 1_000,
      giveUpMs: dice.from(1, 8) * SECOND_MS,
      leaseMs: dice.from(1, 8) * SECOND_MS,
      attemptsMax: dice.from(1, 4),
    },
    database: databaseFaults(dice),
    pace: dice.happens(0.7) ? usualPace : slowPace,
    networkMs: dice.from(1, 40),
    healAtMs: 2 * lengthMs,
  };
}

function nodePlan(dice: Dice): NodePlan {
  const isOff = dice.happens(0.5);
  return {
    skewMs: isOff ? dice.from(-5_000, 5_000) : 0,
    rate: isOff ? 1 + dice.from(-10, 10) / 1_000 : 1,
  };
}

/** Keys are few, so that everything collides. */
class Workload {
  readonly operations: readonly Operation[];
  readonly #dice: Dice;
  readonly #trading: Trading;
  readonly #purses: number;
  readonly #registers: number;
  readonly #events: number;
  readonly #users: number;
  /** By event: the operations that registered somebody, and whom. */
  readonly #registered = new Map<number, { readonly id: number; readonly user: number }[]>();
  readonly #weights: ReadonlyMap<Act["is"], number>;

  constructor(dice: Dice, trading: Trading, { clients, restMs, operations }: {
    readonly clients: number;
    readonly restMs: number;
    readonly operations: number;
  }) {
    this.#dice = dice;
    this.#trading = trading;
    this.#purses = dice.from(2, 4);
    this.#registers = dice.from(1, 3);
    this.#events = dice.from(1, 2);
    this.#users = dice.from(6, 20);
    this.#weights = weightsOf(dice);
    const keyedOnes: Keyed[] = [];
    // How often a client turns to another node than its own.
    const roaming = dice.one([0, 0.05, 0.3, 1]);
    const keyed = dice.from(5, 10) / 10;
    this.operations = [...this.#beginnings(clients)].concat(
      Array.from({ length: operations }, (_, index) => {
        const id = FIRST_ID + index;
        const act = trading.act(id) ?? this.#act(id);
        const client = dice.from(0, clients - 1);
        const key = act.is === "read" || !dice.happens(keyed) ? undefined : `key-${id}`;
        const isReused = key !== undefined && keyedOnes.length > 0 && dice.happens(0.04);
        const operation = {
          id,
          client,
          afterMs: dice.from(0, restMs),
          node: dice.happens(roaming) ? dice.from(0, 9) : client,
          act,
          ...(key !== undefined && dice.happens(0.3) && { repeats: 1 }),
        };
        if (key === undefined) return operation;
        if (isReused) return { ...operation, ...this.#underAUsedKey(id, keyedOnes) };
        keyedOnes.push({ ...operation, key });
        return { ...operation, key };
      }),
    );
  }

  /** Any that was used before; or one that is in use, by somebody else, for the same thing. */
  #underAUsedKey(id: number, keyedOnes: readonly Keyed[]): Partial<Operation> {
    const dice = this.#dice;
    const { key, node, act } = dice.one(keyedOnes.slice(-KEYS_RECENT));
    if (act.is !== "register" || dice.happens(0.3)) return { key: dice.one(keyedOnes).key };
    const user = (act.user + 1) % this.#users;
    this.#registered.set(act.event, [...this.#registered.get(act.event) ?? [], { id, user }]);
    return { key, node, act: { ...act, user } };
  }

  /** What all others need: money, events that take registrations, markets that are open. */
  #beginnings(clients: number): Operation[] {
    const dice = this.#dice;
    const operations: Operation[] = [];
    const add = (client: number, act: Act) => {
      const id = operations.length;
      operations.push({ id, client, afterMs: 0, node: id, act, key: `key-${id}` });
    };
    for (let purse = 0; purse < this.#purses; purse++) {
      add(purse % clients, { is: "open", purse, amount: OPEN_WITH });
    }
    for (let event = 0; event < this.#events; event++) {
      add(event, { is: "schedule", event, plan: seatPlan(dice) });
      add(event, { is: "publish", event });
    }
    for (const act of this.#trading.beginnings()) add(operations.length % clients, act);
    return operations;
  }

  #act(id: number): Act {
    const dice = this.#dice;
    const is = this.#dice.weighed(this.#weights);
    const event = dice.from(0, this.#events - 1);
    const user = dice.from(0, this.#users - 1);
    switch (is) {
      case "transfer": {
        const from = dice.from(0, this.#purses - 1);
        const to = (from + dice.from(1, this.#purses - 1)) % this.#purses;
        return { is, from, to, amount: dice.from(1, OPEN_WITH / 2) };
      }
      case "append":
        return this.#append();
      case "register":
        this.#registered.set(event, [...this.#registered.get(event) ?? [], { id, user }]);
        return { is, event, user };
      case "withdraw":
      case "accept": {
        const known = this.#registered.get(event);
        if (known === undefined) return this.#append();
        const { id: registration, user } = dice.one(known.slice(-20));
        return { is, event, user, registration };
      }
      case "revise":
        return { is, event, capacity: dice.from(1, 12) };
      case "cancel":
        return { is, event };
      default:
        return this.#read();
    }
  }

  #append(): Act {
    const dice = this.#dice;
    const register = dice.from(0, this.#registers - 1);
    const tells = dice.happens(0.3);
    return {
      is: "append",
      register,
      ...(tells && { tells: dice.from(0, this.#registers - 1) }),
      ...(tells && dice.happens(0.03) && { isUnhandleable: true }),
      ...(dice.happens(0.15) && { rings: true }),
      ...(dice.happens(0.25) && { hasJob: true }),
      ...(dice.happens(0.04) && { isPoison: true }),
    };
  }

  #read(): Act {
    const dice = this.#dice;
    const kind = dice.one(["purse", "register", "live_event"] as const);
    const sizes = {
      purse: this.#purses,
      register: this.#registers,
      live_event: this.#events,
    };
    const index = dice.from(0, sizes[kind] - 1);
    return { is: "read", kind, index, strength: dice.one(["plain", "session", "strong"]) };
  }
}

function weightsOf(dice: Dice): ReadonlyMap<Act["is"], number> {
  const some = (most: number) => dice.happens(0.2) ? 0 : dice.from(1, most);
  return new Map<Act["is"], number>([
    ["transfer", some(40)],
    ["append", some(40) + 1],
    ["register", some(60)],
    ["withdraw", some(30)],
    ["accept", some(15)],
    ["revise", some(3)],
    ["cancel", dice.happens(0.02) ? 1 : 0],
    ["read", some(20)],
  ]);
}

function seatPlan(dice: Dice): SeatPlan {
  return {
    capacity: dice.from(1, 8),
    ...(dice.happens(0.5) && { waitlistCapacity: dice.from(0, 10) }),
    ...(dice.happens(0.5) && { offerMinutes: 1 }),
  };
}

interface Stage {
  readonly nodes: number;
  readonly operations: number;
  readonly lengthMs: number;
}

function faultsOf(dice: Dice, stage: Stage): Fault[] {
  const { nodes, operations, lengthMs } = stage;
  const node = () => dice.from(0, nodes - 1);
  const atMs = () => dice.from(0, lengthMs);
  const ms = (most: number) => dice.from(10, most);
  const at = (of: Readonly<Record<string, number>>) => {
    const call = dice.one(Object.keys(of));
    return { node: node(), call, nth: dice.from(1, of[call]!) };
  };
  const jumps = () => dice.from(-600, 600) * SECOND_MS;
  return [
    ...dice.some(5, (): Fault => {
      const side = dice.one(["before", "after"] as const);
      return { is: "crash", at: at(calls), side, downMs: ms(3_000) };
    }),
    ...dice.some(2, (): Fault => {
      return { is: "crash", at: at(turns), side: "after", downMs: ms(1_000) };
    }),
    ...dice.some(4, (): Fault => ({ is: "pause", atMs: atMs(), node: node(), ms: ms(12_000) })),
    ...dice.some(3, (): Fault => ({ is: "jump", atMs: atMs(), node: node(), byMs: jumps() })),
    ...dice.some(4, (): Fault => ({ is: "cut", atMs: atMs(), node: node() })),
    ...dice.some(3, (): Fault => ({ is: "hole", atMs: atMs(), node: node(), ms: ms(12_000) })),
    ...dice.some(2, (): Fault => ({
      is: "database jump",
      atMs: atMs(),
      // What was due, or leased, waits for as long as that clock goes back.
      byMs: (dice.happens(0.5) ? dice.from(-5, -1) : dice.from(1, 600)) * SECOND_MS,
    })),
    ...dice.some(4, (): Fault => ({ is: "partition", atMs: atMs(), node: node(), ms: ms(3_000) })),
    ...dice.some(2, (): Fault => ({ is: "restart", atMs: atMs(), ms: ms(1_500) })),
    ...[...Object.keys(statementErrors), ...commitMishaps].flatMap((how) =>
      dice.some(10, (): Fault => ({ is: "statement", at: at(statements), how: how as Strike }))
    ),
    ...packetFaults.flatMap((how) =>
      dice.some(6, (): Fault => {
        const operation = FIRST_ID + dice.from(0, operations - 1);
        return { is: "packet", operation, nth: dice.happens(0.8) ? 1 : 2, how };
      })
    ),
    ...dice.some(6, (): Fault => {
      return { is: "bell", nth: dice.from(1, 20), how: dice.one(["refused", "unheard"] as const) };
    }),
  ];
}

/** At the most, of a statement, of a transaction that writes, and of a new connection. */
const ERRORS_MOST = 0.01;
const MISHAPS_MOST = 0.02;
const CONNECTIONS_MOST = 0.2;

/** Everywhere, in a few runs; in most, only where the plan says. */
function databaseFaults(dice: Dice): FaultPlan {
  const isEverywhere = dice.happens(0.2);
  const rates = (kinds: readonly string[], most: number) =>
    Object.fromEntries(
      kinds.filter(() => isEverywhere && dice.happens(0.6)).map((
        kind,
      ) => [kind, most * dice.from(1, 10) / 10]),
    );
  return {
    ...noFaults,
    errors: rates(Object.keys(statementErrors), ERRORS_MOST),
    commits: rates(commitMishaps, MISHAPS_MOST),
    tooManyConnections: dice.happens(0.3) ? CONNECTIONS_MOST : 0,
    stalls: dice.happens(0.3) ? ERRORS_MOST : 0,
  };
}

const slowPace: Pace = {
  connectMs: [5, 40],
  requestMs: [1, 10],
  commitMs: [1, 30],
  replyMs: [1, 10],
};

type Strike = Extract<Fault, { is: "statement" }>["how"];
