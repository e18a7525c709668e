//! Which operator means which function, for two operand types.
//!
//! The planner asks here before DataFusion decides. A string literal beside a value of another type is
//! PostgreSQL's `unknown`: it is read as that type, and fails with 22P02 where it cannot be. Text compared
//! with a number is 42883, never a silent cast.

use super::arithmetic::{Arithmetic, ArithmeticOp};
use super::array_sets;
use super::extract::Extract;
use super::json;
use super::map;
use super::mixture::{Mixture, type_of};
use super::subscript;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::session::response::WireType;
use crate::types::oid;
use arrow::datatypes::{DataType, Field};
use datafusion::common::{DFSchema, ExprSchema};
use datafusion::error::Result;
use datafusion::logical_expr::expr::Placeholder;
use datafusion::logical_expr::planner::{
    ExprPlanner, PlannerResult, RawBinaryExpr, RawFieldAccessExpr,
};
use datafusion::logical_expr::{Expr, ExprSchemable, ScalarUDF, lit};
use datafusion::sql::sqlparser::ast::BinaryOperator;
use std::sync::Arc;

/// Plans operators.
#[derive(Debug)]
pub struct OperatorPlanner {
    functions: [Arc<ScalarUDF>; 5],
    extract: Arc<ScalarUDF>,
}

impl Default for OperatorPlanner {
    fn default() -> Self {
        use ArithmeticOp::{Add, Divide, Modulo, Multiply, Subtract};
        let functions = [Add, Subtract, Multiply, Divide, Modulo]
            .map(|op| Arc::new(ScalarUDF::new_from_impl(Arithmetic::new(op))));
        let [extract, _] = Extract::all();
        Self { functions, extract: Arc::new(ScalarUDF::new_from_impl(extract)) }
    }
}

impl OperatorPlanner {
    fn function(&self, op: ArithmeticOp) -> Arc<ScalarUDF> {
        Arc::clone(&self.functions[op as usize])
    }
}

impl ExprPlanner for OperatorPlanner {
    fn plan_extract(&self, args: Vec<Expr>) -> Result<PlannerResult<Vec<Expr>>> {
        Ok(PlannerResult::Planned(self.extract.call(args)))
    }

    fn plan_binary_op(
        &self,
        expr: RawBinaryExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawBinaryExpr>> {
        let RawBinaryExpr { op, left, right } = expr;
        if let Some(planned) = of_json(&op, &left, &right, schema)? {
            return Ok(PlannerResult::Planned(planned));
        }
        if let Some(planned) = map::operators::plan(&op, &left, &right, schema)? {
            return Ok(PlannerResult::Planned(planned));
        }
        if let Some(planned) = of_arrays(&op, &left, &right, schema)? {
            return Ok(PlannerResult::Planned(planned));
        }
        let (left, right) = match (is_arithmetic(&op), is_comparison(&op)) {
            (None, false) if !joins_bytes(&op, &left, &right, schema) => {
                return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
            }
            _ => (known(typed(left, &op, &right, schema), &op, &right, schema)?, right),
        };
        let right = known(typed(right, &op, &left, schema), &op, &left, schema)?;
        if let Some(arithmetic) = is_arithmetic(&op) {
            let (mut left, mut right) = (left, right);
            if arithmetic == ArithmeticOp::Subtract && has_moment(&left, &right, schema) {
                mix(&mut left, &mut right, schema);
            }
            let function = self.function(arithmetic);
            return Ok(PlannerResult::Planned(function.call(vec![left, right])));
        }
        if op == BinaryOperator::StringConcat {
            return Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }));
        }
        let (mut left, mut right) = (left, right);
        mix(&mut left, &mut right, schema);
        check_comparable(&op, &left, &right, schema)?;
        Ok(PlannerResult::Original(RawBinaryExpr { op, left, right }))
    }

    fn plan_field_access(
        &self,
        access: RawFieldAccessExpr,
        schema: &DFSchema,
    ) -> Result<PlannerResult<RawFieldAccessExpr>> {
        subscript::plan(access, schema)
    }
}

