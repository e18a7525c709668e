//! What FROM brings into scope, with relations of the catalog referred to by identifier.
//!
//! USING and NATURAL become ON: what they merge is found by name, and names may change.

use crate::bind::ddl::QualifiedName;
use crate::bind::ddl::create_view::resolve::{Naming, Resolver, alias, parse_query};
use crate::bind::ddl::create_view::scope::{Item, ItemColumn, Namespace, Scope, Visible};
use crate::bind::ddl::expression::{normalized, token_ident};
use crate::bind::ddl::names::undefined_relation;
use crate::bind::set_functions;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use datafusion::sql::sqlparser::ast::{
    BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArgumentList,
    FunctionArguments, Ident, Join, JoinConstraint, JoinOperator, ObjectName, ObjectNamePart,
    SelectItem, SetExpr, TableAlias, TableFactor, TableFunctionArgs, TableWithJoins,
};

const UNNEST: &str = "unnest";

/// Names as one with parts.
pub(super) fn qualified(parts: &[Ident]) -> Option<QualifiedName> {
    let mut parts: Vec<_> = parts.iter().map(normalized).collect();
    let name = parts.pop()?;
    let (schema, database) = (parts.pop(), parts.pop());
    parts.is_empty().then_some(QualifiedName { database, schema, name })
}

/// Which columns a join merges, and which side gives them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Merge {
    Left,
    Right,
    Both,
}

impl Resolver<'_, '_> {
    /// Rewrites FROM.
    pub fn from(
        &mut self,
        from: &mut [TableWithJoins],
        parent: Option<&Scope<'_>>,
    ) -> Result<Namespace, SqlError> {
        let mut all = Namespace::default();
        for table in from {
            let one = self.joined(table, &all, parent)?;
            all.extend(one)?;
        }
        Ok(all)
    }

    /// `a JOIN b JOIN c`; LATERAL items also see what stands before.
    fn joined(
        &mut self,
        table: &mut TableWithJoins,
        before: &Namespace,
        parent: Option<&Scope<'_>>,
    ) -> Result<Namespace, SqlError> {
        let mut left = self.factor(&mut table.relation, before, parent)?;
        for Join { relation, global: _, join_operator } in &mut table.joins {
            let mut beside = before.clone();
            beside.extend(left.clone())?;
            let right = self.factor(relation, &beside, parent)?;
            left = self.join(left, right, join_operator, parent)?;
        }
        Ok(left)
    }

