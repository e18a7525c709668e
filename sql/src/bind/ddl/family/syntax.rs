//! The grammar of families and locality groups.
//!
//! FAMILY and LOCALITY are no reserved words: `family text` is a column. Whether a family or a column is meant
//! follows from what comes behind.

use crate::bind::ddl::cursor::{Cursor, Parsed};
use datafusion::sql::sqlparser::tokenizer::Token;

/// FAMILY of CREATE TABLE and of ADD.
#[derive(Clone, Debug, PartialEq)]
pub struct FamilyDefinition {
    /// Its name.
    pub name: String,
    /// The columns that are listed.
    pub columns: Vec<String>,
    /// WITH (…).
    pub options: Vec<(String, Option<String>)>,
}

/// LOCALITY GROUP of CREATE TABLE and of ADD.
#[derive(Clone, Debug, PartialEq)]
pub struct GroupDefinition {
    /// Its name.
    pub name: String,
    /// WITH (…).
    pub options: Vec<(String, Option<String>)>,
}

/// A change of families or locality groups.
#[derive(Clone, Debug, PartialEq)]
pub enum FamilyChange {
    /// ADD FAMILY.
    Add {
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// The family; it lists no columns.
        family: FamilyDefinition,
    },
    /// ADD LOCALITY GROUP.
    AddGroup(GroupDefinition),
    /// ALTER FAMILY … SET (…).
    Set {
        /// Its name.
        name: String,
        /// What changes.
        options: Vec<(String, Option<String>)>,
    },
    /// ALTER FAMILY … RESET (…).
    Reset {
        /// Its name.
        name: String,
        /// What gets its default.
        options: Vec<String>,
    },
    /// ALTER LOCALITY GROUP … SET (…).
    SetGroup {
        /// Its name.
        name: String,
        /// What changes.
        options: Vec<(String, Option<String>)>,
    },
    /// ALTER FAMILY … RENAME TO, or RENAME FAMILY … TO.
    Rename {
        /// Its name.
        name: String,
        /// Its new name.
        to: String,
    },
    /// DROP FAMILY.
    Drop {
        /// IF EXISTS.
        if_exists: bool,
        /// Its name.
        name: String,
        /// CASCADE.
        cascade: bool,
    },
    /// DROP LOCALITY GROUP.
    DropGroup(String),
}

/// True where an element of CREATE TABLE's list is a family: `FAMILY f (column`, `FAMILY f WITH`, or
/// `FAMILY f` alone, where `f` is not a type.
pub(crate) fn starts_family(cursor: &Cursor<'_, '_>) -> bool {
    if !cursor.is(0, "FAMILY") || !cursor.nth_is_name(1) {
        return false;
    }
    let is_last = [Token::Comma, Token::RParen, Token::EOF, Token::SemiColon];
    if is_last.iter().any(|token| cursor.nth_is_token(2, token)) {
        return !cursor.nth_is_type(1);
    }
    // A type's modifiers are numbers.
    let lists = cursor.nth_is_token(2, &Token::LParen)
        && (cursor.nth_is_name(3) || cursor.nth_is_token(3, &Token::RParen));
    lists || (cursor.is(2, "WITH") && cursor.nth_is_token(3, &Token::LParen))
}

/// True where a locality group comes. (GROUP is reserved, so it is no type.)
pub(crate) fn starts_group(cursor: &Cursor<'_, '_>) -> bool {
    cursor.sees(&["LOCALITY", "GROUP"])
}

/// True behind ADD, where a family or a group is added.
pub(crate) fn starts_add(cursor: &Cursor<'_, '_>) -> bool {
    let conditional = cursor.sees(&["FAMILY", "IF", "NOT", "EXISTS"]);
    starts_group(cursor) || conditional || starts_family(cursor)
}

/// True behind DROP, where a family or a group is dropped.
pub(crate) fn starts_drop(cursor: &Cursor<'_, '_>) -> bool {
    let behavior = cursor.is(1, "CASCADE") || cursor.is(1, "RESTRICT");
    starts_group(cursor) || (cursor.is(0, "FAMILY") && cursor.nth_is_name(1) && !behavior)
}

