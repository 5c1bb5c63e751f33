/**
 * Mistakes in how an actor decides and what it holds for true.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";

const ACTIVATION = "lib/runtime/activation.ts";
const TURN = "lib/runtime/turn.ts";
const SYSTEM = "lib/runtime/system.ts";

export const ofTurns: readonly Mutant[] = [
  {
    name: "told before it is durable",
    file: ACTIVATION,
    find: `    const outcome = await committer.commit(turn.commit);`,
    replace:
      `    for (const verdict of turn.verdicts) this.#tell(verdict, this.#loaded().transaction);
    const outcome = await committer.commit(turn.commit);`,
    says: "Senders hear of a turn before the store has answered.",
    screams: ["I1"],
  },
  {
    name: "shown before it is durable",
    file: ACTIVATION,
    find: `    if (this.#needsNoCommit(turn)) return`,
    replace: `    const { version, events } = turn.commit;
    this.#standing = {
      ...this.#loaded(), state: turn.state, version: version + events.length,
    };
    if (this.#needsNoCommit(turn)) return`,
    says: "Readers are shown a state that nobody has committed yet.",
    screams: ["I6", "I7", "I8", "I9"],
  },
  {
    name: "refused from memory",
    file: ACTIVATION,
    find: `letter.receivedAt < this.#verifiedAt`,
    replace: `letter.receivedAt < Infinity`,
    says: "A refusal is told though nobody asked the store whether its reason still holds.",
    screams: ["I6", "I7"],
  },
  {
    name: "strong read from memory",
    file: SYSTEM,
    find: `const isShown = !isStrong && standing !== undefined`,
    replace: `const isShown = standing !== undefined`,
    says: "A strong read shows what this node happens to know.",
    screams: ["I6"],
  },
  {
    name: "session goes back",
    file: SYSTEM,
    find: `standing !== undefined && standing.version >= atLeast &&`,
    replace: `standing !== undefined &&`,
    says: "A reader is shown less than it has seen before.",
    screams: ["I6"],
  },
  {
    name: "lost race taken for won",
    file: ACTIVATION,
    find: `    if (outcome.is === "conflict") return await this.#afterConflict(turn, letters);`,
    replace: `    if (outcome.is === "conflict") {
      if (!isWriting(turn.commit)) return this.#adopt(turn, this.#loaded().transaction);
      return await this.#afterConflict(turn, letters);
    }`,
    says: "A turn that writes nothing stands though the store says that others were first.",
    screams: ["I6", "I7"],
  },
  {
    name: "stale under the lock",
    file: ACTIVATION,
    find: `this.#refuseExpired(this.#catchUp(caughtUp, pending), env.monotonic());`,
    replace: `this.#refuseExpired(pending, env.monotonic());
      const { version, revision } = caughtUp;
      this.#standing = { ...this.#loaded(), version, revision };`,
    says: "Under the row lock it decides on the state that it had before.",
    screams: ["I6", "I7", "I8", "I9"],
  },
  {
    name: "own turn not recognised",
    file: TURN,
    find: `  return events.length > 0 && tail[0]?.version === version + 1 &&`,
    replace: `  return events.length < 0 && tail[0]?.version === version + 1 &&`,
    says: "A turn whose answer got lost is decided once more.",
    screams: ["I2", "I3", "I8"],
  },
  {
    name: "another's turn taken for its own",
    file: TURN,
    find: `tail[index]?.causationId === causationId && tail[index].at === at`,
    replace: `tail[index] !== undefined || causationId === at`,
    says: "Whatever others wrote in place of a lost turn is taken for that turn.",
    screams: ["I1"],
  },
  {
    name: "lost wake-up",
    file: ACTIVATION,
    find: `    if (this.#mailbox.size > 0) this.#wake();`,
    replace: "",
    says: "What came in during a turn waits until something else comes in.",
    screams: ["I15"],
  },
  {
    name: "two turns at once",
    file: ACTIVATION,
    find: `    if (this.#isAwake) return;\n`,
    replace: "",
    says: "A message starts a turn though one is under way.",
    screams: ["I2", "I5", "I6", "I7", "I8", "I9", "I10", "I12"],
  },
  {
    name: "mailbox in reverse",
    file: "lib/runtime/mailbox.ts",
    find: `    return waiting;`,
    replace: `    return waiting.reverse();`,
    says: "Who came last is served first.",
    screams: ["I10"],
  },
  {
    name: "replies not remembered",
    file: TURN,
    find: `  if (idempotency === undefined || (version === 0 && !isFirst)) return undefined;`,
    replace: `  if (idempotency !== undefined || (version === 0 && !isFirst)) return undefined;`,
    says: "A command is decided anew whenever it is asked again under its key.",
    screams: ["I2", "I4", "I8"],
  },
  {
    name: "refusals not remembered",
    file: TURN,
    find: `  if (verdict.is !== "accepted" && verdict.is !== "rejected") return undefined;`,
    replace: `  if (verdict.is !== "accepted") return undefined;`,
    says: "What was refused under a key may be accepted under it later.",
    screams: ["I4"],
  },
  {
    name: "request not compared",
    file: ACTIVATION,
    find: `    if (reply.requestHash !== idempotency!.requestHash) {`,
    replace: `    if (reply.requestHash.length < 0) {`,
    says:
      "Whoever uses a key again for something else has the reply to what it was used for first.",
    screams: ["I1", "I7"],
  },
  {
    name: "two at once under one key",
    file: ACTIVATION,
    find: `    if (this.#refuseRunningKey(letter)) return;`,
    replace: "",
    says: "Two requests under one key run together, and neither sees the other's reply.",
    screams: ["I2", "I4", "I8"],
  },
  {
    name: "key never set free",
    file: ACTIVATION,
    find: `    this.#keysRunning?.delete(runningKey(letter));`,
    replace: "",
    says: "A key counts as in progress for good.",
    screams: ["I15"],
  },
  {
    name: "keys of all principals in one",
    file: ACTIVATION,
    find: "  return `${envelope.principal.id}\\n${envelope.idempotency?.key}`;",
    replace: "  return `${envelope.idempotency?.key}`;",
    says: "A request is refused because of a key that somebody else uses.",
    screams: ["I13"],
  },
  {
    name: "reply with the version of now",
    file: ACTIVATION,
    find: `        ...outcome,
        replayed: true,`,
    replace: `        ...outcome,
        version,
        replayed: true,`,
    says: "A remembered reply tells the version of today.",
    screams: ["I1", "I4"],
  },
  {
    name: "snapshot before the tail of all",
    file: ACTIVATION,
    find: `    const tail = snapshot !== undefined && base === undefined`,
    replace: `    const tail = snapshot !== undefined`,
    says: "All events are played on top of a snapshot that has them.",
    screams: ["I6", "I7", "I8", "I9"],
  },
  {
    name: "snapshot of a turn under way",
    file: ACTIVATION,
    find: `    const outcome = await committer.commit(turn.commit);`,
    replace: `    const codec = this.#aggregate.snapshot;
    if (codec !== undefined && turn.commit.events.length > 0) {
      this.#context.keepSnapshot(this.address, {
        version: turn.commit.version + turn.commit.events.length,
        schema: codec.schema,
        state: codec.encode(turn.state),
      });
    }
    const outcome = await committer.commit(turn.commit);`,
    says: "A snapshot is kept of what may never be committed.",
    screams: ["I6", "I7", "I8", "I9"],
  },
];
