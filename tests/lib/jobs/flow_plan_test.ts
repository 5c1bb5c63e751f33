/** What can be a flow, and where it says that something cannot. */
import assert from "node:assert/strict";
import { z } from "zod";
import {
  CHILDREN_MAX,
  DEPTH_MAX,
  FlowPlan,
  NODE_PAYLOAD_BYTES_MAX,
  NODES_MAX,
  type NodeSpec,
  PAYLOADS_BYTES_MAX,
  planFlow,
} from "../../../lib/jobs/flow/plan.ts";
import { defineJob, enqueue, PAYLOAD_BYTES_MAX } from "../../../lib/jobs/job.ts";
import { catalog, FlowRun, measure, node, planOf, undo, undoable } from "../../support/flow_run.ts";

function faultsOf(nodes: readonly NodeSpec[]): readonly string[] {
  const planning = planFlow(nodes, catalog);
  assert("faults" in planning, "this was planned");
  return planning.faults.map(({ path, message }) => `${path.join(".")}: ${message}`);
}

/** One under the other. */
function chain(depth: number): NodeSpec[] {
  return Array.from(
    { length: depth },
    (_, index) => node(`${index}`, index === 0 ? undefined : `${index - 1}`),
  );
}

function fan(width: number): NodeSpec[] {
  return [node("root"), ...Array.from({ length: width }, (_, index) => node(`${index}`, "root"))];
}

Deno.test("a plan has parents before children, whatever the order in which it was asked for", () => {
  const plan = planOf([
    node("a1", "a"),
    node("b", "root"),
    node("a", "root"),
    node("a2", "a"),
    node("root"),
  ]);
  assert.deepEqual(plan.map(({ name, parent }) => [name, parent]), [
    ["root", undefined],
    ["b", 0],
    ["a", 0],
    ["a1", 2],
    ["a2", 2],
  ]);
  FlowPlan.parse(plan);
});

Deno.test("a plan knows all that it takes to enqueue", () => {
  const payload = { size: { cm: 3 } };
  const [only] = planOf([{
    ...undoable("only"),
    type: "measure",
    payload,
    options: { priority: 7, attemptsMax: 2, delayMs: 9, concurrencyKey: "k" },
  }]);
  const { queue, schema } = measure;
  assert.deepEqual(only, {
    name: "only",
    onChildFailure: "fail",
    job: {
      type: "measure",
      queue,
      schema,
      priority: 7,
      payload,
      options: { attemptsMax: 2, delayMs: 9, concurrencyKey: "k" },
    },
    compensation: {
      type: "undo",
      queue: undo.queue,
      schema: undo.schema,
      priority: undo.priority,
      payload: "only",
      options: {},
    },
  });
  assert.equal(planOf([{ ...node("x"), type: "measure", payload }])[0]?.job.priority, 2);
});

Deno.test("a cycle is refused at each node of it, and nowhere else", () => {
  const nodes = [
    node("root"),
    node("a", "c"),
    node("b", "a"),
    node("c", "b"),
    node("beside", "b"),
    node("fine", "root"),
    node("self", "self"),
  ];
  assert.deepEqual(
    faultsOf(nodes),
    [1, 3, 2, 6].map((index) => `nodes.${index}.parent: Must not lead back to the node`),
  );
});

Deno.test("a cycle and nothing else has no root either", () => {
  assert.deepEqual(faultsOf([node("a", "b"), node("b", "a")]), [
    "nodes: One node must be without a parent",
    "nodes.0.parent: Must not lead back to the node",
    "nodes.1.parent: Must not lead back to the node",
  ]);
});

Deno.test("unknown parents, second roots and names taken are refused where they are", () => {
  assert.deepEqual(faultsOf([node("a"), node("b", "nobody"), node("c"), node("a", "c")]), [
    "nodes.3.name: Another node has this name",
    "nodes.1.parent: There is no node of this name",
    "nodes.2.parent: Only one node may be without a parent",
  ]);
});

