//! `terrane sst verify`: every byte of a file, and what it says of itself against its rows.

use super::{Output, ToolError, Verdict};
use clap::Args;
use std::path::{Path, PathBuf};
use terrane_env::Env;
use terrane_storage::cache::{BlockCache, CacheOptions};
use terrane_storage::sstable::{Depth, Examination, Sstable};

/// For the help.
pub const EXAMPLE: &str = "Example:\n  terrane sst verify terrane-data/tables/1000/*.sst\n\n\
    One line a file, \"good\" with its counts, or a line for everything that is wrong with it. Exit \
    status 0 if all are good, 1 if not.";

/// What to verify.
#[derive(Args)]
pub struct SstVerifyArgs {
    /// SSTables.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Verifies every file, whatever is wrong with another.
pub fn run(env: &Env, args: &SstVerifyArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    let mut verdict = Verdict::Good;
    for path in &args.files {
        let (size_bytes, found) = examine(env, path);
        for problem in &found.problems {
            verdict = Verdict::Bad;
            out.line(format_args!("bad  {}: {problem}", path.display()))?;
        }
        if found.problems.is_empty() {
            let Examination { blocks, pages, rows, .. } = found;
            out.line(format_args!(
                "good {}: {size_bytes} bytes, {blocks} blocks, {pages} pages, {rows} row versions",
                path.display()
            ))?;
        }
    }
    Ok(verdict)
}

fn examine(env: &Env, path: &Path) -> (u64, Examination) {
    match Sstable::open(env, path, 1, &BlockCache::new(CacheOptions::default())) {
        Ok(table) => (table.size_bytes(), table.examine(Depth::Pages)),
        Err(error) => (0, Examination { problems: vec![error], ..Examination::default() }),
    }
}
