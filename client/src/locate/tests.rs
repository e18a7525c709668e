#![allow(clippy::unwrap_used)]

use super::*;
use crate::columns::value_at;
use crate::master::MasterService;
use crate::metadata::split::{self, SplitIntent};
use crate::metadata::{edit, root};
use crate::model::fixture::*;
use crate::model::{FIRST_SERVER, Model};
use crate::program::{
    Action, Atomicity, DeleteRangeRequest, Guard, ModifyRequest, RowError, RowProgram,
};
use crate::read::ScanRequest;
use crate::service::TabletName;
use crate::types::DataType;
use crate::value::Value;
use futures::TryStreamExt;
use parking_lot::Mutex;
use std::collections::BTreeSet;

/// The model's servers; remembers which were asked, and can hide one.
struct Directory {
    model: Model,
    asked: Mutex<Vec<String>>,
    hidden: Mutex<BTreeSet<String>>,
}

impl ServerDirectory for Directory {
    fn server(&self, name: &str) -> Option<Arc<dyn TabletService>> {
        self.asked.lock().push(name.to_owned());
        let hidden = self.hidden.lock().contains(name);
        (!hidden).then(|| self.model.server(name) as Arc<dyn TabletService>)
    }
}

struct Cluster {
    t: Fixture,
    client: TabletClient,
    directory: Arc<Directory>,
}

/// Rows 0 to 9; tablets cut at 3 and 6.
async fn cluster() -> Cluster {
    let t = Fixture::split_at(&[3, 6]).await;
    t.all((0..10).map(|k| insert(k, i64::from(k), "a")).collect()).await;
    let directory = Arc::new(Directory {
        model: t.model.clone(),
        asked: Mutex::default(),
        hidden: Mutex::default(),
    });
    let client = TabletClient::new(7, t.model.locks(), directory.clone());
    Cluster { t, client, directory }
}

impl Cluster {
    fn move_tablet(&self, end: Option<i32>, server: &str) {
        let name = TabletName { table: TABLE, end: end.map(row_key) };
        self.t.model.move_tablet(&name, server).unwrap();
    }

    async fn scan(&self, request: ScanRequest) -> Result<Vec<i32>, TabletError> {
        let response = self.client.read(request).await?;
        let batches: Vec<_> = response.batches.try_collect().await?;
        let key = |batch: &arrow::record_batch::RecordBatch, row| match value_at(
            batch.column(0),
            row,
            &DataType::Int4,
        )
        .unwrap()
        {
            Value::Int4(k) => k,
            other => panic!("{other:?}"),
        };
        Ok(batches
            .iter()
            .flat_map(|batch| (0..batch.num_rows()).map(move |row| key(batch, row)))
            .collect())
    }

    async fn get(&self, keys: &[i32]) -> Result<Vec<bool>, TabletError> {
        let request = GetRequest {
            table: TABLE,
            schema_version: 1,
            read_ts: None,
            keys: keys.iter().map(|k| row_key(*k)).collect(),
            columns: None,
            map_parts: Default::default(),
        };
        let rows = self.client.get(request).await?.rows;
        Ok(rows.iter().map(Option::is_some).collect())
    }
}

fn all_or_none(programs: Vec<crate::program::RowProgram>) -> ModifyRequest {
    request(Atomicity::AllOrNone, programs)
}

#[tokio::test]
async fn one_lookup_serves_the_neighbours() {
    let c = cluster().await;
    assert_eq!(c.get(&[0]).await.unwrap(), [true]);
    let asked = c.directory.asked.lock().len();
    assert_eq!(asked, 2, "METADATA, then the tablet");
    assert_eq!(c.get(&[4, 99, 7]).await.unwrap(), [true, false, true]);
    assert_eq!(c.directory.asked.lock().len(), asked + 1, "locations were prefetched");
}

