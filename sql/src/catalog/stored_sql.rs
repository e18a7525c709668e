//! SQL text that refers to the catalog's objects by identifier, so that a rename needs no rewrite:
//! the queries of views, DEFAULTs, CHECKs, expressions and predicates of indexes.
//!
//! References are tokens between U+0002 and U+0003, which DDL refuses in SQL text of its own:
//!
//! | token | stands for | rendered |
//! |---|---|---|
//! | `r16400` | a relation | `public.orders`, or `orders` where it is visible |
//! | `n16400` | a relation's bare name, as a qualifier | `orders` |
//! | `s16400` | a relation inside a string literal | as `r`, with quotes doubled |
//! | `c16400.3` | a column | `total` |

use crate::catalog::oid::Oid;
use crate::catalog::quote::push_ident;
use serde::{Deserialize, Serialize};
use terrane_client::ids::ColumnId;

const OPEN: char = '\u{2}';
const CLOSE: char = '\u{3}';

/// SQL text with references by identifier.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct StoredSql(String);

/// One reference of a [`StoredSql`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The relation.
    pub relation: Oid,
    /// Its column, where the reference is to one.
    pub column: Option<ColumnId>,
}

/// The names that references are rendered as.
pub trait Names {
    /// A relation's schema, where it has to be written, and its name.
    fn relation_name(&self, oid: Oid) -> Option<(Option<&str>, &str)>;

    /// A column's name.
    fn column_name(&self, oid: Oid, column: ColumnId) -> Option<&str>;
}

/// SQL text from a client that holds U+0002 or U+0003, or a reference to what is not there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("stored SQL text refers to an object that is not in the catalog")]
pub struct DanglingReference;

impl StoredSql {
    /// Takes text whose references were written with the functions below.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// True where a client's text could be mistaken for a reference: it is to be refused.
    pub fn is_ambiguous(text: &str) -> bool {
        text.contains([OPEN, CLOSE])
    }

    /// The token for a relation.
    pub fn relation(oid: Oid) -> String {
        format!("{OPEN}r{oid}{CLOSE}")
    }

    /// The token for a relation's bare name.
    pub fn qualifier(oid: Oid) -> String {
        format!("{OPEN}n{oid}{CLOSE}")
    }

    /// The token for a relation inside a string literal.
    pub fn quoted_relation(oid: Oid) -> String {
        format!("{OPEN}s{oid}{CLOSE}")
    }

    /// The token for a column.
    pub fn column(oid: Oid, column: ColumnId) -> String {
        format!("{OPEN}c{oid}.{}{CLOSE}", column.0)
    }

    /// The text with its tokens.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What it refers to: ascending, each once.
    pub fn references(&self) -> Vec<Reference> {
        let mut found: Vec<_> = Pieces(&self.0)
            .filter_map(|piece| match piece {
                Piece::Text(_) => None,
                Piece::Token(_, reference) => Some(reference),
            })
            .collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// True where it refers to this relation, or to this column of it.
    pub fn depends_on(&self, relation: Oid, column: Option<ColumnId>) -> bool {
        Pieces(&self.0).any(|piece| match piece {
            Piece::Text(_) => false,
            Piece::Token(_, reference) => {
                reference.relation == relation && (column.is_none() || reference.column == column)
            }
        })
    }

    /// The text with today's names.
    pub fn render(&self, names: &dyn Names) -> Result<String, DanglingReference> {
        let mut out = String::with_capacity(self.0.len());
        for piece in Pieces(&self.0) {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Token(kind, reference) => render_token(&mut out, kind, reference, names)?,
            }
        }
        Ok(out)
    }
}

