/**
 * What is told arrives: once where actors are told, at least once outside, and in order.
 *
 * @module
 */
import { addressText } from "../../../lib/runtime/envelope.ts";
import type { NewMessage } from "../../../lib/runtime/store.ts";
import { JOB_KIND } from "../../../lib/jobs/job.ts";
import { BELL } from "../actors/register.ts";
import * as Register from "../actors/register.ts";
import { consumers } from "../node.ts";
import { Broken, type Chronicle } from "./chronicle.ts";

/** I10: the outside hears of all that was committed, of nothing else, and first of what was first. */
export function theOutsideHearsAllInOrder({ history }: Chronicle): void {
  const told = messagesIn(history.commits).filter(({ message: { to } }) => to.kind === BELL);
  const known = new Set(told.map(({ message: { messageId } }) => messageId));
  const heard = new Map<string, number>();
  for (const { message: { messageId } } of history.rung) {
    if (!known.has(messageId)) throw new Broken("I10", `${messageId} was rung and never committed`);
    if (!heard.has(messageId)) heard.set(messageId, heard.size);
  }
  const dead = new Set(history.deadLetters.map(({ messageId }) => messageId));
  const last = new Map<string, number>();
  for (const { from, message: { messageId, to } } of told) {
    if (dead.has(messageId)) continue;
    const way = `${from} to ${addressText(to)}`;
    const place = heard.get(messageId);
    if (place === undefined) throw new Broken("I10", `${messageId} was committed and never rung`);
    if (place < (last.get(way) ?? -1)) {
      throw new Broken("I10", `${messageId} was rung before one that was told earlier, ${way}`);
    }
    last.set(way, place);
  }
}

/** I10: what one actor tells another is handled once, in order, or lies among the dead letters. */
export function messagesAreHandledInOrder(chronicle: Chronicle): void {
  const { history, effects } = chronicle;
  const dead = new Set(history.deadLetters.map(({ messageId }) => messageId));
  const told = messagesIn(history.commits).filter(({ message }) => leavesATrace(message));
  const last = new Map<string, number>();
  for (const { from, message: { messageId, to } } of told) {
    if (dead.has(messageId)) continue;
    const [effect] = effects.get(messageId) ?? [];
    if (effect === undefined) throw new Broken("I10", `${messageId} was told and never handled`);
    const way = `${from} to ${addressText(to)}`;
    if (effect.firstVersion < (last.get(way) ?? 0)) {
      throw new Broken("I10", `${messageId} was handled before one that was told earlier, ${way}`);
    }
    last.set(way, effect.firstVersion);
  }
}

/** I10: what a job does at an actor is done once, for each job that was enqueued. */
export function jobsAreDoneOnce({ history }: Chronicle): void {
  const done = new Map<string, number>();
  for (const [text, stream] of history.streams) {
    if (!text.startsWith(`${Register.kind}/`)) continue;
    for (const { data } of stream) {
      const { value } = data as Register.Event;
      if (value.endsWith("done")) done.set(value, (done.get(value) ?? 0) + 1);
    }
  }
  const dead = new Set(history.deadLetters.map(({ messageId }) => messageId));
  for (const { message: { to, command, messageId } } of messagesIn(history.commits)) {
    if (to.kind !== JOB_KIND || dead.has(messageId)) continue;
    const { value } = (command as { readonly payload: { readonly value: string } }).payload;
    const times = done.get(value) ?? 0;
    if (times !== 1) throw new Broken("I10", `the job for ${value} was done ${times} times`);
    done.delete(value);
  }
  const [more] = done.keys();
  if (more !== undefined) throw new Broken("I10", `${more} was done, and no job was enqueued`);
}

/** I2, for consumers: each has every event once, and those of one actor in order. */
export function consumersHaveEachEventOnce({ history }: Chronicle): void {
  const { streams, effects } = history;
  for (const { name, kind } of consumers) {
    const last = new Map<string, number>();
    for (const { address, version } of effects.get(name) ?? []) {
      const text = addressText(address);
      const expected = (last.get(text) ?? 0) + 1;
      if (version !== expected) {
        throw new Broken("I2", `${name} had version ${version} of ${text}, not ${expected}`);
      }
      last.set(text, version);
    }
    for (const [text, stream] of streams) {
      if (kind !== undefined && !text.startsWith(`${kind}/`)) continue;
      const seen = last.get(text) ?? 0;
      if (seen !== stream.length) {
        throw new Broken("I2", `${name} had ${seen} of the ${stream.length} events of ${text}`);
      }
    }
  }
}

interface Told {
  /** Address text. */
  readonly from: string;
  readonly message: NewMessage;
}

/** In order, as far as one actor told them: what several tell at one time has no order. */
function messagesIn(commits: Chronicle["history"]["commits"]): readonly Told[] {
  return commits.flatMap(({ commit: { address, messages = [] } }) =>
    messages.map((message) => ({ from: addressText(address), message }))
  );
}

/** By kind: what always leads to an event. Of the rest, as timers, much finds nothing to do. */
const tracedTypes: Readonly<Record<string, readonly string[]>> = {
  purse: ["Receive"],
  register: ["Append"],
  account: ["Reserve", "Pay", "Receive"],
  market: ["Submit", "Replace"],
  portfolio: ["Reserve", "Take", "Deliver"],
  risk: ["Check", "Traded", "Earned"],
};

function leavesATrace({ to, command }: NewMessage): boolean {
  const { type } = command as { readonly type: string };
  return tracedTypes[to.kind]?.includes(type) ?? false;
}
