//! SQL as PostgreSQL shows it: pg_get_expr, pg_get_constraintdef, pg_get_indexdef, pg_get_viewdef.
//!
//! | module | what it prints |
//! |---|---|
//! | [`expression`] | expressions, with the casts and parentheses PostgreSQL would put in |
//! | [`coerce`] | constants, and which casts operators imply |
//! | [`call`] | functions |
//! | [`query`] | the queries of views |
//!
//! It shows what is stored and is never executed: an expression it does not know is shown as it was
//! written.

mod call;
mod coerce;
mod expression;
mod query;

use crate::catalog::model::{
    CheckConstraint, Column, Index, IndexColumn, IndexKey, PrimaryKey, Table, View,
};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::quote::{push_ident, quote_ident};
use crate::catalog::search_path::SearchPath;
use crate::catalog::snapshot::{Catalog, Relation};
use crate::catalog::stored_sql::StoredSql;
use crate::catalog::system::facts::SessionFacts;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::Expr;
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::parser::Parser;
use expression::{Printer, Scope};
use terrane_client::ids::ColumnId;

/// Stands between the two forms of a pg_node_tree: the plain and the pretty one.
const TREE_SEPARATOR: char = '\u{1f}';

/// Prints what a snapshot holds, for one session.
pub(crate) struct Deparser<'a> {
    catalog: &'a Catalog,
    path: &'a SearchPath,
}

/// A pg_node_tree of ours as text: what pg_get_expr gives.
pub(crate) fn tree_text(tree: &str, pretty: bool) -> &str {
    match tree.split_once(TREE_SEPARATOR) {
        Some((_, text)) if pretty => text,
        Some((text, _)) => text,
        None => tree,
    }
}

fn tree(plain: String, pretty: String) -> String {
    match plain == pretty {
        true => plain,
        false => format!("{plain}{TREE_SEPARATOR}{pretty}"),
    }
}

fn parse(text: &str) -> Option<Expr> {
    let parser = Parser::new(&PostgreSqlDialect {}).try_with_sql(text);
    parser.and_then(|mut parser| parser.parse_expr()).ok()
}

/// The columns of one table.
struct TableScope<'a>(&'a Table);

impl Scope for TableScope<'_> {
    fn column(&self, _: Option<&str>, name: &str) -> Option<WireType> {
        self.0.column_by_name(name).map(|column| oid::of(&column.data_type))
    }
}

impl<'a> Deparser<'a> {
    /// For the session the facts are of.
    pub fn of(facts: &'a SessionFacts) -> Self {
        Self { catalog: &facts.catalog, path: &facts.path }
    }

    fn rendered(&self, sql: &StoredSql) -> String {
        let names = self.catalog.visible_names(self.path);
        sql.render(&names).unwrap_or_else(|_| sql.as_str().to_owned())
    }

    fn expression(
        &self,
        sql: &StoredSql,
        scope: &dyn Scope,
        target: Option<WireType>,
        pretty: bool,
    ) -> String {
        let text = self.rendered(sql);
        match parse(&text) {
            Some(expr) => Printer { scope, pretty, indent: 0 }.top(&expr, target),
            None => text,
        }
    }

    /// A column's DEFAULT.
    pub fn default_text(&self, table: &Table, column: &Column, pretty: bool) -> String {
        let Some(default) = &column.default else { return String::new() };
        let target = oid::of(&column.data_type);
        self.expression(&default.sql, &TableScope(table), Some(target), pretty)
    }

    /// A column's DEFAULT as pg_attrdef.adbin.
    pub fn default_tree(&self, table: &Table, column: &Column) -> String {
        let text = |pretty| self.default_text(table, column, pretty);
        tree(text(false), text(true))
    }

    /// The expression of a CHECK.
    pub fn check_text(&self, table: &Table, check: &CheckConstraint, pretty: bool) -> String {
        self.expression(&check.sql, &TableScope(table), None, pretty)
    }

    /// The expression of a CHECK as pg_constraint.conbin.
    pub fn check_tree(&self, table: &Table, check: &CheckConstraint) -> String {
        let text = |pretty| self.check_text(table, check, pretty);
        tree(text(false), text(true))
    }

    /// pg_index.indexprs.
    pub fn index_expressions_tree(&self, table: &Table, index: &Index) -> Option<String> {
        let text = |pretty: bool| {
            let expressions = index.keys.iter().filter_map(|key| match &key.column {
                IndexColumn::Column(_) => None,
                IndexColumn::Expression(sql) => {
                    Some(self.expression(sql, &TableScope(table), None, pretty))
                }
            });
            expressions.collect::<Vec<_>>().join(", ")
        };
        let plain = text(false);
        (!plain.is_empty()).then(|| tree(plain, text(true)))
    }

    /// pg_index.indpred.
    pub fn index_predicate_tree(&self, table: &Table, index: &Index) -> Option<String> {
        let predicate = index.predicate.as_ref()?;
        let text = |pretty| self.expression(predicate, &TableScope(table), None, pretty);
        Some(tree(text(false), text(true)))
    }

