/** What scanners of headers look for, such as Mozilla's Observatory, as far as it concerns an API. */

/** All that a name was given, with commas; undefined where it was not. */
export type HeaderReader = (name: string) => string | undefined;

export interface Graded {
  readonly header: HeaderReader;
  readonly isSecure: boolean;
  readonly hasBody: boolean;
}

const YEAR_S = 31_536_000;

type Criterion = readonly [what: string, isMet: (graded: Graded) => boolean];

const criteria: readonly Criterion[] = [
  ["a content security policy that lets nothing load", ({ header }) => {
    const directives = directivesOf(header("content-security-policy") ?? "", ";");
    return directives.includes("default-src 'none'") && directives.includes("base-uri 'none'") &&
      !/unsafe-|\*|data:|http:/.test(header("content-security-policy")!);
  }],
  ["it may be framed by nobody, in words old and new", ({ header }) => {
    const directives = directivesOf(header("content-security-policy") ?? "", ";");
    return directives.includes("frame-ancestors 'none'") && header("x-frame-options") === "DENY";
  }],
  ["its type is not guessed", ({ header }) => header("x-content-type-options") === "nosniff"],
  [
    "what has a body has a type, and text in it an encoding",
    ({ header, hasBody }) =>
      !hasBody || /^application\/([a-z]+\+)?json$|; ?charset=utf-8$/i.test(header("content-type")!),
  ],
  [
    "nobody is told where it leads from",
    ({ header }) => header("referrer-policy") === "no-referrer",
  ],
  ["no camera, microphone or place", ({ header }) => {
    const features = directivesOf(header("permissions-policy") ?? "", ",");
    return ["camera", "microphone", "geolocation"].every((name) => features.includes(`${name}=()`));
  }],
  [
    "no window of others has a hold on a page, and no page of others loads what is no data",
    ({ header, hasBody }) =>
      !hasBody || /json$/i.test(header("content-type") ?? "") ||
      ["opener", "resource"].every((what) =>
        header(`cross-origin-${what}-policy`) === "same-origin"
      ),
  ],
  [
    "HTTPS is remembered for a year and for all names below, where it is used",
    ({ header, isSecure }) => {
      const hsts = header("strict-transport-security");
      if (!isSecure) return hsts === undefined;
      const seconds = /^max-age=([0-9]+); includeSubDomains$/.exec(hsts ?? "")?.[1];
      return seconds !== undefined && Number(seconds) >= YEAR_S;
    },
  ],
  ["no cache keeps it", ({ header }) => header("cache-control") === "private, no-store"],
  ["no origin may do as all may", ({ header }) => {
    const origin = header("access-control-allow-origin");
    return origin === undefined || /^https:\/\/[a-z.]+$/.test(origin) &&
        /\borigin\b/i.test(header("vary") ?? "") &&
        header("access-control-allow-credentials") === undefined;
  }],
  ["no cookie is set", ({ header }) => header("set-cookie") === undefined],
  [
    "nobody learns what it is made of",
    ({ header }) =>
      ["server", "x-powered-by", "via", "x-aspnet-version"].every((name) =>
        header(name) === undefined
      ),
  ],
];

/** What is amiss, in words; nothing for the best grade. */
export function faultsIn(graded: Graded): readonly string[] {
  return criteria.filter(([, isMet]) => !isMet(graded)).map(([what]) => what);
}

function directivesOf(value: string, separator: string): readonly string[] {
  return value.split(separator).map((directive) => directive.trim());
}
