import assert from "node:assert/strict";
import { defaultQuotas, limitNames, MalformedQuotas, quotasIn } from "../../lib/quotas.ts";

const MINUTE_MS = 60_000;

Deno.test("the usual limits are those that were promised", () => {
  const { general, registration, trading, "risk-analysis": analysis } = defaultQuotas;
  assert.deepEqual(
    [general, registration, trading, analysis].map(({ limit, windowMs }) => [limit, windowMs]),
    [[100, MINUTE_MS], [5, MINUTE_MS], [50, MINUTE_MS], [10, MINUTE_MS]],
  );
  assert.deepEqual(quotasIn(""), defaultQuotas);
});

Deno.test("limits are set by name, the last of a name counts, and others stay", () => {
  const quotas = quotasIn("trading=500/min registration=9/h,login=10/15min/bucket trading=7/30s");
  assert.deepEqual(quotas.trading, { algorithm: "window", limit: 7, windowMs: 30_000 });
  assert.deepEqual(quotas.registration, {
    algorithm: "window",
    limit: 9,
    windowMs: 60 * MINUTE_MS,
  });
  assert.deepEqual(quotas.login, {
    algorithm: "bucket",
    limit: 10,
    windowMs: 15 * MINUTE_MS,
  });
  assert.deepEqual(quotas.general, defaultQuotas.general);
});

Deno.test("all that are not named can be set at once", () => {
  const quotas = quotasIn("all=1000000/day/bucket login=3/min");
  for (const name of limitNames.filter((name) => name !== "login")) {
    assert.deepEqual(quotas[name], {
      algorithm: "bucket",
      limit: 1_000_000,
      windowMs: 1_440 * MINUTE_MS,
    });
  }
  assert.equal(quotas.login.limit, 3);
});

const malformed: readonly (readonly [what: string, text: string, expected: RegExp])[] = [
  ["a name that nothing has", "trding=5/min", /names among general, registration/],
  ["a name that every object has", "constructor=5/min", /names among general/],
  ["no name", "5/min", /such as trading=500\/min/],
  ["no unit", "trading=6", /such as/],
  ["an unknown unit", "trading=5/month", /such as/],
  ["a negative limit", "trading=-5/min", /such as/],
  ["a broken limit", "trading=1.5/min", /such as/],
  ["a limit of nobody", "trading=0/min", /1 to 10000 with a window/],
  ["more than a window keeps in mind", "trading=10001/min", /1 to 10000000 with \/bucket/],
  ["more than a bucket counts", "feed=10000001/min", /1 to 10000000 with \/bucket/],
  ["no time at all", "trading=5/0min", /within 1 s to 1 day/],
  ["more than a day", "trading=5/2day", /within 1 s to 1 day/],
  ["an unknown algorithm", "trading=5/min/leaky", /such as/],
  ["something after all that", "trading=5/min/window!", /such as/],
  ["off, among others", "off trading=5/min", /off, or limits such as/],
];

for (const [what, text, expected] of malformed) {
  Deno.test(`${what} is malformed, and the word for it does not repeat it`, () => {
    assert.throws(() => quotasIn(text), (error) => {
      assert(error instanceof MalformedQuotas);
      assert.match(error.message, expected);
      assert(!error.message.includes(text));
      return true;
    });
  });
}
