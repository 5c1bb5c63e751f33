import type { MiddlewareHandler } from "hono";
import { routePath } from "hono/route";

/** Tells `name` which route answered, once it has: the path as it was declared, without ids. */
export function routed(name: (method: string, route: string) => void): MiddlewareHandler {
  return async (c, next) => {
    await next();
    name(c.req.method, routePath(c, -1));
  };
}
