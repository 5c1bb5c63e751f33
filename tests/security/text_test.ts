/** What people write: kept and given back as it was, refused where it steers, and inert where it is shown. */
import assert from "node:assert/strict";
import { ConfigurationError } from "../../lib/config.ts";
import { type ContentFilter, contentFilter } from "../../lib/http/content_filter.ts";
import { ProblemError } from "../../lib/http/problem.ts";
import { text } from "../../lib/http/text.ts";
import { Api, assertProblem, draft, plan } from "../support/api.ts";
import { databaseOfThisFile } from "../support/database.ts";
import { scripts } from "./scripts.ts";

const database = await databaseOfThisFile();

Deno.test("what would be a script in a page comes back as it was sent, as JSON that nobody guesses at", async () => {
  assert(scripts.length >= 50);
  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  for (const script of scripts) {
    const words = { title: script.slice(0, 200), description: script, venue: script.slice(0, 200) };
    const made = await olga.post("/events", plan(words));
    assert.equal(made.status, 201, script);
    const read = await olga.get(`/events/${made.body.id}`);
    for (const { headers, body } of [made, read]) {
      const { title, description, venue } = body;
      assert.deepEqual({ title, description, venue }, words);
      assert.equal(headers.get("content-type"), "application/json");
      assert.equal(headers.get("x-content-type-options"), "nosniff");
      assert.match(headers.get("content-security-policy")!, /^default-src 'none'/);
    }
    const query = encodeURIComponent(script.slice(0, 50));
    for (const path of [`/events?q=${query}`, `/events?${query}`, `/events/${query}`]) {
      const { headers } = await olga.get(path);
      assert.match(headers.get("content-type")!, /^application\/(problem\+)?json$/);
      assert.equal(headers.get("x-content-type-options"), "nosniff");
    }
  }
});

Deno.test("what steers a terminal or turns a text around is refused, line breaks but where they belong", async () => {
  const line = text({ max: 100 });
  const lines = text({ max: 100, hasLines: true });
  const controls = [...Array(32).keys(), ...Array.from({ length: 33 }, (_, n) => 0x7f + n)];
  const steering = [...controls, 0x2028, 0x2029, 0x202a, 0x202b, 0x202c, 0x202d, 0x202e];
  for (const code of steering) {
    const value = `a${String.fromCodePoint(code)}b`;
    assert.equal(line.safeParse(value).success, false, code.toString(16));
    assert.equal(lines.safeParse(value).success, code === 9 || code === 10, code.toString(16));
  }
  for (const value of ["a\ud800b", "\udc00"]) assert.equal(lines.safeParse(value).success, false);
  const fine = [
    "Ωμέγα",
    "שלום \u2067abc\u2069",
    "👩‍👩‍👧‍👦",
    "a\u200eb",
    "نص",
    "e\u0301",
    "\u00a0",
    "\ufffd",
  ];
  for (const value of fine) assert.equal(line.parse(value), value);

  await using api = new Api(database);
  const olga = api.as("olga", "organizer");
  for (const title of ["a\nb", "a\u001b[31mb", "a\u202eb", "a\u0085b"]) {
    assertProblem(await olga.post("/events", plan({ title })), 400, "/problems/invalid-request");
  }
  const description = "First\n\tsecond";
  const made = await olga.post("/events", plan({ description }));
  assert.equal(made.body.description, description);
});

Deno.test("with the filter on, what everybody reads holds no word of its lists, however it is disguised", async () => {
  await using api = new Api(database, { contentFilter: contentFilter(["mattress", "xylophon"]) });
  const olga = api.as("olga", "organizer");
  const refused = ["fuck", "FuCk", "fuuuuck", "fμck", "$h1t"];
  const own = ["Mattress", "MATTRESS,", "matttress", "a xylophon."];
  const event = await draft(olga);
  for (const word of [...refused, ...own]) {
    for (const field of ["title", "description", "venue"]) {
      const words = { [field]: `All about ${word}` };
      for (
        const answer of [await olga.post("/events", plan(words)), await olga.patch(event, words)]
      ) {
        assertProblem(answer, 422, "/problems/unacceptable-content");
        assert.deepEqual(answer.body.errors.map(({ path }: { path: unknown }) => path), [[field]]);
        assert(!answer.text.includes(word), "it is not repeated");
      }
    }
  }
  const fine = [
    "Scunthorpe brass band",
    "An assessment of classics",
    "mattresses",
    "Cocktails",
    "Essex",
  ];
  for (const title of [...fine, "Ωμέγα"]) {
    assert.equal((await olga.post("/events", plan({ title }))).status, 201, title);
  }
});

function isRefused(filter: ContentFilter, title: string): boolean {
  try {
    filter({ title });
    return false;
  } catch (error) {
    if (error instanceof ProblemError) return true;
    throw error;
  }
}

Deno.test("the filter knows its own words again, as they are written and in disguise", () => {
  const disguises: Readonly<Record<string, readonly string[]>> = {
    "blödmann": ["Blödmann", "blo\u0308dmann", "blodmann", "BLÖDMANN", "blö\u200bdmann"],
    "naïve": ["Naïve", "naive", "na\u00adive"],
    "Straße": ["straße", "STRAßE"],
    "хуй": ["хуй", "Хуй"],
    "1337": ["1337", "l33t".replace("l", "1")],
    "mattress": ["m\u0301attress", "mattre\u2060ss", "M4TTRE$S"],
    "new york": ["New York"],
  };
  const filter = contentFilter(Object.keys(disguises));
  for (const [word, others] of Object.entries(disguises)) {
    for (const text of [word, ...others]) {
      assert(isRefused(filter, `All about ${text}, and more`), text);
    }
  }
  assert(isRefused(filter, "f\u200bu\u200bc\u200bk"));
  assert(!isRefused(filter, "Mattresses"), "whole words only");
});

Deno.test("a word that the filter cannot tell is refused before anything starts", () => {
  for (const word of ["xxx", "zzz", "aaa", "ab", "漢字", "日本語"]) {
    assert.throws(() => contentFilter(["mattress", word]), (error: Error) => {
      assert(error instanceof ConfigurationError);
      return error.message.includes(`not ${word}`);
    });
  }
});

Deno.test("what the list takes for something else may be said, and nothing beside it", () => {
  const filter = contentFilter([]);
  const fine = [
    "Fukushima",
    "Magna cum laude",
    "Dick Van Dyke",
    "Penistone",
    "shiitake",
    "Malcolm X",
  ];
  for (const title of [...fine, "Moby Dick", "Cockpit", "Camille Pissarro"]) {
    assert(!isRefused(filter, title), title);
    assert(isRefused(filter, `${title}: fuck`), title);
  }
});

Deno.test("without it, nobody's words are judged", async () => {
  await using api = new Api(database);
  const made = await api.as("olga", "organizer").post("/events", plan({ title: "Fuck cancer" }));
  assert.equal(made.status, 201);
});
