/** What holds for a flow of any shape, in whatever order its jobs end, and however often they say so. */
import assert from "node:assert/strict";
import fc from "fast-check";
import * as Flow from "../../../lib/jobs/flow/aggregate.ts";
import { failurePolicies, type NodeSpec } from "../../../lib/jobs/flow/plan.ts";
import { hasEnded } from "../../../lib/jobs/flow/state.ts";
import { childResults, flowView, nodeViews } from "../../../lib/jobs/flow/views.ts";
import { FlowRun, node, roundTripped } from "../../support/flow_run.ts";

/** A tree: each node but the first hangs below one that came before it. */
const flow: fc.Arbitrary<NodeSpec[]> = fc.array(
  fc.record({
    below: fc.nat(),
    onChildFailure: fc.constantFrom(...failurePolicies, "compensate"),
    isUndoable: fc.boolean(),
  }),
  { minLength: 1, maxLength: 25, size: "max" },
).map((shapes) =>
  shapes.map(({ below, onChildFailure, isUndoable }, index) =>
    node(`n${index}`, index === 0 ? undefined : `n${below % index}`, {
      onChildFailure,
      ...(isUndoable && { compensate: { type: "undo", payload: null } }),
    })
  )
);

/** One step: which of the jobs that could report does so, how, and what else happens around it. */
const step = fc.record({
  pick: fc.nat(),
  outcome: fc.constantFrom("completed", "completed", "completed", "failed", "cancelled"),
  /** Something that was reported before is reported again, perhaps otherwise. */
  repeats: fc.boolean(),
  cancels: fc.nat(60).map((n) => n === 0),
});
const steps = fc.array(step, { minLength: 60, maxLength: 60, size: "max" });

interface Recording {
  readonly run: FlowRun;
  readonly nodes: readonly NodeSpec[];
  /** What was enqueued and has not reported. */
  readonly pending: readonly string[];
}

Deno.test("a flow ends once, when nothing is left that could move it, and enqueues nothing after", () => {
  let [endedWith, isOver] = [0, false];
  holds(({ run, pending }, isLast, isFirst) => {
    if (isFirst) [endedWith, isOver] = [0, false];
    const ends = run.events.filter(({ type }) =>
      type === "FlowCompleted" || type === "FlowFailed" || type === "FlowCancelled"
    );
    assert(ends.length <= 1, "it ended twice");
    assert.equal(ends.length === 1, hasEnded(run.state));
    if (isOver) assert.equal(run.enqueued.length, endedWith, "enqueued after the end");
    if (!isOver && hasEnded(run.state)) [endedWith, isOver] = [run.enqueued.length, true];
    if (ends.length === 1) assert.equal(run.events.at(-1), ends[0], "it goes on after its end");
    if (isLast) assert.equal(ends.length, 1, "it never ends");
    if (!isOver) assert(pending.length > 0, "it waits for nobody");
  });
});

Deno.test("each job is enqueued once, and only after its children have ended well or ignored", () => {
  holds(({ run, nodes }) => {
    assert.equal(new Set(run.enqueued).size, run.enqueued.length, "enqueued twice");
    for (const [index, event] of run.events.entries()) {
      if (event.type !== "NodeEnqueued") continue;
      const before = run.events.slice(0, index);
      const { onChildFailure } = nodes.find(({ name }) => name === event.node)!;
      for (const { name } of nodes.filter(({ parent }) => parent === event.node)) {
        const end = before.find((other) => "node" in other && other.node === name && isEnd(other));
        assert(end !== undefined, `${name} had not ended`);
        assert(end.type === "NodeCompleted" || onChildFailure === "ignore");
      }
    }
  });
});

Deno.test("a parent is given the result of every child that completed", () => {
  holds(({ run, nodes }) => {
    const latest = run.events.findLast(({ type }) => type === "NodeEnqueued");
    if (latest?.type !== "NodeEnqueued") return;
    const children = nodes.filter(({ parent }) => parent === latest.node);
    const results = childResults(run.state, latest.node);
    assert.deepEqual(results.map(({ node }) => node), children.map(({ name }) => name));
    const given = run.events.flatMap((event) =>
      event.type === "NodeCompleted" ? [[event.node, event.result]] : []
    );
    const known = new Map(given as [string, unknown][]);
    for (const child of results) {
      assert.equal(child.outcome === "completed", known.has(child.node));
      if (child.outcome === "completed") assert.equal(child.result, known.get(child.node));
    }
  });
});

