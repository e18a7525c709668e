//! Expressions that are kept: DEFAULT, CHECK, and those of indexes.
//!
//! Columns and sequences are replaced by references by identifier, so that renames follow.

use crate::bind::ddl::{Ddl, Over, QualifiedName};
use crate::catalog::model::Table;
use crate::catalog::quote::split_names;
use crate::catalog::snapshot::Relation;
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use crate::session::response::WireType;
use crate::types::oid;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Ident, Query, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};
use terrane_client::types::DataType;

/// What an expression is part of: decides what it may hold, and what messages call it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// DEFAULT.
    Default,
    /// CHECK.
    Check,
    /// A key of an index.
    IndexKey,
    /// WHERE of an index.
    IndexPredicate,
    /// USING of ALTER COLUMN TYPE.
    Using,
}

impl Place {
    fn plural(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT expressions",
            Self::Check => "check constraints",
            Self::IndexKey => "index expressions",
            Self::IndexPredicate => "index predicates",
            Self::Using => "transform expressions",
        }
    }

    fn singular(self) -> &'static str {
        match self {
            Self::Default => "DEFAULT expression",
            Self::Check => "check constraint",
            Self::IndexKey => "index expression",
            Self::IndexPredicate => "index predicate",
            Self::Using => "transform expression",
        }
    }
}

/// A name as it counts: folded unless quoted.
pub(crate) fn normalized(ident: &Ident) -> String {
    match ident.quote_style {
        Some(_) => ident.value.clone(),
        None => ident.value.to_lowercase(),
    }
}

/// An identifier that is written as it is.
pub(crate) fn token_ident(token: String) -> Ident {
    Ident { value: token, quote_style: None, span: Ident::new("").span }
}

/// Names and types of a table's live columns, for the analyzer.
pub(crate) fn columns_of(table: &Table) -> Vec<(String, DataType)> {
    let columns = table.live_columns();
    columns.map(|column| (column.name.to_string(), column.data_type.clone())).collect()
}

impl Ddl<'_> {
    /// An expression over a table's columns: checked, and with references by identifier. The type is
    /// what the planner says.
    pub async fn table_expression(
        &self,
        expr: &Expr,
        table: &Table,
        place: Place,
    ) -> Result<(StoredSql, WireType), SqlError> {
        let stored = self.resolve(expr, Some(table), place)?;
        let columns = columns_of(table);
        let analyzer = self.context.analyzer;
        let over = Over { relation: &table.name, columns: &columns };
        let wire_type = analyzer.expression_type(expr, Some(over), self.catalog()).await?;
        Ok((stored, wire_type))
    }

    /// A condition over a table's columns: CHECK, WHERE of an index.
    pub async fn condition(
        &self,
        expr: &Expr,
        table: &Table,
        place: Place,
    ) -> Result<StoredSql, SqlError> {
        let (stored, wire_type) = self.table_expression(expr, table, place).await?;
        if matches!(wire_type.oid, oid::BOOL | oid::UNKNOWN) {
            return Ok(stored);
        }
        let clause = match place {
            Place::Check => "CHECK",
            _ => "WHERE",
        };
        let name = crate::types::oid::base(wire_type.oid).map_or("unknown", |base| base.sql_name);
        let message = format!("argument of {clause} must be type boolean, not type {name}");
        Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message))
    }

    /// A DEFAULT for a column of this type. `None` for NULL, which is no default at all.
    pub async fn default_expression(
        &self,
        expr: &Expr,
        column: &str,
        data_type: &DataType,
    ) -> Result<Option<StoredSql>, SqlError> {
        if is_null(expr) {
            return Ok(None);
        }
        let stored = self.resolve(expr, None, Place::Default)?;
        let analyzer = self.context.analyzer;
        let from = analyzer.expression_type(expr, None, self.catalog()).await?;
        if from.oid == oid::UNKNOWN {
            // The literal must be of the column's type.
            analyzer.constant(expr, data_type, self.catalog()).await?;
        } else if !analyzer.is_assignable(from, data_type) {
            let name = crate::types::oid::base(from.oid).map_or("unknown", |base| base.sql_name);
            let message = format!(
                "column \"{column}\" is of type {data_type} but default expression is of type {name}"
            );
            return Err(SqlError::new(SqlState::DATATYPE_MISMATCH, message)
                .with_hint("You will need to rewrite or cast the expression."));
        }
        Ok(Some(stored))
    }

    fn resolve(
        &self,
        expr: &Expr,
        table: Option<&Table>,
        place: Place,
    ) -> Result<StoredSql, SqlError> {
        let mut expr = expr.clone();
        refuse_reserved_bytes(&expr.to_string())?;
        let mut resolver = Resolver { ddl: self, table, place };
        match expr.visit(&mut resolver) {
            ControlFlow::Continue(()) => Ok(StoredSql::new(expr.to_string())),
            ControlFlow::Break(error) => Err(*error),
        }
    }
}

