/**
 * How much to refuse, so that what is admitted is served in time.
 *
 * The signal is CoDel's (RFC 8289): not how long a queue is, but whether the least that anybody
 * waited, over a whole interval, is above a target. A burst raises that for a moment; a queue that
 * does not go away raises it for good. The answer is WeChat's DAGOR (Zhou et al., 2018): a share of
 * the load is admitted, which falls by a part while it is too much, and recovers slowly.
 *
 * @module
 */

/** Of one interval: the least of each, and 0 where nobody waited. */
export interface Delays {
  /** By how much the event loop came late. */
  readonly loopMs: number;
  /** How long messages lay in mailboxes. */
  readonly queueMs: number;
  /** How long turns took, most of which is waiting for their commit. */
  readonly turnMs: number;
}

export interface SheddingLimits {
  readonly loopTargetMs: number;
  readonly queueTargetMs: number;
  readonly turnTargetMs: number;
  /** Intervals above target after which lists are refused. */
  readonly listsAfter: number;
  /** Further ones after which some commands are as well. */
  readonly commandsAfter: number;
  /** Intervals below target after which some lists are admitted again, and then ever more. */
  readonly calmAfter: number;
}

export const defaultSheddingLimits: SheddingLimits = {
  loopTargetMs: 50,
  queueTargetMs: 200,
  turnTargetMs: 1_000,
  listsAfter: 3,
  commandsAfter: 2,
  calmAfter: 20,
};

/** 0: everybody is admitted. 1: not all lists and analytics. 2: none, nor some of the commands. */
export type Level = 0 | 1 | 2;

export interface Shedding {
  readonly level: Level;
  /** Of the lists. */
  readonly listsShare: number;
  /** Of the commands. */
  readonly admittedShare: number;
  /** Intervals in a row above target, or, negative, below. */
  readonly streak: number;
}

export const noShedding: Shedding = { level: 0, listsShare: 1, admittedShare: 1, streak: 0 };

/** A little above target the share falls gently, far above it fast. */
const FALL = 0.95;
const STEEP_FALL = 0.75;
/** Of the target. */
const STEEP_FROM = 2;
const RISE = 1.04;
/** However bad it is, some are tried: else nobody would notice that it is over. */
const ADMITTED_LEAST = 0.02;
/**
 * A list can cost twenty times a command, and all that were refused come back: let in at once, they
 * would be more within an interval than can be done in a second.
 */
const LISTS_FIRST = 0.05;
const LISTS_RISE = 1.1;
const LISTS_FALL = 0.5;

/** What follows from one more interval. */
export function nextShedding(before: Shedding, delays: Delays, limits: SheddingLimits): Shedding {
  const pressure = pressureOf(delays, limits);
  const isAbove = pressure > 1;
  const streak = isAbove ? Math.max(before.streak, 0) + 1 : Math.min(before.streak, 0) - 1;
  const { level, admittedShare } = before;
  switch (level) {
    case 0:
      return streak < limits.listsAfter
        ? { ...noShedding, streak }
        : { level: 1, listsShare: 0, admittedShare: 1, streak: 0 };
    case 1: {
      if (streak >= limits.commandsAfter && before.listsShare === 0) {
        return { level: 2, listsShare: 0, admittedShare: fallen(1, pressure), streak };
      }
      const listsShare = nextListsShare(before.listsShare, streak, limits);
      return listsShare < 1
        ? { level, listsShare, admittedShare: 1, streak }
        : { ...noShedding, streak };
    }
    case 2: {
      const next = isAbove ? fallen(admittedShare, pressure) : admittedShare * RISE;
      return next < 1
        ? { level, listsShare: 0, admittedShare: next, streak }
        : { level: 1, listsShare: 0, admittedShare: 1, streak: 0 };
    }
  }
}

function nextListsShare(share: number, streak: number, { calmAfter }: SheddingLimits): number {
  if (streak > 0) return share > LISTS_FIRST ? share * LISTS_FALL : 0;
  if (-streak < calmAfter) return share;
  return share === 0 ? LISTS_FIRST : share * LISTS_RISE;
}

/** 1 where the worst of them is at its target. */
function pressureOf({ loopMs, queueMs, turnMs }: Delays, limits: SheddingLimits): number {
  return Math.max(
    loopMs / limits.loopTargetMs,
    queueMs / limits.queueTargetMs,
    turnMs / limits.turnTargetMs,
  );
}

function fallen(share: number, pressure: number): number {
  return Math.max(ADMITTED_LEAST, share * (pressure > STEEP_FROM ? STEEP_FALL : FALL));
}
