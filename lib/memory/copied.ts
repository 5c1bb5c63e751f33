/** As JSON, so that nobody comes to rely on sharing objects with a store. */
export function copied<T>(value: T): T {
  return JSON.parse(JSON.stringify(value)) as T;
}
