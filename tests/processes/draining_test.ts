/** SIGTERM, as a balancer sees it. */
import assert from "node:assert/strict";
import { publishedEvent } from "../support/cluster.ts";
import { ServerProcess } from "../support/server_process.ts";

const options = { ignore: Deno.build.os === "windows" };

Deno.test(
  "after SIGTERM it is unready at once, and serves on until the grace is over",
  options,
  async () => {
    const directory = await Deno.makeTempDir({ prefix: "troupe_" });
    try {
      const variables = { DATA_DIR: directory, SHUTDOWN_GRACE_MS: "6000" };
      await using server = await ServerProcess.start(variables);
      server.kill("SIGTERM");
      await server.logged("stopping");
      const ready = await fetch(`${server.url}/health/ready`);
      const { mode, because } = await ready.json();
      assert.deepEqual([ready.status, mode, because], [503, "draining", ["draining"]]);
      assert.equal(ready.headers.get("service-mode"), "draining");
      await publishedEvent(server, { capacity: 1 });
      assert.equal((await server.ended).code, 0);
    } finally {
      await Deno.remove(directory, { recursive: true });
    }
  },
);
