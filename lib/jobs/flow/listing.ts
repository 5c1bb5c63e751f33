/** The port behind which flows are listed. */
import type { FlowStatus } from "./state.ts";

export interface ListedFlow {
  readonly id: string;
  /** Of its root. */
  readonly name: string;
  readonly status: FlowStatus;
  readonly nodes: number;
  readonly completed: number;
  readonly failed: number;
  readonly startedBy: string;
  readonly correlationId: string;
  readonly startedAt: Date;
  readonly endedAt: Date | null;
  readonly version: number;
}

export interface FlowQuery {
  readonly status?: FlowStatus;
  /** Flows that started before this one. */
  readonly before?: { readonly startedAt: Date; readonly id: string };
  readonly limit: number;
}

export interface FlowListing {
  /** The newest first. Throws {@linkcode TransientFault} when it cannot be told now. */
  list(query: FlowQuery): Promise<readonly ListedFlow[]>;
}
