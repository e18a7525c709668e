//! What DataFusion's planner asks while it turns syntax into a plan: tables by search path, functions,
//! settings.

use crate::bind::names::folded;
use crate::error::{SqlError, SqlState};
use crate::functions::series::narrow::Narrow;
use crate::functions::undefined::Undefined;
use crate::functions::{cast, series};
use crate::plan::{as_of, errors};
use crate::types::oid;
use arrow::datatypes::{DataType, SchemaRef};
use datafusion::catalog::TableFunctionArgs;
use datafusion::common::{DFSchema, ScalarValue, TableReference, plan_datafusion_err};
use datafusion::config::ConfigOptions;
use datafusion::datasource::cte_worktable::CteWorkTable;
use datafusion::datasource::provider_as_source;
use datafusion::error::Result;
use datafusion::execution::SessionState;
use datafusion::logical_expr::planner::{
    ContextProvider, ExprPlanner, RelationPlanner, TypePlanner,
};
use datafusion::logical_expr::simplify::SimplifyContext;
use datafusion::logical_expr::{
    AggregateUDF, Expr, ExprSchemable, HigherOrderUDF, ScalarUDF, TableSource, WindowUDF,
};
use datafusion::optimizer::simplify_expressions::ExprSimplifier;
use datafusion::sql::sqlparser::ast::ObjectName;
use std::sync::Arc;

/// Finds relations by the names a statement uses.
pub trait Relations: Send + Sync {
    /// The relation, or `None` where no schema on the path has it.
    fn relation(
        &self,
        schema: Option<&str>,
        name: &str,
    ) -> std::result::Result<Option<Arc<dyn TableSource>>, SqlError>;
}

/// The planner's view of one statement.
pub struct PlanContext<'a> {
    state: &'a SessionState,
    relations: &'a dyn Relations,
}

impl<'a> PlanContext<'a> {
    /// Plans with the functions of `state` over `relations`.
    pub fn new(state: &'a SessionState, relations: &'a dyn Relations) -> Self {
        Self { state, relations }
    }

    /// The arguments of generate_series over times, as the types its variants take.
    fn series_operands(&self, args: Vec<Expr>) -> Result<Vec<Expr>> {
        let schema = DFSchema::empty();
        let types: Vec<DataType> =
            args.iter().map(|arg| arg.get_type(&schema)).collect::<Result<_>>()?;
        let Some(oids) = series::operand_oids(&types) else { return Ok(args) };
        let typed = |(arg, type_oid)| cast::to(arg, oid::wire(type_oid, -1));
        Ok(args.into_iter().zip(oids).map(typed).collect())
    }

    /// The columns of a relation that a statement names, if there is one.
    pub fn columns_of(&self, name: &ObjectName) -> Option<Vec<String>> {
        let parts: Option<Vec<String>> =
            name.0.iter().map(|part| part.as_ident().map(folded)).collect();
        let source = match parts?.as_slice() {
            [name] => self.relations.relation(None, name),
            [schema, name] => self.relations.relation(Some(schema), name),
            _ => return None,
        };
        // What is wrong with it is the planner's to tell.
        let schema = source.ok()??.schema();
        Some(schema.fields().iter().map(|field| field.name().clone()).collect())
    }

    /// The functions, rules and settings it plans with.
    pub fn state(&self) -> &SessionState {
        self.state
    }
}

/// DataFusion's table functions take no integer but the widest.
fn widened(arg: Expr) -> Expr {
    match arg {
        Expr::Literal(ScalarValue::Int32(value), metadata) => {
            Expr::Literal(ScalarValue::Int64(value.map(i64::from)), metadata)
        }
        other => other,
    }
}

