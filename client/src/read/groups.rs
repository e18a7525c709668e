//! Which locality groups a scan reads: one rule for the engine, which reads them, and for EXPLAIN, which says so.
//!
//! One group leads: its rows are the scan's. The others follow: of the lead's rows they give their columns. The
//! default group leads where versions are asked for, since only there every change of a row leaves an entry.

use super::Projected;
use crate::expr::Expr;
use crate::ids::LocalityGroupId;
use crate::schema::TableSchema;
use std::collections::BTreeSet;

/// The groups of a scan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsOfScan {
    /// Whose rows are the scan's.
    pub lead: LocalityGroupId,
    /// The others, ascending.
    pub followers: Vec<LocalityGroupId>,
    /// Those of map columns, ascending: read beside the rows.
    pub maps: Vec<LocalityGroupId>,
}

impl GroupsOfScan {
    /// The groups that a scan with this projection and these predicates reads.
    pub fn choose(schema: &TableSchema, projection: &[Projected], predicates: &[Expr]) -> Self {
        let projected = projection.iter().filter_map(|projected| match projected {
            Projected::Column(id) => schema.group_of(*id),
            Projected::Version => Some(LocalityGroupId::default()),
            Projected::Key | Projected::CellColumn | Projected::CellKey | Projected::CellValue => {
                None
            }
        });
        let groups: BTreeSet<LocalityGroupId> = projected.collect();
        let (maps, mut groups): (BTreeSet<_>, BTreeSet<_>) =
            groups.into_iter().partition(|id| schema.map_in(*id).is_some());
        let knows_rows =
            |id: LocalityGroupId| schema.group(id).is_none_or(|group| group.has_markers);
        let lead = if projection.contains(&Projected::Version) {
            LocalityGroupId::default()
        } else {
            let tests = |group| {
                let about = |predicate: &&Expr| is_about(predicate, schema, group);
                predicates.iter().filter(about).count()
            };
            // Of equal ones the first.
            let leads = groups.iter().copied().filter(|id| knows_rows(*id)).rev();
            leads.max_by_key(|id| tests(*id)).unwrap_or_default()
        };
        groups.remove(&lead);
        let (followers, maps) = (groups.into_iter().collect(), maps.into_iter().collect());
        Self { lead, followers, maps }
    }

    /// All of them, ascending.
    pub fn all(&self) -> BTreeSet<LocalityGroupId> {
        let others = self.followers.iter().chain(&self.maps).copied();
        others.chain([self.lead]).collect()
    }
}

/// True where a predicate can be answered by one group.
pub fn is_about(predicate: &Expr, schema: &TableSchema, group: LocalityGroupId) -> bool {
    let mut is_about = true;
    predicate.each_column(&mut |id| {
        is_about &= schema.group_of(id).is_none_or(|of_column| of_column == group);
    });
    is_about
}
