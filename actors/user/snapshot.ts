/** How the state of a user is written down. */
import { z } from "zod";
import type { SnapshotCodec } from "../../lib/runtime/aggregate.ts";
import { roles, scopes, type State } from "./state.ts";

const text = z.string();

const Encoded = z.object({
  status: z.enum(["absent", "unverified", "active", "disabled"]),
  email: text,
  passwordHash: text,
  roles: z.array(z.enum(roles)),
  registeredAt: text,
  verification: z.object({ hash: text, until: text }).exactOptional(),
  failures: z.int(),
  lastFailedAt: text.exactOptional(),
  sessions: z.array(z.object({
    id: text,
    generation: z.int(),
    tokenHash: text,
    previousHash: text.exactOptional(),
    startedAt: text,
    refreshedAt: text,
    device: text.exactOptional(),
  })),
  keys: z.array(z.object({
    id: text,
    secretHash: text,
    name: text,
    scopes: z.array(z.enum(scopes)),
    madeAt: text,
    expiresAt: text,
  })),
  profile: z.object({ displayName: text.exactOptional(), about: text.exactOptional() }),
  preferences: z.object({
    locale: text.exactOptional(),
    timeZone: text.exactOptional(),
    theme: z.enum(["light", "dark", "system"]).exactOptional(),
  }),
  settings: z.object({
    mailNotices: z.boolean().exactOptional(),
    mailReminders: z.boolean().exactOptional(),
  }),
});

export const snapshot: SnapshotCodec<State> = {
  schema: 1,
  encode: (state) => state,
  decode: (encoded) => Encoded.parse(encoded),
};
