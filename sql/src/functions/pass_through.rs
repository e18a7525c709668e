//! Functions that answer their argument, and say something of it that its expression does not.

use crate::types::oid;
use arrow::datatypes::{DataType, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The value, which may be NULL.
pub fn nullable(value: Expr) -> Expr {
    call(Says::MayBeNull, value)
}

/// The value, of one of PostgreSQL's types.
pub fn typed(value: Expr, type_oid: u32) -> Expr {
    call(Says::Type(type_oid), value)
}

/// The value, of which it is not said that it is a column's: DataFusion does not look through a function.
pub fn veiled(value: Expr) -> Expr {
    call(Says::Nothing, value)
}

fn call(says: Says, value: Expr) -> Expr {
    let signature = Signature::any(1, Volatility::Immutable);
    ScalarUDF::new_from_impl(PassThrough { says, signature }).call(vec![value])
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Says {
    Nothing,
    MayBeNull,
    Type(u32),
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct PassThrough {
    says: Says,
    signature: Signature,
}

impl ScalarUDFImpl for PassThrough {
    fn name(&self) -> &str {
        match self.says {
            Says::Nothing => "pg_same",
            Says::MayBeNull => "maybe_null",
            Says::Type(_) => "pg_typed",
        }
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        Ok(args[0].clone())
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = &args.arg_fields[0];
        Ok(match self.says {
            Says::Nothing => Arc::clone(field),
            Says::MayBeNull => Arc::new(field.as_ref().clone().with_nullable(true)),
            Says::Type(type_oid) => {
                Arc::new(oid::with_type(field.as_ref().clone(), oid::wire(type_oid, -1)))
            }
        })
    }

    fn invoke_with_args(&self, mut args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        Ok(args.args.remove(0))
    }
}
