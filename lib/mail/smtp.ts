/** Letters by SMTP, as a server that is configured takes them. */
import { createTransport } from "nodemailer";
import type { Letter, SendMail } from "./mail.ts";

/** The package has no types of its own, and those made by others bring in all of Node's. */
interface Transport {
  sendMail(
    letter: Omit<Letter, "to"> & {
      readonly from: string;
      /** Whatever else is in an address as a text would be taken for more of them. */
      readonly to: { readonly name: string; readonly address: string };
    },
  ): Promise<unknown>;
}

const TIMEOUT_MS = 15_000;

/** With STARTTLS where the server has it; `smtps:` for TLS from the beginning. */
export function smtpMail({ url, from }: { readonly url: string; readonly from: string }): SendMail {
  const { hostname: host, port, protocol, username, password } = new URL(url);
  const transport: Transport = createTransport({
    host,
    ...(port !== "" && { port: Number(port) }),
    secure: protocol === "smtps:",
    ...(username !== "" && {
      auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    }),
    connectionTimeout: TIMEOUT_MS,
    greetingTimeout: TIMEOUT_MS,
    socketTimeout: TIMEOUT_MS,
    // Nothing in a letter names a file or an address to fetch from.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  return async ({ to: address, ...letter }) => {
    await transport.sendMail({ ...letter, from, to: { name: "", address } });
  };
}
