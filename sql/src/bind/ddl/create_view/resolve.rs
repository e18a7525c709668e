//! A view's query rewritten so that it means the same whatever is renamed later: `*` expanded, every
//! output named, every relation and column of the catalog referred to by identifier.

use crate::bind::ddl::Ddl;
use crate::bind::ddl::create_view::scope::{Namespace, Scope};
use crate::bind::ddl::expression::{normalized, refer_to_sequences, token_ident};
use crate::bind::names::figure;
use crate::catalog::oid::Oid;
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Cte, Distinct, Expr, FunctionArg, FunctionArgExpr, FunctionArguments, GroupByExpr, Ident,
    NamedWindowDefinition, NamedWindowExpr, OrderByExpr, OrderByKind, Query, Select, SelectItem,
    SelectItemQualifiedWildcardKind, SetExpr, TableAlias, TableAliasColumnDef, Value,
    ValueWithSpan, VisitMut, VisitorMut,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use terrane_client::ids::ColumnId;

/// A column a query gives.
#[derive(Clone, Debug)]
pub(super) struct Output {
    pub name: String,
    /// How it is referred to in ORDER BY.
    pub written: Ident,
}

/// A WITH query in scope.
#[derive(Clone, Debug)]
pub(super) struct CteColumns {
    pub name: String,
    pub columns: Vec<String>,
}

/// What the outputs of a query are to be called.
#[derive(Clone, Copy)]
pub(super) enum Naming<'a> {
    /// By themselves.
    Own,
    /// As the columns of the view, by reference; the first ones by these names.
    View(Oid, &'a [String]),
}

/// Rewrites one view's query.
pub(super) struct Resolver<'a, 'd> {
    pub ddl: &'a Ddl<'d>,
    pub ctes: Vec<CteColumns>,
}

impl<'a, 'd> Resolver<'a, 'd> {
    pub fn new(ddl: &'a Ddl<'d>) -> Self {
        Self { ddl, ctes: Vec::new() }
    }

    /// Rewrites the query of a view: the names of its columns.
    pub fn resolve_view(
        &mut self,
        query: &mut Query,
        view: Oid,
        names: &[String],
    ) -> Result<Vec<String>, SqlError> {
        if !starts_with_select(&query.body) {
            *query = selecting_from(query)?;
        }
        let outputs = self.query(query, None, Naming::View(view, names))?;
        if names.len() > outputs.len() {
            return Err(SqlError::syntax("CREATE VIEW specifies more column names than columns"));
        }
        Ok(outputs.into_iter().map(|output| output.name).collect())
    }

    /// Rewrites a query: its outputs.
    pub fn query(
        &mut self,
        query: &mut Query,
        parent: Option<&Scope<'_>>,
        naming: Naming<'_>,
    ) -> Result<Vec<Output>, SqlError> {
        let outer_ctes = self.ctes.len();
        if let Some(with) = &mut query.with {
            let recursive = with.recursive;
            for cte in &mut with.cte_tables {
                self.cte(cte, recursive, parent)?;
            }
        }
        let (outputs, namespace) = self.body(&mut query.body, parent, naming)?;
        if let Some(order_by) = &mut query.order_by
            && let OrderByKind::Expressions(items) = &mut order_by.kind
        {
            for item in items {
                self.order_item(item, &outputs, namespace.as_ref(), parent)?;
            }
        }
        self.ctes.truncate(outer_ctes);
        Ok(outputs)
    }

    fn cte(
        &mut self,
        cte: &mut Cte,
        recursive: bool,
        parent: Option<&Scope<'_>>,
    ) -> Result<(), SqlError> {
        let name = normalized(&cte.alias.name);
        let given: Vec<_> =
            cte.alias.columns.iter().map(|column| normalized(&column.name)).collect();
        if recursive {
            // What the query calls itself by has the columns of its first part.
            let columns = match given.is_empty() {
                false => given.clone(),
                true => {
                    let mut first = (*cte.query).clone();
                    if let SetExpr::SetOperation { left, .. } = &*cte.query.body {
                        first.body = left.clone();
                        first.order_by = None;
                    }
                    let outputs = self.query(&mut first, parent, Naming::Own)?;
                    outputs.into_iter().map(|output| output.name).collect()
                }
            };
            self.ctes.push(CteColumns { name: name.clone(), columns });
        }
        let outputs = self.query(&mut cte.query, parent, Naming::Own)?;
        if recursive {
            self.ctes.pop();
        }
        let mut columns = given;
        columns.extend(outputs.into_iter().skip(columns.len()).map(|output| output.name));
        self.ctes.push(CteColumns { name, columns });
        Ok(())
    }

