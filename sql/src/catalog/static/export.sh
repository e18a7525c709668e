#!/bin/sh
# Writes PostgreSQL 15's static catalog rows as CSV files into this directory, from a running server of
# version 15 with a database nobody has changed:
#
#     PGHOST=... PGPORT=... PGUSER=... PGDATABASE=... ./export.sh
#
# Columns that are always NULL are left out: the loader fills them in. Rows are ordered, so that a new
# export of the same version changes nothing.
set -eu
cd "$(dirname "$0")"

copy() {
    psql -X -q -v ON_ERROR_STOP=1 -c "copy ($2) to stdout with (format csv, header)" > "$1.csv"
}

own="oid < 16384"

# Every system relation with its columns, name:type:notnull: what the tables' schemas are made of.
# Domains of information_schema are given as their base types, as results describe them.
copy relations "
    select c.oid, n.nspname as schema, c.relname as name, c.relkind as kind, c.reltype,
           string_agg(a.attname || ':' || case t.typtype when 'd' then t.typbasetype else a.atttypid end
                      || ':' || case t.typtype when 'd' then t.typtypmod else a.atttypmod end
                      || ':' || case when a.attnotnull then 't' else 'f' end
                      || ':' || a.atttypid, ' ' order by a.attnum) as columns
    from pg_class c
    join pg_namespace n on n.oid = c.relnamespace
    join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    join pg_type t on t.oid = a.atttypid
    where n.nspname in ('pg_catalog', 'information_schema') and c.relkind in ('r', 'v') and c.$own
    group by c.oid, n.nspname, c.relname, c.relkind, c.reltype order by c.oid"

copy pg_class "
    select oid, relname, relnamespace, reltype, reloftype, relam, relfilenode, reltablespace, relpages,
           reltuples, relallvisible, reltoastrelid, relhasindex, relisshared, relpersistence, relkind,
           relnatts, relchecks, relhasrules, relhastriggers, relhassubclass, relrowsecurity,
           relforcerowsecurity, relispopulated, relreplident, relispartition, relrewrite, relfrozenxid,
           relminmxid
    from pg_class where $own and relkind <> 't' order by oid"
copy pg_index "
    select indexrelid, indrelid, indnatts, indnkeyatts, indisunique, indnullsnotdistinct, indisprimary,
           indisexclusion, indimmediate, indisclustered, indisvalid, indcheckxmin, indisready, indislive,
           indisreplident, indkey, indcollation, indclass, indoption
    from pg_index i join pg_class c on c.oid = indrelid and c.relkind = 'r'
    where indexrelid < 16384 order by indexrelid"
copy pg_constraint "
    select oid, conname, connamespace, contype, condeferrable, condeferred, convalidated, conrelid,
           contypid, conindid, conparentid, confrelid, confupdtype, confdeltype, confmatchtype,
           conislocal, coninhcount, connoinherit, conkey
    from pg_constraint where $own and contype <> 'c' order by oid"
copy pg_type "
    select oid, typname, typnamespace, typowner, typlen, typbyval, typtype, typcategory, typispreferred,
           typisdefined, typdelim, typrelid, typsubscript::oid, typelem, typarray, typinput::oid,
           typoutput::oid, typreceive::oid, typsend::oid, typmodin::oid, typmodout::oid,
           typanalyze::oid, typalign, typstorage, typnotnull, typbasetype, typtypmod, typndims,
           typcollation
    from pg_type where $own order by oid"
copy pg_proc "
    select oid, proname, pronamespace, prolang, procost, prorows, provariadic, prosupport::oid, prokind,
           prosecdef, proleakproof, proisstrict, proretset, provolatile, proparallel, pronargs,
           pronargdefaults, prorettype, proargtypes, proallargtypes, proargmodes, proargnames, prosrc
    from pg_proc where $own order by oid"
copy pg_proc_arguments "
    select oid, pg_get_function_arguments(oid) as arguments
    from pg_proc where $own and pronargdefaults > 0 order by oid"
copy pg_operator "
    select oid, oprname, oprnamespace, oprkind, oprcanmerge, oprcanhash, oprleft, oprright, oprresult,
           oprcom, oprnegate, oprcode::oid, oprrest::oid, oprjoin::oid
    from pg_operator where $own order by oid"
