/**
 * Mistakes between a turn and the store, and in the store.
 *
 * @module
 */
import type { Mutant } from "./mutant.ts";

const COMMITTER = "lib/runtime/committer.ts";
const BATCHER = "lib/runtime/batcher.ts";
const RETRY = "lib/resilience/retry.ts";
const STREAMS = "lib/memory/streams.ts";

export const ofCommits: readonly Mutant[] = [
  {
    name: "no fence",
    file: STREAMS,
    find: `    if ((actor?.revision ?? 0) !== revision) return { is: "conflict" };`,
    replace: "",
    says: "The store applies a commit wherever the actor stands.",
    screams: ["I12"],
  },
  {
    name: "keys not looked up",
    file: STREAMS,
    find: `    if (known.length > 0) return`,
    replace: `    if (known.length < 0) return`,
    says: "The store takes a command whose key was answered before.",
    screams: ["I2", "I4", "I8"],
  },
  {
    name: "reply of another principal",
    file: STREAMS,
    find: "  return `${principalId}\\n${key}`;",
    replace: "  return principalId === undefined ? key : key;",
    says: "Keys are one for all, whoever uses them.",
    screams: ["I13", "I15"],
  },
  {
    name: "consumed, and left in the outbox",
    file: STREAMS,
    find: `    for (const position of change.consumed) this.#lanes.take(address, position);`,
    replace: "",
    says: "What was handled is not taken out.",
    screams: ["I2", "I8"],
  },
  {
    name: "consumed by two",
    file: STREAMS,
    find: `    if (gone.length > 0) return`,
    replace: `    if (gone.length < 0) return`,
    says: "Nobody looks whether another node has handled a message before.",
    screams: ["I2", "I8"],
    seedsMax: 200,
  },
  {
    name: "timers lost",
    file: STREAMS,
    find: `      const due = message.delayMs > 0`,
    replace: `      if (message.delayMs > 0) return;
      const due = message.delayMs > 0`,
    says: "What is told for later is never told.",
    screams: ["I10"],
  },
  {
    name: "unknown told as not applied",
    file: RETRY,
    find: `outcome: isUnknown ? "unknown" : "not-applied",`,
    replace: `outcome: "not-applied",`,
    says: "What may have been done is said to have failed.",
    screams: ["I3"],
  },
  {
    name: "only the last attempt counts",
    file: RETRY,
    find: `      isUnknown ||= fault.outcome === "unknown";`,
    replace: `      isUnknown = fault.outcome === "unknown";`,
    says: "An attempt of which nobody heard is forgotten over a later one that was refused.",
    screams: ["I3"],
  },
  {
    name: "poison spoils its neighbours",
    file: COMMITTER,
    find: `      if (batch.length === 1) return [{ is: "poison", cause: error }];`,
    replace:
      `      if (batch.length > 0) return batch.map(() => ({ is: "poison", cause: error }));`,
    says: "All commits of a batch are refused because of one that the store cannot take.",
    screams: ["defects"],
    seedsMax: 200,
  },
  {
    name: "halves told crosswise",
    file: COMMITTER,
    find: `      return [...first, ...await this.#write(batch.slice(middle))];`,
    replace: `      return [...await this.#write(batch.slice(middle)), ...first];`,
    says: "After a batch was split, each half is told what became of the other.",
    screams: ["I1", "I4", "I12", "defects"],
    seedsMax: 200,
  },
  {
    name: "answers to the wrong ones",
    file: BATCHER,
    find: `resolve(answers[index]!)`,
    replace: `resolve(answers[(index + 1) % answers.length]!)`,
    says: "Those of one batch are given each other's answers.",
    screams: ["defects", "I1", "I2", "I6", "I12", "I15"],
  },
  {
    name: "a failed batch stays silent",
    file: BATCHER,
    find: `      for (const { reject } of batch) reject(error);`,
    replace: `      batch[0]!.reject(error);`,
    says: "When a call fails, only the first of those who wait for it hears so.",
    screams: ["I15"],
  },
];