/// True behind ALTER, where a family or a group is changed: a column's change begins with one of these words.
pub(crate) fn starts_alter(cursor: &Cursor<'_, '_>) -> bool {
    let changes = ["SET", "DROP", "TYPE", "ADD", "RESET", "RESTART"];
    let of_column = changes.iter().any(|word| cursor.is(1, word));
    starts_group(cursor) || (cursor.is(0, "FAMILY") && cursor.nth_is_name(1) && !of_column)
}

/// FAMILY and what follows.
pub(crate) fn parse_family(cursor: &mut Cursor<'_, '_>) -> Parsed<FamilyDefinition> {
    cursor.expect(&["FAMILY"])?;
    parse_family_body(cursor)
}

fn parse_family_body(cursor: &mut Cursor<'_, '_>) -> Parsed<FamilyDefinition> {
    let name = cursor.any_ident()?;
    let columns = match cursor.is_token(&Token::LParen) {
        true if cursor.nth_is_token(1, &Token::RParen) => {
            cursor.expect_token(&Token::LParen)?;
            cursor.expect_token(&Token::RParen)?;
            Vec::new()
        }
        true => cursor.parenthesized(Cursor::ident)?,
        false => Vec::new(),
    };
    Ok(FamilyDefinition { name, columns, options: parse_options(cursor)? })
}

/// LOCALITY GROUP and what follows.
pub(crate) fn parse_group(cursor: &mut Cursor<'_, '_>) -> Parsed<GroupDefinition> {
    cursor.expect(&["LOCALITY", "GROUP"])?;
    let name = cursor.any_ident()?;
    Ok(GroupDefinition { name, options: parse_options(cursor)? })
}

fn parse_options(cursor: &mut Cursor<'_, '_>) -> Parsed<Vec<(String, Option<String>)>> {
    match cursor.take(&["WITH"]) {
        true => cursor.options(),
        false => Ok(Vec::new()),
    }
}

/// A change of a family or group, behind ADD, DROP or ALTER.
pub(crate) fn parse_alter(cursor: &mut Cursor<'_, '_>, verb: &str) -> Parsed<FamilyChange> {
    match (verb, starts_group(cursor)) {
        ("ADD", true) => parse_group(cursor).map(FamilyChange::AddGroup),
        ("ADD", false) => {
            cursor.expect(&["FAMILY"])?;
            let if_not_exists = cursor.if_not_exists();
            let family = parse_family_body(cursor)?;
            if !family.columns.is_empty() {
                return cursor.unsupported("ADD FAMILY with columns");
            }
            Ok(FamilyChange::Add { if_not_exists, family })
        }
        ("DROP", true) => {
            cursor.expect(&["LOCALITY", "GROUP"])?;
            Ok(FamilyChange::DropGroup(cursor.any_ident()?))
        }
        ("DROP", false) => {
            cursor.expect(&["FAMILY"])?;
            let if_exists = cursor.if_exists();
            let name = cursor.any_ident()?;
            Ok(FamilyChange::Drop { if_exists, name, cascade: cursor.cascade() })
        }
        (_, true) => {
            cursor.expect(&["LOCALITY", "GROUP"])?;
            let name = cursor.any_ident()?;
            cursor.expect(&["SET"])?;
            Ok(FamilyChange::SetGroup { name, options: cursor.options()? })
        }
        (_, false) => {
            cursor.expect(&["FAMILY"])?;
            let name = cursor.any_ident()?;
            if cursor.take(&["RENAME", "TO"]) {
                return Ok(FamilyChange::Rename { name, to: cursor.any_ident()? });
            }
            if cursor.take(&["RESET"]) {
                let options = cursor.parenthesized(Cursor::ident)?;
                return Ok(FamilyChange::Reset { name, options });
            }
            cursor.expect(&["SET"])?;
            Ok(FamilyChange::Set { name, options: cursor.options()? })
        }
    }
}
