/**
 * RuntimeEvent → OpenTelemetry spans and metrics.
 *
 * @module
 */
import {
  type Attributes,
  type Context,
  type Counter,
  type Gauge,
  type Histogram,
  type Meter,
  metrics,
  ROOT_CONTEXT,
  type SpanContext,
  SpanStatusCode,
  trace,
  TraceFlags,
  type Tracer,
} from "@opentelemetry/api";
import type { Env } from "../env.ts";
import type { HandledMessage, Observe, RuntimeEvent, Supervised } from "../runtime/observe.ts";
import { isTelemetryOn, SCOPE } from "./active_span.ts";

type EventOf<Type extends RuntimeEvent["type"]> = Extract<RuntimeEvent, { readonly type: Type }>;

/** An observer that measures and traces, or `undefined` where nobody would take what it says. */
export function otelObserver(env: Pick<Env, "now" | "monotonic">): Observe | undefined {
  if (!isTelemetryOn()) return undefined;
  const measure = measuring(metrics.getMeter(SCOPE));
  const draw = tracing(trace.getTracer(SCOPE), env);
  return (event) => {
    measure(event);
    draw(event);
  };
}

/**
 * Draws a span per message of a turn under the span of whoever sent it, and one per commit.
 *
 * A message whose sender is not traced, or not sampled, has none. Commits serve many senders,
 * so each is the root of a trace.
 */
function tracing(tracer: Tracer, env: Pick<Env, "now" | "monotonic">): Observe {
  return (event) => {
    if (event.type === "turn") {
      const wallOffset = env.now() - env.monotonic();
      for (const message of event.messages) drawMessage(tracer, event, message, wallOffset);
    } else if (event.type === "job") {
      drawJob(tracer, event, env.now() - env.monotonic());
    } else if (event.type === "commit") {
      const { type: _, durationMs, ...counts } = event;
      const endTime = env.now();
      const attributes = prefixed("troupe.commit.", counts);
      const startTime = endTime - durationMs;
      tracer.startSpan("commit", { root: true, startTime, attributes }).end(endTime);
    }
  };
}

function drawMessage(
  tracer: Tracer,
  { address, messages, attempts, startedAt, endedAt }: EventOf<"turn">,
  { envelope, outcome, reason, receivedAt }: HandledMessage,
  wallOffset: number,
): void {
  const parent = parentIn(envelope.traceparent);
  if (parent === undefined) return;
  const attributes = {
    "troupe.actor.kind": address.kind,
    "troupe.actor.key": address.key,
    "troupe.message.id": envelope.messageId,
    "troupe.correlation.id": envelope.correlationId,
    "troupe.outcome": outcome,
    ...(reason !== undefined && { "troupe.reason": reason }),
    "troupe.mailbox.wait": seconds(startedAt - receivedAt),
    "troupe.turn.messages": messages.length,
    "troupe.turn.attempts": attempts,
  };
  const startTime = startedAt + wallOffset;
  const span = tracer.startSpan(`turn ${address.kind}`, { startTime, attributes }, parent);
  if (outcome === "fault" || outcome === "defect") span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(endedAt + wallOffset);
}

function drawJob(
  tracer: Tracer,
  { job, jobType, attempt, outcome, startedAt, endedAt }: EventOf<"job">,
  wallOffset: number,
): void {
  const parent = parentIn(job.traceparent);
  if (parent === undefined) return;
  const attributes = {
    "troupe.queue": job.to.key,
    "troupe.job.type": jobType,
    "troupe.message.id": job.messageId,
    "troupe.correlation.id": job.correlationId,
    "troupe.job.attempt": attempt,
    "troupe.outcome": outcome,
  };
  const startTime = startedAt + wallOffset;
  const span = tracer.startSpan(`job ${jobType}`, { startTime, attributes }, parent);
  if (outcome !== "completed") span.setStatus({ code: SpanStatusCode.ERROR });
  span.end(endedAt + wallOffset);
}

/** The sender's span as a parent, if it is one that is recorded. */
function parentIn(traceparent: string | undefined): Context | undefined {
  const [, traceId, spanId, flags] = traceparent?.split("-") ?? [];
  if (traceId === undefined || spanId === undefined || flags === undefined) return undefined;
  const traceFlags = parseInt(flags, 16);
  if ((traceFlags & TraceFlags.SAMPLED) === 0) return undefined;
  const sender: SpanContext = { traceId, spanId, traceFlags, isRemote: true };
  return trace.setSpanContext(ROOT_CONTEXT, sender);
}

