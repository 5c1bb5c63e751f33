/**
 * What the service says of itself: its operations as an OpenAPI document, its problems one by one,
 * and a page on which to read and try all of that. Nothing of it comes from anywhere else.
 *
 * @module
 */
import { createHash } from "node:crypto";
import type { Context } from "hono";
import { z } from "zod";
import { answer, KEPT } from "../lib/http/answer.ts";
import { generalProblems } from "../lib/http/general_problems.ts";
import { inPieces } from "../lib/http/in_pieces.ts";
import { openApiDocument } from "../lib/http/openapi.ts";
import { type Operation, type Route, route } from "../lib/http/operation.ts";
import { commonHeaders, type KnownProblem, ProblemError } from "../lib/http/problem.ts";

const about = {
  title: "Troupe",
  version: "1",
  description: "Live events and trading, on actors whose every answer is durable.\n\n" +
    "What is refused is a problem as RFC 9457 has it; its `type` is stable, and leads to an " +
    "explanation. Amounts are decimals as text. Lists come in pages: `nextCursor` of one is " +
    "`cursor` for the next.",
  tags: {
    events: "Live events, and who has a seat or waits for one",
    identity: "Users: how they sign up and in, their sessions, their keys and what they may do",
    webhooks: "Who else is told of what happens",
    trading: "Accounts, orders, markets, portfolios and their risk",
    jobs: "Work to be done once, later",
    flows: "Jobs in a tree, each after its children",
    schedules: "Jobs to be done again and again",
    operations: "For those who operate the service",
    health: "Whether the service lives, and is ready",
    documentation: "What the service says of itself",
  },
};

const noSuchProblem: KnownProblem = {
  type: "/problems/problem-not-found",
  problem: { status: 404, title: "The service knows no such problem" },
};

const name = z.string().regex(/^[a-z-]{1,100}$/);

const ProblemView = z.strictObject({
  type: z.string(),
  status: z.int(),
  title: z.string(),
  detail: z.string().exactOptional(),
  operations: z.array(z.string()).describe("The ids of those that may be answered with it"),
}).meta({
  id: "ProblemExplained",
  examples: [{
    type: "/problems/live-event/sold-out",
    status: 409,
    title: "No seats are left, and no places on the waitlist",
    operations: ["register"],
  }],
});

const open = { method: "get", tag: "documentation", access: "anyone" } as const;
const OpenApi = z.looseObject({ openapi: z.string() })
  .meta({ examples: [{ openapi: "3.1.1", info: { title: about.title, version: about.version } }] });

/** `operations` is asked when somebody comes: these are among them. */
export function documentation(operations: () => readonly Operation[]): readonly Route[] {
  const document = once(() => fileOf(openApiDocument(operations(), about), "application/json"));
  const explained = once(() => explanations(operations()));
  const explanation = (c: Context, type: string) => {
    const found = explained().get(type);
    if (found === undefined) throw ProblemError.of(noSuchProblem);
    return answer(c, 200, found, KEPT);
  };
  const problem = { ...open, answers: { 200: ProblemView }, problems: [noSuchProblem] };
  return [
    route({
      ...open,
      id: "getOpenApi",
      path: "/openapi.json",
      summary: "The service as an OpenAPI document",
      answers: { 200: OpenApi, 304: null },
    }, (c) => sent(c, document())),
    route({
      ...problem,
      id: "explainGeneralProblem",
      path: "/problems/{name}",
      summary: "What a problem is that any route may answer",
      params: z.object({ name }),
    }, (c, { params: { name } }) => explanation(c, `/problems/${name}`)),
    route({
      ...problem,
      id: "explainProblem",
      path: "/problems/{area}/{name}",
      summary: "What a problem of one area is",
      params: z.object({ area: name, name }),
    }, (c, { params: { area, name } }) => explanation(c, `/problems/${area}/${name}`)),
  ];
}

function explanations(operations: readonly Operation[]) {
  const views = new Map<string, z.output<typeof ProblemView> & { operations: string[] }>();
  for (const operation of operations) {
    for (const { type, problem } of [...operation.problems ?? [], ...generalProblems(operation)]) {
      const { status, title, detail } = problem;
      const known = views.get(type) ??
        { type, status, title, ...(detail !== undefined && { detail }), operations: [] };
      known.operations.push(operation.id);
      views.set(type, known);
    }
  }
  return views;
}

/** What is made at most once, when somebody first wants it. */
function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}

interface File {
  readonly content: Uint8Array<ArrayBuffer>;
  readonly type: string;
  readonly etag: string;
}

function fileOf(text: string, type: string): File {
  const content = new TextEncoder().encode(text);
  const digest = createHash("sha256").update(content).digest("base64url");
  return { content, type, etag: `"${digest.slice(0, 22)}"` };
}

function sent(c: Context, { content, type, etag }: File, headers = {}): Response {
  const common = { ...commonHeaders(c), ...KEPT, ...headers, ETag: etag };
  // Whoever compresses on the way makes the tag a weak one.
  const isKnown = c.req.header("if-none-match")?.split(",")
    .some((tag) => tag.trim().replace(/^W\//, "") === etag);
  return isKnown
    ? new Response(null, { status: 304, headers: common })
    : new Response(inPieces(content), {
      headers: { ...common, "content-type": type, "content-length": String(content.length) },
    });
}

const html = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>Troupe</title>
    <link rel="icon" href="data:,">
    <link rel="stylesheet" href="docs/swagger-ui.css">
  </head>
  <body>
    <div id="swagger-ui"></div>
    <script src="docs/swagger-ui-bundle.js"></script>
    <script src="docs/start.js"></script>
  </body>
</html>
`;

/** Without the validator, which would be asked of swagger.io. */
const start = `SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  filter: true,
  showExtensions: true,
  validatorUrl: null,
  defaultModelsExpandDepth: 0,
});
`;

const HTML = "text/html; charset=utf-8";
const SCRIPT = "text/javascript; charset=utf-8";
const STYLE = "text/css; charset=utf-8";

/** By their paths. What is of the library is read when somebody first wants it. */
const files: Readonly<Record<string, () => Promise<File>>> = {
  "/docs": async () => await fileOf(html, HTML),
  "/docs/start.js": async () => await fileOf(start, SCRIPT),
  "/docs/swagger-ui-bundle.js": async () => {
    const library = await import("swagger-ui-dist/swagger-ui-bundle.js", {
      with: { type: "text" },
    });
    return fileOf(library.default, SCRIPT);
  },
  "/docs/swagger-ui.css": async () => {
    const library = await import("swagger-ui-dist/swagger-ui.css", { with: { type: "text" } });
    return fileOf(library.default, STYLE);
  },
};

/** The page runs what the service itself serves, talks to nobody else, and is in nobody's hands. */
const PAGE_POLICY = {
  "Cross-Origin-Opener-Policy": "same-origin",
  "Cross-Origin-Resource-Policy": "same-origin",
  "Content-Security-Policy": [
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self' data:",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
  ].join("; "),
};

/** What shows the document to people: in it as little as a picture is, and served like all in it. */
export function page(): readonly Route[] {
  return Object.entries(files).map(([path, read]) => {
    const file = once(read);
    const answers = { 200: z.string(), 304: null };
    return route(
      { ...open, id: "getPage", path, summary: "The page of the document, or a part", answers },
      async (c) => sent(c, await file(), PAGE_POLICY),
    );
  });
}