#[tokio::test]
async fn a_scan_over_several_servers_is_in_key_order() {
    let c = cluster().await;
    c.move_tablet(Some(6), "other");
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
    let backwards = ScanRequest { reverse: true, ..scan_all(None) };
    assert_eq!(c.scan(backwards.clone()).await.unwrap(), Vec::from_iter((0..10).rev()));
    let limited = ScanRequest { limit: Some(5), ..backwards };
    assert_eq!(c.scan(limited).await.unwrap(), [9, 8, 7, 6, 5]);
    let none = ScanRequest { ranges: Vec::new(), ..scan_all(None) };
    assert_eq!(c.scan(none).await.unwrap(), [0; 0]);
    let ranges = vec![
        KeyRange { start: row_key(2), end: Some(row_key(4)) },
        KeyRange { start: row_key(5), end: Some(row_key(7)) },
    ];
    let cut = ScanRequest { ranges, ..scan_all(None) };
    assert_eq!(c.scan(cut).await.unwrap(), [2, 3, 5, 6]);
}

#[tokio::test]
async fn scan_metrics_of_all_servers_are_added() {
    let c = cluster().await;
    c.move_tablet(Some(6), "other");
    let mut response = c.client.read(scan_all(None)).await.unwrap();
    while response.batches.next().await.is_some() {}
    assert_eq!(response.metrics.rows_returned.load(Ordering::Relaxed), 10);
}

#[tokio::test]
async fn stale_locations_are_looked_up_again() {
    let c = cluster().await;
    assert_eq!(c.scan(scan_all(None)).await.unwrap().len(), 10);
    c.move_tablet(Some(3), "second");
    c.move_tablet(None, "third");
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
    c.move_tablet(Some(3), "third");
    assert_eq!(c.get(&[9, 0, 5, 50]).await.unwrap(), [true, true, true, false]);
    c.move_tablet(Some(6), "fourth");
    let answer = c.client.modify_rows(all_or_none(vec![add(4, 100), add(5, 100)])).await.unwrap();
    assert!(answer.results.iter().all(Result::is_ok));
    assert_eq!(c.client.modify_rows(all_or_none(vec![])).await.unwrap().results, []);
}

#[tokio::test]
async fn a_tablet_that_moves_during_a_scan_is_followed() {
    let c = cluster().await;
    c.move_tablet(Some(6), "second");
    let request = ScanRequest { batch_rows_max: 1, ..scan_all(None) };
    let mut response = c.client.read(request).await.unwrap();
    let mut rows = response.batches.next().await.unwrap().unwrap().num_rows();
    c.move_tablet(Some(6), "third");
    c.t.model.split(TABLE, row_key(5)).unwrap();
    c.move_tablet(Some(5), "fourth");
    while let Some(batch) = response.batches.next().await {
        rows += batch.unwrap().num_rows();
    }
    assert_eq!(rows, 10);
}

#[tokio::test]
async fn a_split_is_seen_by_the_next_lookup() {
    let c = cluster().await;
    let all = [KeyRange::all()];
    assert_eq!(c.client.partitions(TABLE, &all).await.unwrap().len(), 3);
    c.t.model.split(TABLE, row_key(8)).unwrap();
    assert_eq!(c.scan(scan_all(None)).await.unwrap().len(), 10, "both halves are still there");
    c.move_tablet(Some(8), "second");
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
    let partitions = c.client.partitions(TABLE, &all).await.unwrap();
    let servers: Vec<&str> = partitions.iter().map(|p| &*p.tablet.server).collect();
    assert_eq!(servers, ["model-1", "model-1", "second", "model-1"]);
    assert!(
        partitions.is_sorted_by(|a, b| a.tablet.range.end.as_ref() == Some(&b.tablet.range.start))
    );
}

