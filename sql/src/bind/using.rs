//! `JOIN … USING (id)` and `NATURAL JOIN`: what `id` and `*` mean.
//!
//! The merged column is the left one of an inner or left join, the right one of a right join, and the first that
//! is not NULL of a full join; in `*` it comes first. DataFusion calls it ambiguous in WHERE, answers the left one, and
//! keeps that of the first table by name in `*`. Here every reference to a merged column says which it means, and `*` is
//! spelled out. Which of several tables on the left a column belongs to is looked up; where one of them is no table
//! of the catalog, what cannot be told is refused.

use super::names::folded;
use super::relation_columns::{self, ColumnsOf};
use super::template::{self, Part};
use super::walk;
use crate::catalog::quote::quote_ident;
use crate::error::SqlError;
use datafusion::sql::sqlparser::ast::{
    ExcludeSelectItem, Expr, GroupByExpr, Ident, JoinConstraint, JoinOperator, ObjectName, Select,
    SelectItem, SetExpr, TableFactor, TableWithJoins, VisitMut,
};

/// Resolves merged columns in every select of a statement.
pub fn resolve(statement: &mut impl VisitMut, columns_of: ColumnsOf<'_>) -> Result<(), SqlError> {
    let columns_of = relation_columns::with_ctes(statement, columns_of)?;
    walk::selects(statement, |select| resolve_in(select, &columns_of))
}

/// A column that a join merged.
struct Merged {
    name: String,
    value: Expr,
    /// True where DataFusion's choice, the left one, would be wrong.
    not_left: bool,
}

fn resolve_in(select: &mut Select, columns_of: ColumnsOf<'_>) -> Result<(), SqlError> {
    let merges = |operator: &mut JoinOperator| {
        let constraint = constraint_of(operator);
        constraint.is_some_and(|c| matches!(c, JoinConstraint::Using(_) | JoinConstraint::Natural))
    };
    let mut joins = select.from.iter_mut().flat_map(|from| &mut from.joins);
    if !joins.any(|join| merges(&mut join.join_operator)) {
        return Ok(());
    }
    let mut joined = Joined::default();
    for from in &mut select.from {
        joined.from(from, columns_of)?;
    }
    if !joined.any {
        return Ok(());
    }
    joined.expand_wildcards(select)?;
    let merged = joined.merged;
    let refer = |expr: &mut Expr| {
        if let Expr::Identifier(name) = expr {
            let name = folded(name);
            if let Some(column) = merged.iter().find(|column| column.name == name) {
                *expr = column.value.clone();
            }
        }
        Ok(())
    };
    if merged.iter().any(|column| column.not_left) {
        for item in &mut select.projection {
            if let SelectItem::UnnamedExpr(Expr::Identifier(name)) = item {
                *item = SelectItem::ExprWithAlias {
                    expr: Expr::Identifier(name.clone()),
                    alias: name.clone(),
                };
            }
            if let SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } = item {
                walk::own_expressions(expr, refer)?;
            }
        }
        if let GroupByExpr::Expressions(items, _) = &mut select.group_by {
            walk::own_expressions(items, refer)?;
        }
        walk::own_expressions(&mut select.having, refer)?;
    }
    walk::own_expressions(&mut select.selection, refer)
}

/// A relation of FROM.
struct Side {
    /// What its columns are qualified with; `None` where that takes more than syntax.
    name: Option<Ident>,
    /// `None` where the catalog does not tell.
    columns: Option<Vec<String>>,
}

impl Side {
    fn of(relation: &TableFactor, columns_of: ColumnsOf<'_>) -> Self {
        let columns = relation_columns::of_factor(relation, columns_of);
        Self { name: relation_columns::name_of(relation).cloned(), columns }
    }
}

/// A part of what `*` means.
enum Output {
    /// A merged column, by its name.
    Merged(String),
    /// The columns of a side, but for those that are merged.
    Of(usize, Vec<String>),
}

/// FROM, as far as it has been read.
#[derive(Default)]
struct Joined {
    sides: Vec<Side>,
    merged: Vec<Merged>,
    outputs: Vec<Output>,
    /// True where some join merges columns.
    any: bool,
    /// True where a column was merged that cannot be told.
    untold: bool,
}

