//! What the runs of all files share.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::exclude::Excludes;
use crate::outcome::Failure;
use crate::session::{Mode, Target};
use crate::source::Source;

/// What the runs of all files share.
#[derive(Debug)]
pub struct Context {
    /// The server.
    pub target: Arc<Target>,
    /// Labels we go by, besides the protocol's name.
    pub labels: Vec<String>,
    /// Records left out.
    pub excludes: Excludes,
    /// The most a record may take.
    pub record_limit: Duration,
    /// How far we are, in bytes of files.
    pub progress: ProgressBar,
    /// Where every failure is listed.
    pub failure_list: Option<FailureList>,
}

impl Context {
    /// The labels of a run in a mode.
    pub fn labels(&self, mode: Mode) -> Vec<String> {
        let mut labels = self.labels.clone();
        labels.push(mode.name().to_owned());
        labels
    }

    /// Writes a failure to the list, if there is one.
    pub fn list(&self, source: &Source, mode: Mode, failure: &Failure) {
        if let Some(list) = &self.failure_list {
            list.add(source, mode, failure);
        }
    }
}

/// A bar over `bytes`; none where nobody watches.
pub fn progress_bar(bytes: u64) -> ProgressBar {
    let bar = ProgressBar::new(bytes);
    let style = "{elapsed_precise} [{wide_bar}] {percent}% {msg} (eta {eta})";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar
}

/// A file of all failures: `FILE LINE WHY MODE CODE MESSAGE SQL`, tab-separated.
#[derive(Debug)]
pub struct FailureList {
    writer: Mutex<(BufWriter<File>, Option<std::io::Error>)>,
}

impl FailureList {
    /// Creates the file.
    pub fn create(path: &Path) -> std::io::Result<Self> {
        Ok(Self { writer: Mutex::new((BufWriter::new(File::create(path)?), None)) })
    }

    fn add(&self, source: &Source, mode: Mode, failure: &Failure) {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        let line = format!(
            "{}\t{}\t{}\t{}\t{}\t{}\t{}\n",
            source.name,
            failure.line,
            failure.why.word(),
            mode.name(),
            failure.code.as_deref().unwrap_or("-"),
            one_line(&failure.message),
            one_line(&failure.sql)
        );
        if let Err(error) = writer.0.write_all(line.as_bytes()) {
            writer.1.get_or_insert(error);
        }
    }

    /// Completes the file; tells of the first error that writing it met.
    pub fn finish(&self) -> std::io::Result<()> {
        let mut writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        match writer.1.take() {
            Some(error) => Err(error),
            None => writer.0.flush(),
        }
    }
}

/// A text without tabs and line ends, cut where it gets long.
pub fn one_line(text: &str) -> String {
    const LENGTH_MAX: usize = 600;
    let mut line: String = text
        .chars()
        .take(LENGTH_MAX)
        .map(|c| if matches!(c, '\t' | '\n' | '\r') { ' ' } else { c })
        .collect();
    if text.chars().nth(LENGTH_MAX).is_some() {
        line.push('…');
    }
    line
}
