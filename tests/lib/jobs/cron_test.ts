/** When cron expressions are due, above all where clocks are changed. */
import assert from "node:assert/strict";
import fc from "fast-check";
import { cronTimes, isCron, isTimeZone } from "../../../lib/jobs/cron.ts";

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

/** The times of a cron expression in Berlin, as UTC without its date, from noon before that day. */
function times(cron: string, day: string, count: number, timeZone = "Europe/Berlin"): string[] {
  const { next } = cronTimes(cron, timeZone);
  const found: string[] = [];
  for (let at = Date.parse(`${day}T00:00Z`) - DAY / 2; found.length < count;) {
    at = next(at)!;
    found.push(new Date(at).toISOString().slice(5, 16).replace("T", " "));
  }
  return found;
}

/** Clocks jump from 02:00 to 03:00, which is 01:00 UTC. */
const SPRING = "2026-03-29";
/** Clocks go back from 03:00 to 02:00, which is 01:00 UTC as well. */
const AUTUMN = "2026-10-25";

Deno.test("a daily time that the clock jumps over comes at the moment of the jump, once", () => {
  assert.deepEqual(times("30 2 * * *", SPRING, 2), ["03-29 01:00", "03-30 00:30"]);
  assert.deepEqual(times("0 2 * * *", SPRING, 2), ["03-29 01:00", "03-30 00:00"]);
});

Deno.test("a daily time that the clock shows twice comes the first time", () => {
  assert.deepEqual(times("30 2 * * *", AUTUMN, 2), ["10-25 00:30", "10-26 01:30"]);
  assert.deepEqual(times("0 2 * * *", AUTUMN, 2), ["10-25 00:00", "10-26 01:00"]);
});

Deno.test("a daily time at the end of the change comes once", () => {
  assert.deepEqual(times("0 3 * * *", SPRING, 2), ["03-29 01:00", "03-30 01:00"]);
  assert.deepEqual(times("0 3 * * *", AUTUMN, 2), ["10-25 02:00", "10-26 02:00"]);
});

Deno.test("every 15 minutes is every 15 minutes on both days", () => {
  for (const day of [SPRING, AUTUMN]) {
    const { next } = cronTimes("*/15 * * * *", "Europe/Berlin");
    let at = Date.parse(`${day}T00:00Z`) - DAY / 2;
    for (let count = 0; count < 2 * 24 * 4; count++) {
      assert.equal(next(at), at + 15 * MINUTE);
      at += 15 * MINUTE;
    }
  }
});

Deno.test("an hourly time comes in the hour that is shown twice both times", () => {
  assert.deepEqual(times("30 0-23 * * *", AUTUMN, 15).slice(-4), [
    "10-24 23:30",
    "10-25 00:30",
    "10-25 01:30",
    "10-25 02:30",
  ]);
});

Deno.test("several times of one day that the clock jumps over are one", () => {
  assert.deepEqual(times("*/15 2 * * *", SPRING, 2), ["03-29 01:00", "03-30 00:00"]);
  assert.deepEqual(times("30 2,3 * * *", SPRING, 3), ["03-29 01:00", "03-29 01:30", "03-30 00:30"]);
});

Deno.test("several times of one day that are shown twice come once each", () => {
  assert.deepEqual(times("*/30 2,3 * * *", AUTUMN, 5), [
    "10-25 00:00",
    "10-25 00:30",
    "10-25 02:00",
    "10-25 02:30",
    "10-26 01:00",
  ]);
});

Deno.test("a jump may be half an hour, come at midnight or swallow a day", () => {
  // Lord Howe: 02:00 to 02:30. Cairo: 00:00 to 01:00. Apia: the 30th of December 2011 was not.
  assert.deepEqual(times("15 2 * * *", "2026-10-04", 1, "Australia/Lord_Howe"), ["10-03 15:30"]);
  assert.deepEqual(times("0 0 * * *", "2026-04-24", 2, "Africa/Cairo"), [
    "04-23 22:00",
    "04-24 21:00",
  ]);
  assert.deepEqual(times("0 12 * * *", "2011-12-30", 3, "Pacific/Apia"), [
    "12-29 22:00",
    "12-30 10:00",
    "12-30 22:00",
  ]);
});

Deno.test("a search that begins a millisecond before a change ends", () => {
  for (const day of [SPRING, AUTUMN]) {
    const change = Date.parse(`${day}T01:00Z`);
    for (const cron of ["0 * * * *", "0 3 * * *", "30 2 * * *"]) {
      const { next } = cronTimes(cron, "Europe/Berlin");
      for (const after of [change - 1, change - 0.5, change, change + 1]) {
        assert(next(after)! > after);
      }
    }
    assert.equal(cronTimes("0 * * * *", "Europe/Berlin").next(change - 1), change);
  }
});

Deno.test("what never comes is never due", () => {
  for (const cron of ["0 0 30 2 *", "* * 31 4,6 *"]) {
    assert.equal(cronTimes(cron, "Europe/Berlin").next(0), undefined);
  }
  const leapDay = cronTimes("0 0 29 2 *", "UTC").next(Date.parse("2096-03-01T00:00Z"));
  assert.equal(leapDay, Date.parse("2104-02-29T00:00Z"), "2100 has none");
});

Deno.test("the newest of many years are found without walking through them", () => {
  const { newest } = cronTimes("* * * 1-6 *", "UTC");
  const [first, through] = [Date.parse("2000-01-01T00:00Z"), Date.parse("2026-12-31T00:00Z")];
  assert.deepEqual(newest(first, through, 2), [
    Date.parse("2026-06-30T23:58Z"),
    Date.parse("2026-06-30T23:59Z"),
  ]);
});

