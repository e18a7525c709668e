//! The table a run ends with.
//!
//! Denominators are printed: a percentage is passed of (passed + failed + not run). Records meant for
//! others and records on the exclude list are not in it, and have columns of their own. Percentages are
//! rounded down, so that 100.00 means all.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::context::one_line;
use crate::outcome::{Counts, FileReport, Tally};
use crate::session::{Incident, Mode};
use crate::source::Source;

/// How many causes and how many failures are shown.
const SHOWN_MAX: usize = 20;
/// How many failures of one group are shown, so that one folder does not hide the others.
const SHOWN_PER_GROUP: usize = 3;

/// All results of a run.
#[derive(Debug, Default)]
pub struct Report {
    files: Vec<(Source, Mode, FileReport)>,
}

impl Report {
    /// Adds what became of a file.
    pub fn add(&mut self, source: Source, mode: Mode, report: FileReport) {
        self.files.push((source, mode, report));
    }

    /// Puts the files into their order.
    pub fn sort(&mut self) {
        self.files
            .sort_by(|(a, m, _), (b, n, _)| (m, &a.group, &a.name).cmp(&(n, &b.group, &b.name)));
    }

    /// The modes that were run.
    pub fn modes(&self) -> Vec<Mode> {
        let mut modes: Vec<Mode> = self.files.iter().map(|(_, mode, _)| *mode).collect();
        modes.sort_unstable();
        modes.dedup();
        modes
    }

    /// The tallies of a mode, by group.
    pub fn groups(&self, mode: Mode) -> BTreeMap<&str, Tally> {
        let mut groups: BTreeMap<&str, Tally> = BTreeMap::new();
        for (source, _, report) in self.files.iter().filter(|(_, m, _)| *m == mode) {
            groups.entry(&source.group).or_default().add(&report.tally);
        }
        groups
    }

    /// The tally of a mode.
    pub fn total(&self, mode: Mode) -> Tally {
        let mut total = Tally::default();
        self.groups(mode).values().for_each(|tally| total.add(tally));
        total
    }

    /// Whether every record of every file is as expected, and nothing else went wrong.
    pub fn is_clean(&self) -> bool {
        self.modes().iter().all(|mode| {
            let records = self.total(*mode).records();
            records.passed == records.total()
        }) && !self.has_incidents()
    }

    /// Whether the server admitted to a bug or broke a connection.
    pub fn has_incidents(&self) -> bool {
        let any = |report: &FileReport| {
            !report.incidents.internal.is_empty() || !report.incidents.lost.is_empty()
        };
        self.files.iter().any(|(_, _, report)| any(report))
    }

    /// The whole report as text.
    pub fn render(&self) -> String {
        let mut out = String::new();
        for mode in self.modes() {
            self.render_table(&mut out, mode);
        }
        self.render_causes(&mut out);
        self.render_failures(&mut out);
        self.render_incidents(&mut out, "internal errors (SQLSTATE class XX)", |report| {
            &report.incidents.internal
        });
        self.render_incidents(&mut out, "broken connections", |report| &report.incidents.lost);
        self.render_leftovers(&mut out);
        out
    }

    fn render_table(&self, out: &mut String, mode: Mode) {
        let groups = self.groups(mode);
        let width = groups.keys().map(|name| name.len()).max().unwrap_or(0).max(9);
        let _ = writeln!(
            out,
            "{:width$} {:>5} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>25} {:>25}",
            mode.name(),
            "files",
            "records",
            "passed",
            "failed",
            "not run",
            "label",
            "excluded",
            "queries passed",
            "all records passed"
        );
        let mut line = |name: &str, tally: &Tally| {
            let all = tally.records();
            let _ = writeln!(
                out,
                "{name:width$} {:>5} {:>9} {:>9} {:>8} {:>8} {:>8} {:>8} {:>25} {:>25}",
                tally.files,
                all.total(),
                all.passed,
                all.failed,
                all.skipped,
                tally.labelled,
                tally.excluded,
                share(&tally.queries),
                share(&all)
            );
        };
        for (name, tally) in &groups {
            line(name, tally);
        }
        line("total", &self.total(mode));
        out.push('\n');
    }

