/** What is not ours: pinned, of the one registry, and not run before anybody asked for it. */
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { join } from "node:path";
import { billOfMaterials, parsedLock } from "../../deploy/sbom.ts";

const root = join(import.meta.dirname!, "../..");

interface Lock {
  readonly specifiers: Readonly<Record<string, string>>;
  readonly npm: Readonly<
    Record<string, { readonly integrity?: string; readonly tarball?: string }>
  >;
  readonly remote?: unknown;
  readonly jsr?: unknown;
}

interface Settings {
  readonly imports: Readonly<Record<string, string>>;
  readonly lock: { readonly frozen: boolean };
  readonly minimumDependencyAge: string;
  readonly allowScripts?: { readonly allow?: readonly string[] };
  readonly tasks: Readonly<Record<string, { readonly command: string }>>;
  readonly [other: string]: unknown;
}

async function json<Content>(file: string): Promise<Content> {
  return JSON.parse(await Deno.readTextFile(join(root, file)));
}

const lock = await json<Lock>("deno.lock");
const settings = await json<Settings>("deno.json");

Deno.test("every package is pinned to one version, with the checksum of what that is", () => {
  for (const [name, specifier] of Object.entries(settings.imports)) {
    assert.match(specifier, /^npm:\/?(@[a-z0-9-]+\/)?[a-z0-9.-]+@\d+\.\d+\.\d+\/?$/, name);
  }
  const packages = Object.entries(lock.npm);
  assert(packages.length >= Object.keys(settings.imports).length / 2);
  for (const [name, { integrity, tarball }] of packages) {
    assert.match(integrity ?? "none", /^sha512-[A-Za-z0-9+/]{86}==$/, name);
    assert.equal(tarball, undefined, `${name} comes from the registry`);
  }
  assert.deepEqual([lock.remote, lock.jsr], [undefined, undefined], "and from no other place");
});

Deno.test("no package has its scripts run, and nothing changes the lock by the way", async () => {
  assert.equal(settings.lock.frozen, true);
  // What was taken over is mostly found out within days. Deno counts no months.
  assert.match(settings.minimumDependencyAge, /^P[7-9]D$/);
  assert.deepEqual(settings.allowScripts?.allow ?? [], [], "deno.json lets no package run scripts");
  assert(!("nodeModulesDir" in settings));
  const commands = Object.values(settings.tasks).map(({ command }) => command).join("\n");
  const others = await Promise.all(
    ["Dockerfile", ".ci/run"].map((file) => Deno.readTextFile(join(root, file))),
  );
  for (const text of [commands, ...others]) {
    assert.doesNotMatch(text, /--allow-scripts|--no-lock|--frozen=false|--lock-write/);
  }
});

Deno.test("the bill of materials names every package of the lock, and what each one brings along", async () => {
  const text = await Deno.readTextFile(join(root, "deno.lock"));
  const bill = billOfMaterials(parsedLock(text));
  const refs = new Set(bill.components.map(({ purl }) => purl));
  assert.equal(refs.size, bill.components.length);
  // One may be there several times, with other peers.
  const packages = Object.keys(lock.npm).map((key) => /^@?[^@]+@[^_]+/.exec(key)![0]);
  assert.equal(refs.size, new Set(packages).size);
  for (const specifier of Object.values(settings.imports)) {
    const [, name, version] = /^npm:\/?(@?[^@]+)@([^/]+)/.exec(specifier)!;
    assert(refs.has(`pkg:npm/${name!.replace("@", "%40")}@${version}`), specifier);
  }
  for (const { hashes } of bill.components) assert.match(hashes[0]!.content, /^[0-9a-f]{128}$/);
  for (const { ref, dependsOn } of bill.dependencies) {
    for (const other of [ref, ...dependsOn]) assert(refs.has(other), other);
  }
});

const PACKAGE = "troupe-fixture";
const VERSION = "1.0.0";
const SOURCE = `export const says = "what it always said";\n`;

/** One file of a tar, as ustar has it. */
function tarred(name: string, content: string): Uint8Array {
  const bytes = new TextEncoder().encode(content);
  const block = new Uint8Array(512 + Math.ceil(bytes.length / 512) * 512);
  const put = (at: number, text: string) => block.set(new TextEncoder().encode(text), at);
  put(0, name);
  put(100, "0000644\0");
  put(108, "0000000\0");
  put(116, "0000000\0");
  put(124, `${bytes.length.toString(8).padStart(11, "0")}\0`);
  put(136, "00000000000\0");
  put(148, "        ");
  put(156, "0");
  put(257, "ustar\x0000");
  const sum = block.reduce((sum, byte) => sum + byte, 0);
  put(148, `${sum.toString(8).padStart(6, "0")}\0 `);
  block.set(bytes, 512);
  return block;
}

