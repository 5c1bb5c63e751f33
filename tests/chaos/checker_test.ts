/** Each way to break a promise is found in a history that was made up for it. */
import assert from "node:assert/strict";
import { check, type Notice, type Remains, type RememberedReply, type Verdict } from "./checker.ts";
import type { Ended, Entry, Invoked } from "./history.ts";
import type { RecordedEvent } from "./rules.ts";
import type { TradingEvent } from "./trading_check.ts";
import { tradingStory } from "./trading_story.ts";

const KEY = "11111111-1111-4111-8111-111111111111";

interface Story {
  history: Entry[];
  events: RecordedEvent[];
  trading: TradingEvent[];
  replies: RememberedReply[];
  notices: Notice[];
  listed: Record<string, unknown>;
  leftovers: Record<string, number>;
}

type Told = Pick<Ended, "version" | "value"> & { readonly key?: string };

/** Writes the history of a live event as it happens, all of it as it should be. */
class Storyteller {
  readonly #story: Story = {
    history: [],
    events: [],
    trading: [],
    replies: [],
    notices: [],
    listed: {},
    leftovers: {},
  };
  #operations = 0;
  #time = 0;

  /** An operation from its beginning to its end, with what it has led to. */
  did(
    asked: Partial<Invoked> & Pick<Invoked, "f">,
    told: Told,
    ...data: readonly (Record<string, unknown> & { readonly type: string })[]
  ): number {
    const i = this.#asked(asked);
    this.#record(`command-${i}`, `message-${i}`, ...data);
    this.#remember(i, { isAccepted: true, version: told.version! });
    this.#end("ok", i, 200, told);
    return i;
  }

  refused(asked: Partial<Invoked> & Pick<Invoked, "f">, reason: string): number {
    const i = this.#asked(asked);
    this.#remember(i, { isAccepted: false, version: this.#story.events.length, reason });
    this.#end("fail", i, 409, { value: reason });
    return i;
  }

  /** An operation that leaves nothing behind. */
  looked(asked: Partial<Invoked> & Pick<Invoked, "f">, told: Told, http = 200): number {
    const i = this.#asked(asked);
    this.#end(http < 400 ? "ok" : "fail", i, http, told);
    return i;
  }

  end(listed: Record<string, unknown>): Story {
    const version = this.#story.events.length;
    return { ...this.#story, listed: { key: KEY, version, ...listed } };
  }

  #asked(asked: Partial<Invoked> & Pick<Invoked, "f">): number {
    const i = this.#operations++;
    const keyed = { command: `command-${i}`, idempotencyKey: `key-${i}` };
    const isCommand = !["read", "strong-read", "standing", "repeat"].includes(asked.f);
    this.#story.history.push({
      type: "invoke",
      t: this.#time++,
      i,
      process: "client-0",
      key: KEY,
      who: "olga",
      ...(isCommand && keyed),
      ...asked,
    });
    return i;
  }

  #record(
    correlationId: string,
    causationId: string,
    ...data: readonly (Record<string, unknown> & { readonly type: string })[]
  ): void {
    const { events, notices } = this.#story;
    for (const { type, ...rest } of data) {
      const at = 1_000 + events.length;
      const version = events.length + 1;
      const isLate = false;
      events.push({ key: KEY, version, type, data: rest, correlationId, causationId, at, isLate });
      const notice = noticeOf[type];
      if (notice !== undefined) {
        notices.push({ userId: rest.userId as string, key: KEY, type: notice, at });
      }
    }
  }

  #remember(i: number, reply: Omit<RememberedReply, "idempotencyKey">): void {
    this.#story.replies.push({ idempotencyKey: `key-${i}`, ...reply });
  }

  #end(type: "ok" | "fail", i: number, http: number, told: Told): void {
    this.#story.history.push({ type, t: this.#time++, i, node: 0, http, ...told });
  }
}

const noticeOf: Record<string, string> = {
  Registered: "confirmed",
  Waitlisted: "waitlisted",
  Offered: "offered",
  Lapsed: "offer_lapsed",
};

