//! Names of the columns that operators compute.
//!
//! DataFusion asks for an expression's name whenever it asks for its type, and builds it from the names of
//! everything inside. For a chain of n operators that is n names of up to n operands, again for every one of
//! them. Contract: a name is no longer than [`NAME_BYTES_MAX`] and differs where the expressions do.

use datafusion::error::Result;
use datafusion::logical_expr::Expr;
use std::fmt::Write;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Longer names are told apart by a hash.
const NAME_BYTES_MAX: usize = 120;

/// The name of a call.
pub fn bounded(function: &str, args: &[Expr]) -> Result<String> {
    let mut name = format!("{function}(");
    for (at, arg) in args.iter().enumerate() {
        if at > 0 {
            name.push(',');
        }
        // A String takes everything.
        let _ = write!(name, "{}", arg.schema_name());
    }
    name.push(')');
    if name.len() <= NAME_BYTES_MAX {
        return Ok(name);
    }
    // The operands' names, not the operands: those would be walked to their ends again on every level.
    let mut hasher = DefaultHasher::new();
    name.hash(&mut hasher);
    Ok(format!("{function}(#{:016x})", hasher.finish()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::logical_expr::{col, lit};

    #[test]
    fn short_names_tell_what_is_computed() -> Result<()> {
        assert_eq!(bounded("pg_add", &[col("a"), lit(1)])?, "pg_add(a,Int32(1))");
        Ok(())
    }

    #[test]
    fn long_names_are_short_and_differ() -> Result<()> {
        let long = |last: i32| [col("a".repeat(200)), lit(last)];
        let one = bounded("pg_add", &long(1))?;
        assert!(one.len() <= NAME_BYTES_MAX, "{one}");
        assert_ne!(one, bounded("pg_add", &long(2))?);
        Ok(())
    }
}
