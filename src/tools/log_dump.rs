//! `terrane log dump`: a log's segments, frames and records, and where it ends. Nothing is cut or recycled.

use super::output::Bytes;
use super::{Output, ToolError, Verdict};
use clap::Args;
use std::path::PathBuf;
use terrane_env::Env;
use terrane_storage::log::format::{HeaderDamage, LowWater, SegmentHeader};
use terrane_storage::log::inspect::{LogView, SegmentView, Tail};
use terrane_storage::log::scan::FrameAt;
use terrane_storage::log::{Chain, LogError, Replay};

/// For the help.
pub const EXAMPLE: &str =
    "Example:\n  terrane log dump --records 20 terrane-data/servers/embedded/log-users";

/// What to print.
#[derive(Args)]
pub struct LogDumpArgs {
    /// A log's directory, or one of its segments.
    #[arg(value_name = "DIR|SEGMENT")]
    path: PathBuf,
    /// Also the first so many records.
    #[arg(long, value_name = "N", default_value_t = 0)]
    records: usize,
}

/// Prints the log. Exit status 1 where a start would refuse it.
pub fn run(env: &Env, args: &LogDumpArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    match env.files.list(&args.path) {
        Ok(_) => directory(env, args, out),
        Err(_) => segment_alone(env, args, out),
    }
}

fn directory(env: &Env, args: &LogDumpArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    let view = LogView::of_directory(env, &args.path)?;
    if view.segments.is_empty() {
        return Err(ToolError::NoSegments(args.path.clone()));
    }
    let chain = view.chain();
    for (at, found) in view.segments.iter().enumerate() {
        let chain = chain.as_ref().ok();
        let counts = |frame: &FrameAt| chain.is_none_or(|chain| view.counts(chain, at, frame));
        segment(found, &counts, out)?;
    }
    for name in &view.others {
        out.line(format_args!("no segment: {name}"))?;
    }
    let chain = match chain {
        Ok(chain) => chain,
        Err(error) => {
            out.line(format_args!("log: a start would be refused: {error}"))?;
            return Ok(Verdict::Bad);
        }
    };
    summary(&view, &chain, out)?;
    records(view.records(chain), args.records, out)
}

fn segment_alone(env: &Env, args: &LogDumpArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    let view = LogView::of_segment(env, &args.path)?;
    for found in &view.segments {
        segment(found, &|_| true, out)?;
    }
    records(view.records_alone(), args.records, out)
}

fn segment(
    found: &SegmentView,
    counts: &dyn Fn(&FrameAt) -> bool,
    out: &mut Output,
) -> Result<(), ToolError> {
    let name = found.path.display();
    match &found.header {
        Err(HeaderDamage::Invalid(what)) => {
            out.line(format_args!("segment {name}: {} bytes; no header: {what}", found.len))?;
        }
        Err(HeaderDamage::Newer(format)) => {
            out.line(format_args!("segment {name}: format {format} is newer than this build"))?;
        }
        Ok(header) => {
            let SegmentHeader { id, server, low, void_from, proven_lsn } = header;
            let other = if *id == found.id { "" } else { "; freed, not in use again" };
            out.line(format_args!(
                "segment {name}: {} bytes, number {}, epoch {}, server {server:?}; {}; void from \
                 lsn {void_from}, proven to lsn {proven_lsn}{other}",
                found.len,
                id.number,
                id.epoch,
                Low(low)
            ))?;
        }
    }
    for (frame, low) in &found.frames {
        if out.is_closed() {
            return Ok(());
        }
        let header = &frame.header;
        let mut line = format!(
            "  frame at {}: lsn {}, synced lsn {}, last seq {}, {} records, {} bytes",
            frame.offset,
            header.lsn,
            header.synced_lsn,
            header.last_seq,
            header.records,
            header.body_len
        );
        if frame.is_open() {
            line.push_str(", its commit goes on");
        }
        if let Some(low) = low {
            line.push_str(&format!(", mark: {}", Low(low)));
        }
        if !counts(frame) {
            line.push_str(", does not count");
        }
        out.line(line)?;
    }
    let what = match found.tail {
        Tail::Full => "the segment is full",
        Tail::Unused => "zeros from there on: not written yet",
        Tail::Recycled => "recycled bytes from there on: of the segment the file was before",
        Tail::Torn => "a torn frame there, and none behind it",
        Tail::Damaged => "damaged there: frames of this segment follow",
    };
    Ok(out.line(format_args!("  ends at {}: {what}", found.stop))?)
}

fn summary(view: &LogView, chain: &Chain, out: &mut Output) -> Result<(), ToolError> {
    let Chain { frames, low, proven_lsn, end_lsn, cut } = chain;
    out.line(format_args!(
        "log of server {:?}: {}; {} frames count, the last has lsn {end_lsn}; durable for certain \
         up to lsn {proven_lsn}",
        view.server(),
        Low(low),
        frames.len()
    ))?;
    for cut in cut {
        out.line(format_args!(
            "log: left out: {} at {} of {}",
            cut.what,
            cut.offset,
            cut.file.display()
        ))?;
    }
    let why = match cut.is_empty() {
        true => "no frame follows",
        false => "what follows is left out: it was never acknowledged",
    };
    Ok(out.line(format_args!("log ends after lsn {end_lsn}: {why}"))?)
}

fn records(records: Replay, count: usize, out: &mut Output) -> Result<Verdict, ToolError> {
    for record in records.take(count) {
        let record = match record {
            Ok(record) => record,
            Err(error @ LogError::Corruption { .. }) => {
                out.line(format_args!("bad: {error}"))?;
                return Ok(Verdict::Bad);
            }
            Err(error) => return Err(error.into()),
        };
        if out.is_closed() {
            break;
        }
        out.line(format_args!(
            "record: table {}, seq {}, at {}, kind {}, request {:x}/{}, key {}, {} bytes",
            record.table,
            record.seq.0,
            record.commit_ts.0,
            record.kind,
            record.request.client,
            record.request.number,
            Bytes(&record.key),
            record.payload.len()
        ))?;
    }
    Ok(Verdict::Good)
}

/// A low-water mark in words.
struct Low<'a>(&'a LowWater);

impl std::fmt::Display for Low<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let LowWater { segment, base_lsn, last_seq } = self.0;
        write!(f, "begins with segment {segment}, lsn {base_lsn}, above seq {last_seq}")
    }
}
