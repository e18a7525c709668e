//! A [`Session`] as sqllogictest-rs wants to see one.

use std::time::Duration;

use async_trait::async_trait;
use sqllogictest::{AsyncDB, ColumnType, DBOutput};
use tokio_postgres::types::Type;

use crate::session::{Answer, Session, SessionError};

/// The letter of a column's type: `B` bool, `I` int2/4/8, `R` float4/8 and numeric, `D` date, `P`
/// timestamp and timestamptz, `T` text, varchar, char and name, `?` any other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Letter(pub char);

impl Letter {
    /// A column whose type the protocol did not tell.
    pub const UNTOLD: Self = Self('_');

    /// The letter of a type.
    pub fn of(ty: &Type) -> Self {
        Self(match *ty {
            Type::BOOL => 'B',
            Type::INT2 | Type::INT4 | Type::INT8 => 'I',
            Type::FLOAT4 | Type::FLOAT8 | Type::NUMERIC => 'R',
            Type::DATE => 'D',
            Type::TIMESTAMP | Type::TIMESTAMPTZ => 'P',
            Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME => 'T',
            _ => '?',
        })
    }
}

impl ColumnType for Letter {
    fn from_char(letter: char) -> Option<Self> {
        matches!(letter, 'B' | 'I' | 'R' | 'D' | 'P' | 'T' | '?').then_some(Self(letter))
    }

    fn to_char(&self) -> char {
        self.0
    }
}

/// Whether the columns are those a record expects.
#[expect(clippy::ptr_arg, reason = "sqllogictest's signature")]
pub fn columns_agree(actual: &Vec<Letter>, expected: &Vec<Letter>) -> bool {
    expected.is_empty()
        || actual.len() == expected.len()
            && actual.iter().zip(expected).all(|(a, e)| *a == Letter::UNTOLD || a == e)
}

/// Whether the rows are those a record expects.
pub fn rows_agree(
    normalizer: sqllogictest::Normalizer,
    actual: &[Vec<String>],
    expected: &[String],
) -> bool {
    if expected.iter().any(|row| row.contains("<slt:ignore>")) {
        return sqllogictest::default_validator(normalizer, actual, expected);
    }
    actual.len() == expected.len()
        && actual
            .iter()
            .zip(expected)
            .all(|(row, line)| row.join(" ").trim_end() == line.trim_end())
}

/// The same, but numbers with a fraction or an exponent are compared by value, to about nine digits:
/// for results that another system computed in another order, or shows to another scale.
pub fn rows_agree_by_value(
    normalizer: sqllogictest::Normalizer,
    actual: &[Vec<String>],
    expected: &[String],
) -> bool {
    rows_agree(normalizer, actual, expected)
        || actual.len() == expected.len()
            && actual.iter().zip(expected).all(|(row, line)| lines_agree(&row.join(" "), line))
}

fn lines_agree(actual: &str, expected: &str) -> bool {
    const DELIMITERS: [char; 6] = [' ', ',', '{', '}', '(', ')'];
    let pieces = |line: &'_ str| -> Vec<(String, String)> {
        line.trim_end()
            .split_inclusive(DELIMITERS)
            .map(|piece| {
                let core = piece.trim_end_matches(DELIMITERS);
                (core.to_owned(), piece[core.len()..].to_owned())
            })
            .collect()
    };
    let (actual, expected) = (pieces(actual), pieces(expected));
    actual.len() == expected.len()
        && actual.iter().zip(&expected).all(|(a, e)| a.1 == e.1 && values_agree(&a.0, &e.0))
}

fn values_agree(actual: &str, expected: &str) -> bool {
    const TOLERANCE: f64 = 1e-9;
    if actual == expected {
        return true;
    }
    let inexact = |text: &str| text.contains(['.', 'e']);
    match (actual.parse::<f64>(), expected.parse::<f64>()) {
        (Ok(a), Ok(e)) if inexact(actual) || inexact(expected) => {
            (a - e).abs() <= TOLERANCE * a.abs().max(e.abs())
        }
        _ => false,
    }
}

/// A session behind the trait.
pub struct Database(pub Session);

#[async_trait]
impl AsyncDB for Database {
    type Error = SessionError;
    type ColumnType = Letter;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<Letter>, SessionError> {
        self.0.run(sql).await.map(|answer| output(&answer))
    }

    async fn shutdown(&mut self) {
        self.0.close().await;
    }

    async fn sleep(duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    fn error_sql_state(error: &SessionError) -> Option<String> {
        error.code().map(str::to_owned)
    }
}

fn output(answer: &Answer) -> DBOutput<Letter> {
    let Some(columns) = answer.columns else {
        return DBOutput::StatementComplete(answer.affected);
    };
    let types = match &answer.types {
        Some(types) => types.iter().map(Letter::of).collect(),
        None => vec![Letter::UNTOLD; columns],
    };
    let rows = answer.rows().map(|row| row.iter().map(|v| show(v.as_deref())).collect()).collect();
    DBOutput::Rows { types, rows }
}

/// A value as it stands in a file, where a line is a row.
fn show(value: Option<&str>) -> String {
    match value {
        None => "NULL".to_owned(),
        Some("") => "(empty)".to_owned(),
        Some(text) if text.contains(['\n', '\r', '\t']) => {
            text.replace('\n', "\\n").replace('\r', "\\r").replace('\t', "\\t")
        }
        Some(text) => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_keeps_to_its_line() {
        assert_eq!(show(None), "NULL");
        assert_eq!(show(Some("")), "(empty)");
        assert_eq!(show(Some("a\n\tb")), "a\\n\\tb");
    }

    #[test]
    fn space_within_a_row_counts_and_at_its_end_does_not() {
        let row = |text: &str| vec![vec![text.to_owned()]];
        let agree = |a: &str, e: &str| {
            rows_agree(sqllogictest::default_normalizer, &row(a), &[e.to_owned()])
        };
        assert!(agree("a ", "a"));
        assert!(!agree("a  b", "a b"));
        assert!(!agree(" a", "a"));
        assert!(agree("took 12 ms", "took <slt:ignore> ms"));
    }

    #[test]
    fn numbers_agree_by_value_only_where_asked() {
        let row = |text: &str| vec![vec![text.to_owned()]];
        let agree = |a: &str, e: &str| {
            rows_agree_by_value(sqllogictest::default_normalizer, &row(a), &[e.to_owned()])
        };
        assert!(agree("a 2.5 3", "a 2.5000000000000000 3"));
        assert!(agree("2", "2.0000000000000000"));
        assert!(agree("{0.30000000000000004,NULL}", "{0.3,NULL}"));
        assert!(!agree("2.5 3", "2.5000001 3"));
        assert!(!agree("12345678901 x", "12345678902 x"), "integers are exact");
        assert!(!agree("{1.5,2}", "{1.5 2}"));
        assert!(!agree("2.5", "2.5 3"));
    }

    #[test]
    fn letters_agree_unless_untold() {
        let expected = vec![Letter('I'), Letter('T')];
        assert!(columns_agree(&vec![Letter('I'), Letter('T')], &expected));
        assert!(columns_agree(&vec![Letter::UNTOLD; 2], &expected));
        assert!(!columns_agree(&vec![Letter('I'), Letter('R')], &expected));
        assert!(!columns_agree(&vec![Letter::UNTOLD], &expected));
    }
}
