//! `make_interval(days => 3)`: arguments by name, put where they belong.

use super::numeral;
use crate::catalog::system::procs::{self, Proc};
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    DataType, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments,
};

/// The only function here whose arguments have defaults: they are 0.
const MAKE_INTERVAL: &str = "make_interval";

/// Makes all arguments of a call positional.
pub(super) fn place(function: &mut Function) -> Result<(), SqlError> {
    let Some(name) = function.name.0.last().and_then(|part| part.as_ident()) else { return Ok(()) };
    let name = name.value.to_ascii_lowercase();
    let FunctionArguments::List(list) = &mut function.args else { return Ok(()) };
    let is_named = |arg: &FunctionArg| matches!(arg, FunctionArg::Named { .. });
    if !list.args.iter().any(is_named) && name != MAKE_INTERVAL {
        return Ok(());
    }
    let placed = procs::named(&name).find_map(|variant| placed(variant, &list.args));
    match placed {
        Some(args) => {
            list.args = args;
            Ok(())
        }
        None if name == MAKE_INTERVAL => Ok(()),
        None => Err(SqlError::unsupported(format!("these named arguments of {name}()"))),
    }
}

/// The arguments as a variant takes them; `None` where it does not.
fn placed(variant: &Proc, args: &[FunctionArg]) -> Option<Vec<FunctionArg>> {
    let mut places: Vec<Option<FunctionArgExpr>> = vec![None; variant.arguments.len()];
    for (at, arg) in args.iter().enumerate() {
        let (at, value) = match arg {
            FunctionArg::Unnamed(value) => (at, value),
            FunctionArg::Named { name, arg, .. } => {
                let name = crate::bind::names::folded(name);
                (variant.names.iter().position(|known| *known == name)?, arg)
            }
            FunctionArg::ExprNamed { .. } => return None,
        };
        let place = places.get_mut(at)?;
        if place.replace(value.clone()).is_some() {
            return None;
        }
    }
    let zero = || -> Expr { numeral("0".to_owned(), DataType::Int4(None)) };
    let default = || (variant.name == MAKE_INTERVAL).then(|| FunctionArgExpr::Expr(zero()));
    places.into_iter().map(|place| place.or_else(default).map(FunctionArg::Unnamed)).collect()
}
