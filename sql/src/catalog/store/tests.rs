#![allow(clippy::unwrap_used)]

use super::*;
use crate::catalog::fixtures::table;
use crate::catalog::model::{Schema, Sequence};
use crate::catalog::objects::Object;
use crate::catalog::search_path::SearchPath;
use crate::catalog::transaction::CatalogTransaction;
use crate::error::SqlState;
use std::sync::Arc;
use terrane_client::model::Model;
use terrane_client::program::{
    Action, Atomicity, Guard, ModifyRequest, ModifyResponse, Returning, RowProgram,
};
use terrane_client::row::CellsBuilder;
use terrane_client::types::DataType;

struct NoChecks;

impl CheckCompiler for NoChecks {
    fn compile(&self, _: &Table, _: &Catalog) -> Result<Vec<Check>, SqlError> {
        Ok(Vec::new())
    }
}

async fn open(model: &Model) -> CatalogStore {
    let checks = Arc::new(NoChecks);
    CatalogStore::open(model.tablets(), model.master(), checks, &Env::system()).await.unwrap()
}

fn begin(store: &CatalogStore) -> CatalogTransaction {
    CatalogTransaction::new(store.snapshot())
}

async fn create(store: &CatalogStore, tx: &mut CatalogTransaction, name: &str) -> Oid {
    let oid = store.allocate_oid().await.unwrap();
    let mut made = table(oid.0, Oid::PUBLIC, name, &["a", "b"]);
    made.storage = store.allocate_storage().await.unwrap();
    made.row_type = store.allocate_oid().await.unwrap();
    made.row_array_type = store.allocate_oid().await.unwrap();
    store.create_table_storage(tx, made).await.unwrap();
    oid
}

async fn modify(store: &CatalogStore, programs: Vec<RowProgram>) -> ModifyResponse {
    let request = store.requests.next();
    let request =
        ModifyRequest { request, programs: Arc::new(programs), atomicity: Atomicity::AllOrNone };
    store.tablets.modify_rows(request).await.unwrap()
}

async fn commit(store: &CatalogStore, mut tx: CatalogTransaction) -> Result<(), SqlError> {
    let Some(pending) = store.begin_commit(&mut tx).await? else { return Ok(()) };
    let response = modify(store, pending.programs.clone()).await;
    if let Some(error) = response.results.iter().find_map(|result| result.as_ref().err()) {
        let error = commit_error(error);
        store.abandon(pending).await?;
        store.abort(tx).await?;
        return Err(error);
    }
    store.finish_commit(pending, response.commit_ts).await;
    Ok(())
}

fn row(table: &Table, key: u8) -> RowProgram {
    let mut cells = CellsBuilder::default();
    cells.push(terrane_client::ids::ColumnId(1), Some(&7i32.to_le_bytes()));
    RowProgram {
        table: table.storage,
        schema_version: table.schema_version,
        key: vec![key; 16].into(),
        guard: Guard::Any,
        condition: None,
        action: Action::Put { cells: cells.finish() },
        returning: Returning::Nothing,
    }
}

async fn accepts(store: &CatalogStore, table: &Table) -> bool {
    let programs = vec![row(table, 1)];
    let request = store.requests.next();
    let request =
        ModifyRequest { request, programs: Arc::new(programs), atomicity: Atomicity::EachRow };
    store.tablets.modify_rows(request).await.is_ok()
}

fn find(store: &CatalogStore, name: &str) -> Option<Arc<Table>> {
    let snapshot = store.snapshot();
    let path = SearchPath::default_for("terrane");
    snapshot.resolve(&path, name).and_then(|found| snapshot.table(found.oid()).cloned())
}

#[tokio::test]
async fn what_is_committed_is_there_after_a_restart_and_nothing_else() {
    let model = Model::default();
    let store = open(&model).await;
    let names = |store: &CatalogStore| {
        let snapshot = store.snapshot();
        let found = snapshot.schema_by_name("public").map(|schema| schema.oid);
        (found, snapshot.database().unwrap().name.clone(), snapshot.version())
    };
    assert_eq!(names(&store), (Some(Oid::PUBLIC), "terrane".into(), 1));
    let mut tx = begin(&store);
    create(&store, &mut tx, "kept").await;
    commit(&store, tx).await.unwrap();
    let mut tx = begin(&store);
    let lost = create(&store, &mut tx, "lost").await;
    let lost = tx.catalog().table(lost).unwrap().clone();
    assert!(accepts(&store, &lost).await);
    // The process dies here.
    let store = open(&model).await;
    assert!(find(&store, "lost").is_none());
    assert!(accepts(&store, &find(&store, "kept").unwrap()).await);
    assert!(!accepts(&store, &lost).await, "its storage was dropped at start");
}

