import type { Observe } from "../runtime/observe.ts";
import type { Log } from "./log.ts";
export function logObserver(log: Log): Observe {
  return (event) => { if (/failed|restarted|bisected|dropped/.test(event.type)) log("warn", event.type, { ...event }); };
}