#[tokio::test]
async fn partitions_are_cut_at_tablets() {
    let c = cluster().await;
    let range = |from, to| KeyRange { start: row_key(from), end: Some(row_key(to)) };
    let ranges = [range(0, 1), range(2, 4), range(7, 7)];
    let partitions = c.client.partitions(TABLE, &ranges).await.unwrap();
    let cut: Vec<_> = partitions.into_iter().map(|partition| partition.ranges).collect();
    assert_eq!(cut, [vec![range(0, 1), range(2, 3)], vec![range(3, 4)]]);
}

#[tokio::test]
async fn metadata_itself_may_move() {
    let c = cluster().await;
    assert_eq!(c.get(&[1]).await.unwrap(), [true]);
    let root = TabletName { table: StorageId::METADATA, end: None };
    c.t.model.move_tablet(&root, "second").unwrap();
    c.move_tablet(None, "third");
    assert_eq!(c.get(&[1, 9]).await.unwrap(), [true, true]);
}

/// METADATA in three tablets: the root, one with the rows of the table's first tablet on server `second`, and one with those
/// of the others on `third`. It is cut behind a row, or at one.
async fn deep_cluster(behind: bool) -> Cluster {
    let c = cluster().await;
    c.t.model.split(StorageId::METADATA, root::end()).unwrap();
    let row = |end| codec::row_key(TABLE, Some(&row_key(end))).unwrap();
    let at = if behind { Bytes::from([&row(3)[..], &[0]].concat()) } else { row(6) };
    c.t.model.split(StorageId::METADATA, at.clone()).unwrap();
    c.move_metadata(Some(at), "second");
    c.move_metadata(None, "third");
    c
}

impl Cluster {
    fn move_metadata(&self, end: Option<Bytes>, server: &str) {
        let name = TabletName { table: StorageId::METADATA, end };
        self.t.model.move_tablet(&name, server).unwrap();
    }

    /// The servers that a read of one row asked.
    async fn asked_for(&self, k: i32) -> Vec<String> {
        self.directory.asked.lock().clear();
        assert_eq!(self.get(&[k]).await.unwrap(), [true]);
        self.directory.asked.lock().clone()
    }
}

#[tokio::test]
async fn a_cold_lookup_reads_the_root_one_tablet_of_metadata_and_the_tablet() {
    let c = deep_cluster(true).await;
    assert_eq!(c.asked_for(1).await, [FIRST_SERVER, "second", FIRST_SERVER]);
    // The root has told of its neighbour, too.
    assert_eq!(c.asked_for(4).await, ["third", FIRST_SERVER]);
    assert_eq!(c.asked_for(9).await, [FIRST_SERVER], "its location was prefetched");
    c.client.inner.cache.forget(TABLE);
    c.client.inner.cache.forget(StorageId::METADATA);
    assert_eq!(c.asked_for(9).await, [FIRST_SERVER, "third", FIRST_SERVER]);
}

#[tokio::test]
async fn a_table_is_whole_wherever_metadata_is_cut() {
    for behind in [true, false] {
        let c = deep_cluster(behind).await;
        for k in [9, 4, 0, 5] {
            c.client.inner.cache.forget(TABLE);
            assert_eq!(c.get(&[k]).await.unwrap(), [true]);
        }
        assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
        let tablets = c.client.tablets(TABLE, &KeyRange::all()).await.unwrap();
        assert_eq!(tablets.len(), 3);
        let of_metadata = c.client.tablets(StorageId::METADATA, &KeyRange::all()).await.unwrap();
        let servers: Vec<&str> = of_metadata.iter().map(|tablet| &*tablet.server).collect();
        assert_eq!(servers, [FIRST_SERVER, "second", "third"]);
        let is_met =
            |pair: &[Arc<Location>]| pair[0].range.end == Some(pair[1].range.start.clone());
        assert!(of_metadata.windows(2).all(is_met));
        // Every server that serves anything is found through all of them.
        assert_eq!(c.client.status().await.unwrap().len(), 6);
        let unknown = ScanRequest { table: StorageId(4711), ..scan_all(None) };
        let refused = c.scan(unknown).await;
        assert!(matches!(refused, Err(TabletError::UnknownTable { table: StorageId(4711) })));
    }
}