fn render_token(
    out: &mut String,
    kind: char,
    reference: Reference,
    names: &dyn Names,
) -> Result<(), DanglingReference> {
    if let Some(column) = reference.column {
        let name = names.column_name(reference.relation, column).ok_or(DanglingReference)?;
        push_ident(out, name);
        return Ok(());
    }
    let (schema, name) = names.relation_name(reference.relation).ok_or(DanglingReference)?;
    let mut written = String::new();
    if let Some(schema) = schema.filter(|_| kind != 'n') {
        push_ident(&mut written, schema);
        written.push('.');
    }
    push_ident(&mut written, name);
    match kind {
        's' => out.push_str(&written.replace('\'', "''")),
        _ => out.push_str(&written),
    }
    Ok(())
}

enum Piece<'a> {
    Text(&'a str),
    Token(char, Reference),
}

struct Pieces<'a>(&'a str);

impl<'a> Iterator for Pieces<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.0;
        let Some(open) = rest.find(OPEN) else {
            self.0 = "";
            return (!rest.is_empty()).then_some(Piece::Text(rest));
        };
        if open > 0 {
            self.0 = &rest[open..];
            return Some(Piece::Text(&rest[..open]));
        }
        match parse_token(rest) {
            Some((kind, reference, length)) => {
                self.0 = &rest[length..];
                Some(Piece::Token(kind, reference))
            }
            // Not a token: DDL refuses such text, so this is damage; it is shown as it is.
            None => {
                self.0 = "";
                Some(Piece::Text(rest))
            }
        }
    }
}

fn parse_token(text: &str) -> Option<(char, Reference, usize)> {
    let close = text.find(CLOSE)?;
    let inner = text.get(OPEN.len_utf8()..close)?;
    let kind = inner.chars().next()?;
    let body = inner.get(1..)?;
    let (relation, column) = match kind {
        'c' => {
            let (relation, column) = body.split_once('.')?;
            (relation, Some(ColumnId(column.parse().ok()?)))
        }
        'r' | 'n' | 's' => (body, None),
        _ => return None,
    };
    let reference = Reference { relation: Oid(relation.parse().ok()?), column };
    Some((kind, reference, close + CLOSE.len_utf8()))
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Fixed;

    impl Names for Fixed {
        fn relation_name(&self, oid: Oid) -> Option<(Option<&str>, &str)> {
            match oid.0 {
                1 => Some((Some("public"), "orders")),
                2 => Some((None, "It's")),
                _ => None,
            }
        }

        fn column_name(&self, oid: Oid, column: ColumnId) -> Option<&str> {
            (oid.0 == 1 && column.0 == 3).then_some("Total")
        }
    }

    #[test]
    fn references_render_as_names_and_are_found() {
        let (one, two) = (Oid(1), Oid(2));
        let sql = StoredSql::new(format!(
            "SELECT {}.{} FROM {}, nextval('{}')",
            StoredSql::qualifier(one),
            StoredSql::column(one, ColumnId(3)),
            StoredSql::relation(one),
            StoredSql::quoted_relation(two),
        ));
        assert_eq!(
            sql.render(&Fixed).unwrap(),
            "SELECT orders.\"Total\" FROM public.orders, nextval('\"It''s\"')"
        );
        let references = [(1, None), (1, Some(ColumnId(3))), (2, None)];
        let references = references.map(|(oid, column)| Reference { relation: Oid(oid), column });
        assert_eq!(sql.references(), references);
        assert!(sql.depends_on(one, None) && sql.depends_on(one, Some(ColumnId(3))));
        assert!(!sql.depends_on(one, Some(ColumnId(4))) && !sql.depends_on(Oid(9), None));
    }

    #[test]
    fn a_dangling_reference_is_an_error_and_damage_does_not_panic() {
        let gone = StoredSql::new(StoredSql::relation(Oid(7)));
        assert_eq!(gone.render(&Fixed), Err(DanglingReference));
        for damaged in ["\u{2}", "\u{2}c1\u{3}", "\u{2}x1\u{3}", "\u{2}é\u{3}", "a\u{2}r-1\u{3}b"]
        {
            assert_eq!(StoredSql::new(damaged).render(&Fixed).unwrap(), damaged);
        }
    }
}
