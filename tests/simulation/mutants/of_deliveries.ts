/**
 * Mistakes on the way of what is told: to actors, to the outside, to jobs.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";

const RELAY = "lib/runtime/outbox_relay.ts";
const OUTSIDE = "lib/runtime/outside_lanes.ts";
const TURN = "lib/runtime/turn.ts";
const JOBS = "lib/jobs/job_worker.ts";

export const ofDeliveries: readonly Mutant[] = [
  {
    name: "consumed though it exploded",
    file: TURN,
    find: `      if (step.verdict.is === "defect") broken.add(delivery.batch);
      else consumed.push(delivery.position);`,
    replace: `      consumed.push(delivery.position);`,
    says: "A message that could not be handled is taken out as if it had been.",
    screams: ["I10"],
  },
  {
    name: "consumed though held back",
    file: TURN,
    find: `      verdicts.push({ is: "held-back", letter });`,
    replace: `      consumed.push(delivery.position);
      verdicts.push({ is: "held-back", letter });`,
    says: "What was to be brought again later is taken out of the outbox.",
    screams: ["I10"],
  },
  {
    name: "no order in a lane",
    file: TURN,
    find: `(delivery.batch.isBroken || broken.has(delivery.batch))`,
    replace: `delivery.position < 0`,
    says: "A message is handled though the one before it was not.",
    screams: ["I10"],
  },
  {
    name: "faults counted as attempts",
    file: RELAY,
    find: `    if (error instanceof TransientFault) {`,
    replace: `    if (error instanceof TransientFault && attemptsMax < 0) {`,
    says: "A message is buried because the store was away.",
    screams: ["I10"],
  },
  {
    name: "killer never buried",
    file: RELAY,
    find: `    if (attempts >= attemptsMax) {`,
    replace: `    if (attempts < 0) {`,
    says: "A message that nobody can handle holds up its lane for good.",
    screams: ["I15"],
  },
  {
    name: "nobody sweeps",
    file: RELAY,
    find: `        this.announce(lanes);
        restMs =`,
    replace: `        restMs =`,
    says: "What a node that died has left in the outbox lies there for good.",
    screams: ["I15"],
  },
  {
    name: "failed outside, and counted as told",
    file: OUTSIDE,
    find: `      if (error !== undefined) {
        if`,
    replace: `      if (error !== undefined && index < 0) {
        if`,
    says: "A delivery that failed counts as one that did not.",
    screams: ["I10"],
  },
  {
    name: "failed job counted as done",
    file: JOBS,
    find: `      return this.#leave(job, { is: "failed", error: reason }, "failed", error);
    }`,
    replace: `    }
    return this.#leave(job, { is: "completed", result: reason, keepMs: 1e9 }, "completed");`,
    says: "A job that failed is not tried again.",
    screams: ["I10"],
  },
  {
    name: "job under a new key each time",
    file: "lib/jobs/running_job.ts",
    find: "idempotency: { key: `job ${messageId} ${step}`, requestHash: type },",
    replace: "idempotency: { key: `job ${id} ${step}`, requestHash: type },",
    says: "What a job asks of an actor is asked anew by each of its attempts.",
    screams: ["I10"],
  },
  {
    name: "feed read past what is under way",
    file: "lib/memory/streams.ts",
    find: `if (events.length === limit || row.transaction >= horizon) break;`,
    replace: `if (events.length === limit) break;`,
    says: "A reader of the feed steps over what a slower transaction is about to commit.",
    screams: ["I2", "I15"],
  },
  {
    name: "effects apart from their checkpoint",
    file: "tests/simulation/postgres/projection_store.ts",
    find: `        transaction.atCommit(() => {
          model.land(transaction.now);`,
    replace: `        model.land(transaction.now);
        transaction.atCommit(() => {`,
    says: "What a consumer did with a page stays though its checkpoint was not moved.",
    screams: ["I2", "I15"],
  },
  {
    name: "nobody follows after a failure",
    file: "lib/runtime/projector.ts",
    find: `        await this.restUntil(() => false, this.#noteFailure(error));`,
    replace: `        return void this.#noteFailure(error);`,
    says: "A consumer of the feed gives up for good once a page has failed.",
    screams: ["I15"],
  },
  {
    name: "a claim that fails ends the relay",
    file: RELAY,
    find: `        // Whoever looks for what is due finds them again.
        await this.pause(this.#limits.pollMs);`,
    replace: `        return;`,
    says: "The relay of a node stops once it could not reach the outbox.",
    screams: ["I15"],
  },
];
