//! Locality groups: which columns are stored together, and how.

use super::gc::CellGc;
use crate::ids::LocalityGroupId;
use serde::{Deserialize, Serialize};

/// Locality groups of a table at most, `default` included (rule 37).
pub const GROUPS_MAX: usize = 64;

/// The unit of storage: its columns share memtables and SSTables (Bigtable §6). A read of some groups' columns
/// reads no value of another group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LocalityGroup {
    /// 0 is `default`. Never reused in a table.
    pub id: LocalityGroupId,
    /// Its name.
    pub name: String,
    /// True where every row of the table has its marker here too, so that a scan of this group alone knows which
    /// rows there are (rule 9). Not so where it was added to a table that had rows.
    #[serde(default = "has_markers")]
    pub has_markers: bool,
    /// How long a marker lives: a row, or in a group whose rows are a map's entries an entry, ends with its newest one.
    /// For ever, unless the default family has a ttl (rule 36), or the map's.
    #[serde(default, skip_serializing_if = "CellGc::is_default")]
    pub marker_gc: CellGc,
    /// Whose timestamps its cells have. Of a group for good.
    #[serde(default, skip_serializing_if = "Timestamps::is_server")]
    pub timestamps: Timestamps,
    /// How its files are written and cached.
    #[serde(default)]
    pub options: GroupOptions,
}

fn has_markers() -> bool {
    true
}

/// Whose timestamps cells have (rule 6).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Timestamps {
    /// The server's: a cell's timestamp is that of its commit.
    #[default]
    Server,
    /// The client's, where it gives one: beside it a cell has that of its commit.
    Client,
}

impl Timestamps {
    /// True for the server's.
    pub fn is_server(&self) -> bool {
        *self == Self::Server
    }
}

/// How a locality group is stored. What is not given is the server's choice.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GroupOptions {
    /// A data block closes at this many raw bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub block_bytes: Option<u32>,
    /// The codec of its pages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub codec: Option<PageCodec>,
    /// What its files' filters know.
    #[serde(default)]
    pub filter: BlockFilter,
    /// Blocks stay in memory once they were read.
    #[serde(default)]
    pub in_memory: bool,
}

/// Codecs of pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PageCodec {
    /// As they are.
    None,
    /// LZ4: little work.
    Lz4,
    /// Zstandard: fewer bytes.
    Zstd,
}

/// Filters of SSTables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BlockFilter {
    /// None: nothing is looked up by key.
    None,
    /// Row keys.
    #[default]
    Row,
    /// Row keys, and which columns a row has cells of.
    RowColumn,
}

impl LocalityGroup {
    /// The group every table has.
    pub fn default_group() -> Self {
        Self {
            id: LocalityGroupId::default(),
            name: "default".to_owned(),
            has_markers: true,
            marker_gc: CellGc::default(),
            timestamps: Timestamps::Server,
            options: GroupOptions::default(),
        }
    }
}