/// A location of METADATA from before a move costs one retry, and one from before a split none as long as the tablets stay.
#[tokio::test]
async fn a_stale_location_of_metadata_costs_one_retry() {
    let c = deep_cluster(true).await;
    assert_eq!(c.asked_for(9).await, [FIRST_SERVER, "third", FIRST_SERVER]);
    c.move_metadata(None, "fourth");
    c.client.inner.cache.forget(TABLE);
    // The stale location, the root, METADATA's tablet, the tablet.
    assert_eq!(c.asked_for(9).await, ["third", FIRST_SERVER, "fourth", FIRST_SERVER]);
    let at = codec::row_key(TABLE, Some(&row_key(6))).unwrap();
    let at = Bytes::from([&at[..], &[0]].concat());
    c.t.model.split(StorageId::METADATA, at.clone()).unwrap();
    c.client.inner.cache.forget(TABLE);
    assert_eq!(c.asked_for(9).await, ["fourth", FIRST_SERVER], "as if nothing had happened");
    c.move_metadata(Some(at), "fifth");
    c.client.inner.cache.forget(TABLE);
    assert_eq!(c.asked_for(4).await, ["fourth", FIRST_SERVER, "fifth", FIRST_SERVER]);
    // The root itself is not looked for where it was: the lock service says where it is.
    c.move_metadata(Some(root::end()), "sixth");
    c.client.inner.cache.forget(TABLE);
    assert_eq!(c.asked_for(1).await, ["sixth", "second", FIRST_SERVER]);
}

#[tokio::test]
async fn a_table_that_does_not_exist_is_unknown_at_once() {
    let c = cluster().await;
    let request = ScanRequest { table: StorageId(4711), ..scan_all(None) };
    let refused = c.scan(request).await;
    assert!(matches!(refused, Err(TabletError::UnknownTable { table: StorageId(4711) })));
    assert_eq!(c.get(&[1]).await.unwrap(), [true]);
    c.t.model.master().drop_table(TABLE).await.unwrap();
    assert!(matches!(c.get(&[1]).await, Err(TabletError::UnknownTable { table: TABLE })));
}

/// A location from before a split is right while the child stays where its parent was, and costs one retry where
/// it does not.
#[tokio::test]
async fn a_location_from_before_a_split_costs_one_retry() {
    let c = cluster().await;
    assert_eq!(c.get(&[9]).await.unwrap(), [true]);
    c.t.model.tablets().split(TABLE, row_key(8)).await.unwrap();
    let asked_for = async |k| {
        c.directory.asked.lock().clear();
        assert_eq!(c.get(&[k]).await.unwrap(), [true]);
        c.directory.asked.lock().clone()
    };
    assert_eq!(asked_for(9).await, [FIRST_SERVER], "as if nothing had happened");
    c.move_tablet(None, "second");
    // The stale location, METADATA, and the tablet.
    assert_eq!(asked_for(9).await, [FIRST_SERVER, FIRST_SERVER, "second"]);
    assert_eq!(asked_for(9).await, ["second"]);
    // Its location was forgotten with its neighbour's: METADATA, and the tablet.
    assert_eq!(asked_for(7).await, [FIRST_SERVER, FIRST_SERVER]);
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
    let whole = c.client.tablets(TABLE, &KeyRange::all()).await.unwrap();
    assert_eq!(whole.len(), 4);
}

