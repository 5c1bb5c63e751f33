/**
 * Text that would be more than text to a statement which took it for a part of itself.
 *
 * @module
 */

/** Each ends a value of some kind and goes on with something that would be noticed. */
const statements = [
  "or 1=1",
  "or 'a'='a",
  "or true",
  "and 1=0 union select null",
  "union all select version()",
  "union select usename from pg_user",
  "union select current_setting('data_directory')",
  "; drop table event",
  "; delete from live_event",
  "; update actor set revision = 0",
  "; truncate outbox",
  "; create table injected (a int)",
  "; select pg_sleep(100)",
  "|| pg_sleep(100)",
  "and (select 1 from pg_sleep(100)) is null",
  "; copy (select '') to program 'id'",
  "; copy event to '/tmp/injected'",
  "and 1=cast((select string_agg(usename, ',') from pg_user) as int)",
  "and 1=(select 1/0)",
  "; select lo_import('/etc/passwd')",
  "; set role postgres",
  "; alter role current_user superuser",
  "; listen injected; notify injected",
  "; begin; rollback",
  "; do $$begin perform pg_sleep(100); end$$",
] as const;

/** What closes a value, and what hides the rest of the statement. */
const dressings: readonly (readonly [before: string, after: string])[] = [
  ["' ", " --"],
  ["' ", " /*"],
  ["') ", " --"],
  ["')) ", " -- "],
  ['" ', " --"],
  ["\\' ", " --"],
  ["1 ", ""],
  ["$1 ", " --"],
];

/** What is known to confuse parsers of its own accord. */
const oddities = [
  "'",
  "''",
  "'''",
  '"',
  "\\",
  "\\'",
  "%27",
  "%2527",
  "ʼ or 1=1 --",
  "＇ or 1=1 --",
  "$$",
  "$tag$ or 1=1 $tag$",
  "e'\\x27'",
  "U&'\\0027'",
  "%",
  "_",
  "%%' escape '",
  "*",
  "(((((",
  "a & | !",
  "a:* <-> b",
  "!!!!",
  "'::text",
  "1::int",
  "{1,2}",
  "[1,2)",
  "NaN",
  "infinity",
  "now()",
  "null",
  "default",
  "\u202e'--",
  "`id`",
  "${7*7}",
  "{{7*7}}",
  "1;--",
  "/*!50000 union*/",
  "'/**/or/**/1=1--",
  "'\tor\t1=1--",
  "'\nor\n1=1--",
];

export const injections: readonly string[] = [
  ...oddities,
  ...statements.flatMap((statement) =>
    dressings.map(([before, after]) => before + statement + after)
  ),
];
