//! The grammar of CREATE TABLE.

use crate::bind::ddl::constraint::{self, Constraint, ConstraintKind};
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::family::{self, FamilyDefinition, GroupDefinition};
use crate::bind::ddl::sequence::{SequenceOption, parse_options};
use crate::bind::ddl::{DdlStatement, QualifiedName};
use crate::catalog::model::OnCommit;
use datafusion::sql::sqlparser::ast::{DataType, Expr, Query};
use datafusion::sql::sqlparser::tokenizer::Token;

/// CREATE TABLE.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTable {
    /// Its name.
    pub name: QualifiedName,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Columns and constraints, as written.
    pub elements: Vec<Element>,
    /// What stands around the list.
    pub attributes: TableAttributes,
}

/// CREATE TABLE … AS.
#[derive(Clone, Debug, PartialEq)]
pub struct CreateTableAs {
    /// Its name.
    pub name: QualifiedName,
    /// IF NOT EXISTS.
    pub if_not_exists: bool,
    /// Names for the first columns.
    pub columns: Vec<String>,
    /// What stands around the list.
    pub attributes: TableAttributes,
    /// The query.
    pub query: Box<Query>,
    /// False for WITH NO DATA.
    pub with_data: bool,
}

/// What CREATE TABLE says besides columns and constraints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TableAttributes {
    /// TEMP.
    pub temporary: bool,
    /// UNLOGGED.
    pub unlogged: bool,
    /// USING an access method.
    pub access_method: Option<String>,
    /// WITH (…).
    pub options: Vec<(String, Option<String>)>,
    /// ON COMMIT.
    pub on_commit: Option<OnCommit>,
    /// TABLESPACE.
    pub tablespace: Option<String>,
}

/// One element of the list.
#[derive(Clone, Debug, PartialEq)]
pub enum Element {
    /// A column.
    Column(ColumnDefinition),
    /// A constraint.
    Constraint(Constraint),
    /// LIKE another relation.
    Like(QualifiedName, Vec<LikeOption>),
    /// A family.
    Family(FamilyDefinition),
    /// A locality group.
    LocalityGroup(GroupDefinition),
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct ColumnDefinition {
    /// Its name.
    pub name: String,
    /// Its type.
    pub column_type: ColumnType,
    /// What follows, with the names of constraints.
    pub options: Vec<(Option<String>, ColumnOption)>,
}

/// A column's type.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnType {
    /// A type.
    Named(DataType),
    /// SERIAL, with the bytes of its integer: 2, 4 or 8.
    Serial(u8),
}

/// What may follow a column's type.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnOption {
    /// NULL.
    Null,
    /// NOT NULL.
    NotNull,
    /// DEFAULT.
    Default(Expr),
    /// GENERATED … AS IDENTITY.
    Identity {
        /// ALWAYS.
        always: bool,
        /// Options of its sequence.
        options: Vec<SequenceOption>,
    },
    /// COLLATE.
    Collate(QualifiedName),
    /// CHECK.
    Check(Expr),
    /// UNIQUE.
    Unique,
    /// PRIMARY KEY.
    PrimaryKey,
    /// FAMILY.
    Family(String),
}

/// INCLUDING or EXCLUDING of LIKE.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LikeOption {
    /// True for INCLUDING.
    pub including: bool,
    /// One of [`LIKE_PARTS`], in lower case.
    pub part: &'static str,
}

/// What LIKE can copy.
const LIKE_PARTS: &[(&str, &str)] = &[
    ("ALL", "all"),
    ("COMMENTS", "comments"),
    ("COMPRESSION", "compression"),
    ("CONSTRAINTS", "constraints"),
    ("DEFAULTS", "defaults"),
    ("GENERATED", "generated"),
    ("IDENTITY", "identity"),
    ("INDEXES", "indexes"),
    ("STATISTICS", "statistics"),
    ("STORAGE", "storage"),
];