    fn body(
        &mut self,
        body: &mut SetExpr,
        parent: Option<&Scope<'_>>,
        naming: Naming<'_>,
    ) -> Result<(Vec<Output>, Option<Namespace>), SqlError> {
        match body {
            SetExpr::Select(select) => {
                let (outputs, namespace) = self.select(select, parent, naming)?;
                Ok((outputs, Some(namespace)))
            }
            SetExpr::Query(query) => Ok((self.query(query, parent, naming)?, None)),
            SetExpr::SetOperation { left, right, .. } => {
                let (outputs, _) = self.body(left, parent, naming)?;
                self.body(right, parent, Naming::Own)?;
                Ok((outputs, None))
            }
            SetExpr::Values(values) => {
                let namespace = Namespace::default();
                let scope = Scope { namespace: &namespace, parent };
                let mut width = 0;
                for row in &mut values.rows {
                    width = row.len();
                    for expr in row.iter_mut() {
                        self.expr(expr, &scope)?;
                    }
                }
                let output = |i: usize| {
                    let name = format!("column{}", i + 1);
                    Output { written: Ident::new(&name), name }
                };
                Ok(((0..width).map(output).collect(), None))
            }
            SetExpr::Table(_) => {
                let text = body.to_string();
                let text = text.strip_prefix("TABLE ").unwrap_or(&text);
                *body = *parse_query(&format!("SELECT * FROM {text}"))?.body;
                self.body(body, parent, naming)
            }
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                Err(SqlError::unsupported("views must not contain data-modifying statements"))
            }
        }
    }

    fn select(
        &mut self,
        select: &mut Select,
        parent: Option<&Scope<'_>>,
        naming: Naming<'_>,
    ) -> Result<(Vec<Output>, Namespace), SqlError> {
        if select.into.is_some() {
            return Err(SqlError::syntax("views must not contain SELECT INTO"));
        }
        let namespace = self.from(&mut select.from, parent)?;
        let scope = Scope { namespace: &namespace, parent };
        let outputs = self.projection(&mut select.projection, &scope, naming)?;
        if let Some(Distinct::On(items)) = &mut select.distinct {
            for expr in items {
                self.output_or_expr(expr, &outputs, Some(&namespace), parent)?;
            }
        }
        for condition in [&mut select.selection, &mut select.having].into_iter().flatten() {
            self.expr(condition, &scope)?;
        }
        match &mut select.group_by {
            GroupByExpr::Expressions(items, _) => {
                for expr in items {
                    self.group_item(expr, &outputs, &scope)?;
                }
            }
            GroupByExpr::All(_) => {
                return Err(SqlError::unsupported("GROUP BY ALL is not supported"));
            }
        }
        for NamedWindowDefinition(_, definition) in &mut select.named_window {
            if let NamedWindowExpr::WindowSpec(spec) = definition {
                for expr in &mut spec.partition_by {
                    self.expr(expr, &scope)?;
                }
                for item in &mut spec.order_by {
                    self.expr(&mut item.expr, &scope)?;
                }
            }
        }
        Ok((outputs, namespace))
    }

    /// The select list: `*` expanded, every item with AS.
    fn projection(
        &mut self,
        items: &mut Vec<SelectItem>,
        scope: &Scope<'_>,
        naming: Naming<'_>,
    ) -> Result<Vec<Output>, SqlError> {
        let mut chosen: Vec<(Expr, String)> = Vec::new();
        for item in std::mem::take(items) {
            match item {
                SelectItem::UnnamedExpr(mut expr) => {
                    let name = figure(&expr).unwrap_or_else(|| "?column?".to_owned());
                    self.expr(&mut expr, scope)?;
                    chosen.push((expr, name));
                }
                SelectItem::ExprWithAlias { mut expr, alias } => {
                    self.expr(&mut expr, scope)?;
                    chosen.push((expr, normalized(&alias)));
                }
                SelectItem::Wildcard(_) => {
                    let all = scope.namespace.visible.iter();
                    chosen.extend(all.map(|visible| (visible.expr.clone(), visible.name.clone())));
                }
                SelectItem::QualifiedWildcard(kind, _) => chosen.extend(qualified(&kind, scope)?),
                other => return Err(SqlError::unsupported(format!("{other} is not supported"))),
            }
        }
        let mut outputs = Vec::with_capacity(chosen.len());
        for (i, (expr, name)) in chosen.into_iter().enumerate() {
            let (name, written) = match naming {
                Naming::Own => {
                    let written = Ident::with_quote('"', &name);
                    (name, written)
                }
                Naming::View(view, names) => {
                    let name = names.get(i).cloned().unwrap_or(name);
                    let column = ColumnId(i as u32 + 1);
                    (name, token_ident(StoredSql::column(view, column)))
                }
            };
            items.push(SelectItem::ExprWithAlias { expr, alias: written.clone() });
            outputs.push(Output { name, written });
        }
        Ok(outputs)
    }

    /// GROUP BY takes input columns first, then outputs, and their numbers.
    fn group_item(
        &mut self,
        expr: &mut Expr,
        outputs: &[Output],
        scope: &Scope<'_>,
    ) -> Result<(), SqlError> {
        if let Expr::Identifier(ident) = expr
            && scope.namespace.only(&normalized(ident))?.is_none()
            && let Some(output) = output_named(outputs, ident)
        {
            *ident = output.written.clone();
            return Ok(());
        }
        self.expr(expr, scope)
    }

    fn order_item(
        &mut self,
        item: &mut OrderByExpr,
        outputs: &[Output],
        namespace: Option<&Namespace>,
        parent: Option<&Scope<'_>>,
    ) -> Result<(), SqlError> {
        self.output_or_expr(&mut item.expr, outputs, namespace, parent)
    }

    /// ORDER BY and DISTINCT ON take outputs first, then input columns.
    fn output_or_expr(
        &mut self,
        expr: &mut Expr,
        outputs: &[Output],
        namespace: Option<&Namespace>,
        parent: Option<&Scope<'_>>,
    ) -> Result<(), SqlError> {
        if let Expr::Identifier(ident) = expr
            && let Some(output) = output_named(outputs, ident)
        {
            *ident = output.written.clone();
            return Ok(());
        }
        let none = Namespace::default();
        let scope = Scope { namespace: namespace.unwrap_or(&none), parent };
        self.expr(expr, &scope)
    }

    /// Rewrites an expression and the queries inside it.
    pub fn expr(&mut self, expr: &mut Expr, scope: &Scope<'_>) -> Result<(), SqlError> {
        let mut visitor = Expressions { resolver: self, scope, inside: 0 };
        match expr.visit(&mut visitor) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(error) => Err(*error),
        }
    }
}

