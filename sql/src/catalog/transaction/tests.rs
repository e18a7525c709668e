#![allow(clippy::unwrap_used)]

use super::*;
use crate::catalog::fixtures::{empty, table, view};
use crate::catalog::model::OnCommit;
use crate::catalog::search_path::SearchPath;

fn put_table(tx: &mut CatalogTransaction, oid: u32, name: &str) {
    tx.put(Object::Table(Arc::new(table(oid, Oid::PUBLIC, name, &["a", "b"]))));
}

#[test]
fn a_block_sees_its_own_changes_and_a_savepoint_takes_them_back() {
    let base = empty();
    let path = SearchPath::default_for("terrane");
    let mut tx = CatalogTransaction::new(base.clone());
    tx.storage_created(StorageId(20_000));
    put_table(&mut tx, 20_000, "t");
    let savepoint = tx.savepoint();
    tx.remove(Oid(20_000));
    tx.storage_created(StorageId(20_010));
    put_table(&mut tx, 20_010, "t");
    assert_eq!(tx.catalog().resolve(&path, "t").unwrap().oid(), Oid(20_010));
    tx.rollback_to(&savepoint);
    assert_eq!(tx.catalog().resolve(&path, "t").unwrap().oid(), Oid(20_000));
    assert!(base.resolve(&path, "t").is_none(), "others do not see it");
    let changes = tx.changes();
    assert_eq!(changes.upserts.iter().map(Object::oid).collect::<Vec<_>>(), [Oid(20_000)]);
    assert!(changes.deletes.is_empty());
    assert_eq!(tx.storages_after_commit(), [StorageId(20_010)]);
    assert_eq!(tx.storages_after_rollback(), [StorageId(20_000), StorageId(20_010)]);
}

#[test]
fn a_swapped_storage_is_dropped_after_commit_and_the_new_one_after_rollback() {
    let mut setup = CatalogTransaction::new(empty());
    put_table(&mut setup, 20_000, "t");
    let mut tx = CatalogTransaction::new(setup.catalog().clone());
    let mut truncated = (**tx.catalog().table(Oid(20_000)).unwrap()).clone();
    truncated.storage = StorageId(30_000);
    tx.storage_created(StorageId(30_000));
    tx.put(Object::Table(Arc::new(truncated)));
    assert_eq!(tx.storages_after_commit(), [StorageId(20_000)]);
    assert_eq!(tx.storages_after_rollback(), [StorageId(30_000)]);
    assert!(tx.is_own_storage(StorageId(30_000)) && !tx.is_own_storage(StorageId(20_000)));
}

#[test]
fn temporary_objects_hide_permanent_ones_and_are_never_written() {
    let mut tx = CatalogTransaction::new(empty());
    put_table(&mut tx, 20_000, "t");
    let path = SearchPath::default_for("terrane");
    let before = tx.changes().upserts.len();
    tx.create_temporary_schema(Oid(20_100), 3, Oid::SUPERUSER);
    for (oid, name, on_commit) in
        [(20_101, "t", OnCommit::DeleteRows), (20_111, "gone", OnCommit::Drop)]
    {
        let mut temporary = table(oid, Oid(20_100), name, &["x"]);
        temporary.persistence = Persistence::Temporary(on_commit);
        tx.put(Object::Table(Arc::new(temporary)));
    }
    assert_eq!(tx.changes().upserts.len(), before);
    assert_eq!(tx.catalog().resolve(&path, "t").unwrap().oid(), Oid(20_101));
    let last = SearchPath::parse("public, pg_temp", "terrane").unwrap();
    assert_eq!(tx.catalog().resolve(&last, "t").unwrap().oid(), Oid(20_000));
    assert_eq!(tx.apply_on_commit(), [Oid(20_101)]);
    assert!(tx.catalog().table(Oid(20_111)).is_none());
}

#[test]
fn unrelated_concurrent_changes_merge() {
    let base = empty();
    let (mut mine, mut theirs) =
        (CatalogTransaction::new(base.clone()), CatalogTransaction::new(base));
    put_table(&mut mine, 20_000, "mine");
    put_table(&mut theirs, 20_010, "theirs");
    mine.rebase(theirs.catalog().clone()).unwrap();
    assert!(mine.catalog().table(Oid(20_010)).is_some());
    assert_eq!(mine.changes().upserts.len(), 1);
}

#[test]
fn concurrent_changes_that_meet_are_40001() {
    let mut setup = CatalogTransaction::new(empty());
    put_table(&mut setup, 20_000, "t");
    let base = setup.catalog().clone();
    let begin = || CatalogTransaction::new(base.clone());
    let t = base.table(Oid(20_000)).unwrap();
    let drop_t = |tx: &mut CatalogTransaction| tx.remove(Oid(20_000));
    let change_t = |tx: &mut CatalogTransaction| {
        tx.put(Object::Table(Arc::new((**t).clone())));
    };
    let make_name = |oid: u32| move |tx: &mut CatalogTransaction| put_table(tx, oid, "same");
    let make_view = |tx: &mut CatalogTransaction| {
        tx.put(Object::View(Arc::new(view(20_020, Oid::PUBLIC, "v", t, 1))));
    };
    type Change<'a> = &'a dyn Fn(&mut CatalogTransaction);
    let meeting: [(Change<'_>, Change<'_>); 6] = [
        (&drop_t, &change_t),
        (&change_t, &drop_t),
        (&change_t, &change_t),
        (&make_name(20_030), &make_name(20_040)),
        (&make_view, &change_t),
        (&drop_t, &make_view),
    ];
    for (i, (mine, theirs)) in meeting.into_iter().enumerate() {
        let (mut a, mut b) = (begin(), begin());
        mine(&mut a);
        theirs(&mut b);
        let error = a.rebase(b.catalog().clone()).unwrap_err();
        assert_eq!(error.state, SqlState::SERIALIZATION_FAILURE, "case {i}");
    }
}

#[test]
fn a_sound_catalog_has_no_dangling_references() {
    let mut tx = CatalogTransaction::new(empty());
    put_table(&mut tx, 20_000, "t");
    let t = tx.catalog().table(Oid(20_000)).unwrap().clone();
    tx.put(Object::View(Arc::new(view(20_020, Oid::PUBLIC, "v", &t, 2))));
    assert!(tx.catalog().dangling().is_empty());
    let mut narrower = (*t).clone();
    narrower.columns[1].dropped = true;
    tx.put(Object::Table(Arc::new(narrower)));
    assert_eq!(tx.catalog().dangling(), [Oid(20_020)]);
}