/** Counts and times what happens; nothing in it grows with the number of actors. */
function measuring(meter: Meter): Observe {
  const instruments = instrumentsOf(meter);
  return (event) => {
    switch (event.type) {
      case "turn":
        return measureTurn(instruments, event);
      case "commit":
        instruments.commitDuration.record(seconds(event.durationMs));
        instruments.commitActors.record(event.actors);
        return instruments.commitEvents.add(event.events);
      case "activated":
        return instruments.activationDuration.record(seconds(event.durationMs), kindOf(event));
      case "loaded":
        return instruments.loadDuration.record(seconds(event.durationMs));
      case "projected": {
        const of = { "troupe.projection": event.projection };
        instruments.projectionEvents.add(event.events, of);
        instruments.projectionBlocked.record(0, of);
        return instruments.projectionDuration.record(seconds(event.durationMs), of);
      }
      case "projection-failed":
        if (event.ageMs !== undefined) {
          const of = { "troupe.projection": event.projection };
          instruments.projectionBlocked.record(seconds(event.ageMs), of);
        }
        return instruments.occurrences[event.type].add(1, circumstancesOf(event));
      case "handled":
        return instruments.handlingDuration.record(
          seconds(event.durationMs),
          circumstancesOf(event),
        );
      case "delivered":
        return instruments.deliveries.add(event.messages, kindOf(event));
      case "outbox-depth":
        instruments.outboxDue.record(event.due);
        instruments.outboxAge.record(seconds(event.oldestMs));
        return instruments.outboxDead.record(event.dead);
      case "job":
        return measureJob(instruments, event);
      case "queue-depth": {
        const of = { "troupe.queue": event.queue };
        instruments.queueWaiting.record(event.waiting, of);
        instruments.queueActive.record(event.active, of);
        return instruments.queueAge.record(seconds(event.oldestMs), of);
      }
      case "quarantined":
      case "released":
        instruments.quarantined.record(event.held, supervisedBy(event));
        return instruments.occurrences[event.type].add(1, circumstancesOf(event));
      case "connections-cut":
        return instruments.connectionsCut.add(event.connections, circumstancesOf(event));
      case "mode":
        // Of all modes one is 1, so that each is a series that can be looked at by itself.
        instruments.mode.record(0, { "troupe.mode": event.before });
        return instruments.mode.record(1, { "troupe.mode": event.mode });
      case "breaker":
        instruments.breakerOpen.record(Number(event.state === "open"), dependencyOf(event));
        return instruments.breakerChanges.add(1, {
          ...dependencyOf(event),
          "troupe.state": event.state,
        });
      case "load":
        instruments.loopDelay.record(seconds(event.loopDelayMs));
        instruments.queueDelay.record(seconds(event.queueDelayMs));
        instruments.inFlight.record(event.inFlight);
        instruments.sheddingLevel.record(event.level);
        return instruments.refusedShare.record(event.refusedShare);
      case "shed":
        return instruments.shed.add(event.requests, { "troupe.class": event.requestClass });
      case "limited":
        return instruments.limited.add(event.requests, { "troupe.limit": event.limit });
      case "told":
      case "jobs-settled":
      case "audit-head":
        return;
      default:
        return instruments.occurrences[event.type].add(1, circumstancesOf(event));
    }
  };
}

function measureTurn(instruments: Instruments, event: EventOf<"turn">): void {
  const kind = kindOf(event);
  instruments.turnDuration.record(seconds(event.endedAt - event.startedAt), kind);
  instruments.turnMessages.record(event.messages.length, kind);
  const outcomes = new Map<string, number>();
  for (const { outcome, receivedAt } of event.messages) {
    instruments.mailboxWait.record(seconds(event.startedAt - receivedAt), kind);
    outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
  }
  for (const [outcome, count] of outcomes) {
    instruments.messages.add(count, { ...kind, "troupe.outcome": outcome });
  }
}

function measureJob(instruments: Instruments, event: EventOf<"job">): void {
  const of = {
    "troupe.queue": event.job.to.key,
    "troupe.job.type": event.jobType,
    "troupe.outcome": event.outcome,
  };
  instruments.jobDuration.record(seconds(event.endedAt - event.startedAt), of);
}

