//! METADATA's first tablet, the root: it has the METADATA rows of METADATA's other tablets, and nothing else.
//!
//! Three levels, always: the lock service has the root's row, the root those of METADATA's tablets, and those the rows
//! of every other table's tablets. So the root has one range for ever, the keys below [`end`], and is neither split nor
//! merged.
//!
//! A directory begins with a root that is *whole*: METADATA's only tablet, with the rows of all tables' tablets. That is
//! also what directories of format 1 have. Before a server serves anything it cuts a whole root ([`cut`]): the row of what
//! is not the root's is put, then the root's value is replaced, which commits it. A row of METADATA that a whole root has is left
//! from a cut that was not committed: nobody heeds it, and the next cut puts another in its place.

use super::split::child;
use super::{TabletRow, codec};
use crate::ids::StorageId;
use bytes::Bytes;

/// The first key of METADATA that is not the root's: above the rows of METADATA's own tablets.
pub fn end() -> Bytes {
    // METADATA's id is not the greatest there is.
    codec::table_end(StorageId::METADATA).unwrap_or_default()
}

/// True where the root is METADATA's only tablet.
pub fn is_whole(root: &TabletRow) -> bool {
    root.end.is_none()
}

/// A whole root's row, cut: the root's, and that of the tablet that has all other keys.
pub fn cut(whole: &TabletRow) -> (TabletRow, TabletRow) {
    let at = end().to_vec();
    let root = child(whole, whole.start.clone(), Some(at.clone()));
    (root, child(whole, at, whole.end.clone()))
}

/// Whether a row that the root has counts: those of METADATA's other tablets do, and of a whole root those of all other
/// tables.
pub fn heeds(root: &TabletRow, row: &TabletRow) -> bool {
    (row.table == StorageId::METADATA) != is_whole(root)
}

#[cfg(test)]
mod tests {
    use super::super::fixture::file;
    use super::super::{GroupRow, RunRow, schema};
    use super::*;
    use crate::ids::{Generation, LocalityGroupId};

    fn key(table: StorageId, end: Option<&[u8]>) -> Bytes {
        codec::row_key(table, end).unwrap_or_default()
    }

    #[test]
    fn the_root_has_the_rows_of_metadata_and_no_others() {
        let (first, last) = (key(StorageId::METADATA, Some(b"")), key(StorageId::METADATA, None));
        assert!(!first.is_empty() && first < last && last < end());
        assert!(end() <= key(StorageId::CATALOG, Some(b"")));
    }

    #[test]
    fn a_cut_leaves_no_key_out_and_clips_the_files() {
        let mut whole = TabletRow::empty(&schema(), Vec::new(), None, "s", Generation(3));
        let files = vec![file("1-1.sst", b"\x80", None)];
        whole.groups = vec![GroupRow {
            runs: vec![RunRow { files }],
            ..GroupRow::empty(LocalityGroupId::default())
        }];
        let (root, rest) = cut(&whole);
        assert!(is_whole(&whole) && !is_whole(&root));
        assert_eq!((&root.start[..], root.end.as_deref()), (&[][..], Some(&end()[..])));
        assert_eq!((&rest.start[..], rest.end.as_deref()), (&end()[..], None));
        assert_eq!(root.files().next().map(|file| file.end.clone()), Some(root.end.clone()));
        assert_eq!(rest.files().next().map(|file| file.start.clone()), Some(rest.start.clone()));
        let of_catalog = TabletRow { table: StorageId::CATALOG, ..rest.clone() };
        assert!(heeds(&root, &rest) && !heeds(&root, &of_catalog));
        assert!(heeds(&whole, &of_catalog) && !heeds(&whole, &rest), "left from a cut");
    }
}
