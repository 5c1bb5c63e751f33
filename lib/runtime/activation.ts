/**
 * One actor in memory: its durable standing, its mailbox, and one turn at a time.
 *
 * The mailbox makes an activation the only writer in this process. Across processes nothing does:
 * there the store's fence keeps the stream linear, and an activation that lost a race catches up and
 * decides again.
 *
 * @module
 */
import type { Env } from "../env.ts";
import { PoisonFault, TransientFault } from "../fault.ts";
import { retryPolicies, retryTransient } from "../resilience/retry.ts";
import type { RetryBudget } from "../resilience/retry_budget.ts";
import type { Batcher } from "./batcher.ts";
import type { Committer } from "./committer.ts";
import { DataLoss, type Failed, failedBy, graver, type Place, Unreadable } from "./directive.ts";
import { type Address, addressText } from "./envelope.ts";
import { Mailbox } from "./mailbox.ts";
import type { HandledMessage, Observe } from "./observe.ts";
import { reasonOf } from "./outbox.ts";
import type { Peers } from "./peers.ts";
import {
  type Commit,
  type CommitOutcome,
  isWriting,
  type Loaded,
  type LoadRequest,
  type RememberedReply,
  type Snapshot,
  type Store,
  type StoredEvent,
} from "./store.ts";
import type { Supervision } from "./supervision.ts";
import type { Supervisor } from "./supervisor.ts";
import {
  AlreadyHandled,
  type AnyAggregate,
  decideTurn,
  isWrittenIn,
  type Letter,
  type Outcome,
  replay,
  type Standing,
  type Turn,
  type Verdict,
} from "./turn.ts";

export interface HostingLimits {
  /** Messages that may wait at one actor. */
  readonly mailboxCapacity: number;
  /** Messages decided in one turn. */
  readonly turnMax: number;
  /** Events after which a snapshot is due; later ones come at ever greater distance. */
  readonly snapshotEvery: number;
  /** How long a turn under the row lock is tried before its senders hear of the fault. */
  readonly giveUpMs: number;
}

/** Takes what a turn has recorded, once it is durable. */
export type Publish = (address: Address, commit: Commit) => void;

/** What the activations of a system share. */
export interface ActivationContext {
  readonly env: Env;
  readonly store: Store;
  readonly observe: Observe;
  readonly publish: Publish | undefined;
  readonly peers: Peers | undefined;
  readonly committer: Committer;
  readonly loader: Batcher<LoadRequest, Loaded>;
  readonly limits: HostingLimits;
  readonly budget: RetryBudget | undefined;
  readonly supervision: Supervision;
  /** Waits, but not beyond the end of the system. */
  readonly pause: (ms: number) => Promise<unknown>;
  /** Has `run` called soon, together with all others that are awake. */
  readonly wake: (activation: Activation) => void;
  /** Forgets an activation that was stopped. */
  readonly discard: (activation: Activation) => void;
  readonly keepSnapshot: (address: Address, snapshot: Snapshot) => void;
}

/** Turns taken under the row lock after a lost race, since one such race seldom comes alone. */
const EXCLUSIVE_TURNS = 8;
/** Attempts at one turn. Under the row lock no race is lost, so more than a few mean a defect. */
const ATTEMPTS_MAX = 10;
/** At passivation, a tail this short is quicker to replay than a snapshot is to write. */
const TAIL_WORTH_A_SNAPSHOT = 16;

