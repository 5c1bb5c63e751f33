/** People with accounts, as they come to be: by signing up, by mail, and by signing in. */
import assert from "node:assert/strict";
import type { Answer, Api, Client } from "./api.ts";

export const PASSWORD = "an umbrella of elephants";

/** Of that password, at next to no cost. */
export const PASSWORD_HASH =
  "$argon2id$v=19$m=64,t=1,p=1$BQUFBQUFBQUFBQUFBQUFBQ$J0R4Iw9NTBmDObv3weWQffYgn4sNor0T4c6A70yKK80";

/** An address that nobody else in these tests has. */
export function someAddress(name = "ada"): string {
  return `${name}-${crypto.randomUUID().slice(0, 8)}@example.org`;
}

/** What a letter asks its reader to show. */
export function tokenIn({ text }: { readonly text: string }): string {
  const [token] = /trv_[0-9a-f]{32}_[A-Za-z0-9_-]{43}/.exec(text) ?? [];
  assert(token !== undefined, text);
  return token;
}

export interface Person {
  readonly email: string;
  readonly id: string;
  /** Signed in. */
  readonly client: Client;
  readonly refreshToken: string;
  readonly accessToken: string;
  readonly sessionId: string;
}

export async function signedUp(api: Api, email = someAddress()): Promise<string> {
  const anyone = api.bearing(undefined);
  const asked = await anyone.post("/auth/sign-up", { email, password: PASSWORD });
  assert.equal(asked.status, 202, asked.text);
  return email;
}

export async function verified(api: Api, email = someAddress()): Promise<string> {
  await signedUp(api, email);
  const letter = api.letters.findLast(({ to }) => to === email)!;
  const anyone = api.bearing(undefined);
  const answer = await anyone.post("/auth/verify", { token: tokenIn(letter), password: PASSWORD });
  assert.equal(answer.status, 204, answer.text);
  return email;
}

export function signIn(api: Api, email: string, password = PASSWORD): Promise<Answer> {
  return api.bearing(undefined).post("/auth/login", { email, password });
}

export function refresh(api: Api, refreshToken: string): Promise<Answer> {
  return api.bearing(undefined).post("/auth/refresh", { refreshToken });
}

/** Signed in, once more if the address is known. */
export async function personOf(api: Api, email: string): Promise<Person> {
  const answer = await signIn(api, email);
  assert.equal(answer.status, 200, answer.text);
  const { accessToken, refreshToken, sessionId, userId: id } = answer.body;
  const client = api.bearing(accessToken);
  return { email, id, client, refreshToken, accessToken, sessionId };
}

export async function somebody(api: Api, name?: string): Promise<Person> {
  return await personOf(api, await verified(api, someAddress(name)));
}

/** With roles, which an administrator has given. */
export async function somebodyWho(api: Api, ...roles: readonly string[]): Promise<Person> {
  const { id, email } = await somebody(api);
  const root = api.as("root", "admin");
  const { status, text } = await root.send("PUT", `/users/${id}/roles`, JSON.stringify({ roles }), {
    "content-type": "application/json",
  });
  assert.equal(status, 200, text);
  return await personOf(api, email);
}
