/**
 * What the nodes of a service tell one another: which actors they have written to.
 *
 * It makes plain reads fresh on all nodes, and nothing else depends on it: news may be late, come
 * twice or get lost. Whoever may have missed some says so, and looks again before it shows anything.
 *
 * @module
 */
import type { Address } from "./envelope.ts";

/** The other nodes, to whoever writes. */
export interface Peers {
  /** Tells them where an actor stands now. Neither waits nor throws. */
  wrote(address: Address, revision: number): void;
}

/** This node, to whoever brings it news of the others. */
export interface PeerNews {
  /** Another node has brought the actor to this revision. */
  heard(address: Address, revision: number): void;
  /** Others may have written to any actor meanwhile. */
  missed(): void;
}
