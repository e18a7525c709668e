//! Files whose cells have timestamps of the client's.

use super::*;
use crate::sstable::format::{CLIENT_TIMES, Footer};

fn options() -> WriterOptions {
    WriterOptions { codec: Codec::None, client_times: true, ..WriterOptions::default() }
}

fn row(commit_ts: i64, flags: u8, cell_ts: i64, value: i64) -> TestRow {
    let cells = vec![(1, commit_ts - cell_ts, int(value))];
    TestRow { key: b"k".to_vec(), commit_ts, flags, cells }
}

fn contains(bytes: &[u8], page: &[u8]) -> bool {
    bytes.windows(page.len()).any(|window| window == page)
}

/// The worked example of docs/format-sstable.md.
#[test]
fn cells_may_be_newer_than_their_commit() {
    let bench = Bench::new();
    let rows = [row(9, 0, 12, 8), row(5, 0, 3, 7)];
    bench.write(&schema(&[(1, PhysicalType::Int8)]), options(), &rows);
    let pad = [0; 8];
    let times = [&[3, 5, 0, 0, 0, 0, 0, 0, 0, 4][..], &pad].concat();
    let cell_times =
        [&[3, 0xfd, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x28][..], &pad].concat();
    assert!(contains(&bench.bytes(), &times) && contains(&bench.bytes(), &cell_times));
    let bytes = bench.bytes();
    let footer = Footer::decode(Bytes::copy_from_slice(&bytes[bytes.len() - Footer::BYTES..]));
    assert_eq!(footer.unwrap().incompatible, CLIENT_TIMES);
    let table = bench.open().unwrap();
    assert_eq!(read_all(&table).unwrap(), rows);
    table.verify().unwrap();
}

/// One commit can write several versions of a cell; the last of its rows hides what is older.
#[test]
fn one_commit_may_have_several_rows_of_a_key() {
    let rows = [row(9, 0, 12, 8), row(9, 0, 2, 1), row(9, ROW_DELETE, 1, 0), row(5, 0, 3, 7)];
    let bench = Bench::new();
    let schema = schema(&[(1, PhysicalType::Int8)]);
    bench.write(&schema, WriterOptions { client_times: true, ..small_blocks(Codec::Lz4) }, &rows);
    let table = bench.open().unwrap();
    assert_eq!(read_all(&table).unwrap(), rows);
    table.verify().unwrap();
    // Elsewhere that is a mistake.
    let bench = Bench::new();
    let mut writer = bench.writer(&schema, WriterOptions::default());
    add(&mut writer, &rows[0]).unwrap();
    assert!(add(&mut writer, &rows[1]).is_err());
}
