/** What people are written. */
import type { ApiKey } from "../actors/user/state.ts";
import type { Letter } from "../lib/mail/mail.ts";

export interface LetterOptions {
  /** Of the page that takes the token, to which it is appended; without one, the token stands alone. */
  readonly verifyUrl?: string | undefined;
}

export function verificationLetter(
  to: string,
  token: string,
  { verifyUrl }: LetterOptions,
): Letter {
  const way = verifyUrl === undefined
    ? `Your verification token is\n\n${token}`
    : `Please follow\n\n${verifyUrl}${token}`;
  return {
    to,
    subject: "Please verify your e-mail address",
    text: `Somebody, hopefully you, has signed up with this address.\n\n${way}\n\n` +
      "It is good for one day, together with the password that was chosen. If it was not you, do " +
      "nothing: without the password nobody gets in.\n",
  };
}

/** In place of an answer that would tell whoever asks that there is such an account. */
export function alreadyRegisteredLetter(to: string): Letter {
  return {
    to,
    subject: "You have an account already",
    text: "Somebody, hopefully you, has tried to sign up with this address, which has an account " +
      "already.\n\nNothing has changed. If it was you, please sign in.\n",
  };
}

/** Not what it is called: whoever made it may have something else to say to its owner. */
export function keyMadeLetter(
  to: string,
  { id, scopes, expiresAt }: Pick<ApiKey, "id" | "scopes" | "expiresAt">,
): Letter {
  return {
    to,
    subject: "An API key was made for your account",
    text: `Somebody, hopefully you, has made the API key ${id}, which is good for ` +
      `${scopes.join(", ")} until ${expiresAt}.\n\nIf it was not you, please revoke it, and ` +
      "choose a new password: that ends all other sessions, and all keys.\n",
  };
}
