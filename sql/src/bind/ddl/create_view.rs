//! CREATE [OR REPLACE] VIEW (rule 42).
//!
//! | module | what it does |
//! |---|---|
//! | [`resolve`] | expands `*`, names every output, refers to relations and columns by identifier |
//! | [`scope`] | which names an expression sees |
//! | [`from`] | what FROM brings into scope |

mod from;
mod resolve;
mod scope;

use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::expression::refuse_reserved_bytes;
use crate::bind::ddl::names::{Target, duplicate_relation, wrong_kind};
use crate::bind::ddl::{Ddl, QualifiedName};
use crate::bind::{as_of, versions};
use crate::catalog::model::{OnCommit, Persistence, View, ViewColumn};
use crate::catalog::objects::Object;
use crate::catalog::oid::Oid;
use crate::catalog::snapshot::Relation;
use crate::catalog::stored_sql::StoredSql;
use crate::error::{SqlError, SqlState};
use crate::parse::supported;
use crate::session::response::WireType;
use crate::types::oid;
use datafusion::sql::sqlparser::ast::Query;
use datafusion::sql::sqlparser::tokenizer::Token;
use resolve::Resolver;
use std::sync::Arc;
use terrane_client::ids::ColumnId;
use terrane_client::types::DataType;

/// CREATE VIEW.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateView {
    /// OR REPLACE.
    pub or_replace: bool,
    /// TEMP.
    pub temporary: bool,
    /// Its name.
    pub name: QualifiedName,
    /// Names for the first columns.
    pub columns: Vec<String>,
    /// WITH (…).
    pub options: Vec<(String, Option<String>)>,
    /// The query.
    pub query: Box<Query>,
}

/// Options of a view that change no answer here: the one role there is may see everything.
const OPTIONS: &[&str] = &["security_barrier", "security_invoker"];

/// After CREATE [OR REPLACE] [TEMP] VIEW.
pub(crate) fn parse(
    cursor: &mut Cursor<'_, '_>,
    or_replace: bool,
    temporary: bool,
) -> Parsed<CreateView> {
    let name = cursor.name()?;
    let columns = match cursor.is_token(&Token::LParen) {
        true => cursor.parenthesized(Cursor::ident)?,
        false => Vec::new(),
    };
    let options = match cursor.take(&["WITH"]) {
        true => cursor.options()?,
        false => Vec::new(),
    };
    if options.iter().any(|(name, _)| name == "check_option") {
        return cursor.unsupported("check_option");
    }
    cursor.expect(&["AS"])?;
    let query = cursor.query()?;
    if cursor.sees(&["WITH"]) {
        return cursor.unsupported("WITH CHECK OPTION");
    }
    Ok(CreateView { or_replace, temporary, name, columns, options, query })
}

