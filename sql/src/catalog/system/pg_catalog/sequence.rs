//! pg_sequence and pg_sequences.

use crate::catalog::objects::Object;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::SystemRelation;
use crate::catalog::system::rows::{Cell, Rows};
use crate::error::SqlError;
use crate::types::oid;
use arrow::record_batch::RecordBatch;

pub(super) fn rows(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "seqrelid",
        "seqtypid",
        "seqstart",
        "seqincrement",
        "seqmax",
        "seqmin",
        "seqcache",
        "seqcycle",
    ];
    let mut rows = Rows::new(relation, &columns);
    for object in facts.catalog.objects() {
        let Object::Sequence(sequence) = object else { continue };
        rows.push(&[
            sequence.oid.into(),
            oid::of(&sequence.data_type).oid.into(),
            sequence.start.into(),
            sequence.increment.into(),
            sequence.max.into(),
            sequence.min.into(),
            sequence.cache.into(),
            sequence.cycle.into(),
        ])?;
    }
    rows.finish()
}

/// pg_sequences. last_value is NULL, as PostgreSQL shows it to who may not read the sequence: where a
/// sequence stands is not part of a snapshot.
pub(super) fn view(
    relation: &'static SystemRelation,
    facts: &Facts,
) -> Result<RecordBatch, SqlError> {
    let columns = [
        "schemaname",
        "sequencename",
        "sequenceowner",
        "data_type",
        "start_value",
        "min_value",
        "max_value",
        "increment_by",
        "cycle",
        "cache_size",
    ];
    let mut rows = Rows::new(relation, &columns);
    for object in facts.catalog.objects() {
        let Object::Sequence(sequence) = object else { continue };
        let schema = facts.catalog.schema(sequence.schema).map(|schema| schema.name.clone());
        rows.push(&[
            Cell::from(schema.as_deref()),
            (&*sequence.name).into(),
            facts.role_name(sequence.owner).into(),
            Cell::from(oid::of(&sequence.data_type).oid),
            sequence.start.into(),
            sequence.min.into(),
            sequence.max.into(),
            sequence.increment.into(),
            sequence.cycle.into(),
            sequence.cache.into(),
        ])?;
    }
    rows.finish()
}