    /// pg_get_constraintdef.
    pub fn constraint_definition(&self, constraint: Oid, pretty: bool) -> Option<String> {
        self.catalog.objects().find_map(|object| {
            let Object::Table(table) = object else { return None };
            if let Some(key) = table.primary_key.as_ref().filter(|key| key.oid == constraint) {
                return Some(format!("PRIMARY KEY ({})", key_text(table, key)));
            }
            if let Some(check) = table.checks.iter().find(|check| check.oid == constraint) {
                return Some(format!("CHECK ({})", self.check_text(table, check, pretty)));
            }
            let index = table.indexes.iter().find(|index| index.constraint == Some(constraint))?;
            let columns = index.key_columns()?;
            let names = columns.iter().map(|id| column_text(table, *id));
            Some(format!("UNIQUE ({})", names.collect::<Vec<_>>().join(", ")))
        })
    }

    /// pg_get_indexdef.
    pub fn index_definition(&self, index: Oid, pretty: bool) -> Option<String> {
        let (found, table) = self.catalog.index(index)?;
        let relation = Relation::Table(table.clone());
        // Only the pretty form leaves out a schema that is on the path.
        let on = match (pretty, self.catalog.schema(table.schema)) {
            (false, Some(schema)) => {
                format!("{}.{}", quote_ident(&schema.name), quote_ident(&table.name))
            }
            _ => self.catalog.shown_name(self.path, &relation),
        };
        let Some(index) = found else {
            let key = table.primary_key.as_ref()?;
            let name = quote_ident(&key.name);
            let keys = key_text(table, key);
            return Some(format!("CREATE UNIQUE INDEX {name} ON {on} USING btree ({keys})"));
        };
        let mut text = String::from("CREATE ");
        if index.unique.is_some() {
            text.push_str("UNIQUE ");
        }
        let method = index.method.as_deref().unwrap_or("btree");
        text.push_str(&format!("INDEX {} ON {on} USING {method} (", quote_ident(&index.name)));
        let keys = index.keys.iter().map(|key| self.index_key(table, key, true, pretty));
        text.push_str(&keys.collect::<Vec<_>>().join(", "));
        text.push(')');
        if !index.include.is_empty() {
            let names = index.include.iter().map(|id| column_text(table, *id));
            text.push_str(&format!(" INCLUDE ({})", names.collect::<Vec<_>>().join(", ")));
        }
        if !index.options.is_empty() {
            let options = index.options.iter().map(|option| {
                let (name, value) = option.split_once('=').unwrap_or((option, ""));
                format!("{name}='{value}'")
            });
            text.push_str(&format!(" WITH ({})", options.collect::<Vec<_>>().join(", ")));
        }
        if let Some(predicate) = &index.predicate {
            let predicate = self.expression(predicate, &TableScope(table), None, pretty);
            text.push_str(&format!(" WHERE {predicate}"));
        }
        Some(text)
    }

    /// pg_get_indexdef of one column, from 1.
    pub fn index_column(&self, index: Oid, number: usize, pretty: bool) -> Option<String> {
        let (found, table) = self.catalog.index(index)?;
        let at = number.checked_sub(1)?;
        let Some(index) = found else {
            let part = table.primary_key.as_ref()?.columns.get(at)?;
            return Some(column_text(table, part.column));
        };
        match index.keys.get(at) {
            Some(key) => Some(self.index_key(table, key, false, pretty)),
            None => {
                let column = index.include.get(at - index.keys.len())?;
                Some(column_text(table, *column))
            }
        }
    }

    fn index_key(&self, table: &Table, key: &IndexKey, whole: bool, pretty: bool) -> String {
        let mut text = match &key.column {
            IndexColumn::Column(id) => column_text(table, *id),
            IndexColumn::Expression(sql) => {
                let expression = self.expression(sql, &TableScope(table), None, pretty);
                let is_call = parse(&self.rendered(sql))
                    .is_some_and(|expr| matches!(expr, Expr::Function(_)));
                match is_call {
                    true => expression,
                    false => format!("({expression})"),
                }
            }
        };
        if !whole {
            return text;
        }
        if let Some(collation) = &key.collation {
            text.push_str(" COLLATE ");
            push_ident(&mut text, collation);
        }
        if let Some(class) = &key.operator_class {
            text.push(' ');
            push_ident(&mut text, class);
        }
        if key.descending {
            text.push_str(" DESC");
        }
        match (key.descending, key.nulls_first) {
            (true, false) => text.push_str(" NULLS LAST"),
            (false, true) => text.push_str(" NULLS FIRST"),
            _ => {}
        }
        text
    }

    /// pg_get_viewdef.
    pub fn view_definition(&self, view: &View, pretty: bool) -> String {
        let text = self.rendered(&view.query);
        match query::print(&text, self, pretty) {
            Some(printed) => format!("{printed};"),
            None => format!(" {text};"),
        }
    }

    pub(super) fn catalog(&self) -> &Catalog {
        self.catalog
    }

    pub(super) fn path(&self) -> &SearchPath {
        self.path
    }
}

fn column_text(table: &Table, id: ColumnId) -> String {
    table.column(id).map_or_else(String::new, |column| quote_ident(&column.name))
}

/// The columns of a primary key, with DESC where Terrane's order is that.
fn key_text(table: &Table, key: &PrimaryKey) -> String {
    let parts = key.columns.iter().map(|part| {
        let direction = if part.descending { " DESC" } else { "" };
        format!("{}{direction}", column_text(table, part.column))
    });
    parts.collect::<Vec<_>>().join(", ")
}
