import assert from "node:assert/strict";
import { OutgoingMail } from "../../../lib/mail/mail.ts";
import { smtpMail } from "../../../lib/mail/smtp.ts";

/** Speaks just enough SMTP to take letters, and keeps what it was told. */
class MailServer implements AsyncDisposable {
  readonly heard: string[] = [];
  readonly #listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  readonly #refusal: string | undefined;
  readonly #serving: Promise<void>;

  constructor(refusal?: string) {
    this.#refusal = refusal;
    this.#serving = this.#serve();
  }

  get url(): string {
    return `smtp://127.0.0.1:${this.#listener.addr.port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#listener.close();
    await this.#serving;
  }

  async #serve(): Promise<void> {
    for await (const socket of this.#listener) await this.#converse(socket);
  }

  async #converse(socket: Deno.TcpConn): Promise<void> {
    const say = (line: string) => socket.write(new TextEncoder().encode(`${line}\r\n`));
    await say("220 here");
    let isLetter = false;
    for await (const text of socket.readable.pipeThrough(new TextDecoderStream())) {
      for (const line of text.split("\r\n").slice(0, -1)) {
        this.heard.push(line);
        if (isLetter && line !== ".") continue;
        if (line === "DATA") isLetter = true;
        else if (line === ".") isLetter = false;
        if (line.startsWith("RCPT") && this.#refusal !== undefined) await say(this.#refusal);
        else await say(isLetter ? "354 go on" : line === "QUIT" ? "221 bye" : "250 fine");
      }
    }
  }
}

const letter = { to: "ada@example.org", subject: "Please verify", text: "trv_1\nÄpfel" };

Deno.test("a letter arrives as it was written, from whom it was to be from", async () => {
  await using server = new MailServer();
  await smtpMail({ url: server.url, from: "Troupe <troupe@example.org>" })(letter);
  const { heard } = server;
  assert(heard.includes("MAIL FROM:<troupe@example.org>"), heard.join("\n"));
  assert(heard.includes("RCPT TO:<ada@example.org>"));
  assert(heard.includes("Subject: Please verify"));
  assert(heard.includes("trv_1"));
});

Deno.test("an address cannot bring in headers, or others to write to", async () => {
  await using server = new MailServer();
  const to = "ada@example.org\r\nBcc: eve@example.org";
  await smtpMail({ url: server.url, from: "troupe@example.org" })({ ...letter, to })
    .catch(() => {});
  const { heard } = server;
  const recipients = heard.filter((line) => line.startsWith("RCPT"));
  assert(recipients.length <= 1 && !recipients.includes("RCPT TO:<eve@example.org>"));
  assert(!heard.some((line) => /^bcc/i.test(line)), heard.join("\n"));
});

Deno.test("a letter that is refused is told of, and nobody waits for it", async () => {
  await using server = new MailServer("550 nobody here");
  const failures: unknown[] = [];
  const mail = new OutgoingMail(
    smtpMail({ url: server.url, from: "troupe@example.org" }),
    (error) => failures.push(error),
  );
  mail.post(letter);
  assert.deepEqual(failures, []);
  await mail[Symbol.asyncDispose]();
  assert.equal(failures.length, 1);
  assert.match(String(failures[0]), /nobody here/);
});

Deno.test("so many letters are under way and no more", async () => {
  const sent = Promise.withResolvers<void>();
  const failures: unknown[] = [];
  const mail = new OutgoingMail(() => sent.promise, (error) => failures.push(error));
  for (let count = 0; count < 103; count++) mail.post(letter);
  assert.equal(failures.length, 3);
  sent.resolve();
  await mail[Symbol.asyncDispose]();
  mail.post(letter);
  assert.equal(failures.length, 3);
});
