//! Files of every shape, written and read back.

use super::*;
use proptest::prelude::*;

#[test]
fn an_empty_file_has_no_rows_and_can_be_read() {
    let bench = Bench::new();
    let summary = bench.write(&schema(&[(1, PhysicalType::Int8)]), WriterOptions::default(), &[]);
    assert_eq!((summary.blocks, &summary.bounds), (0, &None));
    let table = bench.open().unwrap();
    assert_eq!(table.block_count(), 0);
    assert_eq!(table.key_bounds(), None);
    assert_eq!(table.blocks_in(b"", None).unwrap(), 0..0);
    assert_eq!(table.rows_before(0).unwrap(), 0);
    assert!(!table.may_contain(b"a", None).unwrap());
    table.verify().unwrap();
}

#[test]
fn the_summary_says_what_metadata_needs() {
    let bench = Bench::new();
    let row = |key: &str, commit_ts, flags| TestRow {
        key: key.into(),
        commit_ts,
        flags,
        cells: vec![(1, 0, int(5)), (2, 0, None)],
    };
    let rows = [row("a", 9, WHOLE), row("a", 4, 0), row("b", 7, ROW_DELETE)];
    let schema = schema(&[(1, PhysicalType::Int8), (2, PhysicalType::Bytes)]);
    let mut writer = bench.writer(&schema, WriterOptions::default());
    rows.iter().for_each(|row| add(&mut writer, row).unwrap());
    writer.set_property("requests", Bytes::from_static(b"xyz"));
    writer.include_seq(Seq(1000));
    let summary = writer.finish().unwrap();
    let file = summary.file_row("1-1.sst".to_owned());
    assert_eq!((file.start, file.end), (b"a".to_vec(), Some(b"b\0".to_vec())));
    assert_eq!((file.rows, file.size_bytes), (3, bench.bytes().len() as u64));
    assert_eq!((file.min_seq, file.max_seq), (Seq(40), Seq(1000)));
    assert_eq!(file.max_commit_ts, CommitTs(9));

    let table = bench.open().unwrap();
    let properties = table.properties();
    assert_eq!(properties, &summary.properties);
    assert_eq!((properties.rows, properties.keys, properties.cells), (3, 2, 6));
    assert_eq!((properties.deletes, properties.min_commit_ts), (1, 4));
    assert_eq!(properties.storage_id(), StorageId(1234));
    assert_eq!(properties.locality_group(), LocalityGroupId(3));
    assert_eq!(properties.user["requests"], &b"xyz"[..]);
    assert_eq!(table.key_bounds(), Some(("a".into(), "b".into())));
    assert_eq!(bench.disk.unsynced_bytes(&Bench::path()).unwrap(), 0, "finish syncs the file");
}

#[test]
fn range_tombstones_come_back() {
    let bench = Bench::new();
    let mut writer = bench.writer(&schema(&[]), WriterOptions::default());
    let tombstone = |start: &'static str, ts| RangeTombstone {
        start: start.into(),
        end: None,
        commit_ts: CommitTs(ts),
    };
    writer.add_range_tombstone(tombstone("m", 5));
    writer.add_range_tombstone(tombstone("c", 6));
    let summary = writer.finish().unwrap();
    assert_eq!(summary.properties.commit_ts_range(), (CommitTs(5), CommitTs(6)));
    let table = bench.open().unwrap();
    assert_eq!(table.range_tombstones(), [tombstone("c", 6), tombstone("m", 5)]);
}

