//! A finding: what is wrong, and where.

pub use super::problem::Problem;

use std::fmt;
use terrane_client::ids::StorageId;
use terrane_client::metadata::TabletRow;

/// A key in hex; the empty one, which is before all others, as `-`.
#[derive(Clone, Copy, Debug)]
pub struct KeyHex<'a>(pub &'a [u8]);

impl fmt::Display for KeyHex<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            [] => f.write_str("-"),
            bytes => bytes.iter().try_for_each(|byte| write!(f, "{byte:02x}")),
        }
    }
}

/// The keys from a start on, before an end; `None` is unbounded.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Range {
    /// First key inside.
    pub start: Vec<u8>,
    /// First key outside.
    pub end: Option<Vec<u8>>,
}

impl Range {
    /// A tablet's.
    pub fn of(row: &TabletRow) -> Self {
        Self { start: row.start.clone(), end: row.end.clone() }
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // An unbounded end has no bytes either.
        write!(f, "[{}, {})", KeyHex(&self.start), KeyHex(self.end.as_deref().unwrap_or_default()))
    }
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Rows are lost, may be, or a server will not serve them.
    Error,
    /// Nothing is lost: a crash leaves this, and the next start sees to it.
    Warning,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Error => "error",
            Self::Warning => "warning",
        })
    }
}

/// Something that is not as it should be, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The table, if it is of one.
    pub table: Option<StorageId>,
    /// The tablet's range, if it is of one.
    pub tablet: Option<Range>,
    /// The file, if it is of one.
    pub file: Option<String>,
    /// What is wrong.
    pub problem: Problem,
}

impl Finding {
    /// How bad it is.
    pub fn severity(&self) -> Severity {
        match self.problem {
            Problem::Orphan
            | Problem::Stray
            | Problem::UnusedSchema
            | Problem::LogCut { .. }
            // Or everything there was deleted after a merge of tablets, and no file is left that says so.
            | Problem::BoundsLeaveOut { .. }
            | Problem::NoRowsInside => Severity::Warning,
            _ => Severity::Error,
        }
    }

    /// True where it is no more than a warning.
    pub fn is_warning(&self) -> bool {
        self.severity() == Severity::Warning
    }

    /// True where what it is about holds METADATA's rows.
    pub fn is_of_metadata(&self) -> bool {
        self.table == Some(StorageId::METADATA)
    }
}
