/** The store contract on the in-memory store. */
import { MemoryStore } from "../../lib/memory/store.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";

storeContract("memory", (test) => () => test(new MemoryStore(), newKind()));