fn output_named<'o>(outputs: &'o [Output], ident: &Ident) -> Option<&'o Output> {
    let name = normalized(ident);
    outputs.iter().find(|output| output.name == name)
}

/// The columns of `t.*`.
fn qualified(
    kind: &SelectItemQualifiedWildcardKind,
    scope: &Scope<'_>,
) -> Result<Vec<(Expr, String)>, SqlError> {
    let SelectItemQualifiedWildcardKind::ObjectName(name) = kind else {
        return Err(SqlError::unsupported("expanding a row with .* is not supported"));
    };
    let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident().map(normalized)).collect();
    let parts = parts.unwrap_or_default();
    let (schema, table) = match parts.as_slice() {
        [table] => (None, table),
        [schema, table] => (Some(schema.as_str()), table),
        _ => return Err(SqlError::unsupported("names of more than three parts")),
    };
    let mut around = Some(scope);
    while let Some(scope) = around {
        if let Some(item) = scope.namespace.item(schema, table)? {
            let columns = item.columns.iter();
            return Ok(columns.map(|column| (item.expr(column), column.name.clone())).collect());
        }
        around = scope.parent;
    }
    let message = format!("missing FROM-clause entry for table \"{table}\"");
    Err(SqlError::new(SqlState::UNDEFINED_TABLE, message))
}