/** One seat, one place to wait, and everything that can happen there. */
function story(): Story {
  const told = new Storyteller();
  const counts = (status: string, confirmed = 0, waitlisted = 0, offered = 0) => {
    return { status, capacity: 1, confirmed, waitlisted, offered };
  };
  const person = (who: string) => ({ registrationId: `seat-${who}`, userId: who });
  told.did(
    { f: "schedule", key: "" },
    { key: KEY, version: 1, value: counts("draft") },
    { type: "Scheduled", organizerId: "olga", capacity: 1, waitlistCapacity: 1, offerMinutes: 1 },
  );
  told.refused({ f: "register", who: "ann" }, "not-found");
  told.did({ f: "publish" }, { version: 2, value: counts("published") }, { type: "Published" });
  const seated = { registrationId: "seat-ann", status: "confirmed" };
  told.did(
    { f: "register", who: "ann" },
    { version: 3, value: seated },
    { type: "Registered", ...person("ann") },
  );
  const waits = { registrationId: "seat-ben", status: "waitlisted", position: 1 };
  told.did(
    { f: "register", who: "ben" },
    { version: 4, value: waits },
    { type: "Waitlisted", ...person("ben"), position: 1 },
  );
  told.refused({ f: "register", who: "cat" }, "sold-out");
  told.looked({ f: "strong-read" }, { version: 4, value: counts("published", 1, 1) });
  told.looked({ f: "standing", who: "ben" }, {
    version: 4,
    value: { registrationId: "seat-ben", userId: "ben", status: "waitlisted", position: 1 },
  });
  const left = told.did(
    { f: "withdraw", who: "ann", registrationId: "seat-ann" },
    { version: 6, value: null },
    { type: "Withdrawn", ...person("ann"), status: "confirmed" },
    { type: "Offered", ...person("ben") },
  );
  told.did(
    { f: "accept", who: "ben", registrationId: "seat-ben" },
    { version: 7, value: { registrationId: "seat-ben", status: "confirmed" } },
    { type: "Accepted", ...person("ben") },
  );
  told.did({ f: "revise" }, { version: 8, value: counts("published", 1) }, {
    type: "Revised",
    title: "Other",
  });
  told.looked({ f: "read" }, { version: 4, value: counts("published", 1, 1) });
  told.looked({ f: "repeat", of: left }, { version: 6, value: null });
  told.looked({ f: "misuse", of: left }, { value: "idempotency-key-reused" }, 422);
  return withTrading(told.end(counts("published", 1)));
}

/** Trading beside it, and after it. */
function withTrading({ history, replies, ...rest }: Story): Story {
  const { trading, ...other } = tradingStory();
  return {
    ...rest,
    trading,
    history: [...history, ...other.history],
    replies: [...replies, ...other.replies],
  };
}

async function verdictOn({ listed, ...rest }: Story): Promise<Verdict> {
  return await check(rest.history, { ...rest, listed: [listed] } as unknown as Remains);
}

Deno.test("of a story in which all is as it should be, nothing is found", async () => {
  const { breaches, acknowledged, trades } = await verdictOn(story());
  assert.deepEqual({ breaches, acknowledged, trades }, {
    breaches: [],
    acknowledged: 19,
    trades: 1,
  });
});

type Open<E> = { -readonly [Field in keyof E]: E[Field] };

/** How that operation began, to be changed. */
function begun({ history }: Story, i: number): Open<Invoked> {
  return history.find((entry) => entry.type === "invoke" && entry.i === i) as Invoked;
}

/** How it ended. */
function ended({ history }: Story, i: number): Open<Ended> {
  const isEnd = (entry: Entry) => entry.type === "ok" || entry.type === "fail";
  return history.find((entry) => isEnd(entry) && "i" in entry && entry.i === i) as Ended;
}

function renumber({ events }: Story): void {
  events.forEach((event, index) => Object.assign(event, { version: index + 1 }));
}