    fn render_causes(&self, out: &mut String) {
        let mut causes: BTreeMap<&str, u64> = BTreeMap::new();
        for (_, _, report) in &self.files {
            for (cause, count) in &report.causes {
                *causes.entry(cause).or_default() += count;
            }
        }
        let mut causes: Vec<(&str, u64)> = causes.into_iter().collect();
        causes.sort_by(|a, b| b.1.cmp(&a.1).then(a.0.cmp(b.0)));
        if causes.is_empty() {
            return;
        }
        let _ = writeln!(out, "failures by cause:");
        for (cause, count) in causes.iter().take(SHOWN_MAX) {
            let _ = writeln!(out, "{count:>9}  {cause}");
        }
        if causes.len() > SHOWN_MAX {
            let rest: u64 = causes[SHOWN_MAX..].iter().map(|(_, count)| count).sum();
            let _ = writeln!(out, "{rest:>9}  {} other causes", causes.len() - SHOWN_MAX);
        }
        out.push('\n');
    }

    fn render_failures(&self, out: &mut String) {
        let mut per_group: BTreeMap<(Mode, &str), usize> = BTreeMap::new();
        let mut shown = 0;
        for (source, mode, report) in &self.files {
            for failure in &report.failures {
                let of_group = per_group.entry((*mode, &source.group)).or_default();
                if *of_group == SHOWN_PER_GROUP || shown == SHOWN_MAX {
                    break;
                }
                *of_group += 1;
                if shown == 0 {
                    let _ = writeln!(out, "first failures:");
                }
                shown += 1;
                let (name, line, word) = (&source.name, failure.line, failure.why.word());
                let _ = writeln!(out, "  {name}:{line} ({}, {word})", mode.name());
                let _ = writeln!(out, "      {}", one_line(&failure.message));
                if !failure.sql.is_empty() {
                    let _ = writeln!(out, "      {}", one_line(&failure.sql));
                }
            }
        }
        if shown > 0 {
            out.push('\n');
        }
    }

    fn render_incidents(
        &self,
        out: &mut String,
        what: &str,
        of: impl Fn(&FileReport) -> &Vec<Incident>,
    ) {
        let count: usize = self.files.iter().map(|(_, _, report)| of(report).len()).sum();
        if count == 0 {
            return;
        }
        let _ = writeln!(out, "{what}: {count}");
        let all = self.files.iter().flat_map(|(source, mode, report)| {
            of(report).iter().map(move |incident| (source, mode, incident))
        });
        for (source, mode, incident) in all.take(SHOWN_MAX) {
            let _ = writeln!(out, "  {}:{} ({})", source.name, incident.line, mode.name());
            let _ = writeln!(out, "      {}", one_line(&incident.message));
            let _ = writeln!(out, "      {}", one_line(&incident.sql));
        }
        out.push('\n');
    }

    fn render_leftovers(&self, out: &mut String) {
        for (source, mode, report) in &self.files {
            if let Some(error) = &report.not_cleaned {
                let name = &source.name;
                let error = one_line(error);
                let _ = writeln!(out, "the schema of {name} ({}) remains: {error}", mode.name());
            }
        }
    }
}

fn share(counts: &Counts) -> String {
    match hundredths(counts) {
        None => "-".to_owned(),
        Some(share) => {
            format!("{}/{} {:>3}.{:02}%", counts.passed, counts.total(), share / 100, share % 100)
        }
    }
}

/// The share of passed records in hundredths of a percent, rounded down; `None` without records.
pub fn hundredths(counts: &Counts) -> Option<u64> {
    (counts.passed * 10_000).checked_div(counts.total())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_rounded_down_and_shows_its_denominator() {
        let counts = Counts { passed: 99_999, failed: 1, skipped: 0 };
        assert_eq!(share(&counts), "99999/100000  99.99%");
        assert_eq!(share(&Counts { passed: 2, failed: 0, skipped: 0 }), "2/2 100.00%");
        assert_eq!(share(&Counts::default()), "-");
    }
}