#[tokio::test]
async fn no_identifier_is_given_out_twice() {
    let model = Model::default();
    let mut seen = std::collections::BTreeSet::new();
    for _ in 0..3 {
        let store = open(&model).await;
        for _ in 0..300 {
            assert!(seen.insert(store.allocate_oid().await.unwrap()));
        }
    }
    assert_eq!(seen.first(), Some(&Oid::FIRST_USER));
}

#[tokio::test]
async fn two_frontends_cannot_both_change_the_same_version() {
    let model = Model::default();
    let (one, two) = (open(&model).await, open(&model).await);
    let mut first = begin(&one);
    create(&one, &mut first, "t").await;
    let mut second = begin(&two);
    create(&two, &mut second, "t").await;
    commit(&one, first).await.unwrap();
    let error = commit(&two, second).await.unwrap_err();
    assert_eq!(error.state, SqlState::SERIALIZATION_FAILURE);
}

#[tokio::test]
async fn concurrent_blocks_of_one_frontend_merge_where_they_can() {
    let model = Model::default();
    let store = open(&model).await;
    let (mut first, mut second) = (begin(&store), begin(&store));
    create(&store, &mut first, "one").await;
    create(&store, &mut second, "two").await;
    commit(&store, first).await.unwrap();
    commit(&store, second).await.unwrap();
    let store = open(&model).await;
    assert!(find(&store, "one").is_some() && find(&store, "two").is_some());
}

async fn with_table(model: &Model) -> CatalogStore {
    let store = open(model).await;
    let mut tx = begin(&store);
    create(&store, &mut tx, "t").await;
    commit(&store, tx).await.unwrap();
    store
}

fn narrowed(table: &Table) -> Table {
    let mut table = table.clone();
    table.columns[1].not_null = true;
    table
}

#[tokio::test]
async fn an_open_alter_reaches_tablets_with_its_commit_and_old_writers_go_on() {
    let model = Model::default();
    let store = with_table(&model).await;
    let before = find(&store, "t").unwrap();
    let mut tx = begin(&store);
    let mut wider = (*before).clone();
    let mut column = wider.columns[0].clone();
    (column.id, column.name) = (wider.next_column_id(), "c".into());
    wider.columns.push(column);
    store.put_table(&mut tx, wider, Fence::Open).await.unwrap();
    let staged = tx.catalog().table(before.oid).unwrap().clone();
    assert!(!accepts(&store, &staged).await, "not before the commit");
    assert_eq!(tx.held_table(&staged).unwrap().schema_version, before.schema_version);
    commit(&store, tx).await.unwrap();
    assert!(accepts(&store, &before).await && accepts(&store, &find(&store, "t").unwrap()).await);
}

#[tokio::test]
async fn a_fence_keeps_others_out_until_the_block_ends() {
    let model = Model::default();
    let store = Arc::new(with_table(&model).await);
    let before = find(&store, "t").unwrap();
    let version = store.snapshot().version();
    let mut tx = begin(&store);
    store.put_table(&mut tx, narrowed(&before), Fence::Closed).await.unwrap();
    let staged = tx.catalog().table(before.oid).unwrap().clone();
    assert!(!accepts(&store, &before).await);
    assert!(accepts(&store, &staged).await, "the block itself goes on");
    let waiting = tokio::spawn({
        let store = store.clone();
        async move { store.changed_since(version).await }
    });
    store.abort(tx).await.unwrap();
    waiting.await.unwrap();
    let after = find(&store, "t").unwrap();
    assert!(accepts(&store, &after).await);
    assert!(!after.columns[1].not_null);
}

#[tokio::test]
async fn a_fence_of_a_process_that_died_is_lifted_at_start() {
    let model = Model::default();
    let store = with_table(&model).await;
    let before = find(&store, "t").unwrap();
    let mut tx = begin(&store);
    store.put_table(&mut tx, narrowed(&before), Fence::Closed).await.unwrap();
    // The process dies here.
    for _ in 0..2 {
        let store = open(&model).await;
        let after = find(&store, "t").unwrap();
        assert!(accepts(&store, &after).await && !after.columns[1].not_null);
    }
}

#[tokio::test]
async fn a_savepoint_inside_a_fenced_block_takes_the_tablets_along() {
    let model = Model::default();
    let store = with_table(&model).await;
    let before = find(&store, "t").unwrap();
    let mut tx = begin(&store);
    let savepoint = tx.savepoint();
    store.put_table(&mut tx, narrowed(&before), Fence::Closed).await.unwrap();
    tx.rollback_to(&savepoint);
    store.align(&mut tx).await.unwrap();
    let staged = tx.catalog().table(before.oid).unwrap().clone();
    assert!(accepts(&store, &staged).await && !staged.columns[1].not_null);
    commit(&store, tx).await.unwrap();
    assert!(accepts(&store, &find(&store, "t").unwrap()).await);
    assert!(accepts(&open(&model).await, &find(&store, "t").unwrap()).await);
}

