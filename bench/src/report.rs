//! A run as Markdown, and its way to the documentation.

use crate::limits::{Drift, Limit};
use crate::measure::{Measurement, median};
use crate::{BenchError, Result, picture};
use std::fmt::Write;
use std::path::Path;

/// What a report is about.
pub struct Subject {
    /// Who Terrane is measured beside.
    pub peer: &'static str,
    /// The first paragraph: what is compared, and how.
    pub method: String,
    /// What makes it again.
    pub command: &'static str,
    /// The report's and the picture's name, without an ending.
    pub name: String,
}

/// Everything a run found.
#[derive(Default)]
pub struct Findings {
    /// The machine before the run.
    pub limits: Vec<Limit>,
    /// The machine after it: the first of `limits`, again.
    pub limits_after: Vec<Limit>,
    /// Side by side.
    pub measurements: Vec<Measurement>,
    /// Terrane alone: what, and how much.
    pub ours: Vec<(String, String)>,
}

impl Findings {
    /// Limits that are not at the end what they were at the start: such a run's figures say little.
    pub fn drifts(&self) -> Vec<Drift> {
        crate::limits::drifts(&self.limits, &self.limits_after)
    }
}

fn figure(figures: &[f64], unit: &str) -> String {
    match median(figures) {
        None => "–".to_owned(),
        Some(value) if unit == "s" && value < 10.0 => format!("{:.1} ms", value * 1e3),
        Some(value) if unit == "s" => format!("{value:.1} s"),
        Some(value) => number(value, unit),
    }
}

fn number(value: f64, unit: &str) -> String {
    let digits = if value < 100.0 { 1 } else { 0 };
    format!("{value:.digits$} {unit}").trim_end().to_owned()
}

/// What is wanted, and whether it was missed.
fn wanted(measured: &Measurement) -> String {
    // 0.8x, 5x, 1.43x.
    let ratio = measured.target.map(|target| format!("{}x", (target * 100.0).round() / 100.0));
    let floor = measured.floor.map(|floor| format!("{floor} {}", measured.unit));
    let text = [floor, ratio].into_iter().flatten().collect::<Vec<_>>().join(", ");
    if measured.misses() { format!("**missed:** {text}") } else { text }
}

/// The report. Writing to a String cannot fail, so results are dropped.
pub fn markdown(findings: &Findings, subject: &Subject) -> String {
    let Subject { peer, method, command, name } = subject;
    let mut out = format!(
        "# Terrane beside {peer}\n\n{method}\n\nMade by `{command}`.\n\n\
         ![How many times as good as {peer}]({name}.svg)\n\n\
         | | Terrane | {peer} | ratio | wanted |\n|---|---:|---:|---:|---:|\n"
    );
    for measured in &findings.measurements {
        let ratio = measured.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}x"));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {ratio} | {} |",
            measured.name,
            figure(&measured.terrane, measured.unit),
            figure(&measured.peer, measured.unit),
            wanted(measured),
        );
    }
    let notes = findings.measurements.iter().filter_map(|m| Some((&m.name, m.note.as_ref()?)));
    for (name, note) in notes {
        let _ = writeln!(out, "\n{name}: {note}.");
    }
    if !findings.ours.is_empty() {
        out.push_str("\n## Terrane alone\n\n| | |\n|---|---:|\n");
        for (name, value) in &findings.ours {
            let _ = writeln!(out, "| {name} | {value} |");
        }
    }
    machine(findings, &mut out);
    out
}

fn machine(findings: &Findings, out: &mut String) {
    out.push_str(
        "\n## What the machine can do\n\n| | at the start | at the end |\n|---|---:|---:|\n",
    );
    for Limit { name, figure, unit } in &findings.limits {
        let after = findings.limits_after.iter().find(|after| after.name == *name);
        let after = after.map_or(String::new(), |after| number(after.figure, unit));
        let _ = writeln!(out, "| {name} | {} | {after} |", number(*figure, unit));
    }
    for drift in findings.drifts() {
        let _ = writeln!(out, "\nNot the same at start and end: {drift}.");
    }
}

/// Prints the report and writes it with its picture into a directory. A run in which the machine drifted is
/// printed and refused, unless drift is accepted.
pub fn publish(
    findings: &Findings,
    subject: &Subject,
    directory: &Path,
    accepts_drift: bool,
) -> Result<()> {
    let text = markdown(findings, subject);
    println!("{text}");
    let drifts: Vec<String> = findings.drifts().iter().map(ToString::to_string).collect();
    if !drifts.is_empty() && !accepts_drift {
        return Err(BenchError::Drift(drifts.join("; ")));
    }
    std::fs::create_dir_all(directory).map_err(BenchError::io("the report's directory"))?;
    let path = |ending: &str| directory.join(format!("{}.{ending}", subject.name));
    std::fs::write(path("md"), text).map_err(BenchError::io("the report"))?;
    std::fs::write(path("svg"), picture::svg(&findings.measurements))
        .map_err(BenchError::io("the picture"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::measure::Better;

    #[test]
    fn what_is_missed_and_what_drifted_is_said() {
        let mut slow = Measurement::new("slow", "1/s", Better::Higher).wanting(1.5);
        (slow.terrane, slow.peer) = (vec![200.0], vec![150.0]);
        let mut quick =
            Measurement::new("quick", "M rows/s", Better::Higher).wanting_at_least(80.0);
        (quick.terrane, quick.peer) = (vec![90.5], vec![2.0]);
        let limit = |figure| vec![Limit { name: "syncs".to_owned(), figure, unit: "1/s" }];
        let findings = Findings {
            limits: limit(1000.0),
            limits_after: limit(500.0),
            measurements: vec![slow, quick],
            ours: Vec::new(),
        };
        let subject = Subject {
            peer: "Peer",
            method: "As it is.".to_owned(),
            command: "run",
            name: "peer".to_owned(),
        };
        let text = markdown(&findings, &subject);
        assert!(text.contains("| slow | 200 1/s | 150 1/s | 1.33x | **missed:** 1.5x |"), "{text}");
        assert!(text.contains("| quick | 90.5 M rows/s | 2.0 M rows/s | 45.25x | 80 M rows/s |"));
        assert!(text.contains("| syncs | 1000 1/s | 500 1/s |"));
        assert!(text.contains("Not the same at start and end: syncs, by 50 %."));
    }
}
