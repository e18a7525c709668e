//! What the frontend computes for the rows that a statement changes, and what the row programs make of it.
//!
//! Of a column it is the new value. Where that is made of a map column's own entries (`m || …`, `m - …`, `m['k'] = …`), it
//! is only what is put and removed: the program changes those entries, and the map is neither read nor written whole.

use super::assign;
use super::set_list::Assigned;
use crate::error::SqlError;
use crate::plan::errors;
use crate::plan::lower;
use crate::session::info::SessionInfo;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::array::{Array, ArrayRef};
use arrow::record_batch::RecordBatch;
use datafusion::logical_expr::{Expr, ExprSchemable, LogicalPlan, Projection};
use std::sync::Arc;
use terrane_client::columns::value_at;
use terrane_client::expr::Expr as Lowered;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// The columns that a query computes for a list of assignments.
pub struct Computed<'a> {
    assignments: &'a [Assigned],
    /// By assignment, with parameters for the query's columns.
    values: Vec<Lowered>,
    /// By column of the query.
    columns: Vec<Source>,
}

/// What a column of the query is.
enum Source {
    /// The value of the assignment that is here.
    Value(usize, WireType),
    /// An operand of this type.
    Operand(DataType),
}

impl<'a> Computed<'a> {
    /// Looks at a plan that projects the assignments' values from its column `from` on. Gives the plan that projects what
    /// has to be computed in their place. `alias` is what it calls the table whose maps are changed
    /// entry by entry.
    pub fn new(
        plan: LogicalPlan,
        from: usize,
        assignments: &'a [Assigned],
        alias: Option<&str>,
    ) -> Result<(LogicalPlan, Self), SqlError> {
        let mut this = Self { assignments, values: Vec::new(), columns: Vec::new() };
        let has_maps = assignments.iter().any(|(column, _)| column.data_type.is_map());
        let (LogicalPlan::Projection(projection), Some(alias), true) = (&plan, alias, has_maps)
        else {
            this.take_values(&plan, from)?;
            return Ok((plan, this));
        };
        let schema = projection.input.schema();
        let mut exprs: Vec<Expr> = projection.expr[..from].to_vec();
        for (at, expr) in projection.expr[from..from + assignments.len()].iter().enumerate() {
            let (column, _) = &assignments[at];
            let column_of = |found: &datafusion::common::Column| {
                let is_own = *found.name == *column.name
                    && found.relation.as_ref().is_some_and(|table| table.table() == alias);
                is_own.then(|| Lowered::Column(column.id, column.data_type.clone()))
            };
            let mut operands = Vec::new();
            let first = this.columns.len();
            let steps = lower::lower_steps(expr, &column_of, &mut |operand| {
                let field = operand.to_field(schema.as_ref()).ok()?.1;
                let wire_type = oid::of_field(&field);
                let data_type = oid::data_type(wire_type.oid, wire_type.modifier)?;
                operands.push((operand.clone(), data_type.clone()));
                Some(Lowered::Parameter(first + operands.len() - 1, data_type))
            });
            match steps.filter(|_| column.data_type.is_map()) {
                Some(steps) => {
                    this.values.push(steps);
                    for (operand, data_type) in operands {
                        exprs.push(operand.alias(format!("__terrane_value_{}", exprs.len())));
                        this.columns.push(Source::Operand(data_type));
                    }
                }
                None => {
                    let expr = expr.clone().unalias();
                    let field = expr.to_field(schema.as_ref()).map_err(errors::of_datafusion)?.1;
                    this.push_value(at, oid::of_field(&field))?;
                    exprs.push(expr.alias(format!("__terrane_value_{}", exprs.len())));
                }
            }
        }
        exprs.extend_from_slice(&projection.expr[from + assignments.len()..]);
        let projection = Projection::try_new(exprs, Arc::clone(&projection.input))
            .map_err(errors::of_datafusion)?;
        Ok((LogicalPlan::Projection(projection), this))
    }

    fn take_values(&mut self, plan: &LogicalPlan, from: usize) -> Result<(), SqlError> {
        let fields = plan.schema().fields().iter().skip(from).take(self.assignments.len());
        for (at, field) in fields.enumerate() {
            self.push_value(at, oid::of_field(field))?;
        }
        Ok(())
    }

    fn push_value(&mut self, at: usize, source: WireType) -> Result<(), SqlError> {
        let (column, _) = &self.assignments[at];
        assign::check(column, source)?;
        self.values.push(Lowered::Parameter(self.columns.len(), column.data_type.clone()));
        self.columns.push(Source::Value(at, source));
        Ok(())
    }

    /// How many columns of the query it takes.
    pub fn len(&self) -> usize {
        self.columns.len()
    }

    /// Its columns of a batch, from `from` on, in the types of what they are for.
    pub fn arrays(
        &self,
        batch: &RecordBatch,
        from: usize,
        info: &SessionInfo,
    ) -> Result<Vec<ArrayRef>, SqlError> {
        let arrays = batch.columns()[from..].iter().zip(&self.columns);
        arrays
            .map(|(array, source)| match source {
                Source::Value(at, wire_type) => {
                    assign::convert(array, *wire_type, &self.assignments[*at].0, info)
                }
                Source::Operand(_) => Ok(Arc::clone(array)),
            })
            .collect()
    }

    /// What a row's program assigns.
    pub fn assigned(
        &self,
        arrays: &[ArrayRef],
        row: usize,
    ) -> Result<Vec<(ColumnId, Lowered)>, SqlError> {
        let value = |(array, source): (&ArrayRef, &Source)| {
            let data_type = match source {
                Source::Value(at, _) => &self.assignments[*at].0.data_type,
                Source::Operand(data_type) => data_type,
            };
            match array.is_null(row) {
                true => Ok(Value::Null),
                false => value_at(array.as_ref(), row, data_type)
                    .map_err(|error| SqlError::internal(error.to_string())),
            }
        };
        let values: Vec<Value> =
            arrays.iter().zip(&self.columns).map(value).collect::<Result<_, _>>()?;
        let assigned = self.assignments.iter().zip(&self.values);
        Ok(assigned
            .map(|((column, _), steps)| (column.id, each_key(&steps.bind(&values))))
            .collect())
    }
}

/// The removal of each key of an array in the place of the array's.
fn each_key(steps: &Lowered) -> Lowered {
    steps.replaced(&mut |expr| {
        let Lowered::MapRemove(map, keys) = expr else { return None };
        let Lowered::Literal(keys, DataType::Array(of)) = &**keys else { return None };
        let remove = |map: Lowered, key: &Value| {
            let key = Lowered::Literal(key.clone(), (**of).clone());
            Lowered::MapRemove(Box::new(map), Box::new(key))
        };
        let map = each_key(map);
        Some(match keys {
            Value::Array(keys) => keys.iter().filter(|key| !key.is_null()).fold(map, remove),
            // Without NULL it is NULL.
            _ => remove(map, &Value::Null),
        })
    })
}
