//! One locality group while the versions of rows are scanned: the cells of one row after another.

use super::Cell;
use crate::scan::error::Result;
use crate::scan::gc::cells::{BlockColumns, CellList};
use crate::scan::get::hides_versions;
use crate::scan::group_gc::GroupGc;
use crate::scan::group_scan::GroupPiece;
use crate::scan::map_entries::MapColumn;
use crate::scan::merge::{Merge, MergeRead, Place, Visited};
use crate::scan::scanner::Piece;
use std::cmp::Ordering;
use std::ops::ControlFlow;
use std::sync::Arc;
use terrane_client::ids::{ColumnId, CommitTs, LocalityGroupId};
use terrane_client::key::KeyShape;
use terrane_client::map_column::entry_key::entries_of_rows;
use terrane_client::read::ScanMetrics;
use terrane_client::row::ROW_MARKER;
use terrane_client::schema::TableSchema;

/// One group of a piece, whose rows are the table's.
pub(super) struct GroupCursor {
    pub(super) merge: Merge,
    pub(super) gc: GroupGc,
    columns: BlockColumns,
}

/// The group of a map column, whose rows are the entries.
pub(super) struct MapCursor(GroupCursor);

/// What a group has of a row.
#[derive(Default)]
pub(super) struct Collected {
    /// Of the newest version.
    pub(super) version: CommitTs,
    pub(super) lives: bool,
    cells: CellList,
}

impl GroupCursor {
    pub(super) fn new(
        piece: GroupPiece,
        schema: &TableSchema,
        id: LocalityGroupId,
        read: MergeRead,
        metrics: &Arc<ScanMetrics>,
    ) -> Result<Self> {
        Ok(Self {
            merge: Merge::new(&piece.sources, &piece.sources.runs, &piece.range, read, metrics)?,
            gc: GroupGc::new(schema, id),
            columns: BlockColumns::default(),
        })
    }

    /// Moves to a key that comes next or later in the scan's direction; false where the group has nothing of it.
    pub(super) fn reach(&mut self, key: &[u8], reverse: bool) -> Result<bool> {
        loop {
            let Some(own) = self.merge.key() else { return Ok(false) };
            let order = if reverse { key.cmp(own) } else { own.cmp(key) };
            match order {
                Ordering::Less => self.pass()?,
                Ordering::Equal => return Ok(true),
                Ordering::Greater => return Ok(false),
            }
        }
    }

    fn pass(&mut self) -> Result<()> {
        self.merge.visit_row(&mut |_| Ok(ControlFlow::Break(()))).map(drop)
    }

    /// Collects what a read at `at` sees of the row it is on, dead or alive, and moves behind it.
    pub(super) fn collect(&mut self, schema: &TableSchema, at: CommitTs) -> Result<Collected> {
        let Self { merge, gc, columns } = self;
        let deleted_before = merge.deleted_before(at);
        let mut row = Collected::default();
        // What was dropped may still be stored.
        let is_dropped = |id: ColumnId| schema.column(id).is_none();
        merge.visit_row(&mut |version| {
            let Visited { commit_ts, flags, place, .. } = version;
            if commit_ts > at || matches!(place, Place::Memtable { is_image: true, .. }) {
                return Ok(ControlFlow::Continue(()));
            }
            if commit_ts < deleted_before {
                return Ok(ControlFlow::Break(()));
            }
            if row.version == CommitTs::ABSENT {
                row.version = commit_ts;
            }
            row.lives |= gc.seen_flags(flags, commit_ts, at) & ROW_MARKER != 0;
            match place {
                Place::Memtable { written, cells, .. } => {
                    row.cells.append_packed(cells, written, &is_dropped);
                }
                Place::Block { block, row: ordinal, .. } => {
                    row.cells.append_row(block, ordinal, commit_ts, columns, &is_dropped)?;
                }
            }
            Ok(match hides_versions(flags) {
                true => ControlFlow::Break(()),
                false => ControlFlow::Continue(()),
            })
        })?;
        Ok(row)
    }
}

impl Collected {
    /// Adds the cells that live, by column, newest first.
    pub(super) fn living(
        &self,
        gc: &GroupGc,
        at: CommitTs,
        map_key: Option<&[u8]>,
        living: &mut Vec<Cell>,
    ) {
        self.cells.each_version(&mut |cell, newer| {
            let written = CommitTs(cell.commit_ts);
            if gc.of(cell.column).is_live(newer, written, at) {
                living.push(Cell {
                    column: cell.column,
                    map_key: map_key.map(<[u8]>::to_vec),
                    written,
                    value: self.cells.value(cell).map(<[u8]>::to_vec),
                    newer,
                });
            }
        });
    }
}

impl MapCursor {
    pub(super) fn new(
        piece: &Piece,
        map: &MapColumn,
        key_shape: &KeyShape,
        read: MergeRead,
        metrics: &Arc<ScanMetrics>,
    ) -> Result<Self> {
        let GroupPiece { sources, range } = piece.group(map.group);
        let range = entries_of_rows(&range, key_shape);
        let merge = Merge::new(&sources, &sources.runs, &range, read, metrics)?;
        Ok(Self(GroupCursor { merge, gc: map.gc().clone(), columns: BlockColumns::default() }))
    }

    /// Moves to the next entry of a row, whose entries' keys start with `prefix`; false behind the last. Rows come in the
    /// scan's direction.
    pub(super) fn reach(&mut self, prefix: &[u8], reverse: bool) -> Result<bool> {
        loop {
            let Some(own) = self.0.merge.key() else { return Ok(false) };
            if own.starts_with(prefix) {
                return Ok(true);
            }
            // Of a row without a marker, or of one that was passed over.
            if (own < prefix) == reverse {
                return Ok(false);
            }
            self.0.pass()?;
        }
    }

    /// Adds the versions of the entry it is on that live, and moves behind it.
    pub(super) fn collect(
        &mut self,
        schema: &TableSchema,
        at: CommitTs,
        prefix_bytes: usize,
        cells: &mut Vec<Cell>,
    ) -> Result<()> {
        let Some(map_key) = self.0.merge.key().map(|key| key[prefix_bytes..].to_vec()) else {
            return Ok(());
        };
        let entry = self.0.collect(schema, at)?;
        if entry.lives {
            entry.living(&self.0.gc, at, Some(&map_key), cells);
        }
        Ok(())
    }
}
