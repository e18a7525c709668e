//! The history part: what newer versions of a file hide lies apart from them.

use super::super::format::{BlockHead, Footer, HISTORY_BLOCK, HISTORY_PART, PageRef};
use super::super::properties;
use super::*;
use crate::checksum::crc32c;
use crate::sstable::{Depth, Near};
use terrane_client::read::KeyRange;

fn row(key: &str, commit_ts: i64, flags: u8) -> TestRow {
    TestRow { key: key.into(), commit_ts, flags, cells: vec![(1, 0, int(commit_ts))] }
}

fn int8() -> WriterSchema {
    schema(&[(1, PhysicalType::Int8)])
}

fn footer(bench: &Bench) -> Footer {
    let bytes = bench.bytes();
    Footer::decode(Bytes::copy_from_slice(&bytes[bytes.len() - Footer::BYTES..])).unwrap()
}

/// Keys with one version, with many of a kind, and with so many that they fill blocks of both parts.
fn of_all_kinds() -> Vec<TestRow> {
    let mut rows = Vec::new();
    for key in 0..40 {
        let name = format!("key {key:02}");
        let (partial, hidden) = [(0, 0), (0, 3), (2, 1), (50, 90), (30, 0)][key % 5];
        let mut commit_ts = 1000;
        let mut add = |flags| {
            commit_ts -= 1;
            rows.push(row(&name, commit_ts, flags));
        };
        (0..partial).for_each(|_| add(0));
        add(if key % 10 == 1 { ROW_DELETE } else { WHOLE });
        (0..hidden).for_each(|at| add([WHOLE, 0, ROW_DELETE][at % 3]));
    }
    rows
}

fn versions(table: &Sstable, key: &[u8], max_ts: i64) -> Vec<(i64, u8)> {
    let mut versions = table.versions(key, None, CommitTs(max_ts), ReadOptions::default()).unwrap();
    let mut found = Vec::new();
    while let Some(version) = versions.next().unwrap() {
        assert_eq!(version.block.rows().unwrap().key(version.row), key);
        found.push((version.commit_ts.0, version.flags));
    }
    found
}

#[test]
fn a_point_read_finds_all_versions_of_both_parts() {
    let (bench, rows) = (Bench::new(), of_all_kinds());
    bench.write(&int8(), small_blocks(Codec::Lz4), &rows);
    let table = bench.open().unwrap();
    table.verify().unwrap();
    assert!(table.history_blocks().len() > 40, "versions of one key fill several blocks");
    for key in 0..40 {
        let name = format!("key {key:02}").into_bytes();
        for max_ts in [i64::MAX, 999, 998, 960, 940, 900, 0] {
            let of_key = rows.iter().filter(|row| row.key == name && row.commit_ts <= max_ts);
            let expected: Vec<(i64, u8)> = of_key.map(|row| (row.commit_ts, row.flags)).collect();
            assert_eq!(versions(&table, &name, max_ts), expected, "key {key} at {max_ts}");
        }
        assert_eq!(versions(&table, &[&name[..], b"x"].concat(), i64::MAX), []);
    }
}

/// What is beneath a version is found from any row of the part, and from none.
#[test]
fn the_history_of_a_key_starts_with_its_newest_hidden_version() {
    let (bench, rows) = (Bench::new(), of_all_kinds());
    bench.write(&int8(), small_blocks(Codec::None), &rows);
    let table = bench.open().unwrap();
    let options = ReadOptions::default();
    let blocks = table.history_blocks().map(|number| table.block(number, true, options).unwrap());
    let rows_of = |block: Arc<Block>| {
        let rows = 0..=block.row_count();
        rows.map(move |row| Some(Near { block: block.clone(), row }))
    };
    let near: Vec<Option<Near>> = blocks.flat_map(rows_of).chain([None]).collect();
    for key in 0..40 {
        let name = format!("key {key:02}").into_bytes();
        let has_history = [false, true, true, true, false][key % 5];
        for near in &near {
            let block = near.as_ref().map(|near| &near.block);
            let found = table.history_of(&name, block, options).unwrap();
            let found = found.filter(|(_, rows)| !rows.is_empty());
            assert_eq!(found.is_some(), has_history, "key {key}");
            let at_once = near.as_ref().and_then(|near| near.rows_of(&name).unwrap());
            let Some((block, of_key)) = found else {
                assert!(at_once.is_none_or(|rows| rows.is_empty()), "key {key}");
                continue;
            };
            let hider = rows.iter().position(|row| row.key == name && row.flags != 0).unwrap();
            let first = block.rows().unwrap().commit_ts(of_key.start);
            assert_eq!(first.0, rows[hider + 1].commit_ts);
            if let (Some(near), Some(rows)) = (near, at_once) {
                assert!(Arc::ptr_eq(&near.block, &block) && rows == of_key);
            }
        }
    }
}

