//! Several tablets and servers: what is not here is never answered in part.

use crate::error::TabletError;
use crate::ids::StorageId;
use crate::lock::{Change, Compare, LockService, Outcome, Transaction};
use crate::master::MasterService;
use crate::metadata::{ROOT_KEY, codec};
use crate::model::fixture::*;
use crate::program::Atomicity;
use crate::read::{KeyRange, ScanRequest};
use crate::service::{TabletName, TabletService};
use bytes::Bytes;

#[tokio::test]
async fn a_scan_over_a_tablet_that_is_elsewhere_is_refused() {
    let t = Fixture::split_at(&[5]).await;
    t.all((0..10).map(|k| insert(k, 1, "a")).collect()).await;
    let right = TabletName { table: TABLE, end: None };
    t.model.move_tablet(&right, "other").unwrap();
    let refused = t.scan(scan_all(None)).await;
    assert!(matches!(refused, Err(TabletError::NotServing { .. })));
    let left = KeyRange { start: Bytes::new(), end: Some(row_key(5)) };
    let request = ScanRequest { ranges: vec![left], ..scan_all(None) };
    assert_eq!(t.scan(request).await.unwrap().len(), 5);
    let modify = t.tablets.modify_rows(request_of(&[4, 5])).await;
    assert!(matches!(modify, Err(TabletError::NotServing { .. })));
    let other = t.model.server("other");
    assert!(other.modify_rows(request_of(&[5])).await.is_ok());
    assert_eq!(other.status().await.unwrap().len(), 1);
}

fn request_of(keys: &[i32]) -> crate::program::ModifyRequest {
    request(Atomicity::AllOrNone, keys.iter().map(|k| add(*k, 1)).collect())
}

#[tokio::test]
async fn metadata_is_a_table() {
    let t = Fixture::split_at(&[5]).await;
    let key = codec::row_key(TABLE, Some(&row_key(5))).unwrap();
    let request = crate::read::GetRequest {
        table: StorageId::METADATA,
        schema_version: 1,
        read_ts: None,
        keys: vec![key],
        columns: None,
        map_parts: Default::default(),
    };
    let row = t.tablets.get(request).await.unwrap().rows.remove(0).unwrap();
    let tablet = codec::tablet_row(&row).unwrap();
    assert_eq!(
        (tablet.table, tablet.start, tablet.end),
        (TABLE, vec![], Some(row_key(5).to_vec()))
    );
}

#[tokio::test]
async fn dropped_tables_are_gone() {
    let t = Fixture::new().await;
    t.all(vec![insert(1, 1, "a")]).await;
    t.model.master().drop_table(TABLE).await.unwrap();
    t.model.master().drop_table(TABLE).await.unwrap();
    assert!(matches!(t.scan(scan_all(None)).await, Err(TabletError::NotServing { .. })));
    t.model.master().create_table(schema(), Vec::new()).await.unwrap();
    assert_eq!(t.scan(scan_all(None)).await.unwrap(), []);
    let live = std::collections::BTreeSet::new();
    t.model.master().retain_tables(&live).await.unwrap();
    assert!(t.scan(scan_all(None)).await.is_err());
}

#[tokio::test]
async fn lock_service_transactions_compare_revisions() {
    let t = Fixture::new().await;
    let locks = t.model.locks();
    assert!(locks.get(ROOT_KEY).await.unwrap().is_some());
    let put = |revision, value: &'static [u8]| Transaction {
        compares: vec![Compare { key: "/a".to_owned(), revision }],
        changes: vec![Change::Put { key: "/a".to_owned(), value: Bytes::from_static(value) }],
    };
    let Outcome::Committed(first) = locks.commit(put(0, b"1")).await.unwrap() else {
        panic!("the key was not there")
    };
    assert_eq!(locks.commit(put(0, b"2")).await.unwrap(), Outcome::Conflict);
    assert!(matches!(locks.commit(put(first, b"3")).await.unwrap(), Outcome::Committed(_)));
    let listed = locks.list("/a").await.unwrap();
    assert_eq!(listed.len(), 1);
    assert_eq!(listed[0].1.value, Bytes::from_static(b"3"));
    let lease = locks.acquire_lease("server").await.unwrap();
    assert!(locks.acquire_lease("server").await.is_err());
    locks.release_lease(&lease).await.unwrap();
    assert!(locks.acquire_lease("server").await.unwrap().generation > lease.generation);
}
