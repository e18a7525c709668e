//! Writing the expectations of `.slt` files from a reference server's answers.
//!
//! For whoever writes a suite: SQL with empty expectations goes in, and what the server answers is filled
//! in, to be read over before it is believed. Filled in are a query's type letters and rows, the number
//! behind `statement count`, and the SQLSTATE of an `error` that names none. Not changed is whether a
//! record is expected to fail: one that fails against its `ok`, or succeeds against its `error`, is told.
//!
//! Records are answered over the extended protocol, which tells types; those meant for the simple
//! protocol only are answered over that, in a second pass.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqllogictest::{ExpectedError, QueryExpect, Record, RecordOutput, Runner, StatementExpect};

use super::database::{Database, Letter};
use super::run::{parse, scored};
use crate::condition::Condition;
use crate::session::{Mode, Session, SessionError, Setting, Target};

/// What cannot be completed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CompleteError {
    /// The file does not parse.
    #[error("{0}")]
    Parse(#[from] sqllogictest::ParseError),
    /// It cannot be read or written.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// There is no schema to run it in.
    #[error("{0}")]
    Session(#[from] SessionError),
    /// It includes other files.
    #[error("a file that includes others cannot be completed")]
    Includes,
}

/// Completes a file in place; returns what has to be looked at, a line each.
pub async fn complete(
    target: &Arc<Target>,
    labels: &[String],
    path: &Path,
) -> Result<Vec<String>, CompleteError> {
    let mut records = parse(path)?;
    if records.iter().any(|r| matches!(r, Record::Include { .. })) {
        return Err(CompleteError::Includes);
    }
    let mut remarks = Vec::new();
    for mode in [Mode::Extended, Mode::Simple] {
        pass(target, labels, mode, &mut records, &mut remarks).await?;
    }
    let mut text = String::new();
    for record in &records {
        text.push_str(&record.to_string());
        text.push('\n');
    }
    std::fs::write(path, format!("{}\n", text.trim_end()))?;
    Ok(remarks)
}

async fn pass(
    target: &Arc<Target>,
    labels: &[String],
    mode: Mode,
    records: &mut [Record<Letter>],
    remarks: &mut Vec<String>,
) -> Result<(), CompleteError> {
    let schema = format!("slt_complete_{}", std::process::id());
    let (client, _driver) = target.connect().await?;
    let create = format!("CREATE SCHEMA {schema}");
    client.batch_execute(&create).await.map_err(SessionError::from)?;
    let setting = Setting::new(target.clone(), mode, schema, Duration::from_secs(60), true);
    let mut runner = Runner::new(|| {
        let session = Session::new(setting.clone());
        async { Ok(Database(session)) }
    });
    let with = |mode: Mode| [labels, &[mode.name().to_owned()]].concat();
    for label in with(mode) {
        runner.add_label(&label);
    }
    for record in records.iter_mut() {
        if matches!(record, Record::Halt { .. }) {
            break;
        }
        let output = runner.apply_record(record.clone()).await;
        let Some(about) = scored(record) else { continue };
        let (line, conditions) = (about.line, about.conditions);
        let admits =
            |labels: &[String]| conditions.iter().map(Condition::from).all(|c| c.admits(labels));
        let extended = admits(&with(Mode::Extended));
        if admits(&with(mode))
            && (mode == Mode::Extended || !extended)
            && let Some(remark) = fill(record, output)
        {
            remarks.push(format!("{line}: {remark}"));
        }
    }
    runner.shutdown_async().await;
    let drop = format!("DROP SCHEMA {} CASCADE", setting.schema);
    client.batch_execute(&drop).await.map_err(SessionError::from)?;
    Ok(())
}

/// Fills in an expectation; a remark if the record's kind of expectation is not met.
fn fill(record: &mut Record<Letter>, output: RecordOutput<Letter>) -> Option<String> {
    let error = match &output {
        RecordOutput::Query { error, .. } | RecordOutput::Statement { error, .. } => error.as_ref(),
        _ => None,
    };
    match (record, error) {
        (Record::Statement { expected: StatementExpect::Error(expected), .. }, Some(error))
        | (Record::Query { expected: QueryExpect::Error(expected), .. }, Some(error)) => {
            let code = error.downcast_ref::<SessionError>().and_then(SessionError::code);
            match (&expected, code) {
                (ExpectedError::Empty, Some(code)) => {
                    *expected = ExpectedError::SqlState(code.to_owned());
                    None
                }
                _ if expected.is_match(&error.to_string(), code) => None,
                _ => Some(format!("expected {expected}, got {error}")),
            }
        }
        (Record::Statement { expected: StatementExpect::Error(_), .. }, None)
        | (Record::Query { expected: QueryExpect::Error(_), .. }, None) => {
            Some("no error where one is expected".to_owned())
        }
        (_, Some(error)) => Some(error.to_string()),
        (Record::Statement { expected: StatementExpect::Count(count), .. }, None) => {
            match output {
                RecordOutput::Statement { count: rows, .. } => *count = rows,
                RecordOutput::Query { rows, .. } => *count = rows.len() as u64,
                _ => {}
            }
            None
        }
        (Record::Query { expected: QueryExpect::Results { types, results, .. }, .. }, None) => {
            let rows = match output {
                RecordOutput::Query { types: told, rows, .. } => {
                    *types = told
                        .into_iter()
                        .map(|t| if t == Letter::UNTOLD { Letter('?') } else { t })
                        .collect();
                    rows
                }
                _ => Vec::new(),
            };
            let keeps = results.iter().any(|row| row.contains("<slt:ignore>"));
            if !keeps {
                *results = rows.iter().map(|row| row.join(" ").trim_end().to_owned()).collect();
            }
            None
        }
        _ => None,
    }
}
