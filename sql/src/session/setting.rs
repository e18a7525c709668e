//! SET, SHOW, RESET, DISCARD.

use super::client::ClientSession;
use super::control::block_modes;
use super::format::Formats;
use super::response::{CommandTag, Response, ResultColumn, RowsResponse};
use super::settings::{self, Settings};
use super::statement::{Described, complete};
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use arrow::array::{ArrayRef, StringArray};
use arrow::record_batch::RecordBatch;
use datafusion::sql::sqlparser::ast::{
    ContextModifier, DiscardObject, Expr, Ident, ObjectName, Reset, ResetStatement, Set,
    UnaryOperator, Value, ValueWithSpan,
};
use futures::StreamExt;
use std::sync::Arc;

/// SET.
pub async fn set(session: &mut ClientSession, set: Set) -> Result<Response, SqlError> {
    match set {
        Set::SingleAssignment { scope, hivevar: false, variable, values } => {
            assign(session, local(scope)?, &name_of(&variable), &values)?;
        }
        Set::SetTimeZone { local, value } => assign(session, local, "TimeZone", &[value])?,
        Set::SetNames { charset_name, collation_name: None } => {
            session.settings.set("client_encoding", &charset_name.value)?;
        }
        Set::SetNamesDefault {} => session.settings.reset("client_encoding")?,
        Set::SetTransaction { modes, snapshot: None, session: false } => {
            let (isolation, read_only) = block_modes(&modes)?;
            if !session.in_explicit_block() {
                let message = "SET TRANSACTION can only be used in transaction blocks";
                session.warn(SqlState::NO_ACTIVE_SQL_TRANSACTION, message);
            }
            session.set_modes(isolation, read_only)?;
        }
        Set::SetTransaction { modes, snapshot: None, session: true } => {
            let (isolation, read_only) = block_modes(&modes)?;
            if let Some(isolation) = isolation {
                let level = match isolation {
                    super::block::Isolation::ReadCommitted => "read committed",
                    super::block::Isolation::RepeatableRead => "repeatable read",
                };
                session.settings.set("default_transaction_isolation", level)?;
            }
            if let Some(read_only) = read_only {
                let value = if read_only { "on" } else { "off" };
                session.settings.set("default_transaction_read_only", value)?;
            }
        }
        other => return Err(SqlError::unsupported(format!("{other} is not supported"))),
    }
    complete("SET")
}

fn local(scope: Option<ContextModifier>) -> Result<bool, SqlError> {
    match scope {
        None | Some(ContextModifier::Session) => Ok(false),
        Some(ContextModifier::Local) => Ok(true),
        Some(ContextModifier::Global) => Err(SqlError::syntax("SET GLOBAL is not PostgreSQL's")),
    }
}

fn assign(
    session: &mut ClientSession,
    local: bool,
    name: &str,
    values: &[Expr],
) -> Result<(), SqlError> {
    if local {
        let in_block = session.block.as_ref().is_some_and(|block| block.explicit);
        if !in_block {
            session.warn(
                SqlState::NO_ACTIVE_SQL_TRANSACTION,
                "SET LOCAL can only be used in transaction blocks",
            );
            return Ok(());
        }
        let before = session.settings.get(name).ok();
        let saved = &mut session.block().local_settings;
        saved.entry(name.to_lowercase()).or_insert(before);
    }
    let texts: Vec<String> = values.iter().map(value_text).collect::<Result<_, _>>()?;
    let is_default = matches!(values, [Expr::Identifier(word)] if word.value.eq_ignore_ascii_case("default") && word.quote_style.is_none());
    let is_local_zone = name.eq_ignore_ascii_case("timezone")
        && matches!(texts.as_slice(), [word] if word.eq_ignore_ascii_case("local"));
    if is_default || is_local_zone {
        return session.settings.reset(name);
    }
    let is_list = name.eq_ignore_ascii_case("search_path");
    let text = match is_list {
        true => {
            let quote = |name: &String| crate::catalog::quote::quote_ident(name);
            texts.iter().map(quote).collect::<Vec<_>>().join(", ")
        }
        false => texts.join(", "),
    };
    session.settings.set(name, &text)
}

fn value_text(value: &Expr) -> Result<String, SqlError> {
    match value {
        Expr::Identifier(Ident { value, quote_style, .. }) => Ok(match quote_style {
            Some(_) => value.clone(),
            None => value.to_lowercase(),
        }),
        Expr::Value(ValueWithSpan { value, .. }) => Ok(match value {
            Value::SingleQuotedString(text) | Value::EscapedStringLiteral(text) => text.clone(),
            Value::Number(digits, _) => digits.clone(),
            Value::Boolean(value) => (if *value { "on" } else { "off" }).to_owned(),
            other => return Err(SqlError::syntax(format!("invalid value in SET: {other}"))),
        }),
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => Ok(format!("-{}", value_text(expr)?)),
        other => Err(SqlError::syntax(format!("invalid value in SET: {other}"))),
    }
}

fn name_of(name: &ObjectName) -> String {
    let parts: Vec<String> =
        name.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.clone()).collect();
    parts.join(".")
}

