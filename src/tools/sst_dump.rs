//! `terrane sst dump`: how a file is laid out.

use super::output::Bytes;
use super::{Output, ToolError, Verdict};
use clap::Args;
use std::path::PathBuf;
use terrane_client::row::{ROW_COMPLETE, ROW_DELETE, ROW_HAS_OLDER, ROW_MARKER};
use terrane_env::Env;
use terrane_storage::cache::{BlockCache, CacheOptions};
use terrane_storage::sstable::{
    Block, BlockOutline, Outline, PageOutline, Part, PartitionOutline, Properties, ReadOptions,
    Sstable, SstableError, block_flags,
};

/// For the help.
pub const EXAMPLE: &str =
    "Example:\n  terrane sst dump --blocks --rows 10 terrane-data/tables/1000/1-1.sst";

/// What to print.
#[derive(Args)]
pub struct SstDumpArgs {
    /// The SSTable.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// Also first and last row key of every partition and block.
    #[arg(long)]
    keys: bool,
    /// Also every block's head and pages.
    #[arg(long)]
    blocks: bool,
    /// Also the first so many row versions.
    #[arg(long, value_name = "N", default_value_t = 0)]
    rows: u64,
}

/// Prints the file. What is damaged is said where it would stand, and the rest printed.
pub fn run(env: &Env, args: &SstDumpArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    let cache = BlockCache::new(CacheOptions::default());
    let table = Sstable::open(env, &args.file, 1, &cache)?;
    let mut dump = Dump { table, args, out, verdict: Verdict::Good };
    dump.file()?;
    if args.blocks || args.keys {
        dump.blocks()?;
    }
    if args.rows > 0 {
        dump.rows()?;
    }
    Ok(dump.verdict)
}

struct Dump<'a> {
    table: Sstable,
    args: &'a SstDumpArgs,
    out: &'a mut Output,
    verdict: Verdict,
}

impl Dump<'_> {
    fn file(&mut self) -> Result<(), ToolError> {
        let outline = self.table.outline()?;
        let Outline { version, features, file_bytes, blocks, history_blocks, .. } = &outline;
        let (incompatible, compatible) = features;
        self.out.line(format_args!(
            "footer: format {version}, {file_bytes} bytes, {blocks} blocks, features \
             {incompatible:#x} and {compatible:#x}"
        ))?;
        if let Some(history) = &self.table.properties().history {
            let rows = history.rows;
            self.out.line(format_args!("history part: {history_blocks} blocks, {rows} rows"))?;
        }
        for (name, part) in &outline.sections {
            self.out.line(format_args!("section {name}: {}", Stored(part)))?;
        }
        self.properties()?;
        for column in self.table.columns() {
            let key = if column.is_key { ", of the key" } else { "" };
            self.out.line(format_args!("column {}: {:?}{key}", column.id.0, column.physical))?;
        }
        for tombstone in self.table.range_tombstones() {
            self.out.line(format_args!(
                "range tombstone: from {} before {} at {}",
                Bytes(&tombstone.start),
                Bytes(tombstone.end.as_deref().unwrap_or_default()),
                tombstone.commit_ts.0
            ))?;
        }
        self.partitions("partition", &outline.partitions)?;
        self.partitions("history partition", &outline.history_partitions)
    }

    fn partitions(&mut self, what: &str, all: &[PartitionOutline]) -> Result<(), ToolError> {
        for (number, partition) in all.iter().enumerate() {
            let (blocks, keys, rows) = partition.counts;
            self.out.line(format_args!(
                "{what} {number}: {blocks} blocks, {keys} keys, {rows} rows; index {}; filter {}",
                Stored(&partition.index),
                Stored(&partition.filter)
            ))?;
            if self.args.keys {
                let (first, last) = &partition.bounds;
                self.out.line(format_args!("  keys {} to {}", Bytes(first), Bytes(last)))?;
            }
        }
        Ok(())
    }

    fn properties(&mut self) -> Result<(), ToolError> {
        let Properties {
            storage,
            group,
            schema_version,
            rows,
            keys,
            cells,
            deletes,
            raw_bytes,
            min_seq,
            max_seq,
            min_commit_ts,
            max_commit_ts,
            history: _,
            user,
        } = self.table.properties();
        self.out.line(format_args!(
            "table {storage}, locality group {group}, schema version {schema_version}"
        ))?;
        self.out.line(format_args!(
            "rows {rows}, keys {keys}, cells {cells}, deletes {deletes}, raw bytes {raw_bytes}"
        ))?;
        self.out.line(format_args!(
            "sequence numbers {min_seq} to {max_seq}, timestamps {min_commit_ts} to {max_commit_ts}"
        ))?;
        for (name, value) in user {
            self.out.line(format_args!("property {name}: {}", Bytes(value)))?;
        }
        Ok(())
    }

    /// Prints an error where what it is about would stand.
    fn bad(&mut self, error: &SstableError) -> Result<(), ToolError> {
        self.verdict = Verdict::Bad;
        Ok(self.out.line(format_args!("bad: {error}"))?)
    }

    /// The blocks of the data part, then those of the history part.
    fn all_blocks(&self) -> impl Iterator<Item = u32> + use<> {
        (0..self.table.block_count()).chain(self.table.history_blocks())
    }

    fn blocks(&mut self) -> Result<(), ToolError> {
        for number in self.all_blocks() {
            if self.out.is_closed() {
                break;
            }
            match self.table.block_outline(number) {
                Ok(block) => self.block(number, &block)?,
                Err(error) => self.bad(&error)?,
            }
        }
        Ok(())
    }

    fn block(&mut self, number: u32, block: &BlockOutline) -> Result<(), ToolError> {
        let BlockOutline { info, offset, stored_bytes, raw_bytes, .. } = block;
        let name = block_name(&self.table, number);
        self.out.line(format_args!(
            "{name}: offset {offset}, {stored_bytes} bytes, raw {raw_bytes}, {} rows, {} \
             keys, timestamps {} to {}, flags {}",
            info.rows,
            info.keys,
            info.min_ts.0,
            info.max_ts.0,
            Names(&BLOCK_FLAGS, info.flags)
        ))?;
        if self.args.keys {
            let (first, last) = &block.bounds;
            self.out.line(format_args!("  keys {} to {}", Bytes(first), Bytes(last)))?;
        }
        if self.args.blocks {
            for PageOutline { column, kind, encoding, part } in &block.pages {
                let column = column.map(|id| format!(" {}", id.0)).unwrap_or_default();
                let part = Stored(part);
                self.out.line(format_args!("  page {kind}{column}: {encoding}, {part}"))?;
            }
        }
        Ok(())
    }

    fn rows(&mut self) -> Result<(), ToolError> {
        let mut left = self.args.rows;
        for number in self.all_blocks() {
            if left == 0 || self.out.is_closed() {
                break;
            }
            let options = ReadOptions { fill_cache: false };
            let read = self.table.block(number, true, options);
            let is_hidden = self.table.history_blocks().contains(&number);
            let what = if is_hidden { "hidden row" } else { "row" };
            let lines = read.and_then(|block| row_lines(what, &block, left));
            match lines {
                Ok(lines) => {
                    left -= lines.len() as u64;
                    lines.iter().try_for_each(|line| self.out.line(line))?;
                }
                Err(error) => self.bad(&error)?,
            }
        }
        Ok(())
    }
}

