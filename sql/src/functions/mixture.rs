//! Values of unlike types that meet, in a comparison or as the branches of one expression.
//!
//! DataFusion makes decimals of floats that meet decimals, of a range and precision that floats do not keep to, and
//! takes a time without a zone for one in UTC, and an infinite date for a day. PostgreSQL makes floats of numerics, and
//! reads a time without a zone on the session's wall.

use super::cast;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::common::ExprSchema;
use datafusion::logical_expr::{Expr, ExprSchemable};

/// What some of the values are converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mixture {
    from: &'static [u32],
    to: u32,
}

const FLOATS: Mixture = Mixture { from: &[oid::NUMERIC], to: oid::FLOAT8 };
const WALLS: Mixture = Mixture { from: &[oid::DATE], to: oid::TIMESTAMP };
const INSTANTS: Mixture = Mixture { from: &[oid::TIMESTAMP, oid::DATE], to: oid::TIMESTAMPTZ };

impl Mixture {
    /// Of values of these types; `None` where DataFusion does the right thing.
    pub fn of(types: impl Iterator<Item = WireType> + Clone) -> Option<Self> {
        let has = |wanted: &[u32]| types.clone().any(|given| wanted.contains(&given.oid));
        if has(&[oid::FLOAT4, oid::FLOAT8]) && has(FLOATS.from) {
            Some(FLOATS)
        } else if has(&[oid::TIMESTAMPTZ]) && has(INSTANTS.from) {
            Some(INSTANTS)
        } else if has(&[oid::TIMESTAMP]) && has(WALLS.from) {
            Some(WALLS)
        } else {
            None
        }
    }

    /// Converts a value that needs it; true for one that did.
    pub fn convert(self, expr: &mut Expr, schema: &dyn ExprSchema) -> bool {
        let converts = type_of(expr, schema).is_some_and(|given| self.from.contains(&given.oid));
        if converts {
            let value = std::mem::take(expr);
            *expr = match value {
                Expr::Alias(alias) => {
                    let relation = alias.relation.clone();
                    cast::to(*alias.expr, oid::wire(self.to, -1))
                        .alias_qualified(relation, alias.name)
                }
                value => cast::to(value, oid::wire(self.to, -1)),
            };
        }
        converts
    }
}

/// The type of an expression, as far as it is known.
pub fn type_of(expr: &Expr, schema: &dyn ExprSchema) -> Option<WireType> {
    let (_, field) = expr.to_field(schema).ok()?;
    (!field.data_type().is_null()).then(|| oid::of_field(&field))
}
