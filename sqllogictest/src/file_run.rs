//! One file in one mode: which of its records are run, and what becomes of them.

use std::collections::HashSet;
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::condition::Condition;
use crate::context::Context;
use crate::outcome::{Failure, FileReport, Kind, Why};
use crate::session::{Mode, Session, SessionError, Setting};
use crate::source::{Dialect, Source};
use crate::{slt, sqlite};

/// One file in one mode.
pub struct FileRun<'a> {
    /// What all files share.
    pub context: &'a Context,
    /// The file.
    pub source: &'a Source,
    /// The mode.
    pub mode: Mode,
    /// What became of it so far.
    pub report: FileReport,
    labels: Vec<String>,
    excluded: HashSet<u32>,
}

impl<'a> FileRun<'a> {
    /// A run that has not begun.
    pub fn new(context: &'a Context, source: &'a Source, mode: Mode) -> Self {
        Self {
            context,
            source,
            mode,
            report: FileReport::new(),
            labels: context.labels(mode),
            excluded: context.excludes.of(&source.path),
        }
    }

    /// The labels we go by.
    pub fn labels(&self) -> &[String] {
        &self.labels
    }

    /// Whether a record under these conditions is meant for us.
    pub fn admits<'c>(&self, conditions: impl IntoIterator<Item = Condition<'c>>) -> bool {
        conditions.into_iter().all(|condition| condition.admits(&self.labels))
    }

    /// Whether the record whose conditions and keyword stand on `lines` is to be run; if not, it is
    /// counted as what it is. An exclude list may name any of these lines.
    pub fn is_scored(&mut self, lines: RangeInclusive<u32>, for_us: bool) -> bool {
        if !for_us {
            self.report.tally.labelled += 1;
        } else if lines.into_iter().any(|line| self.excluded.contains(&line)) {
            self.report.tally.excluded += 1;
        } else {
            return true;
        }
        false
    }

    /// Counts what became of a record.
    pub fn note(&mut self, kind: Kind, result: Result<(), Failure>) {
        match result {
            Ok(()) => self.report.passed(kind),
            Err(failure) => {
                self.context.list(self.source, self.mode, &failure);
                self.report.failed(kind, &failure);
            }
        }
    }

    /// The file, or the rest of it, makes no sense.
    pub fn note_unreadable(&mut self, line: u32, message: String) {
        let failure = Failure { line, why: Why::File, code: None, message, sql: String::new() };
        self.note(Kind::Statement, Err(failure));
    }

    /// Runs the file in a schema of its own, which is dropped afterwards.
    pub async fn run(mut self) -> FileReport {
        let text = match std::fs::read_to_string(&self.source.path) {
            Ok(text) => text,
            Err(error) => {
                self.note_unreadable(0, error.to_string());
                return self.report;
            }
        };
        let schema = schema_name(self.source, self.mode);
        let target = self.context.target.clone();
        let limit = self.context.record_limit;
        let describes_empty = self.source.dialect == Dialect::Slt;
        let setting = Setting::new(target, self.mode, schema, limit, describes_empty);
        match administer(&setting, &format!("CREATE SCHEMA {}", setting.schema)).await {
            Ok(()) => {
                match self.source.dialect {
                    Dialect::Sqlite => {
                        sqlite::run::run(&mut self, &text, &mut Session::new(setting.clone()))
                            .await;
                    }
                    Dialect::Slt => slt::run::run(&mut self, &setting).await,
                }
                let drop = format!("DROP SCHEMA {} CASCADE", setting.schema);
                if let Err(error) = administer(&setting, &drop).await {
                    self.report.not_cleaned = Some(error.to_string());
                }
            }
            Err(error) => match self.source.dialect {
                Dialect::Sqlite => sqlite::run::count_unrun(&mut self, &text, &error),
                Dialect::Slt => slt::run::count_unrun(&mut self, &error),
            },
        }
        if self.source.dialect == Dialect::Slt {
            self.context.progress.inc(text.len() as u64);
        }
        self.report.incidents = setting.take_incidents();
        self.report
    }
}

/// A schema that no other file, mode or run has.
fn schema_name(source: &Source, mode: Mode) -> String {
    static SERIAL: AtomicU64 = AtomicU64::new(0);
    const NAME_MAX: usize = 24;
    let serial = SERIAL.fetch_add(1, Ordering::Relaxed);
    let stem = source.path.file_stem().map(|s| s.to_string_lossy()).unwrap_or_default();
    let stem: String = stem
        .chars()
        .take(NAME_MAX)
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' })
        .collect();
    format!("slt_{stem}_{}_{}_{serial}", mode.name(), std::process::id())
}

/// Runs a statement over a connection of its own, outside the file's schema.
async fn administer(setting: &Setting, sql: &str) -> Result<(), SessionError> {
    let (client, driver) = setting.target.connect().await?;
    let done = tokio::time::timeout(setting.limit, client.batch_execute(sql)).await;
    drop(client);
    driver.abort();
    match done {
        Ok(result) => result.map_err(SessionError::from),
        Err(_) => Err(SessionError::TimedOut { after: setting.limit }),
    }
}
