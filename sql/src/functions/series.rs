//! `generate_series` in FROM, over numerics and points in time.
//!
//! Integers are DataFusion's, [`numerics`] are next door. The others count here: a step is added until the end is passed, months by the
//! calendar and in the session's time zone, a batch at a time however long the series is. [`narrow`] makes int4 of
//! DataFusion's int8, and so does [`array`] where arguments vary.

pub mod array;
pub mod narrow;
mod numerics;

use super::temporal::add_interval;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::session::info::{self, SessionInfo};
use crate::types::datetime::zone;
use crate::types::oid;
use crate::types::style::TextStyle;
use arrow::array::{ArrayRef, Decimal128Array, TimestampMicrosecondArray};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimeUnit};
use arrow::record_batch::RecordBatch;
use async_trait::async_trait;
use datafusion::catalog::{Session, TableFunctionArgs, TableFunctionImpl, TableProvider};
use datafusion::common::ScalarValue;
use datafusion::datasource::{MemTable, TableType};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::Expr;
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_plan::memory::{LazyBatchGenerator, LazyMemoryExec};
use parking_lot::RwLock;
use std::any::Any;
use std::fmt;
use std::sync::Arc;
use terrane_client::interval::Interval;

/// Its name in SQL.
pub const NAME: &str = "generate_series";

/// The types PostgreSQL's variants of the function take; `None` leaves integers as they are.
pub fn operand_oids(types: &[DataType]) -> Option<[u32; 3]> {
    let points = types.get(..2)?;
    let any = |wanted: fn(&DataType) -> bool| points.iter().any(wanted);
    if any(|data_type| matches!(data_type, DataType::Timestamp(_, Some(_)) | DataType::Date32)) {
        Some([oid::TIMESTAMPTZ, oid::TIMESTAMPTZ, oid::INTERVAL])
    } else if any(|data_type| matches!(data_type, DataType::Timestamp(_, None))) {
        Some([oid::TIMESTAMP, oid::TIMESTAMP, oid::INTERVAL])
    } else {
        None
    }
}

/// The function, DataFusion's behind it.
#[derive(Debug)]
pub struct Series {
    integers: Arc<dyn TableFunctionImpl>,
}

impl Series {
    /// Over the function for integers.
    pub fn new(integers: Arc<dyn TableFunctionImpl>) -> Self {
        Self { integers }
    }
}

impl TableFunctionImpl for Series {
    fn call_with_args(&self, args: TableFunctionArgs<'_, '_>) -> Result<Arc<dyn TableProvider>> {
        let Some(Expr::Literal(ScalarValue::TimestampMicrosecond(_, zone), _)) =
            args.exprs().first()
        else {
            // Drivers send small numbers as smallint; DataFusion's takes bigint alone.
            let wide = |number: Option<i64>| ScalarValue::Int64(number);
            let widened = args.exprs().iter().map(|arg| match arg {
                Expr::Literal(ScalarValue::Int16(small), metadata) => {
                    Expr::Literal(wide(small.map(i64::from)), metadata.clone())
                }
                Expr::Literal(ScalarValue::Int32(number), metadata) => {
                    Expr::Literal(wide(number.map(i64::from)), metadata.clone())
                }
                other => other.clone(),
            });
            let widened: Vec<Expr> = widened.collect();
            if let Some(table) = of_numerics(&widened)? {
                return Ok(table);
            }
            return self.integers.call_with_args(TableFunctionArgs::new(&widened, args.session()));
        };
        let zone = zone.clone();
        let bounds = match args.exprs() {
            [Expr::Literal(first, _), Expr::Literal(last, _), Expr::Literal(step, _)] => {
                Moments::new(first, last, step)?
            }
            _ => return Err(refused("generate_series of times needs a start, an end and a step")),
        };
        let SessionInfo { style, .. } = info::of(args.session().config_options());
        let data_type = DataType::Timestamp(TimeUnit::Microsecond, zone);
        let field = Field::new(NAME, data_type, true);
        Ok(Arc::new(SeriesTable { schema: Arc::new(Schema::new(vec![field])), bounds, style }))
    }
}