/// After CREATE [TEMP | UNLOGGED] TABLE.
pub(crate) fn parse(
    cursor: &mut Cursor<'_, '_>,
    temporary: bool,
    unlogged: bool,
) -> Parsed<DdlStatement> {
    let if_not_exists = cursor.if_not_exists();
    let name = cursor.name()?;
    if cursor.sees(&["PARTITION", "OF"]) || cursor.sees(&["OF"]) {
        return cursor.unsupported("a table OF a type or partition");
    }
    let names_only = cursor.is_token(&Token::LParen)
        && (cursor.nth_is_token(2, &Token::Comma) || cursor.nth_is_token(2, &Token::RParen))
        && !cursor.nth_is_token(1, &Token::RParen);
    if names_only || !cursor.is_token(&Token::LParen) {
        return parse_as(cursor, name, if_not_exists, temporary, unlogged);
    }
    cursor.expect_token(&Token::LParen)?;
    let elements = match cursor.is_token(&Token::RParen) {
        true => Vec::new(),
        false => cursor.list(parse_element)?,
    };
    cursor.expect_token(&Token::RParen)?;
    if cursor.sees(&["INHERITS"]) {
        return cursor.unsupported("INHERITS");
    }
    if cursor.sees(&["PARTITION", "BY"]) {
        return cursor.unsupported("PARTITION BY");
    }
    let attributes = parse_attributes(cursor, temporary, unlogged)?;
    Ok(DdlStatement::CreateTable(CreateTable { name, if_not_exists, elements, attributes }))
}

fn parse_as(
    cursor: &mut Cursor<'_, '_>,
    name: QualifiedName,
    if_not_exists: bool,
    temporary: bool,
    unlogged: bool,
) -> Parsed<DdlStatement> {
    let columns = match cursor.is_token(&Token::LParen) {
        true => cursor.parenthesized(Cursor::ident)?,
        false => Vec::new(),
    };
    let attributes = parse_attributes(cursor, temporary, unlogged)?;
    cursor.expect(&["AS"])?;
    if cursor.sees(&["EXECUTE"]) {
        return cursor.unsupported("CREATE TABLE AS EXECUTE");
    }
    let query = cursor.query()?;
    let with_data = !cursor.take(&["WITH", "NO", "DATA"]);
    if with_data {
        cursor.take(&["WITH", "DATA"]);
    }
    Ok(DdlStatement::CreateTableAs(CreateTableAs {
        name,
        if_not_exists,
        columns,
        attributes,
        query,
        with_data,
    }))
}

fn parse_attributes(
    cursor: &mut Cursor<'_, '_>,
    temporary: bool,
    unlogged: bool,
) -> Parsed<TableAttributes> {
    let mut attributes = TableAttributes { temporary, unlogged, ..TableAttributes::default() };
    if cursor.take(&["USING"]) {
        attributes.access_method = Some(cursor.ident()?);
    }
    if cursor.is(0, "WITH") && cursor.nth_is_token(1, &Token::LParen) {
        cursor.take(&["WITH"]);
        attributes.options = cursor.options()?;
    } else {
        cursor.take(&["WITHOUT", "OIDS"]);
    }
    if cursor.take(&["ON", "COMMIT"]) {
        attributes.on_commit = Some(if cursor.take(&["PRESERVE", "ROWS"]) {
            OnCommit::PreserveRows
        } else if cursor.take(&["DELETE", "ROWS"]) {
            OnCommit::DeleteRows
        } else {
            cursor.expect(&["DROP"])?;
            OnCommit::Drop
        });
    }
    if cursor.take(&["TABLESPACE"]) {
        attributes.tablespace = Some(cursor.ident()?);
    }
    Ok(attributes)
}

fn parse_element(cursor: &mut Cursor<'_, '_>) -> Parsed<Element> {
    if constraint::starts(cursor) {
        return constraint::parse(cursor).map(Element::Constraint);
    }
    if family::starts_group(cursor) {
        return family::parse_group(cursor).map(Element::LocalityGroup);
    }
    if family::starts_family(cursor) {
        return family::parse_family(cursor).map(Element::Family);
    }
    if !cursor.take(&["LIKE"]) {
        return parse_column(cursor).map(Element::Column);
    }
    let source = cursor.name()?;
    let mut options = Vec::new();
    while cursor.sees(&["INCLUDING"]) || cursor.sees(&["EXCLUDING"]) {
        let including = cursor.one_of(&["INCLUDING", "EXCLUDING"])? == 0;
        let words: Vec<_> = LIKE_PARTS.iter().map(|(word, _)| *word).collect();
        let part = LIKE_PARTS[cursor.one_of(&words)?].1;
        options.push(LikeOption { including, part });
    }
    Ok(Element::Like(source, options))
}

/// A column with its type and what follows.
pub(crate) fn parse_column(cursor: &mut Cursor<'_, '_>) -> Parsed<ColumnDefinition> {
    let name = cursor.ident()?;
    let serials = [
        ("SERIAL", 4),
        ("SERIAL4", 4),
        ("BIGSERIAL", 8),
        ("SERIAL8", 8),
        ("SMALLSERIAL", 2),
        ("SERIAL2", 2),
    ];
    let serial = serials.into_iter().find(|(word, _)| cursor.take(&[word]));
    let column_type = match serial {
        Some((_, bytes)) => ColumnType::Serial(bytes),
        None => ColumnType::Named(cursor.data_type()?),
    };
    let mut options = Vec::new();
    while let Some(option) = parse_column_option(cursor)? {
        options.push(option);
    }
    Ok(ColumnDefinition { name, column_type, options })
}

