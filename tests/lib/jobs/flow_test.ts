/** What follows from what in a flow, policy by policy. */
import assert from "node:assert/strict";
import * as Flow from "../../../lib/jobs/flow/aggregate.ts";
import { childResults, flowView, nodeViews } from "../../../lib/jobs/flow/views.ts";
import {
  FlowRun,
  node,
  planOf,
  roundTripped,
  undo,
  undoable,
  work,
} from "../../support/flow_run.ts";
import { given, KEY } from "../../support/given.ts";

function statusesOf({ state }: FlowRun): Record<string, string> {
  return Object.fromEntries(
    nodeViews(state).map(({ name, status }) => [name, status]),
  );
}

const reportTo = (node: string) => ({ to: { kind: "flow", key: KEY }, schema: 1, node });

const traits = { priority: 5 };

Deno.test("a start enqueues what has no children, each job with the way back", () => {
  const nodes = planOf([
    node("both"),
    node("left", "both"),
    node("right", "both", { options: { delayMs: 500, priority: 1, concurrencyKey: "k" } }),
  ]);
  given(Flow, []).when({ type: "Start", nodes }).thenTelling([
    {
      to: { kind: "job", key: work.queue },
      schema: 1,
      command: { type: "work", payload: "left", reportTo: reportTo("left") },
      job: traits,
    },
    {
      to: { kind: "job", key: work.queue },
      schema: 1,
      command: { type: "work", payload: "right", reportTo: reportTo("right") },
      delayMs: 500,
      job: { priority: 1, concurrencyKey: "k" },
    },
  ], { type: "FlowStarted", nodes });
});

Deno.test("one node alone is a flow", () => {
  const run = new FlowRun([node("only")]);
  assert.deepEqual(run.enqueued, ["only"]);
  assert.deepEqual(run.completes("only", 7), ["NodeCompleted only", "FlowCompleted"]);
  assert.deepEqual(run.events.at(-1), { type: "FlowCompleted", result: 7 });
});

Deno.test("a parent is enqueued with the last of its children, and level by level up to the end", () => {
  const run = new FlowRun([
    node("root"),
    node("a", "root"),
    node("b", "root"),
    node("a1", "a"),
    node("a2", "a"),
  ]);
  assert.deepEqual(run.enqueued, ["b", "a1", "a2"]);
  assert.deepEqual(run.completes("a1"), ["NodeCompleted a1"]);
  assert.deepEqual(run.completes("b"), ["NodeCompleted b"]);
  assert.deepEqual(run.completes("a2"), ["NodeCompleted a2", "NodeEnqueued a", "→ a"]);
  assert.deepEqual(run.completes("a"), ["NodeCompleted a", "NodeEnqueued root", "→ root"]);
  assert.deepEqual(run.completes("root"), ["NodeCompleted root", "FlowCompleted"]);
});

Deno.test("a job is given what its children gave, in the order in which they were asked for", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "ignore" }),
    node("a", "root"),
    node("b", "root"),
    node("c", "root"),
    node("d", "root"),
  ]);
  run.completes("c", { many: [1, 2] });
  run.isCancelled("d");
  run.fails("b", "no luck");
  run.completes("a", null);
  assert.equal(run.enqueued.at(-1), "root");
  assert.deepEqual(childResults(run.state, "root"), [
    { node: "a", outcome: "completed", result: null },
    { node: "b", outcome: "failed", error: "no luck" },
    { node: "c", outcome: "completed", result: { many: [1, 2] } },
    { node: "d", outcome: "cancelled" },
  ]);
  assert.deepEqual(childResults(run.state, "a"), []);
  assert.deepEqual(childResults(run.state, "nobody"), []);
});

Deno.test("a job that gives nothing has given null", () => {
  const run = new FlowRun([node("root")]);
  run.tell({ type: "Report", node: "root", jobId: "1", outcome: "completed", result: undefined });
  assert.deepEqual(run.events.at(-1), { type: "FlowCompleted", result: null });
});

