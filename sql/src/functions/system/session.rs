//! What the session and its server know: version(), current_schema(), current_setting() …

use super::function::{Arg, Definition, Kind, Overload};
use crate::catalog::oid::Oid;
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::session::services::Assigned;
use crate::types::oid;
use terrane_client::value::Value;

/// Calls a backend by its process id.
const PID: &[Kind] = &[Kind::Int];

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("version", &[Overload::new(&[], oid::TEXT, version)]),
    Definition::new("current_database", &[Overload::new(&[], oid::NAME, database)]),
    Definition::new("current_catalog", &[Overload::new(&[], oid::NAME, database)]),
    Definition::new("current_schema", &[Overload::new(&[], oid::NAME, schema)]),
    Definition::new("current_schemas", &[Overload::new(&[Kind::Bool], oid::NAME_ARRAY, schemas)]),
    Definition::new("current_user", &[Overload::new(&[], oid::NAME, user)]),
    Definition::new("session_user", &[Overload::new(&[], oid::NAME, user)]),
    Definition::new("current_role", &[Overload::new(&[], oid::NAME, user)]),
    Definition::new("user", &[Overload::new(&[], oid::NAME, user)]),
    Definition::new(
        "current_setting",
        &[
            Overload::new(&[Kind::Text], oid::TEXT, setting),
            Overload::new(&[Kind::Text, Kind::Bool], oid::TEXT, setting),
        ],
    ),
    Definition::volatile(
        "set_config",
        &[Overload::of_nulls(&[Kind::Text, Kind::Text, Kind::Bool], oid::TEXT, set_config)],
    ),
    Definition::volatile("gen_random_uuid", &[Overload::new(&[], oid::UUID, random_uuid)]),
    Definition::new("pg_backend_pid", &[Overload::new(&[], oid::INT4, pid)]),
    Definition::new("pg_is_in_recovery", &[Overload::new(&[], oid::BOOL, no)]),
    Definition::new("pg_client_encoding", &[Overload::new(&[], oid::NAME, client_encoding)]),
    Definition::new("getdatabaseencoding", &[Overload::new(&[], oid::NAME, client_encoding)]),
    Definition::new("pg_my_temp_schema", &[Overload::new(&[], oid::OID, temporary_schema)]),
    Definition::new(
        "pg_is_other_temp_schema",
        &[Overload::new(&[Kind::Oid(oid::OID)], oid::BOOL, is_other_temporary)],
    ),
    Definition::new(
        "pg_encoding_to_char",
        &[Overload::new(&[Kind::Int], oid::NAME, encoding_name)],
    ),
    Definition::new("pg_char_to_encoding", &[Overload::new(&[Kind::Text], oid::INT4, encoding)]),
    Definition::new("pg_postmaster_start_time", &[Overload::new(&[], oid::TIMESTAMPTZ, started)]),
    Definition::new("pg_conf_load_time", &[Overload::new(&[], oid::TIMESTAMPTZ, started)]),
    Definition::new("inet_client_port", &[Overload::new(&[], oid::INT4, client_port)]),
    Definition {
        name: "pg_cancel_backend",
        volatile: true,
        overloads: &[Overload::new(PID, oid::BOOL, cancel)],
    },
    Definition {
        name: "pg_terminate_backend",
        volatile: true,
        overloads: &[Overload::new(PID, oid::BOOL, terminate)],
    },
];

/// Drivers read PostgreSQL's version out of the first words.
fn version(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let own = env!("CARGO_PKG_VERSION");
    let (arch, os) = (std::env::consts::ARCH, std::env::consts::OS);
    Ok(format!("PostgreSQL 15.0 (Terrane {own}) on {arch}-{os}, compiled by rustc, 64-bit").into())
}

fn database(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.database_name().to_owned().into())
}

/// The schemas of the path that exist.
fn path(facts: &Facts, implicit: bool) -> Vec<String> {
    let effective = facts.catalog.effective_path(&facts.path);
    let named: Vec<_> = facts.catalog.schemas_named(&facts.path).map(|schema| schema.oid).collect();
    let shown = effective.into_iter().filter(|schema| implicit || named.contains(schema));
    shown.map(|schema| facts.schema_name(schema).to_owned()).collect()
}

fn schema(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(path(facts, false).into_iter().next().into())
}

