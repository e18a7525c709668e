//! `terrane meta edit --unsafe`: another METADATA row in the place of one, for tests.

use super::{Output, ToolError, Verdict};
use clap::Args;
use std::path::PathBuf;
use terrane_client::ids::StorageId;
use terrane_client::metadata::codec;
use terrane_env::Env;
use terrane_storage::inspect::edit;
use terrane_storage::server::DataDirectory;

/// For the help.
pub const EXAMPLE: &str = "Example:\n  \
    terrane meta edit --unsafe --data copy 1000 - \"$(terrane meta dump --data copy | tail -1)\"\n\n\
    Nothing is checked: a wrong row loses the tablet. Work on a copy.";

/// What to replace, and by what.
#[derive(Args)]
pub struct MetaEditArgs {
    /// The data directory; no server may have it open.
    #[arg(long, value_name = "DIR", default_value = "./terrane-data")]
    data: PathBuf,
    /// Say that you know what you do.
    #[arg(long = "unsafe")]
    is_unsafe: bool,
    /// The storage id of the tablet's table; 1 is METADATA, whose root ends at 8000000000000002.
    #[arg(value_name = "TABLE-ID")]
    table: u64,
    /// The first key behind the tablet, in hex; - for the last tablet.
    #[arg(value_name = "END-KEY-HEX|-", value_parser = end_key, allow_hyphen_values = true)]
    end: EndKey,
    /// The row, as `meta dump` prints it.
    #[arg(value_name = "JSON")]
    row: String,
}

/// The end of a tablet's range; `None` is unbounded.
#[derive(Clone, Debug, PartialEq, Eq)]
struct EndKey(Option<Vec<u8>>);

fn end_key(text: &str) -> Result<EndKey, String> {
    if text == "-" {
        return Ok(EndKey(None));
    }
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let bytes = text.as_bytes().chunks(2).map(|pair| match pair {
        [high, low] => u8::try_from(digit(high)? * 16 + digit(low)?).ok(),
        _ => None,
    });
    let key: Option<Vec<u8>> = bytes.collect();
    key.map(|key| EndKey(Some(key))).ok_or_else(|| format!("{text} is not a key in hex"))
}

/// Replaces the row.
pub fn run(env: &Env, args: &MetaEditArgs, out: &mut Output) -> Result<Verdict, ToolError> {
    if !args.is_unsafe {
        let text = "meta edit follows no rule and may lose a tablet: give --unsafe, on a copy";
        return Err(ToolError::Refused(text.to_owned()));
    }
    let row = codec::parse_state(args.row.as_bytes()).map_err(ToolError::Row)?;
    let directory = DataDirectory::open_existing(env, &args.data)?;
    let table = StorageId(args.table);
    edit::replace(env, &directory, table, args.end.0.as_deref(), &row)?;
    out.line(format_args!("replaced: a tablet of table {table}, in METADATA"))?;
    Ok(Verdict::Good)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn end_keys_are_hex() {
        assert_eq!(end_key("-"), Ok(EndKey(None)));
        assert_eq!(end_key("00fF"), Ok(EndKey(Some(vec![0, 255]))));
        assert_eq!(end_key(""), Ok(EndKey(Some(Vec::new()))));
        for wrong in ["f", "0g", "+1", "éé"] {
            assert!(end_key(wrong).is_err(), "{wrong}");
        }
    }
}
