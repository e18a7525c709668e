//! Feeds the decoders with anything: nothing may panic, loop or allocate without bound.
//!
//! Two ways, chosen by the first byte. Single decoders take the rest as it is, without any checksum in the
//! way. A whole file, written once, is changed at places that the rest names; its checksums are then made
//! right again, so that what is tested is what lies behind them.

use super::byte_values::ByteValues;
use super::codec;
use super::exceptions::Exceptions;
use super::filter::Filter;
use super::format::{BlockHead, Encoding, Footer, PageEntry, PageRef};
use super::index::{BlockInfo, Partition, TopEntry, TopIndex};
use super::input::Input;
use super::ints::Ints;
use super::keys::Keys;
use super::properties::Properties;
use super::selection::RowSelection;
use super::values::ColumnPage;
use super::writer::{Cell, RowVersion, SstableWriter, WriterOptions};
use super::zone::ZoneMap;
use super::{Codec, RangeTombstone, ReadOptions, Result, Sstable, WriterSchema};
use super::{properties, schema, tombstones};
use crate::cache::{BlockCache, CacheOptions};
use crate::checksum::crc32c;
use crate::request_ids::RequestHistory;
use bytes::Bytes;
use parking_lot::Mutex;
use std::hint::black_box;
use std::ops::Range;
use std::path::Path;
use std::sync::{Arc, LazyLock};
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::types::{DataType, PhysicalType};
use terrane_env::files::File;

/// The first byte of an input that goes to a single decoder is below this.
const DECODERS: u8 = 16;

/// Decodes `data` in one of many ways. Returns, whatever `data` is.
pub fn fuzz_decode(data: &[u8]) {
    let Some((which, rest)) = data.split_first() else { return };
    match *which {
        0..DECODERS => single(*which, rest),
        _ => {
            let _damaged = changed_file(*which, rest);
        }
    }
}

fn single(which: u8, data: &[u8]) {
    let body = Bytes::copy_from_slice(data.get(4..).unwrap_or_default());
    let size = |at: usize| usize::from(data.get(at).copied().unwrap_or(0));
    let rows = (size(0) | size(1) << 8) & 0x7fff;
    let other = size(2) | size(3) << 8;
    let mut input = Input::new(body.clone());
    match which {
        0 => drop(Footer::decode_body(&mut input)),
        1 => drop(BlockHead::decode_body(&mut input)),
        2 => {
            if let Ok(keys) = Keys::decode(body, rows, other.min(rows)) {
                let mut key = Vec::new();
                (0..rows).for_each(|row| keys.append(keys.key_of_row(row), &mut key));
                keys.search(&key);
            }
        }
        3 => {
            if let Ok(ints) = Ints::decode(&mut input, rows) {
                let mut all: Vec<i32> = Vec::new();
                ints.unpack(0..rows, &mut all);
                (0..rows).for_each(|row| _ = black_box(ints.get(row)));
            }
        }
        4..8 => {
            let physical = schema::physical_of(other as u8 % 12);
            let encoding = Encoding::decode((other >> 8) as u8 % 9);
            if let (Ok(physical), Ok(encoding)) = (physical, encoding)
                && let Ok(page) = ColumnPage::decode(body, encoding, physical, rows)
            {
                (0..rows).for_each(|row| _ = black_box(page.cell(row)));
            }
        }
        8 => {
            if let Ok(exceptions) = Exceptions::decode(body, rows) {
                (0..rows).for_each(|row| _ = black_box(exceptions.cell(row, 1)));
            }
        }
        9 => drop(Partition::decode(body)),
        10 => drop(TopIndex::decode(body, rows as u32)),
        11 => drop(schema::decode(body)),
        12 => drop(Properties::decode(body)),
        13 => {
            drop(tombstones::decode(body.clone()));
            drop(RequestHistory::decode(&body));
        }
        14 => {
            if let Ok(filter) = Filter::decode(body.clone()) {
                filter.may_contain(rows as u64);
            }
            let physical = schema::physical_of(other as u8 % 12).unwrap_or(PhysicalType::Bytes);
            drop(ZoneMap::decode(body, physical, rows));
        }
        _ => {
            drop(codec::decompress(other as u8, &body, rows));
            drop(ByteValues::decode(&mut input, rows));
        }
    }
}

