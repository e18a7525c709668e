//! Running a `.test` file.

use super::compare::compare;
use super::parse::{Body, Record, records};
use crate::file_run::FileRun;
use crate::outcome::{Failure, Kind, Why};
use crate::session::{Session, SessionError};

/// Runs the records of `text` in `session`.
pub async fn run(file: &mut FileRun<'_>, text: &str, session: &mut Session) {
    let mut reached = 0;
    let mut halted = false;
    for record in records(text) {
        let record = match record {
            Ok(record) => record,
            Err(error) => {
                file.note_unreadable(error.line, error.what);
                break;
            }
        };
        let for_us = !halted && file.admits(record.conditions.iter().copied());
        match kind_of(&record.body) {
            None => halted |= for_us && record.body == Body::Halt,
            Some((kind, sql)) if file.is_scored(record.first_line..=record.line, for_us) => {
                session.setting().at_line(record.line);
                let result = judge(&record, sql, session.run(sql).await);
                file.note(kind, result);
            }
            Some(_) => {}
        }
        file.context.progress.inc((record.span.end - reached) as u64);
        reached = record.span.end;
    }
    file.context.progress.inc((text.len() - reached) as u64);
    session.close().await;
}

/// Counts the records of a file that cannot be run at all.
pub fn count_unrun(file: &mut FileRun<'_>, text: &str, error: &SessionError) {
    let mut halted = false;
    for record in records(text).map_while(Result::ok) {
        let for_us = !halted && file.admits(record.conditions.iter().copied());
        match kind_of(&record.body) {
            None => halted |= for_us && record.body == Body::Halt,
            Some((kind, sql)) if file.is_scored(record.first_line..=record.line, for_us) => {
                let mut failure = Failure::of_error(record.line, sql, error);
                failure.why = Why::NotRun;
                file.note(kind, Err(failure));
            }
            Some(_) => {}
        }
    }
    file.context.progress.inc(text.len() as u64);
}

fn kind_of<'a>(body: &Body<'a>) -> Option<(Kind, &'a str)> {
    match body {
        Body::Statement { sql, .. } => Some((Kind::Statement, sql)),
        Body::Query(query) => Some((Kind::Query, query.sql)),
        Body::Halt | Body::HashThreshold => None,
    }
}

fn judge(
    record: &Record<'_>,
    sql: &str,
    result: Result<crate::session::Answer, SessionError>,
) -> Result<(), Failure> {
    let line = record.line;
    let differs = |why, message| Failure { line, why, code: None, message, sql: sql.to_owned() };
    match (&record.body, result) {
        (Body::Statement { succeeds: false, .. }, Ok(_)) => {
            Err(differs(Why::Statement, "no error where one is expected".to_owned()))
        }
        // Any error will do, except one by which the server admits to a bug.
        (Body::Statement { succeeds: false, .. }, Err(SessionError::Server { code, .. }))
            if !code.starts_with("XX") =>
        {
            Ok(())
        }
        (_, Err(error)) => Err(Failure::of_error(line, sql, &error)),
        (Body::Query(query), Ok(answer)) => {
            compare(query, &answer).map_err(|message| differs(Why::Result, message))
        }
        (_, Ok(_)) => Ok(()),
    }
}
