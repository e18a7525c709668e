//! Rows for tests.

use super::FileRow;
use crate::ids::{CommitTs, Seq};

/// A file with these bounds.
pub(super) fn file(name: &str, start: &[u8], end: Option<&[u8]>) -> FileRow {
    FileRow {
        name: name.to_owned(),
        size_bytes: 1,
        rows: 1,
        start: start.to_vec(),
        end: end.map(<[u8]>::to_vec),
        min_seq: Seq(1),
        max_seq: Seq(2),
        max_commit_ts: CommitTs(3),
    }
}
