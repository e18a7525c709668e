//! The queries of views, laid out as ruleutils.c lays them out.
//!
//! Indentation follows its rules: a SELECT is eight blanks deeper than what it stands in; its clauses start
//! new lines a fixed number of blanks left of that.

use crate::bind::ddl::expression::{normalized, parse_name};
use crate::catalog::deparse::Deparser;
use crate::catalog::deparse::expression::{Printer, Scope};
use crate::catalog::quote::quote_ident;
use crate::catalog::snapshot::Relation;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::{
    Distinct, Expr, GroupByExpr, Ident, Join, JoinConstraint, JoinOperator, LimitClause,
    NamedWindowExpr, OrderByKind, Query, Select, SelectItem, SetExpr, SetQuantifier, TableAlias,
    TableFactor, TableWithJoins, Value, ValueWithSpan,
};
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Blanks a SELECT is deeper than what it stands in.
const STANDARD: usize = 8;
/// Blanks of a continued list.
const VARIABLE: usize = 4;
/// Blanks of JOIN.
const JOIN: usize = 4;
/// Nothing is indented by more.
const LIMIT: usize = 40;

/// Prints a query; `None` where it does not parse.
pub(super) fn print(text: &str, deparser: &Deparser<'_>, pretty: bool) -> Option<String> {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text);
    let query = parser.and_then(|mut parser| parser.parse_query()).ok()?;
    let none = Relations { deparser, items: Vec::new(), ctes: Vec::new(), parent: None };
    Some(Layout { outer: &none, pretty }.query(&query, 0).text)
}

/// What a name in a query stands for.
struct Relations<'a> {
    deparser: &'a Deparser<'a>,
    items: Vec<Item>,
    ctes: Vec<Item>,
    parent: Option<&'a Relations<'a>>,
}

/// A relation in scope: what columns are qualified with, and the columns.
#[derive(Clone)]
struct Item {
    qualifier: String,
    columns: Vec<(String, Option<WireType>)>,
}

impl Relations<'_> {
    fn cte(&self, name: &str) -> Option<&Item> {
        let own = self.ctes.iter().rev().find(|cte| cte.qualifier == name);
        own.or_else(|| self.parent.and_then(|parent| parent.cte(name)))
    }
}

impl Scope for Relations<'_> {
    fn column(&self, qualifier: Option<&str>, name: &str) -> Option<WireType> {
        let found = self
            .items
            .iter()
            .filter(|item| qualifier.is_none_or(|qualifier| item.qualifier == qualifier))
            .find_map(|item| item.columns.iter().find(|(column, _)| column == name));
        match found {
            Some((_, wire_type)) => *wire_type,
            None => self.parent.and_then(|parent| parent.column(qualifier, name)),
        }
    }

    fn query(&self, query: &Query, indent: usize, pretty: bool) -> String {
        Layout { outer: self, pretty }.query(query, indent).text
    }
}

/// A query laid out, and the columns it gives.
struct LaidOut {
    text: String,
    columns: Vec<(String, Option<WireType>)>,
}

struct Layout<'a> {
    outer: &'a Relations<'a>,
    pretty: bool,
}

/// A new line with blanks.
fn line(blanks: usize) -> String {
    format!("\n{}", " ".repeat(blanks.min(LIMIT)))
}

