/**
 * The way between clients and nodes, on which requests and replies get lost, late and doubled.
 *
 * @module
 */
import type { Ending } from "./history.ts";
import type { Node } from "./node.ts";
import type { Life, Place } from "./scheduler.ts";
import type { Host, World } from "./world.ts";

export interface Request {
  readonly from: Life;
  readonly to: Host;
  readonly operation: number;
  /** The how manieth attempt at the operation, from 1. */
  readonly nth: number;
  /** Done where it arrives, once for each time that it does. */
  readonly serve: (node: Node) => Promise<Ending>;
  readonly timeoutMs: number;
  /** Nothing is promised to who has a command without a key arrive twice. */
  readonly mayDouble: boolean;
}

/** What a client is told whose connection ends under its request. */
type Reset = () => void;

const LATE_MS = 400;
/** Of the requests that are doubled, the part that arrives twice at about the same time. */
const AT_ONCE = 0.7;

export class Network {
  readonly #world: World;
  readonly #life: Life;
  readonly #partedUntil = new Map<number, number>();
  /** By node: those whose requests it has in hand. */
  readonly #open = new Map<number, Set<Reset>>();

  constructor(world: World, life: Life) {
    this.#world = world;
    this.#life = life;
  }

  /** Nothing gets to that node, or from it, for a while. */
  part(node: Place, ms: number): void {
    this.#partedUntil.set(node.index, this.#world.scheduler.now + ms);
  }

  /** Requests that some node has, and has not answered. */
  get inHand(): number {
    let inHand = 0;
    for (const open of this.#open.values()) inHand += open.size;
    return inHand;
  }

  /** The node has ended, and all its connections with it. */
  reset(node: Place): void {
    const open = this.#open.get(node.index);
    this.#open.delete(node.index);
    for (const tell of open ?? []) tell();
  }

  /** Resolves with what the client comes to know, at the latest after `timeoutMs`. */
  request({ from, to, operation, nth, serve, timeoutMs, mayDouble }: Request): Promise<Ending> {
    const { scheduler, faults, plan } = this.#world;
    const how = faults.packet(operation, nth);
    const wayMs = () => plan.networkMs * scheduler.chance(from.place, `way of ${operation}`);
    return new Promise((resolve) => {
      const timeout = scheduler.after(from, "gives up", timeoutMs, () => {
        resolve({ is: "fault", outcome: "unknown", why: "silence" });
      });
      const hear = (ending: Ending, extraMs = 0) => {
        const ms = wayMs() + extraMs;
        scheduler.after(from, "hears", ms, () => {
          if (this.#isParted(to.place) && ending.is !== "fault") return;
          timeout.go = undefined;
          resolve(ending);
        });
      };
      const thereMs = wayMs();
      const arrive = (label: string, extraMs: number) => {
        scheduler.after(this.#life, label, thereMs + extraMs, () => {
          if (this.#isParted(to.place)) return;
          const lateMs = how === "reply-late" ? LATE_MS : 0;
          this.#serve(to, serve, (ending) => how !== "reply-lost" && hear(ending, lateMs));
        });
      };
      if (how !== "request-lost") arrive("arrives", how === "request-late" ? LATE_MS : 0);
      if (how !== "request-doubled" || !mayDouble) return;
      const isAtOnce = scheduler.chance(from.place, `doubled ${operation}`) < AT_ONCE;
      arrive("arrives again", isAtOnce ? 0 : LATE_MS);
    });
  }

  #serve(
    { place, node }: Host,
    serve: (node: Node) => Promise<Ending>,
    hear: (ending: Ending) => void,
  ): void {
    if (node === undefined) {
      return hear({ is: "fault", outcome: "not-applied", why: "nobody listens" });
    }
    const tell = () => hear({ is: "fault", outcome: "unknown", why: "the connection ended" });
    const open = this.#open.get(place.index) ?? new Set();
    this.#open.set(place.index, open.add(tell));
    this.#world.scheduler.after(node.incarnation, "serves", 0, () => {
      void serve(node).then((ending) => {
        open.delete(tell);
        hear(ending);
      });
    });
  }

  #isParted(node: Place): boolean {
    return this.#world.scheduler.now < (this.#partedUntil.get(node.index) ?? 0);
  }
}
