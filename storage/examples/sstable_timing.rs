//! How fast an SSTable is written and read: a rough guide while working on it, not a benchmark.
//!
//! `cargo run --release -p terrane-storage --example sstable_timing [ROWS]`

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId, Seq, StorageId};
use terrane_client::row::{CellsBuilder, CellsIter, ROW_COMPLETE, ROW_MARKER};
use terrane_client::types::DataType;
use terrane_env::Env;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::CrashFileSystem;
use terrane_storage::cache::{BlockCache, CacheOptions};
use terrane_storage::sstable::{
    Cell, Codec, ReadOptions, Result, RowSelection, RowVersion, Sstable, SstableWriter,
    WriterKeyColumn, WriterOptions, WriterSchema,
};

const COLUMNS: [(u32, DataType); 9] = [
    (2, DataType::Int4),
    (3, DataType::Int4),
    (4, DataType::Int8),
    (5, DataType::Text),
    (6, DataType::Text),
    (7, DataType::Float8),
    (8, DataType::Timestamp),
    (9, DataType::Numeric(Some((10, 2)))),
    (10, DataType::Bool),
];

fn schema() -> WriterSchema {
    let column = |(id, data_type): &(u32, DataType)| (ColumnId(*id), data_type.physical());
    WriterSchema {
        storage: StorageId(1000),
        version: 1,
        group: LocalityGroupId(0),
        columns: COLUMNS.iter().map(column).collect(),
        key: vec![WriterKeyColumn {
            column: ColumnId(1),
            data_type: DataType::Int8,
            descending: false,
        }],
    }
}

/// Keys and packed cells of every row, as a memtable would give them.
fn rows(count: u64) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut state = 1u64;
    let mut random = move || {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        state >> 33
    };
    (0..count)
        .map(|row| {
            let mut cells = CellsBuilder::default();
            let mut push = |column: u32, bytes: &[u8]| cells.push(ColumnId(column), Some(bytes));
            push(2, &((random() % 1000) as i32).to_le_bytes());
            push(3, &(random() as i32).to_le_bytes());
            push(4, &((row / 3) as i64).to_le_bytes());
            push(5, format!("carrier {}", random() % 16).as_bytes());
            push(6, format!("tail number N{} of {}", random() % 100_000, row).as_bytes());
            push(7, &(random() as f64 / 7.0).to_le_bytes());
            push(8, &(1_700_000_000_000_000 + row as i64 * 1_000_000).to_le_bytes());
            push(9, &i128::from(random() % 1_000_000).to_le_bytes());
            push(10, &[(random() % 2) as u8]);
            let key = (row ^ 1 << 63).to_be_bytes().to_vec();
            (key, cells.finish().as_bytes().to_vec())
        })
        .collect()
}

fn report(env: &Env, what: &str, rows: u64, mut run: impl FnMut() -> Result<()>) -> Result<()> {
    let mut best = Duration::MAX;
    for _ in 0..3 {
        let start = env.clock.monotonic();
        run()?;
        best = best.min(env.clock.monotonic() - start);
    }
    let per_second = rows as f64 / best.as_secs_f64();
    println!("{what:40} {:>12.2} M rows/s {:>9.1} ns/row", per_second / 1e6, 1e9 / per_second);
    Ok(())
}