/// A key without history is known to have none from the rows around it.
#[test]
fn a_key_between_two_rows_is_not_looked_for() {
    let (bench, rows) = (Bench::new(), of_all_kinds());
    bench.write(&int8(), WriterOptions { history_part: true, ..WriterOptions::default() }, &rows);
    let table = bench.open().unwrap();
    let number = table.history_blocks().start;
    let block = table.block(number, true, ReadOptions::default()).unwrap();
    let lead = block.rows().unwrap();
    let next = lead.find(b"key 06");
    let before = lead.find(b"key 03");
    assert!(!next.is_empty() && !before.is_empty());
    // Of keys 4 and 5 nothing is hidden.
    for row in [next.start, before.end - 1] {
        let near = Near { block: block.clone(), row };
        for key in ["key 04", "key 05"] {
            assert_eq!(near.rows_of(key.as_bytes()).unwrap(), Some(next.start..next.start));
        }
        assert_eq!(near.rows_of(b"key 21").unwrap(), None);
    }
}

/// What is counted of a part of a file is by whole blocks, and of both parts.
#[test]
fn what_a_range_of_keys_has_is_counted_in_both_parts() {
    let of_key =
        |key: u32| (0..50).map(move |version| row(&format!("key {key:04}"), 1000 - version, WHOLE));
    let rows: Vec<_> = (0..400).flat_map(of_key).collect();
    let bench = Bench::new();
    bench.write(&int8(), small_blocks(Codec::None), &rows);
    let table = bench.open().unwrap();
    let all = table.rows_and_bytes_in(&KeyRange::all()).unwrap();
    assert_eq!(all, (rows.len() as u64, table.size_bytes()));
    for cuts in [1, 3, 10] {
        let edge = |at: u32| Bytes::from(format!("key {:04}", at * 400 / (cuts + 1)));
        let part = |at: u32| KeyRange {
            start: if at == 0 { Bytes::new() } else { edge(at) },
            end: (at < cuts).then(|| edge(at + 1)),
        };
        let of = |at| table.rows_and_bytes_in(&part(at)).unwrap();
        let (counted, bytes) =
            (0..=cuts).map(of).fold((0, 0), |sum, of| (sum.0 + of.0, sum.1 + of.1));
        let about = |all: u64| all * 9 / 10..all * 12 / 10;
        assert!(about(all.0).contains(&counted), "{cuts} cuts: {counted} of {} rows", all.0);
        assert!(about(all.1).contains(&bytes), "{cuts} cuts: {bytes} of {} bytes", all.1);
        for at in 0..=cuts {
            let (rows, _) = of(at);
            let even = all.0 / u64::from(cuts + 1);
            assert!((even / 2..even * 2).contains(&rows), "part {at}: {rows} of {even}");
        }
    }
}

