//! `x = ANY ('{a,b}')`: a string that is read as an array of what it is compared with.
//!
//! PostgreSQL gives the string, whose type is unknown, the type of arrays of `x`. The binder makes it
//! `array_literal('{a,b}', x)`; planning replaces that by a cast.

use super::cast::{self, Cast};
use crate::session::response::WireType;
use crate::types::oid;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::{
    ColumnarValue, Expr, ExprSchemable, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF,
    ScalarUDFImpl, Signature, Volatility, lit,
};
use std::sync::Arc;

/// The function's name.
pub const NAME: &str = "array_literal";

/// The function.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct ArrayLiteral {
    signature: Signature,
}

impl Default for ArrayLiteral {
    fn default() -> Self {
        Self { signature: Signature::any(2, Volatility::Stable) }
    }
}

/// The type of arrays of values like this one.
fn array_beside(element: &Field) -> WireType {
    let array = match element.data_type() {
        DataType::Null => None,
        _ => oid::array_of(oid::of_field(element).oid),
    };
    oid::wire(array.unwrap_or(oid::TEXT_ARRAY), -1)
}

impl ScalarUDFImpl for ArrayLiteral {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Err(DataFusionError::Internal("return_field_from_args is called instead".to_owned()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let target = array_beside(&args.arg_fields[1]);
        let arrow = oid::arrow(target.oid, target.modifier);
        Ok(Arc::new(oid::with_type(Field::new(NAME, arrow, true), target)))
    }

    fn simplify(&self, args: Vec<Expr>, info: &SimplifyContext) -> Result<ExprSimplifyResult> {
        let [text, element] = args.as_slice() else {
            return Ok(ExprSimplifyResult::Original(args));
        };
        let (_, element) = element.to_field(info.schema())?;
        let target = array_beside(&element);
        let target = lit(format!("{}:{}", target.oid, target.modifier));
        let cast = ScalarUDF::new_from_impl(Cast::default());
        Ok(ExprSimplifyResult::Simplified(cast.call(vec![text.clone(), target])))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        cast::invoke(&args)
    }
}
