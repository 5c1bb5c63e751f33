/** Answers every request with the same bytes: what is left is the HTTP server and the load generator. */
const body = JSON.stringify({
  registrationId: crypto.randomUUID(),
  status: "confirmed",
  version: 1,
});
const headers = { "content-type": "application/json" };

Deno.serve({
  hostname: Deno.env.get("HOST") ?? "127.0.0.1",
  port: Number(Deno.env.get("PORT") ?? 8_001),
  onListen() {},
}, async (request) => {
  await request.text();
  return new Response(body, { status: request.method === "POST" ? 201 : 200, headers });
});
