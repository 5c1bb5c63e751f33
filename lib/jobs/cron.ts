/**
 * When a cron expression is due, by the calendar and the clock of a time zone.
 *
 * Five fields: minute, hour, day of the month, month, day of the week. What each may hold is said by
 * croner, which finds the days and hours; it is told local times as if they were UTC, so that neither
 * its own time zone nor that of the process matters. What local times mean where clocks are changed
 * is decided here:
 *
 * - An expression for every hour goes by the time that passes: "every 15 minutes" is every 15
 *   minutes, in an hour that comes twice as well.
 * - Every other expression goes by the calendar: each local time that it names comes once. Where the
 *   clock shows it twice, the first time counts; where the clock jumps over it, the moment of the jump
 *   does. Several that are jumped over are one, as they are the same moment.
 *
 * @module
 */
import { Cron } from "croner";

const MINUTE_MS = 60_000;
const DAY_MS = 24 * 60 * MINUTE_MS;
const FIELDS = 5;
const CRON_CHARS_MAX = 200;
const HOURS = 24;

/** Times are epoch milliseconds, and whole minutes of the zone. */
export interface CronTimes {
  /** The first after that moment; undefined if none ever comes. */
  next(after: number): number | undefined;
  /** The last `most` of those from `first` to `through`, both included, in their order. */
  newest(first: number, through: number, most: number): readonly number[];
}

export function isCron(text: string): boolean {
  // Croner takes more: times of their own, "@daily", seconds and years.
  if (text.length > CRON_CHARS_MAX || text.split(" ").length !== FIELDS) return false;
  try {
    patternOf(text);
    return true;
  } catch {
    return false;
  }
}

export function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    return false;
  }
}

/** @throws unless both are what `isCron` and `isTimeZone` take. */
export function cronTimes(cron: string, timeZone: string): CronTimes {
  const pattern = patternOf(cron);
  const following = isEveryHour(cron) ? nextAsTimePasses : nextByCalendar;
  // Where zones are concerned there are no parts of milliseconds.
  const next = (after: number) => following(pattern, timeZone, Math.floor(after));
  return { next, newest: (first, through, most) => newestOf(next, first, through, most) };
}

function patternOf(cron: string): Cron {
  return new Cron(cron, { mode: "5-part", utcOffset: 0 });
}

function isEveryHour(cron: string): boolean {
  const pattern = patternOf(`0 ${cron.split(" ")[1]} * * *`);
  return pattern.nextRuns(HOURS, new Date(-MINUTE_MS)).at(-1)!.getTime() < DAY_MS;
}

/** The first local time after `local` that the pattern names; both as if the zone were UTC. */
function nextNamed(pattern: Cron, local: number): number | undefined {
  const minute = Math.floor(local / MINUTE_MS) * MINUTE_MS;
  return pattern.nextRun(new Date(minute))?.getTime();
}

/** All moments at which the clock shows what the pattern names: offset by offset. */
function nextAsTimePasses(pattern: Cron, timeZone: string, after: number): number | undefined {
  // The moment of a change may itself be named, by what the clock shows from then on.
  for (let [since, searched] = [after, after];;) {
    const clock = zoned(since, timeZone);
    const offset = clock.offsetNanoseconds / 1e6;
    const local = nextNamed(pattern, searched + offset);
    if (local === undefined) return undefined;
    const found = local - offset;
    const change = clock.getTimeZoneTransition("next")?.epochMilliseconds;
    if (change === undefined || found < change) return found;
    [since, searched] = [change, change - 1];
  }
}

function nextByCalendar(pattern: Cron, timeZone: string, after: number): number | undefined {
  // What is named up to here has been reached by `after`; and of what the clock shows a second time,
  // some that is named later as well.
  let local: number | undefined = after + offsetAt(after, timeZone);
  while (true) {
    local = nextNamed(pattern, local);
    if (local === undefined) return undefined;
    const found = firstReaching(local, timeZone);
    if (found > after) return found;
  }
}

/** The first moment at which the clock shows that time or a later one. */
function firstReaching(local: number, timeZone: string): number {
  const shown = Temporal.Instant.fromEpochMilliseconds(local).toZonedDateTimeISO("UTC")
    .toPlainDateTime().toZonedDateTime(timeZone, { disambiguation: "earlier" });
  const isShown = shown.epochMilliseconds + shown.offsetNanoseconds / 1e6 === local;
  return isShown ? shown.epochMilliseconds : shown.getTimeZoneTransition("next")!.epochMilliseconds;
}

function zoned(at: number, timeZone: string): Temporal.ZonedDateTime {
  return Temporal.Instant.fromEpochMilliseconds(at).toZonedDateTimeISO(timeZone);
}

function offsetAt(at: number, timeZone: string): number {
  return zoned(at, timeZone).offsetNanoseconds / 1e6;
}

type Next = CronTimes["next"];

function newestOf(next: Next, first: number, through: number, most: number): number[] {
  const times: number[] = [];
  for (let until = through; times.length < most;) {
    const time = lastUpTo(next, until, first);
    if (time === undefined) break;
    times.push(time);
    until = time - 1;
  }
  return times.reverse();
}

/** Found by looking from ever earlier, then halving: a year of minutes is not walked through. */
function lastUpTo(next: Next, until: number, first: number): number | undefined {
  const isBefore = (moment: number) => (next(moment) ?? Infinity) <= until;
  let early = until - MINUTE_MS;
  while (!isBefore(early)) {
    if (early < first) return undefined;
    early = until - 2 * (until - early);
  }
  for (let late = until; late - early > MINUTE_MS;) {
    const middle = Math.floor((early + late) / 2);
    if (isBefore(middle)) early = middle;
    else late = middle;
  }
  let time = next(early)!;
  for (let later = next(time); later !== undefined && later <= until; later = next(time)) {
    time = later;
  }
  return time >= first ? time : undefined;
}