Deno.test("what is undone had completed, is undone once, one at a time for each, the last first", () => {
  holds(({ run, nodes }, isLast) => {
    const completed: string[] = [];
    const undone = new Set<string>();
    for (const event of run.events) {
      if (event.type === "NodeCompleted") completed.push(event.node);
      if (event.type === "UndoingEnqueued") {
        assert(completed.includes(event.node));
        assert(!undone.has(event.node));
        undone.add(event.node);
      }
      if (event.type === "CompensationPlanned") {
        const ranks = event.undo.map((name) => completed.indexOf(name));
        assert.deepEqual(ranks, ranks.toSorted((a, b) => b - a));
        assert(event.undo.every((name) => isBelow(nodes, name, event.node)));
        const inHand = event.undo.filter((name) => {
          return run.state.progress.get(run.state.tree.places.get(name)!)?.undoing?.status ===
            "running";
        });
        assert(inHand.length <= 1, "several at a time");
      }
    }
    // Nothing that completed below one that was compensating is forgotten.
    const compensated = run.events.flatMap((event) =>
      event.type === "CompensationPlanned" ? [event.node] : []
    );
    if (!isLast) return;
    for (const { name, compensate } of nodes) {
      if (compensate === undefined || !completed.includes(name)) continue;
      const isDue = compensated.some((top) => isBelow(nodes, name, top));
      assert.equal(undone.has(name), isDue, `${name} undone`);
    }
  });
});

Deno.test("counts are what can be counted, and each node is in one of them", () => {
  holds(({ run, nodes }) => {
    const view = flowView(run.state)!;
    const counted: Record<string, number> = {};
    for (const { status } of nodeViews(run.state)) {
      counted[status] = (counted[status] ?? 0) + 1;
    }
    for (const [status, count] of Object.entries(view.nodes)) {
      assert.equal(count, status === "total" ? nodes.length : counted[status] ?? 0, status);
    }
  });
});

Deno.test("a flow restored from its snapshot looks the same and goes on the same", () => {
  let restored = Flow.initial;
  let seen = 0;
  holds(({ run }, _, isFirst) => {
    if (isFirst) [restored, seen] = [Flow.initial, 0];
    restored = roundTripped(run.events.slice(seen).reduce(Flow.evolve, restored));
    seen = run.events.length;
    assert.deepEqual(pictureOf(restored), pictureOf(run.state));
  });
});

Deno.test("no event alters an earlier state", () => {
  let past: { readonly state: Flow.State; readonly picture: unknown }[] = [];
  holds(({ run: { state } }, _, isFirst) => {
    if (isFirst) past = [];
    past.push({ state, picture: pictureOf(state) });
    for (const { state, picture } of past.slice(-5)) assert.deepEqual(pictureOf(state), picture);
  }, 30);
  assert.equal(Flow.initial.progress.size, 0);
});

/** Runs flows in random order to their end, and `check` after each step. */
function holds(
  check: (recording: Recording, isLast: boolean, isFirst: boolean) => void,
  numRuns = 300,
): void {
  fc.assert(
    fc.property(flow, steps, (nodes, steps) => {
      const run = new FlowRun(nodes);
      const reported: string[] = [];
      const pendingNow = () => run.enqueued.filter((name) => !reported.includes(name));
      check({ run, nodes, pending: pendingNow() }, false, true);
      for (const { pick, outcome, repeats, cancels } of steps) {
        const pending = pendingNow();
        const again = reported[pick % Math.max(reported.length, 1)];
        if (repeats && again !== undefined) {
          assert.deepEqual(report(run, again, outcome), [], "what was reported again counted");
        }
        if (cancels) run.cancel();
        const name = pending[pick % Math.max(pending.length, 1)];
        if (name !== undefined) {
          report(run, name, outcome);
          reported.push(name);
        }
        check({ run, nodes, pending: pendingNow() }, pendingNow().length === 0, false);
      }
    }),
    { numRuns },
  );
}

function report(run: FlowRun, name: string, outcome: string): readonly string[] {
  if (outcome === "completed") return run.completes(name);
  return outcome === "failed" ? run.fails(name) : run.isCancelled(name);
}

function isEnd({ type }: Flow.Event): boolean {
  return type === "NodeCompleted" || type === "NodeFailed" || type === "NodeCancelled";
}

function isBelow(nodes: readonly NodeSpec[], name: string, top: string): boolean {
  const { parent } = nodes.find((one) => one.name === name)!;
  return parent !== undefined && (parent === top || isBelow(nodes, parent, top));
}

function pictureOf(state: Flow.State) {
  const { places: _, ...tree } = state.tree;
  const compensations = [...state.tree.nodes.keys()].map((place) => state.compensations.get(place));
  const { status, counts, ranks, resultBytes, cancelledBy, reportTo } = state;
  return {
    nodes: nodeViews(state),
    progress: [...state.tree.nodes.keys()].map((place) => state.progress.get(place)),
    ...{ tree, compensations, status, counts, ranks, resultBytes, cancelledBy, reportTo },
  };
}