Deno.test("fail: a failure climbs to the root at once, and nothing is enqueued any more", () => {
  const run = new FlowRun([
    node("root"),
    node("a", "root"),
    node("b", "root"),
    node("a1", "a"),
    node("a2", "a"),
    node("b1", "b"),
  ]);
  run.completes("a1");
  assert.deepEqual(run.fails("a2", "boom"), [
    "NodeFailed a2",
    "NodeFailed a",
    "NodeFailed root",
    "FlowFailed",
  ]);
  assert.deepEqual(run.events.at(-1), { type: "FlowFailed", error: "a2 failed: boom" });
  assert.deepEqual(run.completes("b1"), []);
  assert.deepEqual(run.enqueued, ["a1", "a2", "b1"]);
  assert.deepEqual(statusesOf(run), {
    root: "failed",
    a: "failed",
    b: "cancelled",
    a1: "completed",
    a2: "failed",
    b1: "abandoned",
  });
  assert.deepEqual(flowView(run.state), {
    status: "failed",
    error: "a2 failed: boom",
    nodes: {
      total: 6,
      waiting: 0,
      running: 0,
      compensating: 0,
      completed: 1,
      failed: 3,
      cancelled: 1,
      abandoned: 1,
    },
  });
});

Deno.test("fail: what fails far below goes no further up than the first that ignores it", () => {
  const run = new FlowRun([
    node("root"),
    node("a", "root", { onChildFailure: "ignore" }),
    node("a1", "a"),
    node("a11", "a1"),
    node("a12", "a1"),
    node("a2", "a"),
  ]);
  assert.deepEqual(run.fails("a11"), ["NodeFailed a11", "NodeFailed a1"]);
  assert.deepEqual(run.completes("a2"), ["NodeCompleted a2", "NodeEnqueued a", "→ a"]);
  // Its job runs on though its parent has failed: how it ends is kept, and nothing follows.
  assert.deepEqual(run.completes("a12"), ["NodeCompleted a12"]);
  assert.deepEqual(childResults(run.state, "a"), [
    { node: "a1", outcome: "failed", error: "a11 failed: boom" },
    { node: "a2", outcome: "completed", result: "of a2" },
  ]);
  assert.deepEqual(run.completes("a"), ["NodeCompleted a", "NodeEnqueued root", "→ root"]);
  assert.deepEqual(run.completes("root"), ["NodeCompleted root", "FlowCompleted"]);
});

Deno.test("a parent that fails by itself is its parent's to deal with", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "ignore" }),
    undoable("a", "root", { onChildFailure: "compensate" }),
    undoable("a1", "a"),
  ]);
  run.completes("a1");
  assert.deepEqual(run.fails("a"), ["NodeFailed a", "NodeEnqueued root", "→ root"]);
});

Deno.test("a job that somebody cancels counts as failed", () => {
  const run = new FlowRun([node("root"), node("a", "root")]);
  assert.deepEqual(run.isCancelled("a"), ["NodeCancelled a", "NodeFailed root", "FlowFailed"]);
  assert.deepEqual(run.events.at(-1), { type: "FlowFailed", error: "a was cancelled" });
});

Deno.test("compensate: what completed below is undone, the last first, one after another", () => {
  const run = new FlowRun([
    node("trip", undefined, { onChildFailure: "compensate" }),
    undoable("flight", "trip"),
    undoable("hotel", "trip"),
    node("insurance", "trip"),
    undoable("car", "trip"),
  ]);
  run.completes("hotel");
  run.completes("insurance");
  run.completes("flight");
  assert.deepEqual(run.fails("car", "none left"), [
    "NodeFailed car",
    "CompensationBegan trip",
    "CompensationPlanned trip",
    "UndoingEnqueued flight",
    "→ flight/compensation",
  ]);
  assert.deepEqual(childResults(run.state, "flight/compensation"), [
    { node: "flight", outcome: "completed", result: "of flight" },
  ]);
  assert.deepEqual(run.completes("flight/compensation"), [
    "NodeUndone flight",
    "UndoingEnqueued hotel",
    "→ hotel/compensation",
  ]);
  assert.equal(statusesOf(run).trip, "compensating");
  assert.deepEqual(run.completes("hotel/compensation"), [
    "NodeUndone hotel",
    "NodeFailed trip",
    "FlowFailed",
  ]);
  assert.deepEqual(run.events.at(-1), { type: "FlowFailed", error: "car failed: none left" });
});

Deno.test("compensate: the job that undoes is the one that was asked for", () => {
  const history = [
    {
      type: "FlowStarted",
      nodes: planOf([
        node("root", undefined, { onChildFailure: "compensate" }),
        undoable("a", "root"),
        node("b", "root"),
      ]),
    },
    { type: "NodeCompleted", node: "a", jobId: "1", result: 1 },
  ] as const;
  given(Flow, history)
    .when({ type: "Report", node: "b", jobId: "2", outcome: "failed", error: "boom" })
    .thenTelling(
      [{
        to: { kind: "job", key: undo.queue },
        schema: undo.schema,
        command: { type: "undo", payload: "a", reportTo: reportTo("a/compensation") },
        job: traits,
      }],
      { type: "NodeFailed", node: "b", jobId: "2", error: "boom" },
      { type: "CompensationBegan", node: "root", because: "b failed: boom" },
      { type: "CompensationPlanned", node: "root", undo: ["a"] },
      { type: "UndoingEnqueued", node: "a" },
    );
});