export class Activation {
  readonly address: Address;
  readonly #aggregate: AnyAggregate;
  readonly #context: ActivationContext;
  readonly #supervisor: Supervisor;
  readonly #mailbox: Mailbox<Letter>;
  #standing: Standing | undefined;
  /** What the standing was before an unknown outcome put it in doubt, until it is read again. */
  #doubted: Standing | undefined;
  /** In which the standing was read. */
  #epoch = 0;
  /** When the request was sent that showed the standing to be current, in monotonic milliseconds. */
  #verifiedAt = -Infinity;
  /** When another node was last heard to have brought the actor further, in monotonic milliseconds. */
  #overtakenAt = -Infinity;
  #snapshotVersion = 0;
  #isAwake = false;
  #exclusiveTurnsLeft = 0;
  /** The gravest failure of this turn, if there was one. */
  #failed: Failed | undefined;
  /** A turn that the store may have taken unheard; catching up shows whether it has. */
  #unheard: Turn | undefined;
  /** Those of the keyed commands that have no outcome yet. */
  #keysRunning: Set<string> | undefined;
  #handled: HandledMessage[] = [];
  #attempts = 0;
  /** In monotonic milliseconds; kept by the system. */
  lastUsedAt = 0;
  /** Whether it was used since it took its place among the others; kept by the system. */
  isUsedSince = false;

  constructor(aggregate: AnyAggregate, address: Address, context: ActivationContext) {
    this.#aggregate = aggregate;
    this.address = address;
    this.#context = context;
    this.#supervisor = context.supervision.of(address.kind);
    this.#mailbox = new Mailbox(context.limits.mailboxCapacity);
  }

  /** Nothing waits and nothing runs: it may be forgotten without anyone noticing. */
  get isAtRest(): boolean {
    return !this.#isAwake;
  }

  /** Where the actor stood when last seen; `undefined` before it is loaded, or if that is in doubt. */
  get standing(): Standing | undefined {
    return this.#epoch === this.#context.supervision.epoch ? this.#standing : undefined;
  }

  /**
   * The last that the store has confirmed, be it in doubt by now: what to show, and say that it is
   * old, while the store cannot be asked.
   */
  get lastConfirmed(): Standing | undefined {
    const isCurrent = this.#epoch === this.#context.supervision.epoch;
    if (!isCurrent) return undefined;
    return this.#isPresumed ? this.#doubted : this.#standing ?? this.#doubted;
  }