type Instruments = ReturnType<typeof instrumentsOf>;

// The API's default buckets are made for milliseconds and would put every turn into the first.
const SECONDS = [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];
const COUNTS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1_024, 4_096];

function instrumentsOf(meter: Meter) {
  const duration = (name: string, description: string) =>
    histogram(meter, name, { unit: "s", description, bounds: SECONDS });
  const size = (name: string, unit: string, description: string) =>
    histogram(meter, name, { unit, description, bounds: COUNTS });
  const counter = (name: string, unit: string, description: string): Counter =>
    meter.createCounter(name, { unit, description });
  const gauge = (name: string, unit: string, description: string): Gauge =>
    meter.createGauge(name, { unit, description });
  return {
    turnDuration: duration("troupe.turn.duration", "Time from the first decision to the replies"),
    turnMessages: size("troupe.turn.messages", "{message}", "Messages decided in one turn"),
    mailboxWait: duration("troupe.mailbox.wait", "Time from mailbox to turn"),
    messages: counter("troupe.messages", "{message}", "Messages handled, by outcome"),
    commitDuration: duration("troupe.commit.duration", "Time that one group commit took"),
    commitActors: size("troupe.commit.actors", "{actor}", "Actors in one group commit"),
    commitEvents: counter("troupe.commit.events", "{event}", "Events recorded"),
    activationDuration: duration("troupe.activation.duration", "Time to bring an actor to life"),
    loadDuration: duration("troupe.load.duration", "Time that one query for actors took"),
    projectionDuration: duration("troupe.projection.duration", "Time to fold one batch of events"),
    projectionEvents: counter("troupe.projection.events", "{event}", "Events folded"),
    projectionBlocked: gauge(
      "troupe.projection.blocked",
      "s",
      "Age of the events that it cannot get past",
    ),
    handlingDuration: duration("troupe.subscriber.duration", "Time that a subscriber took"),
    deliveries: counter("troupe.outbox.delivered", "{message}", "Told messages that were handled"),
    outboxDue: gauge("troupe.outbox.due", "{message}", "Told messages that are due"),
    outboxAge: gauge("troupe.outbox.age", "s", "How long the oldest of them has been due"),
    outboxDead: gauge("troupe.outbox.dead", "{message}", "Dead letters"),
    jobDuration: duration("troupe.job.duration", "Time that one attempt at a job took, by outcome"),
    queueWaiting: gauge("troupe.queue.waiting", "{job}", "Jobs that are due and wait"),
    queueActive: gauge("troupe.queue.active", "{job}", "Jobs that run"),
    queueAge: gauge("troupe.queue.age", "s", "How long the oldest that waits has been due"),
    connectionsCut: counter("troupe.http.connections.cut", "{connection}", "Closed by a bound"),
    quarantined: gauge("troupe.quarantined", "{thing}", "What is in quarantine, by kind or worker"),
    mode: gauge("troupe.mode", "1", "1 for the mode that the service is in"),
    breakerOpen: gauge("troupe.breaker.open", "1", "1 while the breaker is open"),
    breakerChanges: counter("troupe.breaker.changes", "{change}", "Breakers opened and closed"),
    loopDelay: gauge("troupe.load.loop_delay", "s", "By how much the event loop comes late"),
    queueDelay: gauge("troupe.load.queue_delay", "s", "The least that anybody waits for a turn"),
    inFlight: gauge("troupe.load.in_flight", "{request}", "Requests under way"),
    sheddingLevel: gauge("troupe.shedding.level", "1", "0: all are admitted, 1: no lists, 2: few"),
    refusedShare: gauge("troupe.shedding.refused", "1", "Share of the commands that is refused"),
    limited: counter("troupe.limits.refused", "{request}", "Requests of who asks too often"),
    shed: counter("troupe.shedding.requests", "{request}", "Requests refused for load, by class"),
    occurrences: {
      "load-failed": counter("troupe.load.failures", "{attempt}", "Attempts to read that failed"),
      "retry-refused": counter("troupe.retries.refused", "{retry}", "Retries without a budget"),
      "bulkhead-full": counter("troupe.bulkhead.refused", "{query}", "Queries turned away"),
      "passivated": counter("troupe.passivations", "{actor}", "Actors put out of memory"),
      "restarted": counter("troupe.restarts", "{restart}", "Actors read anew after a failure"),
      "quarantined": counter("troupe.quarantines", "{quarantine}", "What was stopped for a while"),
      "released": counter("troupe.releases", "{release}", "Ends of quarantines"),
      "data-loss": counter("troupe.data_losses", "{actor}", "Actors that the store lost events of"),
      "worker-failed": counter("troupe.worker.failures", "{failure}", "Defects of workers"),
      "snapshot-dropped": counter("troupe.snapshots.dropped", "{snapshot}", "Unreadable snapshots"),
      "conflict": counter(
        "troupe.conflicts",
        "{conflict}",
        "Turns that lost a race and were redone",
      ),
      "mailbox-full": counter("troupe.mailbox.refusals", "{message}", "Messages refused for room"),
      "commit-failed": counter("troupe.commit.failures", "{attempt}", "Attempts that failed"),
      "batch-bisected": counter("troupe.commit.bisections", "{batch}", "Batches halved"),
      "projection-failed": counter("troupe.projection.failures", "{batch}", "Batches not folded"),
      "handling-failed": counter("troupe.subscriber.failures", "{attempt}", "Attempts that failed"),
      "given-up": counter("troupe.subscriber.given_up", "{turn}", "Turns never handled"),
      "rebuilding": counter("troupe.rebuild.pages", "{page}", "Pages of rebuilds"),
      "rebuilt": counter("troupe.rebuilds", "{rebuild}", "Projections made anew"),
      "rebuild-failed": counter("troupe.rebuild.failures", "{attempt}", "Attempts that failed"),
      "delivery-failed": counter(
        "troupe.outbox.attempts.failed",
        "{attempt}",
        "Attempts that failed",
      ),
      "buried": counter("troupe.outbox.buried", "{message}", "Messages that became dead letters"),
      "relay-failed": counter("troupe.outbox.failures", "{task}", "Times the relay met a fault"),
      "queue-limited": counter("troupe.queue.limited", "{claim}", "Claims that a rate held back"),
      "job-worker-failed": counter("troupe.job.failures", "{task}", "Times a worker met a fault"),
      "audit-rewritten": counter("troupe.audit.rewritings", "{alarm}", "Alarms of the audit"),
      "maintenance-failed": counter("troupe.maintenance.failures", "{task}", "Tasks that failed"),
    },
  };
}