/// A file in memory.
#[derive(Debug)]
struct MemoryFile(Mutex<Vec<u8>>);

impl File for MemoryFile {
    fn path(&self) -> &Path {
        Path::new("memory")
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> Result<usize, terrane_env::IoError> {
        let bytes = self.0.lock();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..));
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(buffer.len());
        buffer[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<(), terrane_env::IoError> {
        let mut content = self.0.lock();
        let start = usize::try_from(offset).expect("written one after the other");
        let len = content.len().max(start + bytes.len());
        content.resize(len, 0);
        content[start..start + bytes.len()].copy_from_slice(bytes);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), terrane_env::IoError> {
        Ok(())
    }

    fn sync_all(&self) -> Result<(), terrane_env::IoError> {
        Ok(())
    }

    fn allocate(&self, _: u64) -> Result<(), terrane_env::IoError> {
        Ok(())
    }

    fn set_len(&self, len: u64) -> Result<(), terrane_env::IoError> {
        self.0.lock().resize(usize::try_from(len).expect("a small file"), 0);
        Ok(())
    }

    fn len(&self) -> Result<u64, terrane_env::IoError> {
        Ok(self.0.lock().len() as u64)
    }
}

/// A small file with every kind of page and section, uncompressed.
static WHOLE_FILE: LazyLock<Vec<u8>> =
    LazyLock::new(|| write_whole_file().expect("memory takes all writes"));

const COLUMNS: [(u32, PhysicalType, DataType); 6] = [
    (1, PhysicalType::Int4, DataType::Int4),
    (2, PhysicalType::Bytes, DataType::Text),
    (3, PhysicalType::Float8, DataType::Float8),
    (4, PhysicalType::Int16, DataType::Numeric(Some((20, 2)))),
    (5, PhysicalType::Bool, DataType::Bool),
    (6, PhysicalType::Bytes, DataType::Bytea),
];

fn write_whole_file() -> Result<Vec<u8>> {
    let schema = WriterSchema {
        storage: StorageId(1),
        version: 1,
        group: LocalityGroupId(0),
        columns: COLUMNS.iter().map(|(id, physical, _)| (ColumnId(*id), *physical)).collect(),
        key: Vec::new(),
    };
    let options = WriterOptions {
        codec: Codec::None,
        block_bytes: 300,
        block_rows: 4,
        ..WriterOptions::default()
    };
    let file = Arc::new(MemoryFile(Mutex::new(Vec::new())));
    let mut writer = SstableWriter::new(file.clone(), &schema, options)?;
    for i in 0..48u8 {
        let key = [b'k', i / 8, i / 2 % 4];
        let version = RowVersion {
            key: &key,
            seq: Seq(1),
            commit_ts: CommitTs(90 - i64::from(i)),
            flags: i % 8,
        };
        let wide = (i128::from(i) << (i / 3)).to_le_bytes();
        let values: [(u32, Option<&[u8]>); 7] = [
            (1, Some(&i32::from(i).to_le_bytes())),
            (2, Some(&b"some text, not always the same"[..usize::from(i) % 30])),
            (3, Some(&f64::from(i % 3).to_le_bytes())),
            (4, Some(&wide)),
            (5, Some(&[i & 1])),
            (6, (i % 5 != 0).then_some(&b"constant"[..])),
            (9, (i % 7 != 0).then_some(&b"exception"[..])),
        ];
        let present = values.into_iter().filter(|(id, _)| u32::from(i) % 11 != *id);
        writer.add(
            version,
            present.map(|(id, value)| Cell {
                column: ColumnId(id),
                ts_delta: i64::from(i % 13 == 1),
                value,
            }),
        )?;
    }
    writer.add_range_tombstone(RangeTombstone {
        start: "a".into(),
        end: Some("b".into()),
        commit_ts: CommitTs(1),
    });
    writer.finish()?;
    let bytes = file.0.lock().clone();
    Ok(bytes)
}

/// Changes the file, rights its checksums and reads all of it. Each change is an offset (u16) and what to
/// add to the byte there.
fn changed_file(which: u8, changes: &[u8]) -> Result<()> {
    let mut bytes = WHOLE_FILE.clone();
    for change in changes.chunks_exact(3) {
        let place = usize::from(u16::from_le_bytes([change[0], change[1]]));
        // Half the inputs aim at the sections, which are small beside the blocks.
        let place = match which % 2 {
            0 => place % bytes.len(),
            _ => bytes.len() - 1 - place % (bytes.len() / 3),
        };
        bytes[place] = bytes[place].wrapping_add(change[2]);
    }
    right_checksums(&mut bytes);
    let cache = BlockCache::new(CacheOptions {
        data_bytes: 1 << 20,
        meta_bytes: 1 << 20,
        ..CacheOptions::default()
    });
    let file = Arc::new(MemoryFile(Mutex::new(bytes)));
    let table = Sstable::open_file(file, 1, &cache)?;
    read_everything(&table)
}

/// Every way of reading.
fn read_everything(table: &Sstable) -> Result<()> {
    let _damaged = table.verify();
    let options = ReadOptions::default();
    let all = table.history_blocks().take(1000).chain(0..table.block_count().min(1000));
    for number in all {
        let Ok(block) = table.block(number, number.is_multiple_of(2), options) else { continue };
        let Ok(rows) = block.rows() else { continue };
        for row in 0..rows.len() {
            let key = rows.key(row);
            rows.find(&key);
            drop(table.history_of(&key, None, options));
            let Ok(mut versions) = table.versions(&key, None, rows.commit_ts(row), options) else {
                continue;
            };
            while let Ok(Some(version)) = versions.next() {
                drop(version.block.row_cells(version.row, None));
            }
        }
        let all = RowSelection::Range(0..block.row_count());
        for (id, _, data_type) in &COLUMNS {
            drop(block.column_array(ColumnId(*id), data_type, &all));
            drop(table.zone(number, ColumnId(*id)));
            if let Ok(column) = block.column(ColumnId(*id)) {
                column.absent_mask(&all);
                (0..block.row_count()).for_each(|row| _ = black_box(column.ts_delta(row)));
            }
        }
        drop(table.blocks_in(&rows.key(0), None));
    }
    Ok(())
}

/// Makes every checksum that can be found right: pages, heads, sections, footer, from the inside out.
fn right_checksums(bytes: &mut [u8]) {
    let Some(footer_at) = bytes.len().checked_sub(Footer::BYTES) else { return };
    let part = |bytes: &[u8], range: Range<usize>| Bytes::copy_from_slice(&bytes[range]);
    let footer = part(bytes, footer_at..bytes.len());
    let Ok(footer) = Footer::decode_body(&mut Input::new(footer)) else { return };
    let section = |bytes: &[u8], reference: &PageRef| {
        let range = range_of(bytes, 0, reference)?;
        Some((range.start, part(bytes, range)))
    };
    right_blocks(bytes, &footer.top_index, footer.blocks);
    if let Some((at, properties)) = section(bytes, &footer.properties)
        && let Some(history) = position(&properties, properties::HISTORY.as_bytes())
        && let Ok(Properties { history: Some(part), .. }) = Properties::decode(properties)
    {
        right_blocks(bytes, &part.top_index, part.blocks);
        right_reference(bytes, 0, at + history + properties::HISTORY.len());
    }
    if let Some((at, columns)) = section(bytes, &footer.columns)
        && let Ok(columns) = schema::decode(columns)
    {
        for index in 0..columns.len() {
            right_reference(bytes, 0, at + 4 + index * (8 + PageRef::BYTES) + 8);
        }
    }
    (0..4).for_each(|index| right_reference(bytes, 0, footer_at + index * PageRef::BYTES));
    let crc_at = footer_at + Footer::CRC_AT;
    let crc = crc32c(&bytes[footer_at..crc_at]);
    bytes[crc_at..crc_at + 4].copy_from_slice(&crc.to_le_bytes());
}

/// Where some bytes begin in others.
fn position(bytes: &[u8], wanted: &[u8]) -> Option<usize> {
    bytes.windows(wanted.len()).position(|window| window == wanted)
}

/// Rights what a top index leads to.
fn right_blocks(bytes: &mut [u8], top_index: &PageRef, blocks: u32) {
    let part = |bytes: &[u8], reference: &PageRef| {
        let range = range_of(bytes, 0, reference)?;
        Some((range.start, Bytes::copy_from_slice(&bytes[range])))
    };
    let Some((at, top)) = part(bytes, top_index) else { return };
    let Ok(top) = TopIndex::decode(top, blocks) else { return };
    for (index, entry) in top.entries.iter().enumerate() {
        if let Some((_, partition)) = part(bytes, &entry.index)
            && let Ok(partition) = Partition::decode(partition)
        {
            partition.blocks.iter().for_each(|block| right_block(bytes, block));
        }
        let entry_at = at + 4 + index * TopEntry::BYTES;
        right_reference(bytes, 0, entry_at);
        right_reference(bytes, 0, entry_at + PageRef::BYTES);
    }
}

/// The stored bytes of a reference whose offset counts from `base`, if they are in the file.
fn range_of(bytes: &[u8], base: usize, reference: &PageRef) -> Option<Range<usize>> {
    let start = base.checked_add(usize::try_from(reference.offset).ok()?)?;
    let end = start.checked_add(reference.stored_len as usize)?;
    (end <= bytes.len()).then_some(start..end)
}

/// Rights the checksum in the reference stored at `at`.
fn right_reference(bytes: &mut [u8], base: usize, at: usize) {
    let Some(stored) = bytes.get(at..at + PageRef::BYTES) else { return };
    let Ok(reference) = PageRef::decode(&mut Input::new(Bytes::copy_from_slice(stored))) else {
        return;
    };
    if let Some(range) = range_of(bytes, base, &reference) {
        let crc = crc32c(&bytes[range]);
        bytes[at + PageRef::CRC_AT..at + PageRef::CRC_AT + 4].copy_from_slice(&crc.to_le_bytes());
    }
}

fn right_block(bytes: &mut [u8], block: &BlockInfo) {
    let head = PageRef { offset: block.offset, stored_len: block.head_len, ..PageRef::default() };
    let Some(head) = range_of(bytes, 0, &head) else { return };
    let pages = head.len().saturating_sub(BlockHead::len(0)) / PageEntry::BYTES;
    for page in 0..pages {
        right_reference(bytes, head.start, head.start + BlockHead::len(page) + 8);
    }
    if head.len() >= BlockHead::len(0) {
        let crc = crc32c(&bytes[head.start + 8..head.end]);
        bytes[head.start + 4..head.start + 8].copy_from_slice(&crc.to_le_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_without_changes_is_whole() {
        let mut bytes = WHOLE_FILE.clone();
        right_checksums(&mut bytes);
        assert!(bytes == *WHOLE_FILE, "righting right checksums changes nothing");
        assert!(changed_file(16, &[]).is_ok());
    }

    #[test]
    fn a_change_gets_past_the_checksums() {
        // The last section is the top index, and its last byte is of the last key: the file opens with
        // another one.
        let mut bytes = WHOLE_FILE.clone();
        let place = bytes.len() - Footer::BYTES - 1;
        bytes[place] += 1;
        right_checksums(&mut bytes);
        let cache = BlockCache::new(CacheOptions::default());
        let file = Arc::new(MemoryFile(Mutex::new(bytes)));
        let table = Sstable::open_file(file, 1, &cache).unwrap();
        assert_eq!(table.key_bounds().unwrap().1, [b'k', 5, 4][..]);
    }

    /// A fixed amount of fuzzing, the same every time.
    #[test]
    fn a_million_bytes_of_noise_do_no_harm() {
        let mut random = terrane_env::random::SplitMix64::new(
            std::env::var("SEED").map_or(20_240_607, |r| r.parse().unwrap()),
        );
        for round in 0..6_000u32 {
            let len = random.next_u64() % if round % 2 == 0 { 12 } else { 300 };
            let mut data: Vec<u8> = (0..len).map(|_| random.next_u64() as u8).collect();
            if let Some(which) = data.first_mut()
                && round % 2 == 1
            {
                *which %= DECODERS;
            }
            fuzz_decode(&data);
        }
    }
}