  /** The store was never asked whether it stands so. */
  get #isPresumed(): boolean {
    return this.#standing !== undefined && this.#verifiedAt === -Infinity;
  }

  /** In monotonic milliseconds. */
  get confirmedAt(): number {
    return this.#verifiedAt;
  }

  /** Another node has brought the actor to this revision. */
  heard(revision: number): void {
    if (this.#standing === undefined || this.#standing.revision >= revision) return;
    this.#overtakenAt = this.#context.env.monotonic();
  }

  /** Whether nothing was heard since that would make the standing an old one. */
  isFresh(newsMissedAt: number): boolean {
    return this.#verifiedAt > Math.max(this.#overtakenAt, newsMissedAt);
  }

  /**
   * Puts the letter into the mailbox, or settles it at once.
   *
   * @throws {TransientFault} when the mailbox is full, or the actor in quarantine.
   */
  deliver(letter: Letter): void {
    this.#supervisor.admit(this.address.key);
    if (this.#refuseRunningKey(letter)) return;
    if (!this.#mailbox.offer(letter)) {
      const { mailboxCapacity: capacity } = this.#context.limits;
      this.#context.observe({ type: "mailbox-full", address: this.address, capacity });
      throw new TransientFault(`Cannot deliver to ${addressText(this.address)}: mailbox full`);
    }
    const { idempotency } = letter.envelope;
    if (idempotency !== undefined) {
      this.#keysRunning ??= new Set();
      this.#keysRunning.add(runningKey(letter));
    }
    this.#wake();
  }

  /**
   * One turn, after loading if need be, and what follows from its failure. Called by the system, once
   * per `wake`.
   */
  async run(): Promise<void> {
    const { env, limits } = this.#context;
    const startedAt = env.monotonic();
    try {
      if (this.standing === undefined) await this.#begin();
      await this.#takeTurn(this.#mailbox.take(limits.turnMax));
    } catch (error) {
      // Loading failed: whoever waits hears why.
      this.#fail(this.#mailbox.take(Infinity), this.#asUnreadable(error));
      this.#report(startedAt);
    }
    if (this.#failed !== undefined) await this.#afterFailure(this.#failed);
    this.#isAwake = false;
    if (this.#mailbox.size > 0) this.#wake();
  }

  /** As its supervisor directs: it goes on, begins again, at once or after a while, or is stopped. */
  async #afterFailure(failed: Failed): Promise<void> {
    this.#failed = undefined;
    const directive = this.#supervisor.judge(this.address, failed, this.#epoch);
    if (directive.do === "resume") return;
    this.#doubted = failed.is === "unknown-outcome" ? this.lastConfirmed : undefined;
    this.#standing = undefined;
    this.#unheard = undefined;
    if (directive.do === "restart" && directive.inMs > 0) {
      await this.#context.pause(directive.inMs);
    } else if (directive.do === "stop") {
      const refusal = this.#supervisor.refusal(this.address.key);
      for (const letter of this.#mailbox.take(Infinity)) this.#reject(letter, refusal);
      this.#report(this.#context.env.monotonic());
      this.#context.discard(this);
    }
  }

  /** What to write down before the actor is forgotten, so that it is quick to load again. */
  parting(): Snapshot | undefined {
    const tail = (this.standing?.version ?? 0) - this.#snapshotVersion;
    return tail >= TAIL_WORTH_A_SNAPSHOT ? this.#snapshot() : undefined;
  }

  #wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#context.wake(this);
  }

  /**
   * Two requests under one key cannot both run: the second would not see the first one's reply. Which
   * of them has the key is not known before that: it may be remembered for the second.
   */
  #refuseRunningKey(letter: Letter): boolean {
    if (letter.envelope.idempotency === undefined) return false;
    if (!this.#keysRunning?.has(runningKey(letter))) return false;
    const reason = "idempotency-key-in-progress";
    const version = this.#standing?.version ?? 0;
    letter.resolve({ accepted: false, reason, version, replayed: false });
    return true;
  }

  /** The fence finds out if an actor that was presumed to be new is not. */
  async #begin(): Promise<void> {
    if (this.#mailbox.first?.isFirst !== true) return await this.#activate();
    this.#epoch = this.#context.supervision.epoch;
    this.#snapshotVersion = 0;
    this.#standing = { state: this.#aggregate.initial, version: 0, revision: 0, transaction: "0" };
    this.#verifiedAt = -Infinity;
    this.#context.observe({
      type: "activated",
      address: this.address,
      version: 0,
      replayed: 0,
      durationMs: 0,
    });
  }

  async #activate(): Promise<void> {
    const { env, loader, observe, supervision } = this.#context;
    const startedAt = env.monotonic();
    const { epoch } = supervision;
    const loaded = await loader.add({ address: this.address });
    const { snapshot } = loaded;
    const base = snapshot && this.#decodeSnapshot(snapshot);
    const tail = snapshot !== undefined && base === undefined
      ? await loader.add({ address: this.address, afterVersion: 0 })
      : loaded;
    const start = base ?? { state: this.#aggregate.initial, version: 0 };
    const { state, version } = replay(this.#aggregate, start, tail.events);
    if (version !== tail.version) throw this.#dataLoss({ ...tail, version }, tail);
    this.#snapshotVersion = start.version;
    this.#epoch = epoch;
    this.#doubted = undefined;
    this.#standing = { state, version, revision: tail.revision, transaction: tail.transaction };
    this.#verifiedAt = startedAt;
    observe({
      type: "activated",
      address: this.address,
      version,
      replayed: tail.events.length,
      durationMs: env.monotonic() - startedAt,
    });
  }

  #decodeSnapshot(snapshot: Snapshot): Pick<Standing, "state" | "version"> | undefined {
    const codec = this.#aggregate.snapshot;
    if (codec === undefined || codec.schema !== snapshot.schema) return undefined;
    try {
      return { state: codec.decode(snapshot.state), version: snapshot.version };
    } catch (error) {
      this.#context.observe({ type: "snapshot-dropped", address: this.address, error });
      return undefined;
    }
  }

  async #takeTurn(letters: readonly Letter[]): Promise<void> {
    const startedAt = this.#context.env.monotonic();
    try {
      await this.#attemptUntilSettled(this.#refuseExpired(letters, startedAt));
    } catch (error) {
      this.#fail(letters, error);
    }
    this.#report(startedAt);
  }

  async #attemptUntilSettled(letters: readonly Letter[]): Promise<void> {
    let pending = letters;
    for (let attempts = 0; pending.length > 0; attempts++) {
      if (attempts === ATTEMPTS_MAX) throw new TransientFault(this.#lostRaces());
      this.#attempts++;
      pending = await this.#attempt(pending);
    }
  }

  /** Tells those who have heard nothing yet. */
  #fail(letters: readonly Letter[], error: unknown): void {
    const isOpen = this.#unheard !== undefined && error instanceof TransientFault;
    const told = isOpen ? asUnknown(error) : error;
    const toldToRelay = isOfTheStream(told) ? asFault(told) : told;
    for (const letter of letters) {
      this.#reject(letter, isTold(letter) ? toldToRelay : told);
    }
    const failed = failedBy(told);
    const isPaced = failed.is === "defect" && !isOfTheStream(told) && letters.every(isTold);
    this.#failed = graver(this.#failed, isPaced ? { ...failed, is: "told-defect" } : failed);
  }

  #report(startedAt: number): void {
    const { env, observe } = this.#context;
    const messages = this.#handled;
    const attempts = this.#attempts;
    this.#handled = [];
    this.#attempts = 0;
    if (messages.length === 0) return;
    const endedAt = env.monotonic();
    observe({ type: "turn", address: this.address, messages, attempts, startedAt, endedAt });
    if (this.#supervisor.isTroubled && messages.some(isServed)) {
      this.#supervisor.served(this.address.key);
    }
  }

  #refuseExpired(letters: readonly Letter[], now: number): readonly Letter[] {
    if (letters.every(({ envelope }) => envelope.deadline > now)) return letters;
    return letters.filter((letter) => {
      if (letter.envelope.deadline > now) return true;
      const where = addressText(this.address);
      this.#reject(letter, new TransientFault(`Waited at ${where} until past the deadline`));
      return false;
    });
  }

  /** Decides and records once; resolves with the letters that need another attempt. */
  async #attempt(letters: readonly Letter[]): Promise<readonly Letter[]> {
    if (this.#exclusiveTurnsLeft > 0) return await this.#attemptExclusively(letters);
    const { env, committer } = this.#context;
    const sentAt = env.monotonic();
    const turn = decideTurn(this.#aggregate, this.address, this.#loaded(), letters, env);
    if (this.#needsNoCommit(turn)) return this.#adopt(turn, this.#loaded().transaction);
    const outcome = await committer.commit(turn.commit);
    if (outcome.is === "conflict") return await this.#afterConflict(turn, letters);
    // Poison is refused unseen, which says nothing of where the actor stands.
    if (outcome.is !== "poison") this.#verifiedAt = sentAt;
    return await this.#conclude(turn, outcome, letters);
  }

  /** A turn that has something to write goes under the row lock; for others, reading is enough. */
  async #afterConflict(turn: Turn, letters: readonly Letter[]): Promise<readonly Letter[]> {
    this.#context.observe({ type: "conflict", address: this.address });
    if (isWriting(turn.commit)) {
      this.#unheard = turn;
      this.#exclusiveTurnsLeft = EXCLUSIVE_TURNS;
      return letters;
    }
    const askedAt = this.#context.env.monotonic();
    const afterVersion = this.#loaded().version;
    const loaded = await this.#context.loader.add({ address: this.address, afterVersion });
    // Not before it is read: until then what is in memory is known to be old.
    this.#verifiedAt = askedAt;
    return this.#catchUp(loaded, letters);
  }

  /** Nothing to write, and the standing was read after the last of these letters had come. */
  #needsNoCommit({ commit, verdicts }: Turn): boolean {
    return !isWriting(commit) &&
      verdicts.every(({ letter }) => letter.receivedAt < this.#verifiedAt);
  }

  /**
   * The turn under the row lock: catches up with what others wrote, then decides and commits while
   * they wait. Where several nodes press on one actor, they take turns rather than collide.
   */
  async #attemptExclusively(letters: readonly Letter[]): Promise<readonly Letter[]> {
    const { env, store, observe, limits, budget } = this.#context;
    const sentAt = env.monotonic();
    this.#exclusiveTurnsLeft--;
    let pending = letters;
    let turn: Turn | undefined;
    const decide = (caughtUp: Loaded) => {
      if (caughtUp.events.length > 0) this.#exclusiveTurnsLeft = EXCLUSIVE_TURNS;
      pending = this.#refuseExpired(this.#catchUp(caughtUp, pending), env.monotonic());
      turn = decideTurn(this.#aggregate, this.address, this.#loaded(), pending, env);
      return turn.commit;
    };
    const outcome = await retryTransient(
      () =>
        store.commitExclusively(this.address, this.#loaded().version, decide).catch(poisonOutcome),
      {
        ...retryPolicies.commit,
        giveUpMs: limits.giveUpMs,
        env,
        budget,
        onFailure: (error, retryInMs) => {
          if (error.outcome === "unknown") this.#unheard = turn ?? this.#unheard;
          observe({ type: "commit-failed", actors: 1, error, retryInMs });
        },
      },
    );
    if (outcome.is === "ok") this.#verifiedAt = sentAt;
    return await this.#conclude(turn!, outcome, pending);
  }

  async #conclude(
    turn: Turn,
    outcome: CommitOutcome,
    letters: readonly Letter[],
  ): Promise<readonly Letter[]> {
    switch (outcome.is) {
      case "ok":
        return this.#adopt(turn, outcome.transaction);
      case "conflict":
        this.#unheard = turn;
        return letters;
      case "duplicate":
        return letters.filter((letter) => !this.#answerFrom(outcome.replies, letter));
      case "consumed":
        return this.#handledElsewhere(letters, new Set(outcome.gone));
      case "poison":
        return await this.#isolatePoison(letters, outcome.cause);
    }
  }

  /** The store took the turn: from here on it is the truth, and its senders may know. */
  #adopt({ commit, state, verdicts }: Turn, transaction: string): readonly Letter[] {
    const isWritten = isWriting(commit);
    const standing = {
      state,
      version: commit.version + commit.events.length,
      revision: isWritten ? commit.revision + 1 : commit.revision,
      transaction: isWritten ? transaction : this.#loaded().transaction,
    };
    this.#standing = standing;
    if (isWritten) this.#context.peers?.wrote(this.address, standing.revision);
    this.#publish(commit);
    for (const verdict of verdicts) this.#tell(verdict, standing.transaction);
    this.#announce(commit);
    this.#keepSnapshotIfDue();
    return [];
  }

  #publish(commit: Commit): void {
    if (commit.events.length > 0) this.#context.publish?.(this.address, commit);
  }

  #announce({ messages = [] }: Commit): void {
    const to = messages.filter(({ delayMs }) => delayMs === 0).map(({ to }) => to);
    if (to.length > 0) this.#context.observe({ type: "told", to });
  }

  /** Moves the standing to what the store knows; answers the letters found to be applied already. */
  #catchUp(loaded: Loaded, letters: readonly Letter[]): readonly Letter[] {
    const before = this.#loaded();
    const { events: tail, revision, transaction } = loaded;
    if (loaded.version < before.version || revision < before.revision) {
      throw this.#dataLoss(before, loaded);
    }
    this.#standing = { ...this.#replayed(before, tail), revision, transaction };
    const unheard = this.#unheard;
    this.#unheard = undefined;
    if (unheard === undefined || !isWrittenIn(tail, unheard.commit)) return letters;
    this.#publish(unheard.commit);
    // All verdicts of the turn stand, those without events as well: decided anew,
    // they would come behind messages that their senders sent later.
    for (const verdict of unheard.verdicts) this.#tell(verdict, transaction);
    this.#announce(unheard.commit);
    return letters.filter(({ isSettled }) => !isSettled);
  }

  #answerFrom(replies: readonly RememberedReply[], letter: Letter): boolean {
    const { idempotency, principal } = letter.envelope;
    const reply = replies.find(({ key, principalId }) =>
      key === idempotency?.key && principalId === principal.id
    );
    if (reply === undefined) return false;
    const { version, transaction } = this.#loaded();
    if (reply.requestHash !== idempotency!.requestHash) {
      const reason = "idempotency-key-reused";
      this.#resolve(letter, { accepted: false, reason, version, replayed: false });
    } else {
      // Written by `decideTurn` as just that, and given back as it was.
      const outcome = reply.outcome as Outcome;
      this.#resolve(letter, {
        ...outcome,
        replayed: true,
        ...(outcome.accepted && { transaction }),
      });
    }
    return true;
  }

  /**
   * Another node has handled some of the messages, or buried them: it has the lane now, and whether
   * the ones behind them may be handled is its to know.
   */
  #handledElsewhere(letters: readonly Letter[], gone: ReadonlySet<number>): readonly Letter[] {
    for (const letter of letters) {
      if (letter.delivery === undefined || !gone.has(letter.delivery.position)) continue;
      letter.delivery.batch.isBroken = true;
      const { envelope, receivedAt } = letter;
      this.#settled(letter, { envelope, receivedAt, outcome: "replayed" });
      letter.reject(new AlreadyHandled());
    }
    return letters.filter(({ isSettled }) => !isSettled);
  }

  /** One letter's content spoils the whole turn, so each gets a turn of its own. */
  async #isolatePoison(letters: readonly Letter[], cause: unknown): Promise<readonly Letter[]> {
    if (letters.length === 1) {
      this.#reject(letters[0]!, cause);
      return [];
    }
    for (const letter of letters) await this.#attemptUntilSettled([letter]);
    return [];
  }

  #tell(verdict: Verdict, transaction: string): void {
    const { letter } = verdict;
    switch (verdict.is) {
      case "accepted": {
        const { version, answer } = verdict;
        this.#resolve(letter, { accepted: true, version, answer, transaction, replayed: false });
        break;
      }
      case "rejected": {
        const { version, reason } = verdict;
        this.#resolve(letter, { accepted: false, version, reason, replayed: false });
        break;
      }
      case "held-back":
        this.#reject(letter, heldBack());
        break;
      case "defect":
        this.#failed = graver(this.#failed, {
          is: isTold(letter) ? "told-defect" : "defect",
          error: verdict.error,
        });
        this.#reject(letter, verdict.error);
    }
  }

  #resolve(letter: Letter, outcome: Outcome): void {
    if (letter.isSettled) return;
    this.#settled(letter, {
      envelope: letter.envelope,
      receivedAt: letter.receivedAt,
      outcome: outcome.replayed ? "replayed" : outcome.accepted ? "accepted" : "rejected",
      ...(!outcome.accepted && { reason: outcome.reason }),
    });
    letter.resolve(outcome);
  }

  #reject(letter: Letter, error: unknown): void {
    if (letter.isSettled) return;
    if (letter.delivery !== undefined) letter.delivery.batch.isBroken = true;
    this.#settled(letter, {
      envelope: letter.envelope,
      receivedAt: letter.receivedAt,
      outcome: error instanceof TransientFault ? "fault" : "defect",
    });
    letter.reject(error);
  }

  #settled(letter: Letter, handled: HandledMessage): void {
    letter.isSettled = true;
    this.#handled.push(handled);
    if (letter.envelope.idempotency === undefined) return;
    this.#keysRunning?.delete(runningKey(letter));
    if (this.#keysRunning?.size === 0) this.#keysRunning = undefined;
  }

  #lostRaces(): string {
    return `Cannot commit to ${addressText(this.address)}: lost ${ATTEMPTS_MAX} races`;
  }

  #dataLoss(
    { version, revision }: Place,
    { version: storedVersion, revision: storedRevision }: Place,
  ): DataLoss {
    const stored = { version: storedVersion, revision: storedRevision };
    return new DataLoss(this.address, { version, revision }, stored);
  }

  #replayed(before: Standing, tail: readonly StoredEvent[]): Pick<Standing, "state" | "version"> {
    try {
      return replay(this.#aggregate, before, tail);
    } catch (error) {
      throw this.#asUnreadable(error);
    }
  }

  /**
   * Not what a fault of the world kept from being read. A snapshot ahead of its events is this actor's
   * trouble alone: unlike what an activation knows, it says nothing of the others.
   */
  #asUnreadable(error: unknown): unknown {
    if (error instanceof TransientFault) return error;
    const where = addressText(this.address);
    return new Unreadable(`Cannot read ${where}: ${reasonOf(error)}`, { cause: error });
  }

  #loaded(): Standing {
    if (this.#standing === undefined) throw new Error(`${addressText(this.address)} is not loaded`);
    return this.#standing;
  }

  /**
   * Snapshots grow with the actor, so their distance does as well: each covers at least half as many
   * events as the one before, which keeps the cost per event constant.
   */
  #keepSnapshotIfDue(): void {
    const tail = this.#loaded().version - this.#snapshotVersion;
    if (tail < Math.max(this.#context.limits.snapshotEvery, this.#snapshotVersion / 2)) return;
    const snapshot = this.#snapshot();
    if (snapshot !== undefined) this.#context.keepSnapshot(this.address, snapshot);
  }

  #snapshot(): Snapshot | undefined {
    const codec = this.#aggregate.snapshot;
    const { standing } = this;
    if (codec === undefined || standing === undefined) return undefined;
    const { version, state } = standing;
    this.#snapshotVersion = version;
    try {
      return { version, schema: codec.schema, state: codec.encode(state) };
    } catch (error) {
      this.#context.observe({ type: "snapshot-dropped", address: this.address, error });
      return undefined;
    }
  }
}