/// The same for a merge: what is known of the left one is right while the union stays, and costs one retry after that.
#[tokio::test]
async fn a_location_from_before_a_merge_costs_one_retry() {
    let c = cluster().await;
    assert_eq!(c.scan(scan_all(None)).await.unwrap().len(), 10);
    // Its own client knows both; the other one merges them.
    c.t.model.tablets().merge(TABLE, row_key(6)).await.unwrap();
    let asked_for = async |k| {
        c.directory.asked.lock().clear();
        assert_eq!(c.get(&[k]).await.unwrap(), [true]);
        c.directory.asked.lock().clone()
    };
    assert_eq!(asked_for(4).await, [FIRST_SERVER], "as if nothing had happened");
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10), "no row twice");
    c.move_tablet(None, "second");
    assert_eq!(asked_for(4).await, [FIRST_SERVER, FIRST_SERVER, "second"]);
    assert_eq!(asked_for(9).await, ["second"]);
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
    assert_eq!(c.client.tablets(TABLE, &KeyRange::all()).await.unwrap().len(), 2);
    // And the edge that is gone is no edge to merge at.
    c.client.merge(TABLE, row_key(6)).await.unwrap();
    assert_eq!(c.client.tablets(TABLE, &KeyRange::all()).await.unwrap().len(), 2);
}

/// Half way through a split METADATA has the left child's row beside the parent's: no key is read twice.
#[tokio::test]
async fn a_split_under_way_is_two_tablets() {
    let c = cluster().await;
    let all = KeyRange::all();
    let rows = c.client.tablets(TABLE, &all).await.unwrap();
    let mut parent = c.t.model.tablets().status().await.unwrap();
    parent.retain(|tablet| tablet.row.table == TABLE && tablet.row.end.is_none());
    let mut parent = parent.remove(0).row;
    parent.split = Some(SplitIntent { at: row_key(8).to_vec(), is_chosen: false });
    let (left, _) = split::children(&parent).unwrap();
    for with_left in [false, true] {
        let mut programs = vec![RowProgram {
            action: Action::Put { cells: codec::row_cells(&parent).unwrap() },
            condition: None,
            ..edit::put(&parent).unwrap()
        }];
        if with_left {
            programs.push(edit::put(&left).unwrap());
        }
        c.client.modify_rows(all_or_none(programs)).await.unwrap();
        c.client.inner.cache.forget(TABLE);
        let cut = c.client.tablets(TABLE, &all).await.unwrap();
        assert_eq!(cut.len(), rows.len() + 1, "{cut:?}");
        assert!(
            cut.windows(2).all(|pair| pair[0].range.end.as_ref() == Some(&pair[1].range.start))
        );
        assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(0..10));
    }
}

#[tokio::test]
async fn a_server_that_is_away_for_a_moment_is_waited_for() {
    let c = cluster().await;
    c.move_tablet(None, "away");
    c.directory.hidden.lock().insert("away".to_owned());
    let gone = c.get(&[9]).await;
    assert!(matches!(gone, Err(TabletError::NotServing { .. })));
    let back = async {
        tokio::time::sleep(Duration::from_millis(100)).await;
        c.directory.hidden.lock().clear();
    };
    let (rows, ()) = tokio::join!(c.get(&[9]), back);
    assert_eq!(rows.unwrap(), [true]);
}

#[tokio::test]
async fn rows_on_several_servers_are_all_or_nothing_on_each() {
    let c = cluster().await;
    c.move_tablet(None, "second");
    let answer = c.client.modify_rows(all_or_none(vec![add(9, 1), add(1, 1), add(8, 1)])).await;
    assert!(answer.unwrap().results.iter().all(Result::is_ok));
    let partly = c.client.modify_rows(all_or_none(vec![add(1, 1), insert(9, 1, "a")])).await;
    assert!(matches!(partly, Err(TabletError::PartlyApplied { applied: 1, of: 2, .. })));
    let none = c.client.modify_rows(all_or_none(vec![insert(1, 1, "a"), add(9, 1)])).await;
    assert_eq!(none.unwrap().results[0], Err(RowError::AlreadyExists));
    let each = ModifyRequest {
        atomicity: Atomicity::EachRow,
        ..all_or_none(vec![insert(1, 1, "a"), add(9, 1), program(2, Guard::Any, Action::Delete)])
    };
    let results = c.client.modify_rows(each).await.unwrap().results;
    assert_eq!(results[0], Err(RowError::AlreadyExists));
    assert!(results[1].is_ok() && results[2].is_ok());
}