async function packed(source: string): Promise<Uint8Array<ArrayBuffer>> {
  const files = [
    tarred(
      "package/package.json",
      JSON.stringify({
        name: PACKAGE,
        version: VERSION,
        type: "module",
        exports: "./mod.js",
        scripts: { postinstall: "touch SCRIPT_HAS_RUN", preinstall: "touch SCRIPT_HAS_RUN" },
      }),
    ),
    tarred("package/mod.js", source),
    new Uint8Array(1_024),
  ];
  const zipped = new Blob(files as BlobPart[]).stream().pipeThrough(new CompressionStream("gzip"));
  return new Uint8Array(await new Response(zipped).arrayBuffer());
}

function integrityOf(bytes: Uint8Array): string {
  return `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
}

/** A registry with one package, whose content can be exchanged under the same version. */
class Registry implements AsyncDisposable {
  tarball: Uint8Array<ArrayBuffer>;
  readonly #server: Deno.HttpServer<Deno.NetAddr>;

  constructor(tarball: Uint8Array<ArrayBuffer>) {
    this.tarball = tarball;
    this.#server = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen() {} },
      ({ url }) => new URL(url).pathname.endsWith(".tgz") ? this.#file() : this.#document(),
    );
  }

  get url(): string {
    return `http://127.0.0.1:${this.#server.addr.port}/`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown();
  }

  #file(): Response {
    return new Response(this.tarball, { headers: { "content-type": "application/octet-stream" } });
  }

  /** A registry that has been taken over says of course what it then serves. */
  #document(): Response {
    const dist = { tarball: `${this.url}x.tgz`, integrity: integrityOf(this.tarball) };
    return Response.json({
      name: PACKAGE,
      "dist-tags": { latest: VERSION },
      versions: {
        [VERSION]: {
          name: PACKAGE,
          version: VERSION,
          dist,
          scripts: { postinstall: "touch SCRIPT_HAS_RUN" },
          hasInstallScript: true,
        },
      },
    });
  }
}

/** A project that depends on that package, with the settings of this one. */
class Dependent implements AsyncDisposable {
  readonly #directory: string;
  readonly #registry: Registry;

  private constructor(directory: string, registry: Registry) {
    this.#directory = directory;
    this.#registry = registry;
  }

  static async of(registry: Registry): Promise<Dependent> {
    const directory = await Deno.makeTempDir({ prefix: "troupe_supply_" });
    const content = {
      imports: { [PACKAGE]: `npm:${PACKAGE}@${VERSION}` },
      lock: settings.lock,
    };
    await Deno.writeTextFile(join(directory, "deno.json"), JSON.stringify(content));
    await Deno.writeTextFile(
      join(directory, "program.ts"),
      `import { says } from "${PACKAGE}"; console.log(says);`,
    );
    return new Dependent(directory, registry);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Deno.remove(this.#directory, { recursive: true });
  }

  /** As on a machine that has never seen a package, unless `machine` has been used before. */
  async run(machine: string, ...flags: readonly string[]) {
    const { success, stdout, stderr } = await new Deno.Command("deno", {
      args: ["run", "--quiet", ...flags, "program.ts"],
      cwd: this.#directory,
      env: {
        DENO_DIR: join(this.#directory, machine),
        NPM_CONFIG_REGISTRY: this.#registry.url,
        NO_COLOR: "1",
      },
    }).output();
    const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes).trim();
    return { success, said: text(stdout), complaint: text(stderr) };
  }

  async hasRunScripts(): Promise<boolean> {
    const find = async (directory: string): Promise<boolean> => {
      for await (const { name, isDirectory } of Deno.readDir(directory)) {
        if (name === "SCRIPT_HAS_RUN") return true;
        if (isDirectory && await find(join(directory, name))) return true;
      }
      return false;
    };
    return await find(this.#directory);
  }

  async changeLock(change: (text: string) => string): Promise<void> {
    const file = join(this.#directory, "deno.lock");
    const text = await Deno.readTextFile(file);
    const changed = change(text);
    assert.notEqual(changed, text);
    await Deno.writeTextFile(file, changed);
  }
}

Deno.test("what a registry serves in place of what was locked does not start, nor does a changed lock", async () => {
  await using registry = new Registry(await packed(SOURCE));
  await using project = await Dependent.of(registry);
  const first = await project.run("first", "--frozen=false");
  assert.deepEqual([first.success, first.said], [true, "what it always said"], first.complaint);

  registry.tarball = await packed(`${SOURCE}console.log("and what somebody added");\n`);
  const taken = await project.run("second");
  assert.equal(taken.success, false);
  assert.match(taken.complaint, /checksum did not match/);
  assert.equal(taken.said, "");

  registry.tarball = await packed(SOURCE);
  assert.equal((await project.run("third")).success, true, "it was for what it served");
  await project.changeLock((text) => text.replace(/sha512-.{8}/, "sha512-AAAAAAAA"));
  const tampered = await project.run("fourth");
  assert.equal(tampered.success, false);
  assert.match(tampered.complaint, /checksum did not match/);

  await project.changeLock((text) => text.replaceAll(`${PACKAGE}@${VERSION}": "`, `gone": "`));
  const lacking = await project.run("first");
  assert.equal(lacking.success, false);
  assert.match(lacking.complaint, /lockfile is (out of date|corrupt)/i);
  assert.equal(await project.hasRunScripts(), false, "a package has its scripts run by nobody");
});
