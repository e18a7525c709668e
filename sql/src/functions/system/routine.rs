//! pg_get_function_arguments() and its kin: signatures of the functions PostgreSQL ships with.

use super::function::{Arg, Definition, Kind, Overload};
use super::reg;
use crate::catalog::quote::quote_ident;
use crate::catalog::system::procs::{self, Proc};
use crate::catalog::system::rows::Cell;
use crate::catalog::system::{Facts, fixed};
use crate::error::SqlError;
use crate::types::oid;
use hashbrown::HashMap;
use std::sync::LazyLock;

const OID: &[Kind] = &[Kind::Oid(oid::OID)];

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new("pg_get_function_arguments", &[Overload::new(OID, oid::TEXT, arguments)]),
    Definition::new(
        "pg_get_function_identity_arguments",
        &[Overload::new(OID, oid::TEXT, identity)],
    ),
    Definition::new("pg_get_function_result", &[Overload::new(OID, oid::TEXT, result)]),
];

/// Arguments with DEFAULTs, which pg_proc has as trees only: their text by function.
static ARGUMENTS: LazyLock<HashMap<u32, String>> = LazyLock::new(|| {
    let (_, rows) = fixed::table(include_str!("../../catalog/static/pg_proc_arguments.csv"));
    let read = |row: Vec<Option<String>>| {
        let mut fields = row.into_iter();
        Some((fields.next()??.parse().ok()?, fields.next()??))
    };
    rows.into_iter().filter_map(read).collect()
});

/// The arguments with the modes that `shown` takes.
fn listed(facts: &Facts, proc: &Proc, shown: impl Fn(char) -> bool) -> String {
    let types = match proc.all_arguments.is_empty() {
        true => &proc.arguments,
        false => &proc.all_arguments,
    };
    let parts = types.iter().enumerate().filter_map(|(at, type_oid)| {
        let mode = proc.modes.get(at).copied().unwrap_or('i');
        shown(mode).then(|| {
            let mut text = match mode {
                'o' => "OUT ".to_owned(),
                'b' => "INOUT ".to_owned(),
                'v' => "VARIADIC ".to_owned(),
                _ => String::new(),
            };
            if let Some(name) = proc.names.get(at).filter(|name| !name.is_empty()) {
                text.push_str(&quote_ident(name));
                text.push(' ');
            }
            text.push_str(&reg::type_text(*type_oid, None, facts));
            text
        })
    });
    parts.collect::<Vec<_>>().join(", ")
}

fn arguments(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Some(proc) = procs::get(args[0].oid()) else { return Ok(Cell::Null) };
    if let Some(text) = ARGUMENTS.get(&proc.oid) {
        return Ok(text.clone().into());
    }
    Ok(listed(facts, proc, |mode| mode != 't').into())
}

fn identity(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let proc = procs::get(args[0].oid());
    Ok(proc.map(|proc| listed(facts, proc, |mode| matches!(mode, 'i' | 'b' | 'v'))).into())
}

fn result(facts: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let Some(proc) = procs::get(args[0].oid()) else { return Ok(Cell::Null) };
    if proc.kind == 'p' {
        return Ok(Cell::Null);
    }
    if proc.modes.contains(&'t') {
        return Ok(format!("TABLE({})", listed(facts, proc, |mode| mode == 't')).into());
    }
    let returns = reg::type_text(proc.returns, None, facts);
    Ok(match proc.returns_set {
        true => format!("SETOF {returns}"),
        false => returns,
    }
    .into())
}