/// True where the first SELECT of a set operation can carry the names of the columns.
fn starts_with_select(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(_) | SetExpr::Table(_) => true,
        SetExpr::Query(query) => starts_with_select(&query.body),
        SetExpr::SetOperation { left, .. } => starts_with_select(left),
        _ => false,
    }
}

/// `SELECT * FROM (query) AS "*VALUES*"`.
fn selecting_from(query: &Query) -> Result<Query, SqlError> {
    parse_query(&format!("SELECT * FROM ({query}) AS \"*VALUES*\""))
}

/// A query out of text that holds no references yet.
pub(super) fn parse_query(sql: &str) -> Result<Query, SqlError> {
    let parsed = Parser::new(&PostgreSqlDialect {})
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_query());
    match parsed {
        Ok(query) => Ok(*query),
        Err(error) => Err(SqlError::internal(format!("rewritten query: {error}"))),
    }
}

/// An alias, written so that it is read back as it is.
pub(super) fn alias(name: &str, columns: &[String]) -> TableAlias {
    let column =
        |name: &String| TableAliasColumnDef { name: Ident::with_quote('"', name), data_type: None };
    TableAlias {
        explicit: true,
        name: Ident::with_quote('"', name),
        columns: columns.iter().map(column).collect(),
        at: None,
    }
}

struct Expressions<'r, 'a, 'd, 's> {
    resolver: &'r mut Resolver<'a, 'd>,
    scope: &'s Scope<'s>,
    /// How many queries deep the visitor is: those are rewritten in one go, from outside.
    inside: usize,
}

type Flow = ControlFlow<Box<SqlError>>;

fn flow(result: Result<(), SqlError>) -> Flow {
    match result {
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => ControlFlow::Break(Box::new(error)),
    }
}

impl VisitorMut for Expressions<'_, '_, '_, '_> {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &mut Query) -> Flow {
        self.inside += 1;
        if self.inside > 1 {
            return ControlFlow::Continue(());
        }
        flow(self.resolver.query(query, Some(self.scope), Naming::Own).map(|_| ()))
    }

    fn post_visit_query(&mut self, _: &mut Query) -> Flow {
        self.inside -= 1;
        ControlFlow::Continue(())
    }

    fn post_visit_expr(&mut self, expr: &mut Expr) -> Flow {
        match self.inside {
            0 => flow(self.leaf(expr)),
            _ => ControlFlow::Continue(()),
        }
    }
}

impl Expressions<'_, '_, '_, '_> {
    fn leaf(&mut self, expr: &mut Expr) -> Result<(), SqlError> {
        match expr {
            Expr::Identifier(ident) => match self.scope.identifier(ident)? {
                Some(found) => *expr = found,
                None => {
                    let name = normalized(ident);
                    return Err(match self.scope.is_relation(&name) {
                        true => SqlError::unsupported("whole-row references are not supported"),
                        false => SqlError::new(
                            SqlState::UNDEFINED_COLUMN,
                            format!("column \"{name}\" does not exist"),
                        ),
                    });
                }
            },
            Expr::CompoundIdentifier(parts) => *expr = self.scope.compound(parts)?,
            Expr::Value(ValueWithSpan { value: Value::Placeholder(name), .. }) => {
                let message = format!("there is no parameter {name}");
                return Err(SqlError::new(SqlState::UNDEFINED_PARAMETER, message));
            }
            Expr::Function(function) => {
                if let FunctionArguments::List(list) = &function.args {
                    for argument in &list.args {
                        if let FunctionArg::Unnamed(FunctionArgExpr::QualifiedWildcard(_)) =
                            argument
                        {
                            let message = "whole-row references are not supported";
                            return Err(SqlError::unsupported(message));
                        }
                    }
                }
                let ddl = self.resolver.ddl;
                refer_to_sequences(function, |name| ddl.find(name))?;
            }
            _ => {}
        }
        Ok(())
    }
}
