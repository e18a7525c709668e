//! Aggregates over frames that move, of functions that cannot take a value back.
//!
//! A float that is added and taken away again leaves its rounding behind, an infinity leaves NaN; others have no way
//! back at all. What is in the frame is kept and gone through anew for each row, as PostgreSQL does.

use arrow::array::ArrayRef;
use arrow::compute::concat;
use arrow::datatypes::{FieldRef, Schema};
use datafusion::common::ScalarValue;
use datafusion::error::Result;
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::{PhysicalExpr, PhysicalSortExpr};
use std::collections::VecDeque;
use std::sync::Arc;

/// Rows come one by one; so many pieces are joined, so that going through them takes few steps.
const PIECES_MAX: usize = 32;

/// Makes the accumulator that goes through a frame.
type Make = Box<dyn Fn(AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> + Send + Sync>;

/// See the module's documentation.
pub struct Replayed {
    make: Make,
    args: Args,
    /// What is in the frame, oldest first: the arguments of some rows each.
    pieces: VecDeque<Vec<ArrayRef>>,
}

/// [`AccumulatorArgs`], owned.
#[derive(Debug)]
struct Args {
    return_field: FieldRef,
    schema: Schema,
    ignore_nulls: bool,
    order_bys: Vec<PhysicalSortExpr>,
    is_reversed: bool,
    name: String,
    is_distinct: bool,
    exprs: Vec<Arc<dyn PhysicalExpr>>,
    expr_fields: Vec<FieldRef>,
}

impl std::fmt::Debug for Replayed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Replayed").field("args", &self.args).finish_non_exhaustive()
    }
}

impl Replayed {
    /// Over what `make` makes of these arguments.
    pub fn over(
        args: &AccumulatorArgs<'_>,
        make: impl Fn(AccumulatorArgs<'_>) -> Result<Box<dyn Accumulator>> + Send + Sync + 'static,
    ) -> Box<dyn Accumulator> {
        let args = Args {
            return_field: Arc::clone(&args.return_field),
            schema: args.schema.clone(),
            ignore_nulls: args.ignore_nulls,
            order_bys: args.order_bys.to_vec(),
            is_reversed: args.is_reversed,
            name: args.name.to_owned(),
            is_distinct: args.is_distinct,
            exprs: args.exprs.to_vec(),
            expr_fields: args.expr_fields.to_vec(),
        };
        Box::new(Self { make: Box::new(make), args, pieces: VecDeque::new() })
    }

    fn replay(&mut self) -> Result<Box<dyn Accumulator>> {
        if self.pieces.len() > PIECES_MAX {
            self.join()?;
        }
        let args = &self.args;
        let mut inner = (self.make)(AccumulatorArgs {
            return_field: Arc::clone(&args.return_field),
            schema: &args.schema,
            ignore_nulls: args.ignore_nulls,
            order_bys: &args.order_bys,
            is_reversed: args.is_reversed,
            name: &args.name,
            is_distinct: args.is_distinct,
            exprs: &args.exprs,
            expr_fields: &args.expr_fields,
        })?;
        for piece in &self.pieces {
            inner.update_batch(piece)?;
        }
        Ok(inner)
    }

    fn join(&mut self) -> Result<()> {
        let width = self.pieces.front().map_or(0, Vec::len);
        let mut joined = Vec::with_capacity(width);
        for at in 0..width {
            let parts: Vec<_> = self.pieces.iter().map(|piece| piece[at].as_ref()).collect();
            joined.push(concat(&parts)?);
        }
        self.pieces.clear();
        self.pieces.push_back(joined);
        Ok(())
    }
}

fn rows_of(piece: &[ArrayRef]) -> usize {
    piece.first().map_or(0, |argument| argument.len())
}

impl Accumulator for Replayed {
    fn update_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        if rows_of(values) > 0 {
            self.pieces.push_back(values.to_vec());
        }
        Ok(())
    }

    fn retract_batch(&mut self, values: &[ArrayRef]) -> Result<()> {
        // A frame only moves on: what leaves it is what came first.
        let mut rows = rows_of(values);
        while let Some(first) = self.pieces.front_mut().filter(|_| rows > 0) {
            let held = rows_of(first);
            if held <= rows {
                rows -= held;
                self.pieces.pop_front();
                continue;
            }
            first.iter_mut().for_each(|argument| *argument = argument.slice(rows, held - rows));
            rows = 0;
        }
        Ok(())
    }

    fn supports_retract_batch(&self) -> bool {
        true
    }

    fn evaluate(&mut self) -> Result<ScalarValue> {
        self.replay()?.evaluate()
    }

    fn size(&self) -> usize {
        let arguments = self.pieces.iter().flatten();
        size_of_val(self) + arguments.map(|array| array.get_array_memory_size()).sum::<usize>()
    }

    fn state(&mut self) -> Result<Vec<ScalarValue>> {
        self.replay()?.state()
    }

    fn merge_batch(&mut self, _: &[ArrayRef]) -> Result<()> {
        datafusion::common::internal_err!("a frame's aggregate is not merged with another's")
    }
}
