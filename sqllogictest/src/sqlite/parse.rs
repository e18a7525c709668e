//! Reading a `.test` file, record by record, without copying it.

use std::ops::Range;

use crate::condition::Condition;

/// A record and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// The line of its `statement`, `query` or `halt`, from 1.
    pub line: u32,
    /// The line of its first condition, or the same.
    pub first_line: u32,
    /// Its bytes in the file, conditions included, without the blank line behind it.
    pub span: Range<usize>,
    /// All must admit us.
    pub conditions: Vec<Condition<'a>>,
    /// What it is.
    pub body: Body<'a>,
}

/// What a record says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// `statement ok` or `statement error`.
    Statement {
        /// Whether it must succeed; else it must fail.
        succeeds: bool,
        /// The statement.
        sql: &'a str,
    },
    /// `query TYPES SORT LABEL`.
    Query(Query<'a>),
    /// The file ends here.
    Halt,
    /// `hash-threshold N`. Kept for excerpts; comparing goes by what is expected, values or a hash.
    HashThreshold,
}

/// A query and its result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// One letter a column: `I`, `R` or `T`.
    pub types: &'a str,
    /// How the result is sorted before comparing.
    pub sort: Sort,
    /// The query.
    pub sql: &'a str,
    /// The expected lines; `None` if the record has no `----`.
    pub expected: Option<&'a str>,
}

/// How a result is sorted before comparing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sort {
    /// As it came.
    None,
    /// By rows.
    Rows,
    /// Value by value.
    Values,
}

/// A line that is none of the above.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {what}")]
pub struct ParseError {
    /// The line.
    pub line: u32,
    /// What is wrong with it.
    pub what: String,
}

/// The records of a file. Ends after the first error.
pub fn records(text: &str) -> Records<'_> {
    Records { text, at: 0, line: 0, failed: false }
}

/// The iterator behind [`records`].
#[derive(Debug)]
pub struct Records<'a> {
    text: &'a str,
    at: usize,
    line: u32,
    failed: bool,
}

impl<'a> Records<'a> {
    /// The next line without its end, or nothing at the end of the file.
    fn next_line(&mut self) -> Option<&'a str> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let (line, length) = match rest.find('\n') {
            Some(end) => (&rest[..end], end + 1),
            None => (rest, rest.len()),
        };
        self.at += length;
        self.line += 1;
        Some(line.trim_end_matches('\r'))
    }

    /// Lines up to a blank one, the end, or `----`; whether it was `----`.
    fn block(&mut self) -> (&'a str, bool) {
        let start = self.at;
        loop {
            let before = self.at;
            match self.next_line() {
                Some("----") => return (self.text[start..before].trim_end(), true),
                Some("") | None => return (self.text[start..before].trim_end(), false),
                Some(_) => {}
            }
        }
    }

    fn error(&mut self, what: String) -> ParseError {
        self.failed = true;
        ParseError { line: self.line, what }
    }

    fn record(&mut self) -> Option<Result<Record<'a>, ParseError>> {
        let mut conditions = Vec::new();
        let mut start = None;
        loop {
            let before = self.at;
            let line = self.next_line()?;
            let mut words = line.split_ascii_whitespace().take_while(|word| !word.starts_with('#'));
            let Some(first) = words.next() else { continue };
            let number = self.line;
            let (start, first_line) = *start.get_or_insert((before, number));
            let body = match first {
                "skipif" | "onlyif" => {
                    let Some(label) = words.next() else {
                        return Some(Err(self.error(format!("{first} without a label"))));
                    };
                    conditions.push(match first {
                        "skipif" => Condition::SkipIf(label),
                        _ => Condition::OnlyIf(label),
                    });
                    continue;
                }
                "statement" => match words.next() {
                    Some("ok") => self.statement(true),
                    Some("error") => self.statement(false),
                    _ => Err(self.error(format!("neither ok nor error: {line}"))),
                },
                "query" => self.query(words.next(), words.next()),
                "halt" => Ok(Body::Halt),
                "hash-threshold" => Ok(Body::HashThreshold),
                _ => Err(self.error(format!("not a record: {line}"))),
            };
            let span = start..start + self.text[start..self.at].trim_end().len();
            return Some(body.map(|body| Record {
                line: number,
                first_line,
                span,
                conditions,
                body,
            }));
        }
    }

    fn statement(&mut self, succeeds: bool) -> Result<Body<'a>, ParseError> {
        match self.block() {
            ("", _) => Err(self.error("a statement without SQL".to_owned())),
            (_, true) => Err(self.error("a statement with a result".to_owned())),
            (sql, false) => Ok(Body::Statement { succeeds, sql }),
        }
    }

    fn query(
        &mut self,
        types: Option<&'a str>,
        sort: Option<&str>,
    ) -> Result<Body<'a>, ParseError> {
        let types = match types {
            Some(types) if types.bytes().all(|t| matches!(t, b'I' | b'R' | b'T')) => types,
            _ => return Err(self.error("a query without result letters I, R, T".to_owned())),
        };
        let sort = match sort {
            None | Some("nosort") => Sort::None,
            Some("rowsort") => Sort::Rows,
            Some("valuesort") => Sort::Values,
            Some(other) => return Err(self.error(format!("no way of sorting: {other}"))),
        };
        let (sql, has_result) = self.block();
        if sql.is_empty() {
            return Err(self.error("a query without SQL".to_owned()));
        }
        let expected = has_result.then(|| self.block().0);
        Ok(Body::Query(Query { types, sort, sql, expected }))
    }
}

