//! terrane.cache: the block caches: `data` blocks, those of `in_memory` groups, and `meta`: indexes, filters and zone maps
//! of files.

use super::{Definition, Source};
use crate::catalog::oid::Oid;
use crate::catalog::system::facts::Facts;
use crate::catalog::system::rows::Rows;
use crate::error::SqlError;
use crate::types::oid;
use terrane_client::status::ServerStatus;

pub(super) const DEFINITION: Definition = Definition {
    oid: Oid(8914),
    name: "cache",
    columns: &[
        ("server", oid::TEXT, true),
        ("region", oid::TEXT, true),
        ("capacity_bytes", oid::INT8, true),
        ("bytes", oid::INT8, true),
        ("entries", oid::INT8, true),
        ("hits", oid::INT8, true),
        ("misses", oid::INT8, true),
    ],
    rows: Source::Servers(rows),
};

fn rows(rows: &mut Rows, _: &Facts, servers: &[ServerStatus]) -> Result<(), SqlError> {
    for server in servers {
        for cache in &server.caches {
            rows.push(&[
                server.name.as_str().into(),
                cache.region.as_str().into(),
                cache.capacity_bytes.into(),
                cache.bytes.into(),
                cache.entries.into(),
                cache.hits.into(),
                cache.misses.into(),
            ])?;
        }
    }
    Ok(())
}