fn parse_column_option(
    cursor: &mut Cursor<'_, '_>,
) -> Parsed<Option<(Option<String>, ColumnOption)>> {
    if cursor.take(&["COLLATE"]) {
        return Ok(Some((None, ColumnOption::Collate(cursor.name()?))));
    }
    if cursor.take(&["FAMILY"]) {
        return Ok(Some((None, ColumnOption::Family(cursor.any_ident()?))));
    }
    for clause in ["REFERENCES", "COMPRESSION", "STORAGE"] {
        if cursor.sees(&[clause]) {
            let clause = if clause == "REFERENCES" { "FOREIGN KEY" } else { clause };
            return cursor.unsupported(clause);
        }
    }
    let name = constraint::parse_name(cursor)?;
    let option = if cursor.take(&["NOT", "NULL"]) {
        ColumnOption::NotNull
    } else if cursor.take(&["NULL"]) {
        ColumnOption::Null
    } else if cursor.sees(&["DEFAULT"]) {
        ColumnOption::Default(cursor.default()?)
    } else if cursor.take(&["CHECK"]) {
        let expr = cursor.parenthesized_expr()?;
        constraint::parse_check_attributes(cursor)?;
        ColumnOption::Check(expr)
    } else if cursor.take(&["UNIQUE"]) {
        constraint::parse_nulls_distinct(cursor)?;
        constraint::parse_index_attributes(cursor)?;
        constraint::parse_attributes(cursor)?;
        ColumnOption::Unique
    } else if cursor.take(&["PRIMARY", "KEY"]) {
        constraint::parse_index_attributes(cursor)?;
        constraint::parse_attributes(cursor)?;
        ColumnOption::PrimaryKey
    } else if cursor.take(&["GENERATED"]) {
        parse_generated(cursor)?
    } else if cursor.sees(&["REFERENCES"]) {
        return cursor.unsupported("FOREIGN KEY");
    } else if name.is_some() {
        return cursor.fail("a constraint");
    } else {
        return Ok(None);
    };
    Ok(Some((name, option)))
}

fn parse_generated(cursor: &mut Cursor<'_, '_>) -> Parsed<ColumnOption> {
    let always = parse_identity_kind(cursor)?;
    cursor.expect(&["AS"])?;
    if cursor.is_token(&Token::LParen) {
        return cursor.unsupported("GENERATED ALWAYS AS (…) STORED");
    }
    cursor.expect(&["IDENTITY"])?;
    let options = match cursor.take_token(&Token::LParen) {
        true => {
            let options = parse_options(cursor)?;
            cursor.expect_token(&Token::RParen)?;
            options
        }
        false => Vec::new(),
    };
    Ok(ColumnOption::Identity { always, options })
}

/// ALWAYS or BY DEFAULT: true for ALWAYS.
pub(crate) fn parse_identity_kind(cursor: &mut Cursor<'_, '_>) -> Parsed<bool> {
    if cursor.take(&["ALWAYS"]) {
        return Ok(true);
    }
    cursor.expect(&["BY", "DEFAULT"])?;
    Ok(false)
}

/// The rest of GENERATED … AS IDENTITY of ALTER COLUMN ADD.
pub(crate) fn parse_add_identity(
    cursor: &mut Cursor<'_, '_>,
) -> Parsed<(bool, Vec<SequenceOption>)> {
    match parse_generated(cursor)? {
        ColumnOption::Identity { always, options } => Ok((always, options)),
        _ => cursor.fail("IDENTITY"),
    }
}

/// Constraints of columns as constraints of the table.
pub(crate) fn table_constraint(
    name: Option<String>,
    option: ColumnOption,
    column: &str,
) -> Option<Constraint> {
    let part = || constraint::KeyPart { column: column.to_owned(), descending: false };
    let kind = match option {
        ColumnOption::Check(expr) => ConstraintKind::Check(expr),
        ColumnOption::Unique => ConstraintKind::Unique(vec![part()]),
        ColumnOption::PrimaryKey => ConstraintKind::PrimaryKey(vec![part()]),
        _ => return None,
    };
    Some(Constraint { name, kind })
}