/// The series of numerics that are constants; `None` where no argument is one.
fn of_numerics(args: &[Expr]) -> Result<Option<Arc<dyn TableProvider>>> {
    let values: Option<Vec<&ScalarValue>> = args
        .iter()
        .map(|arg| match arg {
            Expr::Literal(value, _) => Some(value),
            _ => None,
        })
        .collect();
    let Some(values) = values else { return Ok(None) };
    let types: Vec<DataType> = values.iter().map(|value| value.data_type()).collect();
    let Some(common) = numerics::common_type(&types) else { return Ok(None) };
    let values: Vec<ScalarValue> =
        values.iter().map(|value| value.cast_to(&common)).collect::<Result<_>>()?;
    let mut members = Vec::new();
    for member in numerics::Numerics::new(&values)? {
        array::check_elements(members.len() as i128 + 1)?;
        members.push(member);
    }
    let column: ArrayRef = Arc::new(Decimal128Array::from(members).with_data_type(common.clone()));
    let schema = Arc::new(Schema::new(vec![Field::new(NAME, common, true)]));
    let batch = RecordBatch::try_new(Arc::clone(&schema), vec![column])?;
    Ok(Some(Arc::new(MemTable::try_new(schema, vec![vec![batch]])?)))
}

fn refused(message: &str) -> DataFusionError {
    external(SqlError::unsupported(message))
}

/// From where to where, and how.
#[derive(Clone, Copy, Debug)]
struct Moments {
    /// Microseconds since 1970-01-01; `None` ends the series.
    next: Option<i64>,
    last: i64,
    step: Interval,
}

impl Moments {
    fn new(first: &ScalarValue, last: &ScalarValue, step: &ScalarValue) -> Result<Self> {
        let none = Self { next: None, last: 0, step: Interval { months: 0, days: 0, micros: 0 } };
        let (
            ScalarValue::TimestampMicrosecond(Some(first), _),
            ScalarValue::TimestampMicrosecond(Some(last), _),
            ScalarValue::IntervalMonthDayNano(Some(step)),
        ) = (first, last, step)
        else {
            let nulls = [first, last, step].iter().any(|value| value.is_null());
            return if nulls {
                Ok(none)
            } else {
                Err(refused("generate_series of these types is not supported"))
            };
        };
        let step =
            Interval { months: step.months, days: step.days, micros: step.nanoseconds / 1_000 };
        if step.comparable_micros() == 0 {
            let message = "step size cannot equal zero";
            return Err(external(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)));
        }
        Ok(Self { next: Some(*first), last: *last, step })
    }

    /// The next moment, in the session's zone where there is one.
    fn take(&mut self, style: Option<&TextStyle>) -> Option<i64> {
        let at = self.next?;
        let forward = self.step.comparable_micros() > 0;
        if (forward && at > self.last) || (!forward && at < self.last) {
            self.next = None;
            return None;
        }
        self.next = match style {
            Some(style) => {
                let local = zone::to_local(&style.time_zone, at);
                add_interval(local, self.step)
                    .and_then(|moved| zone::to_utc(&style.time_zone, moved))
            }
            None => add_interval(at, self.step),
        };
        Some(at)
    }
}

#[derive(Debug)]
struct SeriesTable {
    schema: SchemaRef,
    bounds: Moments,
    style: Arc<TextStyle>,
}

#[async_trait]
impl TableProvider for SeriesTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        _: &[Expr],
        _: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let generator = Generator {
            schema: self.schema(),
            all: self.bounds,
            rest: self.bounds,
            style: Arc::clone(&self.style),
            batch_rows: state.config_options().execution.batch_size.get(),
        };
        let exec = LazyMemoryExec::try_new(self.schema(), vec![Arc::new(RwLock::new(generator))])?;
        Ok(Arc::new(exec.with_projection(projection.cloned())))
    }
}

#[derive(Debug)]
struct Generator {
    schema: SchemaRef,
    all: Moments,
    rest: Moments,
    style: Arc<TextStyle>,
    batch_rows: usize,
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(NAME)
    }
}

impl LazyBatchGenerator for Generator {
    fn as_any(&self) -> &dyn Any {
        self
    }

    fn generate_next_batch(&mut self) -> Result<Option<RecordBatch>> {
        let zone = match self.schema.field(0).data_type() {
            DataType::Timestamp(_, zone) => zone.clone(),
            _ => None,
        };
        let style = zone.as_ref().map(|_| &*self.style);
        let rest = &mut self.rest;
        let moments: Vec<i64> =
            std::iter::from_fn(|| rest.take(style)).take(self.batch_rows).collect();
        if moments.is_empty() {
            return Ok(None);
        }
        let column: ArrayRef =
            Arc::new(TimestampMicrosecondArray::from(moments).with_timezone_opt(zone));
        Ok(Some(RecordBatch::try_new(Arc::clone(&self.schema), vec![column])?))
    }

    fn reset_state(&self) -> Arc<RwLock<dyn LazyBatchGenerator>> {
        Arc::new(RwLock::new(Self {
            schema: Arc::clone(&self.schema),
            all: self.all,
            rest: self.all,
            style: Arc::clone(&self.style),
            batch_rows: self.batch_rows,
        }))
    }
}
