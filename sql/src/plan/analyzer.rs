//! What the planner knows about SQL text, for DDL.

use super::context::PlanContext;
use super::errors;
use super::planner;
use super::relations::{CatalogRelations, TARGET};
use super::values;
use crate::bind::ddl::{Analyzer, Over};
use crate::catalog::model::Column;
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::Catalog;
use crate::error::SqlError;
use crate::parse;
use crate::session::info::SessionInfo;
use crate::session::modify::assign;
use crate::session::response::WireType;
use crate::types::{oid, text};
use arrow::array::new_empty_array;
use arrow::datatypes::{Field, Schema};
use async_trait::async_trait;
use datafusion::catalog::TableProvider;
use datafusion::common::ScalarValue;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::datasource::empty::EmptyTable;
use datafusion::execution::SessionState;
use datafusion::logical_expr::{Expr as PlannedExpr, LogicalPlan, Volatility};
use datafusion::sql::sqlparser::ast::{
    Expr, Ident, Query, SelectItem, SetExpr, TableFactor, Value as Literal, ValueWithSpan,
};
use futures::TryStreamExt;
use std::sync::Arc;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// Asks DataFusion's planner, in one session's settings.
pub struct PlanAnalyzer {
    state: SessionState,
    path: SearchPath,
    info: SessionInfo,
}

impl PlanAnalyzer {
    /// With the functions of `state`, over the relations `path` finds.
    pub fn new(state: SessionState, path: SearchPath, info: SessionInfo) -> Self {
        Self { state, path, info }
    }

    fn plan(
        &self,
        query: Query,
        bound: Option<Arc<dyn TableProvider>>,
        catalog: &Arc<Catalog>,
    ) -> Result<LogicalPlan, SqlError> {
        let relations = CatalogRelations {
            catalog,
            path: &self.path,
            state: &self.state,
            bound: bound.map(|provider| (TARGET, provider)).into_iter().collect(),
            depth: 0,
        };
        let context = PlanContext::new(&self.state, &relations);
        planner::plan_query(query, &context, Vec::new())
    }

    /// `SELECT expr`, over a relation's columns where there is one.
    fn plan_expression(
        &self,
        expr: &Expr,
        over: Option<Over<'_>>,
        catalog: &Arc<Catalog>,
    ) -> Result<LogicalPlan, SqlError> {
        let bound = over.map(|over| {
            let fields = over.columns.iter().map(|(name, t)| oid::field(name, t, true));
            let schema = Schema::new(fields.collect::<Vec<Field>>());
            Arc::new(EmptyTable::new(Arc::new(schema))) as Arc<dyn TableProvider>
        });
        let query = selecting(expr, over.map(|over| over.relation))?;
        self.plan(query, bound, catalog)
    }
}

/// The query that computes an expression.
fn selecting(expr: &Expr, relation: Option<&str>) -> Result<Query, SqlError> {
    let sql = match relation {
        Some(_) => format!("SELECT 1 FROM \"{TARGET}\" AS relation"),
        None => "SELECT 1".to_owned(),
    };
    let broken = || SqlError::internal("a SELECT that is none");
    let mut query = parse::query(&sql)?;
    let SetExpr::Select(select) = &mut *query.body else { return Err(broken()) };
    let alias = Ident::with_quote('"', "expression");
    select.projection = vec![SelectItem::ExprWithAlias { expr: expr.clone(), alias }];
    for table in &mut select.from {
        if let TableFactor::Table { alias: Some(alias), .. } = &mut table.relation {
            alias.name = Ident::with_quote('"', relation.unwrap_or_default());
        }
    }
    Ok(query)
}

/// A literal in quotes, which has no type yet.
fn untyped(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Nested(inner) => untyped(inner),
        Expr::Value(ValueWithSpan { value: Literal::SingleQuotedString(text), .. })
        | Expr::Value(ValueWithSpan { value: Literal::EscapedStringLiteral(text), .. }) => {
            Some(text)
        }
        _ => None,
    }
}

fn is_volatile(plan: &LogicalPlan) -> Result<bool, SqlError> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            if let PlannedExpr::ScalarFunction(call) = part
                && call.func.signature().volatility == Volatility::Volatile
            {
                found = true;
                return Ok(TreeNodeRecursion::Stop);
            }
            Ok(TreeNodeRecursion::Continue)
        })
    })
    .map_err(errors::of_datafusion)?;
    Ok(found)
}

#[async_trait]
impl Analyzer for PlanAnalyzer {
    async fn query_columns(
        &self,
        query: &Query,
        catalog: &Arc<Catalog>,
    ) -> Result<Vec<(String, WireType)>, SqlError> {
        let plan = self.plan(query.clone(), None, catalog)?;
        let columns = planner::result_columns(&plan);
        Ok(columns.iter().map(|column| (column.name.clone(), column.wire_type)).collect())
    }

    async fn expression_type(
        &self,
        expr: &Expr,
        over: Option<Over<'_>>,
        catalog: &Arc<Catalog>,
    ) -> Result<WireType, SqlError> {
        if untyped(expr).is_some() {
            return Ok(oid::wire(oid::UNKNOWN, -1));
        }
        let plan = self.plan_expression(expr, over, catalog)?;
        match plan.schema().fields().first() {
            Some(field) if field.data_type().is_null() => Ok(oid::wire(oid::UNKNOWN, -1)),
            Some(field) => Ok(oid::of_field(field)),
            None => Err(SqlError::internal("an expression without a type")),
        }
    }

    async fn constant(
        &self,
        expr: &Expr,
        data_type: &DataType,
        catalog: &Arc<Catalog>,
    ) -> Result<Option<Value>, SqlError> {
        if let Some(literal) = untyped(expr) {
            return text::parse(literal, data_type, self.info.input()).map(Some);
        }
        let plan = self.plan_expression(expr, None, catalog)?;
        if is_volatile(&plan)? {
            return Ok(None);
        }
        let Some(source) = plan.schema().fields().first().map(|field| oid::of_field(field)) else {
            return Err(SqlError::internal("an expression without a type"));
        };
        let physical = planner::physical(&plan, &self.state).await?;
        let stream = planner::execute(physical, self.state.task_ctx())?;
        let batches: Vec<_> = stream.try_collect().await.map_err(errors::of_datafusion)?;
        let found = batches.iter().find(|batch| batch.num_rows() > 0);
        let value = match found {
            Some(batch) => batch.column(0).slice(0, 1),
            None => new_empty_array(&data_type.arrow()),
        };
        let column = Column::nullable("expression", data_type.clone());
        let converted = assign::convert(&value, source, &column, &self.info)?;
        let scalar = ScalarValue::try_from_array(&converted, 0).map_err(errors::of_datafusion)?;
        let value = values::from_scalar(&scalar, data_type);
        value
            .map(Some)
            .ok_or_else(|| SqlError::internal("a DEFAULT of another type than its column"))
    }

    fn is_assignable(&self, from: WireType, to: &DataType) -> bool {
        assign::check(&Column::nullable("", to.clone()), from).is_ok()
    }
}
