//! METADATA's rows without what is under way (rule 19).

use super::{TabletRow, merge, split};
use crate::ids::StorageId;
use std::collections::BTreeMap;

/// Rows as they will be when every split that was begun is finished, and every merge is finished or taken back.
pub fn settled(rows: Vec<TabletRow>) -> Vec<TabletRow> {
    let name = |row: &TabletRow| (row.table, row.end.clone());
    let starts: BTreeMap<(StorageId, Option<Vec<u8>>), Vec<u8>> =
        rows.iter().map(|row| (name(row), row.start.clone())).collect();
    let mut settled = Vec::with_capacity(rows.len());
    for mut row in rows {
        if let Some(intent) = row.merge.take() {
            let right = starts.get(&(row.table, intent.right_end));
            if right.is_some_and(|start| merge::reaches(&row, start)) {
                // The right has its rows.
                continue;
            }
        }
        match split::children(&row) {
            None => settled.push(row),
            Some((left, right)) => {
                // A left child's row may be there already.
                settled.extend(Some(left).filter(|left| !starts.contains_key(&name(left))));
                settled.push(right);
            }
        }
    }
    settled
}