copy pg_am "select oid, amname, amhandler::oid, amtype from pg_am where $own order by oid"
copy pg_opclass "
    select oid, opcmethod, opcname, opcnamespace, opcfamily, opcintype, opcdefault, opckeytype
    from pg_opclass where $own order by oid"
copy pg_opfamily "
    select oid, opfmethod, opfname, opfnamespace from pg_opfamily where $own order by oid"
copy pg_amop "
    select oid, amopfamily, amoplefttype, amoprighttype, amopstrategy, amoppurpose, amopopr, amopmethod,
           amopsortfamily
    from pg_amop where $own order by oid"
copy pg_amproc "
    select oid, amprocfamily, amproclefttype, amprocrighttype, amprocnum, amproc::oid
    from pg_amproc where $own order by oid"
copy pg_cast "
    select oid, castsource, casttarget, castfunc, castcontext, castmethod
    from pg_cast where $own order by oid"
copy pg_aggregate "
    select aggfnoid::oid, aggkind, aggnumdirectargs, aggtransfn::oid, aggfinalfn::oid, aggcombinefn::oid,
           aggserialfn::oid, aggdeserialfn::oid, aggmtransfn::oid, aggminvtransfn::oid,
           aggmfinalfn::oid, aggfinalextra, aggmfinalextra, aggfinalmodify, aggmfinalmodify, aggsortop,
           aggtranstype, aggtransspace, aggmtranstype, aggmtransspace, agginitval, aggminitval
    from pg_aggregate where aggfnoid::oid < 16384 order by 1"
copy pg_collation "
    select oid, collname, collnamespace, collprovider, collisdeterministic, collencoding, collcollate,
           collctype
    from pg_collation where collname in ('default', 'C', 'POSIX', 'ucs_basic') order by oid"
copy pg_conversion "
    select oid, conname, connamespace, conforencoding, contoencoding, conproc::oid, condefault
    from pg_conversion where $own order by oid"
copy pg_language "
    select oid, lanname, lanispl, lanpltrusted, lanplcallfoid, laninline, lanvalidator
    from pg_language where $own and lanname <> 'plpgsql' order by oid"
copy pg_range "
    select rngtypid, rngsubtype, rngmultitypid, rngcollation, rngsubopc, rngcanonical::oid,
           rngsubdiff::oid
    from pg_range where rngtypid < 16384 order by 1"
copy pg_tablespace "select oid, spcname from pg_tablespace where $own order by oid"
copy pg_authid "
    select oid, rolname, rolsuper, rolinherit, rolcreaterole, rolcreatedb, rolcanlogin, rolreplication,
           rolbypassrls, rolconnlimit
    from pg_authid where oid between 11 and 16383 order by oid"
copy pg_ts_config "
    select oid, cfgname, cfgnamespace, cfgparser from pg_ts_config where $own order by oid"
copy pg_ts_dict "
    select oid, dictname, dictnamespace, dicttemplate, dictinitoption
    from pg_ts_dict where $own order by oid"
copy pg_ts_parser "
    select oid, prsname, prsnamespace, prsstart::oid, prstoken::oid, prsend::oid, prsheadline::oid,
           prslextype::oid
    from pg_ts_parser where $own order by oid"
copy pg_ts_template "
    select oid, tmplname, tmplnamespace, tmplinit::oid, tmpllexize::oid
    from pg_ts_template where $own order by oid"
copy pg_description "
    select objoid, classoid, objsubid, description
    from pg_description d
    where objoid < 16384
      and classoid <> 'pg_extension'::regclass
      and not exists (select 1 from pg_namespace n where n.oid = d.objoid)
      and not (classoid = 'pg_language'::regclass
               and objoid = (select oid from pg_language where lanname = 'plpgsql'))
      and not exists (select 1 from pg_depend e
                      where e.classid = d.classoid and e.objid = d.objoid and e.deptype = 'e')
    order by classoid, objoid, objsubid"
copy pg_get_keywords "select word, catcode, barelabel, catdesc, baredesc from pg_get_keywords() order by word collate \"C\""