/** What was in the way of a commit may have been itself, and now nobody can look. */
function asUnknown(fault: TransientFault): TransientFault {
  const { message, retryAfterMs } = fault;
  return new TransientFault(message, { cause: fault, outcome: "unknown", retryAfterMs });
}

/** What no message is to blame for, whichever it was that met it. */
function isOfTheStream(error: unknown): boolean {
  return error instanceof Unreadable || error instanceof DataLoss;
}

function isTold({ delivery }: Letter): boolean {
  return delivery !== undefined;
}

/** For whoever counts attempts: the message may well succeed, once its actor can be read again. */
function asFault(error: unknown): TransientFault {
  return new TransientFault("Its actor cannot be read", { cause: error });
}

/** Decided anew and for good, which a remembered answer was not. */
function isServed({ outcome }: HandledMessage): boolean {
  return outcome === "accepted" || outcome === "rejected";
}

/** Under the row lock a commit stands alone: what the store refuses is that commit. */
function poisonOutcome(fault: unknown): CommitOutcome {
  if (!(fault instanceof PoisonFault)) throw fault;
  return { is: "poison", cause: fault };
}

/** Nothing is in the way any more once whoever brought the messages asks what is left. */
function heldBack(): TransientFault {
  return new TransientFault("Held back: one before it was not handled", { retryAfterMs: 0 });
}

function runningKey({ envelope }: Letter): string {
  return `${envelope.principal.id}\n${envelope.idempotency?.key}`;
}
