//! coalesce(), greatest(), least() and nullif(): DataFusion's, that take a string literal beside a value of another type.
//!
//! DataFusion refuses such a call before anybody can give the literal its type. Here it is taken for one of the
//! other type, and [`common_type`](crate::plan::rules::common_type) makes it one.

use crate::types::oid;
use arrow::compute::can_cast_types;
use arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::error::Result;
use datafusion::logical_expr::simplify::{ExprSimplifyResult, SimplifyContext};
use datafusion::logical_expr::type_coercion::functions::fields_with_udf;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature,
    Volatility,
};
use std::sync::Arc;

/// The functions that are taken over.
pub const NAMES: [&str; 4] = ["coalesce", "greatest", "least", "nullif"];

/// One of them.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Conditional {
    inner: Arc<ScalarUDF>,
    signature: Signature,
}

impl Conditional {
    /// Over DataFusion's.
    pub fn new(inner: Arc<ScalarUDF>) -> Self {
        Self { inner, signature: Signature::user_defined(Volatility::Immutable) }
    }

    /// What DataFusion's makes of types.
    fn coerced(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let fields: Vec<FieldRef> =
            args.iter().map(|t| Arc::new(Field::new("", t.clone(), true))).collect();
        let coerced = fields_with_udf(&fields, &*self.inner)?;
        Ok(coerced.iter().map(|field| field.data_type().clone()).collect())
    }
}

impl ScalarUDFImpl for Conditional {
    fn name(&self) -> &str {
        self.inner.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let is_text =
            |t: &DataType| matches!(t, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
        let Some(other) = args.iter().find(|t| !is_text(t) && !t.is_null()) else {
            return self.coerced(args);
        };
        if !can_cast_types(&DataType::Utf8, other) {
            // DataFusion lets only types pass that Arrow can cast.
            return Ok(args.to_vec());
        }
        // DataFusion finds nothing in common between a map's type and that of NULL.
        let is_map = *other == DataType::LargeBinary;
        let open = |t: &DataType| is_text(t) || (is_map && t.is_null());
        let read = |t: &DataType| if open(t) { other.clone() } else { t.clone() };
        let read: Vec<DataType> = args.iter().map(read).collect();
        if read.iter().all(|t| t == other) {
            return Ok(read);
        }
        self.coerced(&read)
    }

    fn return_type(&self, args: &[DataType]) -> Result<DataType> {
        self.inner.return_type(args)
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        // Types that Arrow does not have: what is no literal says which it is.
        let known = args.arg_fields.iter().zip(args.scalar_arguments);
        let mut known = known.filter(|(field, scalar)| {
            scalar.is_none() || field.metadata().contains_key(oid::METADATA_KEY)
        });
        let first = known.next().map(|(field, _)| oid::of_field(field));
        let common =
            first.filter(|first| known.all(|(field, _)| oid::of_field(field).oid == first.oid));
        let field = self.inner.return_field_from_args(args)?;
        Ok(match common {
            Some(common) if oid::arrow(common.oid, common.modifier) == *field.data_type() => {
                Arc::new(oid::with_type(field.as_ref().clone(), common))
            }
            _ => field,
        })
    }

    fn simplify(&self, args: Vec<Expr>, context: &SimplifyContext) -> Result<ExprSimplifyResult> {
        self.inner.simplify(args, context)
    }

    fn conditional_arguments<'a>(
        &self,
        args: &'a [Expr],
    ) -> Option<(Vec<&'a Expr>, Vec<&'a Expr>)> {
        self.inner.conditional_arguments(args)
    }

    fn short_circuits(&self) -> bool {
        self.inner.short_circuits()
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.inner.invoke_with_args(args)
    }
}
