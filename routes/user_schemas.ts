/**
 * What the routes of users and their keys accept and answer. Rules beyond shape are the aggregate's.
 *
 * @module
 */
import { z } from "zod";
import { roles, scopes } from "../actors/user/state.ts";
import { date, instant, time } from "../lib/http/instant.ts";
import { pageParameters, pageSchema, placeIn } from "../lib/http/pages.ts";
import { REFRESH_TOKEN_CHARS } from "../lib/http/refresh_tokens.ts";
import { isStorable, text } from "../lib/http/text.ts";

const uuid = z.uuid().toLowerCase();
const EMAIL_CHARS_MAX = 254;
/** As many as anybody types; a hash is as long whatever it is of. */
const PASSWORD_CHARS_MIN = 8;
const PASSWORD_CHARS_MAX = 128;

/** One spelling for one address, as far as mail goes: it is the name of an account. */
const email = z.string().max(EMAIL_CHARS_MAX)
  .transform((address) => address.normalize("NFKC").toLowerCase())
  .pipe(z.email())
  .meta({ override: { type: "string", format: "email", maxLength: EMAIL_CHARS_MAX } });

/** In code points: an emoji is one character to whoever types it. */
const isPasswordLong = (password: string) => {
  const { length } = [...password];
  return length >= PASSWORD_CHARS_MIN && length <= PASSWORD_CHARS_MAX;
};

const newPassword = z.string().max(2 * PASSWORD_CHARS_MAX)
  .refine(isPasswordLong, {
    error: `Must have ${PASSWORD_CHARS_MIN} to ${PASSWORD_CHARS_MAX} characters`,
  })
  .refine(isStorable, { error: "Must not contain U+0000 or unpaired surrogates" })
  .meta({
    override: {
      type: "string",
      format: "password",
      minLength: PASSWORD_CHARS_MIN,
      maxLength: PASSWORD_CHARS_MAX,
    },
  });

/** Of whatever length: what is too short is wrong, and nothing more is said of it. */
const password = z.string().min(1).max(2 * PASSWORD_CHARS_MAX)
  .meta({ format: "password" });

const role = z.enum(roles);
const scope = z.enum(scopes);

/** One line, as it is shown beside a session or a key. */
const label = text({ min: 1, max: 100 }).regex(/^[^\p{C}]+$/u, "Must be visible characters");

const ada = { email: "ada@example.org", password: "an umbrella of elephants" };

export const SignUp = z.strictObject({ email, password: newPassword })
  .meta({ id: "SignUp", examples: [ada] });
export const SignedUp = z.strictObject({ status: z.literal("verification-sent") });

export const Verification = z.strictObject({
  token: z.string().max(200),
  password: password.describe("The one that was chosen at sign-up: the token alone is not enough"),
}).meta({
  id: "Verification",
  examples: [{
    token: "trv_01a225145e7a738783cb66d1af97129a_mC3AaB0otz3NKhmQdKUlgTALziWA2M4BCczcofd1oD7",
    password: ada.password,
  }],
});

export const SignIn = z.strictObject({ email, password, device: label.exactOptional() })
  .meta({ id: "SignIn", examples: [{ ...ada, device: "Ada's telephone" }] });

export const Refresh = z.strictObject({ refreshToken: z.string().max(2 * REFRESH_TOKEN_CHARS) })
  .meta({ id: "Refresh", examples: [{ refreshToken: `trr_${"A".repeat(112)}` }] });

export const Tokens = z.strictObject({
  tokenType: z.literal("Bearer"),
  accessToken: z.string(),
  expiresIn: z.int().describe("Seconds for which the access token is good"),
  refreshToken: z.string().describe("Good once, for the next tokens"),
  sessionId: uuid,
  userId: uuid,
  roles: z.array(role),
}).meta({ id: "Tokens" });

export const PasswordChange = z.strictObject({
  password,
  newPassword,
  keepApiKeys: z.boolean().exactOptional()
    .describe("Whether keys made before stay good; they are revoked unless that is true"),
}).meta({
  id: "PasswordChange",
  examples: [{ password: ada.password, newPassword: "a murmuration of starlings" }],
});

const displayName = label;
const about = text({ max: 2_000 });
const locale = z.string().max(35).refine(isLocale, "Must be a language tag, such as de-CH");
const timeZone = z.string().max(64).refine(isTimeZone, "Must be a time zone, such as Europe/Paris");
const theme = z.enum(["light", "dark", "system"]);

