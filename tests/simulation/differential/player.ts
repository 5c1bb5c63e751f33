/**
 * Plays operations on one store, and says what came of them in words that are the same for every store:
 * without its own numbers for transactions and positions, and without its clock.
 *
 * @module
 */
import { PoisonFault } from "../../../lib/fault.ts";
import type { JobEnding, JobHold, QueueLimits } from "../../../lib/jobs/job_queue.ts";
import { JOB_KIND } from "../../../lib/jobs/job.ts";
import type { Address } from "../../../lib/runtime/envelope.ts";
import type { DueCursor } from "../../../lib/runtime/outbox.ts";
import {
  type Commit,
  type FeedCursor,
  type FeedPage,
  type FeedQuery,
  feedStart,
  type NewMessage,
} from "../../../lib/runtime/store.ts";
import type { JobPost } from "../../contracts/job_queue_contract.ts";
import {
  addresses,
  type CommitPlan,
  type Ending,
  type Hold,
  HOUR_MS,
  type MessagePlan,
  type Operation,
  PAST,
  queues,
  type Token,
} from "./operations.ts";
import { asSaid, Namer } from "./saying.ts";

export type Subject = Omit<JobPost, "audit">;

const MINUTE_MS = 60_000;
/** Where nothing ever is. */
const NOWHERE = 2 ** 40;
const operator = { id: "root" };

/** A decision that nobody made. */
class NoDecision extends Error {
  override readonly name = "NoDecision";
}

export class Player {
  readonly #subject: Subject;
  readonly namer = new Namer();
  /** Of messages told by operations before this one. */
  readonly #ids: string[] = [];
  readonly #told = new Set<string>();
  /** Or nearly so. */
  readonly #buried: string[] = [];
  #feedCursor: FeedCursor = feedStart;
  #dueCursor: DueCursor | undefined;
  #newest = 0n;
  #number = 0;

  constructor(subject: Subject) {
    this.#subject = subject;
  }