Deno.test("compensate: nothing to undo is undone at once", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    node("a", "root"),
    undoable("b", "root"),
  ]);
  run.completes("a");
  assert.deepEqual(run.fails("b"), [
    "NodeFailed b",
    "CompensationBegan root",
    "CompensationPlanned root",
    "NodeFailed root",
    "FlowFailed",
  ]);
});

Deno.test("compensate: what still runs is waited for, and undone too if it completes", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    undoable("a", "root"),
    undoable("b", "root"),
    undoable("c", "root"),
    node("d", "root"),
  ]);
  run.completes("a");
  assert.deepEqual(run.fails("d"), ["NodeFailed d", "CompensationBegan root"]);
  assert.deepEqual(run.fails("c"), ["NodeFailed c"]);
  assert.deepEqual(run.completes("b"), [
    "NodeCompleted b",
    "CompensationPlanned root",
    "UndoingEnqueued b",
    "→ b/compensation",
  ]);
  run.completes("b/compensation");
  run.completes("a/compensation");
  assert.equal(run.events.filter(({ type }) => type === "FlowFailed").length, 1);
});

Deno.test("compensate: what could not be undone is seen, and the rest undone nevertheless", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    undoable("a", "root"),
    undoable("b", "root"),
    undoable("c", "root"),
    node("d", "root"),
  ]);
  for (const name of ["a", "b", "c"]) run.completes(name);
  run.fails("d");
  assert.deepEqual(run.fails("c/compensation", "stuck"), [
    "UndoingFailed c",
    "UndoingEnqueued b",
    "→ b/compensation",
  ]);
  run.isCancelled("b/compensation");
  assert.deepEqual(run.completes("a/compensation"), [
    "NodeUndone a",
    "NodeFailed root",
    "FlowFailed",
  ]);
  const shown = nodeViews(run.state).map(({ name, status, compensation }) =>
    [name, status, compensation?.status, compensation?.error].join(" ")
  );
  assert.deepEqual(shown, [
    "root failed  ",
    "a completed completed ",
    "b completed failed It was cancelled",
    "c completed failed stuck",
    "d failed  ",
  ]);
});

Deno.test("compensate: a whole part of the tree is undone, parents before their children", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "ignore" }),
    node("saga", "root", { onChildFailure: "compensate" }),
    undoable("order", "saga"),
    undoable("stock", "order"),
    undoable("money", "order"),
    node("letter", "saga"),
    undoable("besides", "root"),
  ]);
  for (const name of ["besides", "money", "stock", "order"]) run.completes(name);
  run.fails("letter");
  run.completes("order/compensation");
  run.completes("stock/compensation");
  assert.deepEqual(run.completes("money/compensation"), [
    "NodeUndone money",
    "NodeFailed saga",
    "NodeEnqueued root",
    "→ root",
  ]);
  assert.deepEqual(run.completes("root"), ["NodeCompleted root", "FlowCompleted"]);
});

Deno.test("compensate: what one has undone is not undone again further up", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    undoable("a", "root"),
    node("b", "root", { onChildFailure: "compensate" }),
    undoable("b1", "b"),
    node("b2", "b"),
  ]);
  run.completes("a");
  run.completes("b1");
  run.fails("b2");
  assert.deepEqual(run.completes("b1/compensation"), [
    "NodeUndone b1",
    "NodeFailed b",
    "CompensationBegan root",
    "CompensationPlanned root",
    "UndoingEnqueued a",
    "→ a/compensation",
  ]);
  assert.deepEqual(run.completes("a/compensation").at(-1), "FlowFailed");
});

Deno.test("compensate: one that goes on below is waited for by the one above", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    undoable("a", "root"),
    node("b", "root", { onChildFailure: "compensate" }),
    undoable("b1", "b"),
    node("b2", "b"),
    node("c", "root"),
  ]);
  run.completes("a");
  run.completes("b1");
  run.fails("b2");
  assert.deepEqual(run.fails("c", "first"), ["NodeFailed c", "CompensationBegan root"]);
  assert.deepEqual(run.completes("b1/compensation"), [
    "NodeUndone b1",
    "NodeFailed b",
    "CompensationPlanned root",
    "UndoingEnqueued a",
    "→ a/compensation",
  ]);
  run.completes("a/compensation");
  assert.deepEqual(run.events.at(-1), { type: "FlowFailed", error: "c failed: first" });
});