#[tokio::test]
async fn a_commit_that_fails_takes_an_alter_back() {
    let model = Model::default();
    let store = with_table(&model).await;
    let before = find(&store, "t").unwrap();
    let mut tx = begin(&store);
    store.put_table(&mut tx, narrowed(&before), Fence::Open).await.unwrap();
    let pending = store.begin_commit(&mut tx).await.unwrap().unwrap();
    // A data row's error: nothing of the request was applied.
    store.abandon(pending).await.unwrap();
    store.abort(tx).await.unwrap();
    let after = find(&store, "t").unwrap();
    assert!(accepts(&store, &after).await && !after.columns[1].not_null);
    assert!(after.schema_version > before.schema_version + 1);
}

#[tokio::test]
async fn an_unknown_outcome_is_found_out() {
    let model = Model::default();
    let store = open(&model).await;
    for applied in [true, false] {
        let mut tx = begin(&store);
        create(&store, &mut tx, if applied { "yes" } else { "no" }).await;
        let pending = store.begin_commit(&mut tx).await.unwrap().unwrap();
        if applied {
            modify(&store, pending.programs.clone()).await;
        }
        assert_eq!(store.resolve(pending).await.unwrap(), applied);
    }
    assert!(find(&store, "yes").is_some() && find(&store, "no").is_none());
}

async fn sequence(store: &CatalogStore, min: i64, max: i64, increment: i64) -> Sequence {
    Sequence {
        oid: Oid(30_000),
        schema: Oid::PUBLIC,
        name: "s".into(),
        owner: Oid::SUPERUSER,
        persistence: crate::catalog::model::Persistence::Permanent,
        counter: store.allocate_storage().await.unwrap(),
        data_type: DataType::Int8,
        start: if increment > 0 { min } else { max },
        increment,
        min,
        max,
        cycle: false,
        cache: 1,
        owned_by: None,
        comment: None,
    }
}