/// SHOW's names of several words.
fn show_name(variable: &[Ident]) -> String {
    let words: Vec<String> = variable.iter().map(|ident| ident.value.to_lowercase()).collect();
    match words.join(" ").as_str() {
        "time zone" => "TimeZone".to_owned(),
        "transaction isolation level" => "transaction_isolation".to_owned(),
        "session authorization" => "session_authorization".to_owned(),
        _ => words.join("."),
    }
}

fn text_column(name: &str) -> ResultColumn {
    ResultColumn {
        name: name.to_owned(),
        wire_type: oid::wire(oid::TEXT, -1),
        table_oid: 0,
        attnum: 0,
    }
}

fn show_columns(name: &str) -> Arc<[ResultColumn]> {
    if name == "all" {
        return ["name", "setting", "description"].map(text_column).into();
    }
    let shown = settings::known(name).map_or(name, |known| &known.name);
    Arc::new([text_column(shown)])
}

/// SHOW's columns.
pub fn describe_show(variable: &[Ident]) -> Result<Described, SqlError> {
    let columns = show_columns(&show_name(variable));
    Ok(Described { columns: Some(columns), ..Described::default() })
}

/// SHOW.
pub fn show(session: &mut ClientSession, variable: &[Ident]) -> Result<Response, SqlError> {
    let name = show_name(variable);
    let columns = show_columns(&name);
    let texts: Vec<Vec<String>> = match name.as_str() {
        "all" => {
            let names: Vec<String> = settings::all().map(|known| known.name.clone()).collect();
            let values: Vec<String> =
                names.iter().map(|name| session.settings.get(name)).collect::<Result<_, _>>()?;
            let descriptions = vec![String::new(); names.len()];
            vec![names, values, descriptions]
        }
        name => {
            vec![vec![isolation(session, name).map_or_else(|| session.settings.get(name), Ok)?]]
        }
    };
    let arrays: Vec<(String, ArrayRef)> = columns
        .iter()
        .zip(texts)
        .map(|(column, texts)| {
            (column.name.clone(), Arc::new(StringArray::from(texts)) as ArrayRef)
        })
        .collect();
    let batch = RecordBatch::try_from_iter(arrays)
        .map_err(|error| SqlError::internal(error.to_string()))?;
    Ok(Response::Rows(RowsResponse {
        columns,
        formats: Formats::TEXT,
        pending: Some(batch),
        batches: futures::stream::empty().boxed(),
        tag: CommandTag::Plain("SHOW"),
    }))
}

/// The open block's isolation, where that is what is shown.
fn isolation(session: &ClientSession, name: &str) -> Option<String> {
    let block = session.block.as_ref()?;
    match name {
        "transaction_isolation" => Some(match block.isolation {
            super::block::Isolation::ReadCommitted => "read committed".to_owned(),
            super::block::Isolation::RepeatableRead => "repeatable read".to_owned(),
        }),
        "transaction_read_only" => Some((if block.read_only { "on" } else { "off" }).to_owned()),
        _ => None,
    }
}

/// The session's settings, with the open block's modes among them.
pub(super) fn with_modes(session: &ClientSession) -> Settings {
    let mut settings = session.settings.clone();
    for name in ["transaction_isolation", "transaction_read_only"] {
        if let Some(mode) = isolation(session, name)
            && settings.get(name).is_ok_and(|known| known != mode)
            && let Err(error) = settings.set(name, &mode)
        {
            tracing::debug!("{name} is not shown as {mode}: {}", error.message);
        }
    }
    settings
}

/// RESET.
pub fn reset(session: &mut ClientSession, reset: ResetStatement) -> Result<Response, SqlError> {
    match reset.reset {
        Reset::ALL => session.settings.reset_all()?,
        Reset::ConfigurationParameter(name) => session.settings.reset(&name_of(&name))?,
    }
    complete("RESET")
}

/// DISCARD.
pub async fn discard(
    session: &mut ClientSession,
    object: DiscardObject,
) -> Result<Response, SqlError> {
    if matches!(object, DiscardObject::ALL) {
        if session.block.as_ref().is_some_and(|block| block.explicit) {
            return Err(SqlError::new(
                SqlState::ACTIVE_SQL_TRANSACTION,
                "DISCARD ALL cannot run inside a transaction block",
            ));
        }
        session.settings.reset_all()?;
        session.statements.clear();
        session.portals.clear();
        session.cursors.clear();
        session.server.advisory.unlock_all(session.number);
    }
    match object {
        DiscardObject::ALL | DiscardObject::TEMP => {
            session.drop_temporary().await;
            session.block = None;
        }
        DiscardObject::PLANS | DiscardObject::SEQUENCES => {}
    }
    if matches!(object, DiscardObject::ALL | DiscardObject::SEQUENCES) {
        session.memory.forget_sequences();
    }
    complete(match object {
        DiscardObject::ALL => "DISCARD ALL",
        DiscardObject::TEMP => "DISCARD TEMP",
        DiscardObject::PLANS => "DISCARD PLANS",
        DiscardObject::SEQUENCES => "DISCARD SEQUENCES",
    })
}
