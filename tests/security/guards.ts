/**
 * What keeps somebody out, each with a way to take it away, and with the test that has to notice.
 *
 * @module
 */
import type { Mutant } from "../simulation/mutants/mutant.ts";

export interface Guard extends Pick<Mutant, "name" | "file" | "find" | "replace" | "says"> {
  /** The file and the name of the test. */
  readonly noticed: readonly [file: string, name: string];
}

export const guards: readonly Guard[] = [
  {
    name: "redirects are followed",
    file: "lib/webhooks/post.ts",
    find: "      read(answer).then(resolve, reject).finally(() => {",
    replace: `      const { statusCode = 0, headers: { location } } = answer;
      const next = statusCode > 300 && statusCode < 400 && location !== undefined
        ? exchange(
          { destination: { ...destination, url: new URL(location, url) }, headers, body },
          signal,
          certificateAuthority,
        )
        : read(answer);
      next.then(resolve, reject).finally(() => {`,
    says: "a webhook's receiver sends the service on to where it may not go",
    noticed: ["tests/lib/webhooks/post_test.ts", "a redirect is an answer, and not followed"],
  },
  {
    name: "one good address is enough",
    file: "lib/webhooks/destination.ts",
    find: "!addresses.every(isPublicAddress)",
    replace: "!addresses.some(isPublicAddress)",
    says: "a name with a public and a private address leads inside",
    noticed: [
      "tests/lib/webhooks/destination_test.ts",
      "none of ${hostile.length} hostile URLs leads to a connection",
    ],
  },
  {
    name: "the name is resolved again",
    file: "lib/webhooks/post.ts",
    find: "net.connect({ host, port })",
    replace: "net.connect({ host: url.hostname, port })",
    says: "between check and connection a name may change what it stands for",
    noticed: [
      "tests/lib/webhooks/destination_test.ts",
      "between the check and the connection nobody resolves the name again",
    ],
  },
  {
    name: "the time is not signed",
    file: "lib/webhooks/signature.ts",
    find: "`${id}.${timestamp}.${body}`",
    replace: "`${id}.${body}`",
    says: "an old delivery can be sent again as a new one",
    noticed: [
      "tests/lib/webhooks/delivery_test.ts",
      "signatures hold with another's verifier, and not for what was changed or is old",
    ],
  },
  {
    name: "a search is part of its statement",
    file: "actors/live_event/listing.ts",
    find: "websearch_to_tsquery('simple', ${text})",
    replace: "websearch_to_tsquery('simple', ${sql.raw(`'${text}'`)})",
    says: "who searches writes SQL",
    noticed: [
      "tests/security/sql_injection_test.ts",
      "of 200 ways to say something to the database in a query, a cursor or a path, none is heard",
    ],
  },
  {
    name: "bytes are not counted",
    file: "lib/http/parsed.ts",
    find: "    if (bytes > bytesMax) {",
    replace: "    if (bytes > bytesMax * 1_000) {",
    says: "a body without a length may be as long as memory lasts",
    noticed: [
      "tests/routes/bad_input_test.ts",
      "a body that is too large is not read, whether its size is told or not",
    ],
  },
  {
    name: "a bug tells of itself",
    file: "lib/http/problem.ts",
    find: '{ status: 500, title: "Internal Server Error" }',
    replace: '{ status: 500, title: "Internal Server Error", detail: error.message }',
    says: "callers read what is inside of the service",
    noticed: [
      "tests/security/errors_test.ts",
      "what fails in ${layer}, is told by an id alone",
    ],
  },
  {
    name: "a token for others is taken",
    file: "lib/http/tokens.ts",
    find: "      audience,\n      clockTolerance",
    replace: "      clockTolerance",
    says: "what another service was given to show is shown here",
    noticed: ["tests/lib/http/tokens_test.ts", "no entry with ${name}"],
  },
  {
    name: "keys are fields of an object",
    file: "lib/http/tokens.ts",
    find: "verifying.get(kid)",
    replace: "(Object.fromEntries(verifying) as Record<string, CryptoKey>)[kid]",
    says: "the key id `__proto__` finds something",
    noticed: ["tests/lib/http/tokens_test.ts", "no entry with ${name}"],
  },
  {
    name: "a token is whoever came first",
    file: "lib/http/tokens.ts",
    find: "this.#verified.get(token) ??",
    replace: "this.#verified.values().next().value ??",
    says: "what is remembered of one caller is given to the next",
    noticed: [
      "tests/security/races_test.ts",
      "10,000 requests of two people for the same URLs: each answer is its caller's",
    ],
  },
  {
    name: "a refresh token may come back",
    file: "actors/user/aggregate.ts",
    find: "return generation < session.generation\n",
    replace: "return generation < 0\n",
    says: "whoever has stolen a refresh token is not noticed",
    noticed: [
      "tests/routes/auth_sessions_test.ts",
      "a refresh token that comes back ends its session, and no other of its user",
    ],
  },
  {
    name: "a revoked session goes on",
    file: "lib/http/tokens.ts",
    find: " && revocations?.covers(known) !== true",
    replace: "",
    says: "who has signed out, or is disabled, is let in until the token ends",
    noticed: ["tests/routes/auth_sessions_test.ts", "who signs out is out at once, and only there"],
  },
  {
    name: "roles are not asked for",
    file: "lib/http/operation.ts",
    find: 'access === "caller" || hasRole(c, access)',
    replace: "true",
    says: "whoever is signed in does what is for administrators",
    noticed: ["tests/routes/supervision_test.ts", "supervision is for administrators alone"],
  },
  {
    name: "unknown fields are let by",
    file: "lib/http/operation.ts",
    find: "export const Nothing = z.strictObject({});",
    replace: "export const Nothing = z.looseObject({});",
    says: "what nobody has declared is sent along",
    noticed: [
      "tests/routes/declarations_test.ts",
      "${operation.id} takes nothing that it does not declare",
    ],
  },
  {
    name: "a key is everybody's",
    file: "lib/http/new_id.ts",
    find: "`${principal.id}\\n${idempotency.key}`",
    replace: "`${idempotency.key}`",
    says: "who guesses another's Idempotency-Key is given the reply",
    noticed: [
      "tests/security/races_test.ts",
      "a key of one caller is no key of another: each has an effect of their own",
    ],
  },
  {
    name: "the first to be named is the caller",
    file: "lib/http/client_address.ts",
    find: "return networkOf(firstStranger(remoteAddress, hops, isTrustedProxy));",
    replace: `const named = addressIn(hops.split(",")[0]!.trim())?.toString();
  return networkOf(named ?? firstStranger(remoteAddress, hops, isTrustedProxy));`,
    says: "whoever writes an X-Forwarded-For of their own is somebody new each time",
    noticed: [
      "tests/lib/http/client_address_test.ts",
      "nothing that a client writes before its proxy's word counts",
    ],
  },
  {
    name: "limits open while the store is away",
    file: "lib/limits/limiter.ts",
    find: `      if (!(fault instanceof TransientFault)) throw fault;
      return this.#takeHere(parts, this.#now());`,
    replace: `      if (!(fault instanceof TransientFault)) throw fault;
      const standings = parts.map(() => ({ remaining: 1, moreInMs: 0 }));
      return this.#verdict(parts, share, { admitted: true, standings });`,
    says: "who brings Redis down guesses passwords as fast as they come",
    noticed: [
      "tests/lib/limits/limiter_test.ts",
      "a store that fails leaves each node its part, and never more",
    ],
  },
  {
    name: "answers may be kept",
    file: "lib/http/security_headers.ts",
    find: '"Cache-Control": "private, no-store",',
    replace: '"Cache-Control": "private",',
    says: "what somebody was told stays on the disk of a borrowed computer",
    noticed: [
      "tests/security/headers_test.ts",
      "every kind of answer has the best grade of a scanner",
    ],
  },
  {
    name: "seals need no key",
    file: "lib/postgres/audit_chain.ts",
    find: 'createHmac("sha256", key.bytes).update(before)',
    replace: 'createHmac("sha256", "").update(before)',
    says: "who has the database alters the audit and seals it anew",
    noticed: [
      "tests/security/audit_forgery_test.ts",
      "a chain that was altered, and sealed anew by whoever guesses the key, does not hold",
    ],
  },
  {
    name: "every origin is on the list",
    file: "lib/http/door.ts",
    find: "return origin === null ? ofAll : byOrigin.get(origin) ?? ofAll;",
    replace: "return origin === null ? ofAll : { ...ofAll, ...readableBy(origin) };",
    says: "pages of anybody read what is answered to their visitors",
    noticed: [
      "tests/security/door_test.ts",
      "pages of listed origins may call it, and of no other",
    ],
  },
  {
    name: "the log says for whom it was",
    file: "lib/telemetry/log_observer.ts",
    find: "    messages: messages.length,\n    attempts,",
    replace: "    messages,\n    attempts,",
    says: "whoever reads the log learns who did what",
    noticed: [
      "tests/lib/telemetry/log_observer_test.ts",
      "nothing that a message says, and nobody who sent it, gets into the log",
    ],
  },
  {
    name: "the word of a client for its own TLS",
    file: "lib/http/door.ts",
    find: 'if (peer === undefined) return request.url.startsWith("https:");',
    replace:
      'if (request.url.startsWith("https:")) return true;\n    if (peer === undefined) return false;',
    says: "whoever writes https into a target is served in the open",
    noticed: [
      "tests/security/door_test.ts",
      "nobody says of themselves that they came by HTTPS",
    ],
  },
  {
    name: "codings before chunked are none",
    file: "lib/http/door.ts",
    find: 'coding.toLowerCase() === "chunked"',
    replace: 'coding.toLowerCase().endsWith("chunked")',
    says: "one request is read in two ways by two servers in a row",
    noticed: [
      "tests/processes/hostile_requests_test.ts",
      "a hostile request is 400 or cut, and what hides in it never seen",
    ],
  },
];
