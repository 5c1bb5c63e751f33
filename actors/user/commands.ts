/** What can be asked of a user. Parsed where it comes in; here its types are believed. */
import type { Preferences, Profile, Role, Scope, Settings } from "./state.ts";

export interface Credentials {
  readonly email: string;
  /** In the form of the PHC string format. */
  readonly passwordHash: string;
}

/** What is to change: what is null is taken away, and what is absent stays. */
export type Changes<T> = { readonly [Name in keyof T]?: T[Name] | null | undefined };

export type Command =
  /** Until the address is verified, whoever asks last is who may verify it. */
  | { readonly type: "Register"; readonly verificationHash: string } & Credentials
  /** By an operator, who answers for the address. */
  | { readonly type: "Appoint"; readonly roles: readonly Role[] } & Credentials
  | { readonly type: "VerifyEmail"; readonly verificationHash: string }
  | {
    readonly type: "SignIn";
    /** The one that the password was found to fit; another by now is not fitted. */
    readonly passwordHash: string;
    /** The same password, hashed at today's cost. */
    readonly rehashed?: string;
    readonly sessionId: string;
    readonly tokenHash: string;
    /** As the client calls itself. */
    readonly device?: string;
  }
  /** The password did not fit. */
  | { readonly type: "FailSignIn" }
  | {
    readonly type: "Refresh";
    readonly sessionId: string;
    /** Of a token that was found to be of the service's own making. */
    readonly generation: number;
    readonly tokenHash: string;
    readonly nextHash: string;
  }
  | { readonly type: "EndSession"; readonly sessionId: string }
  | { readonly type: "EndAllSessions" }
  | {
    readonly type: "ChangePassword";
    /** The one before. */
    readonly passwordHash: string;
    readonly newPasswordHash: string;
    /** Not ended by it: the one in which it is changed. */
    readonly sessionId?: string;
    /** Otherwise it revokes them: whoever is to be shut out may have made one. */
    readonly keepsKeys: boolean;
  }
  | { readonly type: "Revise" } & Revision
  | {
    readonly type: "MakeKey";
    readonly keyId: string;
    readonly secretHash: string;
    readonly name: string;
    readonly scopes: readonly Scope[];
    readonly expiresAt: string;
  }
  | { readonly type: "RevokeKey"; readonly keyId: string }
  /** By an administrator, of another. */
  | { readonly type: "Disable" }
  | { readonly type: "Enable" }
  | { readonly type: "SetRoles"; readonly roles: readonly Role[] };

export type CommandOf<Type extends Command["type"]> = Extract<Command, { readonly type: Type }>;

export interface Revision {
  readonly profile?: Changes<Profile> | undefined;
  readonly preferences?: Changes<Preferences> | undefined;
  readonly settings?: Changes<Settings> | undefined;
}