Deno.test("compensate: what completes late in a part given up is undone further up", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    node("a", "root", { onChildFailure: "ignore" }),
    node("b", "a"),
    undoable("b1", "b"),
    node("b2", "b"),
    node("c", "root"),
  ]);
  run.fails("b2");
  assert.deepEqual(run.enqueued.at(-1), "a");
  run.completes("a");
  assert.deepEqual(run.fails("c"), ["NodeFailed c", "CompensationBegan root"]);
  assert.deepEqual(run.completes("b1"), [
    "NodeCompleted b1",
    "CompensationPlanned root",
    "UndoingEnqueued b1",
    "→ b1/compensation",
  ]);
});

Deno.test("compensate: what fails elsewhere does not cut it short, and the flow ends after it", () => {
  const nodes = [
    node("root", undefined, { onChildFailure: "ignore" }),
    node("part", "root"),
    node("saga", "part", { onChildFailure: "compensate" }),
    undoable("a", "saga"),
    undoable("b", "saga"),
    node("c", "saga"),
    node("d", "part"),
  ];
  const run = new FlowRun(nodes);
  run.completes("a");
  run.completes("b");
  run.fails("c");
  assert.deepEqual(run.fails("d"), [
    "NodeFailed d",
    "NodeFailed part",
    "NodeEnqueued root",
    "→ root",
  ]);
  assert.deepEqual(run.completes("root", 1), ["NodeCompleted root"]);
  assert.equal(flowView(run.state)?.status, "running");
  assert.deepEqual(run.cancel(), ["refused: ended"]);
  assert.deepEqual(run.completes("b/compensation").at(-1), "→ a/compensation");
  assert.deepEqual(run.completes("a/compensation"), [
    "NodeUndone a",
    "NodeFailed saga",
    "FlowCompleted",
  ]);

  const strict = new FlowRun(
    nodes.map((each) => ({ ...each, onChildFailure: "fail" as const }))
      .map((each) => each.name === "saga" ? nodes[2]! : each),
  );
  strict.completes("a");
  strict.fails("c", "first");
  assert.deepEqual(strict.fails("d", "second"), [
    "NodeFailed d",
    "NodeFailed part",
    "NodeFailed root",
  ]);
  assert.deepEqual(strict.completes("b"), [
    "NodeCompleted b",
    "CompensationPlanned saga",
    "UndoingEnqueued b",
    "→ b/compensation",
  ]);
  strict.completes("b/compensation");
  assert.deepEqual(strict.fails("a/compensation"), [
    "UndoingFailed a",
    "NodeFailed saga",
    "FlowFailed",
  ]);
  assert.deepEqual(strict.events.at(-1), { type: "FlowFailed", error: "d failed: second" });
});

Deno.test("a report that comes twice, late, or from nobody changes nothing", () => {
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "compensate" }),
    undoable("a", "root"),
    node("b", "root"),
    node("c", "b"),
  ]);
  run.completes("a");
  for (const tell of [run.completes, run.fails, run.isCancelled]) {
    assert.deepEqual(tell.call(run, "a"), [], "again");
    assert.deepEqual(tell.call(run, "root"), [], "before it was enqueued");
    assert.deepEqual(tell.call(run, "a/compensation"), [], "before it was enqueued");
    assert.deepEqual(tell.call(run, "root/compensation"), [], "for one that has none");
    assert.deepEqual(tell.call(run, "nobody"), []);
    assert.deepEqual(tell.call(run, "__proto__"), []);
  }
  run.fails("c");
  run.completes("a/compensation");
  assert.equal(flowView(run.state)?.status, "failed");
  for (const name of ["a", "b", "c", "root", "a/compensation"]) {
    assert.deepEqual(run.completes(name), [], "after the end");
  }
});

Deno.test("a cancelled flow ends at once, and what it has enqueued is of no account", () => {
  const run = new FlowRun([node("root"), node("a", "root"), node("b", "a"), node("c", "root")]);
  assert.deepEqual(run.cancel(), ["FlowCancelled"]);
  assert.deepEqual(run.completes("b"), []);
  assert.deepEqual(run.cancel(), ["refused: ended"]);
  assert.deepEqual(statusesOf(run), {
    root: "cancelled",
    a: "cancelled",
    c: "abandoned",
    b: "abandoned",
  });
  assert.equal(flowView(run.state)?.cancelledBy, "ana");
});