const breaks: readonly [name: string, found: string, spoil: (story: Story) => void][] = [
  ["an acknowledged command is not there", "lost", (story) => {
    story.events.pop();
  }],
  ["a command has its effect twice", "doubled", (story) => {
    story.events.push({ ...story.events[7]!, version: 9, causationId: "message-again" });
  }],
  ["a message has its effect twice", "doubled: .*its message", (story) => {
    story.events.push({ ...story.events[2]!, version: 9, type: "Lapsed" });
  }],
  ["a refused command is there after all", "failed-but-applied", (story) => {
    Object.assign(story.events[7]!, { correlationId: "command-5" });
  }],
  ["something is there that nobody has asked for", "unasked", (story) => {
    Object.assign(story.events[7]!, { correlationId: "command-of-nobody" });
  }],
  ["a version is missing", "gap", (story) => {
    Object.assign(story.events[7]!, { version: 9 });
  }],
  ["a seat is given twice", "rule", (story) => {
    Object.assign(story.events[3]!, { type: "Registered" });
  }],
  ["the second in line is promoted", "rule", (story) => {
    Object.assign(story.events[5]!.data, { registrationId: "seat-cat", userId: "cat" });
  }],
  ["somebody waits while a seat is free", "rule: .*waits", (story) => {
    story.events.splice(5, 1);
    renumber(story);
  }],
  ["a position in the waitlist is not the next one", "rule", (story) => {
    Object.assign(story.events[3]!.data, { position: 2 });
  }],
  ["what was asked later is recorded earlier", "order", (story) => {
    begun(story, 3).t = 100;
    ended(story, 3).t = 101;
  }],
  ["a command is acknowledged at another version", "answer", (story) => {
    ended(story, 3).version = 2.5;
  }],
  ["a seat is answered where there is only a place to wait", "answer", (story) => {
    ended(story, 4).value = { registrationId: "seat-ben", status: "confirmed" };
  }],
  ["a read shows what never was", "answer", (story) => {
    ended(story, 11).value = { status: "published", capacity: 1, confirmed: 0 };
  }],
  ["somebody is told a place that is not theirs", "answer", (story) => {
    Object.assign(ended(story, 7).value as object, { position: 2 });
  }],
  ["a read shows a version that is not there", "answer", (story) => {
    ended(story, 11).version = 80;
  }],
  ["a strong read is older than what was acknowledged", "stale", (story) => {
    ended(story, 6).version = 2;
  }],
  ["it is sold out while there is room", "false-rejection", (story) => {
    const reply = story.replies.find(({ idempotencyKey }) => idempotencyKey === "key-5")!;
    Object.assign(reply, { version: 3 });
  }],
  ["it is sold out, but only before anybody asked", "false-rejection", (story) => {
    begun(story, 5).t = 200;
    ended(story, 5).t = 201;
  }],
  ["a refusal that nothing remembers was never true", "false-rejection", (story) => {
    story.replies.splice(1, 1);
    ended(story, 1).value = "sold-out";
  }],
  ["what was done is not remembered", "forgotten", (story) => {
    story.replies.splice(2, 1);
  }],
  ["a command whose answer nobody heard has done something unremembered", "forgotten", (story) => {
    story.history = story.history.filter((entry) => !(entry.type === "ok" && entry.i === 10));
    story.replies = story.replies.filter(({ idempotencyKey }) => idempotencyKey !== "key-10");
  }],
  ["whoever asks again is told something else", "other-reply", (story) => {
    ended(story, 12).version = 5;
  }],
  ["a key is taken for another command", "misuse", (story) => {
    Object.assign(ended(story, 13), { type: "ok", http: 200 });
  }],
  ["a bug is answered", "bug", (story) => {
    story.history.push({ type: "info", t: 300, i: 3, node: 0, http: 500 });
  }],
  ["the list shows something else", "listing", (story) => {
    story.listed.confirmed = 2;
  }],
  ["the list is behind", "listing", (story) => {
    Object.assign(story.listed, { version: 7 });
  }],
  ["somebody is not told of their seat", "notice", (story) => {
    story.notices.pop();
  }],
  ["somebody is told twice", "notice", (story) => {
    story.notices.push(story.notices[0]!);
  }],
  ["a message is left", "undrained", (story) => {
    story.leftovers["messages"] = 1;
  }],
  ["nothing of a kind has succeeded", "too-little", (story) => {
    story.history = story.history.filter((entry) => !("i" in entry && entry.i === 12));
  }],
];

/** The operations of the story of trading. */
const [DEPOSIT, SALE, BID, REPLACE, CANCEL, PAY_OUT] = [101, 103, 105, 108, 110, 117];
const refused = {
  notWorking: 107,
  beingReplaced: 109,
  ended: 111,
  belowFilled: 112,
  alreadyPaused: 114,
  notPaused: 116,
  noCash: 118,
  noShares: 119,
};