Deno.test("five fields that croner can read are a cron expression", () => {
  const good = ["* * * * *", "*/5 8-18 * * MON-FRI", "0 0 L * *", "0 9 * * 1#1", "0 0 29 2 *"];
  for (const text of good) assert(isCron(text), text);
  const bad = [
    "",
    "*",
    "* * * *",
    "* * * * * *",
    "@daily",
    "@daily * * * *",
    "2030-01-01T00:00:00",
    "60 * * * *",
    "* 24 * * *",
    "* * 0 * *",
    "* * * 13 *",
    "* * * * 8",
    "*/0 * * * *",
    "5-1 * * * *",
    " * * * *",
    "* * * *\t*",
    "a b c d e",
    "1;drop 1 1 1 1",
    "NaN NaN NaN NaN NaN",
  ];
  for (const text of bad) assert(!isCron(text), text);
});

Deno.test("a time zone is one that the platform knows", () => {
  for (const text of ["UTC", "Europe/Berlin", "+05:30"]) assert(isTimeZone(text), text);
  for (const text of ["", "Mars/Base", "Europe/Berlin ", "local", "25", "2030-01-01T00:00[UTC]"]) {
    assert(!isTimeZone(text), text);
  }
});

const zone = fc.constantFrom(
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Australia/Lord_Howe",
  "Africa/Cairo",
  "Asia/Kathmandu",
  "America/St_Johns",
);
const values = (most: number) => fc.uniqueArray(fc.nat(most), { minLength: 1, maxLength: 4 });

/** Minutes and hours that are named; undefined is every hour. */
interface Named {
  readonly minutes: readonly number[];
  readonly hours: readonly number[] | undefined;
}

const named: fc.Arbitrary<Named> = fc.record({
  minutes: values(59),
  // Around the hours at which clocks are changed.
  hours: fc.option(fc.oneof(values(23), values(3)), { nil: undefined }),
});

/** Minute by minute, with what the clock of the zone shows at each. */
function* clock(timeZone: string, from: number, through: number) {
  const shown = new Intl.DateTimeFormat("en-CA", {
    timeZone,
    hourCycle: "h23",
    year: "numeric",
    month: "2-digit",
    day: "2-digit",
    hour: "2-digit",
    minute: "2-digit",
  });
  for (let at = from; at <= through; at += MINUTE) {
    const part = Object.fromEntries(
      shown.formatToParts(new Date(at)).map(({ type, value }) => [type, Number(value)]),
    );
    const { year, month, day, hour, minute } = part as Record<string, number>;
    yield { at, local: Date.UTC(year!, month! - 1, day!, hour!, minute!) };
  }
}

/** By the rules, in the simplest way there is. */
function naiveTimes({ minutes, hours }: Named, timeZone: string, from: number, through: number) {
  const isNamed = (local: number) => {
    const time = new Date(local);
    return minutes.includes(time.getUTCMinutes()) &&
      (hours === undefined || hours.includes(time.getUTCHours()));
  };
  const found: number[] = [];
  let reached: number | undefined;
  for (const { at, local } of clock(timeZone, from - 3 * HOUR, through)) {
    // By the calendar, what was reached before counts no more; what was jumped over counts now.
    const since = hours === undefined ? local - MINUTE : reached ?? local;
    let isDue = false;
    for (let each = since + MINUTE; each <= local; each += MINUTE) isDue ||= isNamed(each);
    reached = Math.max(reached ?? local, local);
    if (isDue && at >= from) found.push(at);
  }
  return found;
}

/** Before the one change of the year, or before the other. */
const month = fc.constantFrom("01", "06");

Deno.test("around every change of clocks it is due when a minute by minute walk says so", () => {
  fc.assert(
    fc.property(
      zone,
      named,
      fc.nat(20),
      fc.boolean(),
      month,
      (timeZone, pattern, shift, isNewest, month) => {
        const start = Temporal.Instant.from(`2026-${month}-01T00:00Z`).toZonedDateTimeISO(timeZone);
        const change = start.getTimeZoneTransition("next")?.epochMilliseconds ??
          Date.UTC(2026, 2, 1);
        const from = change - shift * HOUR;
        const through = change + 30 * HOUR;
        const expected = naiveTimes(pattern, timeZone, from, through);
        const { minutes, hours } = pattern;
        const { next, newest } = cronTimes(`${minutes} ${hours ?? "*"} * * *`, timeZone);
        if (isNewest) return assert.deepEqual(newest(from, through, 7), expected.slice(-7));
        const found: number[] = [];
        for (let at = next(from - 1)!; at <= through; at = next(at)!) found.push(at);
        assert.deepEqual(found, expected);
      },
    ),
    { numRuns: 60 },
  );
});

Deno.test("the time zone of the process plays no part", async () => {
  const module = new URL("../../../lib/jobs/cron.ts", import.meta.url).href;
  const code = `
    const { cronTimes } = await import("${module}");
    for (const cron of ["30 2 * * *", "*/15 * * * *", "0 0 L * 1"]) {
      let at = Date.parse("2026-03-28T00:00Z");
      for (let count = 0; count < 200; count++) console.log(at = cronTimes(cron, "Europe/Berlin").next(at));
    }`;
  const outputs = new Set<string>();
  for (const TZ of ["UTC", "America/New_York", "Europe/Berlin", "Pacific/Apia"]) {
    const command = new Deno.Command("deno", { args: ["eval", code], env: { TZ } });
    const { stdout, success } = await command.output();
    assert(success);
    outputs.add(new TextDecoder().decode(stdout));
  }
  assert.equal(outputs.size, 1);
});
