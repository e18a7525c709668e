//! Prepared statements and portals.
//!
//! Parameters are put into the syntax tree as typed literals when a portal runs, so that every kind of
//! statement takes them the same way. Their types come from the client, else from where they stand: a cast,
//! the column they are stored in or compared with; else text, PostgreSQL's last resort too.

use super::client::ClientSession;
use super::format::{Format, Formats};
use super::info::SessionInfo;
use super::response::{ResultColumn, RowsResponse};
use super::service::Parameters;
use super::statement;
use crate::bind::rewrite;
use crate::error::{SqlError, SqlState};
use crate::parse::{Ast, ParsedStatement};
use crate::types::{binary, oid, text};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Value as AstValue, ValueWithSpan, Visit, VisitMut, Visitor, VisitorMut,
};
use std::collections::BTreeMap;
use std::sync::Arc;
use terrane_client::types::DataType;
use terrane_client::value::Value;

/// A prepared statement.
pub struct Prepared {
    /// The statement; `None` for an empty one.
    pub statement: Option<ParsedStatement>,
    /// Type OIDs of its parameters.
    pub parameters: Arc<[u32]>,
    /// What it answers; `None` for no rows.
    pub columns: Option<Arc<[ResultColumn]>>,
}

/// A statement with its parameters.
pub struct Portal {
    /// The statement.
    pub prepared: Arc<Prepared>,
    /// How its columns are sent.
    pub formats: Formats,
    /// How far it is.
    pub state: PortalState,
    /// True where it outlives its transaction.
    pub with_hold: bool,
}

/// How far a portal is.
pub enum PortalState {
    /// Not run yet: its parameters.
    Ready(Vec<Value>),
    /// Stopped at a row limit.
    Suspended(RowsResponse),
    /// Done.
    Finished,
}

impl Prepared {
    /// Prepares a statement: finds its parameters' types and its result's columns.
    pub fn new(
        session: &mut ClientSession,
        statement: Option<ParsedStatement>,
        given: &[u32],
    ) -> Result<Self, SqlError> {
        let Some(statement) = statement else {
            return Ok(Self { statement: None, parameters: Arc::new([]), columns: None });
        };
        let mut types: BTreeMap<usize, u32> = BTreeMap::new();
        for (at, type_oid) in given.iter().enumerate().filter(|(_, type_oid)| **type_oid != 0) {
            types.insert(at + 1, *type_oid);
        }
        let mut found = Placeholders::default();
        if let Ast::Sql(ast) = &statement.ast
            && let ControlFlow::Break(error) = Visit::visit(&**ast, &mut found)
        {
            return Err(error);
        }
        for (at, type_oid) in found.cast {
            types.entry(at).or_insert(type_oid);
        }
        let described = statement::describe(session, &statement.ast, &types)?;
        for (at, type_oid) in described.parameters {
            types.entry(at).or_insert(type_oid);
        }
        let count = found.highest.max(given.len());
        let parameters: Arc<[u32]> =
            (1..=count).map(|at| types.get(&at).copied().unwrap_or(oid::TEXT)).collect();
        Ok(Self { statement: Some(statement), parameters, columns: described.columns })
    }

    /// Reads Bind's parameters.
    pub fn decode(
        &self,
        name: &str,
        parameters: &Parameters,
        info: &SessionInfo,
    ) -> Result<Vec<Value>, SqlError> {
        let (given, wanted) = (parameters.values.len(), self.parameters.len());
        if given != wanted {
            return Err(SqlError::new(
                SqlState::PROTOCOL_VIOLATION,
                format!(
                    "bind message supplies {given} parameters, but prepared statement \"{name}\" \
                     requires {wanted}"
                ),
            ));
        }
        let decode = |at: usize| -> Result<Value, SqlError> {
            let Some(bytes) = &parameters.values[at] else { return Ok(Value::Null) };
            let data_type = data_type_of(self.parameters[at])?;
            match parameters.formats.of(at) {
                Format::Text => {
                    let text = crate::types::string::utf8(bytes)?;
                    text::parse(text, &data_type, info.input())
                }
                Format::Binary => binary::receive(bytes, &data_type),
            }
        };
        (0..wanted).map(decode).collect()
    }