/// Blocks of each part are counted from 0.
fn block_name(table: &Sstable, number: u32) -> String {
    let hidden = table.history_blocks();
    match hidden.contains(&number) {
        true => format!("history block {}", number - hidden.start),
        false => format!("block {number}"),
    }
}

/// A line for each of a block's first rows.
fn row_lines(what: &str, block: &Block, rows_max: u64) -> Result<Vec<String>, SstableError> {
    let rows = block.rows()?;
    let columns = block.columns()?;
    let count = u64::from(rows.len()).min(rows_max) as u32;
    let mut lines = Vec::with_capacity(count as usize);
    for row in 0..count {
        let (commit_ts, flags) = (rows.commit_ts(row).0, u16::from(rows.flags(row)));
        let flags = Names(&ROW_FLAGS, flags);
        let mut line = format!("{what} {} at {commit_ts}, flags {flags}", Bytes(&rows.key(row)));
        for id in &columns {
            let column = block.column(*id)?;
            let cell = column.cell(row);
            let Some(value) = cell.as_option() else { continue };
            let value = value.map_or_else(|| "NULL".to_owned(), |v| Bytes(v).to_string());
            line.push_str(&format!("; {} = {value}", id.0));
            match column.ts_delta(row) {
                0 => {}
                delta => line.push_str(&format!(" at {}", commit_ts.saturating_sub(delta))),
            }
        }
        lines.push(line);
    }
    Ok(lines)
}

/// Where a part lies and how large it is.
struct Stored<'a>(&'a Part);

impl std::fmt::Display for Stored<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Part { offset, stored_bytes, raw_bytes, codec } = self.0;
        write!(f, "offset {offset}, {stored_bytes} bytes, raw {raw_bytes}, codec {codec}")
    }
}

const ROW_FLAGS: [(u16, &str); 4] = [
    (ROW_DELETE as u16, "delete"),
    (ROW_MARKER as u16, "marker"),
    (ROW_COMPLETE as u16, "complete"),
    (ROW_HAS_OLDER as u16, "has older"),
];

const BLOCK_FLAGS: [(u16, &str); 8] = [
    (block_flags::DISTINCT_KEYS, "distinct keys"),
    (block_flags::HAS_DELETE, "deletes"),
    (block_flags::ALL_COMPLETE, "all complete"),
    (block_flags::HAS_EXCEPTIONS, "exceptions"),
    (block_flags::HAS_CELL_TIMES, "cell times"),
    (block_flags::CONTINUES, "continues"),
    (block_flags::CONTINUED, "continued"),
    (block_flags::HAS_HISTORY, "history"),
];

/// Flags by name.
struct Names<'a>(&'a [(u16, &'a str)], u16);

impl std::fmt::Display for Names<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut rest = self.1;
        let mut separator = "";
        for (flag, name) in self.0.iter().filter(|(flag, _)| self.1 & flag != 0) {
            write!(f, "{separator}{name}")?;
            (rest, separator) = (rest & !flag, "+");
        }
        match (rest, self.1) {
            (0, 0) => f.write_str("none"),
            (0, _) => Ok(()),
            (rest, _) => write!(f, "{separator}{rest:#x}"),
        }
    }
}