/// True for `||` of bytea, beside which a literal is bytea.
fn joins_bytes(op: &BinaryOperator, left: &Expr, right: &Expr, schema: &dyn ExprSchema) -> bool {
    let is_bytes = |expr| type_of(expr, schema).is_some_and(|given| given.oid == oid::BYTEA);
    *op == BinaryOperator::StringConcat && (is_bytes(left) || is_bytes(right))
}

/// Brings operands of unlike types together.
fn mix(left: &mut Expr, right: &mut Expr, schema: &dyn ExprSchema) {
    let types = [type_of(left, schema), type_of(right, schema)];
    if let Some(mixture) = Mixture::of(types.into_iter().flatten()) {
        mixture.convert(left, schema);
        mixture.convert(right, schema);
    }
}

fn has_moment(left: &Expr, right: &Expr, schema: &dyn ExprSchema) -> bool {
    let is_moment = |given: WireType| matches!(given.oid, oid::TIMESTAMPTZ | oid::TIMESTAMP);
    [left, right].into_iter().any(|side| type_of(side, schema).is_some_and(is_moment))
}

/// An operator on json or jsonb.
fn of_json(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &dyn ExprSchema,
) -> Result<Option<Expr>> {
    let oid_of = |expr: &Expr| type_of(expr, schema).map(|given| given.oid);
    let operation = |expr: &Expr| json::operation(op, oid_of(expr)?);
    let of_right = || operation(right).filter(|operation| operation.of_two);
    let Some(operation) = operation(left).or_else(of_right) else { return Ok(None) };
    let (mut left, mut right) = (left.clone(), right.clone());
    if operation.of_two {
        left = known(left, op, &right, schema)?;
        right = known(right, op, &left, schema)?;
        if oid_of(&left) != Some(oid::JSONB) || oid_of(&right) != Some(oid::JSONB) {
            return Ok(None);
        }
    }
    let args = if operation.swapped { vec![right, left] } else { vec![left, right] };
    Ok(Some(operation.function.call(args)))
}

/// `&&`, `@>` and `<@` of arrays.
fn of_arrays(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &dyn ExprSchema,
) -> Result<Option<Expr>> {
    let is_array = |expr: &Expr| {
        type_of(expr, schema).is_some_and(|given| oid::element_of(given.oid).is_some())
    };
    if !(is_array(left) || is_array(right)) {
        return Ok(None);
    }
    let (function, swapped) = match op {
        BinaryOperator::PGOverlap => (array_sets::overlaps(), false),
        BinaryOperator::AtArrow => (array_sets::contains(), false),
        BinaryOperator::ArrowAt => (array_sets::contains(), true),
        _ => return Ok(None),
    };
    let left = known(left.clone(), op, right, schema)?;
    let right = known(right.clone(), op, &left, schema)?;
    if !is_array(&left) || !is_array(&right) {
        return Ok(None);
    }
    Ok(Some(function.call(if swapped { vec![right, left] } else { vec![left, right] })))
}

fn is_arithmetic(op: &BinaryOperator) -> Option<ArithmeticOp> {
    Some(match op {
        BinaryOperator::Plus => ArithmeticOp::Add,
        BinaryOperator::Minus => ArithmeticOp::Subtract,
        BinaryOperator::Multiply => ArithmeticOp::Multiply,
        BinaryOperator::Divide => ArithmeticOp::Divide,
        BinaryOperator::Modulo => ArithmeticOp::Modulo,
        _ => return None,
    })
}

fn is_comparison(op: &BinaryOperator) -> bool {
    matches!(
        op,
        BinaryOperator::Eq
            | BinaryOperator::NotEq
            | BinaryOperator::Lt
            | BinaryOperator::LtEq
            | BinaryOperator::Gt
            | BinaryOperator::GtEq
    )
}

