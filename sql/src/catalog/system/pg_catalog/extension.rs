//! pg_extension: what brought schema `terrane`.
//!
//! pg_dump dumps every schema but `pg_…` and information_schema, and leaves out what an extension brought, where the
//! extension is the system's own. Nothing else can be said of a schema that is there in every database.

use super::depend::Place;
use super::description::class;
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::relations::{self, SystemRelation};
use crate::catalog::system::rows::Rows;
use crate::catalog::system::terrane;
use crate::error::SqlError;
use arrow::record_batch::RecordBatch;

const PG_EXTENSION: Oid = Oid(3079);

/// The extension, for those that depend on it.
pub(super) const PLACE: Place = (PG_EXTENSION, terrane::EXTENSION, 0);

/// What it brought.
pub(super) fn members() -> impl Iterator<Item = Place> {
    let tables = relations::all().filter(|relation| relation.schema == Oid::TERRANE);
    let tables = tables.map(|relation| (class::PG_CLASS, relation.oid, 0));
    [(class::PG_NAMESPACE, Oid::TERRANE, 0)].into_iter().chain(tables)
}

pub(super) fn rows(relation: &'static SystemRelation, _: &Facts) -> Result<RecordBatch, SqlError> {
    let columns = ["oid", "extname", "extowner", "extnamespace", "extrelocatable", "extversion"];
    let mut rows = Rows::new(relation, &columns);
    rows.push(&[
        terrane::EXTENSION.into(),
        terrane::NAME.into(),
        Oid::SUPERUSER.into(),
        Oid::TERRANE.into(),
        false.into(),
        env!("CARGO_PKG_VERSION").into(),
    ])?;
    rows.finish()
}
