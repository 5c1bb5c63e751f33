/**
 * What it costs to serve HTTP in each of the ways that were considered.
 *
 *     deno task http-servers [--rounds=5] [--requests=20000] [--connections=64] [--only=guarded]
 *
 * The same service stands behind all of them: a route that only reads the body, one that does all
 * that a registration does before the actor, and the rush. They take turns within a round; a ratio
 * is the median of the rounds' own. nginx takes part where it is installed.
 *
 * @module
 */
import { parseArgs } from "node:util";
import { rotated } from "./arena.ts";
import {
  BARE_PATH,
  createRealEvents,
  NOOP_PATH,
  People,
  REGISTER_PATH,
  startReal,
} from "./contestants.ts";
import { medianOf } from "./figures.ts";
import {
  createDatabase,
  databaseServer,
  delay,
  figuresOf,
  freePort,
  LoadProcess,
  type Server,
  settle,
} from "./processes.ts";
import { serverKinds } from "./server_kinds.ts";

const nginxPath = "/usr/sbin/nginx";
const reference = "Deno.serve";
const routes = { bare: BARE_PATH, "no-op": NOOP_PATH, rush: REGISTER_PATH } as const;

interface Contestant {
  readonly name: string;
  readonly url: string;
  /** Whose processor time counts. */
  readonly pids: readonly number[];
  readonly server: Server;
}

interface Sample {
  readonly route: string;
  readonly name: string;
  readonly perSecond: number;
  readonly cpuMicros: number;
}

async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      rounds: { type: "string", default: "5" },
      requests: { type: "string", default: "20000" },
      connections: { type: "string", default: "64" },
      only: { type: "string" },
    },
  });
  const [rounds, requests, connections] = [values.rounds, values.requests, values.connections]
    .map(Number) as [number, number, number];
  await using stage = await Stage.open(values.only);
  const samples: Sample[] = [];
  for (let round = 0; round <= rounds; round++) {
    for (const route of Object.keys(routes) as (keyof typeof routes)[]) {
      for (const contestant of rotated(stage.contestants, round)) {
        const sample = await stage.measure(contestant, { route, requests, connections });
        // Round 0 warms everybody up.
        if (round > 0) samples.push(sample);
      }
    }
  }
  console.log(tableOf(samples));
}

class Stage implements AsyncDisposable {
  readonly contestants: Contestant[] = [];
  readonly #load = new LoadProcess();
  readonly #closing = new AsyncDisposableStack();
  #token = "";

  /** With all contestants, or but one beside the reference. */
  static async open(only: string | undefined): Promise<Stage> {
    const stage = new Stage();
    stage.#closing.defer(() => stage.#load.close());
    const people = await People.create();
    stage.#token = await people.organizer();
    const isWanted = (name: string) => only === undefined || [only, reference].includes(name);
    for (const name of serverKinds) if (isWanted(name)) await stage.#start(name, people);
    if (isWanted("nginx")) await stage.#startNginx();
    return stage;
  }

  async measure(
    { name, url, pids, server }: Contestant,
    { route, requests, connections }: {
      readonly route: keyof typeof routes;
      readonly requests: number;
      readonly connections: number;
    },
  ): Promise<Sample> {
    const common = { load: this.#load, token: this.#token };
    const ids = await createRealEvents(server.url, { ...common, count: 1, capacity: 1_000 });
    const before = await cpuMsOf(pids);
    const { perSecond, statuses } = await this.#load.fire({
      targets: [url],
      connections,
      requests,
      method: "POST",
      path: routes[route],
      ids,
      body: `{"userId":"person-{i}"}`,
      tokens: [this.#token],
    });
    const cpuMicros = (await cpuMsOf(pids) - before) * 1_000 / requests;
    if (Object.keys(statuses).some((status) => !status.startsWith("2"))) {
      throw new Error(`${name}, ${route}: statuses ${JSON.stringify(statuses)}`);
    }
    await settle(server.pid);
    return { route, name, perSecond, cpuMicros };
  }

  async #start(name: string, { secret }: People): Promise<void> {
    const database = await createDatabase(databaseServer());
    this.#closing.defer(database.drop);
    const dataDir = await Deno.makeTempDir({ prefix: "troupe_servers_" });
    this.#closing.defer(() => Deno.remove(dataDir, { recursive: true }));
    const env = { SERVER: name };
    const server = await startReal({ secret, dataDir, databaseUrl: database.url, env });
    this.#closing.defer(server.stop);
    this.contestants.push({ name, url: server.url, pids: [server.pid], server });
  }

  /** One worker before the plain server, as a service on the same machine would have it. */
  async #startNginx(): Promise<void> {
    const isThere = await Deno.stat(nginxPath).then(() => true, () => false);
    const behind = this.contestants.find(({ name }) => name === reference);
    if (!isThere || behind === undefined) return;
    const folder = await Deno.makeTempDir({ prefix: "troupe_nginx_" });
    this.#closing.defer(() => Deno.remove(folder, { recursive: true }));
    const port = freePort();
    await Deno.writeTextFile(`${folder}/nginx.conf`, nginxConfiguration(folder, port, behind.url));
    const nginx = new Deno.Command(nginxPath, { args: ["-c", `${folder}/nginx.conf`] }).spawn();
    this.#closing.defer(async () => {
      nginx.kill("SIGTERM");
      await nginx.status;
    });
    const url = `http://127.0.0.1:${port}`;
    while (!(await fetch(`${url}/health/live`).then((answer) => answer.ok, () => false))) {
      await delay(50);
    }
    const { server } = behind;
    this.contestants.push({ name: "nginx", url, pids: [server.pid, nginx.pid], server });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#closing.disposeAsync();
  }
}

function nginxConfiguration(folder: string, port: number, target: string): string {
  const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
    .map((name) => `${name}_temp_path ${folder}/${name};`).join("\n  ");
  return `
master_process off;
daemon off;
pid ${folder}/pid;
error_log stderr crit;
events { worker_connections 4096; }
http {
  access_log off;
  ${temporary}
  upstream service { server ${new URL(target).host}; keepalive 64; }
  server {
    listen 127.0.0.1:${port};
    keepalive_requests 1000000;
    location / {
      proxy_pass http://service;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
    }
  }
}
`;
}

async function cpuMsOf(pids: readonly number[]): Promise<number> {
  const figures = await Promise.all(pids.map(figuresOf));
  return figures.reduce((sum, { cpuMs }) => sum + cpuMs, 0);
}

function tableOf(samples: readonly Sample[]): string {
  const lines = [];
  for (const route of Object.keys(routes)) {
    for (const name of new Set(samples.map(({ name }) => name))) {
      const own = samples.filter((sample) => sample.route === route && sample.name === name);
      const others = samples.filter((sample) =>
        sample.route === route && sample.name === reference
      );
      const ratio = medianOf(own.map(({ perSecond }, i) => perSecond / others[i]!.perSecond));
      const more = medianOf(own.map(({ cpuMicros }, i) => cpuMicros - others[i]!.cpuMicros));
      lines.push([
        route.padEnd(6),
        name.padEnd(12),
        `${Math.round(medianOf(own.map(({ perSecond }) => perSecond)))}/s`.padStart(9),
        `${ratio.toFixed(2)} × its rate`,
        `${medianOf(own.map(({ cpuMicros }) => cpuMicros)).toFixed(1)} µs of CPU`,
        `${more >= 0 ? "+" : ""}${more.toFixed(1)} µs`,
      ].join("  "));
    }
  }
  return lines.join("\n");
}

if (import.meta.main) await main(Deno.args);