#[test]
fn rows_out_of_order_are_refused_and_end_the_file() {
    let row = |key: &str, commit_ts, columns: &[u32]| TestRow {
        key: key.into(),
        commit_ts,
        flags: 0,
        cells: columns.iter().map(|column| (*column, 0, None)).collect(),
    };
    for (first, second) in [
        (row("b", 5, &[]), row("a", 6, &[])),
        (row("b", 5, &[]), row("b", 5, &[])),
        (row("b", 5, &[]), row("b", 6, &[])),
        (row("b", 5, &[]), row("c", 5, &[2, 1])),
        (row("b", 5, &[]), row("c", 5, &[1, 1])),
        (row("b", 5, &[]), row("c", 5, &[0])),
    ] {
        let bench = Bench::new();
        let mut writer =
            bench.writer(&schema(&[(1, PhysicalType::Int8)]), WriterOptions::default());
        add(&mut writer, &first).unwrap();
        assert!(matches!(add(&mut writer, &second), Err(SstableError::Refused(_))));
        assert!(matches!(add(&mut writer, &row("z", 1, &[])), Err(SstableError::Refused(_))));
        assert!(matches!(writer.finish(), Err(SstableError::Refused(_))));
    }
}

#[test]
fn cells_that_fit_no_page_are_kept() {
    let bench = Bench::new();
    let rows: Vec<TestRow> = (0..50u8)
        .map(|i| {
            let mut cells = vec![(1, 0, int(i64::from(i)))];
            match i % 4 {
                // A column of no schema, and bytes that are no int8.
                0 => cells = vec![(1, 0, text("twelve bytes")), (9, 2, text("kept"))],
                1 => cells.push((8, 0, None)),
                2 => cells = vec![(1, 3, int(7))],
                _ => {}
            }
            TestRow { key: vec![i], commit_ts: 100, flags: WHOLE, cells }
        })
        .collect();
    bench.write(&schema(&[(1, PhysicalType::Int8)]), small_blocks(Codec::Lz4), &rows);
    let table = bench.open().unwrap();
    assert_eq!(read_all(&table).unwrap(), rows);
    let block = table.block(0, true, ReadOptions::default()).unwrap();
    assert!(block.has_exceptions());
    assert_eq!(block.flags() & block_flags::HAS_CELL_TIMES, block_flags::HAS_CELL_TIMES);
    assert_eq!(block.columns().unwrap(), [ColumnId(1), ColumnId(8), ColumnId(9)]);
    // The zone of a column with exceptions says nothing of its bounds.
    let zone = table.zone(0, ColumnId(1)).unwrap().unwrap();
    assert_eq!((zone.values, zone.min, zone.max), (block.row_count(), None, None));
    assert_eq!(table.zone(0, ColumnId(9)).unwrap(), None);
}

#[test]
fn blocks_know_whether_they_are_clean() {
    let row =
        |key: &str, commit_ts, flags| TestRow { key: key.into(), commit_ts, flags, cells: vec![] };
    let written = |extra: &[TestRow], history_part: bool| {
        let bench = Bench::new();
        let mut rows = vec![row("a", 3, WHOLE), row("b", 4, WHOLE)];
        rows.extend_from_slice(extra);
        let options = WriterOptions { history_part, ..WriterOptions::default() };
        bench.write(&schema(&[]), options, &rows);
        let table = bench.open().unwrap();
        let block = table.block(0, false, ReadOptions::default()).unwrap();
        let info = table.block_info(0).unwrap();
        assert_eq!(block.is_clean(), info.is_clean());
        assert_eq!((block.min_ts(), block.max_ts()), (info.min_ts, info.max_ts));
        (block.is_clean(), info.has_history())
    };
    let clean_with = |extra: &[TestRow]| written(extra, true).0;
    assert!(clean_with(&[]));
    assert!(clean_with(&[row("c", 5, WHOLE)]));
    assert!(!clean_with(&[row("c", 5, ROW_MARKER)]));
    assert!(!clean_with(&[row("c", 5, ROW_COMPLETE)]));
    assert!(!clean_with(&[row("c", 5, WHOLE | ROW_DELETE)]));
    let older = [row("b", 3, WHOLE)];
    assert_eq!(written(&older, true), (true, true), "what is hidden is elsewhere");
    assert_eq!(written(&older, false), (false, false), "two versions of one key");
}

