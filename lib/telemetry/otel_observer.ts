import type { Observe } from "../runtime/observe.ts";
export function otelObserver(_env: unknown): Observe | undefined { return undefined; }
