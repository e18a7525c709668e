//! Options of families and locality groups.

use super::versions;
use crate::error::{SqlError, SqlState};
use crate::session::settings::parse_bytes;
use crate::types::boolean;
use terrane_client::schema::{BlockFilter, CellGc, GroupOptions, PageCodec, Timestamps};

/// Bytes of a data block: smaller ones are all index, larger ones hold up point reads.
const BLOCK_BYTES: std::ops::RangeInclusive<i64> = 1 << 10..=16 << 20;

/// What the options of a family say.
pub(super) struct FamilyOptions {
    /// The locality group it is in.
    pub(super) group: Option<String>,
    /// How it is stored, where it says so: then in a group of its own.
    pub(super) storage: Option<GroupOptions>,
    /// Those that say how it is stored.
    pub(super) storage_options: Vec<(String, Option<String>)>,
    /// Which versions of its cells are kept.
    pub(super) gc: CellGc,
    /// Whose timestamps they have, where it says so.
    pub(super) timestamps: Option<Timestamps>,
}

pub(super) fn invalid(name: &str, value: &str) -> SqlError {
    let message = format!("invalid value for parameter \"{name}\": \"{value}\"");
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// Reads the options of a family on top of the versions it keeps.
pub(super) fn family_options(
    options: &[(String, Option<String>)],
    known: CellGc,
) -> Result<FamilyOptions, SqlError> {
    let (mut group, mut storage, mut gc, mut timestamps) = (None, Vec::new(), known, None);
    for option in options {
        match (option.0.as_str(), &option.1) {
            ("locality_group", Some(name)) => group = Some(name.clone()),
            ("locality_group", None) => return Err(invalid("locality_group", "")),
            ("timestamps", value) => {
                timestamps = Some(versions::timestamps(value.as_deref())?);
            }
            (name, value) if versions::is_one(name) => {
                versions::set(&mut gc, name, value.as_deref())?;
            }
            _ => storage.push(option.clone()),
        }
    }
    let storage_options = storage;
    let storage = match storage_options.is_empty() {
        true => None,
        false => Some(group_options(&storage_options, GroupOptions::default())?),
    };
    Ok(FamilyOptions { group, storage, storage_options, gc, timestamps })
}

/// Reads the options of a locality group on top of those it has.
pub(super) fn group_options(
    options: &[(String, Option<String>)],
    known: GroupOptions,
) -> Result<GroupOptions, SqlError> {
    let mut wanted = known;
    for (name, value) in options {
        // As PostgreSQL has it: an option without a value is true.
        let text = value.as_deref().unwrap_or("true");
        let invalid = || invalid(name, text);
        match name.as_str() {
            "block_size" => {
                let bytes = parse_bytes(text).ok_or_else(invalid)?;
                if !BLOCK_BYTES.contains(&bytes) {
                    let (min, max) = (BLOCK_BYTES.start(), BLOCK_BYTES.end());
                    let message = format!(
                        "value {text} out of bounds for option \"block_size\" ({min} to {max} bytes)"
                    );
                    return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
                }
                wanted.block_bytes = u32::try_from(bytes).ok();
            }
            "compression" => {
                wanted.codec = Some(match text.to_ascii_lowercase().as_str() {
                    "none" => PageCodec::None,
                    "lz4" => PageCodec::Lz4,
                    "zstd" => PageCodec::Zstd,
                    _ => return Err(invalid()),
                });
            }
            "bloom" => {
                wanted.filter = match text.to_ascii_lowercase().as_str() {
                    "none" => BlockFilter::None,
                    "row" => BlockFilter::Row,
                    "rowcol" => BlockFilter::RowColumn,
                    _ => return Err(invalid()),
                };
            }
            "in_memory" => wanted.in_memory = boolean::parse(text).map_err(|_| invalid())?,
            name if versions::is_one(name) => {
                let message = format!("\"{name}\" is an option of families");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            name => {
                let message = format!("unrecognized parameter \"{name}\"");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
        }
    }
    Ok(wanted)
}