impl Layout<'_> {
    fn query(&self, query: &Query, indent: usize) -> LaidOut {
        let mut text = String::new();
        let mut scope = Relations {
            deparser: self.outer.deparser,
            items: Vec::new(),
            ctes: Vec::new(),
            parent: Some(self.outer),
        };
        if let Some(with) = &query.with {
            text.push_str(if with.recursive { " WITH RECURSIVE " } else { " WITH " });
            for (i, cte) in with.cte_tables.iter().enumerate() {
                let deeper = indent + STANDARD;
                let inner = Layout { outer: &scope, pretty: self.pretty };
                let LaidOut { text: body, columns } = inner.query(&cte.query, deeper);
                let alias = alias_text(&cte.alias);
                let separator = if i > 0 { ", " } else { "" };
                let (start, end) = (line(deeper), line(deeper));
                text.push_str(&format!("{separator}{alias} AS ({start}{body}{end})"));
                scope.ctes.push(aliased(&cte.alias, columns));
            }
            text.push_str(&line(indent));
        }
        let is_set = !matches!(&*query.body, SetExpr::Select(_) | SetExpr::Values(_));
        let LaidOut { text: body, columns } = match &*query.body {
            SetExpr::Select(select) => self.select(select, query, &scope, indent),
            other => self.body(other, &scope, indent),
        };
        text.push_str(&body);
        if is_set {
            let printer = Printer { scope: &scope, pretty: self.pretty, indent: indent + STANDARD };
            self.tail(query, &printer, &columns, None, indent, &mut text);
        }
        LaidOut { text, columns }
    }

    fn body(&self, body: &SetExpr, scope: &Relations<'_>, indent: usize) -> LaidOut {
        let inner = Layout { outer: scope, pretty: self.pretty };
        match body {
            SetExpr::SetOperation { op, set_quantifier, left, right } => {
                let is_all = |quantifier: &SetQuantifier| *quantifier == SetQuantifier::All;
                let nested = match &**left {
                    SetExpr::SetOperation { op: other, set_quantifier: quantifier, .. } => {
                        other != op || is_all(quantifier) != is_all(set_quantifier)
                    }
                    _ => false,
                };
                let mut text = String::new();
                let first = match nested {
                    true => {
                        let first = self.body(left, scope, indent + STANDARD);
                        let (start, end) = (line(indent + STANDARD), line(indent));
                        text.push_str(&format!("({start}{}{end}) ", first.text));
                        first
                    }
                    false => {
                        let first = self.body(left, scope, indent);
                        text.push_str(&format!("{}{}", first.text, line(indent)));
                        first
                    }
                };
                let all = if is_all(set_quantifier) { " ALL" } else { "" };
                text.push_str(&format!("{op}{all}"));
                let deeper = matches!(&**right, SetExpr::SetOperation { .. });
                let second = self.body(right, scope, indent + if deeper { STANDARD } else { 0 });
                match deeper {
                    true => {
                        let (start, end) = (line(indent + STANDARD), line(indent));
                        text.push_str(&format!(" ({start}{}{end})", second.text));
                    }
                    false => text.push_str(&format!("{}{}", line(indent), second.text)),
                }
                LaidOut { text, columns: first.columns }
            }
            SetExpr::Query(query) => {
                let LaidOut { text, columns } = inner.query(query, indent);
                let own = query.with.is_some()
                    || query.order_by.is_some()
                    || query.limit_clause.is_some();
                LaidOut { text: if own { format!("({text})") } else { text }, columns }
            }
            SetExpr::Select(select) => {
                let none = bare_query();
                self.select(select, &none, scope, indent)
            }
            SetExpr::Values(values) => {
                let printer = Printer { scope, pretty: self.pretty, indent: indent + STANDARD };
                let mut columns = Vec::new();
                let rows = values.rows.iter().map(|row| {
                    let cells: Vec<_> = row.iter().map(|expr| printer.whole(expr)).collect();
                    columns = (1..=row.len()).map(|i| (format!("column{i}"), None)).collect();
                    format!("({})", cells.join(", "))
                });
                let text = format!(" VALUES {}", rows.collect::<Vec<_>>().join(", "));
                LaidOut { text, columns }
            }
            other => LaidOut { text: format!(" {other}"), columns: Vec::new() },
        }
    }

    fn select(
        &self,
        select: &Select,
        query: &Query,
        around: &Relations<'_>,
        indent: usize,
    ) -> LaidOut {
        let mut scope = Relations {
            deparser: around.deparser,
            items: Vec::new(),
            ctes: Vec::new(),
            parent: Some(around),
        };
        let mut from = String::new();
        for (i, table) in select.from.iter().enumerate() {
            let text = self.joined(table, &mut scope, indent);
            if i > 0 {
                from.push(',');
                from.push_str(&line(indent + VARIABLE));
            }
            from.push_str(&text);
        }
        let printer = Printer { scope: &scope, pretty: self.pretty, indent: indent + STANDARD };
        let mut text = String::from(" SELECT ");
        let items = items_of(select);
        match &select.distinct {
            Some(Distinct::Distinct) => text.push_str("DISTINCT "),
            Some(Distinct::On(keys)) => {
                let keys = keys.iter().map(|key| self.key(key, &printer, Some(&items)));
                let keys: Vec<_> = keys.collect();
                text.push_str(&format!("DISTINCT ON ({}) ", keys.join(", ")));
            }
            Some(Distinct::All) | None => {}
        }
        let mut columns = Vec::new();
        for (i, (expr, name)) in items.iter().enumerate() {
            let printed = printer.print(expr);
            let shown = printer.whole(expr);
            if i > 0 {
                text.push(',');
                if !shown.starts_with('\n') {
                    text.push_str(&line(indent + VARIABLE));
                }
            }
            text.push_str(&shown);
            if own_name(expr).as_deref() != Some(name.as_str()) {
                text.push_str(&format!(" AS {}", quote_ident(name)));
            }
            let wire_type = printed.wire_type.or(printed.untyped.map(|_| oid::wire(oid::TEXT, -1)));
            columns.push((name.clone(), wire_type));
        }
        if !from.is_empty() {
            text.push_str(&format!("{} FROM {from}", line(indent + 2)));
        }
        self.clauses(select, &printer, &items, indent, &mut text);
        self.tail(query, &printer, &columns, Some(&items), indent, &mut text);
        LaidOut { text, columns }
    }

    fn clauses(
        &self,
        select: &Select,
        printer: &Printer<'_>,
        items: &[(Expr, String)],
        indent: usize,
        text: &mut String,
    ) {
        if let Some(condition) = &select.selection {
            let shown = printer.whole(condition);
            text.push_str(&format!("{} WHERE {shown}", line(indent + 1)));
        }
        if let GroupByExpr::Expressions(keys, _) = &select.group_by
            && !keys.is_empty()
        {
            let keys: Vec<_> = keys.iter().map(|key| self.key(key, printer, Some(items))).collect();
            text.push_str(&format!("{} GROUP BY {}", line(indent + 1), keys.join(", ")));
        }
        if let Some(condition) = &select.having {
            let shown = printer.whole(condition);
            text.push_str(&format!("{} HAVING {shown}", line(indent)));
        }
        for window in &select.named_window {
            let body = match &window.1 {
                NamedWindowExpr::WindowSpec(spec) => printer.window(spec),
                NamedWindowExpr::NamedWindow(name) => quote_ident(&normalized(name)),
            };
            let name = quote_ident(&normalized(&window.0));
            text.push_str(&format!("{} WINDOW {name} AS ({body})", line(indent + 1)));
        }
    }

    /// ORDER BY, OFFSET, LIMIT. `items` is the select list; without one, of a set operation, keys are
    /// numbers.
    fn tail(
        &self,
        query: &Query,
        printer: &Printer<'_>,
        columns: &[(String, Option<WireType>)],
        items: Option<&[(Expr, String)]>,
        indent: usize,
        text: &mut String,
    ) {
        if let Some(order_by) = &query.order_by
            && let OrderByKind::Expressions(keys) = &order_by.kind
        {
            let keys = keys.iter().map(|key| {
                let numbered = match (&key.expr, items) {
                    (Expr::Identifier(ident), None) => {
                        let name = normalized(ident);
                        columns.iter().position(|(column, _)| *column == name)
                    }
                    _ => None,
                };
                let shown = match numbered {
                    Some(at) => (at + 1).to_string(),
                    None => self.key(&key.expr, printer, items),
                };
                let mut plain = key.clone();
                plain.expr = Expr::Identifier(Ident::new("x"));
                let direction = printer.order_item(&plain);
                format!("{shown}{}", direction.strip_prefix('x').unwrap_or_default())
            });
            let keys: Vec<_> = keys.collect();
            text.push_str(&format!("{} ORDER BY {}", line(indent + 1), keys.join(", ")));
        }
        if let Some(LimitClause::LimitOffset { limit, offset, .. }) = &query.limit_clause {
            if let Some(offset) = offset {
                let shown = printer.whole(&offset.value);
                text.push_str(&format!("{} OFFSET {shown}", line(indent)));
            }
            if let Some(limit) = limit {
                let shown = printer.whole(limit);
                text.push_str(&format!("{} LIMIT {shown}", line(indent)));
            }
        }
        if let Some(fetch) = query.fetch.as_ref().and_then(|fetch| fetch.quantity.as_ref()) {
            let shown = printer.whole(fetch);
            text.push_str(&format!("{} LIMIT {shown}", line(indent)));
        }
    }

    /// A key of GROUP BY, ORDER BY or DISTINCT ON: what an output or its number stands for.
    fn key(&self, expr: &Expr, printer: &Printer<'_>, items: Option<&[(Expr, String)]>) -> String {
        let found = items.and_then(|items| match expr {
            Expr::Identifier(ident) => {
                let name = normalized(ident);
                items.iter().find(|(_, other)| *other == name).map(|(expr, _)| expr)
            }
            Expr::Value(ValueWithSpan { value: Value::Number(digits, _), .. }) => {
                let at: usize = digits.parse().ok()?;
                items.get(at.checked_sub(1)?).map(|(expr, _)| expr)
            }
            _ => None,
        });
        let expr = found.unwrap_or(expr);
        let shown = printer.whole(expr);
        let plain =
            matches!(expr, Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Value(_));
        let call = matches!(expr, Expr::Function(_) | Expr::Case { .. });
        match !plain && (self.pretty || call) {
            true => format!("({shown})"),
            false => shown,
        }
    }

    fn joined(&self, table: &TableWithJoins, scope: &mut Relations<'_>, indent: usize) -> String {
        let mut text = self.factor(&table.relation, scope, indent);
        for Join { relation, join_operator, .. } in &table.joins {
            let right = self.factor(relation, scope, indent);
            let (word, constraint) = match join_operator {
                JoinOperator::Join(c) | JoinOperator::Inner(c) => ("JOIN", Some(c)),
                JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => ("LEFT JOIN", Some(c)),
                JoinOperator::Right(c) | JoinOperator::RightOuter(c) => ("RIGHT JOIN", Some(c)),
                JoinOperator::FullOuter(c) => ("FULL JOIN", Some(c)),
                _ => ("CROSS JOIN", None),
            };
            let left = text;
            text = format!("{left}{} {word} {right}", line(indent + JOIN));
            if let Some(JoinConstraint::On(condition)) = constraint {
                let printer =
                    Printer { scope: &*scope, pretty: self.pretty, indent: indent + STANDARD };
                let shown = printer.whole(condition);
                text.push_str(&match self.pretty {
                    true => format!(" ON {shown}"),
                    false => format!(" ON ({shown})"),
                });
            }
            if !self.pretty {
                text = format!("({text})");
            }
        }
        text
    }

    fn factor(&self, factor: &TableFactor, scope: &mut Relations<'_>, indent: usize) -> String {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let shown = name.to_string();
                let item = self.relation(&shown, alias.as_ref(), scope);
                scope.items.push(item);
                match alias {
                    Some(alias) => format!("{shown} {}", alias_text(alias)),
                    None => shown,
                }
            }
            TableFactor::Derived { lateral, subquery, alias, .. } => {
                let inner = Layout { outer: &*scope, pretty: self.pretty };
                let LaidOut { text, columns } = inner.query(subquery, indent + STANDARD);
                let lateral = if *lateral { "LATERAL " } else { "" };
                let Some(alias) = alias else { return format!("{lateral}({text})") };
                scope.items.push(aliased(alias, columns));
                format!("{lateral}({text}) {}", alias_text(alias))
            }
            TableFactor::Table { name, alias, args: Some(args), .. } => {
                let call = format!("{name}({})", listed(&args.args));
                self.called(&call, alias.as_ref(), scope)
            }
            TableFactor::Function { name, args, alias, .. } => {
                self.called(&format!("{name}({})", listed(args)), alias.as_ref(), scope)
            }
            TableFactor::NestedJoin { table_with_joins, .. } => {
                let text = self.joined(table_with_joins, scope, indent);
                if self.pretty { format!("({text})") } else { text }
            }
            other => other.to_string(),
        }
    }

    /// A function in FROM, printed as an expression would be.
    fn called(&self, call: &str, alias: Option<&TableAlias>, scope: &mut Relations<'_>) -> String {
        let printer = Printer { scope: &*scope, pretty: self.pretty, indent: 0 };
        let shown = match super::parse(call) {
            Some(expr) => printer.whole(&expr),
            None => call.to_owned(),
        };
        let Some(alias) = alias else { return shown };
        let name = quote_ident(&normalized(&alias.name));
        let columns: Vec<_> = match alias.columns.is_empty() {
            true => vec![name.clone()],
            false => alias.columns.iter().map(|c| quote_ident(&normalized(&c.name))).collect(),
        };
        scope.items.push(aliased(alias, Vec::new()));
        format!("{shown} {name}({})", columns.join(", "))
    }

    /// A relation of the catalog or a WITH query.
    fn relation(&self, shown: &str, alias: Option<&TableAlias>, scope: &Relations<'_>) -> Item {
        let name = parse_name(shown);
        let bare = name.as_ref().map(|name| name.name.clone()).unwrap_or_default();
        let columns = match scope.cte(&bare) {
            Some(cte) if name.as_ref().is_some_and(|name| name.schema.is_none()) => {
                cte.columns.clone()
            }
            _ => name.map(|name| self.columns_of(&name)).unwrap_or_default(),
        };
        match alias {
            Some(alias) => aliased(alias, columns),
            None => Item { qualifier: bare, columns },
        }
    }

    fn columns_of(
        &self,
        name: &crate::bind::ddl::QualifiedName,
    ) -> Vec<(String, Option<WireType>)> {
        let (catalog, path) = (self.outer.deparser.catalog(), self.outer.deparser.path());
        let found = match &name.schema {
            None => catalog.resolve(path, &name.name),
            Some(schema) => catalog
                .schema_by_name(schema)
                .and_then(|schema| catalog.relation_in(schema.oid, &name.name)),
        };
        match found {
            Some(Relation::Table(table)) => table
                .live_columns()
                .map(|column| (column.name.to_string(), Some(oid::of(&column.data_type))))
                .collect(),
            Some(Relation::View(view)) => view
                .columns
                .iter()
                .map(|column| (column.name.to_string(), Some(oid::of(&column.data_type))))
                .collect(),
            Some(Relation::System(relation)) => relation
                .columns
                .iter()
                .map(|column| (column.name.clone(), Some(column.wire_type)))
                .collect(),
            _ => Vec::new(),
        }
    }
}