function histogram(
  meter: Meter,
  name: string,
  { unit, description, bounds }: {
    readonly unit: string;
    readonly description: string;
    readonly bounds: number[];
  },
): Histogram {
  return meter.createHistogram(name, {
    unit,
    description,
    advice: { explicitBucketBoundaries: bounds },
  });
}

/** Of few values only: each combination is a time series of its own. */
function circumstancesOf(event: RuntimeEvent): Attributes {
  return {
    ...("address" in event && { "troupe.actor.kind": event.address.kind }),
    ...("subject" in event && supervisedBy(event)),
    ...("worker" in event && { "troupe.worker": event.worker }),
    ...("because" in event && { "troupe.because": event.because }),
    ...("projection" in event && { "troupe.projection": event.projection }),
    ...("subscriber" in event && { "troupe.subscriber": event.subscriber }),
    ...("task" in event && { "troupe.task": event.task }),
    ...("queue" in event && { "troupe.queue": event.queue }),
    ...("operation" in event && { "troupe.operation": event.operation }),
    ...("bulkhead" in event && { "troupe.bulkhead": event.bulkhead }),
  };
}

function supervisedBy({ subject }: { readonly subject: Supervised }): Attributes {
  const { is } = subject;
  const of = { "troupe.supervised": is };
  if (is === "worker") return { ...of, "troupe.worker": subject.worker };
  return { ...of, "troupe.actor.kind": is === "kind" ? subject.kind : subject.address.kind };
}

function dependencyOf({ dependency }: EventOf<"breaker">): Attributes {
  return { "troupe.dependency": dependency };
}

function kindOf({ address }: { readonly address: { readonly kind: string } }): Attributes {
  return { "troupe.actor.kind": address.kind };
}

function prefixed(prefix: string, values: Readonly<Record<string, number>>): Attributes {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [prefix + name, value]));
}

function seconds(ms: number): number {
  return ms / 1_000;
}
