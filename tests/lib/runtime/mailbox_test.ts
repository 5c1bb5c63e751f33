import assert from "node:assert/strict";
import { Mailbox } from "../../../lib/runtime/mailbox.ts";

Deno.test("a mailbox gives the oldest messages first, as many as are asked for", () => {
  const mailbox = new Mailbox<number>(10);
  for (const message of [1, 2, 3, 4, 5]) assert(mailbox.offer(message));
  assert.deepEqual(mailbox.take(2), [1, 2]);
  assert(mailbox.offer(6));
  assert.deepEqual(mailbox.take(Infinity), [3, 4, 5, 6]);
  assert.deepEqual(mailbox.take(Infinity), []);
});

Deno.test("a mailbox holds its capacity and refuses what comes then", () => {
  const mailbox = new Mailbox<number>(3);
  assert.deepEqual([1, 2, 3, 4].map((message) => mailbox.offer(message)), [
    true,
    true,
    true,
    false,
  ]);
  assert.equal(mailbox.size, 3);
  mailbox.take(1);
  assert(mailbox.offer(5));
  assert.deepEqual(mailbox.take(3), [2, 3, 5]);
  assert.equal(mailbox.size, 0);
});