    fn join(
        &mut self,
        left: Namespace,
        right: Namespace,
        operator: &mut JoinOperator,
        parent: Option<&Scope<'_>>,
    ) -> Result<Namespace, SqlError> {
        let (constraint, merge) = match operator {
            JoinOperator::Join(constraint)
            | JoinOperator::Inner(constraint)
            | JoinOperator::Left(constraint)
            | JoinOperator::LeftOuter(constraint)
            | JoinOperator::CrossJoin(constraint) => (constraint, Merge::Left),
            JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
                (constraint, Merge::Right)
            }
            JoinOperator::FullOuter(constraint) => (constraint, Merge::Both),
            _ => return Err(SqlError::unsupported("this kind of join is not supported in views")),
        };
        let names = match constraint {
            JoinConstraint::On(condition) => {
                let mut both = left;
                both.extend(right)?;
                let scope = Scope { namespace: &both, parent };
                self.expr(condition, &scope)?;
                return Ok(both);
            }
            JoinConstraint::None => {
                let mut both = left;
                both.extend(right)?;
                return Ok(both);
            }
            JoinConstraint::Using(columns) => {
                let names: Option<Vec<_>> = columns
                    .iter()
                    .map(|column| Some(normalized(column.0.last()?.as_ident()?)))
                    .collect();
                names.ok_or_else(|| SqlError::syntax("USING takes the names of columns"))?
            }
            JoinConstraint::Natural => left
                .visible
                .iter()
                .map(|visible| visible.name.clone())
                .filter(|name| right.visible.iter().any(|other| other.name == *name))
                .collect(),
        };
        let (condition, both) = merged(left, right, &names, merge)?;
        *constraint = match condition {
            Some(condition) => JoinConstraint::On(condition),
            // NATURAL without common columns: every pair.
            None => JoinConstraint::On(Expr::value(
                datafusion::sql::sqlparser::ast::Value::Boolean(true),
            )),
        };
        Ok(both)
    }

    fn factor(
        &mut self,
        factor: &mut TableFactor,
        before: &Namespace,
        parent: Option<&Scope<'_>>,
    ) -> Result<Namespace, SqlError> {
        match factor {
            TableFactor::Table { name, alias, args: None, .. } => {
                let replaced = self.relation(name, alias, before)?;
                let (replacement, namespace) = replaced;
                if let Some(replacement) = replacement {
                    *factor = replacement;
                }
                Ok(namespace)
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                let TableFunctionArgs { args, settings: _ } = args;
                let scope = Scope { namespace: before, parent };
                self.arguments(args, &scope)?;
                function_item(name, alias, *with_ordinality, args.len())
            }
            TableFactor::Function { name, args, alias, with_ordinality, lateral: _ } => {
                let scope = Scope { namespace: before, parent };
                self.arguments(args, &scope)?;
                function_item(name, alias, *with_ordinality, args.len())
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset, with_ordinality, .. } => {
                let scope = Scope { namespace: before, parent };
                for expr in array_exprs.iter_mut() {
                    self.expr(expr, &scope)?;
                }
                if *with_offset {
                    return Err(SqlError::unsupported("WITH OFFSET is not supported"));
                }
                let name = ObjectName(vec![ObjectNamePart::Identifier(Ident::new(UNNEST))]);
                function_item(&name, alias, *with_ordinality, array_exprs.len())
            }
            TableFactor::Derived { lateral, subquery, alias, sample: _ } => {
                let scope = Scope { namespace: before, parent };
                let around = if *lateral { Some(&scope) } else { parent };
                let outputs = self.query(subquery, around, Naming::Own)?;
                let Some(alias) = alias else {
                    return Err(SqlError::syntax("subquery in FROM must have an alias")
                        .with_hint("For example, FROM (SELECT ...) [AS] foo."));
                };
                let names = outputs.into_iter().map(|output| output.name).collect();
                Ok(aliased(alias, names))
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                self.joined(table_with_joins, before, parent)
            }
            other => Err(SqlError::unsupported(format!("{other} in a view is not supported"))),
        }
    }

    fn arguments(&mut self, args: &mut [FunctionArg], scope: &Scope<'_>) -> Result<(), SqlError> {
        for arg in args {
            let (FunctionArg::Unnamed(arg)
            | FunctionArg::Named { arg, .. }
            | FunctionArg::ExprNamed { arg, .. }) = arg;
            if let FunctionArgExpr::Expr(expr) = arg {
                self.expr(expr, scope)?;
            }
        }
        Ok(())
    }

    /// A WITH query or a relation of the catalog. What replaces the factor, and what it brings.
    fn relation(
        &mut self,
        name: &mut ObjectName,
        given: &mut Option<TableAlias>,
        before: &Namespace,
    ) -> Result<(Option<TableFactor>, Namespace), SqlError> {
        let parts: Option<Vec<_>> = name.0.iter().map(|part| part.as_ident().cloned()).collect();
        let parts = parts.and_then(|parts| qualified(&parts));
        let parts = parts.ok_or_else(|| SqlError::syntax("improper relation name"))?;
        let cte = self.ctes.iter().rev().find(|cte| cte.name == parts.name);
        if let Some(cte) = cte.filter(|_| parts.schema.is_none()) {
            let columns = cte.columns.clone();
            let plain = alias(&cte.name, &[]);
            return Ok((None, aliased(given.as_ref().unwrap_or(&plain), columns)));
        }
        let relation = self.ddl.find(&parts)?.ok_or_else(|| undefined_relation(&parts))?;
        let (oid, columns) = columns_of(&relation)?;
        *name = relation_token(oid);
        if let Some(alias) = given.as_ref().filter(|alias| !alias.columns.is_empty()) {
            let (factor, namespace) = renamed(oid, alias, columns)?;
            return Ok((Some(factor), namespace));
        }
        let qualifier = match given {
            Some(alias) => normalized(&alias.name),
            None => parts.name.clone(),
        };
        let taken = before.items.iter().any(|item| item.qualifier.as_ref() == Some(&qualifier));
        let written = match (&*given, taken) {
            (Some(alias), _) => alias.name.clone(),
            // The names are the same and only the schemas differ: one gets an alias.
            (None, true) => {
                let unique = (1..)
                    .map(|n| format!("{qualifier}_{n}"))
                    .find(|made| {
                        !before.items.iter().any(|item| item.qualifier.as_ref() == Some(made))
                    })
                    .unwrap_or_default();
                *given = Some(alias(&unique, &[]));
                Ident::with_quote('"', unique)
            }
            (None, false) => token_ident(StoredSql::qualifier(oid)),
        };
        let schema = match (&parts.schema, taken) {
            (schema @ Some(_), _) => schema.clone(),
            _ => self.ddl.catalog().schema(relation.schema()).map(|s| s.name.to_string()),
        };
        let has_alias = given.is_some() && !taken;
        let item = Item {
            qualifier: Some(qualifier),
            schema: schema.filter(|_| !has_alias),
            written: Some(written),
            columns,
        };
        Ok((None, Namespace::of(item)))
    }
}