impl ContextProvider for PlanContext<'_> {
    fn get_table_source(&self, name: TableReference) -> Result<Arc<dyn TableSource>> {
        let schema = name.schema();
        match self.relations.relation(schema, name.table()).map_err(errors::external)? {
            Some(source) => Ok(source),
            None => {
                let shown = match schema {
                    Some(schema) => format!("{schema}.{}", name.table()),
                    None => name.table().to_owned(),
                };
                Err(errors::external(SqlError::new(
                    SqlState::UNDEFINED_TABLE,
                    format!("relation \"{shown}\" does not exist"),
                )))
            }
        }
    }

    fn get_table_function_source(
        &self,
        name: &str,
        args: Vec<Expr>,
    ) -> Result<Arc<dyn TableSource>> {
        let function = self.state.table_functions().get(name).cloned().ok_or_else(|| {
            errors::external(SqlError::new(
                SqlState::UNDEFINED_FUNCTION,
                format!("function {name} does not exist"),
            ))
        })?;
        let context = SimplifyContext::builder()
            .with_config_options(Arc::clone(self.state.config_options()))
            .build();
        let simplifier = ExprSimplifier::new(context);
        let schema = DFSchema::empty();
        let args = if name == series::NAME { self.series_operands(args)? } else { args };
        let args = args
            .into_iter()
            .map(|arg| simplifier.simplify(simplifier.coerce(arg, &schema)?))
            .collect::<Result<Vec<_>>>()?;
        // By type, not by value: parameters are described before they have one.
        let is_int4 = |arg: &Expr| arg.get_type(&schema).is_ok_and(|t| t == DataType::Int32);
        let narrow = name == series::NAME && args.iter().all(is_int4);
        let args: Vec<Expr> = args.into_iter().map(widened).collect();
        let args = TableFunctionArgs::new(&args, self.state);
        let provider = function.create_table_provider_with_args(args)?;
        Ok(provider_as_source(match narrow {
            true => Arc::new(Narrow::new(provider)),
            false => provider,
        }))
    }

    fn create_cte_work_table(&self, name: &str, schema: SchemaRef) -> Result<Arc<dyn TableSource>> {
        Ok(provider_as_source(Arc::new(CteWorkTable::new(name, schema))))
    }

    fn get_expr_planners(&self) -> &[Arc<dyn ExprPlanner>] {
        self.state.expr_planners()
    }

    fn get_relation_planners(&self) -> &[Arc<dyn RelationPlanner>] {
        &*as_of::PLANNERS
    }

    fn get_type_planner(&self) -> Option<Arc<dyn TypePlanner>> {
        None
    }

    fn get_function_meta(&self, name: &str) -> Option<Arc<ScalarUDF>> {
        let state = self.state;
        let found = state.scalar_functions().get(name).cloned();
        // What is planned otherwise, or has a message of its own.
        let known = name == "unnest"
            || state.aggregate_functions().contains_key(name)
            || state.window_functions().contains_key(name)
            || state.higher_order_functions().contains_key(name);
        found.or_else(|| (!known).then(|| Arc::new(Undefined::new(name).into())))
    }

    fn get_higher_order_meta(&self, name: &str) -> Option<Arc<HigherOrderUDF>> {
        self.state.higher_order_functions().get(name).cloned()
    }

    fn get_aggregate_meta(&self, name: &str) -> Option<Arc<AggregateUDF>> {
        self.state.aggregate_functions().get(name).cloned()
    }

    fn get_window_meta(&self, name: &str) -> Option<Arc<WindowUDF>> {
        self.state.window_functions().get(name).cloned()
    }

    fn get_variable_type(&self, _: &[String]) -> Option<DataType> {
        None
    }

    fn options(&self) -> &ConfigOptions {
        self.state.config_options()
    }

    fn udf_names(&self) -> Vec<String> {
        self.state.scalar_functions().keys().cloned().collect()
    }

    fn higher_order_function_names(&self) -> Vec<String> {
        self.state.higher_order_functions().keys().cloned().collect()
    }

    fn udaf_names(&self) -> Vec<String> {
        self.state.aggregate_functions().keys().cloned().collect()
    }

    fn udwf_names(&self) -> Vec<String> {
        self.state.window_functions().keys().cloned().collect()
    }

    fn get_file_type(
        &self,
        ext: &str,
    ) -> Result<Arc<dyn datafusion::common::file_options::file_type::FileType>> {
        Err(plan_datafusion_err!("file type {ext} is not supported"))
    }
}