fn main() -> Result<()> {
    let count = std::env::args().nth(1).and_then(|rows| rows.parse().ok()).unwrap_or(500_000);
    let disk = CrashFileSystem::new(1);
    disk.create_dir_all(Path::new("/t"))?;
    let env = Env::system().with_files(Arc::new(disk));
    let rows = rows(count);
    let raw: usize = rows.iter().map(|(key, cells)| key.len() + cells.len()).sum();
    println!("{count} rows of {} bytes", raw as u64 / count);
    for (name, codec) in [("none", Codec::None), ("zstd 1", Codec::Zstd(1)), ("lz4", Codec::Lz4)] {
        let path = Path::new("/t/file");
        report(&env, &format!("write, codec {name}"), count, || {
            if env.files.exists(path)? {
                env.files.remove(path)?;
            }
            let options = WriterOptions { codec, ..WriterOptions::default() };
            let mut writer = SstableWriter::new(env.files.create_new(path)?, &schema(), options)?;
            for (row, (key, cells)) in rows.iter().enumerate() {
                let version = RowVersion {
                    key,
                    seq: Seq(row as u64),
                    commit_ts: CommitTs(row as i64),
                    flags: ROW_MARKER | ROW_COMPLETE,
                };
                writer.add(version, CellsIter::new(cells).map(Cell::new))?;
            }
            writer.finish()?;
            Ok(())
        })?;
        let size = env.files.file_size(path)?;
        println!("    {} bytes a row stored", size / count);
    }
    read(&env, &rows)
}

fn read(env: &Env, rows: &[(Vec<u8>, Vec<u8>)]) -> Result<()> {
    let count = rows.len() as u64;
    let cache = BlockCache::new(CacheOptions { data_bytes: 4 << 30, meta_bytes: 1 << 30 });
    let table = Sstable::open(env, Path::new("/t/file"), 1, &cache)?;
    println!("{} blocks", table.block_count());
    let cold = ReadOptions { fill_cache: false };
    report(env, "scan one int8, cold", count, || scan(&table, &[1], cold))?;
    for id in 1..=10 {
        let what = match COLUMNS.iter().find(|column| column.0 == id) {
            Some((_, data_type)) => data_type.to_string(),
            None => "key int8".to_owned(),
        };
        report(env, &format!("scan {what}, warm"), count, || {
            scan(&table, &[id], ReadOptions::default())
        })?;
    }
    let mixed = [2, 4, 6, 9];
    report(env, "scan four mixed columns, warm", count, || {
        scan(&table, &mixed, ReadOptions::default())
    })?;
    report(env, "scan all columns, cold", count, || {
        scan(&table, &[1, 2, 3, 4, 5, 6, 7, 8, 9, 10], cold)
    })?;
    report(env, "point read of one column, warm", count / 10, || {
        for row in (0..rows.len()).step_by(10) {
            let key = &rows[(row * 7919) % rows.len()].0;
            let mut versions = table.versions(key, CommitTs::MAX, ReadOptions::default())?;
            let version = versions.next()?.expect("the key is there");
            version.block.row_cells(version.row, Some(&[ColumnId(6)]))?;
        }
        Ok(())
    })?;
    report(env, "point read of all columns, warm", count / 10, || {
        for row in (0..rows.len()).step_by(10) {
            let key = &rows[(row * 7919) % rows.len()].0;
            let mut versions = table.versions(key, CommitTs::MAX, ReadOptions::default())?;
            let version = versions.next()?.expect("the key is there");
            version.block.row_cells(version.row, None)?;
        }
        Ok(())
    })?;
    report(env, "absent keys", count, || {
        for row in 0..count {
            let key = [&(row ^ 1 << 63).to_be_bytes()[..], &[1]].concat();
            std::hint::black_box(table.may_contain(&key)?);
        }
        Ok(())
    })
}

fn scan(table: &Sstable, columns: &[u32], options: ReadOptions) -> Result<()> {
    let ids: Vec<ColumnId> = columns.iter().map(|id| ColumnId(*id)).collect();
    for number in 0..table.block_count() {
        let block = table.block(number, false, options)?;
        block.prefetch(&ids, false)?;
        for id in &ids {
            let data_type = match COLUMNS.iter().find(|column| column.0 == id.0) {
                Some((_, data_type)) => data_type.clone(),
                None => DataType::Int8,
            };
            let rows = RowSelection::Range(0..block.row_count());
            std::hint::black_box(block.column_array(*id, &data_type, &rows)?);
        }
    }
    Ok(())
}
