//! Where files are cut, and which range tombstones each of them has.

use super::*;
use crate::cache::{BlockCache, CacheOptions};
use crate::sstable::Sstable;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use terrane_client::ids::{CommitTs, LocalityGroupId, RequestId, StorageId};
use terrane_client::row::{ROW_COMPLETE, ROW_MARKER};
use terrane_client::schema::{HISTORY_DEFAULT_MICROS, LocalityGroup, TableSchema};
use terrane_env::files::crash::CrashFileSystem;

#[derive(Default)]
struct Names(AtomicU64);

impl NameFiles for Names {
    fn next_name(&self) -> String {
        format!("1-{}.sst", self.0.fetch_add(1, Ordering::Relaxed))
    }
}

fn schema() -> WriterSchema {
    let table = TableSchema {
        storage: StorageId(1000),
        version: 1,
        name: "t".to_owned(),
        columns: Vec::new(),
        key: Vec::new(),
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: HISTORY_DEFAULT_MICROS,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    };
    WriterSchema::new(&table, LocalityGroupId::default())
}

fn fragments(of: &[(&'static str, Option<&'static str>, i64)]) -> Fragments {
    let mut fragments = Fragments::default();
    for (start, end, ts) in of {
        let range = KeyRange { start: (*start).into(), end: end.map(Bytes::from) };
        fragments.insert(&range, CommitTs(*ts));
    }
    fragments
}

/// A run of one file a key: of each file its bounds and its tombstones.
fn written(keys: &[&str], fragments: Fragments) -> Vec<String> {
    written_by(keys, fragments, RequestHistory::default())
}

/// The same, and of each file how many requests it knows.
fn written_by(keys: &[&str], fragments: Fragments, requests: RequestHistory) -> Vec<String> {
    let disk = Arc::new(CrashFileSystem::new(1));
    let env = Env::system().with_files(disk);
    let directory = Path::new("/t");
    env.files.create_dir_all(directory).unwrap();
    let (schema, names) = (schema(), Names::default());
    let options = RunOptions { file_bytes: 0, blocks: WriterOptions::default() };
    let mut writer = RunWriter::new(&env, directory, &schema, options, &names);
    writer.set_tombstones(RunTombstones { fragments, seqs: (Seq(5), Seq(9)) });
    let range = KeyRange { start: "b".into(), end: Some("y".into()) };
    writer.set_requests(RunRequests { requests, range });
    for key in keys {
        let flags = ROW_MARKER | ROW_COMPLETE;
        let row = RowVersion { key: key.as_bytes(), seq: Seq(7), commit_ts: CommitTs(7), flags };
        writer.add(row, []).unwrap();
    }
    let cache = BlockCache::new(CacheOptions::default());
    let text = |key: &[u8]| String::from_utf8_lossy(key).replace('\0', "+");
    let spell = |(number, row): (usize, FileRow)| {
        let file = Sstable::open(&env, &directory.join(&row.name), number as u64, &cache).unwrap();
        assert_eq!(file.properties().seq_range(), (row.min_seq, row.max_seq));
        let end = row.end.as_deref().map(text).unwrap_or_default();
        let mut spelled = format!("{}..{end}", text(&row.start));
        for tombstone in file.range_tombstones() {
            let end = tombstone.end.as_deref().map(text).unwrap_or_default();
            spelled += &format!(" {}..{end}@{}", text(&tombstone.start), tombstone.commit_ts.0);
        }
        let requests = requests_of(file.properties()).unwrap();
        if !requests.is_empty() {
            spelled += &format!(" {} requests", requests.len());
        }
        spelled
    };
    writer.finish().unwrap().into_iter().enumerate().map(spell).collect()
}

#[test]
fn tombstones_are_cut_where_files_are_and_bounds_reach_around_them() {
    let found = written(&["c", "f", "k"], fragments(&[("a", Some("d"), 3), ("e", Some("z"), 9)]));
    assert_eq!(found, ["a..f a..d@3 e..f@9", "f..k f..k@9", "k..z k..z@9"]);
    let found = written(&["c", "f"], fragments(&[("x", None, 3)]));
    assert_eq!(found, ["c..c+", "f.. x..@3"]);
}

#[test]
fn tombstones_without_rows_are_a_file_and_nothing_is_none() {
    assert_eq!(written(&[], fragments(&[("b", Some("d"), 3)])), ["b..d b..d@3"]);
    assert_eq!(written(&[], fragments(&[("", None, 3)])), [".. ..@3"]);
    assert_eq!(written(&[], Fragments::default()), [""; 0]);
}

#[test]
fn every_file_knows_the_requests_of_the_run_and_they_may_be_all_there_is() {
    let mut requests = RequestHistory::default();
    (0..3).for_each(|number| {
        requests.add_one(CommitTs(1), RequestId { client: 1, number });
    });
    let found = written_by(&["c", "f"], Fragments::default(), requests.clone());
    assert_eq!(found, ["c..c+ 3 requests", "f..f+ 3 requests"]);
    let found = written_by(&[], fragments(&[("d", Some("e"), 3)]), requests.clone());
    assert_eq!(found, ["d..e d..e@3 3 requests"]);
    assert_eq!(written_by(&[], Fragments::default(), requests), ["b..y 3 requests"]);
}
