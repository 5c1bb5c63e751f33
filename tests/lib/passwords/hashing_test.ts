import assert from "node:assert/strict";
import { TransientFault } from "../../../lib/fault.ts";
import { costOf, PasswordHashing, presentCost } from "../../../lib/passwords/hashing.ts";

const env = { monotonic: () => performance.now() };
const cheap = { memoryKiB: 64, passes: 1 };

Deno.test("a hash costs at least what OWASP asks for, and says so itself", async () => {
  using hashing = new PasswordHashing({ env });
  const hash = await hashing.hash("an umbrella of elephants");
  const cost = costOf(hash)!;
  assert(cost.memoryKiB >= 19 * 1_024 && cost.passes >= 2, hash);
  assert.deepEqual(cost, presentCost);
  assert.match(hash, /^\$argon2id\$v=19\$m=\d+,t=\d+,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
});

Deno.test("a password fits its hash and no other does, and no two hashes are the same", async () => {
  using hashing = new PasswordHashing({ env, cost: cheap });
  const [first, second] = await Promise.all([hashing.hash("one"), hashing.hash("one")]);
  assert.notEqual(first, second);
  assert((await hashing.verify("one", first)).isRight);
  assert((await hashing.verify("one", second)).isRight);
  for (const wrong of ["One", "one ", "on", "", "one\0"]) {
    if (wrong !== "") assert.equal((await hashing.verify(wrong, first)).isRight, false, wrong);
  }
  assert.equal((await hashing.verify("one", undefined)).isRight, false);
});

Deno.test("a hash that was cheaper is outdated, and one that is dearer is not", async () => {
  using before = new PasswordHashing({ env, cost: cheap });
  using now = new PasswordHashing({ env, cost: { memoryKiB: 128, passes: 2 } });
  const [old, young] = await Promise.all([before.hash("one"), now.hash("one")]);
  assert.deepEqual(await now.verify("one", old), { isRight: true, isOutdated: true });
  assert.deepEqual(await now.verify("one", young), { isRight: true, isOutdated: false });
  assert.deepEqual(await before.verify("one", young), { isRight: true, isOutdated: false });
});

Deno.test("a hash made elsewhere, by the reference program, is taken", async () => {
  using hashing = new PasswordHashing({ env });
  // From the test suite of phc-winner-argon2: 65,536 KiB, two passes.
  const hash = "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ" +
    "$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc";
  assert((await hashing.verify("password", hash)).isRight);
  assert.equal((await hashing.verify("passwort", hash)).isRight, false);
});

Deno.test("passwords that are tried first are known, in whatever case", async () => {
  using hashing = new PasswordHashing({ env });
  for (const common of ["password", "12345678", "qwertyuiop", "iloveyou", "PASSWORD1"]) {
    assert(await hashing.isCommon(common), common);
  }
  assert.equal(await hashing.isCommon("an umbrella of elephants"), false);
});

Deno.test("only so many run at a time, only so many wait, and the rest are told to come back", async () => {
  using hashing = new PasswordHashing({ env, cost: cheap, threadsMax: 2, waitingMax: 3 });
  let refused = 0;
  hashing.onRefused(() => refused++);
  const asked = Array.from({ length: 10 }, () => hashing.hash("one"));
  assert.deepEqual(hashing.standing(), { name: "passwords", running: 2, waiting: 3, refused: 0 });
  const results = await Promise.allSettled(asked);
  const failed = results.filter((result) => result.status === "rejected");
  assert.equal(failed.length, 5);
  for (const { reason } of failed) {
    assert(reason instanceof TransientFault && reason.retryAfterMs >= 1_000);
  }
  assert.equal(refused, 5);
  assert.equal(hashing.standing().running, 0);
});

Deno.test("what is in hand when it ends fails, and nothing begins after that", async () => {
  const hashing = new PasswordHashing({ env });
  const inHand = hashing.hash("one");
  hashing[Symbol.dispose]();
  await assert.rejects(inHand, /hashed no more/);
  await assert.rejects(hashing.hash("one"), /hashed no more/);
});