fn listed(args: &[datafusion::sql::sqlparser::ast::FunctionArg]) -> String {
    args.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A query without ORDER BY or LIMIT, for a SELECT that has none of its own.
fn bare_query() -> Query {
    Query {
        with: None,
        body: Box::new(SetExpr::Values(datafusion::sql::sqlparser::ast::Values {
            explicit_row: false,
            value_keyword: false,
            rows: Vec::new(),
        })),
        order_by: None,
        limit_clause: None,
        fetch: None,
        locks: Vec::new(),
        for_clause: None,
        settings: None,
        format_clause: None,
        pipe_operators: Vec::new(),
    }
}

/// The select list: expressions and names. Stored queries name every item.
fn items_of(select: &Select) -> Vec<(Expr, String)> {
    let items = select.projection.iter().filter_map(|item| match item {
        SelectItem::ExprWithAlias { expr, alias } => Some((expr.clone(), normalized(alias))),
        SelectItem::UnnamedExpr(expr) => Some((expr.clone(), own_name(expr).unwrap_or_default())),
        _ => None,
    });
    items.collect()
}

/// The name a column has by itself: others are shown with AS, `?column?` too.
fn own_name(expr: &Expr) -> Option<String> {
    match expr {
        Expr::Identifier(ident) => Some(normalized(ident)),
        Expr::CompoundIdentifier(parts) => parts.last().map(normalized),
        _ => Some("?column?".to_owned()),
    }
}

fn alias_text(alias: &TableAlias) -> String {
    let name = quote_ident(&normalized(&alias.name));
    if alias.columns.is_empty() {
        return name;
    }
    let columns: Vec<_> =
        alias.columns.iter().map(|column| quote_ident(&normalized(&column.name))).collect();
    format!("{name}({})", columns.join(", "))
}

fn aliased(alias: &TableAlias, columns: Vec<(String, Option<WireType>)>) -> Item {
    let renamed = alias.columns.iter().map(|column| normalized(&column.name));
    let mut names: Vec<String> = renamed.collect();
    names.extend(columns.iter().skip(names.len()).map(|(name, _)| name.clone()));
    let types = columns.into_iter().map(|(_, wire_type)| wire_type).chain(std::iter::repeat(None));
    Item { qualifier: normalized(&alias.name), columns: names.into_iter().zip(types).collect() }
}
