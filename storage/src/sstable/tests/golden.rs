//! The format as it is stored: files written once are read forever, and the documentation's example is
//! what the writer writes.
//!
//! `TERRANE_REGENERATE=1` writes the example and missing golden files anew. A golden file that exists is
//! never written again: a change that breaks it needs a new format version.

use super::super::format::{BlockHead, Footer, PageEntry, PageRef};
use super::super::index::{Partition, TopIndex};
use super::*;
use std::fmt::Write;
use std::ops::Range;
use terrane_client::types::DataType;

const DOCUMENT: &str = include_str!("../../../../docs/format-sstable.md");

fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn regenerate() -> bool {
    std::env::var_os("TERRANE_REGENERATE").is_some()
}

/// The documentation's file.
fn example() -> Vec<u8> {
    let bench = Bench::new();
    let schema = WriterSchema {
        storage: StorageId(1000),
        version: 1,
        group: LocalityGroupId(0),
        ..schema(&[(1, PhysicalType::Int8)])
    };
    let row =
        TestRow { key: b"k".to_vec(), commit_ts: 5, flags: WHOLE, cells: vec![(1, 0, int(7))] };
    // Uncompressed, so that all of it can be read.
    let options = WriterOptions { codec: Codec::None, ..WriterOptions::default() };
    bench.write(&schema, options, &[row]);
    bench.bytes()
}

/// The parts of a file, in order, named.
fn parts(bytes: &[u8]) -> Vec<(String, Range<usize>)> {
    let input = |range: Range<usize>| Bytes::copy_from_slice(&bytes[range]);
    let range = |reference: &PageRef, base: usize| {
        let start = base + reference.offset as usize;
        start..start + reference.stored_len as usize
    };
    let footer_at = bytes.len() - Footer::BYTES;
    let footer = Footer::decode(input(footer_at..bytes.len())).unwrap();
    let mut parts = vec![("footer".to_owned(), footer_at..bytes.len())];
    for (name, reference) in [
        ("top index", footer.top_index),
        ("columns", footer.columns),
        ("properties", footer.properties),
        ("range tombstones", footer.tombstones),
    ] {
        parts.push((name.to_owned(), range(&reference, 0)));
    }
    let columns = super::super::schema::decode(input(range(&footer.columns, 0))).unwrap();
    for column in columns {
        parts.push((format!("zone map of column {}", column.id.0), range(&column.zones, 0)));
    }
    let top = TopIndex::decode(input(range(&footer.top_index, 0)), footer.blocks).unwrap();
    for entry in &top.entries {
        parts.push(("index partition".to_owned(), range(&entry.index, 0)));
        parts.push(("filter".to_owned(), range(&entry.filter, 0)));
        let partition = Partition::decode(input(range(&entry.index, 0))).unwrap();
        for info in &partition.blocks {
            let at = info.offset as usize;
            let head = BlockHead::decode(input(at..at + info.head_len as usize)).unwrap();
            parts.push(("block head".to_owned(), at..at + BlockHead::len(0)));
            for (index, page) in head.pages.iter().enumerate() {
                let entry_at = at + BlockHead::len(index);
                let name = match page.column {
                    0 => format!("{:?}", page.kind).to_lowercase(),
                    id => format!("column {id}"),
                };
                parts.push((format!("page entry: {name}"), entry_at..entry_at + PageEntry::BYTES));
                parts.push((format!("page: {name}"), range(&page.reference, at)));
            }
        }
    }
    parts.sort_by_key(|(_, range)| range.start);
    parts
}

fn dump(bytes: &[u8]) -> String {
    let (mut text, mut next) = (String::new(), 0);
    for (name, range) in parts(bytes) {
        assert_eq!(range.start, next, "{name}: there is no byte between the parts");
        next = range.end;
        writeln!(text, "{:04x} {name}", range.start).unwrap();
        for line in bytes[range].chunks(32) {
            let words: Vec<String> = line
                .chunks(4)
                .map(|word| word.iter().map(|byte| format!("{byte:02x}")).collect())
                .collect();
            writeln!(text, "     {}", words.join(" ")).unwrap();
        }
    }
    assert_eq!(next, bytes.len());
    text
}

#[test]
fn the_documented_example_is_what_the_writer_writes() {
    let dumped = dump(&example());
    let (before, rest) = DOCUMENT.rsplit_once("\n```\n").map_or(("", ""), |(text, _)| {
        text.rsplit_once("\n```").expect("the example is between fences")
    });
    if regenerate() {
        let env = Env::system();
        let path = repository("../docs/format-sstable.md");
        env.files.remove(&path).unwrap();
        let document = format!("{before}\n```\n{dumped}```\n");
        env.files.write_new_durable(&path, document.as_bytes()).unwrap();
        return;
    }
    assert_eq!(rest.trim_start_matches('\n'), dumped.trim_end_matches('\n'));
}