/** The refusal is remembered as of another version. */
function movedTo(i: number, version: number): (story: Story) => void {
  return ({ replies }) => {
    Object.assign(replies.find(({ idempotencyKey }) => idempotencyKey === `key-${i}`)!, {
      version,
    });
  };
}

function versionOf({ trading }: Story, type: string): number {
  return trading.find((event) => event.type === type)!.version;
}

/** What the first such event says, to be changed. */
function said({ trading }: Story, type: string): Record<string, unknown> {
  return trading.find((event) => event.type === type)!.data;
}

function forget(story: Story, type: string): void {
  const index = story.trading.findLastIndex((event) => event.type === type);
  story.trading.splice(index, 1);
}

/** The first such event once more, as that of another message. */
function repeatEvent({ trading }: Story, type: string): void {
  const event = trading.find((event) => event.type === type)!;
  const version =
    trading.filter(({ kind, key }) => kind === event.kind && key === event.key).length;
  trading.push({ ...event, version: version + 1, causationId: "message-again" });
}

const breaksOfTrading: typeof breaks = [
  ["an acknowledged order is not there", "lost: .*place", (story) => {
    story.trading = story.trading.filter(({ key }) => key !== "wish");
  }],
  ["an acknowledged deposit is not there", "lost: .*deposit", (story) => {
    forget(story, "Deposited");
  }],
  ["an acknowledged cancellation has no end", "lost: .*cancel", (story) => {
    forget(story, "OrderCancelled");
  }],
  ["an acknowledged replacement was never asked of the order", "lost: .*replace", (story) => {
    forget(story, "ReplaceRequested");
  }],
  ["a deposit is counted twice", "doubled: account/ann", (story) => {
    repeatEvent(story, "Deposited");
  }],
  ["an order is placed twice", "doubled: order/first", (story) => {
    repeatEvent(story, "OrderPlaced");
  }],
  ["cash is there that nobody has paid in", "unasked: account/ann", (story) => {
    const index = story.trading.findIndex(({ type }) => type === "Deposited");
    story.trading[index] = { ...story.trading[index]!, correlationId: "command-of-nobody" };
  }],
  ["an order is there that was refused", "failed-but-applied: .*place", (story) => {
    Object.assign(ended(story, SALE), { type: "fail", http: 409, key: undefined });
  }],
  ["an order is placed for another quantity", "answer: .*place.*another quantity", (story) => {
    said(story, "OrderPlaced").quantity = 70_000;
  }],
  ["an order is placed by somebody else", "answer: .*place.*another accountId", (story) => {
    const { asked } = begun(story, SALE);
    Object.assign(begun(story, SALE), { asked: { ...asked, accountId: "cat" } });
  }],
  ["a deposit is of another amount", "answer: .*deposit.*another amount", (story) => {
    said(story, "Deposited").amount = "1";
  }],
  ["a deposit is acknowledged at another version", "answer: .*deposit.*acknowledged", (story) => {
    ended(story, DEPOSIT).version = 8;
  }],
  ["what was paid out later is recorded earlier", "order: .*pay-out", (story) => {
    ended(story, PAY_OUT).version = 1;
  }],
  ["an order is older than what was known of it", "order: .*replace", (story) => {
    ended(story, REPLACE).version = 0;
  }],
  ["an order that was placed is not remembered", "forgotten: .*place", (story) => {
    story.replies = story.replies.filter(({ idempotencyKey }) => idempotencyKey !== `key-${BID}`);
  }],
  ["an order that had not ended is said to have", "false-rejection: .*not so", (story) => {
    movedTo(refused.ended, 3)(story);
  }],
  ["an order works that is said not to", "false-rejection: .*not-working.*not so", (story) => {
    movedTo(refused.notWorking, 3)(story);
  }],
  ["an order is not being replaced", "false-rejection: .*being-replaced.*not so", (story) => {
    movedTo(refused.beingReplaced, 3)(story);
  }],
  ["less is filled than is said", "false-rejection: .*below-filled.*not so", (story) => {
    Object.assign(begun(story, refused.belowFilled), { asked: { quantity: 60_000 } });
  }],
  ["a market is not paused", "false-rejection: .*already-paused.*not so", (story) => {
    movedTo(refused.alreadyPaused, 1)(story);
  }],
  ["a market is paused", "false-rejection: .*not-paused.*not so", (story) => {
    movedTo(refused.notPaused, versionOf(story, "TradingPaused"))(story);
  }],
  ["there is cash enough", "false-rejection: .*insufficient-cash.*not so", (story) => {
    Object.assign(begun(story, refused.noCash), { asked: { amount: "1" } });
  }],
  ["there are shares enough", "false-rejection: .*insufficient-shares.*not so", (story) => {
    Object.assign(begun(story, refused.noShares), { asked: { symbol: "ACME", quantity: 1 } });
  }],
  ["it is refused at a version that is not there", "false-rejection: .*not there", (story) => {
    movedTo(refused.noCash, 99)(story);
  }],
  ["it is refused as of before it was asked", "false-rejection: .*after", (story) => {
    movedTo(refused.noShares, 0)(story);
  }],
  ["another refusal is remembered", "answer: .*cancel", (story) => {
    ended(story, refused.ended).value = "not-working";
  }],
  ["a cancellation is told as of before", "order: .*cancel", (story) => {
    ended(story, CANCEL).version = 1;
  }],
  ["a sale is never settled", "conservation: at rest, SaleReceived", (story) => {
    forget(story, "SaleReceived");
  }],
  ["a purchase is paid twice", "conservation: .*twice", (story) => {
    repeatEvent(story, "PurchasePaid");
  }],
  ["another price is paid than was agreed", "conservation: .*says", (story) => {
    said(story, "PurchasePaid").cost = "1";
  }],
  ["shares come from nowhere", "conservation: .*no trade", (story) => {
    said(story, "SharesBought").tradeId = "ACME:9";
  }],
  [
    "an order that has ended still has cash kept for it",
    "reservations: at rest, for wish",
    (story) => {
      forget(story, "CashReleased");
    },
  ],
  ["less is kept than an order needs", "reservations: .*second", (story) => {
    story.trading.findLast(({ type }) => type === "SharesReserved")!.data.quantity = 70_000;
  }],
  ["an order is filled beyond its quantity", "executions: .*too many", (story) => {
    said(story, "OrderExecuted").quantity = 90_000;
  }],
  ["an order works that has no place in its market", "executions: at rest, of second", (story) => {
    story.trading = story.trading.filter(({ kind, data }) => {
      return kind !== "market" || data.orderId !== "second";
    });
  }],
  ["whoever came second trades first", "priority: at ACME bid led to", (story) => {
    const { trades } = story.trading.find(({ kind, data }) => {
      return kind === "market" && data.orderId === "bid";
    })!.data;
    trades[0].orderId = "second";
  }],
];

