/** A server that is killed in the rush, on the embedded database. */
import { survivesCrashes } from "./crashing_rush.ts";

Deno.test("killed in the rush, the embedded store has lost and doubled nothing", async () => {
  const DATA_DIR = await Deno.makeTempDir({ prefix: "troupe_crash_" });
  try {
    await survivesCrashes({ DATA_DIR }, { requests: 1_500, crashes: 3 });
  } finally {
    await Deno.remove(DATA_DIR, { recursive: true });
  }
});
