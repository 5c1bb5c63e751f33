/** The contracts of store and outbox on the in-memory store. */
import { systemEnv } from "../../lib/env.ts";
import { MemoryStore } from "../../lib/memory/store.ts";
import { outboxContract } from "../contracts/outbox_contract.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";

storeContract("memory", (test) => () => test(new MemoryStore(systemEnv), newKind()));

outboxContract("memory", (test) => async () => {
  const store = new MemoryStore(systemEnv);
  const { outbox } = store;
  const audit = () =>
    Promise.resolve(outbox.audit.map(({ principal, act }) => `${principal}: ${act}`));
  await test({ store, outbox, deadLetters: outbox, audit }, newKind());
});
