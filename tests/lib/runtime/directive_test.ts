/** The policy of supervision, as a table. */
import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import {
  DataLoss,
  type Directive,
  directiveFor,
  type Failed,
  failedBy,
  type Failure,
  graver,
  Unreadable,
} from "../../../lib/runtime/directive.ts";

const strategy = {
  restartsMax: 4,
  restartWindowMs: 10_000,
  pauseFirstMs: 100,
  pauseMostMs: 300,
  quarantineMs: 60_000,
};
const now = 50_000;
/** Of each pause, the longest. */
const random = 1;

const again = (inMs: number): Directive => ({ do: "restart", inMs, isCounted: true });
const atOnce: Directive = { do: "restart", inMs: 0, isCounted: false };
const crowded = [49_000, 49_100, 49_200, 49_300, 49_400];

const table: readonly [string, Failure, readonly number[], Directive][] = [
  ["a fault changes nothing", "fault", [], { do: "resume" }],
  ["a fault changes nothing, whatever was before", "fault", crowded, { do: "resume" }],
  ["an unknown outcome restarts at once, and is not counted", "unknown-outcome", [], atOnce],
  ["unknown outcomes are never too many", "unknown-outcome", crowded, atOnce],
  ["what a told message breaks is bounded by whoever brings it", "told-defect", crowded, atOnce],
  ["a first defect restarts at once", "defect", [], again(0)],
  ["a second one waits", "defect", [49_000], again(100)],
  ["a third one waits twice as long", "defect", [49_000, 49_500], again(200)],
  ["no wait is longer than the longest", "defect", [49_000, 49_500, 49_600], again(300)],
  ["what lies further back is forgiven", "defect", [10, 20, 30, 40, 40_000, 49_000], again(100)],
  ["one beyond the most leads into quarantine", "defect", crowded.slice(1), {
    do: "stop",
    forMs: 60_000,
  }],
  ["lost events are not for the actor alone", "data-loss", [], { do: "escalate" }],
];

for (const [name, failure, restarts, expected] of table) {
  Deno.test(`directive: ${name}`, () => {
    assert.deepEqual(directiveFor(failure, restarts, strategy, { now, random }), expected);
  });
}

Deno.test("directive: of a wait half is chance", () => {
  const waits = [0, 0.5].map((random) =>
    directiveFor("defect", [49_000], strategy, { now, random })
  );
  assert.deepEqual(waits, [again(50), again(75)]);
});

const address = { kind: "counter", key: "a" };
const loss = new DataLoss(address, { version: 2, revision: 2 }, { version: 1, revision: 1 });

Deno.test("a failure is what its error says", () => {
  const errors = [
    new TransientFault("away"),
    new TransientFault("silent", { outcome: "unknown" }),
    loss,
    new Unreadable("no such event"),
    new TypeError("state is undefined"),
    undefined,
  ];
  assert.deepEqual(errors.map((error) => failedBy(error).is), [
    "fault",
    "unknown-outcome",
    "data-loss",
    "defect",
    "defect",
    "defect",
  ]);
});

Deno.test("of two failures the graver counts, and of equal ones the first", () => {
  const kinds: readonly Failure[] = [
    "fault",
    "unknown-outcome",
    "told-defect",
    "defect",
    "data-loss",
  ];
  const failed = (is: Failure, error: number): Failed => ({ is, error });
  for (const [place, is] of kinds.entries()) {
    for (const [otherPlace, other] of kinds.entries()) {
      const first = failed(is, 1);
      const second = failed(other, 2);
      assert.equal(graver(first, second), otherPlace > place ? second : first);
    }
  }
  const only = failed("fault", 1);
  assert.equal(graver(undefined, only), only);
});