/// The columns of a relation, referred to by identifier.
fn columns_of(relation: &Relation) -> Result<(Oid, Vec<ItemColumn>), SqlError> {
    match relation {
        Relation::Table(table) => {
            let columns = table.live_columns().map(|column| {
                ItemColumn::token(&column.name, StoredSql::column(table.oid, column.id))
            });
            Ok((table.oid, columns.collect()))
        }
        Relation::View(view) => {
            let columns = view.columns.iter().map(|column| {
                ItemColumn::token(&column.name, StoredSql::column(view.oid, column.id))
            });
            Ok((view.oid, columns.collect()))
        }
        Relation::Sequence(sequence) => {
            let names = ["last_value", "log_cnt", "is_called"];
            Ok((sequence.oid, names.iter().map(|name| ItemColumn::named(name)).collect()))
        }
        Relation::System(relation) => {
            let columns = relation.columns.iter().map(|column| ItemColumn::named(&column.name));
            Ok((relation.oid, columns.collect()))
        }
        Relation::Index(..) => {
            let message = format!("cannot open relation \"{}\"", relation.name());
            Err(SqlError::new(SqlState::WRONG_OBJECT_TYPE, message)
                .with_detail("This operation is not supported for indexes."))
        }
    }
}

/// `t AS u(x, y)`: a subquery that gives t's columns these names, so that each stays bound to its column.
fn renamed(
    oid: Oid,
    given: &TableAlias,
    columns: Vec<ItemColumn>,
) -> Result<(TableFactor, Namespace), SqlError> {
    let names = columns.iter().map(|column| column.name.clone()).collect();
    let namespace = aliased(given, names);
    let inner = Item {
        qualifier: None,
        schema: None,
        written: Some(token_ident(StoredSql::qualifier(oid))),
        columns,
    };
    let outer = namespace.items.iter().flat_map(|item| &item.columns);
    let items = inner.columns.iter().zip(outer).map(|(column, renamed)| {
        SelectItem::ExprWithAlias { expr: inner.expr(column), alias: renamed.written.clone() }
    });
    let mut subquery = parse_query("SELECT 1 FROM x")?;
    if let SetExpr::Select(select) = &mut *subquery.body {
        select.projection = items.collect();
        for table in &mut select.from {
            if let TableFactor::Table { name, .. } = &mut table.relation {
                *name = relation_token(oid);
            }
        }
    }
    let factor = TableFactor::Derived {
        lateral: false,
        subquery: Box::new(subquery),
        alias: Some(alias(&normalized(&given.name), &[])),
        sample: None,
    };
    Ok((factor, namespace))
}