Deno.test("names are what people can see, without what paths are cut by", () => {
  const isFine = (name: string) => "plan" in planFlow([node(name)], catalog);
  for (const name of ["x", "x".repeat(100), "émile", "Bücher & 本", "a.b:c#1", "🎭".repeat(100)]) {
    assert(isFine(name), name);
  }
  for (const name of ["", "x".repeat(101), "a/b", "a\0", "a\n", "\ud800", "\u202e"]) {
    assert(!isFine(name), JSON.stringify(name));
  }
});

Deno.test("a flow is at most so deep", () => {
  assert.equal(planOf(chain(DEPTH_MAX)).length, DEPTH_MAX);
  assert.deepEqual(faultsOf(chain(DEPTH_MAX + 3)), [
    `nodes.${DEPTH_MAX}.parent: A flow must not be deeper than ${DEPTH_MAX} nodes`,
  ]);
});

Deno.test("a node has at most so many children", () => {
  assert.equal(planOf(fan(CHILDREN_MAX)).length, CHILDREN_MAX + 1);
  assert.deepEqual(faultsOf(fan(CHILDREN_MAX + 1)), [
    `nodes.${CHILDREN_MAX + 1}.parent: A node must not have more than ${CHILDREN_MAX} children`,
  ]);
});

Deno.test("a flow has at least one node, and at most so many", () => {
  const half = NODES_MAX / 2;
  const nodes = fan(half - 1);
  for (let index = 0; index < half; index++) nodes.push(node(`under ${index}`, "0"));
  assert.equal(planOf(nodes).length, NODES_MAX);
  const message = [`nodes: Must be 1 to ${NODES_MAX} nodes`];
  assert.deepEqual(faultsOf([...nodes, node("more", "1")]), message);
  assert.deepEqual(faultsOf([]), message);
});

Deno.test("jobs must be known, and payloads be theirs", () => {
  const nodes: NodeSpec[] = [
    { ...node("a"), type: "unheard of" },
    { ...node("b", "a"), compensate: { type: "toString", payload: 1 } },
    { ...node("c", "a"), type: "measure", payload: { size: { cm: "wide" } } },
    { ...node("d", "a"), compensate: { type: "measure", payload: { size: { cm: 1, mm: 2 } } } },
  ];
  assert.deepEqual(faultsOf(nodes), [
    "nodes.0.type: There is no such job",
    "nodes.1.compensate.type: There is no such job",
    "nodes.2.payload.size.cm: Invalid input: expected number, received string",
    "nodes.3.compensate.payload.size.mm: Unknown field",
  ]);
});

Deno.test("a parser of any make may refuse", () => {
  const picky = defineJob({
    type: "picky",
    queue: "q",
    payload: {
      parse() {
        throw new RangeError("secret");
      },
    },
  });
  const planning = planFlow([{ ...node("a"), type: "picky" }], new Map([["picky", picky]]));
  assert.deepEqual(planning, {
    faults: [{ path: ["nodes", 0, "payload"], message: "The job refuses this" }],
  });
});

Deno.test("payloads are bounded one by one, so that what is planned can be enqueued", () => {
  const payload = "é".repeat((NODE_PAYLOAD_BYTES_MAX - 2) / 2);
  const name = "本".repeat(100);
  const run = new FlowRun([{ ...node(name), payload }]);
  assert.deepEqual(run.enqueued, [name]);
  assert.deepEqual(faultsOf([{ ...node("a"), payload: `${payload}.` }]), [
    `nodes.0.payload: Must not have more than ${NODE_PAYLOAD_BYTES_MAX} bytes`,
  ]);
  const raw = defineJob({ type: "raw", queue: "q", payload: z.unknown() });
  assert.throws(() => enqueue(raw, "x".repeat(PAYLOAD_BYTES_MAX)));
});

Deno.test("payloads are bounded together", () => {
  const bytes = 32 * 1_024;
  const nodes = fan(PAYLOADS_BYTES_MAX / bytes - 1).map((each) => ({
    ...each,
    payload: "x".repeat(bytes - 2),
  }));
  planOf(nodes);
  assert.deepEqual(faultsOf([...nodes, { ...node("more", "root"), payload: 1 }]), [
    `nodes: The payloads must not have more than ${PAYLOADS_BYTES_MAX} bytes together`,
  ]);
});