impl<'a> Iterator for Records<'a> {
    type Item = Result<Record<'a>, ParseError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.failed { None } else { self.record() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "\
# a comment
hash-threshold 8

statement ok
CREATE TABLE t(
  a INTEGER)

skipif mysql # not there
onlyif postgresql
query IT rowsort label-1
SELECT a,
  b FROM t # no comment
----
1
(empty)

statement error no such table
DROP TABLE u

query I nosort
SELECT 1

onlyif mssql
halt
";

    #[test]
    fn every_record_with_its_line_and_bytes() {
        let records: Vec<_> = records(FILE).map(Result::unwrap).collect();
        assert_eq!(records.iter().map(|r| r.line).collect::<Vec<_>>(), [2, 4, 10, 17, 20, 24]);
        assert_eq!(
            records[1].body,
            Body::Statement { succeeds: true, sql: "CREATE TABLE t(\n  a INTEGER)" }
        );
        assert_eq!(records[2].first_line, 8);
        assert_eq!(
            records[2].conditions,
            [Condition::SkipIf("mysql"), Condition::OnlyIf("postgresql")]
        );
        let query = Query {
            types: "IT",
            sort: Sort::Rows,
            sql: "SELECT a,\n  b FROM t # no comment",
            expected: Some("1\n(empty)"),
        };
        assert_eq!(records[2].body, Body::Query(query));
        assert!(FILE[records[2].span.clone()].starts_with("skipif mysql"));
        assert!(FILE[records[2].span.clone()].ends_with("(empty)"));
        assert!(matches!(records[3].body, Body::Statement { succeeds: false, .. }));
        assert!(matches!(&records[4].body, Body::Query(q) if q.expected.is_none()));
        assert_eq!(records[5].body, Body::Halt);
    }

    #[test]
    fn an_empty_result_is_not_a_missing_one() {
        let mut all =
            records("query I nosort\nSELECT 1 WHERE 1=0\n----\n\nstatement ok\nSELECT 1\n");
        let Body::Query(query) = all.next().unwrap().unwrap().body else { panic!("a query") };
        assert_eq!(query.expected, Some(""));
        assert!(matches!(all.next().unwrap().unwrap().body, Body::Statement { .. }));
        assert!(all.next().is_none());
    }

    #[test]
    fn nonsense_is_told_with_its_line_and_ends_the_file() {
        for text in ["\nquery\nSELECT 1\n", "\nquery X\nSELECT 1\n", "\nfoo\n", "\nstatement\nx\n"]
        {
            let mut all = records(text);
            assert_eq!(all.next().unwrap().unwrap_err().line, 2, "{text}");
            assert!(all.next().is_none());
        }
    }
}
