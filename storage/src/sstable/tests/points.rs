//! Point reads and key ranges.

use super::*;
use terrane_client::schema::BlockFilter;

fn numbered(count: u32) -> Vec<TestRow> {
    (0..count)
        .map(|i| TestRow {
            key: (i * 2).to_be_bytes().to_vec(),
            commit_ts: i64::from(i) + 1,
            flags: WHOLE,
            cells: vec![(1, 0, int(i64::from(i)))],
        })
        .collect()
}

fn versions(table: &Sstable, key: &[u8], max_ts: i64) -> Vec<(i64, u8)> {
    let mut versions = table.versions(key, None, CommitTs(max_ts), ReadOptions::default()).unwrap();
    let mut found = Vec::new();
    while let Some(version) = versions.next().unwrap() {
        found.push((version.commit_ts.0, version.flags));
        assert_eq!(version.block.rows().unwrap().key(version.row), key);
    }
    found
}

#[test]
fn every_key_is_found_and_no_other() {
    let bench = Bench::new();
    bench.write(&schema(&[(1, PhysicalType::Int8)]), small_blocks(Codec::Lz4), &numbered(5000));
    let table = bench.open().unwrap();
    assert!(table.block_count() > 400, "several index partitions");
    for i in 0..5000u32 {
        let ts = i64::from(i) + 1;
        let key = (i * 2).to_be_bytes();
        assert_eq!(versions(&table, &key, i64::MAX), [(ts, WHOLE)]);
        assert_eq!(versions(&table, &key, ts), [(ts, WHOLE)]);
        assert_eq!(versions(&table, &key, ts - 1), []);
        assert_eq!(versions(&table, &(i * 2 + 1).to_be_bytes(), i64::MAX), []);
    }
    assert_eq!(versions(&table, b"", i64::MAX), []);
    assert_eq!(versions(&table, &[0xff; 9], i64::MAX), []);
    let absent =
        (0..5000u32).filter(|i| table.may_contain(&(i * 2 + 1).to_be_bytes(), None).unwrap());
    assert!(absent.count() < 200, "the filter keeps absent keys out");
}

#[test]
fn a_filter_of_columns_spares_rows_without_them_and_no_others() {
    for filter in [BlockFilter::Row, BlockFilter::RowColumn] {
        let bench = Bench::new();
        // Every third row hides what is older; every fifth has a second version, with another column.
        let mut rows = Vec::new();
        for i in 0..2000u32 {
            let row = |age: i64, flags, column| TestRow {
                key: i.to_be_bytes().to_vec(),
                commit_ts: i64::from(i) + 10 - age,
                flags,
                cells: vec![(column, 0, int(1))],
            };
            rows.push(row(0, if i % 3 == 0 { WHOLE } else { 0 }, 1 + i % 2));
            rows.extend((i % 5 == 0).then(|| row(1, 0, 3)));
        }
        let columns = [1, 2, 3].map(|id| (id, PhysicalType::Int8));
        let options = WriterOptions { filter, ..small_blocks(Codec::Lz4) };
        bench.write(&schema(&columns), options, &rows);
        let table = bench.open().unwrap();
        table.verify().unwrap();
        let found = |i: u32, columns: &[u32]| {
            let columns: Vec<ColumnId> = columns.iter().copied().map(ColumnId).collect();
            let (key, options) = (i.to_be_bytes(), ReadOptions::default());
            let mut versions =
                table.versions(&key, Some(&columns), CommitTs::MAX, options).unwrap();
            versions.next().unwrap().is_some()
        };
        let (mut passed, skipped_before) = (0, ReadCounts::now());
        for i in 0..2000 {
            assert!(found(i, &[1 + i % 2]) && found(i, &[1, 2, 4]));
            assert!(i % 5 != 0 || found(i, &[3]));
            assert!(i % 3 != 0 || found(i, &[]));
            passed += u32::from(i % 3 != 0 && i % 5 != 0 && found(i, &[3, 4]));
        }
        let skipped = ReadCounts::now().since(skipped_before).files_skipped;
        match filter {
            BlockFilter::RowColumn => {
                assert!(passed < 100, "{passed} of 1067 rows are read without the columns");
                assert_eq!(skipped, u64::from(1067 - passed));
            }
            _ => assert_eq!((passed, skipped), (1067, 0)),
        }
    }
}

