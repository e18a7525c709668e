//! The master against the model: no engine, no disk.

use super::*;
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::metadata::SCHEMA_PREFIX;
use terrane_client::model::{FIRST_SERVER, Model};
use terrane_client::schema::{Column, HISTORY_DEFAULT_MICROS, KeyColumn, LocalityGroup};
use terrane_client::types::DataType;
use terrane_client::value::Value;

fn table(storage: u64, version: u32) -> TableSchema {
    let column = |id, name: &str| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        data_type: DataType::Int8,
        not_null: false,
        group: LocalityGroupId::default(),
        missing: Value::Null,
        gc: Default::default(),
    };
    TableSchema {
        storage: StorageId(storage),
        version,
        name: format!("t{storage}"),
        columns: vec![column(1, "k"), column(2, "v")],
        key: vec![KeyColumn { column: ColumnId(1), descending: false }],
        groups: vec![LocalityGroup::default_group()],
        checks: Vec::new(),
        history_micros: HISTORY_DEFAULT_MICROS,
        is_settled: true,
        tablet_bytes_max: None,
        purge_within_micros: None,
        dropped: Vec::new(),
    }
}

async fn master(model: &Model) -> Arc<Master> {
    Master::start(&Env::system(), model.locks(), model.tablets(), FIRST_SERVER).await.unwrap()
}

#[test]
fn split_keys_cut_the_table_without_gaps() {
    let keys: Vec<Bytes> = ["m", "c", "m"].map(|key| Bytes::from_static(key.as_bytes())).to_vec();
    let ranges = ranges(&keys);
    let expected: Vec<(Vec<u8>, Option<Vec<u8>>)> = vec![
        (b"".to_vec(), Some(b"c".to_vec())),
        (b"c".to_vec(), Some(b"m".to_vec())),
        (b"m".to_vec(), None),
    ];
    assert_eq!(ranges, expected);
}

#[tokio::test]
async fn schemas_keep_the_one_before_until_the_next() {
    let model = Model::default();
    let schemas = Schemas::new(model.locks());
    schemas.create(&table(1000, 1)).await.unwrap();
    let stored = schemas.replace(&table(1000, 2)).await.unwrap();
    assert_eq!(stored.current.version, 2);
    assert_eq!(stored.previous.unwrap().version, 1);
    // The DDL that staged version 2 did not commit; another one stages its own version 2.
    let mut other = table(1000, 2);
    other.name = "renamed".to_owned();
    let stored = schemas.replace(&other).await.unwrap();
    assert_eq!((stored.current.name.as_str(), stored.previous.unwrap().version), ("renamed", 1));
    let stored = schemas.replace(&table(1000, 3)).await.unwrap();
    assert_eq!(stored.previous.unwrap().name, "renamed");
    let late = schemas.replace(&table(1000, 1)).await;
    assert!(matches!(late, Err(TabletError::SchemaChanged { current: 3, .. })), "{late:?}");
    schemas.remove(StorageId(1000)).await.unwrap();
    assert!(schemas.get(StorageId(1000)).await.unwrap().is_none());
    assert!(schemas.list().await.unwrap().is_empty());
}

#[tokio::test]
async fn a_catalog_that_users_tables_are_in_is_not_made_again() {
    let model = Model::default();
    let schemas = Schemas::new(model.locks());
    let master = master(&model).await;
    schemas.create(&table(2, 1)).await.unwrap();
    assert!(master.is_cut_off(StorageId(2)).await.unwrap(), "a first start ended here");
    schemas.create(&table(1000, 1)).await.unwrap();
    let made = master.create_table(table(2, 1), Vec::new()).await;
    assert!(matches!(made, Err(TabletError::Internal(_))), "{made:?}");
    assert_eq!(schemas.get(StorageId(2)).await.unwrap().unwrap().current.version, 1);
}

#[tokio::test]
async fn leftovers_of_a_creation_are_found_by_their_schema() {
    let model = Model::default();
    let master = master(&model).await;
    // Creation stopped after its first step.
    Schemas::new(model.locks()).create(&table(1000, 1)).await.unwrap();
    Schemas::new(model.locks()).create(&table(5, 1)).await.unwrap();
    master.retain_tables(&BTreeSet::new()).await.unwrap();
    let left = model.locks().list(SCHEMA_PREFIX).await.unwrap();
    assert_eq!(left.len(), 1, "a system table's schema stays: {left:?}");
}
