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
  /** Intervals below target after which lists are admitted again. */
  readonly calmAfter: number;
}

export const defaultSheddingLimits: SheddingLimits = {
  loopTargetMs: 100,
  queueTargetMs: 200,
  turnTargetMs: 1_000,
  listsAfter: 3,
  commandsAfter: 2,
  calmAfter: 20,
};

/** 0: everybody is admitted. 1: no lists and analytics. 2: nor some of the commands. */
export type Level = 0 | 1 | 2;

export interface Shedding {
  readonly level: Level;
  /** Of the commands. */
  readonly admittedShare: number;
  /** Intervals in a row above target, or, negative, below. */
  readonly streak: number;
}

export const noShedding: Shedding = { level: 0, admittedShare: 1, streak: 0 };

/** A little above target the share falls gently, far above it fast. */
const FALL = 0.95;
const STEEP_FALL = 0.75;
/** Of the target. */
const STEEP_FROM = 2;
const RISE = 1.04;
/** However bad it is, some are tried: else nobody would notice that it is over. */
const ADMITTED_LEAST = 0.02;

/** What follows from one more interval. */
export function nextShedding(before: Shedding, delays: Delays, limits: SheddingLimits): Shedding {
  const pressure = pressureOf(delays, limits);
  const isAbove = pressure > 1;
  const streak = isAbove ? Math.max(before.streak, 0) + 1 : Math.min(before.streak, 0) - 1;
  const { level, admittedShare } = before;
  switch (level) {
    case 0:
      return streak < limits.listsAfter
        ? { level, admittedShare: 1, streak }
        : { level: 1, admittedShare: 1, streak: 0 };
    case 1:
      if (streak >= limits.commandsAfter) {
        return { level: 2, admittedShare: fallen(1, pressure), streak };
      }
      return -streak < limits.calmAfter
        ? { level, admittedShare: 1, streak }
        : { ...noShedding, streak };
    case 2: {
      if (isAbove) return { level, admittedShare: fallen(admittedShare, pressure), streak };
      const risen = admittedShare * RISE;
      return risen < 1
        ? { level, admittedShare: risen, streak }
        : { level: 1, admittedShare: 1, streak: 0 };
    }
  }
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