#[test]
fn a_point_read_reads_a_block_once_and_keys_in_one_read() {
    let bench = Bench::new();
    bench.write(&schema(&[(1, PhysicalType::Int8)]), WriterOptions::default(), &numbered(5000));
    let table = bench.open().unwrap();
    versions(&table, &0u32.to_be_bytes(), i64::MAX);
    let before = bench.disk.counters(Path::new("/"));
    let mut found = table
        .versions(&9000u32.to_be_bytes(), None, CommitTs::MAX, ReadOptions::default())
        .unwrap();
    let version = found.next().unwrap().unwrap();
    let cells = version.block.row_cells(version.row, None).unwrap();
    assert_eq!(cells.get(ColumnId(1)), Some(Some(&4500i64.to_le_bytes()[..])));
    let reads = bench.disk.counters(Path::new("/")).reads - before.reads;
    assert!(reads <= 2, "one for the block's keys, one for the column, not {reads}");
    let before = bench.disk.counters(Path::new("/"));
    version.block.row_cells(version.row, Some(&[ColumnId(1)])).unwrap();
    versions(&table, &9000u32.to_be_bytes(), i64::MAX);
    assert_eq!(bench.disk.counters(Path::new("/")).reads, before.reads, "all is cached");
}

#[test]
fn versions_of_a_hot_row_go_on_in_the_next_blocks() {
    let bench = Bench::new();
    let mut rows: Vec<TestRow> = (0..100)
        .map(|i| TestRow {
            key: b"hot".to_vec(),
            commit_ts: 1000 - i,
            flags: 0,
            cells: vec![(1, 0, int(i))],
        })
        .collect();
    rows.insert(0, TestRow { key: b"a".to_vec(), commit_ts: 5, flags: WHOLE, cells: vec![] });
    rows.push(TestRow { key: b"z".to_vec(), commit_ts: 6, flags: WHOLE, cells: vec![] });
    bench.write(&schema(&[(1, PhysicalType::Int8)]), small_blocks(Codec::None), &rows);
    let table = bench.open().unwrap();
    assert!(table.block_count() > 4);
    assert_eq!(read_all(&table).unwrap(), rows);
    let all = versions(&table, b"hot", i64::MAX);
    assert_eq!(all, (0..100).map(|i| (1000 - i, 0)).collect::<Vec<_>>());
    assert_eq!(versions(&table, b"hot", 905), [905, 904, 903, 902, 901].map(|ts| (ts, 0)));
    assert_eq!(versions(&table, b"hot", 900), []);
    assert_eq!(versions(&table, b"z", i64::MAX), [(6, WHOLE)]);
    for number in 0..table.block_count() {
        let (info, last) = (table.block_info(number).unwrap(), table.block_count() - 1);
        let continues = info.flags & block_flags::CONTINUES != 0;
        let continued = info.flags & block_flags::CONTINUED != 0;
        assert_eq!((continues, continued), (number > 0, number < last));
        assert!(!info.is_clean());
    }
}

#[test]
fn the_filter_of_the_next_partition_knows_a_key_that_goes_on_there() {
    let bench = Bench::new();
    // Long keys: every partition holds few blocks, and the hot row spans several partitions.
    let key = vec![7; 3000];
    let rows: Vec<TestRow> = (0..400)
        .map(|i| TestRow { key: key.clone(), commit_ts: 1000 - i, flags: 0, cells: vec![] })
        .collect();
    bench.write(&schema(&[]), small_blocks(Codec::Lz4), &rows);
    let table = bench.open().unwrap();
    assert_eq!(versions(&table, &key, i64::MAX).len(), 400);
    assert_eq!(versions(&table, &key, 601), [(601, 0)]);
}

