//! What a statement looks at of the maps of the rows that it changes, beside what its programs read: in RETURNING, in
//! CHECKs that are evaluated here, and in the values of DO UPDATE. No more of them is read, however large they are.
//!
//! The query that will run over images of the rows is planned as if it read the table; what such a scan would be told to
//! read is it. Where that cannot be planned, the maps are read whole, and whoever runs the query says why.

use super::computed::Computed;
use super::returning;
use super::set_list::Assigned;
use super::target::Target;
use crate::parse;
use crate::plan::relations::{EXCLUDED, RETURNED};
use crate::plan::rules::map_keys;
use crate::scan::provider::TableSource;
use crate::session::client::ClientSession;
use datafusion::catalog::TableProvider;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::sqlparser::ast::{Query, SelectItem};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::map_column::MapParts;

impl ClientSession {
    /// What a RETURNING list looks at; all of the maps where other relations are joined.
    pub(super) fn returned_parts(
        &mut self,
        target: &Target,
        items: &[SelectItem],
        is_joined: bool,
    ) -> MapParts {
        match returning::query(target, items.to_vec(), &[]) {
            Ok(query) if !is_joined => self.parts_of(target, query),
            _ => MapParts::default(),
        }
    }

    /// What the constraints look at that are evaluated here.
    pub(super) fn open_check_parts(&mut self, target: &Target) -> MapParts {
        let nothing = MapParts::nothing(&target.schema);
        target.open_checks.iter().fold(nothing, |parts, (_, sql)| {
            let name = crate::catalog::quote::quote_ident(&target.table.name);
            let query = format!("SELECT {sql} FROM \"{RETURNED}\" AS {name}");
            let of_check = match parse::query(&query) {
                Ok(query) => self.parts_of(target, query),
                Err(_) => MapParts::default(),
            };
            parts.union(of_check)
        })
    }

    /// What the query for DO UPDATE's values looks at, of the row in the way.
    pub(super) fn conflict_parts(
        &mut self,
        target: &Target,
        query: Query,
        assignments: &[Assigned],
    ) -> MapParts {
        self.parts_where(target, query, |plan| {
            let computed = Computed::new(plan, 1, assignments, Some(&target.alias));
            Some(computed.ok()?.0)
        })
    }

    /// What a query over [`RETURNED`] looks at of the target's maps: all are named, or all are looked at whole.
    fn parts_of(&mut self, target: &Target, query: Query) -> MapParts {
        self.parts_where(target, query, Some)
    }

    /// The same of what `changed` makes of its plan.
    fn parts_where(
        &mut self,
        target: &Target,
        query: Query,
        changed: impl FnOnce(LogicalPlan) -> Option<LogicalPlan>,
    ) -> MapParts {
        let nothing = MapParts::nothing(&target.schema);
        if nothing.0.is_empty() {
            return nothing;
        }
        let state = self.describing();
        let table: Arc<dyn TableProvider> = Arc::new(TableSource::new(Arc::clone(&target.schema)));
        let bound = vec![(RETURNED, Arc::clone(&table)), (EXCLUDED, table)];
        let plan = self.plan(&state, query, bound, &BTreeMap::new()).ok();
        let plan = plan.and_then(changed).and_then(|plan| state.optimize(&plan).ok());
        plan.and_then(|plan| map_keys::parts_read(&plan, RETURNED)).unwrap_or_default()
    }
}
