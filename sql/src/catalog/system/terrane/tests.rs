use super::*;
use crate::catalog::fixtures;
use crate::catalog::model::{Index, Table};
use crate::catalog::objects::Object;
use crate::catalog::system::facts::SessionFacts;
use crate::catalog::system::relations::by_name;
use crate::catalog::transaction::CatalogTransaction;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use std::sync::Arc;
use terrane_client::ids::{Generation, LocalityGroupId, Seq, StorageId};
use terrane_client::metadata::{FileRow, GroupRow, RunRow, TabletRow};
use terrane_client::schema::{GroupOptions, PageCodec};
use terrane_client::status::GroupMemory;

/// A table t (a, b, c) of families `default` (a), `own` (b) and `shared` (c), the last two in groups 1 and 2, the
/// second of which another family `empty` is in, too. It has a unique index.
fn facts() -> Facts {
    let mut tx = CatalogTransaction::new(fixtures::empty());
    let mut table: Table = fixtures::table(20_000, Oid::PUBLIC, "t", &["a", "b", "c"]);
    let options = GroupOptions { codec: Some(PageCodec::Zstd), ..GroupOptions::default() };
    let own = table.families.add_group("own", options, true).unwrap();
    let shared = table.families.add_group("shared", GroupOptions::default(), true).unwrap();
    table.columns[1].family = table.families.add("own", own).unwrap();
    table.columns[2].family = table.families.add("shared", shared).unwrap();
    table.families.add("empty", shared).unwrap();
    table.indexes.push(unique_index());
    tx.put(Object::Table(Arc::new(table)));
    let catalog = tx.catalog().clone();
    Facts(Arc::new(SessionFacts { catalog, ..SessionFacts::default() }))
}

fn unique_index() -> Index {
    serde_json::from_value(serde_json::json!({
        "oid": 20_010, "name": "t_u", "keys": [], "unique": 30_000,
    }))
    .unwrap()
}

fn tablet(storage: StorageId, groups: Vec<GroupRow>, memory: &[(u16, u64)]) -> TabletStatus {
    let memory = memory.iter().map(|(group, memtable_bytes)| GroupMemory {
        group: LocalityGroupId(*group),
        memtable_bytes: *memtable_bytes,
    });
    let groups_in_memory: Vec<GroupMemory> = memory.collect();
    let files = |of: &[GroupRow]| -> Vec<FileRow> {
        of.iter().flat_map(|group| &group.runs).flat_map(|run| run.files.clone()).collect()
    };
    TabletStatus {
        disk_bytes: files(&groups).iter().map(|file| file.size_bytes).sum(),
        rows: files(groups.get(..1).unwrap_or_default()).iter().map(|file| file.rows).sum(),
        row: TabletRow {
            table: storage,
            start: Vec::new(),
            end: Some(vec![7, 0]),
            server: "s1".to_owned(),
            generation: Generation(3),
            version: 4,
            max_seq: Seq(0),
            max_commit_ts: CommitTs::ABSENT,
            split: None,
            merge: None,
            is_start_chosen: false,
            purged: None,
            events: Vec::new(),
            gc_floor: CommitTs(1_000_000),
            groups,
        },
        memtable_bytes: groups_in_memory.iter().map(|group| group.memtable_bytes).sum(),
        groups: groups_in_memory,
        frozen: 1,
    }
}

fn group(group: u16, runs: &[&[(&str, u64)]]) -> GroupRow {
    let file = |(name, size_bytes): &(&str, u64)| FileRow {
        name: (*name).to_owned(),
        size_bytes: *size_bytes,
        rows: 10,
        start: vec![1],
        end: None,
        min_seq: Seq(1),
        max_seq: Seq(9),
        max_commit_ts: CommitTs::ABSENT,
    };
    GroupRow {
        group: LocalityGroupId(group),
        redo_point: Seq(0),
        runs: runs.iter().map(|run| RunRow { files: run.iter().map(file).collect() }).collect(),
    }
}

/// Of each row these columns, as text.
fn shown(name: &str, columns: &[&str], tablets: &[TabletStatus]) -> Vec<String> {
    let relation = by_name(Oid::TERRANE, name).unwrap();
    let definition = DEFINITIONS.iter().find(|known| known.name == name).unwrap();
    let Source::Tablets(add_rows) = definition.rows else { panic!("{name} is of servers") };
    let mut rows = Rows::of_all_columns(relation);
    add_rows(&mut rows, &facts(), tablets).unwrap();
    let batch = rows.finish().unwrap();
    let options = FormatOptions::default().with_null("NULL");
    let row = |at: usize| {
        let cells = columns.iter().map(|column| {
            let array = batch.column_by_name(column).unwrap();
            ArrayFormatter::try_new(array, &options).unwrap().value(at).to_string()
        });
        cells.collect::<Vec<_>>().join(" ")
    };
    (0..batch.num_rows()).map(row).collect()
}

#[test]
fn a_familys_bytes_are_told_where_it_has_its_group_alone() {
    let table = StorageId(20_000);
    let tablets = [
        tablet(table, vec![group(0, &[&[("a", 100)]]), group(1, &[&[("b", 20)]])], &[(0, 1)]),
        // File a is of both since a split.
        tablet(
            table,
            vec![group(0, &[&[("c", 11), ("a", 100)]]), group(2, &[&[("d", 5)]])],
            &[(1, 2), (2, 3)],
        ),
        tablet(StorageId(30_000), vec![group(0, &[&[("e", 1_000)]])], &[(0, 1_000)]),
    ];
    let columns = [
        "family",
        "columns",
        "locality_group",
        "compression",
        "bloom",
        "group_disk_bytes",
        "group_memory_bytes",
        "disk_bytes",
        "memory_bytes",
    ];
    assert_eq!(
        shown("families", &columns, &tablets),
        [
            "default [a] default NULL row 111 1 111 1",
            "own [b] own zstd row 20 2 20 2",
            "shared [c] shared NULL row 5 3 NULL NULL",
            "empty [] shared NULL row 5 3 NULL NULL",
            // The unique index.
            "default [] default NULL row 1000 1000 1000 1000",
        ]
    );
}

#[test]
fn tablets_have_the_names_of_tables_and_unique_indexes() {
    let of = |storage| tablet(StorageId(storage), Vec::new(), &[]);
    let tablets = [of(1), of(20_000), of(30_000), of(40_000)];
    assert_eq!(
        shown("tablets", &["table_schema", "table_name", "table_oid", "storage_id"], &tablets),
        [
            "NULL metadata NULL 1",
            "public t 20000 20000",
            "public t_u 20010 30000",
            "NULL NULL NULL 40000"
        ]
    );
}

#[test]
fn a_tablet_counts_files_of_all_groups_and_rows_once() {
    let groups = vec![group(0, &[&[("a", 1), ("b", 2)], &[("c", 4)]]), group(1, &[&[("d", 8)]])];
    let tablets = [tablet(StorageId(20_000), groups, &[(0, 5), (1, 6)])];
    let columns =
        ["files", "disk_bytes", "memory_bytes", "rows", "start_key", "end_key", "gc_floor"];
    assert_eq!(shown("tablets", &columns, &tablets), ["4 15 11 30 NULL 0700 1970-01-01T00:00:01Z"]);
    let columns = ["locality_group", "run", "file", "start_key", "end_key", "max_commit"];
    assert_eq!(
        shown("sstables", &columns, &tablets),
        [
            "default 0 a 01 NULL NULL",
            "default 0 b 01 NULL NULL",
            "default 1 c 01 NULL NULL",
            "own 0 d 01 NULL NULL",
        ]
    );
}