#[test]
fn ranges_are_the_blocks_whose_own_bounds_meet_them() {
    let bench = Bench::new();
    let rows = numbered(2000);
    bench.write(&schema(&[(1, PhysicalType::Int8)]), small_blocks(Codec::Lz4), &rows);
    let table = bench.open().unwrap();
    let bounds: Vec<_> =
        (0..table.block_count()).map(|number| table.block_bounds(number).unwrap()).collect();
    let expect = |start: &[u8], end: Option<&[u8]>| {
        let meets: Vec<u32> = (0..table.block_count())
            .filter(|number| {
                let (first, last) = &bounds[*number as usize];
                start <= &last[..] && end.is_none_or(|end| &first[..] < end)
            })
            .collect();
        let blocks = table.blocks_in(start, end).unwrap();
        assert_eq!(blocks.clone().collect::<Vec<_>>(), meets, "{start:?} {end:?}");
    };
    for start in [0u32, 1, 2, 17, 18, 19, 40, 2001, 3998, 3999, 9000] {
        expect(&start.to_be_bytes(), None);
        for len in [0, 1, 2, 3, 30, 1500, 9000] {
            expect(&start.to_be_bytes(), Some(&(start + len).to_be_bytes()));
        }
    }
    expect(b"", Some(b""));
    expect(b"", None);
    let (first, _) = &bounds[300];
    expect(&bounds[299].1, Some(first));
}

#[test]
fn searches_inside_a_block_agree_with_its_rows() {
    let bench = Bench::new();
    let mut rows = Vec::new();
    for i in 0..300u32 {
        for version in 0..=(i % 3) {
            rows.push(TestRow {
                key: (i * 2).to_be_bytes().to_vec(),
                commit_ts: 100 - i64::from(version),
                flags: 0,
                cells: vec![],
            });
        }
    }
    bench.write(&schema(&[]), WriterOptions::default(), &rows);
    let table = bench.open().unwrap();
    let block = table.block(0, true, ReadOptions::default()).unwrap();
    let view = block.rows().unwrap();
    assert_eq!((view.len(), block.key_count()), (600, 300));
    for probe in 0..610u32 {
        let key = probe.to_be_bytes();
        let lower = rows.partition_point(|row| row.key[..] < key[..]) as u32;
        let upper = rows.partition_point(|row| row.key[..] <= key[..]) as u32;
        assert_eq!(view.lower_bound(&key), lower);
        assert_eq!(view.find(&key), lower..upper);
        if lower < upper {
            assert_eq!(view.versions_of(upper - 1), lower..upper);
            assert!(view.compare_key(lower, &key).is_eq());
        }
    }
    let mut times = Vec::new();
    view.append_commit_ts(5..9, &mut times);
    assert_eq!(times, (5..9).map(|row| view.commit_ts(row).0).collect::<Vec<_>>());
}

#[test]
fn a_closed_table_leaves_nothing_in_the_cache() {
    let bench = Bench::new();
    bench.write(&schema(&[(1, PhysicalType::Int8)]), small_blocks(Codec::Lz4), &numbered(500));
    let table = bench.open().unwrap();
    table
        .versions(&8u32.to_be_bytes(), None, CommitTs::MAX, ReadOptions { fill_cache: false })
        .unwrap();
    assert_eq!(bench.cache.stats().data.entries, 0, "this read was not to fill it");
    read_all(&table).unwrap();
    table.zone(0, ColumnId(1)).unwrap();
    let stats = bench.cache.stats();
    assert_eq!(stats.data.entries, u64::from(table.block_count()));
    let resident: u64 = (0..table.block_count())
        .map(|n| table.block(n, false, ReadOptions::default()).unwrap().resident_bytes() as u64)
        .sum();
    assert_eq!(bench.cache.stats().data.bytes, resident, "growth is weighed");
    assert!(stats.meta.entries >= 3);
    drop(table);
    let stats = bench.cache.stats();
    assert_eq!((stats.data.entries, stats.meta.entries), (0, 0));
}
