import assert from "node:assert/strict";
import { openLog } from "../../../lib/telemetry/log.ts";

function logged(write: (log: ReturnType<typeof openLog>) => void): string[] {
  const lines: string[] = [];
  write(openLog("info", (line) => lines.push(line), () => 0));
  return lines;
}

Deno.test("an entry is one line of JSON, with its time, level and message", () => {
  const [line] = logged((log) => log("info", "listening", { port: 8_000, size: 1n }));
  assert.deepEqual(JSON.parse(line!), {
    time: "1970-01-01T00:00:00.000Z",
    level: "info",
    message: "listening",
    port: 8_000,
    size: "1",
  });
});

Deno.test("what is below the level is neither written nor computed", () => {
  const lines = logged((log) =>
    log("debug", "turn", () => {
      throw new Error("computed");
    })
  );
  assert.deepEqual(lines, []);
});

Deno.test("no text breaks the line or steers the terminal that shows it", () => {
  const text = "a\nb\r\u001b[31m\u009b31m\u2028\u2029\u0000\u007f\u0085";
  const [line] = logged((log) => log("info", text, { [text]: text }));
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(line!, /[\u0000-\u001f\u007f-\u009f\u2028\u2029]/);
  const entry = JSON.parse(line!);
  assert.equal(entry.message, text);
  assert.equal(entry[text], text);
});

Deno.test("an error is written with its stack and its causes", () => {
  const cause = new RangeError("too far");
  const [line] = logged((log) => log("error", "bug", { error: new Error("no", { cause }) }));
  const { error } = JSON.parse(line!);
  assert.equal(error.message, "no");
  assert.match(error.stack, /log_test\.ts/);
  assert.equal(error.cause.name, "RangeError");
});

Deno.test("a field cannot pass for the level, the time or the message", () => {
  const [line] = logged((log) =>
    log("warn", "real", { level: "info", message: "forged", time: "" })
  );
  const { level, message, time } = JSON.parse(line!);
  assert.deepEqual({ level, message, time }, {
    level: "warn",
    message: "real",
    time: "1970-01-01T00:00:00.000Z",
  });
});

Deno.test("what has no JSON costs its fields, not the entry, and never throws", () => {
  const cycle: Record<string, unknown> = {};
  cycle.self = cycle;
  const error = new Error("no");
  error.cause = error;
  for (const field of [cycle, error, { toJSON: () => cycle.none!.toString() }]) {
    const [line] = logged((log) => log("error", "bug", { field }));
    const { message, unprintable } = JSON.parse(line!);
    assert.deepEqual({ message, unprintable }, { message: "bug", unprintable: true });
  }
});
