//! SET's list: columns and the expressions they are set to.

use super::target::Target;
use super::typed_cells::type_unknown;
use crate::bind::{rewrite, row_values};
use crate::catalog::model::{Column, Identity};
use crate::error::{SqlError, SqlState};
use crate::functions::map::PUT;
use crate::parse;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{
    Assignment, AssignmentTarget, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Ident,
    ObjectName, SelectItem, SetExpr, Value as AstValue,
};
use terrane_client::types::DataType;

/// A column and the expression it is set to.
pub type Assigned = (Column, Expr);

/// SET's list, bound: ascending by column.
pub fn assigned(target: &Target, assignments: &[Assignment]) -> Result<Vec<Assigned>, SqlError> {
    let mut found: Vec<Assigned> = Vec::new();
    for Assignment { target: names, value } in assignments {
        let pairs: Vec<(&Ident, Expr)> = match names {
            AssignmentTarget::ColumnName(name) => vec![(last(target, name)?, value.clone())],
            AssignmentTarget::Tuple(names) => {
                let names: Vec<&Ident> =
                    names.iter().map(|name| last(target, name)).collect::<Result<_, _>>()?;
                let values = fields_of(value, names.len())?;
                names.into_iter().zip(values).collect()
            }
        };
        for (name, value) in pairs {
            let column = target.column(name)?.clone();
            if let Some(put) = Put::of(name, &value) {
                put_key(&mut found, target, column, put)?;
                continue;
            }
            if found.iter().any(|(known, _)| known.id == column.id) {
                return Err(SqlError::syntax(format!(
                    "multiple assignments to same column \"{}\"",
                    column.name
                )));
            }
            found.push((column.clone(), valued(value, &column)?));
        }
    }
    found.sort_by_key(|(column, _)| column.id);
    Ok(found)
}

/// `m['k'] = v`, which the parser respells as `m = map_put(m, 'k', v)`.
pub struct Put<'a> {
    /// The key.
    pub key: &'a Expr,
    /// Its value.
    pub value: &'a Expr,
}

impl<'a> Put<'a> {
    /// The key and the value that an assignment to this column puts into it.
    pub fn of(column: &Ident, assigned: &'a Expr) -> Option<Self> {
        let Expr::Function(call) = assigned else { return None };
        let FunctionArguments::List(list) = &call.args else { return None };
        let [name] = call.name.0.as_slice() else { return None };
        let arg = |at: usize| match list.args.get(at) {
            Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(expr))) => Some(expr),
            _ => None,
        };
        let is_put = name.as_ident().is_some_and(|name| name.value == PUT) && list.args.len() == 3;
        let of_column = match arg(0)? {
            Expr::Identifier(map) => map.value == column.value,
            _ => false,
        };
        (is_put && of_column).then_some(Self { key: arg(1)?, value: arg(2)? })
    }
}

/// Assigns to a key; several keys of a column are put one after another.
fn put_key(
    found: &mut Vec<Assigned>,
    target: &Target,
    column: Column,
    Put { key, value }: Put<'_>,
) -> Result<(), SqlError> {
    let DataType::Map(of) = &column.data_type else {
        let name = oid::format_type(oid::of(&column.data_type).oid, None);
        let message = format!("assignment to a subscript of type {name} is not supported");
        return Err(SqlError::unsupported(message));
    };
    // Whether it is too long is the assignment's to say: a cast would cut it.
    let typed = |expr: &Expr, to: &DataType| match expr {
        Expr::Value(_) => rewrite::cast_call(expr.clone(), oid::of_any_length(to)),
        other => other.clone(),
    };
    let (key, value) = (typed(key, of.key()), typed(value, of.value()));
    let known = found.iter_mut().find(|(known, _)| known.id == column.id);
    match known {
        None => {
            let map =
                [&target.alias, column.name.as_ref()].map(|name| Ident::with_quote('"', name));
            let map = Expr::CompoundIdentifier(map.to_vec());
            found.push((column, rewrite::call(PUT, vec![map, key, value])));
        }
        Some((_, assigned)) if is_put(assigned) => {
            let map = std::mem::replace(assigned, Expr::value(AstValue::Null));
            *assigned = rewrite::call(PUT, vec![map, key, value]);
        }
        Some(_) => {
            let message = format!("multiple assignments to same column \"{}\"", column.name);
            return Err(SqlError::syntax(message));
        }
    }
    Ok(())
}

fn is_put(assigned: &Expr) -> bool {
    match assigned {
        Expr::Function(call) => {
            call.name.0.last().and_then(|name| name.as_ident()).is_some_and(|n| n.value == PUT)
        }
        _ => false,
    }
}

/// The values of `(a, b) = …`: those of a row, or a subquery's columns.
fn fields_of(value: &Expr, wanted: usize) -> Result<Vec<Expr>, SqlError> {
    let fields = match value {
        Expr::Subquery(query) => row_values::taken_apart(query, wanted)?,
        value => match row_values::fields(value) {
            Some(fields) => fields,
            None if wanted == 1 => vec![value.clone()],
            None => {
                return Err(SqlError::unsupported(
                    "source for a multiple-column UPDATE item must be a sub-SELECT or ROW() \
                     expression",
                ));
            }
        },
    };
    match fields.len() == wanted {
        true => Ok(fields),
        false => Err(SqlError::syntax("number of columns does not match number of values")),
    }
}

/// The column that an item of the list names.
pub fn last<'a>(target: &Target, name: &'a ObjectName) -> Result<&'a Ident, SqlError> {
    let first = name.0.first().and_then(|part| part.as_ident());
    let first = first.ok_or_else(|| SqlError::syntax("a column name is expected"))?;
    if name.0.len() > 1 {
        // A column of a row type, where it is a column at all.
        let column = target.column(first)?;
        return Err(SqlError::new(
            SqlState::DATATYPE_MISMATCH,
            format!(
                "cannot assign to field of column \"{}\" because its type {} is not a composite type",
                column.name,
                oid::format_type(oid::of(&column.data_type).oid, None)
            ),
        ));
    }
    Ok(first)
}

/// The expression as the column's: DEFAULT replaced, an untyped literal typed.
fn valued(value: Expr, column: &Column) -> Result<Expr, SqlError> {
    let is_default = super::is_default(&value);
    match column.identity {
        Some(Identity::Always) if !is_default => {
            return Err(SqlError::new(
                SqlState("428C9"),
                format!("column \"{}\" can only be updated to DEFAULT", column.name),
            )
            .with_detail(format!(
                "Column \"{}\" is an identity column defined as GENERATED ALWAYS.",
                column.name
            )));
        }
        Some(_) if is_default => {
            return Err(SqlError::unsupported(format!(
                "SET {} = DEFAULT of an identity column is not supported",
                column.name
            )));
        }
        _ => {}
    }
    let mut value = match column.default.as_ref().filter(|_| is_default) {
        Some(default) => stored_expression(default.sql.as_str())?,
        None if is_default => Expr::value(AstValue::Null),
        None => value,
    };
    type_unknown(&mut value, column);
    Ok(value)
}

/// A stored DEFAULT's syntax tree.
pub fn stored_expression(sql: &str) -> Result<Expr, SqlError> {
    match *parse::query(&format!("SELECT {sql}"))?.body {
        SetExpr::Select(mut select) => match select.projection.pop() {
            Some(SelectItem::UnnamedExpr(expr)) => Ok(expr),
            _ => Err(SqlError::internal("a stored DEFAULT is no expression")),
        },
        _ => Err(SqlError::internal("a stored DEFAULT is no expression")),
    }
}
