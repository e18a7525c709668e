//! Deleting key ranges: one record a range, however many rows are in it.

use crate::ids::{RequestId, StorageId};
use crate::read::KeyRange;

/// Deletes every row of some ranges of a table that was committed before: all at one timestamp on each server, in one
/// frame of its log.
///
/// It is blind: no row is looked at, none is counted, and what no row is in is deleted as well. A row program
/// comes wholly before it or wholly after: one that has read its row before the deletion has written it by then, and the
/// deletion takes it along; one that reads after finds no row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeleteRangeRequest {
    /// So that a retry is answered, not repeated.
    pub request: RequestId,
    /// The table.
    pub table: StorageId,
    /// The schema the frontend planned with (rule 10).
    pub schema_version: u32,
    /// The keys: disjoint ranges, ascending.
    pub ranges: Vec<KeyRange>,
}