#[tokio::test]
async fn a_sequence_never_repeats_a_value_after_a_crash() {
    let model = Model::default();
    let store = open(&model).await;
    let s = sequence(&store, 1, i64::MAX, 1).await;
    let mut last = 0;
    for round in 0..4 {
        let store = open(&model).await;
        for _ in 0..50 + round {
            let next = store.sequences().next_value(&s).await.unwrap();
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        assert_eq!(store.sequences().position(&s).await.unwrap().last, last);
    }
    let store = open(&model).await;
    let before = store.sequences().next_value(&s).await.unwrap();
    store.sequences().close().await.unwrap();
    let store = open(&model).await;
    let next = store.sequences().next_value(&s).await.unwrap();
    assert_eq!(next, before + 1, "a clean shutdown leaves no gap");
}

#[tokio::test]
async fn sequences_end_cycle_and_go_down() {
    let model = Model::default();
    let store = open(&model).await;
    let sequences = store.sequences();
    let mut s = sequence(&store, 1, 5, 2).await;
    assert_eq!(sequences.next_values(&s, 3).await.unwrap(), [1, 3, 5]);
    let error = sequences.next_value(&s).await.unwrap_err();
    assert_eq!(error.state.0, "2200H");
    assert_eq!(error.message, "nextval: reached maximum value of sequence \"s\" (5)");
    s.cycle = true;
    assert_eq!(sequences.next_values(&s, 4).await.unwrap(), [1, 3, 5, 1]);
    s.increment = -2;
    assert_eq!(sequences.next_values(&s, 3).await.unwrap(), [5, 3, 1]);
    let down = sequence(&store, -3, -1, -1).await;
    assert_eq!(sequences.next_values(&down, 3).await.unwrap(), [-1, -2, -3]);
    let error = sequences.next_value(&down).await.unwrap_err();
    assert_eq!(error.message, "nextval: reached minimum value of sequence \"s\" (-3)");
    let extreme = sequence(&store, i64::MAX - 1, i64::MAX, 1).await;
    assert_eq!(sequences.next_values(&extreme, 2).await.unwrap(), [i64::MAX - 1, i64::MAX]);
    assert!(sequences.next_value(&extreme).await.is_err());
}

#[tokio::test]
async fn setval_moves_a_sequence() {
    let model = Model::default();
    let store = open(&model).await;
    let sequences = store.sequences();
    let s = sequence(&store, 1, 100, 1).await;
    assert_eq!(sequences.next_value(&s).await.unwrap(), 1);
    sequences.set_value(&s, 40, true).await.unwrap();
    assert_eq!(sequences.next_value(&s).await.unwrap(), 41);
    sequences.set_value(&s, 7, false).await.unwrap();
    assert_eq!(sequences.position(&s).await.unwrap().last, 7);
    assert_eq!(sequences.next_value(&s).await.unwrap(), 7);
    let error = sequences.set_value(&s, 101, true).await.unwrap_err();
    assert_eq!(error.message, "setval: value 101 is out of bounds for sequence \"s\" (1..100)");
}

#[tokio::test]
async fn a_stored_object_reads_back_as_it_was() {
    let model = Model::default();
    let store = open(&model).await;
    let mut tx = begin(&store);
    let mut s = sequence(&store, 1, 9, 1).await;
    s.comment = Some("it's \"quoted\"\n\u{2}".to_owned());
    tx.put(Object::Sequence(Arc::new(s.clone())));
    commit(&store, tx).await.unwrap();
    assert_eq!(**open(&model).await.snapshot().sequence(s.oid).unwrap(), s);
}

/// Rule 34: before the commit that made it, a storage is not read as empty; rule 7: a longer history does not bring back
/// what the shorter one let go.
#[tokio::test]
async fn what_can_be_read_of_a_table_begins_with_a_commit() {
    const FAR: i64 = i64::MAX / 4;
    let model = Model::default();
    let store = open(&model).await;
    let mut tx = begin(&store);
    create(&store, &mut tx, "t").await;
    let staged = tx.catalog().resolve(&SearchPath::default_for("terrane"), "t").unwrap();
    let staged = tx.catalog().table(staged.oid()).unwrap().clone();
    assert!(staged.history_start.is_pending());
    let before = model.tablets().read_timestamp().await.unwrap();
    commit(&store, tx).await.unwrap();
    let after = model.tablets().read_timestamp().await.unwrap();
    let oldest = |store: &CatalogStore| {
        let table = find(store, "t").unwrap();
        assert!(!table.history_start.is_pending());
        crate::catalog::model::History { kept_micros: FAR, start: table.history_start }.oldest(0)
    };
    let born = oldest(&store);
    assert!(before < born && born <= after, "{before:?} {born:?} {after:?}");
    assert_eq!(oldest(&open(&model).await), born);

    let mut tx = begin(&store);
    let mut longer = (*find(&store, "t").unwrap()).clone();
    longer.set_history(0);
    store.put_table(&mut tx, longer, Fence::Open).await.unwrap();
    commit(&store, tx).await.unwrap();
    assert_eq!(oldest(&store), born, "a shorter history is told by its length");
    let mut tx = begin(&store);
    let mut longer = (*find(&store, "t").unwrap()).clone();
    longer.set_history(terrane_client::schema::HISTORY_DEFAULT_MICROS);
    store.put_table(&mut tx, longer, Fence::Open).await.unwrap();
    commit(&store, tx).await.unwrap();
    let lengthened = oldest(&store);
    assert!(after < lengthened, "{after:?} {lengthened:?}");
    assert_eq!(oldest(&open(&model).await), lengthened);
}

/// Databases older than the system's schema `terrane` may have one of users.
#[tokio::test]
async fn a_users_schema_terrane_keeps_its_name_and_the_systems_has_another() {
    let model = Model::default();
    let store = open(&model).await;
    let named = |store: &CatalogStore, name: &str| {
        store.snapshot().schema_by_name(name).map(|schema| schema.oid)
    };
    assert_eq!(named(&store, "terrane"), Some(Oid::TERRANE));
    // `"$user"` is the superuser's name, and not the system's schema.
    let path = SearchPath::default_for("terrane");
    let creation = |store: &CatalogStore| store.snapshot().creation_schema(&path).unwrap().oid;
    assert_eq!(creation(&store), Oid::PUBLIC);
    assert!(store.snapshot().resolve(&path, "tablets").is_none());
    let mut tx = begin(&store);
    let oid = store.allocate_oid().await.unwrap();
    let schema = Schema { oid, name: "terrane".into(), owner: Oid::SUPERUSER, comment: None };
    tx.put(Object::Schema(Arc::new(schema)));
    commit(&store, tx).await.unwrap();
    let store = open(&model).await;
    assert_eq!(named(&store, "terrane"), Some(oid));
    assert_eq!(creation(&store), oid);
    assert_eq!(named(&store, "pg_terrane"), Some(Oid::TERRANE));
    let tablets = store.snapshot().relation_in(Oid::TERRANE, "tablets").unwrap();
    assert_eq!(store.snapshot().shown_name(&path, &tablets), "pg_terrane.tablets");
}
