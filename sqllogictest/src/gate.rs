//! Gates: what a run has to reach for the command to succeed.
//!
//! `--gate overall=97,dir=95,all=index/delete:select1` asks for 97 % of all, 95 % of each group, and all of
//! the groups `index/delete` and `select1`. A gate holds when the queries reach it and all records do, in
//! each mode that was run. Without gates a run has to be clean. Internal errors, broken connections and
//! crashes fail a run whatever the gates.

use std::str::FromStr;

use crate::outcome::{Counts, Tally};
use crate::report::{Report, hundredths};
use crate::session::Mode;

/// The gates of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Gates {
    /// Hundredths of a percent, overall.
    overall: Option<u64>,
    /// Hundredths of a percent, in each group.
    each: Option<u64>,
    /// Groups that must be complete.
    all: Vec<String>,
}

impl FromStr for Gates {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut gates = Self::default();
        for part in text.split(',') {
            let (name, value) = part.split_once('=').ok_or_else(|| format!("no = in {part:?}"))?;
            match name {
                "overall" => gates.overall = Some(percent(value)?),
                "dir" => gates.each = Some(percent(value)?),
                "all" => gates.all.extend(value.split(':').map(str::to_owned)),
                _ => return Err(format!("{name:?} is none of overall, dir, all")),
            }
        }
        Ok(gates)
    }
}

fn percent(text: &str) -> Result<u64, String> {
    let wrong = || format!("{text:?} is not a percentage");
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let whole: u64 = whole.parse().map_err(|_| wrong())?;
    if fraction.len() > 2 {
        return Err(wrong());
    }
    let fraction: u64 = format!("{fraction:0<2}").parse().map_err(|_| wrong())?;
    let hundredths = whole * 100 + fraction;
    if hundredths <= 10_000 { Ok(hundredths) } else { Err(wrong()) }
}

impl Gates {
    /// What does not reach its gate, a line each.
    pub fn failures(&self, report: &Report) -> Vec<String> {
        let mut failures = Vec::new();
        for mode in report.modes() {
            if let Some(least) = self.overall {
                failures.extend(missed(mode, "overall", &report.total(mode), least));
            }
            let groups = report.groups(mode);
            if let Some(least) = self.each {
                failures.extend(groups.iter().filter_map(|(g, t)| missed(mode, g, t, least)));
            }
            for wanted in &self.all {
                match groups.get(wanted.as_str()) {
                    Some(tally) if tally.records().total() > 0 => {
                        failures.extend(missed(mode, wanted, tally, 10_000));
                    }
                    _ => failures.push(format!("gate missed: no records of {wanted} were run")),
                }
            }
        }
        failures
    }
}

fn missed(mode: Mode, name: &str, tally: &Tally, least: u64) -> Option<String> {
    let below = |counts: &Counts| hundredths(counts).is_some_and(|share| share < least);
    let (what, counts) = [("queries", tally.queries), ("records", tally.records())]
        .into_iter()
        .find(|(_, counts)| below(counts))?;
    Some(format!(
        "gate missed ({}): {name}: {} of {} {what} passed, {}.{:02}% wanted",
        mode.name(),
        counts.passed,
        counts.total(),
        least / 100,
        least % 100
    ))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::outcome::FileReport;
    use crate::source::{Dialect, Source};

    fn report(groups: &[(&str, u64, u64)]) -> Report {
        let mut report = Report::default();
        for (group, passed, failed) in groups {
            let source = Source {
                path: PathBuf::from(group),
                name: (*group).to_owned(),
                group: (*group).to_owned(),
                dialect: Dialect::Sqlite,
                bytes: 0,
            };
            let mut file = FileReport::new();
            file.tally.queries = Counts { passed: *passed, failed: *failed, skipped: 0 };
            report.add(source, Mode::Simple, file);
        }
        report
    }

    #[test]
    fn gates_parse_or_say_why_not() {
        let gates: Gates = "overall=97,dir=95.5,all=index/delete:select1".parse().unwrap();
        let all = vec!["index/delete".to_owned(), "select1".to_owned()];
        assert_eq!(gates, Gates { overall: Some(9700), each: Some(9550), all });
        for bad in ["overall", "overall=101", "overall=9.999", "most=5", "dir=x"] {
            assert!(bad.parse::<Gates>().is_err(), "{bad}");
        }
    }

    #[test]
    fn each_gate_is_checked_where_it_stands() {
        let report = report(&[("a", 96, 4), ("b", 1000, 0)]);
        let failures = |text: &str| text.parse::<Gates>().unwrap().failures(&report).len();
        assert_eq!(failures("overall=99"), 0);
        assert_eq!(failures("overall=99.9"), 1);
        assert_eq!(failures("dir=96"), 0);
        assert_eq!(failures("dir=96.01"), 1);
        assert_eq!(failures("all=b"), 0);
        assert_eq!(failures("all=a:b"), 1);
        assert_eq!(failures("all=c"), 1, "a group that was not run does not pass");
    }
}
