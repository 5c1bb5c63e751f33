import assert from "node:assert/strict";

const program = `
  import { shutdownRequested } from ${JSON.stringify(import.meta.resolve("../../lib/signals.ts"))};
  const requested = shutdownRequested();
  console.log("ready");
  const alive = setInterval(() => {}, 1_000);
  console.log(await requested);
  if (Deno.args.includes("stop")) clearInterval(alive), Deno.exit(0);
`;

/** A process that waits for its end, and a reader of what it prints. */
function started(...args: string[]) {
  const child = new Deno.Command("deno", {
    args: ["run", "--no-lock", "--quiet", "--ext=ts", "-", ...args],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const writer = child.stdin.getWriter();
  const written = writer.write(new TextEncoder().encode(program)).then(() => writer.close());
  const output = child.stdout.pipeThrough(new TextDecoderStream())[Symbol.asyncIterator]();
  return { child, written, printed: async () => (await output.next()).value?.trim() };
}

const options = { ignore: Deno.build.os === "windows" };

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  Deno.test(`${signal} asks for an orderly end`, options, async () => {
    const { child, written, printed } = started("stop");
    await written;
    assert.equal(await printed(), "ready");
    child.kill(signal);
    assert.equal(await printed(), signal);
    assert.equal((await child.status).code, 0);
    assert.equal(await printed(), undefined);
  });
}

Deno.test("a second signal ends the process at once", options, async () => {
  const { child, written, printed } = started();
  await written;
  assert.equal(await printed(), "ready");
  child.kill("SIGTERM");
  assert.equal(await printed(), "SIGTERM");
  child.kill("SIGINT");
  assert.equal((await child.status).code, 130);
  assert.equal(await printed(), undefined);
});
