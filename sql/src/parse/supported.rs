//! Fail closed: refuses every parsed clause of a query that nothing downstream consumes.
//!
//! sqlparser reads many dialects and DataFusion drops what it does not know (`FOR UPDATE`, samples, hints,
//! versions of tables but for FOR SYSTEM_TIME AS OF, which is [`crate::bind::as_of`]'s) without a word; a clause silently ignored is a wrong answer. Structs are
//! destructured in full, so that a new sqlparser field does not compile until somebody decides.

use crate::error::SqlError;
use core::ops::ControlFlow;
use datafusion::sql::sqlparser::ast::{
    Distinct, LimitClause, Query, Select, SelectFlavor, SetExpr, TableFactor, TableVersion, Visit,
    Visitor,
};

/// Refuses (0A000) what a query, or the queries and expressions inside a statement, may not say.
pub fn check(statement: &impl Visit) -> Result<(), SqlError> {
    match statement.visit(&mut Supported) {
        ControlFlow::Continue(()) => Ok(()),
        ControlFlow::Break(error) => Err(*error),
    }
}

struct Supported;

type Flow = ControlFlow<Box<SqlError>>;

fn refuse(present: bool, clause: &'static str) -> Flow {
    match present {
        true => {
            let error = SqlError::unsupported(format!("{clause} is not supported"));
            ControlFlow::Break(Box::new(error))
        }
        false => ControlFlow::Continue(()),
    }
}

impl Visitor for Supported {
    type Break = Box<SqlError>;

    fn pre_visit_query(&mut self, query: &Query) -> Flow {
        let Query {
            with: _,
            body,
            order_by,
            limit_clause,
            fetch,
            locks,
            for_clause,
            settings,
            format_clause,
            pipe_operators,
        } = query;
        refuse(!locks.is_empty(), "FOR UPDATE or FOR SHARE in this place")?;
        refuse(for_clause.is_some(), "FOR XML, JSON or BROWSE")?;
        refuse(settings.is_some(), "SETTINGS")?;
        refuse(format_clause.is_some(), "FORMAT")?;
        refuse(!pipe_operators.is_empty(), "a pipe operator")?;
        if let Some(fetch) = fetch {
            refuse(fetch.percent, "FETCH FIRST … PERCENT")?;
        }
        if let Some(limit) = limit_clause {
            match limit {
                LimitClause::LimitOffset { limit: _, offset: _, limit_by } => {
                    refuse(!limit_by.is_empty(), "LIMIT … BY")?
                }
                LimitClause::OffsetCommaLimit { .. } => refuse(true, "LIMIT #,# syntax")?,
            }
        }
        if let Some(order_by) = order_by {
            refuse(order_by.interpolate.is_some(), "INTERPOLATE")?;
        }
        match &**body {
            SetExpr::Select(_) | SetExpr::Query(_) | SetExpr::SetOperation { .. } => {}
            SetExpr::Values(_) => {}
            SetExpr::Table(_) => {}
            SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => {
                refuse(true, "a data-modifying statement inside WITH or a subquery")?
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> Flow {
        let Select {
            select_token: _,
            optimizer_hints: _,
            distinct,
            select_modifiers,
            top,
            top_before_distinct: _,
            projection: _,
            exclude,
            into,
            from: _,
            lateral_views,
            prewhere,
            selection: _,
            connect_by,
            group_by: _,
            cluster_by,
            distribute_by,
            sort_by,
            having: _,
            named_window: _,
            qualify,
            window_before_qualify: _,
            value_table_mode,
            flavor,
        } = select;
        let _: &Option<Distinct> = distinct;
        refuse(select_modifiers.is_some(), "a SELECT modifier")?;
        refuse(top.is_some(), "TOP")?;
        refuse(exclude.is_some(), "EXCLUDE")?;
        refuse(into.is_some(), "SELECT INTO")?;
        refuse(!lateral_views.is_empty(), "LATERAL VIEW")?;
        refuse(prewhere.is_some(), "PREWHERE")?;
        refuse(!connect_by.is_empty(), "CONNECT BY")?;
        refuse(!cluster_by.is_empty(), "CLUSTER BY")?;
        refuse(!distribute_by.is_empty(), "DISTRIBUTE BY")?;
        refuse(!sort_by.is_empty(), "SORT BY")?;
        refuse(qualify.is_some(), "QUALIFY")?;
        refuse(value_table_mode.is_some(), "SELECT AS")?;
        refuse(*flavor != SelectFlavor::Standard, "FROM before SELECT")
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> Flow {
        match factor {
            TableFactor::Table {
                name: _,
                alias: _,
                args,
                with_hints,
                version,
                with_ordinality: _,
                partitions,
                json_path,
                sample,
                index_hints,
            } => {
                refuse(!with_hints.is_empty(), "a table hint")?;
                let known = matches!(version, None | Some(TableVersion::ForSystemTimeAsOf(_)));
                refuse(!known, "a version of a table other than FOR SYSTEM_TIME AS OF")?;
                refuse(version.is_some() && args.is_some(), "FOR SYSTEM_TIME of a function")?;
                refuse(!partitions.is_empty(), "PARTITION")?;
                refuse(json_path.is_some(), "a JSON path on a table")?;
                refuse(sample.is_some(), "TABLESAMPLE")?;
                refuse(!index_hints.is_empty(), "an index hint")
            }
            TableFactor::Derived { lateral: _, subquery, alias, sample } => {
                if alias.is_none() {
                    let what = match &*subquery.body {
                        SetExpr::Values(_) => "VALUES",
                        _ => "subquery",
                    };
                    let error = SqlError::syntax(format!("{what} in FROM must have an alias"))
                        .with_hint("For example, FROM (SELECT ...) [AS] foo.");
                    return ControlFlow::Break(Box::new(error));
                }
                refuse(sample.is_some(), "TABLESAMPLE")
            }
            TableFactor::Function { .. }
            | TableFactor::UNNEST { .. }
            | TableFactor::NestedJoin { .. } => ControlFlow::Continue(()),
            TableFactor::TableFunction { .. } => refuse(true, "TABLE(…)"),
            TableFactor::Pivot { .. } => refuse(true, "PIVOT"),
            TableFactor::Unpivot { .. } => refuse(true, "UNPIVOT"),
            TableFactor::JsonTable { .. } => refuse(true, "JSON_TABLE"),
            TableFactor::OpenJsonTable { .. } => refuse(true, "OPENJSON"),
            TableFactor::MatchRecognize { .. } => refuse(true, "MATCH_RECOGNIZE"),
            TableFactor::XmlTable { .. } => refuse(true, "XMLTABLE"),
            TableFactor::SemanticView { .. } => refuse(true, "SEMANTIC_VIEW"),
        }
    }
}