/// Rows with every kind of page and section.
fn golden_rows() -> Vec<TestRow> {
    (0..240u32)
        .map(|i| {
            let wide = (i128::from(i) << (i % 90)).to_le_bytes().to_vec();
            let narrow = [i128::from(i).to_le_bytes(), [0; 16]].concat();
            let cells = [
                (1, Some(vec![(i % 2) as u8])),
                (2, Some((i as i16 - 120).to_le_bytes().to_vec())),
                (3, (i % 3 > 0).then(|| (i * 1000).to_le_bytes().to_vec())),
                (4, int(i64::from(i) * -77_777_777)),
                (5, Some(wide)),
                (6, Some(narrow)),
                (7, Some((f32::from(i as u16 % 4)).to_le_bytes().to_vec())),
                (8, Some((f64::from(i) / 3.0).to_le_bytes().to_vec())),
                (9, Some(vec![(i % 251) as u8; 16])),
                (10, text(["AA", "UA", "DL", "a longer carrier"][i as usize % 4])),
                (11, text(&format!("row number {i}, and something that compresses"))),
                (12, text("the same")),
                (20, (i % 50 == 0).then(|| vec![1, 2, 3])),
            ];
            TestRow {
                key: format!("key {:04}", i / 2 * 3).into_bytes(),
                commit_ts: 1_700_000_000_000_000 - i64::from(i),
                flags: [WHOLE, 0, ROW_DELETE][i as usize % 3],
                cells: cells
                    .into_iter()
                    .filter(|(id, _)| (i + id) % 17 > 0 && (*id < 20 || i % 40 < 20))
                    .map(|(id, value)| (id, i64::from((i + id) % 31 == 0) * 9, value))
                    .collect(),
            }
        })
        .collect()
}

fn golden_file(codec: Codec, history_part: bool) -> Vec<u8> {
    use PhysicalType as P;
    let types = [
        P::Bool,
        P::Int2,
        P::Int4,
        P::Int8,
        P::Int16,
        P::Int32,
        P::Float4,
        P::Float8,
        P::Fixed16,
        P::Bytes,
        P::Bytes,
        P::Bytes,
    ];
    let columns: Vec<(u32, PhysicalType)> = (1..).zip(types).collect();
    let bench = Bench::new();
    let (block_bytes, block_rows) = (8 << 10, 60);
    let options = WriterOptions::default();
    let options = WriterOptions { codec, block_bytes, block_rows, history_part, ..options };
    let mut writer = bench.writer(&schema(&columns), options);
    golden_rows().iter().for_each(|row| add(&mut writer, row).unwrap());
    for (start, end) in [("a", Some("b")), ("key 9", None)] {
        writer.add_range_tombstone(RangeTombstone {
            start: start.into(),
            end: end.map(Bytes::from),
            commit_ts: CommitTs(1_700_000_000_000_001),
        });
    }
    writer.set_property("requests", Bytes::from_static(b"golden"));
    writer.finish().unwrap();
    bench.bytes()
}

fn golden((name, codec, history_part): (&str, Codec, bool)) -> Vec<u8> {
    let path = repository("src/sstable/tests").join(name);
    let env = Env::system();
    if regenerate() && !env.files.exists(&path).unwrap() {
        env.files.write_new_durable(&path, &golden_file(codec, history_part)).unwrap();
    }
    env.files.read(&path).unwrap()
}

/// Names, codecs, and whether the file has a history part.
const GOLDEN: [(&str, Codec, bool); 4] = [
    ("golden-v1-none.sst", Codec::None, false),
    ("golden-v1-lz4.sst", Codec::Lz4, false),
    ("golden-v1-zstd.sst", Codec::Zstd(3), false),
    ("golden-v1-history.sst", Codec::None, true),
];

#[test]
fn golden_files_are_read_forever() {
    for (name, codec, history_part) in GOLDEN {
        let bytes = golden((name, codec, history_part));
        let bench = Bench::new();
        bench.disk.write_new_durable(&Bench::path(), &bytes).unwrap();
        let table = bench.open().unwrap();
        table.verify().unwrap();
        assert_eq!(read_all(&table).unwrap(), golden_rows(), "{name}");
        assert_eq!(table.properties().user["requests"], &b"golden"[..]);
        assert_eq!(table.properties().rows, 240);
        let hidden = table.properties().history.map_or(0, |history| history.rows);
        assert_eq!(hidden, if history_part { 80 } else { 0 }, "{name}");
        assert_eq!(table.range_tombstones().len(), 2);
        assert_eq!(table.range_tombstones()[1].end, None);
        let zone = table.zone(0, ColumnId(2)).unwrap().unwrap();
        assert_eq!(zone.min.unwrap(), ZoneBound { value: ZoneValue::Int(-120), exact: true });
        let zone = table.zone(0, ColumnId(11)).unwrap().unwrap();
        let min = ZoneValue::Bytes(b"row number 0, an".to_vec());
        assert_eq!(zone.min.unwrap(), ZoneBound { value: min, exact: false });
        for row in golden_rows() {
            assert!(
                table.may_contain(&row.key, None).unwrap(),
                "{name}: the filter knows its keys"
            );
        }
        let block = table.block(0, false, ReadOptions::default()).unwrap();
        let rows = RowSelection::Range(0..block.row_count());
        for (id, data_type) in [(10, DataType::Text), (6, DataType::Numeric(None))] {
            block.column_array(ColumnId(id), &data_type, &rows).unwrap();
        }
    }
}

/// Of the uncompressed ones every byte is ours; compressors may find better ways.
#[test]
fn the_writer_still_writes_the_golden_files() {
    for (name, codec, history_part) in [GOLDEN[0], GOLDEN[3]] {
        assert!(
            golden((name, codec, history_part)) == golden_file(codec, history_part),
            "the format of {name} changed: it needs a new version"
        );
    }
}
