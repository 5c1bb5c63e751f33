/** Requests written by hand, and answers read to the last header: what `fetch` would mend or hide. */
import { RawConnection } from "./raw_connection.ts";

export interface RawAnswer {
  readonly status: number;
  /** By names in small letters; each with all that came under it, in order. */
  readonly headers: ReadonlyMap<string, readonly string[]>;
  readonly body: string;
}

/** What is answered to `text`, which asks for the connection to be closed; undefined if nothing is. */
export async function rawAnswer(port: number, text: string): Promise<RawAnswer | undefined> {
  using connection = await RawConnection.open(port);
  // It may be cut while it is still being sent.
  const sending = connection.send(text).catch(() => {});
  const answer = await connection.rest();
  await sending;
  return answer === "" ? undefined : answerIn(answer);
}

export interface RawRequest {
  readonly method?: string;
  readonly path?: string;
  /** `host: test` unless given; a name may come twice. */
  readonly headers?: readonly (readonly [string, string])[];
  readonly body?: string;
  readonly hasNoHost?: boolean;
}

export function requestText(request: RawRequest): string {
  const { method = "GET", path = "/", headers = [], body, hasNoHost = false } = request;
  const names = headers.map(([name]) => name.toLowerCase());
  const all = [
    ...hasNoHost || names.includes("host") ? [] : [["host", "test"]],
    ...headers,
    ...body === undefined || names.includes("transfer-encoding")
      ? []
      : [["content-length", String(new TextEncoder().encode(body).length)]],
    ["connection", "close"],
  ];
  const lines = all.map(([name, value]) => `${name}: ${value}\r\n`).join("");
  return `${method} ${path} HTTP/1.1\r\n${lines}\r\n${body ?? ""}`;
}

function answerIn(text: string): RawAnswer {
  const end = text.indexOf("\r\n\r\n");
  const [first, ...lines] = text.slice(0, end).split("\r\n");
  const headers = new Map<string, string[]>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, colon).toLowerCase();
    headers.set(name, [...headers.get(name) ?? [], line.slice(colon + 1).trim()]);
  }
  return { status: Number(first!.split(" ")[1]), headers, body: text.slice(end + 4) };
}
