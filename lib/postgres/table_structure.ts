/**
 * What a table is made of, so that another can be made like it and take its place.
 *
 * @module
 */
import { type Kysely, sql } from "kysely";
import type { Tables } from "./tables.ts";

export interface TableStructure {
  readonly schema: string;
  readonly name: string;
  /** Storage parameters, such as `fillfactor=70`. */
  readonly options: readonly string[];
  /** One line each: name, type and all that belongs to it. */
  readonly columns: readonly string[];
  /** Keys and exclusions, which bring indexes of their own. */
  readonly constraints: readonly { readonly name: string; readonly definition: string }[];
  readonly indexes: readonly string[];
  readonly grants: readonly { readonly privilege: string; readonly grantee: string }[];
  /** What depends on this very table, and would not follow to another of its name. */
  readonly ties: readonly string[];
}

/** The tables of these names on the search path; undefined in the place of one that is not there. */
export async function structuresOf(
  db: Kysely<Tables>,
  names: readonly string[],
): Promise<readonly (TableStructure | undefined)[]> {
  const structures: (TableStructure | undefined)[] = [];
  for (const name of names) {
    const { rows } = await sql<TableStructure>`
      select n.nspname::text as schema, c.relname::text as name,
        to_jsonb(coalesce(c.reloptions, '{}')) as options,
        ${columns} as columns, ${constraints} as constraints, ${indexes} as indexes,
        ${grants} as grants, ${ties} as ties
      from pg_class c join pg_namespace n on n.oid = c.relnamespace
      where c.oid = to_regclass(${quoted(name)})`.execute(db);
    structures.push(rows[0]);
  }
  return structures;
}

const columns = sql`(
  select coalesce(jsonb_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod),
    a.attcollation, a.attnotnull, a.attgenerated, a.attidentity, pg_get_expr(d.adbin, d.adrelid))
    order by a.attnum), '[]')
  from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
  where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped)`;

const constraints = sql`(
  select coalesce(jsonb_agg(jsonb_build_object('name', k.conname,
    'definition', pg_get_constraintdef(k.oid)) order by k.conname), '[]')
  from pg_constraint k where k.conrelid = c.oid and k.contype in ('p', 'u', 'x'))`;

const indexes = sql`(
  select coalesce(jsonb_agg(pg_get_indexdef(i.indexrelid) order by i.indexrelid::regclass::text),
    '[]')
  from pg_index i where i.indrelid = c.oid
    and not exists (select from pg_constraint k where k.conindid = i.indexrelid))`;

const grants = sql`(
  select coalesce(jsonb_agg(jsonb_build_object('privilege', g.privilege_type,
    'grantee', case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end)
    order by g.grantee, g.privilege_type), '[]')
  from aclexplode(c.relacl) g where g.grantee <> c.relowner)`;

const ties = sql`(
  select coalesce(jsonb_agg(t.tie order by t.tie), '[]') from (
    select 'it is no ordinary table' as tie where c.relkind <> 'r' or c.relispartition
    union all
    select 'it has row security' where c.relrowsecurity
    union all
    select 'foreign key ' || k.conname from pg_constraint k
    where k.contype = 'f' and c.oid in (k.conrelid, k.confrelid)
    union all
    select 'trigger ' || g.tgname from pg_trigger g where g.tgrelid = c.oid and not g.tgisinternal
    union all
    select 'child ' || h.inhrelid::regclass from pg_inherits h where h.inhparent = c.oid
    union all
    select distinct 'view or rule on ' || r.ev_class::regclass
    from pg_depend d join pg_rewrite r on r.oid = d.objid
    where d.classid = 'pg_rewrite'::regclass and d.refclassid = 'pg_class'::regclass
      and d.refobjid = c.oid
    union all
    select 'publication ' || p.pubname
    from pg_publication_rel m join pg_publication p on p.oid = m.prpubid where m.prrelid = c.oid
  ) t)`;

/** Makes an empty table of the same name and structure, its indexes named alike, in `schema`. */
export async function createAlike(
  db: Kysely<Tables>,
  table: TableStructure,
  schema: string,
): Promise<void> {
  const original = `${quoted(table.schema)}.${quoted(table.name)}`;
  const copy = `${quoted(schema)}.${quoted(table.name)}`;
  const statements = [
    `create table ${copy} (like ${original} including all excluding indexes)`,
    ...table.options.map((option) => `alter table ${copy} set (${option})`),
    ...table.constraints.map(({ name, definition }) =>
      `alter table ${copy} add constraint ${quoted(name)} ${definition}`
    ),
    ...table.indexes.map((definition) => indexOn(definition, schema)),
    ...table.grants.map(({ privilege, grantee }) => `grant ${privilege} on ${copy} to ${grantee}`),
  ];
  for (const statement of statements) await sql.raw(statement).execute(db);
}

/** Postgres says where an index is between its name and its method: `… ON public.seat USING …`. */
function indexOn(definition: string, schema: string): string {
  const place = /^(CREATE (?:UNIQUE )?INDEX (?:"(?:[^"]|"")+"|\S+) ON )(?:"(?:[^"]|"")+"|[^".]+)\./;
  if (!place.test(definition)) throw new Error(`Cannot place an index anew: ${definition}`);
  return definition.replace(place, (_, before) => `${before}${quoted(schema)}.`);
}

export function quoted(identifier: string): string {
  return `"${identifier.replaceAll('"', '""')}"`;
}