for (const [name, found, spoil] of [...breaks, ...breaksOfTrading]) {
  Deno.test(`it is found when ${name}`, async () => {
    const spoilt = story();
    spoil(spoilt);
    const { breaches } = await verdictOn(spoilt);
    const isFound = breaches.some((text) => new RegExp(`^${found}`).test(text));
    assert(isFound, `found: ${breaches.join("\n")}`);
  });
}

Deno.test("a command whose answer nobody heard may have had its effect or not", async () => {
  const unheard = story();
  unheard.history = unheard.history.filter((entry) => !(entry.type === "ok" && entry.i === 10));
  const kinds = (verdict: Verdict) => verdict.breaches.map((text) => text.split(":")[0]);
  assert.deepEqual(kinds(await verdictOn(unheard)), ["too-little"], "no other revision");
  unheard.events.pop();
  unheard.replies = unheard.replies.filter(({ idempotencyKey }) => idempotencyKey !== "key-10");
  unheard.listed.version = 7;
  assert.deepEqual(kinds(await verdictOn(unheard)), ["too-little"]);
});

Deno.test("what a timer does late need not be known to anybody yet", async () => {
  const late = story();
  const [cause] = late.events.slice(-1);
  late.events.push({
    ...cause!,
    version: 9,
    type: "Withdrawn",
    data: { registrationId: "seat-ben", userId: "ben", status: "confirmed" },
    causationId: "timer",
    correlationId: "command-of-timer",
    isLate: true,
  });
  const { breaches } = await verdictOn(late);
  assert.deepEqual(breaches.map((text) => text.split(":")[0]), ["unasked"], "but it is not listed");
});
