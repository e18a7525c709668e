//! What became of the records of a file.

use std::collections::BTreeMap;

use crate::session::{Incidents, SessionError};

/// The two kinds of record that are counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only success or failure counts (and a number of rows).
    Statement,
    /// A result is compared.
    Query,
}

/// Why a record failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Why {
    /// An error where none, or another, is expected.
    Error,
    /// Another result, or number of rows, than expected.
    Result,
    /// No error where one is expected.
    Statement,
    /// Too slow.
    Timeout,
    /// The connection broke under it.
    Lost,
    /// It was never run: there was no server any more, or no schema for its file.
    NotRun,
    /// The file cannot be read or parsed.
    File,
}

impl Why {
    /// One word, as in a list of failures.
    pub fn word(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Result => "result",
            Self::Statement => "statement",
            Self::Timeout => "timeout",
            Self::Lost => "lost",
            Self::NotRun => "not-run",
            Self::File => "file",
        }
    }
}

/// A failed record.
#[derive(Clone, Debug)]
pub struct Failure {
    /// Its line; 0 for a file as a whole.
    pub line: u32,
    /// Why.
    pub why: Why,
    /// The SQLSTATE, if the server sent one.
    pub code: Option<String>,
    /// In words.
    pub message: String,
    /// The SQL, or nothing.
    pub sql: String,
}

impl Failure {
    /// A record that an error befell.
    pub fn of_error(line: u32, sql: &str, error: &SessionError) -> Self {
        let why = match error {
            SessionError::TimedOut { .. } => Why::Timeout,
            SessionError::Lost { .. } => Why::Lost,
            SessionError::Gone { .. } => Why::NotRun,
            _ => Why::Error,
        };
        let code = error.code().map(str::to_owned);
        Self { line, why, code, message: error.to_string(), sql: sql.to_owned() }
    }

    /// The failure without what tells one instance from another: what a list of causes counts by.
    pub fn cause(&self) -> String {
        match self.why {
            Why::Result => "result differs".to_owned(),
            Why::Error => generalize(self.message.lines().next().unwrap_or("")),
            other => other.word().to_owned(),
        }
    }
}

/// Replaces quoted names by `"…"` and digits by `N`, except in a leading `ERROR XXXXX:`.
fn generalize(message: &str) -> String {
    const LENGTH_MAX: usize = 110;
    let (head, rest) = match message.split_once(": ") {
        Some((head, rest)) if head.starts_with("ERROR ") => (head, rest),
        _ => ("", message),
    };
    let mut text = head.to_owned();
    if !head.is_empty() {
        text.push_str(": ");
    }
    let mut quoted = None;
    let mut digits = false;
    for c in rest.chars() {
        if let Some(quote) = quoted {
            if c == quote {
                quoted = None;
            }
            continue;
        }
        if c.is_ascii_digit() {
            if !digits {
                text.push('N');
            }
            digits = true;
            continue;
        }
        digits = false;
        if matches!(c, '"' | '\'' | '`') {
            quoted = Some(c);
            text.push_str("\"…\"");
        } else {
            text.push(c);
        }
        if text.chars().count() >= LENGTH_MAX {
            text.push('…');
            break;
        }
    }
    text
}

/// Numbers of records of one kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// As expected.
    pub passed: u64,
    /// Not as expected.
    pub failed: u64,
    /// Not run, for another reason than a label. They count as failures.
    pub skipped: u64,
}

impl Counts {
    /// The denominator.
    pub fn total(&self) -> u64 {
        self.passed + self.failed + self.skipped
    }

    fn add(&mut self, other: &Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// Numbers of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Files.
    pub files: u64,
    /// Queries.
    pub queries: Counts,
    /// Statements.
    pub statements: Counts,
    /// Records meant for others, by label or behind a halt.
    pub labelled: u64,
    /// Records left out of the score by an exclude list.
    pub excluded: u64,
}

impl Tally {
    /// Queries and statements together.
    pub fn records(&self) -> Counts {
        let mut all = self.queries;
        all.add(&self.statements);
        all
    }

    /// Adds another tally.
    pub fn add(&mut self, other: &Self) {
        self.files += other.files;
        self.queries.add(&other.queries);
        self.statements.add(&other.statements);
        self.labelled += other.labelled;
        self.excluded += other.excluded;
    }
}

/// Everything about one run of one file.
#[derive(Debug, Default)]
pub struct FileReport {
    /// The numbers.
    pub tally: Tally,
    /// Failures, in order, at most [`FAILURES_KEPT`]; all are counted in the tally and in `causes`.
    pub failures: Vec<Failure>,
    /// How often each cause occurred.
    pub causes: BTreeMap<String, u64>,
    /// What passing records may hide.
    pub incidents: Incidents,
    /// A schema that could not be dropped.
    pub not_cleaned: Option<String>,
}

/// How many failures of a file are kept in memory.
pub const FAILURES_KEPT: usize = 25;

impl FileReport {
    /// A report of a file not yet run.
    pub fn new() -> Self {
        Self { tally: Tally { files: 1, ..Tally::default() }, ..Self::default() }
    }

    /// Notes a record as expected.
    pub fn passed(&mut self, kind: Kind) {
        self.counts(kind).passed += 1;
    }

    /// Notes a failed one.
    pub fn failed(&mut self, kind: Kind, failure: &Failure) {
        match failure.why {
            Why::NotRun => self.counts(kind).skipped += 1,
            _ => self.counts(kind).failed += 1,
        }
        *self.causes.entry(failure.cause()).or_default() += 1;
        if self.failures.len() < FAILURES_KEPT {
            self.failures.push(failure.clone());
        }
    }

    fn counts(&mut self, kind: Kind) -> &mut Counts {
        match kind {
            Kind::Statement => &mut self.tally.statements,
            Kind::Query => &mut self.tally.queries,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_forget_names_and_numbers_but_not_the_code() {
        assert_eq!(
            generalize(r#"ERROR 42P01: relation "t17" does not exist at character 15"#),
            r#"ERROR 42P01: relation "…" does not exist at character N"#
        );
    }

    #[test]
    fn what_was_not_run_is_in_the_denominator() {
        let mut report = FileReport::new();
        report.passed(Kind::Query);
        let gone = SessionError::Gone { reason: "it died".to_owned() };
        report.failed(Kind::Query, &Failure::of_error(3, "SELECT 1", &gone));
        assert_eq!(report.tally.queries, Counts { passed: 1, failed: 0, skipped: 1 });
        assert_eq!(report.tally.records().total(), 2);
    }
}
