//! Conditions on the rows of a batch: WHERE of COPY FROM, and CHECK constraints that do not lower to the
//! tablets' language (rule 35).

use crate::catalog::quote::quote_ident;
use crate::error::{SqlError, SqlState};
use crate::parse;
use crate::plan::errors;
use crate::plan::relations::TARGET;
use crate::session::client::ClientSession;
use crate::session::modify::Target;
use arrow::array::{Array, AsArray, BooleanArray};
use arrow::datatypes::DataType as ArrowType;
use arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::execution::SessionState;
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_expr::PhysicalExpr;
use datafusion::sql::sqlparser::ast::{Expr, SelectItem, SetExpr};
use std::collections::BTreeMap;
use std::sync::Arc;

/// A condition on rows of a table.
pub struct Condition {
    expr: Arc<dyn PhysicalExpr>,
}

impl Condition {
    /// Plans a condition over the table's columns. `alias` is what they are qualified with.
    fn plan(
        session: &mut ClientSession,
        state: &SessionState,
        target: &Target,
        condition: Expr,
    ) -> Result<Self, SqlError> {
        let alias = quote_ident(&target.alias);
        let mut query = parse::query(&format!("SELECT NULL FROM \"{TARGET}\" AS {alias}"))?;
        if let SetExpr::Select(select) = &mut *query.body {
            select.projection = vec![SelectItem::UnnamedExpr(condition)];
        }
        let source: Arc<dyn TableProvider> =
            Arc::new(crate::scan::provider::TableSource::new(Arc::clone(&target.schema)));
        let plan = session.plan(state, query, vec![(TARGET, source)], &BTreeMap::new())?;
        let LogicalPlan::Projection(projection) = plan else {
            return Err(SqlError::unsupported("this condition of COPY is not supported"));
        };
        let [expr] = projection.expr.as_slice() else {
            return Err(SqlError::internal("a condition of several expressions"));
        };
        let schema = projection.input.schema();
        let expr = state
            .create_physical_expr(expr.clone().unalias(), schema)
            .map_err(errors::of_datafusion)?;
        match expr.data_type(schema.as_arrow()).map_err(errors::of_datafusion)? {
            ArrowType::Boolean | ArrowType::Null => Ok(Self { expr }),
            _ => Err(SqlError::new(
                SqlState::DATATYPE_MISMATCH,
                "argument of COPY FROM WHERE must be type boolean",
            )),
        }
    }

    /// WHERE.
    pub fn of_where(
        session: &mut ClientSession,
        target: &Target,
        condition: Expr,
    ) -> Result<Self, SqlError> {
        let state = session.describing();
        Self::plan(session, &state, target, condition)
    }

    /// The constraints that the table's tablets do not evaluate, by name.
    pub fn of_checks(
        session: &mut ClientSession,
        target: &Target,
    ) -> Result<Vec<(String, Self)>, SqlError> {
        let lowered = |name: &str| target.schema.checks.iter().any(|check| check.name == name);
        let state = session.describing();
        let catalog = session.catalog();
        let mut conditions = Vec::new();
        for check in target.table.checks.iter().filter(|check| !lowered(&check.name)) {
            let text = check
                .sql
                .render(&catalog.qualified_names())
                .map_err(|error| SqlError::internal(error.to_string()))?;
            let query = parse::query(&format!("SELECT ({text})"))?;
            let SetExpr::Select(select) = *query.body else { continue };
            let Some(SelectItem::UnnamedExpr(expr)) = select.projection.into_iter().next() else {
                continue;
            };
            let condition = Self::plan(session, &state, target, expr)?;
            conditions.push((check.name.to_string(), condition));
        }
        Ok(conditions)
    }

    /// What it says of each row. The batch has all of the table's columns, in order.
    pub fn evaluate(&self, batch: &RecordBatch) -> Result<BooleanArray, SqlError> {
        let value = self.expr.evaluate(batch).map_err(errors::of_datafusion)?;
        let array = value.into_array(batch.num_rows()).map_err(errors::of_datafusion)?;
        match array.as_boolean_opt() {
            Some(array) => Ok(array.clone()),
            None => Ok(BooleanArray::new_null(array.len())),
        }
    }
}
