//! The run as Markdown.

use crate::limits::{Limit, processors};
use crate::measure::{Measurement, median};
use crate::options::Options;
use std::fmt::Write;

/// Everything a run found.
#[derive(Default)]
pub struct Findings {
    /// The machine.
    pub limits: Vec<Limit>,
    /// Side by side.
    pub measurements: Vec<Measurement>,
    /// Terrane alone: what, and how much.
    pub ours: Vec<(String, String)>,
}

fn figure(figures: &[f64], unit: &str) -> String {
    match median(figures) {
        None => "–".to_owned(),
        Some(value) if unit == "s" && value < 10.0 => format!("{:.1} ms", value * 1e3),
        Some(value) if unit == "s" => format!("{value:.1} s"),
        Some(value) => format!("{value:.0} {unit}"),
    }
}

/// The report. Writing to a String cannot fail, so results are dropped.
pub fn markdown(findings: &Findings, options: &Options) -> String {
    let mut out = String::from("# Terrane beside PostgreSQL 15\n\n");
    let (rounds, seconds) = (options.round_count(), options.run_seconds());
    let build = if cfg!(debug_assertions) { "development" } else { "release" };
    let _ = writeln!(
        out,
        "One machine of {} processors that clients and servers share; both on one file system, both \
         acknowledging a commit after its sync. PostgreSQL: shared_buffers 2 GB, max_wal_size 4 GB, \
         synchronous_commit on, VACUUM ANALYZE. Medians of {rounds} rounds in which the two take turns; \
         pgbench runs of {seconds} s, `-M prepared`. Build: {build}.\n\n\
         Made by `cargo run --release -p terrane-bench`.\n\n\
         ![How many times as fast as PostgreSQL]({}.svg)\n",
        processors(),
        options.name
    );
    out.push_str("| | Terrane | PostgreSQL 15 | ratio | wanted |\n|---|---:|---:|---:|---:|\n");
    for measured in &findings.measurements {
        let ratio = measured.ratio().map_or("–".to_owned(), |ratio| format!("{ratio:.2}x"));
        let wanted = measured.target.map_or(String::new(), |target| format!("{target}x"));
        let _ = writeln!(
            out,
            "| {} | {} | {} | {ratio} | {wanted} |",
            measured.name,
            figure(&measured.terrane, measured.unit),
            figure(&measured.postgresql, measured.unit),
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
    out.push_str("\n## What the machine can do\n\n| | |\n|---|---:|\n");
    for Limit { name, figure, unit } in &findings.limits {
        let digits = if *figure < 100.0 { 1 } else { 0 };
        let _ = writeln!(out, "| {name} | {figure:.digits$} {unit} |");
    }
    out
}