Deno.test("a flow that is cancelled while it undoes things ends when that is done", () => {
  const run = new FlowRun([
    node("root"),
    node("saga", "root", { onChildFailure: "compensate" }),
    undoable("a", "saga"),
    node("b", "saga"),
    undoable("later", "root", { onChildFailure: "compensate" }),
    undoable("c", "later"),
    node("d", "later"),
  ]);
  run.completes("c");
  run.completes("a");
  run.fails("b");
  assert.deepEqual(run.cancel(), ["FlowCancelling"]);
  assert.deepEqual(run.cancel(), [], "it is being cancelled");
  // A failure that comes after the cancellation has nothing else undone.
  assert.deepEqual(run.fails("d"), ["NodeFailed d"]);
  assert.deepEqual(run.completes("a/compensation"), [
    "NodeUndone a",
    "NodeFailed saga",
    "FlowCancelled",
  ]);
  assert.deepEqual(run.events.at(-1), { type: "FlowCancelled", by: "ana" });
});

Deno.test("a flow reports its end to whoever asked for that, as a job would", () => {
  const target = { to: { kind: "flow", key: "outer" }, schema: 1, node: "inner" };
  const nodes = [node("root", undefined), node("a", "root")];
  const told = (finish: (run: FlowRun) => void) => {
    const run = new FlowRun(nodes, target);
    assert.deepEqual(run.told, []);
    finish(run);
    for (const { command } of run.told as { command: unknown }[]) Flow.Command.parse(command);
    return run.told;
  };
  const report = { type: "Report", node: "inner", jobId: KEY };
  const { to } = target;
  assert.deepEqual(
    told((run) => {
      run.completes("a");
      run.completes("root", 42);
    }),
    [{ to, command: { ...report, outcome: "completed", result: 42 } }],
  );
  assert.deepEqual(told((run) => run.fails("a")), [
    { to, command: { ...report, outcome: "failed", error: "a failed: boom" } },
  ]);
  assert.deepEqual(told((run) => run.cancel()), [
    { to, command: { ...report, outcome: "cancelled" } },
  ]);
});

Deno.test("a flow starts once, and one that never started knows nothing", () => {
  const nodes = planOf([node("root")]);
  given(Flow, [{ type: "FlowStarted", nodes }]).when({ type: "Start", nodes })
    .thenRejected("already-exists");
  given(Flow, []).when({ type: "Cancel" }).thenRejected("not-found");
  given(Flow, []).when({ type: "Report", node: "root", jobId: "1", outcome: "cancelled" })
    .thenRejected("not-found");
  assert.equal(flowView(Flow.initial), undefined);
});

Deno.test("results beyond what a flow keeps make their node fail", () => {
  const count = Flow.RESULTS_BYTES_MAX / 2 ** 20;
  const run = new FlowRun([
    node("root", undefined, { onChildFailure: "ignore" }),
    ...Array.from({ length: count }, (_, index) => node(`${index}`, "root")),
  ]);
  const mebibyte = "x".repeat(2 ** 20 - 2);
  for (let index = 0; index < count; index++) run.completes(`${index}`, mebibyte);
  assert.equal(run.state.counts.completed, count);
  assert.equal(run.enqueued.at(-1), "root");
  // A snapshot counts anew, and comes to the same.
  run.state = roundTripped(run.state);
  assert.deepEqual(run.completes("root", 1), ["NodeFailed root", "FlowFailed"]);
});

Deno.test("a long error is kept as far as it matters, and whole characters of it", () => {
  const run = new FlowRun([node("root")]);
  run.fails("root", "x".repeat(Flow.ERROR_CHARS_MAX - 1) + "🎭".repeat(50));
  const { error } = nodeViews(run.state)[0]!;
  assert.equal(error?.length, Flow.ERROR_CHARS_MAX);
  assert(error?.isWellFormed());
});

Deno.test("what is told must be a tree whose parents come first", () => {
  const [root, child] = planOf([node("root"), node("a", "root")]);
  const parses = (nodes: unknown) => Flow.Command.parse({ type: "Start", nodes });
  parses([root, child]);
  assert.throws(() => parses([]));
  assert.throws(() => parses([child]));
  assert.throws(() => parses([root, { ...child, parent: 1 }]));
  assert.throws(() => parses([root, { ...child, parent: -1 }]));
  assert.throws(() => parses([root, { ...child, name: "root" }]));
  assert.throws(() => parses([root, { ...child, name: "root/compensation" }]));
  assert.throws(() => parses([root, root]));
});