impl Ddl<'_> {
    pub async fn create_view(&mut self, statement: CreateView) -> Result<&'static str, SqlError> {
        let CreateView { or_replace, temporary, name, columns, options, mut query } = statement;
        let tag = "CREATE VIEW";
        supported::check(&*query)?;
        as_of::refuse(&query, "a view")?;
        versions::refuse(&query, "a view")?;
        refuse_reserved_bytes(&query.to_string())?;
        let mut kept = Vec::new();
        for (option, value) in options {
            if !OPTIONS.contains(&option.as_str()) {
                let message = format!("unrecognized parameter \"{option}\"");
                return Err(SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message));
            }
            kept.push(format!("{option}={}", value.unwrap_or_else(|| "true".to_owned())));
        }
        let described = self.context.analyzer.query_columns(&query, self.catalog()).await?;
        let mut target = self.target(&name, temporary).await?;
        if !target.temporary && self.reads_temporary(&query)? {
            self.notice(SqlError::new(
                SqlState("00000"),
                format!("view \"{}\" will be a temporary view", name.name),
            ));
            target = self.target(&QualifiedName { schema: None, ..name.clone() }, true).await?;
        }
        let existing = self.existing_view(target, &name, or_replace)?;
        let oid = match &existing {
            Some(view) => view.oid,
            None => self.oid().await?,
        };
        let names = Resolver::new(self).resolve_view(&mut query, oid, &columns)?;
        let columns = view_columns(names, described)?;
        let view = match existing {
            Some(view) => replaced(&view, columns, kept)?,
            None => self.new_view(oid, target, &name, columns, kept).await?,
        };
        let view = View { query: StoredSql::new(query.to_string()), ..view };
        self.tx.put(Object::View(Arc::new(view)));
        Ok(tag)
    }

    /// The view OR REPLACE replaces.
    fn existing_view(
        &self,
        target: Target,
        name: &QualifiedName,
        or_replace: bool,
    ) -> Result<Option<Arc<View>>, SqlError> {
        match self.catalog().relation_in(target.schema, &name.name) {
            None => Ok(None),
            Some(_) if !or_replace => Err(duplicate_relation(&name.name)),
            Some(Relation::View(view)) => Ok(Some(view)),
            Some(other) => Err(wrong_kind(&other, "view")),
        }
    }

    async fn new_view(
        &mut self,
        oid: Oid,
        target: Target,
        name: &QualifiedName,
        columns: Vec<ViewColumn>,
        options: Vec<String>,
    ) -> Result<View, SqlError> {
        Ok(View {
            oid,
            row_type: self.oid().await?,
            row_array_type: self.oid().await?,
            schema: target.schema,
            name: name.name.as_str().into(),
            owner: Oid::SUPERUSER,
            persistence: match target.temporary {
                true => Persistence::Temporary(OnCommit::PreserveRows),
                false => Persistence::Permanent,
            },
            query: StoredSql::new(""),
            columns,
            options,
            comment: None,
        })
    }

    /// True where a query reads a temporary relation.
    fn reads_temporary(&self, query: &Query) -> Result<bool, SqlError> {
        let mut found = false;
        let _ = datafusion::sql::sqlparser::ast::visit_relations(query, |name| {
            let parts: Option<Vec<_>> =
                name.0.iter().map(|part| part.as_ident().cloned()).collect();
            let name = parts.and_then(|parts| from::qualified(&parts));
            if let Some(Ok(Some(relation))) = name.map(|name| self.find(&name)) {
                found |= relation.is_temporary();
            }
            core::ops::ControlFlow::<()>::Continue(())
        });
        Ok(found)
    }
}

/// The columns of a view: what the planner says of their types, under the names it is to have.
fn view_columns(
    names: Vec<String>,
    described: Vec<(String, WireType)>,
) -> Result<Vec<ViewColumn>, SqlError> {
    if names.len() != described.len() {
        return Err(SqlError::internal(format!(
            "a view's query has {} columns by name and {} by type",
            names.len(),
            described.len()
        )));
    }
    let mut columns: Vec<ViewColumn> = Vec::new();
    for (name, (_, wire_type)) in names.into_iter().zip(described) {
        if columns.iter().any(|column| *column.name == *name) {
            let message = format!("column \"{name}\" specified more than once");
            return Err(SqlError::new(SqlState::DUPLICATE_COLUMN, message));
        }
        // An untyped literal becomes text. Types no table has (oid, name) are shown as what they
        // look like.
        let data_type = match oid::data_type(wire_type.oid, wire_type.modifier) {
            Some(data_type) => data_type,
            None if oid::is_oid_like(wire_type.oid) => DataType::Int8,
            None => DataType::Text,
        };
        let id = ColumnId(columns.len() as u32 + 1);
        columns.push(ViewColumn { id, name: name.into(), data_type, comment: None });
    }
    Ok(columns)
}

/// The view with another query: its old columns stay, new ones come after them.
fn replaced(view: &View, columns: Vec<ViewColumn>, options: Vec<String>) -> Result<View, SqlError> {
    let refuse = |message: String| SqlError::new(SqlState::INVALID_TABLE_DEFINITION, message);
    if columns.len() < view.columns.len() {
        return Err(refuse("cannot drop columns from view".to_owned()));
    }
    let mut columns = columns;
    for (old, new) in view.columns.iter().zip(&mut columns) {
        if old.name != new.name {
            let message =
                format!("cannot change name of view column \"{}\" to \"{}\"", old.name, new.name);
            return Err(refuse(message).with_hint(
                "Use ALTER VIEW ... RENAME COLUMN ... to change name of view column instead.",
            ));
        }
        if old.data_type != new.data_type {
            return Err(refuse(format!(
                "cannot change data type of view column \"{}\" from {} to {}",
                old.name, old.data_type, new.data_type
            )));
        }
        new.comment.clone_from(&old.comment);
    }
    Ok(View { columns, options, ..view.clone() })
}
