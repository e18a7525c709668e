//! What can be wrong with a directory: in types for the checker, in words for who reads them.

use super::evidence::LogPurpose;
use super::finding::Range;
use std::fmt;
use terrane_client::ids::{CommitTs, LocalityGroupId, Seq, StorageId};

/// What is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// No tablet has these keys; the finding's tablet is the one before, or, at the start, the one behind.
    Hole(Range),
    /// Another tablet has some of this one's keys.
    Overlap(Range),
    /// A tablet without keys.
    EmptyTablet,
    /// The METADATA row's key is another tablet's.
    Misnamed,
    /// Tablets of a table without a schema.
    NoSchema,
    /// A schema of a table without tablets.
    UnusedSchema,
    /// A locality group that the schema does not have.
    UnknownGroup(LocalityGroupId),
    /// A file that is not there.
    Lost {
        /// Row versions that were in it.
        rows: u64,
    },
    /// A file that does not open.
    Unreadable {
        /// Why.
        what: String,
        /// Row versions in it.
        rows: u64,
    },
    /// A part of a file that is not what it should be.
    Damaged {
        /// Where and what.
        what: String,
        /// Row versions in the file.
        rows: u64,
    },
    /// Another table's file.
    WrongTable {
        /// Whose.
        found: StorageId,
        /// Row versions in it.
        rows: u64,
    },
    /// Another locality group's file.
    WrongGroup {
        /// Whose.
        found: LocalityGroupId,
        /// Where it is named.
        said: LocalityGroupId,
    },
    /// Bytes in METADATA and in truth.
    WrongSize {
        /// In METADATA.
        said: u64,
        /// In truth.
        found: u64,
    },
    /// Row versions in METADATA and in the file.
    WrongRows {
        /// In METADATA.
        said: u64,
        /// In the file.
        found: u64,
    },
    /// Smallest and largest sequence number in METADATA and in the file.
    WrongSeqs {
        /// In METADATA.
        said: (Seq, Seq),
        /// In the file.
        found: (Seq, Seq),
    },
    /// Largest commit timestamp in METADATA and in the file.
    WrongTimestamps {
        /// In METADATA.
        said: CommitTs,
        /// In the file.
        found: CommitTs,
    },
    /// Bounds of a reference that end before they start.
    NoBounds,
    /// Bounds of a reference that leave out keys of the tablet.
    BoundsLeaveOut {
        /// The file's keys.
        keys: Range,
    },
    /// None of the file's keys are the tablet's.
    NoRowsInside,
    /// A tablet that names a file twice, with bounds that meet.
    NamedTwice,
    /// Files of a run that do not ascend, or meet.
    NotAscending {
        /// The file before.
        before: String,
    },
    /// A file with larger numbers than its tablet says to have.
    AboveTablet {
        /// The file's.
        max_seq: Seq,
        /// The file's.
        max_commit_ts: CommitTs,
    },
    /// A file with records that the redo point says are only in the log.
    AboveRedoPoint {
        /// The file's.
        max_seq: Seq,
    },
    /// A redo point beyond the log's end.
    RedoBeyondLog {
        /// The redo point.
        redo_point: Seq,
        /// The log's largest sequence number.
        last_seq: Seq,
        /// Which log.
        server: String,
    },
    /// A log that a start would refuse.
    LogDamaged {
        /// File, offset and what.
        what: String,
    },
    /// A server with tablets and without a log.
    LogMissing {
        /// The server.
        server: String,
        /// Which log.
        purpose: LogPurpose,
    },
    /// The log's end, which a start leaves out: it was never acknowledged.
    LogCut {
        /// Where and what.
        what: String,
    },
    /// A file that METADATA does not name.
    Orphan,
    /// Something among the tables' directories that is none.
    Stray,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hole(range) => write!(f, "hole: no tablet has the keys {range}"),
            Self::Overlap(other) => write!(f, "overlap: tablet {other} has some of its keys, too"),
            Self::EmptyTablet => f.write_str("the tablet ends before it starts"),
            Self::Misnamed => f.write_str("its METADATA row stands under another tablet's key"),
            Self::NoSchema => f.write_str("the lock service has no schema of the table"),
            Self::UnusedSchema => f.write_str("there is a schema, and no tablet"),
            Self::UnknownGroup(group) => {
                write!(f, "the schema has no locality group {}", group.0)
            }
            Self::Lost { rows } => write!(f, "lost: {rows} row versions were in it"),
            Self::Unreadable { what, .. } => write!(f, "unreadable: {what}"),
            Self::Damaged { what, .. } => write!(f, "damaged: {what}"),
            Self::NoBounds => f.write_str("its bounds end before they start"),
            Self::BoundsLeaveOut { keys } => {
                write!(f, "its bounds leave out keys of the tablet: it has {keys}")
            }
            Self::NoRowsInside => f.write_str("none of its rows are the tablet's"),
            Self::NamedTwice => f.write_str("the tablet names it twice, with bounds that meet"),
            Self::NotAscending { before } => {
                write!(f, "it starts before {before} ends, which comes before it in its run")
            }
            Self::AboveTablet { max_seq, max_commit_ts } => write!(
                f,
                "it has sequence number {} and timestamp {}, more than its tablet says to have",
                max_seq.0, max_commit_ts.0
            ),
            Self::AboveRedoPoint { max_seq } => {
                write!(f, "it has sequence number {}, above the redo point", max_seq.0)
            }
            Self::RedoBeyondLog { redo_point, last_seq, server } => write!(
                f,
                "redo point {} is beyond the log of server {server}, which ends with {}",
                redo_point.0, last_seq.0
            ),
            Self::LogDamaged { what } => write!(f, "a start would be refused: {what}"),
            Self::LogMissing { server, purpose } => {
                let of = match purpose {
                    LogPurpose::LockService => "its own",
                    LogPurpose::Metadata => "METADATA",
                    LogPurpose::Users => "the users' tables",
                };
                write!(f, "server {server} has no log of {of}")
            }
            Self::LogCut { what } => write!(f, "log end: {what}"),
            Self::Orphan => f.write_str("orphan: METADATA does not name it"),
            Self::Stray => f.write_str("not a table's directory"),
            mismatch => mismatch.fmt_mismatch(f),
        }
    }
}

impl Problem {
    /// What METADATA says, and what a file says of itself.
    fn fmt_mismatch(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::WrongTable { found, .. } => write!(f, "it is a file of table {found}"),
            Self::WrongGroup { found, said } => {
                write!(f, "named in locality group {}, it is of group {}", said.0, found.0)
            }
            Self::WrongSize { said, found } => {
                write!(f, "METADATA says {said} bytes, it has {found}")
            }
            Self::WrongRows { said, found } => {
                write!(f, "METADATA says {said} row versions, it has {found}")
            }
            Self::WrongSeqs { said, found } => write!(
                f,
                "METADATA says sequence numbers {} to {}, it has {} to {}",
                said.0.0, said.1.0, found.0.0, found.1.0
            ),
            Self::WrongTimestamps { said, found } => write!(
                f,
                "METADATA says timestamps up to {}, it has them up to {}",
                said.0, found.0
            ),
            other => write!(f, "{other:?}"),
        }
    }
}