/** Null takes away what is there. */
export const Revision = z.strictObject({
  profile: z.strictObject({
    displayName: displayName.nullable().exactOptional(),
    about: about.nullable().exactOptional(),
  }).exactOptional(),
  preferences: z.strictObject({
    locale: locale.nullable().exactOptional(),
    timeZone: timeZone.nullable().exactOptional(),
    theme: theme.nullable().exactOptional(),
  }).exactOptional(),
  settings: z.strictObject({
    mailNotices: z.boolean().nullable().exactOptional(),
    mailReminders: z.boolean().nullable().exactOptional(),
  }).exactOptional(),
}).meta({
  id: "OwnUserChanges",
  examples: [{
    profile: { displayName: "Ada", about: null },
    preferences: { locale: "de-CH", timeZone: "Europe/Zurich", theme: "dark" },
    settings: { mailReminders: false },
  }],
});

const identified = {
  id: "01a22514-5e7a-7387-83cb-66d1af97129a",
  email: ada.email,
  roles: ["user" as const, "organizer" as const],
  registeredAt: "2040-05-01T09:00:00.000Z",
};

export const Me = z.strictObject({
  id: uuid,
  email: z.string(),
  roles: z.array(role),
  registeredAt: time,
  profile: z.strictObject({
    displayName: z.string().exactOptional(),
    about: z.string().exactOptional(),
  }),
  preferences: z.strictObject({
    locale: z.string().exactOptional(),
    timeZone: z.string().exactOptional(),
    theme: theme.exactOptional(),
  }),
  settings: z.strictObject({
    mailNotices: z.boolean().exactOptional(),
    mailReminders: z.boolean().exactOptional(),
  }),
}).meta({
  id: "OwnUser",
  examples: [{ ...identified, profile: { displayName: "Ada" }, preferences: {}, settings: {} }],
});

export const Sessions = z.strictObject({
  items: z.array(z.strictObject({
    id: uuid,
    device: z.string().exactOptional(),
    startedAt: time,
    refreshedAt: time,
    endsAt: time,
    isCurrent: z.boolean(),
  })),
});

export const SessionPath = z.strictObject({ sessionId: uuid });

export const NewKey = z.strictObject({
  name: label,
  scopes: z.array(scope).min(1).max(scopes.length)
    .refine((list) => new Set(list).size === list.length, "Must not name a scope twice"),
  expiresAt: instant,
}).meta({
  id: "NewApiKey",
  examples: [{ name: "CI", scopes: ["events:read"], expiresAt: "2027-06-01T00:00:00Z" }],
});

const keyFields = {
  id: uuid,
  name: z.string(),
  scopes: z.array(scope),
  madeAt: time,
  expiresAt: time,
};
export const Keys = z.strictObject({ items: z.array(z.strictObject(keyFields)) });
export const MadeKey = z.strictObject({
  ...keyFields,
  key: z.string().describe("Shown this once"),
}).meta({ id: "MadeApiKey" });
export const KeyPath = z.strictObject({ keyId: uuid });

export const UserListQuery = z.strictObject({
  ...pageParameters,
  status: z.enum(["unverified", "active", "disabled"]).exactOptional(),
  hasRole: role.exactOptional(),
  cursor: placeIn(z.tuple([date, z.string().max(100)])).exactOptional(),
});
const listedUser = z.strictObject({
  id: uuid,
  email: z.string(),
  status: z.enum(["unverified", "active", "disabled"]),
  roles: z.array(role),
  registeredAt: time,
}).meta({ id: "User", examples: [{ ...identified, status: "active" }] });
export const Users = pageSchema(listedUser);
export const User = listedUser;
export const UserPath = z.strictObject({ id: uuid });
export const Roles = z.strictObject({ roles: z.array(role).max(roles.length) })
  .meta({ id: "Roles", examples: [{ roles: ["organizer"] }] });

export const KeySet = z.strictObject({
  keys: z.array(z.strictObject({
    kty: z.literal("OKP"),
    crv: z.literal("Ed25519"),
    x: z.string(),
    kid: z.string(),
    alg: z.literal("EdDSA"),
    use: z.literal("sig"),
  })),
});

function isLocale(tag: string): boolean {
  try {
    return Intl.getCanonicalLocales(tag).length === 1;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}

function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: name });
    return true;
  } catch (error) {
    if (error instanceof RangeError) return false;
    throw error;
  }
}
