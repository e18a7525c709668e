//! pg_stat_user_tables, pg_stat_user_indexes and their kin: which relations there are.
//!
//! Terrane counts no accesses, so the counters and times are NULL: unknown, not zero.

use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::{self, SystemRelation};
use crate::catalog::system::rows::Rows;
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

fn user_tables(facts: &Facts) -> impl Iterator<Item = &Table> {
    facts.catalog.objects().filter_map(|object| match object {
        Object::Table(table) => Some(&**table),
        _ => None,
    })
}

/// pg_stat_user_tables, pg_statio_user_tables, pg_stat_xact_user_tables.
pub(super) fn tables(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["relid", "schemaname", "relname"]);
    for table in user_tables(facts) {
        let schema = facts.schema_name(table.schema);
        rows.push(&[table.oid.into(), schema.into(), (&*table.name).into()])?;
    }
    rows.finish()
}

/// pg_stat_sys_tables and its kin.
pub(super) fn system_tables(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["relid", "schemaname", "relname"]);
    for table in relations::all().filter(|system| !system.is_view) {
        let schema = facts.schema_name(table.schema);
        rows.push(&[table.oid.into(), schema.into(), table.name.as_str().into()])?;
    }
    rows.finish()
}

/// pg_stat_all_tables and its kin.
pub(super) fn all_tables(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let parts = [tables(relation, facts)?, system_tables(relation, facts)?];
    arrow::compute::concat_batches(&relation.arrow, &parts)
        .map_err(|error| SqlError::internal(error.to_string()))
}

/// pg_stat_user_indexes, pg_statio_user_indexes.
pub(super) fn indexes(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = ["relid", "indexrelid", "schemaname", "relname", "indexrelname"];
    let mut rows = Rows::new(relation, &columns);
    for table in user_tables(facts) {
        let key = table.primary_key.iter().map(|key| (key.index_oid, &key.name));
        let others = table.indexes.iter().map(|index| (index.oid, &index.name));
        for (oid, name) in key.chain(others) {
            rows.push(&[
                table.oid.into(),
                oid.into(),
                facts.schema_name(table.schema).into(),
                (&*table.name).into(),
                (&**name).into(),
            ])?;
        }
    }
    rows.finish()
}

/// pg_statio_user_sequences.
pub(super) fn sequences(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["relid", "schemaname", "relname"]);
    for object in facts.catalog.objects() {
        let Object::Sequence(sequence) = object else { continue };
        let schema = facts.schema_name(sequence.schema);
        rows.push(&[sequence.oid.into(), schema.into(), (&*sequence.name).into()])?;
    }
    rows.finish()
}

/// pg_stat_database: the database and how many are connected.
pub(super) fn database(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let mut rows = Rows::new(relation, &["datid", "datname", "numbackends"]);
    let connected = facts.backends.as_ref().map_or(0, |backends| backends.list().len());
    rows.push(&[Oid::DATABASE.into(), facts.database_name().into(), (connected as i64).into()])?;
    rows.finish()
}