  /** What came of it. */
  async play(operation: Operation): Promise<unknown> {
    this.#number++;
    for (const id of this.#told) if (!this.#ids.includes(id)) this.#ids.push(id);
    this.#told.clear();
    try {
      return asSaid(await this.#play(operation), this.namer);
    } catch (error) {
      if (error instanceof PoisonFault || error instanceof NoDecision) return error.name;
      throw error;
    }
  }

  async #play(operation: Operation): Promise<unknown> {
    const { store, outbox, deadLetters, jobs } = this.#subject;
    switch (operation.is) {
      case "load":
        return await store.load(operation.actors.map((n) => ({
          address: addresses[n]!,
          ...(operation.after !== undefined && { afterVersion: operation.after }),
        })));
      case "commit":
        return await this.#commit(operation.commits);
      case "commitExclusively": {
        const { commit, after, throws } = operation;
        const address = addresses[commit.actor]!;
        return this.#noted([
          await store.commitExclusively(address, after, (caughtUp) => {
            if (throws) throw new NoDecision();
            return this.#commitOf(commit, caughtUp, 0);
          }),
        ]);
      }
      case "saveSnapshot": {
        const { actor, version } = operation;
        const snapshot = { version, schema: 1, state: { version, by: this.#number } };
        return await store.saveSnapshots([{ address: addresses[actor]!, snapshot }]);
      }
      case "forgetReplies":
        return await store.forgetReplies(PAST + operation.before * MINUTE_MS, 100);
      case "readStream": {
        const { actor, after, limit } = operation;
        const range = {
          ...(after !== undefined && { after }),
          ...(limit !== undefined && { limit }),
        };
        return await store.readStream(addresses[actor]!, range);
      }
      case "readFeed":
        return await this.#readFeed(operation);
      case "claim": {
        const { lanes, token, leaseMs, limit } = operation;
        return await outbox.claim(lanes.map((n) => addresses[n]!), { token, leaseMs, limit });
      }
      case "settle":
        return await outbox.settle(operation.lanes.map(({ lane, token, pauseMs: ms, attempts }) => {
          const address = addresses[lane]!;
          const claim = { address, token: this.#tokenOf(address, token) };
          if (ms === undefined) return claim;
          const position = this.namer.headOf(address) ?? NOWHERE;
          return { ...claim, pause: { ms, position, attempts, error: "why" } };
        }));
      case "bury": {
        const { lane, token, message, isParked } = operation;
        const address = addresses[lane]!;
        const position = this.#positionIn(address, message);
        this.#buried.push(this.namer.nameOf(position));
        return await outbox.bury({
          address,
          token: this.#tokenOf(address, token),
          position,
          attempts: 3,
          error: `why ${this.#number}`,
          isParked,
        });
      }
      case "complete": {
        const address = addresses[operation.lane]!;
        const position = this.#positionIn(address, operation.message);
        const token = this.#tokenOf(address, operation.token);
        return await outbox.complete({ address, token, position });
      }
      case "postpone":
        return await outbox.postpone(addresses[operation.lane]!, operation.limit);
      case "standing":
        return await outbox.standing(addresses[operation.lane]!, operation.countMax);
      case "due": {
        const after = operation.goesOn ? this.#dueCursor : undefined;
        const page = await outbox.due(after, operation.limit);
        this.#dueCursor = page.next;
        return { ...page, next: page.next?.position };
      }
      case "depth":
        return await outbox.depth(operation.countMax);
      case "tidy":
        return await outbox.tidy();
      case "letters": {
        const { lane, limit } = operation;
        return await deadLetters.list({ limit, ...(lane !== undefined && addresses[lane]) });
      }
      case "letter":
        return await this.#actOn(this.#buriedOr(operation.message), operation.act);
      case "redriveLane":
        return await deadLetters.redrive(
          { ...addresses[operation.lane]!, limit: operation.limit },
          operator,
        );
      case "enqueue":
        return await jobs.enqueue(operation.jobs.map((plan, n) => this.#message(plan, n)));
      case "claimJobs": {
        const { queue, token, leaseMs, limit } = operation;
        const limits = limitsOf(operation);
        const claim = { queue: queues[queue]!, token, leaseMs, limit, limits };
        return await jobs.claim(claim);
      }
      case "started":
        return await jobs.started(queues[operation.queue]!, operation.token, operation.windowMs);
      case "settleJobs":
        return await jobs.settle(
          eachOnce(operation.endings.flatMap((ending, n) => this.#ending(ending, n) ?? [])),
        );
      case "extend": {
        const { leaseMs, isCounted } = operation;
        const holds = eachOnce(operation.holds.flatMap((hold) => this.#hold(hold) ?? []));
        return await jobs.extend(holds, leaseMs, { isCounted });
      }
      case "note": {
        const hold = this.#hold(operation.hold);
        return hold && await jobs.note(hold, operation.progress);
      }
      case "job":
        return await jobs.get(this.#idOf(operation.job));
      case "jobs": {
        const { queue, status, limit } = operation;
        return await jobs.list({
          queue: queues[queue]!,
          limit,
          ...(status !== undefined && { status }),
        });
      }
      case "cancelJob": {
        const { job, keepMs, isReported } = operation;
        const report = { ...(isReported && { report: this.#report(0) }) };
        return await jobs.cancel(this.#idOf(job), "ana", { keepMs, ...report });
      }
      case "queueDepth":
        return await jobs.depth(queues, operation.countMax);
      case "nextDue":
        return { nextDueMs: await jobs.nextDueMs(queues[operation.queue]!) };
      case "forgetJobs":
        return await jobs.forget(operation.limit);
    }
  }

  async #commit(plans: readonly CommitPlan[]): Promise<unknown> {
    const { store } = this.#subject;
    const stands = await store.load(plans.map(({ actor }) => ({ address: addresses[actor]! })));
    return this.#noted(
      await store.commit(plans.map((plan, n) => this.#commitOf(plan, stands[n]!, n))),
    );
  }

  #noted<Outcome extends { readonly is: string }>(outcomes: readonly Outcome[]) {
    for (const outcome of outcomes) {
      if (!("transaction" in outcome)) continue;
      const transaction = BigInt(outcome.transaction as string);
      if (transaction > this.#newest) this.#newest = transaction;
    }
    return outcomes;
  }

  #commitOf(
    plan: CommitPlan,
    stands: { readonly revision: number; readonly version: number },
    place: number,
  ): Commit {
    const address = addresses[plan.actor]!;
    const revision = {
      right: stands.revision,
      behind: Math.max(0, stands.revision - 1),
      ahead: stands.revision + 1,
      new: 0,
    }[plan.base];
    return {
      address,
      revision,
      version: stands.version,
      at: PAST + plan.at * MINUTE_MS,
      events: plan.events.map((type) => ({
        type,
        schema: 1,
        data: { note: plan.note, by: this.#number, place },
        correlationId: uuid(this.#number, 0),
        causationId: uuid(this.#number, 1),
        principalId: "ana",
      })),
      replies: plan.replies.map(({ principal, key }) => ({
        principalId: principal,
        key,
        requestHash: "hash",
        outcome: { by: this.#number },
      })),
      ...(plan.messages !== undefined && {
        messages: plan.messages.map((message, n) => this.#message(message, 10 * place + n)),
      }),
      ...(plan.consumed !== undefined && {
        consumed: this.#consumed(address, plan.consumed),
      }),
    };
  }

  #consumed(address: Address, nths: readonly number[]): readonly number[] {
    const positions = nths.map((nth) => nth >= 28 ? NOWHERE : this.namer.positionIn(address, nth));
    return [...new Set(positions.filter((position) => position !== undefined))];
  }

  #message(plan: MessagePlan, place: number): NewMessage {
    const { to, note, delayMs, again, priority, uniqueKey, concurrencyKey } = plan;
    const earlier = again === undefined ? undefined : this.#idOf(again);
    // Nobody tells one thing twice at once.
    const messageId = earlier === undefined || this.#ids.length === 0 || this.#told.has(earlier)
      ? uuid(this.#number, 100 + place)
      : earlier;
    this.#told.add(messageId);
    const isJob = to >= addresses.length;
    return {
      messageId,
      to: isJob ? { kind: JOB_KIND, key: queues[to - addresses.length]! } : addresses[to]!,
      schema: 1,
      command: { note, by: this.#number, place },
      correlationId: uuid(this.#number, 0),
      causationId: uuid(this.#number, 1),
      principal: { id: "ana", roles: ["clerk"] },
      delayMs,
      ...(isJob && {
        job: {
          priority,
          ...(uniqueKey !== undefined && { uniqueKey }),
          ...(concurrencyKey !== undefined && { concurrencyKey }),
        },
      }),
    };
  }

  #report(place: number): NewMessage {
    return {
      messageId: uuid(this.#number, 50 + place),
      to: addresses[0],
      schema: 1,
      command: { by: this.#number },
      correlationId: uuid(this.#number, 0),
      causationId: uuid(this.#number, 1),
      principal: { id: "ana", roles: [] },
      delayMs: 0,
    };
  }

  async #readFeed(
    { goesOn, limit, kind, types }: Extract<Operation, { is: "readFeed" }>,
  ): Promise<unknown> {
    const page = await this.#settledPage({
      after: goesOn ? this.#feedCursor : feedStart,
      limit,
      ...(kind !== undefined && { kind }),
      ...(types !== undefined && { types }),
    });
    this.#feedCursor = page.events.at(-1)?.cursor ?? this.#feedCursor;
    const through = BigInt(page.through);
    const last = page.events.at(-1)?.cursor.transaction;
    return {
      events: page.events,
      isComplete: through >= this.#newest,
      isLastComplete: last === undefined || through >= BigInt(last),
    };
  }

  /** Once nothing holds it back that others have begun on the same server. */
  async #settledPage(query: FeedQuery): Promise<FeedPage> {
    for (;;) {
      const page = await this.#subject.store.readFeed(query);
      if (page.events.length === query.limit || BigInt(page.through) >= this.#newest) return page;
    }
  }

  async #actOn(messageId: string, act: "get" | "edit" | "redrive" | "discard"): Promise<unknown> {
    const { deadLetters } = this.#subject;
    switch (act) {
      case "get":
        return await deadLetters.get(messageId);
      case "edit":
        return await deadLetters.edit(
          messageId,
          { schema: 2, command: { edited: this.#number } },
          operator,
        );
      case "redrive":
        return await deadLetters.redrive({ messageId }, operator);
      case "discard":
        return await deadLetters.discard(messageId, operator);
    }
  }

  #ending(ending: Ending, place: number): JobEnding | undefined {
    const hold = this.#hold(ending);
    if (hold === undefined) return undefined;
    const { is, keepMs, delayMs, isReported } = ending;
    const common = {
      ...hold,
      isCounted: true,
      ...(isReported && is !== "retried" && is !== "released" && { report: this.#report(place) }),
    };
    const error = `why ${this.#number}`;
    switch (is) {
      case "completed":
        return { ...common, is, result: { by: this.#number }, keepMs };
      case "cancelled":
        return { ...common, is, keepMs };
      case "retried":
        return { ...common, is, delayMs, error };
      case "failed":
        this.#buried.push(this.namer.nameOf(hold.position));
        return { ...common, is, error };
      case "released":
        return { ...common, is };
    }
  }

  /** Undefined if no job was ever claimed. */
  #hold({ job, token }: Hold): JobHold | undefined {
    const held = this.namer.claimed(job);
    return held && { ...held, token: token ?? held.token };
  }

  #buriedOr(nth: number): string {
    const known = this.#buried.filter((id) => id !== "unknown");
    return known[nth % Math.max(1, 2 * known.length)] ?? this.#idOf(nth);
  }

  #tokenOf(lane: Address, token: Token): number {
    return token ?? this.namer.tokenOf(lane) ?? 0;
  }

  #idOf(nth: number): string {
    return this.#ids[nth % Math.max(1, this.#ids.length)] ?? uuid(0, 0);
  }

  /** Mostly one that was seen there. */
  #positionIn(address: Address, nth: number): number {
    return nth >= 28 ? NOWHERE : this.namer.positionIn(address, nth) ?? NOWHERE;
  }
}

/** Nobody says two things about one job at once. */
function eachOnce<T extends JobHold>(holds: readonly T[]): readonly T[] {
  return [...new Map(holds.map((hold) => [hold.position, hold])).values()];
}

function limitsOf(
  { runningMax, runningPerKeyMax, rateMax }: Extract<Operation, { is: "claimJobs" }>,
): QueueLimits {
  return {
    ...(runningMax !== undefined && { runningMax }),
    ...(runningPerKeyMax !== undefined && { runningPerKeyMax }),
    ...(rateMax !== undefined && { rate: { max: rateMax, windowMs: HOUR_MS } }),
  };
}

function uuid(operation: number, place: number): string {
  const text = (operation * 1_000 + place).toString(16).padStart(12, "0");
  return `00000000-0000-7000-8000-${text}`;
}
