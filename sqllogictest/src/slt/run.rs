//! Running a `.slt` file.

use std::path::Path;
use std::sync::Arc;

use sqllogictest::{Condition as SltCondition, ParseError, Record, Runner, TestErrorKind};

use super::database::{Database, Letter, columns_agree, rows_agree, rows_agree_by_value};
use crate::condition::Condition;
use crate::file_run::FileRun;
use crate::outcome::{Failure, Kind, Why};
use crate::session::{Session, SessionError, Setting};

/// The comment that asks for numbers to be compared by value, from there to the end of the file.
const BY_VALUE: &str = "numbers are compared by value";

/// Runs the records of the file, each connection it names in a session of its own.
pub async fn run(file: &mut FileRun<'_>, setting: &Arc<Setting>) {
    let records = match parse(&file.source.path) {
        Ok(records) => records,
        Err(error) => {
            return file.note_unreadable(error.location().line(), error.kind().to_string());
        }
    };
    let mut runner = Runner::new(|| {
        let session = Session::new(setting.clone());
        async { Ok(Database(session)) }
    });
    for label in file.labels() {
        runner.add_label(label);
    }
    runner.with_column_validator(columns_agree);
    runner.with_validator(rows_agree);
    let mut halted = false;
    for record in records {
        let Some(Scored { kind, line, sql, conditions }) = scored(&record) else {
            halted |= matches!(record, Record::Halt { .. });
            if matches!(&record, Record::Comment(lines) if lines.iter().any(|l| l.trim() == BY_VALUE))
            {
                runner.with_validator(rows_agree_by_value);
            }
            if !halted {
                // Settings, sleeps and the like cannot fail.
                let _ = runner.run_async(record).await;
            }
            continue;
        };
        let for_us = !halted && file.admits(conditions.iter().map(Condition::from));
        if !file.is_scored(line..=line, for_us) {
            continue;
        }
        let sql = sql.to_owned();
        setting.at_line(line);
        let result = runner.run_async(record).await;
        file.note(kind, result.map(drop).map_err(|error| failure(line, &sql, error.kind())));
    }
    runner.shutdown_async().await;
}

/// Counts the records of a file that cannot be run at all.
pub fn count_unrun(file: &mut FileRun<'_>, error: &SessionError) {
    let mut halted = false;
    for record in parse(&file.source.path).unwrap_or_default() {
        let Some(Scored { kind, line, sql, conditions }) = scored(&record) else {
            halted |= matches!(record, Record::Halt { .. });
            continue;
        };
        let for_us = !halted && file.admits(conditions.iter().map(Condition::from));
        if file.is_scored(line..=line, for_us) {
            let mut failure = Failure::of_error(line, sql, error);
            failure.why = Why::NotRun;
            file.note(kind, Err(failure));
        }
    }
}

/// Reads a file's records.
pub fn parse(path: &Path) -> Result<Vec<Record<Letter>>, ParseError> {
    sqllogictest::parse_file(path)
}

/// What counts of a record that counts.
pub struct Scored<'r> {
    /// Statement or query.
    pub kind: Kind,
    /// Its line.
    pub line: u32,
    /// Its SQL.
    pub sql: &'r str,
    /// Whom it is for.
    pub conditions: &'r [SltCondition],
}

/// The record as one that counts, if it does.
pub fn scored(record: &Record<Letter>) -> Option<Scored<'_>> {
    let (kind, loc, sql, conditions) = match record {
        Record::Statement { loc, sql, conditions, .. } => (Kind::Statement, loc, sql, conditions),
        Record::Query { loc, sql, conditions, .. } => (Kind::Query, loc, sql, conditions),
        Record::Let { loc, sql, conditions, .. } => (Kind::Statement, loc, sql, conditions),
        Record::System { loc, command, conditions, .. } => {
            (Kind::Statement, loc, command, conditions)
        }
        _ => return None,
    };
    Some(Scored { kind, line: loc.line(), sql, conditions })
}

fn failure(line: u32, sql: &str, kind: TestErrorKind) -> Failure {
    let plain = |why, message| Failure { line, why, code: None, message, sql: sql.to_owned() };
    match kind {
        TestErrorKind::Fail { err, .. } => match err.downcast_ref::<SessionError>() {
            Some(error) => Failure::of_error(line, sql, error),
            None => plain(Why::Error, err.to_string()),
        },
        TestErrorKind::ErrorMismatch { err, expected_err, .. } => {
            let mut failure = match err.downcast_ref::<SessionError>() {
                Some(error) => Failure::of_error(line, sql, error),
                None => plain(Why::Error, err.to_string()),
            };
            failure.message = format!("{} (expected {expected_err})", failure.message);
            failure
        }
        TestErrorKind::Ok { .. } => {
            plain(Why::Statement, "no error where one is expected".to_owned())
        }
        TestErrorKind::StatementResultMismatch { expected, actual, .. } => {
            plain(Why::Result, format!("expected {expected} rows, {actual}"))
        }
        TestErrorKind::QueryResultMismatch { expected, actual, .. } => {
            plain(Why::Result, difference(&expected, &actual))
        }
        TestErrorKind::QueryResultColumnsMismatch { expected, actual, .. } => {
            plain(Why::Result, format!("expected columns {expected}, got {actual}"))
        }
        other => plain(Why::Error, other.to_string()),
    }
}

/// The first row that differs, or that one side lacks.
fn difference(expected: &str, actual: &str) -> String {
    let (expected, actual) = (lines(expected), lines(actual));
    let mut row = 0;
    while row < expected.len()
        && expected.get(row).map(|e| e.trim_end()) == actual.get(row).map(|a| a.trim_end())
    {
        row += 1;
    }
    let side = |rows: &[&str]| rows.get(row).map_or("none".to_owned(), |text| format!("«{text}»"));
    format!(
        "row {} of {}: expected {}, got {}",
        row + 1,
        expected.len(),
        side(&expected),
        side(&actual)
    )
}

fn lines(text: &str) -> Vec<&str> {
    text.lines().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_difference_is_told() {
        assert_eq!(difference("1\n2", "1\n3"), "row 2 of 2: expected «2», got «3»");
        assert_eq!(difference("1", "1\n3"), "row 2 of 1: expected none, got «3»");
        assert_eq!(difference("1\n2", "1"), "row 2 of 2: expected «2», got none");
    }
}