    /// The statement with its parameters in place.
    pub fn bound(&self, values: &[Value]) -> Result<Option<ParsedStatement>, SqlError> {
        let Some(statement) = &self.statement else { return Ok(None) };
        let mut statement = statement.clone();
        if values.is_empty() {
            return Ok(Some(statement));
        }
        let mut substitute = Substitute { values, types: &self.parameters };
        let Ast::Sql(ast) = &mut statement.ast else { return Ok(Some(statement)) };
        match VisitMut::visit(&mut **ast, &mut substitute) {
            ControlFlow::Continue(()) => Ok(Some(statement)),
            ControlFlow::Break(error) => Err(error),
        }
    }
}

/// The type parameters of a type OID are read as.
pub(super) fn data_type_of(type_oid: u32) -> Result<DataType, SqlError> {
    if oid::is_oid_like(type_oid) {
        return Ok(DataType::Int8);
    }
    oid::data_type(type_oid, -1).ok_or_else(|| {
        SqlError::unsupported(format!("a parameter of type OID {type_oid} is not supported"))
    })
}

/// The number of `$n`.
pub fn placeholder(expr: &Expr) -> Option<&str> {
    match expr {
        Expr::Value(ValueWithSpan { value: AstValue::Placeholder(name), .. }) => Some(name),
        _ => None,
    }
}

fn number(name: &str) -> Result<usize, SqlError> {
    name.strip_prefix('$').and_then(|digits| digits.parse().ok()).filter(|n| *n > 0).ok_or_else(
        || SqlError::new(SqlState::UNDEFINED_PARAMETER, format!("there is no parameter {name}")),
    )
}

/// Finds parameters, and the types that casts give them.
#[derive(Default)]
struct Placeholders {
    highest: usize,
    cast: BTreeMap<usize, u32>,
}

impl Visitor for Placeholders {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &Expr) -> ControlFlow<SqlError> {
        let found = match expr {
            Expr::Cast { expr: inner, data_type, .. } => placeholder(inner)
                .map(|name| (name, crate::bind::type_name::resolve(data_type).ok())),
            _ => placeholder(expr).map(|name| (name, None)),
        };
        if let Some((name, wire_type)) = found {
            let at = match number(name) {
                Ok(at) => at,
                Err(error) => return ControlFlow::Break(error),
            };
            self.highest = self.highest.max(at);
            if let Some(wire_type) = wire_type {
                self.cast.entry(at).or_insert(wire_type.oid);
            }
        }
        ControlFlow::Continue(())
    }
}

/// Puts literals where parameters stand.
struct Substitute<'a> {
    values: &'a [Value],
    types: &'a [u32],
}

impl VisitorMut for Substitute<'_> {
    type Break = SqlError;

    fn pre_visit_expr(&mut self, expr: &mut Expr) -> ControlFlow<SqlError> {
        let Some(name) = placeholder(expr) else { return ControlFlow::Continue(()) };
        let at = match number(name) {
            Ok(at) => at,
            Err(error) => return ControlFlow::Break(error),
        };
        let (Some(value), Some(type_oid)) = (self.values.get(at - 1), self.types.get(at - 1))
        else {
            return ControlFlow::Break(SqlError::new(
                SqlState::UNDEFINED_PARAMETER,
                format!("there is no parameter {name}"),
            ));
        };
        match literal(value, *type_oid) {
            Ok(literal) => *expr = literal,
            Err(error) => return ControlFlow::Break(error),
        }
        ControlFlow::Continue(())
    }
}

/// A value as an expression that evaluates to it, with its type.
fn literal(value: &Value, type_oid: u32) -> Result<Expr, SqlError> {
    let null = || Expr::value(AstValue::Null);
    let data_type = data_type_of(type_oid)?;
    let text = match value {
        Value::Null => return Ok(rewrite::cast_call(null(), oid::wire(type_oid, -1))),
        Value::Bool(v) => return Ok(Expr::value(AstValue::Boolean(*v))),
        // In a LIMIT only a bare number will do, and it is of this type anyway.
        Value::Int8(v) if *v >= 0 && i32::try_from(*v).is_err() => {
            return Ok(Expr::value(AstValue::Number(v.to_string(), false)));
        }
        Value::Text(text) if type_oid == oid::TEXT => text.clone(),
        value => text::to_string(value, &data_type, &Default::default()),
    };
    let text = Expr::value(AstValue::SingleQuotedString(text));
    Ok(rewrite::cast_call(text, oid::wire(type_oid, -1)))
}