fn relation_token(oid: Oid) -> ObjectName {
    ObjectName(vec![ObjectNamePart::Identifier(token_ident(StoredSql::relation(oid)))])
}

/// A relation known by its alias: the columns under the alias's names first.
fn aliased(given: &TableAlias, names: Vec<String>) -> Namespace {
    let renamed = given.columns.iter().map(|column| normalized(&column.name));
    let mut all: Vec<String> = renamed.collect();
    all.extend(names.into_iter().skip(all.len()));
    Namespace::of(Item {
        qualifier: Some(normalized(&given.name)),
        schema: None,
        written: Some(given.name.clone()),
        columns: all.iter().map(|name| ItemColumn::named(name)).collect(),
    })
}

/// A function in FROM: its columns are those of its alias, then its own, else one that is called as the item is.
fn function_item(
    name: &ObjectName,
    given: &mut Option<TableAlias>,
    with_ordinality: bool,
    arguments: usize,
) -> Result<Namespace, SqlError> {
    let called = name.0.last().and_then(|part| part.as_ident()).map(normalized);
    let called = called.ok_or_else(|| SqlError::syntax("improper function name"))?;
    let own = match &given {
        Some(alias) => normalized(&alias.name),
        None => called.clone(),
    };
    let mut names: Vec<String> = match set_functions::find(&called) {
        Some(set) if set.keeps_name => set.column_names().map(str::to_owned).collect(),
        None if set_functions::is_table(&called) => {
            let message = format!("{called}() in FROM of a view is not supported");
            return Err(SqlError::unsupported(message));
        }
        _ if arguments > 1 && called == UNNEST => vec![called.clone(); arguments],
        _ => vec![own.clone()],
    };
    if with_ordinality {
        names.push("ordinality".to_owned());
    }
    let alias = given.get_or_insert_with(|| alias(&own, &[]));
    Ok(aliased(alias, names))
}

/// The condition of USING these columns, and the two sides with the columns merged.
fn merged(
    left: Namespace,
    right: Namespace,
    names: &[String],
    merge: Merge,
) -> Result<(Option<Expr>, Namespace), SqlError> {
    let mut condition: Option<Expr> = None;
    let mut visible = Vec::new();
    for name in names {
        let missing = |side: &str| {
            let message = format!(
                "column \"{name}\" specified in USING clause does not exist in {side} table"
            );
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        };
        let of_left = left.only(name)?.ok_or_else(|| missing("left"))?.expr.clone();
        let of_right = right.only(name)?.ok_or_else(|| missing("right"))?.expr.clone();
        let equal = binary(of_left.clone(), BinaryOperator::Eq, of_right.clone());
        condition = Some(match condition {
            Some(before) => binary(before, BinaryOperator::And, equal),
            None => equal,
        });
        let expr = match merge {
            Merge::Left => of_left,
            Merge::Right => of_right,
            Merge::Both => coalesce(of_left, of_right),
        };
        visible.push(Visible { name: name.clone(), expr });
    }
    let is_merged = |visible: &Visible| names.contains(&visible.name);
    visible.extend(left.visible.iter().filter(|v| !is_merged(v)).cloned());
    visible.extend(right.visible.iter().filter(|v| !is_merged(v)).cloned());
    let mut both = left;
    both.extend(right)?;
    both.visible = visible;
    Ok((condition, both))
}

fn binary(left: Expr, op: BinaryOperator, right: Expr) -> Expr {
    Expr::BinaryOp { left: Box::new(left), op, right: Box::new(right) }
}

fn coalesce(left: Expr, right: Expr) -> Expr {
    let args = [left, right].map(|expr| FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)));
    Expr::Function(Function {
        name: ObjectName(vec![ObjectNamePart::Identifier(Ident::new("coalesce"))]),
        uses_odbc_syntax: false,
        parameters: FunctionArguments::None,
        args: FunctionArguments::List(FunctionArgumentList {
            duplicate_treatment: None,
            args: args.into(),
            clauses: Vec::new(),
        }),
        filter: None,
        null_treatment: None,
        over: None,
        within_group: Vec::new(),
    })
}
