#![allow(clippy::unwrap_used)]

use super::*;
use crate::lock::{LockService, Outcome};
use crate::model::Model;
use crate::model::fixture::{TABLE, request, row_key, schema as table_schema};
use crate::program::{Atomicity, RowOutcome};
use crate::read::GetRequest;
use crate::service::TabletService;

fn tablet(generation: u64) -> TabletRow {
    let end = Some(row_key(5).to_vec());
    TabletRow::empty(&table_schema(), Vec::new(), end, "server", Generation(generation))
}

struct Metadata(Model);

impl Metadata {
    async fn run(&self, program: RowProgram) -> RowOutcome {
        let request = request(Atomicity::AllOrNone, vec![program]);
        let response = self.0.tablets().modify_rows(request).await.unwrap();
        response.results.into_iter().next().unwrap().unwrap()
    }

    async fn row(&self) -> Option<TabletRow> {
        let request = GetRequest {
            table: StorageId::METADATA,
            schema_version: 1,
            read_ts: None,
            keys: vec![codec::row_key(TABLE, Some(&row_key(5))).unwrap()],
            columns: None,
            map_parts: Default::default(),
        };
        let row = self.0.tablets().get(request).await.unwrap().rows.remove(0)?;
        Some(codec::tablet_row(&row).unwrap())
    }
}

fn applied(inserted: bool) -> RowOutcome {
    RowOutcome::Applied { inserted, row: None }
}

#[tokio::test]
async fn of_two_edits_of_one_row_the_second_is_refused() {
    let metadata = Metadata(Model::default());
    let first = tablet(3);
    assert_eq!(metadata.run(put(&first).unwrap()).await, applied(true));
    let flush = Edit::new(&first, |row| row.max_seq = crate::ids::Seq(7)).unwrap();
    let compaction = Edit::new(&first, |row| row.max_seq = crate::ids::Seq(9)).unwrap();
    assert_eq!(metadata.run(flush.program().unwrap()).await, applied(false));
    assert_eq!(metadata.run(compaction.program().unwrap()).await, RowOutcome::Unmatched);
    assert_eq!(metadata.row().await, Some(flush.row.clone()));
    assert_eq!(flush.row.version, first.version + 1);
    let again = Edit::new(&flush.row, |row| row.max_seq = crate::ids::Seq(9)).unwrap();
    assert_eq!(metadata.run(again.program().unwrap()).await, applied(false));
    assert_eq!(metadata.run(remove(&flush.row).unwrap()).await, RowOutcome::Unmatched);
    assert_eq!(metadata.run(remove(&again.row).unwrap()).await, applied(false));
    assert_eq!(metadata.row().await, None);
}

#[tokio::test]
async fn a_put_needs_a_greater_generation() {
    let metadata = Metadata(Model::default());
    metadata.run(put(&tablet(3)).unwrap()).await;
    assert_eq!(metadata.run(put(&tablet(3)).unwrap()).await, RowOutcome::Unmatched);
    assert_eq!(metadata.run(put(&tablet(2)).unwrap()).await, RowOutcome::Unmatched);
    assert_eq!(metadata.run(put(&tablet(4)).unwrap()).await, applied(false));
    assert_eq!(metadata.row().await, Some(tablet(4)));
}

#[tokio::test]
async fn a_retired_owner_cannot_edit() {
    let metadata = Metadata(Model::default());
    let old = tablet(3);
    metadata.run(put(&old).unwrap()).await;
    let fence = Edit::new(&old, |row| row.generation = Generation(4)).unwrap();
    assert_eq!(metadata.run(fence.program().unwrap()).await, applied(false));
    let late = Edit::new(&old, |row| row.max_seq = crate::ids::Seq(1)).unwrap();
    assert_eq!(metadata.run(late.program().unwrap()).await, RowOutcome::Unmatched);
}

#[tokio::test]
async fn the_root_is_edited_in_the_lock_service() {
    let model = Model::default();
    let locks = model.locks();
    let value = locks.get(ROOT_KEY).await.unwrap().unwrap();
    let root = codec::parse_state(&value.value).unwrap();
    let edit = Edit::new(&root, |row| row.server = "other".to_owned()).unwrap();
    let transaction = edit.transaction(value.revision).unwrap();
    assert!(matches!(locks.commit(transaction.clone()).await.unwrap(), Outcome::Committed(_)));
    assert_eq!(locks.commit(transaction).await.unwrap(), Outcome::Conflict);
    let value = locks.get(ROOT_KEY).await.unwrap().unwrap();
    assert_eq!(codec::parse_state(&value.value).unwrap(), edit.row);
}

#[test]
fn an_edit_cannot_rename_its_row() {
    assert!(Edit::new(&tablet(1), |row| row.end = None).is_err());
}
