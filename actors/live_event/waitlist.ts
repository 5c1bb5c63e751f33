/**
 * A line of people: whoever came first stands first, and anyone may leave at any time.
 *
 * It is persistent: every change makes a new line and leaves the old one as it was. Who joins
 * draws a ticket; the tree below finds the place of a ticket by its digits to base 32, and each
 * node knows how many still stand under it, so joining, leaving and telling a position cost a
 * walk of its height: 4 nodes for a million tickets.
 *
 * @module
 */

export interface Waitlist {
  readonly size: number;
  /** Below 2^30: more joins than that, without ever running empty, no line will see. */
  readonly nextTicket: number;
  /** How many branches lie between the root and a leaf. */
  readonly height: number;
  readonly root: Node | undefined;
}

type Node = Branch | Leaf;

/** Where nobody stands any more, nothing is kept. */
interface Branch {
  readonly isLeaf: false;
  readonly count: number;
  readonly slots: readonly (Node | undefined)[];
}

interface Leaf {
  readonly isLeaf: true;
  readonly count: number;
  readonly slots: readonly (string | undefined)[];
}

const DIGIT_BITS = 5;
const DIGIT_MASK = (1 << DIGIT_BITS) - 1;

/** Every line that runs empty becomes this one, and tickets start anew. */
export const empty: Waitlist = { size: 0, nextTicket: 0, height: 0, root: undefined };

/** Puts `id` last; the ticket finds it again. */
export function append(line: Waitlist, id: string): readonly [Waitlist, ticket: number] {
  const ticket = line.nextTicket;
  const isFull = ticket >>> (DIGIT_BITS * (line.height + 1)) > 0;
  const height = isFull ? line.height + 1 : line.height;
  const root: Node | undefined = isFull && line.root
    ? { isLeaf: false, count: line.size, slots: [line.root] }
    : line.root;
  const next = replace(root, height, { ticket, id });
  return [{ size: line.size + 1, nextTicket: ticket + 1, height, root: next }, ticket];
}

/** Takes out whoever holds `ticket`; the same line if nobody does. */
export function remove(line: Waitlist, ticket: number): Waitlist {
  if (positionOf(line, ticket) === undefined) return line;
  const root = replace(line.root, line.height, { ticket, id: undefined });
  return root ? { ...line, size: line.size - 1, root } : empty;
}

/** The first `count` of the line in order, or all if they are fewer. */
export function first(line: Waitlist, count: number): string[] {
  const ids: string[] = [];
  if (line.root) collect(line.root, count, ids);
  return ids;
}

/** Where the holder of `ticket` stands now, counted from 1. */
export function positionOf(line: Waitlist, ticket: number): number | undefined {
  if (ticket >= line.nextTicket) return undefined;
  let ahead = 0;
  let node = line.root;
  for (let height = line.height; node; height--) {
    const digit = digitOf(ticket, height);
    if (node.isLeaf) {
      if (node.slots[digit] === undefined) return undefined;
      for (let slot = 0; slot < digit; slot++) if (node.slots[slot] !== undefined) ahead++;
      return ahead + 1;
    }
    for (let slot = 0; slot < digit; slot++) ahead += node.slots[slot]?.count ?? 0;
    node = node.slots[digit];
  }
  return undefined;
}

function digitOf(ticket: number, height: number): number {
  return (ticket >>> (DIGIT_BITS * height)) & DIGIT_MASK;
}

/** A copy of `node` with `id` at the place of `ticket`; undefined if then nobody stands there. */
function replace(
  node: Node | undefined,
  height: number,
  place: { readonly ticket: number; readonly id: string | undefined },
): Node | undefined {
  const digit = digitOf(place.ticket, height);
  if (height === 0) {
    const slots = node?.isLeaf ? node.slots.slice() : [];
    slots[digit] = place.id;
    const count = (node?.count ?? 0) + (place.id === undefined ? -1 : 1);
    return count === 0 ? undefined : { isLeaf: true, count, slots };
  }
  const slots = node && !node.isLeaf ? node.slots.slice() : [];
  const child = slots[digit];
  const next = replace(child, height - 1, place);
  slots[digit] = next;
  const count = (node?.count ?? 0) + (next?.count ?? 0) - (child?.count ?? 0);
  return count === 0 ? undefined : { isLeaf: false, count, slots };
}

function collect(node: Node, count: number, ids: string[]): void {
  for (const slot of node.slots) {
    if (ids.length >= count) return;
    if (typeof slot === "string") ids.push(slot);
    else if (slot) collect(slot, count, ids);
  }
}
