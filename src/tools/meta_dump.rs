//! `terrane meta dump`: METADATA's rows.

use super::{Output, ToolError, Verdict};
use clap::Args;
use std::path::PathBuf;
use terrane_client::metadata::codec;
use terrane_env::Env;
use terrane_storage::inspect::evidence::Evidence;
use terrane_storage::inspect::{InspectError, metadata};
use terrane_storage::server::DataDirectory;

/// For the help.
pub const EXAMPLE: &str = "Example:\n  terrane meta dump --data /var/lib/terrane | jq 'select(.table >= 1000) | .end'\n\n\
    The first line is the root tablet's row, the next are those of METADATA's other tablets. Keys are arrays of bytes.";

/// What to print.
#[derive(Args)]
pub struct MetaDumpArgs {
    /// The data directory; no server may have it open.
    #[arg(long, value_name = "DIR", default_value = "./terrane-data")]
    data: PathBuf,
}

/// Prints the rows.
pub fn run(env: &Env, args: &MetaDumpArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    let directory = DataDirectory::open_existing(env, &args.data)?;
    let mut evidence = Evidence::default();
    evidence.read_lock_service(env, &directory)?;
    let root = evidence.root.ok_or(InspectError::NoRoot)?;
    for tablet in metadata::tablets(env, &directory, &root)? {
        out.line(codec::state(&tablet.row).map_err(ToolError::Row)?)?;
    }
    Ok(Verdict::Good)
}