/// A parameter of no type yet takes that of the other operand, or what the operator takes beside it; beside dates
/// and times only where they are compared, or where it is plain what is added to them.
fn typed(expr: Expr, op: &BinaryOperator, other: &Expr, schema: &dyn ExprSchema) -> Expr {
    let Expr::Placeholder(Placeholder { id, field: None }) = expr else { return expr };
    let field = match other {
        Expr::Placeholder(_) => None,
        other => other.to_field(schema).ok().map(|(_, field)| field),
    };
    let field = field.filter(|field| !field.data_type().is_null()).and_then(|field| {
        let given = oid::of_field(&field);
        let wanted = beside(op, given);
        if wanted != given {
            let plain = Field::new("", oid::arrow(wanted.oid, wanted.modifier), true);
            return Some(Arc::new(oid::with_type(plain, wanted)));
        }
        let same = is_comparison(op)
            || given.oid == oid::BYTEA
            || field.data_type().is_numeric()
            || (*op == BinaryOperator::Minus && field.data_type().is_temporal())
            || (given.oid == oid::INTERVAL && *op == BinaryOperator::Plus);
        same.then(|| Arc::new(field.as_ref().clone().with_nullable(true)))
    });
    Expr::Placeholder(Placeholder { id, field })
}

/// A string literal as the type of the other operand, or what an operator takes beside that.
fn known(expr: Expr, op: &BinaryOperator, other: &Expr, schema: &dyn ExprSchema) -> Result<Expr> {
    let Expr::Literal(scalar, _) = &expr else { return Ok(expr) };
    let Some(Some(text)) = scalar.try_as_str() else { return Ok(expr) };
    let Ok((_, field)) = other.to_field(schema) else { return Ok(expr) };
    if oid::of_field(&field).oid == oid::BPCHAR {
        // Trailing blanks count for nothing, and are not stored.
        return Ok(lit(text.trim_end_matches(' ')));
    }
    let is_jsonb = oid::of_field(&field).oid == oid::JSONB;
    if (is_text(field.data_type()) && !is_jsonb) || field.data_type().is_null() {
        return Ok(expr);
    }
    super::cast::literal(text, beside(op, oid::of_field(&field)))
}

/// The type of what has none yet, beside an operand of a type: the same, unless the operator takes another there.
fn beside(op: &BinaryOperator, other: WireType) -> WireType {
    match (op, other.oid) {
        (BinaryOperator::Plus, oid::TIME | oid::TIMESTAMP | oid::TIMESTAMPTZ) => {
            oid::wire(oid::INTERVAL, -1)
        }
        (BinaryOperator::Multiply | BinaryOperator::Divide, oid::INTERVAL) => {
            oid::wire(oid::FLOAT8, -1)
        }
        _ => other,
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// DataFusion would compare text and numbers by casting one of them; PostgreSQL has no such operator.
fn check_comparable(
    op: &BinaryOperator,
    left: &Expr,
    right: &Expr,
    schema: &dyn ExprSchema,
) -> Result<()> {
    let (Ok((_, left)), Ok((_, right))) = (left.to_field(schema), right.to_field(schema)) else {
        return Ok(());
    };
    let class = |data_type: &DataType| match data_type {
        t if is_text(t) => 1,
        t if t.is_numeric() => 2,
        DataType::Boolean => 3,
        DataType::Binary | DataType::BinaryView => 4,
        DataType::LargeBinary => 8,
        DataType::Date32 | DataType::Timestamp(..) => 5,
        DataType::Time64(_) => 6,
        DataType::Interval(_) => 7,
        _ => 0,
    };
    let (l, r) = (class(left.data_type()), class(right.data_type()));
    // A json is the text it was written as: whether two are the same value nobody has defined. A jsonb is no text.
    let oids = [oid::of_field(&left).oid, oid::of_field(&right).oid];
    let is_json =
        oids.contains(&oid::JSON) || (oids.contains(&oid::JSONB) && oids[0] != oids[1] && l == r);
    // Maps of unlike types are unlike bytes, also where they hold the same.
    let is_map = oids.into_iter().any(oid::is_map)
        && (oid::of_field(&left) != oid::of_field(&right)
            || !matches!(op, BinaryOperator::Eq | BinaryOperator::NotEq));
    if !is_json && !is_map && (l == r || l == 0 || r == 0) {
        return Ok(());
    }
    let name = |field: &arrow::datatypes::Field| {
        let wire_type = oid::of_field(field);
        oid::format_type(wire_type.oid, None)
    };
    Err(external(
        SqlError::new(
            SqlState::UNDEFINED_FUNCTION,
            format!("operator does not exist: {} {op} {}", name(&left), name(&right)),
        )
        .with_hint(
            "No operator matches the given name and argument types. You might need to add explicit \
             type casts.",
        ),
    ))
}