/// Rows of a few columns with every kind of cell, versions and flags.
fn rows() -> impl Strategy<Value = Vec<TestRow>> {
    let cell = prop_oneof![
        3 => (0..50i64).prop_map(int),
        1 => any::<i64>().prop_map(int),
        2 => Just(None),
        // Two and four bytes are integers: an int8 column would store them as eight.
        1 => proptest::collection::vec(any::<u8>(), 5..40).prop_map(Some),
    ];
    let cells = proptest::collection::btree_map(
        1..6u32,
        (prop_oneof![4 => Just(0), 1 => 0..99i64], cell),
        0..5,
    );
    let version = (0..8u8, cells);
    let versions = proptest::collection::vec(version, 1..4);
    let key = proptest::collection::vec(0..4u8, 0..7);
    proptest::collection::btree_map(key, versions, 0..60).prop_map(|rows| {
        rows.into_iter()
            .flat_map(|(key, versions)| {
                versions.into_iter().enumerate().map(move |(age, (flags, cells))| TestRow {
                    key: key.clone(),
                    commit_ts: 1000 - age as i64,
                    flags,
                    cells: cells.into_iter().map(|(c, (delta, value))| (c, delta, value)).collect(),
                })
            })
            .collect()
    })
}

/// The versions that nothing newer hides, and the others.
fn parts(rows: &[TestRow]) -> (Vec<&TestRow>, Vec<&TestRow>) {
    let hides = |row: &TestRow| row.flags & (ROW_DELETE | ROW_COMPLETE) != 0;
    let is_hidden =
        |at: usize| rows[..at].iter().any(|newer| newer.key == rows[at].key && hides(newer));
    let (hidden, data): (Vec<usize>, Vec<usize>) = (0..rows.len()).partition(|at| is_hidden(*at));
    let all = |places: Vec<usize>| places.into_iter().map(|at| &rows[at]).collect();
    (all(data), all(hidden))
}

fn codec() -> impl Strategy<Value = Codec> {
    prop_oneof![Just(Codec::None), Just(Codec::Lz4), Just(Codec::Zstd(1))]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 150, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_rows_round_trip(rows in rows(), codec in codec(), small in any::<bool>()) {
        let options = match small {
            true => small_blocks(codec),
            false => WriterOptions { codec, ..WriterOptions::default() },
        };
        let schema = schema(&[
            (1, PhysicalType::Int8),
            (2, PhysicalType::Bytes),
            (4, PhysicalType::Fixed16),
        ]);
        let bench = Bench::new();
        let summary = bench.write(&schema, options, &rows);
        let table = bench.open().unwrap();
        prop_assert_eq!(read_all(&table).unwrap(), rows.clone());
        prop_assert_eq!(summary.properties.rows, rows.len() as u64);
        table.verify().unwrap();

        let (data, hidden) = parts(&rows);
        prop_assert_eq!(table.rows_before(table.block_count()).unwrap(), data.len() as u64);
        prop_assert_eq!(table.properties().history.map_or(0, |part| part.rows), hidden.len() as u64);
        let mut first_row = 0;
        let all: Vec<&TestRow> = data.iter().chain(&hidden).copied().collect();
        for number in (0..table.block_count()).chain(table.history_blocks()) {
            let info = table.block_info(number).unwrap();
            if number < table.block_count() {
                prop_assert_eq!(table.rows_before(number).unwrap(), first_row as u64);
            }
            let here = &all[first_row..first_row + info.rows as usize];
            let (first, last) = table.block_bounds(number).unwrap();
            prop_assert_eq!(&first[..], &here[0].key[..]);
            prop_assert_eq!(&last[..], &here[here.len() - 1].key[..]);
            let times = || here.iter().map(|row| row.commit_ts);
            prop_assert_eq!(info.min_ts.0, times().min().unwrap());
            prop_assert_eq!(info.max_ts.0, times().max().unwrap());
            first_row += here.len();
        }
    }
}
