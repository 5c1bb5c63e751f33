import assert from "node:assert/strict";

interface Attribute {
  readonly key: string;
  readonly value: Readonly<Record<string, unknown>>;
}

interface Span {
  readonly name: string;
  readonly traceId: string;
  readonly spanId: string;
  readonly parentSpanId?: string;
  readonly kind: number;
  readonly startTimeUnixNano: string;
  readonly endTimeUnixNano: string;
  readonly attributes: readonly Attribute[];
}

interface Point {
  readonly attributes: readonly Attribute[];
  readonly count?: number;
  readonly sum?: number;
  readonly asInt?: string;
  readonly asDouble?: number;
  readonly explicitBounds?: readonly number[];
}

interface Metric {
  readonly name: string;
  readonly unit: string;
  readonly sum?: { readonly dataPoints: readonly Point[] };
  readonly histogram?: { readonly dataPoints: readonly Point[] };
  readonly gauge?: { readonly dataPoints: readonly Point[] };
}

const program = import.meta.resolve("./traced_program.ts");

/** Runs the program with telemetry sent to a collector, and tells what arrived there. */
async function collected() {
  const spans: Span[] = [];
  const measured: Metric[] = [];
  await using collector = Deno.serve(
    { port: 0, hostname: "127.0.0.1", onListen() {} },
    async (request) => {
      const { resourceSpans = [], resourceMetrics = [] } = await request.json();
      for (const { scopeSpans } of resourceSpans) {
        spans.push(...scopeSpans.flatMap((scope: { spans: Span[] }) => scope.spans));
      }
      for (const { scopeMetrics } of resourceMetrics) {
        measured.push(...scopeMetrics.flatMap((scope: { metrics: Metric[] }) => scope.metrics));
      }
      return Response.json({});
    },
  );
  const startedAt = Date.now();
  const output = await outputOf({
    OTEL_DENO: "true",
    OTEL_EXPORTER_OTLP_PROTOCOL: "http/json",
    OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${collector.addr.port}`,
  });
  assert.equal(output, "ok");
  return { spans, measured, startedAt, endedAt: Date.now() };
}

async function outputOf(env: Record<string, string>): Promise<string> {
  const { success, stdout, stderr } = await new Deno.Command("deno", {
    args: ["run", "--quiet", "--no-lock", "--allow-net=127.0.0.1", "--allow-env", program],
    env,
  }).output();
  assert(success, new TextDecoder().decode(stderr));
  return new TextDecoder().decode(stdout).trim();
}

function valuesOf(attributes: readonly Attribute[]): Record<string, unknown> {
  return Object.fromEntries(attributes.map(({ key, value }) => [key, Object.values(value)[0]]));
}

const ms = (nanoseconds: string) => Number(BigInt(nanoseconds) / 1_000n) / 1_000;

Deno.test("the turn of a message is a span under the request that sent it", async (t) => {
  const { spans, measured, startedAt, endedAt } = await collected();
  const CLIENT = 3;
  const client = spans.find(({ kind }) => kind === CLIENT)!;
  const request = spans.find(({ name }) => name === "GET /events/:id")!;
  const turns = spans.filter(({ name }) => name === "turn live_event");
  const [turn] = turns as [Span];

  await t.step("the request's span is called after the route", () => {
    assert.equal(valuesOf(request.attributes)["http.route"], "/events/:id");
    assert.equal(request.parentSpanId, client.spanId);
  });

  await t.step("the turn belongs to its trace, and to no other does any", () => {
    assert.equal(turns.length, 1);
    assert.equal(turn.traceId, client.traceId);
    assert.equal(turn.parentSpanId, request.spanId);
  });

  await t.step("the turn stands where it was in wall-clock time", () => {
    const [start, end] = [ms(turn.startTimeUnixNano), ms(turn.endTimeUnixNano)];
    assert(Math.abs(end - start - 20) < 0.5, `${end - start} ms`);
    assert(start > startedAt && end <= endedAt + 1, `${startedAt} ${start} ${end} ${endedAt}`);
  });

  await t.step("the turn says what became of the message", () => {
    const values = valuesOf(turn.attributes);
    assert.equal(values["troupe.actor.kind"], "live_event");
    assert.equal(values["troupe.outcome"], "rejected");
    assert.equal(values["troupe.reason"], "sold-out");
    assert.equal(values["troupe.correlation.id"], "0190a5c0-7b1e-7000-8000-000000000002");
  });

  await t.step("a commit is a trace of its own", () => {
    const commit = spans.find(({ name }) => name === "commit")!;
    assert.notEqual(commit.traceId, client.traceId);
    assert(!commit.parentSpanId, commit.parentSpanId);
    const duration = ms(commit.endTimeUnixNano) - ms(commit.startTimeUnixNano);
    assert(Math.abs(duration - 8) < 0.5, `${duration} ms`);
  });

  const pointOf = (name: string): Point & { readonly unit: string } => {
    const metric = measured.findLast((candidate) => candidate.name === name);
    assert(metric !== undefined, `${name} did not arrive`);
    return {
      unit: metric.unit,
      ...(metric.histogram ?? metric.sum ?? metric.gauge)!.dataPoints[0]!,
    };
  };

  await t.step("durations are measured in seconds, in buckets that tell them apart", () => {
    const { unit, sum, explicitBounds } = pointOf("troupe.turn.duration");
    assert.equal(unit, "s");
    assert(Math.abs(sum! - 0.02) < 0.001, `${sum} s`);
    assert(explicitBounds!.filter((bound) => bound < 0.02).length > 3);
    assert(pointOf("troupe.mailbox.wait").sum! > 0.08);
  });

  await t.step("messages are counted by outcome, and what happens by kind", () => {
    const messages = pointOf("troupe.messages");
    assert.equal(Number(messages.asInt ?? messages.asDouble), 3);
    assert.deepEqual(valuesOf(messages.attributes), {
      "troupe.actor.kind": "live_event",
      "troupe.outcome": "rejected",
    });
    assert.deepEqual(valuesOf(pointOf("troupe.conflicts").attributes), {
      "troupe.actor.kind": "live_event",
    });
  });

  await t.step("what is in quarantine is known by kind, and why it came out", () => {
    const of = { "troupe.actor.kind": "live_event", "troupe.supervised": "actor" };
    const held = pointOf("troupe.quarantined");
    assert.equal(Number(held.asInt ?? held.asDouble), 1, "as it was left");
    assert.deepEqual(valuesOf(held.attributes), of);
    assert.deepEqual(valuesOf(pointOf("troupe.quarantines").attributes), of);
    const released = valuesOf(pointOf("troupe.releases").attributes);
    assert.deepEqual(released, { ...of, "troupe.because": "operator" });
  });
});

Deno.test("where nobody collects, nothing is observed", async () => {
  assert.equal(await outputOf({ OTEL_DENO: "false" }), "off");
});
