/**
 * `deno task sbom`: all packages in use, out of the lock, as a CycloneDX document.
 *
 * @module
 */
import { z } from "zod";

const Lock = z.object({
  specifiers: z.record(z.string(), z.string()),
  npm: z.record(
    z.string(),
    z.object({ integrity: z.string(), dependencies: z.array(z.string()).default([]) }),
  ),
});
export type Lock = z.output<typeof Lock>;

interface Component {
  readonly type: "library";
  readonly "bom-ref": string;
  readonly name: string;
  readonly version: string;
  readonly purl: string;
  readonly hashes: readonly { readonly alg: "SHA-512"; readonly content: string }[];
}

export interface BillOfMaterials {
  readonly bomFormat: "CycloneDX";
  readonly specVersion: "1.6";
  readonly version: 1;
  readonly metadata: { readonly component: { readonly type: string; readonly name: string } };
  readonly components: readonly Component[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/** The lock as it is on disk. */
export function parsedLock(text: string): Lock {
  return Lock.parse(JSON.parse(text));
}

export function billOfMaterials({ npm }: Lock): BillOfMaterials {
  const versions = Object.groupBy(Object.keys(npm), (key) => partsOf(key).name);
  const refOf = (dependency: string) => {
    const found = versions[partsOf(dependency).name] ?? [];
    const exact = found.find((key) => key === dependency) ?? found[0];
    if (exact === undefined) throw new Error(`The lock has no ${dependency}`);
    return purlOf(exact);
  };
  // One package may be there several times, with other peers.
  const packages = [
    ...new Map(Object.entries(npm).map(([key, content]) => [purlOf(key), [key, content] as const]))
      .values(),
  ];
  return {
    bomFormat: "CycloneDX",
    specVersion: "1.6",
    version: 1,
    metadata: { component: { type: "application", name: "troupe" } },
    components: packages.map(([key, { integrity }]) => ({
      type: "library",
      "bom-ref": purlOf(key),
      ...partsOf(key),
      purl: purlOf(key),
      hashes: [{ alg: "SHA-512", content: hexOf(integrity) }],
    })),
    dependencies: packages.map(([key, { dependencies }]) => ({
      ref: purlOf(key),
      dependsOn: dependencies.map(refOf),
    })),
  };
}

/** Of `@scope/name@1.2.3_@peer+name@4.5.6`; a dependency may be named without its version. */
function partsOf(key: string): { readonly name: string; readonly version: string } {
  const at = key.indexOf("@", 1);
  if (at < 0) return { name: key, version: "" };
  const [version] = key.slice(at + 1).split("_") as [string];
  return { name: key.slice(0, at), version };
}

/** @see https://github.com/package-url/purl-spec */
function purlOf(key: string): string {
  const { name, version } = partsOf(key);
  return `pkg:npm/${name.replace("@", "%40")}@${version}`;
}

function hexOf(integrity: string): string {
  return Uint8Array.fromBase64(integrity.replace("sha512-", "")).toHex();
}

if (import.meta.main) {
  const text = await Deno.readTextFile(new URL("../deno.lock", import.meta.url));
  console.log(JSON.stringify(billOfMaterials(parsedLock(text)), null, 2));
}
