/** What is recorded of a user. No password, token or key lies in it, only what they hash to. */
import { z } from "zod";

const time = z.iso.datetime();
const text = z.string();

/** Why sessions ended before their time. */
export const endings = [
  "signed-out",
  "signed-out-everywhere",
  /** Somebody used a refresh token that had been used before: it is in two hands. */
  "token-reused",
  "password-changed",
  "disabled",
  "roles-changed",
  /** There were too many. */
  "displaced",
] as const;

const verification = z.object({ hash: text, until: time });

const Changes = z.record(text, z.union([text, z.boolean(), z.null()]));

export const Event = z.discriminatedUnion("type", [
  z.object({
    type: z.literal("Registered"),
    email: text,
    passwordHash: text,
    verification: verification.exactOptional(),
    at: time,
  }),
  /** Changes nothing: somebody has asked for an account under an address that has one. */
  z.object({ type: z.literal("SignUpRefused"), at: time }),
  z.object({ type: z.literal("EmailVerified"), at: time }),
  z.object({
    type: z.literal("SignedIn"),
    sessionId: text,
    tokenHash: text,
    device: text.exactOptional(),
    at: time,
  }),
  z.object({ type: z.literal("SignInFailed"), at: time }),
  z.object({ type: z.literal("PasswordRehashed"), passwordHash: text }),
  z.object({
    type: z.literal("SessionRefreshed"),
    sessionId: text,
    tokenHash: text,
    at: time,
  }),
  z.object({
    type: z.literal("SessionsEnded"),
    sessionIds: z.array(text),
    because: z.enum(endings),
    /** With them ends whatever else the user had been given until then, other than keys. */
    isWhole: z.boolean(),
    at: time,
  }),
  z.object({ type: z.literal("PasswordChanged"), passwordHash: text }),
  z.object({
    type: z.literal("KeyMade"),
    keyId: text,
    secretHash: text,
    name: text,
    scopes: z.array(text),
    expiresAt: time,
    at: time,
  }),
  z.object({ type: z.literal("KeyRevoked"), keyId: text, at: time }),
  z.object({ type: z.literal("Disabled") }),
  z.object({ type: z.literal("Enabled"), status: z.enum(["active", "unverified"]) }),
  z.object({ type: z.literal("RolesChanged"), roles: z.array(text) }),
  /** Holds only what changed; null where something was taken away. */
  z.object({
    type: z.literal("Revised"),
    profile: Changes.exactOptional(),
    preferences: Changes.exactOptional(),
    settings: Changes.exactOptional(),
  }),
]);
export type Event = z.infer<typeof Event>;

export type Ending = typeof endings[number];
