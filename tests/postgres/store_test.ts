/** The contracts of store and outbox on a Postgres server. */
import { openDatabase } from "../../lib/postgres/database.ts";
import { PostgresEventStore } from "../../lib/postgres/event_store.ts";
import { jobQueueContract } from "../contracts/job_queue_contract.ts";
import { outboxContract } from "../contracts/outbox_contract.ts";
import { newKind, storeContract } from "../contracts/store_contract.ts";
import { serverDatabaseOfThisFile } from "../support/database.ts";
import { postIn } from "../support/post.ts";

const url = await serverDatabaseOfThisFile();

storeContract("server Postgres", (test) => async () => {
  await using database = await openDatabase({ url });
  await test(new PostgresEventStore(database), newKind());
});

outboxContract("server Postgres", (test) => async () => {
  await using database = await openDatabase({ url });
  await test(postIn(database), newKind());
});

jobQueueContract("server Postgres", (test) => async () => {
  await using database = await openDatabase({ url });
  await test(postIn(database), newKind());
});
