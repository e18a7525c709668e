//! What a scan reads of each locality group it reads ([`terrane_client::read::GroupsOfScan`]): the lead is filtered by
//! what predicates speak of its columns alone.

use super::error::{Result, ScanError};
use super::group_gc::GroupGc;
use arrow::array::ArrayRef;
use arrow::datatypes::SchemaRef;
use std::collections::BTreeSet;
use terrane_client::columns::{ColumnBuilder, arrow_schema};
use terrane_client::error::TabletError;
use terrane_client::ids::{ColumnId, LocalityGroupId};
use terrane_client::read::{GroupsOfScan, Projected, ScanRequest, is_about};
use terrane_client::schema::TableSchema;

/// What a joined scan reads of each group.
#[derive(Debug)]
pub(super) struct JoinPlan {
    /// Of the batches.
    pub(super) arrow: SchemaRef,
    /// The lead's: its columns, those of the key, and the row key as the last.
    pub(super) lead: ScanRequest,
    pub(super) followers: Vec<FollowerPlan>,
    /// Where each output column comes from: 0 is the lead, 1 the first follower; and its place there.
    pub(super) outputs: Vec<(usize, usize)>,
}

/// What is read of a following group.
#[derive(Debug)]
pub(super) struct FollowerPlan {
    pub(super) group: LocalityGroupId,
    /// Its columns, ascending.
    pub(super) columns: Vec<ColumnId>,
    /// Its columns, and the row key as the last.
    pub(super) request: ScanRequest,
    /// Of each column what a row without a cell reads as: an array of one value.
    pub(super) missing: Vec<ArrayRef>,
    /// A row that lives has an entry here, too.
    pub(super) has_markers: bool,
    /// The group's policies.
    pub(super) gc: GroupGc,
}

impl JoinPlan {
    pub(super) fn new(
        request: &ScanRequest,
        schema: &TableSchema,
        groups: &GroupsOfScan,
    ) -> Result<Self, TabletError> {
        let followers: Result<Vec<FollowerPlan>> =
            groups.followers.iter().map(|group| follower(request, schema, *group)).collect();
        let followers = followers?;
        let mut of_lead: Vec<Projected> = Vec::new();
        let mut outputs = Vec::with_capacity(request.projection.len());
        for projected in &request.projection {
            let place =
                |plan: &FollowerPlan, id| plan.columns.iter().position(|known| *known == id);
            let following = match projected {
                Projected::Column(id) if schema.group_of(*id).is_some() => followers
                    .iter()
                    .enumerate()
                    .find_map(|(at, plan)| Some((at + 1, place(plan, *id)?))),
                _ => None,
            };
            outputs.push(match following {
                Some(output) => output,
                None => {
                    let known = of_lead.iter().position(|known| known == projected);
                    (
                        0,
                        known.unwrap_or_else(|| {
                            of_lead.push(*projected);
                            of_lead.len() - 1
                        }),
                    )
                }
            });
        }
        of_lead.push(Projected::Key);
        let lead = ScanRequest {
            projection: of_lead,
            map_parts: Default::default(),
            predicates: request
                .predicates
                .iter()
                .filter(|predicate| is_about(predicate, schema, groups.lead))
                .cloned()
                .collect(),
            limit: request.limit.filter(|_| request.predicates.is_empty()),
            ..request.clone()
        };
        Ok(Self { arrow: arrow_schema(schema, &request.projection)?, lead, followers, outputs })
    }
}

fn follower(
    request: &ScanRequest,
    schema: &TableSchema,
    group: LocalityGroupId,
) -> Result<FollowerPlan> {
    let projected = request.projection.iter().filter_map(|projected| match projected {
        Projected::Column(id) if schema.group_of(*id) == Some(group) => Some(*id),
        _ => None,
    });
    let columns: BTreeSet<ColumnId> = projected.collect();
    let columns: Vec<ColumnId> = columns.into_iter().collect();
    let mut missing = Vec::with_capacity(columns.len());
    for id in &columns {
        let column = schema.column(*id).ok_or(ScanError::NoColumn(*id))?;
        let mut one = ColumnBuilder::new(&column.data_type, 1);
        one.append_value(&column.missing)
            .map_err(|error| ScanError::Cell { column: *id, error })?;
        missing.push(one.finish());
    }
    let own = columns.iter().map(|id| Projected::Column(*id));
    let follower = ScanRequest {
        projection: own.chain([Projected::Key]).collect(),
        map_parts: Default::default(),
        predicates: Vec::new(),
        limit: None,
        ..request.clone()
    };
    let has_markers = schema.group(group).is_none_or(|group| group.has_markers);
    let gc = GroupGc::new(schema, group);
    Ok(FollowerPlan { group, columns, request: follower, missing, has_markers, gc })
}