impl Joined {
    fn from(
        &mut self,
        from: &mut TableWithJoins,
        columns_of: ColumnsOf<'_>,
    ) -> Result<(), SqlError> {
        let (first_side, first_merged, first_output) =
            (self.sides.len(), self.merged.len(), self.outputs.len());
        self.add(Side::of(&from.relation, columns_of));
        for join in &mut from.joins {
            let right = Side::of(&join.relation, columns_of);
            self.name_common(&mut join.join_operator, first_side, first_merged, &right);
            let Some((kind, columns)) = using(&join.join_operator) else {
                self.add(right);
                continue;
            };
            self.any = true;
            let mut front = Vec::new();
            let mut names = Vec::new();
            for column in columns {
                let Some(name) = column.0.last().and_then(|part| part.as_ident()) else { continue };
                let place = (first_side, first_merged, first_output);
                self.merge(name, kind, place, &right)?;
                front.push(Output::Merged(folded(name)));
                names.push(folded(name));
            }
            let rest = self.outputs.split_off(first_output);
            self.outputs.extend(front);
            self.outputs.extend(rest);
            self.outputs.push(Output::Of(self.sides.len(), names));
            self.sides.push(right);
        }
        Ok(())
    }

    fn add(&mut self, side: Side) {
        self.outputs.push(Output::Of(self.sides.len(), Vec::new()));
        self.sides.push(side);
    }

    /// NATURAL as USING, where the catalog tells the columns of both sides.
    fn name_common(
        &self,
        operator: &mut JoinOperator,
        first_side: usize,
        first_merged: usize,
        right: &Side,
    ) {
        let Some(constraint) = constraint_of(operator) else { return };
        if !matches!(constraint, JoinConstraint::Natural) {
            return;
        }
        let left: Option<Vec<&Vec<String>>> =
            self.sides[first_side..].iter().map(|side| side.columns.as_ref()).collect();
        let (Some(left), Some(right)) = (left, &right.columns) else { return };
        let merged = |name: &String| self.merged[first_merged..].iter().any(|m| m.name == *name);
        let common = right.iter().filter(|name| {
            merged(name) || left.iter().filter(|columns| columns.contains(name)).count() == 1
        });
        let names: Vec<ObjectName> =
            common.map(|name| ObjectName::from(Ident::with_quote('"', name))).collect();
        if !names.is_empty() {
            *constraint = JoinConstraint::Using(names);
        }
    }

    /// Merges one column of the left with that of the right side.
    fn merge(
        &mut self,
        name: &Ident,
        kind: Kind,
        (first_side, first_merged, first_output): (usize, usize, usize),
        right: &Side,
    ) -> Result<(), SqlError> {
        let folded_name = folded(name);
        let known =
            self.merged[first_merged..].iter().position(|merged| merged.name == folded_name);
        let known = known.map(|at| self.merged.remove(first_merged + at));
        let not_left = known.as_ref().is_some_and(|known| known.not_left) || kind != Kind::Left;
        let left = match known {
            Some(known) => {
                let is_known = |output: &Output| matches!(output, Output::Merged(name) if *name == folded_name);
                if let Some(at) = self.outputs[first_output..].iter().position(is_known) {
                    self.outputs.remove(first_output + at);
                }
                Some(known.value)
            }
            None => self.owner(first_side, &folded_name).and_then(|owner| {
                for output in &mut self.outputs {
                    if let Output::Of(side, except) = output
                        && *side == owner
                    {
                        except.push(folded_name.clone());
                    }
                }
                Some(qualified(self.sides[owner].name.as_ref()?, name))
            }),
        };
        match (left, &right.name) {
            (Some(left), Some(right)) => {
                let value = kind.choose(left, qualified(right, name))?;
                self.merged.push(Merged { name: folded_name, value, not_left });
                Ok(())
            }
            _ if not_left => Err(SqlError::unsupported(
                "RIGHT and FULL JOIN USING after another join is not supported",
            )),
            _ => {
                self.untold = true;
                Ok(())
            }
        }
    }

