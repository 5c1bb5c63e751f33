/** Whether what the service answered can all be true at once. */
import type { CapturedAnswer } from "./load_generator.ts";

interface Answered {
  readonly registrationId: string;
  readonly status: "confirmed" | "waitlisted";
  readonly position?: number;
}

/** What is wrong with the answers to one rush on a new event of `capacity` seats; empty if nothing. */
export function faultsInRush(answers: readonly CapturedAnswer[], capacity: number): string[] {
  const faults: string[] = [];
  const registered = answers
    .filter(({ status }) => status === 201)
    .map(({ body }) => JSON.parse(body) as Answered);
  if (registered.length < answers.length) {
    const first = answers.find(({ status }) => status !== 201)!;
    faults.push(`${answers.length - registered.length} not registered, as in ${excerpt(first)}`);
  }
  const seats = Math.min(capacity, answers.length);
  const confirmed = registered.filter(({ status }) => status === "confirmed").length;
  if (confirmed !== seats) faults.push(`${confirmed} confirmed for ${seats} seats`);
  if (new Set(registered.map(({ registrationId }) => registrationId)).size < registered.length) {
    faults.push("a registrationId was given twice");
  }
  faults.push(...faultsInPositions(registered.flatMap(({ position }) => position ?? [])));
  return faults;
}

/** Positions must be 1 to n, each once. */
export function faultsInPositions(positions: readonly number[]): string[] {
  const sorted = positions.toSorted((a, b) => a - b);
  const wrong = sorted.findIndex((position, index) => position !== index + 1);
  return wrong < 0 ? [] : [`waitlist position ${sorted[wrong]} where ${wrong + 1} was due`];
}

function excerpt({ status, body }: CapturedAnswer): string {
  return `${status} ${body.slice(0, 200)}`;
}
