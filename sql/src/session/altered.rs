//! Row programs of a block that altered their tables after it wrote them.
//!
//! Tablets accept calls with the newest schema and the one before. A block may alter a table more often, and a
//! ROLLBACK TO takes what it altered back under one more version; what it wrote was planned with the
//! schema of then. COMMIT sends it with the schema of now: cells of dropped columns are left out, and integers that
//! were widened are read at any width.

use super::block::Block;
use crate::catalog::model::Table;
use crate::catalog::objects::Object;
use std::collections::HashMap;
use terrane_client::ids::{ColumnId, StorageId};
use terrane_client::program::{Action, OnConflict, RowProgram};

/// The programs as they are sent. Those of tables the block both made and dropped are left out.
pub fn programs(block: &Block, programs: Vec<RowProgram>) -> Vec<RowProgram> {
    if !block.catalog.is_changed() && !block.catalog.has_storages() {
        return programs;
    }
    let tables: HashMap<StorageId, &Table> = block
        .catalog
        .catalog()
        .objects()
        .filter_map(|object| match object {
            Object::Table(table) => Some((table.storage, &**table)),
            _ => None,
        })
        .collect();
    let live = block.catalog.catalog().storages_with_temporary();
    programs
        .into_iter()
        .filter(|program| {
            live.contains(&program.table) || !block.catalog.is_own_storage(program.table)
        })
        .map(|program| match tables.get(&program.table) {
            Some(table) if table.schema_version != program.schema_version => of_now(program, table),
            _ => program,
        })
        .collect()
}

fn of_now(mut program: RowProgram, table: &Table) -> RowProgram {
    let columns: Vec<ColumnId> = table.live_columns().map(|column| column.id).collect();
    program.schema_version = table.schema_version;
    match &mut program.action {
        Action::Put { cells } => *cells = cells.project(&columns),
        Action::Update { assignments } => {
            assignments.retain(|(column, _)| columns.contains(column));
        }
        Action::Upsert { insert, conflict } => {
            *insert = insert.project(&columns);
            if let OnConflict::DoUpdate { assignments } = conflict {
                assignments.retain(|(column, _)| columns.contains(column));
            }
        }
        Action::Delete | Action::Check => {}
    }
    program
}