#[tokio::test]
async fn a_read_timestamp_covers_all_servers() {
    let c = cluster().await;
    c.move_tablet(None, "second");
    let before = c.client.read_timestamp_of(&[TABLE]).await.unwrap();
    c.client.modify_rows(all_or_none(vec![delete(0), delete(9)])).await.unwrap();
    let then = c.scan(scan_all(Some(before))).await.unwrap();
    assert_eq!(then.len(), 10);
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), Vec::from_iter(1..9));
    assert!(c.client.read_timestamp_of(&[]).await.unwrap() > before);
    assert_eq!(c.client.pin_timestamp_of(&[TABLE], before).await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_cluster_answers_as_one_server() {
    let c = cluster().await;
    c.move_tablet(None, "second");
    let service: Arc<dyn TabletService> = Arc::new(c.client.clone());
    assert_eq!(service.status().await.unwrap().len(), 4, "METADATA's and three of the table");
    let before = service.read_timestamp().await.unwrap();
    let pin = service.pin_timestamp(before).await.unwrap();
    service.modify_rows(all_or_none(vec![delete(9)])).await.unwrap();
    let then = ScanRequest { read_ts: Some(before), ..scan_all(None) };
    let batches: Vec<_> = service.read(then).await.unwrap().batches.try_collect().await.unwrap();
    assert_eq!(batches.iter().map(|batch| batch.num_rows()).sum::<usize>(), 10);
    drop(pin);
    assert!(!service.sample_keys(TABLE).await.unwrap().is_empty());
    service.flush(None).await.unwrap();
    service.flush(Some(TABLE)).await.unwrap();
    service.compact(TABLE).await.unwrap();
    let name = TabletName { table: TABLE, end: None };
    assert!(matches!(service.unload(name).await, Err(TabletError::Unsupported(_))));
}

#[tokio::test]
async fn a_range_delete_goes_to_every_server_of_its_range() {
    let c = cluster().await;
    c.move_tablet(Some(6), "other");
    let request = |number, ranges: &[(i32, Option<i32>)]| DeleteRangeRequest {
        request: crate::ids::RequestId { client: 77, number },
        table: TABLE,
        schema_version: 1,
        ranges: ranges
            .iter()
            .map(|(start, end)| KeyRange { start: row_key(*start), end: end.map(row_key) })
            .collect(),
    };
    let none = c.client.delete_ranges(request(1, &[(5, Some(5)), (9, Some(2))])).await.unwrap();
    assert_eq!(none, CommitTs::ABSENT);
    let one = c.client.delete_ranges(request(2, &[(1, Some(2))])).await.unwrap();
    assert!(one > none);
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), [0, 2, 3, 4, 5, 6, 7, 8, 9]);
    // Both ends are on one server, the middle on another.
    let all = c.client.delete_ranges(request(3, &[(2, Some(7)), (9, None)])).await.unwrap();
    assert!(all > one);
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), [0, 7, 8]);
    assert_eq!(c.client.delete_ranges(request(2, &[(1, Some(2))])).await.unwrap(), one, "a retry");
    assert_eq!(c.scan(scan_all(None)).await.unwrap(), [0, 7, 8]);
    let stale = DeleteRangeRequest { schema_version: 9, ..request(4, &[(0, None)]) };
    let refused = c.client.delete_ranges(stale).await;
    assert!(matches!(refused, Err(TabletError::SchemaChanged { .. })), "{refused:?}");
    // What one server has done stays done.
    c.directory.hidden.lock().insert("other".to_owned());
    let partly = c.client.delete_ranges(request(5, &[(0, Some(9))])).await;
    assert!(
        matches!(partly, Err(TabletError::PartlyApplied { applied: 1, of: 2, .. })),
        "{partly:?}"
    );
}