fn schemas(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(Cell::Texts(path(facts, args[0].is_true())))
}

fn user(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.user.clone().into())
}

fn setting(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    match facts.settings_now()?.get(args[0].text()) {
        Ok(value) => Ok(value.into()),
        Err(_) if args.get(1).is_some_and(Arg::is_true) => Ok(Cell::Null),
        Err(error) => Err(error),
    }
}

fn set_config(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Arg::Text(name) = &args[0] else {
        return Err(SqlError::new(SqlState::NULL_VALUE_NOT_ALLOWED, "SET requires parameter name"));
    };
    let value = match &args[1] {
        Arg::Text(value) => Some(value.clone()),
        _ => None,
    };
    let assigned = Assigned { name: name.clone(), value, local: args[2].is_true() };
    let memory = &facts.services()?.memory;
    let mut settings = memory.settings(&facts.settings)?;
    assigned.apply(&mut settings)?;
    memory.assign(assigned);
    Ok(settings.get(name)?.into())
}

/// Version 4: random but for the version and the variant.
fn random_uuid(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let mut bytes = [0; 16];
    facts.services()?.server.env.random.fill(&mut bytes);
    let uuid = uuid::Builder::from_random_bytes(bytes).into_uuid();
    Ok(Cell::Value(Value::Uuid(uuid.into_bytes())))
}

fn pid(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.pid.into())
}

fn no(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(false.into())
}

fn client_encoding(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok("UTF8".into())
}

fn temporary_schema(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.catalog.temporary().map_or(Oid::NONE, |temporary| temporary.schema).into())
}

/// Other sessions' temporary objects are not in this one's catalog at all.
fn is_other_temporary(_: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(false.into())
}

/// PostgreSQL's encodings by number; only UTF8 is used here.
const ENCODINGS: &[&str] = &[
    "SQL_ASCII",
    "EUC_JP",
    "EUC_CN",
    "EUC_KR",
    "EUC_TW",
    "EUC_JIS_2004",
    "UTF8",
    "MULE_INTERNAL",
    "LATIN1",
    "LATIN2",
    "LATIN3",
    "LATIN4",
    "LATIN5",
    "LATIN6",
    "LATIN7",
    "LATIN8",
    "LATIN9",
    "LATIN10",
    "WIN1256",
    "WIN1258",
    "WIN866",
    "WIN874",
    "KOI8R",
    "WIN1251",
    "WIN1252",
    "ISO_8859_5",
    "ISO_8859_6",
    "ISO_8859_7",
    "ISO_8859_8",
    "WIN1250",
    "WIN1253",
    "WIN1254",
    "WIN1255",
    "WIN1257",
    "KOI8U",
    "SJIS",
    "BIG5",
    "GBK",
    "UHC",
    "GB18030",
    "JOHAB",
    "SHIFT_JIS_2004",
];

fn encoding_name(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let at = usize::try_from(args[0].int()).ok();
    Ok(at.and_then(|at| ENCODINGS.get(at)).copied().unwrap_or("").into())
}

fn encoding(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let clean = |name: &str| name.to_ascii_lowercase().replace(['-', '_'], "");
    let wanted = clean(args[0].text());
    let found = ENCODINGS.iter().position(|name| clean(name) == wanted);
    Ok(Cell::Int(found.map_or(-1, |at| at as i64)))
}

fn started(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.server_started_micros.into())
}

fn client_port(facts: &Facts, _: &[Arg]) -> Result<Cell<'static>, SqlError> {
    Ok(facts.peer.map(|peer| i64::from(peer.port())).into())
}

/// Calls `act` with a process id; a WARNING of PostgreSQL's is an error's detail here: false.
fn signal(
    facts: &Facts,
    pid: i64,
    act: impl Fn(&crate::session::backends::Backends, i32) -> bool,
) -> Result<Cell<'static>, SqlError> {
    let pid = i32::try_from(pid)
        .map_err(|_| SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range"))?;
    Ok(facts.backends.as_ref().is_some_and(|backends| act(backends, pid)).into())
}

fn cancel(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    signal(facts, args[0].int(), |backends, pid| backends.cancel(pid))
}

fn terminate(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    signal(facts, args[0].int(), |backends, pid| backends.terminate(pid))
}
