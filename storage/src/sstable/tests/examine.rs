//! Verifying a file with a tool: everything that is wrong is listed, and what no checksum can tell is found
//! by counting.

use super::super::format::{FILTERS_KNOW_COLUMNS, Footer, PageRef};
use super::*;
use crate::checksum::crc32c;
use crate::sstable::Depth;

fn written() -> Bench {
    let bench = Bench::new();
    let rows: Vec<TestRow> = (0..60u8)
        .map(|i| TestRow {
            key: vec![b'k', i / 3],
            commit_ts: 100 - i64::from(i),
            flags: if i % 7 == 0 { ROW_DELETE } else { WHOLE },
            cells: vec![(1, 0, int(i64::from(i))), (2, 0, text("words")), (9, 0, text("unknown"))],
        })
        .collect();
    let schema = schema(&[(1, PhysicalType::Int8), (2, PhysicalType::Bytes)]);
    bench.write(&schema, small_blocks(Codec::None), &rows);
    bench
}

/// Changes a section and makes the checksums right again.
fn forge(bench: &Bench, section: impl Fn(&mut Footer) -> &mut PageRef, change: impl Fn(&mut [u8])) {
    let mut bytes = bench.bytes();
    let at = bytes.len() - Footer::BYTES;
    let mut footer = Footer::decode(Bytes::copy_from_slice(&bytes[at..])).unwrap();
    let reference = section(&mut footer);
    let start = reference.offset as usize;
    let stored = &mut bytes[start..start + reference.stored_len as usize];
    change(stored);
    reference.crc = crc32c(stored);
    let mut encoded = Vec::new();
    footer.encode(&mut encoded);
    bytes[at..].copy_from_slice(&encoded);
    bench.disk.open_write(&Bench::path()).unwrap().write_at(&bytes, 0).unwrap();
}

fn problems(bench: &Bench, depth: Depth) -> Vec<String> {
    bench.cache.clear();
    let found = bench.open().unwrap().examine(depth);
    found.problems.iter().map(ToString::to_string).collect()
}

#[test]
fn a_good_file_is_counted_in_full() {
    let bench = written();
    let table = bench.open().unwrap();
    let found = table.examine(Depth::Pages);
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    let blocks = table.block_count() + table.history_blocks().len() as u32;
    assert_eq!((found.rows, found.blocks), (60, blocks));
    assert!(found.pages >= u64::from(found.blocks) * 5);
    let outline = table.outline().unwrap();
    assert_eq!(outline.file_bytes, table.size_bytes());
    let partitions = outline.partitions.iter().chain(&outline.history_partitions);
    assert_eq!(partitions.map(|partition| partition.counts.2).sum::<u64>(), 60);
    assert!(outline.history_blocks > 0);
}

#[test]
fn one_damaged_page_does_not_hide_another() {
    let bench = written();
    let table = bench.open().unwrap();
    let page_of = |number| table.block_outline(number).unwrap().pages[3].part;
    let (first, second) = (page_of(1), page_of(4));
    for part in [first, second] {
        bench.disk.flip_bit(&Bench::path(), part.offset + 1, 2).unwrap();
    }
    let found = problems(&bench, Depth::Pages);
    assert_eq!(found.len(), 2, "{found:?}");
    for (text, part) in found.iter().zip([first, second]) {
        assert!(text.contains(&format!("offset {}: checksum mismatch", part.offset)), "{text}");
    }
    assert!(problems(&bench, Depth::Sections).is_empty(), "blocks are not read");
}

#[test]
fn counts_that_no_row_bears_out_are_found() {
    let bench = written();
    let replace = |from: &'static [u8]| {
        move |section: &mut [u8]| {
            let at = section.windows(from.len()).position(|window| window == from).unwrap();
            section[at + from.len()] += 1;
        }
    };
    forge(&bench, |footer| &mut footer.properties, replace(b"rows"));
    assert_eq!(problems(&bench, Depth::Pages).len(), 1, "{:?}", problems(&bench, Depth::Pages));
    assert!(problems(&bench, Depth::Pages)[0].contains("other counts"));
    let bench = written();
    forge(&bench, |footer| &mut footer.properties, replace(b"max_commit_ts"));
    assert!(problems(&bench, Depth::Pages)[0].contains("other timestamps"));
}

#[test]
fn a_filter_that_denies_a_column_is_found() {
    let bench = written();
    fn saying_more(footer: &mut Footer) -> &mut PageRef {
        footer.compatible = FILTERS_KNOW_COLUMNS;
        &mut footer.properties
    }
    forge(&bench, saying_more, |_| ());
    let found = problems(&bench, Depth::Pages);
    assert!(found[0].contains("a column of a key is not in the filter"), "{found:?}");
    assert!(problems(&bench, Depth::Sections).is_empty());
}

#[test]
fn an_index_that_leads_astray_is_found() {
    let bench = written();
    // The last byte of the top index is of the last partition's last key.
    forge(&bench, |footer| &mut footer.top_index, |section| *section.last_mut().unwrap() += 1);
    for depth in [Depth::Sections, Depth::Pages] {
        let found = problems(&bench, depth);
        assert!(found[0].contains("top index has other keys"), "{found:?}");
    }
}
