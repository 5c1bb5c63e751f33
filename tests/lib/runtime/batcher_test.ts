import assert from "node:assert/strict";
import { Batcher } from "../../../lib/runtime/batcher.ts";
import { VirtualEnv } from "../../support/virtual_env.ts";

/** A batcher whose batches run until they are ended by hand; it answers with tens. */
function heldBatcher(
  options: { batchMax?: number; inFlightMax?: number; weightMax?: number } = {},
) {
  const batches: (readonly number[])[] = [];
  const ends: PromiseWithResolvers<void>[] = [];
  const { batchMax = 100, inFlightMax = 1, weightMax } = options;
  const batcher = new Batcher<number, number>({
    run: async (batch) => {
      batches.push(batch);
      const end = Promise.withResolvers<void>();
      ends.push(end);
      await end.promise;
      return batch.map((request) => request * 10);
    },
    batchMax,
    inFlightMax,
    ...(weightMax !== undefined && { weight: (request) => request, weightMax }),
  });
  return { batcher, batches, ends };
}

const settle = () => new VirtualEnv().settle();

Deno.test("requests of the same moment are one batch, and each gets its own answer", async () => {
  const { batcher, batches, ends } = heldBatcher();
  const answers = [1, 2, 3].map((request) => batcher.add(request));
  await settle();
  assert.deepEqual(batches, [[1, 2, 3]]);
  ends[0]!.resolve();
  assert.deepEqual(await Promise.all(answers), [10, 20, 30]);
});

Deno.test("what gathers while a batch runs is the next one", async () => {
  const { batcher, batches, ends } = heldBatcher();
  const answers = [batcher.add(1)];
  await settle();
  answers.push(batcher.add(2));
  await settle();
  answers.push(batcher.add(3));
  await settle();
  assert.deepEqual(batches, [[1]]);
  ends[0]!.resolve();
  await settle();
  assert.deepEqual(batches, [[1], [2, 3]]);
  ends[1]!.resolve();
  assert.deepEqual(await Promise.all(answers), [10, 20, 30]);
});

Deno.test("no more batches run at a time, and none is larger, than allowed", async () => {
  const { batcher, batches, ends } = heldBatcher({ batchMax: 2, inFlightMax: 2 });
  const answers = [1, 2, 3, 4, 5].map((request) => batcher.add(request));
  await settle();
  assert.deepEqual(batches, [[1, 2], [3, 4]]);
  ends[1]!.resolve();
  await settle();
  assert.deepEqual(batches, [[1, 2], [3, 4], [5]]);
  ends[0]!.resolve();
  ends[2]!.resolve();
  await Promise.all(answers);
});

Deno.test("a batch is as heavy as allowed; a request too heavy for any goes alone", async () => {
  const { batcher, batches, ends } = heldBatcher({ inFlightMax: 9, weightMax: 10 });
  const answers = [4, 6, 1, 50, 2, 8, 1].map((request) => batcher.add(request));
  await settle();
  assert.deepEqual(batches, [[4, 6], [1], [50], [2, 8], [1]]);
  for (const end of ends) end.resolve();
  await Promise.all(answers);
});

Deno.test("a batch that fails fails its requests, and the next one runs", async () => {
  const { batcher, ends } = heldBatcher();
  const failing = Promise.allSettled([batcher.add(1), batcher.add(2)]);
  await settle();
  const next = batcher.add(3);
  ends[0]!.reject(new RangeError("no"));
  assert.deepEqual((await failing).map(({ status }) => status), ["rejected", "rejected"]);
  await settle();
  ends[1]!.resolve();
  assert.equal(await next, 30);
});

Deno.test("a run that throws at once fails its requests like any other", async () => {
  const batcher = new Batcher<number, number>({
    run: () => {
      throw new RangeError("at once");
    },
    batchMax: 1,
    inFlightMax: 1,
  });
  const results = await Promise.allSettled([batcher.add(1), batcher.add(2)]);
  assert(results.every(({ status }) => status === "rejected"));
});