/// 0A000 for text that could be mistaken for references.
pub(crate) fn refuse_reserved_bytes(text: &str) -> Result<(), SqlError> {
    match StoredSql::is_ambiguous(text) {
        true => Err(SqlError::unsupported("characters U+0002 and U+0003 in stored expressions")),
        false => Ok(()),
    }
}

fn is_null(expr: &Expr) -> bool {
    match expr {
        Expr::Value(ValueWithSpan { value: Value::Null, .. }) => true,
        Expr::Nested(inner) | Expr::Cast { expr: inner, .. } => is_null(inner),
        _ => false,
    }
}

struct Resolver<'a, 'd> {
    ddl: &'a Ddl<'d>,
    table: Option<&'a Table>,
    place: Place,
}

type Flow = ControlFlow<Box<SqlError>>;

impl VisitorMut for Resolver<'_, '_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, _: &mut Query) -> Flow {
        let message = format!("cannot use subquery in {}", self.place.singular());
        ControlFlow::Break(Box::new(SqlError::unsupported(message)))
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        match self.resolve(expr) {
            Ok(()) => ControlFlow::Continue(()),
            Err(error) => ControlFlow::Break(Box::new(error)),
        }
    }
}

impl Resolver<'_, '_> {
    fn resolve(&self, expr: &mut Expr) -> Result<(), SqlError> {
        match expr {
            Expr::Identifier(ident) => {
                let token = self.column(None, ident)?;
                *expr = Expr::Identifier(token_ident(token));
            }
            Expr::CompoundIdentifier(parts) => {
                let [.., relation, column] = parts.as_slice() else {
                    return Err(SqlError::syntax("improper qualified name"));
                };
                let token = self.column(Some(relation), column)?;
                *expr = Expr::Identifier(token_ident(token));
            }
            Expr::Function(function) => self.function(function)?,
            _ => {}
        }
        Ok(())
    }

    fn column(&self, relation: Option<&Ident>, column: &Ident) -> Result<String, SqlError> {
        let name = normalized(column);
        let Some(table) = self.table else {
            let message = format!("cannot use column reference in {}", self.place.singular());
            return Err(SqlError::unsupported(message));
        };
        if let Some(relation) = relation.map(normalized)
            && *relation != *table.name
        {
            let message = format!("missing FROM-clause entry for table \"{relation}\"");
            return Err(SqlError::new(SqlState::UNDEFINED_TABLE, message));
        }
        match table.column_by_name(&name) {
            Some(column) => Ok(StoredSql::column(table.oid, column.id)),
            None => Err(SqlError::new(
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{name}\" does not exist"),
            )),
        }
    }

    fn function(&self, function: &mut Function) -> Result<(), SqlError> {
        if function.over.is_some() {
            let message = format!("window functions are not allowed in {}", self.place.plural());
            return Err(SqlError::new(SqlState("42P20"), message));
        }
        refer_to_sequences(function, |name| self.ddl.find(name))
    }
}

/// Makes the first argument of nextval and its kin follow the sequence it names.
pub(crate) fn refer_to_sequences(
    function: &mut Function,
    find: impl Fn(&QualifiedName) -> Result<Option<Relation>, SqlError>,
) -> Result<(), SqlError> {
    let called = function.name.0.last().and_then(|part| part.as_ident()).map(normalized);
    let is_sequence_function = matches!(called.as_deref(), Some("nextval" | "currval" | "setval"));
    let FunctionArguments::List(arguments) = &mut function.args else { return Ok(()) };
    let Some(FunctionArg::Unnamed(FunctionArgExpr::Expr(first))) = arguments.args.first_mut()
    else {
        return Ok(());
    };
    if !is_sequence_function {
        return Ok(());
    }
    let literal = match first {
        Expr::Cast { expr, .. } => &mut **expr,
        other => other,
    };
    let Expr::Value(ValueWithSpan { value: Value::SingleQuotedString(text), .. }) = literal else {
        return Ok(());
    };
    let Some(name) = parse_name(text) else { return Ok(()) };
    match find(&name)? {
        Some(Relation::Sequence(sequence)) => {
            *text = StoredSql::quoted_relation(sequence.oid);
            Ok(())
        }
        Some(other) => Err(super::names::wrong_kind(&other, "sequence")),
        None => Err(super::names::undefined_relation(&name)),
    }
}

/// Reads the text of a regclass: names separated by dots, quoted where they must be.
pub(crate) fn parse_name(text: &str) -> Option<QualifiedName> {
    let mut parts = split_names(text, '.')?;
    let name = parts.pop()?;
    let (schema, database) = (parts.pop(), parts.pop());
    parts.is_empty().then_some(QualifiedName { database, schema, name })
}