/// Files without hidden versions are what they were before there was such a part, and are read by those who know of none.
#[test]
fn a_file_in_which_nothing_is_hidden_has_no_such_part() {
    let rows = [row("a", 5, 0), row("a", 4, WHOLE), row("b", 3, ROW_DELETE), row("c", 2, 0)];
    let written = |history_part| {
        let bench = Bench::new();
        let options = WriterOptions { history_part, ..WriterOptions::default() };
        bench.write(&int8(), options, &rows);
        bench
    };
    assert_eq!(footer(&written(true)).incompatible, 0);
    assert!(written(true).bytes() == written(false).bytes());
    assert_eq!(written(true).open().unwrap().history_blocks().len(), 0);
}

#[test]
fn where_cells_have_timestamps_of_the_clients_nothing_is_kept_apart() {
    let bench = Bench::new();
    let options = WriterOptions { client_times: true, ..WriterOptions::default() };
    bench.write(&int8(), options, &[row("a", 5, ROW_DELETE), row("a", 4, 0)]);
    assert_eq!(bench.open().unwrap().history_blocks().len(), 0);
}

#[test]
fn a_read_of_the_newest_version_reads_no_block_of_it() {
    let bench = Bench::new();
    let rows: Vec<TestRow> =
        (0..1000).map(|i| row(&format!("{:03}", i / 10), 2000 - i, WHOLE)).collect();
    bench.write(&int8(), small_blocks(Codec::Lz4), &rows);
    let table = bench.open().unwrap();
    let cached = |table: &Sstable, key: &str, max_ts: i64| {
        bench.cache.clear();
        let mut versions =
            table.versions(key.as_bytes(), None, CommitTs(max_ts), ReadOptions::default()).unwrap();
        let found = versions.next().unwrap().unwrap();
        (found.commit_ts.0, bench.cache.stats().data.entries)
    };
    assert_eq!(cached(&table, "050", i64::MAX), (1500, 1));
    assert_eq!(cached(&table, "050", 1500), (1500, 1));
    assert_eq!(cached(&table, "050", 1499), (1499, 2));
    read_all(&table).unwrap();
    drop(table);
    let stats = bench.cache.stats();
    assert_eq!((stats.data.entries, stats.meta.entries), (0, 0), "all of it goes with the file");
}

/// The worked example of docs/format-sstable.md.
#[test]
fn the_documented_history_part_is_what_the_writer_writes() {
    let bench = Bench::new();
    let options = WriterOptions { codec: Codec::None, ..WriterOptions::default() };
    bench.write(&int8(), options, &[row("k", 9, WHOLE), row("k", 5, WHOLE)]);
    let (bytes, table) = (bench.bytes(), bench.open().unwrap());
    let words = |bytes: &[u8]| {
        let words = bytes.chunks(4).map(|word| word.iter().map(|b| format!("{b:02x}")).collect());
        words.collect::<Vec<String>>().join(" ")
    };
    let head = |number| {
        let at = table.block_outline(number).unwrap().offset as usize;
        words(&bytes[at..at + BlockHead::len(0)])
    };
    let (at, _) = property(&bytes);
    let shown = [
        ("block 0", head(0)),
        ("block 2^31", head(HISTORY_BLOCK)),
        ("property", words(&bytes[at..at + PageRef::BYTES + 12])),
    ];
    let document = include_str!("../../../../docs/format-sstable.md");
    let flat: String = document.split_whitespace().collect::<Vec<_>>().join(" ");
    let missing = shown.iter().filter(|(_, words)| !flat.contains(words));
    assert_eq!(missing.collect::<Vec<_>>(), [] as [&(&str, String); 0]);
    assert_eq!(footer(&bench).incompatible, HISTORY_PART);
}

/// Where the value of the property begins, and the section.
fn property(bytes: &[u8]) -> (usize, PageRef) {
    let footer = &bytes[bytes.len() - Footer::BYTES..];
    let section = Footer::decode(Bytes::copy_from_slice(footer)).unwrap().properties;
    let from = section.offset as usize;
    let name = properties::HISTORY.as_bytes();
    let all = &bytes[from..from + section.stored_len as usize];
    let at = all.windows(name.len()).position(|window| window == name).unwrap();
    (from + at + name.len(), section)
}