    /// The side on the left that has a column.
    fn owner(&self, first_side: usize, name: &String) -> Option<usize> {
        let left = first_side..self.sides.len();
        if left.len() == 1 {
            return Some(first_side);
        }
        let has = |side: &usize| {
            self.sides[*side].columns.as_ref().is_some_and(|columns| columns.contains(name))
        };
        let unknown = |side: &usize| self.sides[*side].columns.is_none();
        match left.clone().filter(has).collect::<Vec<_>>().as_slice() {
            [owner] => Some(*owner),
            [] => match left.filter(unknown).collect::<Vec<_>>().as_slice() {
                [owner] => Some(*owner),
                _ => None,
            },
            _ => None,
        }
    }

    /// `*`: the merged columns of each join, then the others of its sides.
    fn expand_wildcards(&self, select: &mut Select) -> Result<(), SqlError> {
        if !select.projection.iter().any(|item| matches!(item, SelectItem::Wildcard(_))) {
            return Ok(());
        }
        let unsupported = || {
            SqlError::unsupported(
                "SELECT * over this JOIN USING is not supported: name the columns",
            )
        };
        if self.untold {
            return Err(unsupported());
        }
        let mut expanded = Vec::new();
        for output in &self.outputs {
            expanded.push(match output {
                Output::Merged(name) => {
                    let merged = self.merged.iter().find(|merged| merged.name == *name);
                    SelectItem::ExprWithAlias {
                        expr: merged.ok_or_else(unsupported)?.value.clone(),
                        alias: Ident::with_quote('"', name),
                    }
                }
                Output::Of(side, except) => {
                    let name = self.sides[*side].name.as_ref().ok_or_else(unsupported)?;
                    all_of(name, except)?
                }
            });
        }
        for item in std::mem::take(&mut select.projection) {
            match item {
                SelectItem::Wildcard(_) => select.projection.extend(expanded.iter().cloned()),
                other => select.projection.push(other),
            }
        }
        Ok(())
    }
}

/// `side.*` without some columns.
fn all_of(side: &Ident, except: &[String]) -> Result<SelectItem, SqlError> {
    let mut items =
        match *template::query(&format!("SELECT {}.*", quote_ident(&folded(side))), &[])?.body {
            SetExpr::Select(select) => select.projection,
            _ => Vec::new(),
        };
    let Some(SelectItem::QualifiedWildcard(of, mut options)) = items.pop() else {
        return Err(SqlError::internal("a template that is no wildcard"));
    };
    if !except.is_empty() {
        let names = except.iter().map(|name| ObjectName::from(Ident::with_quote('"', name)));
        options.opt_exclude = Some(ExcludeSelectItem::Multiple(names.collect()));
    }
    Ok(SelectItem::QualifiedWildcard(of, options))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Left,
    Right,
    Full,
}

impl Kind {
    fn choose(self, left: Expr, right: Expr) -> Result<Expr, SqlError> {
        Ok(match self {
            Self::Left => left,
            Self::Right => right,
            Self::Full => template::expression(
                "SELECT coalesce(__left, __right)",
                &[("__left", Part::Value(&left)), ("__right", Part::Value(&right))],
            )?,
        })
    }
}

fn using(operator: &JoinOperator) -> Option<(Kind, &[ObjectName])> {
    let (kind, constraint) = match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint) => (Kind::Left, constraint),
        JoinOperator::Right(constraint) | JoinOperator::RightOuter(constraint) => {
            (Kind::Right, constraint)
        }
        JoinOperator::FullOuter(constraint) => (Kind::Full, constraint),
        _ => return None,
    };
    match constraint {
        JoinConstraint::Using(columns) => Some((kind, columns)),
        _ => None,
    }
}

fn constraint_of(operator: &mut JoinOperator) -> Option<&mut JoinConstraint> {
    match operator {
        JoinOperator::Join(constraint)
        | JoinOperator::Inner(constraint)
        | JoinOperator::Left(constraint)
        | JoinOperator::LeftOuter(constraint)
        | JoinOperator::Right(constraint)
        | JoinOperator::RightOuter(constraint)
        | JoinOperator::FullOuter(constraint) => Some(constraint),
        _ => None,
    }
}

fn qualified(table: &Ident, column: &Ident) -> Expr {
    Expr::CompoundIdentifier(vec![table.clone(), column.clone()])
}
