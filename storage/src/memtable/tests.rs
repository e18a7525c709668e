use super::*;
use terrane_client::ids::ColumnId;
use terrane_client::row::{CellsBuilder, ROW_MARKER, RowMutation};

fn mutation(flags: u8, cells: &[(u32, &[u8])]) -> Vec<u8> {
    let mut builder = CellsBuilder::default();
    for (column, bytes) in cells {
        builder.push(ColumnId(*column), Some(bytes));
    }
    let mut bytes = Vec::new();
    RowMutation { flags, cells: builder.finish() }.encode(&mut bytes);
    bytes
}

#[test]
fn counts_what_it_holds() {
    let table = Memtable::new();
    assert!(table.is_empty());
    assert_eq!((table.min_seq(), table.max_seq()), (None, None));
    assert_eq!(table.max_commit_ts(), CommitTs::ABSENT);
    assert_eq!(table.bytes(), 0);
    let put = mutation(ROW_MARKER | ROW_COMPLETE, &[(2, b"x")]);
    table.insert(b"b", Seq(7), CommitTs(70), &put);
    table.insert(b"a", Seq(8), CommitTs(80), &put);
    table.insert(b"b", Seq(9), CommitTs(90), &put);
    assert_eq!((table.rows(), table.versions()), (2, 3));
    assert_eq!((table.min_seq(), table.max_seq()), (Some(Seq(7)), Some(Seq(9))));
    assert_eq!(table.max_commit_ts(), CommitTs(90));
    assert!((1..16 << 10).contains(&table.bytes()), "a few rows take a few KiB");
}

#[test]
fn an_image_stands_before_its_version_only() {
    let table = Memtable::new();
    table.insert(b"k", Seq(1), CommitTs(10), &mutation(ROW_MARKER, &[(2, b"a"), (3, b"b")]));
    for i in 2..=9u64 {
        table.insert(b"k", Seq(i), CommitTs(i as i64 * 10), &mutation(0, &[(2, &[i as u8])]));
    }
    assert_eq!(table.chain(b"k"), 9);
    assert!(table.chain(b"k") > CHAIN_MERGE_LENGTH);
    let image = mutation(ROW_MARKER | ROW_COMPLETE, &[(2, &[9]), (3, b"b")]);
    assert!(!table.insert_image(b"k", Seq(8), &image), "a newer version came meanwhile");
    assert!(!table.insert_image(b"j", Seq(9), &image), "no such row");
    assert!(table.insert_image(b"k", Seq(9), &image));
    assert!(!table.insert_image(b"k", Seq(9), &image), "one image is enough");
    assert_eq!(table.chain(b"k"), 1);
    assert_eq!(table.versions(), 9);
    let first: Vec<_> = table.get(b"k").take(2).collect();
    assert_eq!((first[0].is_image, first[0].commit_ts), (true, CommitTs(90)));
    assert_eq!((first[1].is_image, first[1].commit_ts), (false, CommitTs(90)));
    assert_eq!(first[0].cells(), &image[1..]);
    table.insert(b"k", Seq(10), CommitTs(100), &mutation(0, &[(3, b"c")]));
    assert_eq!(table.chain(b"k"), 2);
    assert_eq!(table.chain(b"absent"), 0);
}

#[test]
fn a_cursor_outlives_the_memtable() {
    let table = Memtable::new();
    table.insert(b"k", Seq(1), CommitTs(10), &mutation(ROW_MARKER, &[(2, b"a")]));
    let mut cursor = table.cursor();
    drop(table);
    cursor.seek(b"a");
    assert_eq!(cursor.key(), Some(&b"k"[..]));
    assert_eq!(cursor.versions().count(), 1);
}