/// Writes changed bytes, with right checksums of properties and footer.
fn forge(bench: &Bench, mut bytes: Vec<u8>, change: impl Fn(&mut Footer)) {
    let at = bytes.len() - Footer::BYTES;
    let mut footer = Footer::decode(Bytes::copy_from_slice(&bytes[at..])).unwrap();
    let from = footer.properties.offset as usize;
    footer.properties.crc = crc32c(&bytes[from..from + footer.properties.stored_len as usize]);
    change(&mut footer);
    let mut encoded = Vec::new();
    footer.encode(&mut encoded);
    bytes[at..].copy_from_slice(&encoded);
    bench.disk.open_write(&Bench::path()).unwrap().write_at(&bytes, 0).unwrap();
}

/// The first thing that is found to be wrong with a file, if it opens.
fn first_problem(bench: &Bench) -> Result<String> {
    bench.cache.clear();
    let found = bench.open()?.examine(Depth::Pages);
    Ok(found.problems.first().map(ToString::to_string).unwrap_or_default())
}

#[test]
fn a_part_that_is_not_what_the_file_says_is_found() {
    let written = || {
        let bench = Bench::new();
        let options = WriterOptions { codec: Codec::None, ..small_blocks(Codec::None) };
        bench.write(&int8(), options, &of_all_kinds());
        bench
    };
    assert_eq!(first_problem(&written()).unwrap(), "");

    // The footer and the properties must agree on whether there is one.
    let bench = written();
    forge(&bench, bench.bytes(), |footer| footer.incompatible = 0);
    assert!(first_problem(&bench).unwrap_err().to_string().contains("history part"));

    // The rows that the property says: the last eight bytes of its value.
    let (bench, mut bytes) = (written(), written().bytes());
    let (at, _) = property(&bytes);
    bytes[at + PageRef::BYTES + 4] += 1;
    forge(&bench, bytes, |_| ());
    assert!(first_problem(&bench).unwrap().contains("another number of rows"));

    // More blocks than its index has.
    let (bench, mut bytes) = (written(), written().bytes());
    bytes[at + PageRef::BYTES] += 1;
    forge(&bench, bytes, |_| ());
    assert!(first_problem(&bench).unwrap_err().to_string().contains("another number of blocks"));
}

/// A hidden version that nothing hides would be seen by nobody.
#[test]
fn a_hidden_version_that_nothing_hides_is_found() {
    let bench = Bench::new();
    let options = WriterOptions { codec: Codec::None, ..WriterOptions::default() };
    bench.write(&int8(), options, &[row("k", 9, WHOLE), row("k", 5, WHOLE)]);
    let mut bytes = bench.bytes();
    // The flags of the row in block 0, all of which are its page's base, become those of an update.
    let table = bench.open().unwrap();
    let outline = table.block_outline(0).unwrap();
    let flags = outline.pages[2].part;
    bytes[flags.offset as usize + 1] = 0;
    right_block(&mut bytes, outline.offset as usize, outline.pages.len());
    bench.disk.open_write(&Bench::path()).unwrap().write_at(&bytes, 0).unwrap();
    let problems = || {
        bench.cache.clear();
        let found = bench.open().unwrap().examine(Depth::Pages).problems;
        found.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    assert!(problems().contains("that no newer one hides"), "{}", problems());
}

/// Rights the checksums of an uncompressed block's third page and of its head.
fn right_block(bytes: &mut [u8], at: usize, pages: usize) {
    let entry = at + BlockHead::len(2) + 8;
    let number = |bytes: &[u8], at: usize, len: usize| {
        bytes[at..at + len].iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte))
    };
    let (offset, len) = (number(bytes, entry, 8), number(bytes, entry + 8, 4));
    let crc = crc32c(&bytes[at + offset..at + offset + len]);
    bytes[entry + PageRef::CRC_AT..entry + PageRef::CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c(&bytes[at + 8..at + BlockHead::len(pages)]);
    bytes[at + 4..at + 8].copy_from_slice(&crc.to_le_bytes());
}
