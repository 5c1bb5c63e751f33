/**
 * Everything that must hold of a run.
 *
 * @module
 */
import type { Committed } from "../history.ts";
import type { Chronicle } from "./chronicle.ts";
import * as commands from "./commands.ts";
import * as deliveries from "./deliveries.ts";
import { keysAreTheirOwners } from "./keys.ts";
import { everythingComesToItsEnd, nothingIsADefect } from "./liveness.ts";
import { conserved, moneyHasArrived } from "./money.ts";
import {
  nothingGetsLostOnTheWay,
  nothingIsOvertaken,
  onlyWhatNobodyCanHandleIsBuried,
} from "./outbox.ts";
import * as reads from "./reads.ts";
import { fairlySeated } from "./seats.ts";
import { growing, versionsHaveNoGap } from "./streams.ts";
import { tradedFairly, tradingHasComeToRest } from "./trading.ts";
import { whatWasSaidToBeDoneIsThere, whatWasSaidToFailIsNotThere } from "./told.ts";

/** Of the whole history. What is wrong early comes first: the rest may follow from it. */
const invariants: readonly ((chronicle: Chronicle) => void)[] = [
  nothingIsADefect,
  versionsHaveNoGap,
  commands.nothingAcknowledgedIsLost,
  commands.nothingHasItsEffectTwice,
  commands.whatFailedIsNotThere,
  whatWasSaidToBeDoneIsThere,
  whatWasSaidToFailIsNotThere,
  commands.answersUnderOneKeyAreEqual,
  commands.acknowledgedOrderHolds,
  keysAreTheirOwners,
  commands.refusalsAreTrue,
  reads.viewsAreOfTheirVersion,
  reads.readsAreAsFreshAsAsked,
  everythingComesToItsEnd,
  onlyWhatNobodyCanHandleIsBuried,
  deliveries.messagesAreHandledInOrder,
  nothingGetsLostOnTheWay,
  nothingIsOvertaken,
  deliveries.theOutsideHearsAllInOrder,
  deliveries.jobsAreDoneOnce,
  deliveries.consumersHaveEachEventOnce,
  moneyHasArrived,
  tradingHasComeToRest,
];

/** Throws {@linkcode Broken} where something does not hold. */
export function check(chronicle: Chronicle): void {
  for (const invariant of invariants) invariant(chronicle);
}

/** What can be seen of a commit alone and of those before it; throws as it happens. */
export function watching(): (committed: Committed) => void {
  const watchers = [growing(), conserved(), fairlySeated(), tradedFairly()];
  return (committed) => {
    for (const watch of watchers) watch(committed);
  };
}
