//! Making an excerpt of SQLite's corpus: every file, all statements, every n-th query.
//!
//! Left out are records that an exclude list names, records that are not for label `postgresql`, and
//! comments: an excerpt is for running. What it holds passes against PostgreSQL as the whole does, since
//! queries change nothing.

use std::io::Write;

use crate::archive::tar;
use crate::exclude::Excludes;
use crate::source::{Dialect, Source};
use crate::sqlite::parse::{Body, records};

/// zstd's strongest level: the excerpt is written once and kept in version control.
const ZSTD_LEVEL: i32 = 22;

/// What an excerpt holds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Contents {
    /// Files.
    pub files: u64,
    /// Statements.
    pub statements: u64,
    /// Queries.
    pub queries: u64,
}

/// Writes an excerpt of `sources`, with `notice` as its first file, as .tar.zst to `to`.
pub fn write(
    sources: &[Source],
    excludes: &Excludes,
    every: usize,
    notice: &str,
    to: impl Write,
) -> std::io::Result<Contents> {
    let mut archive = zstd::Encoder::new(to, ZSTD_LEVEL)?;
    archive.long_distance_matching(true)?;
    archive.window_log(27)?;
    let mut contents = Contents::default();
    tar::write(&mut archive, "NOTICE", notice.as_bytes())?;
    for source in sources.iter().filter(|source| source.dialect == Dialect::Sqlite) {
        let text = std::fs::read_to_string(&source.path)?;
        let excluded = excludes.of(&source.path);
        let excerpt = shorten(&text, |line| excluded.contains(&line), every, &mut contents)
            .map_err(|error| std::io::Error::other(format!("{}: {error}", source.name)))?;
        contents.files += 1;
        tar::write(&mut archive, &source.name, excerpt.as_bytes())?;
    }
    tar::finish(&mut archive)?;
    archive.finish()?.flush()?;
    Ok(contents)
}

/// The excerpt of one file. Its first query is always in it.
fn shorten(
    text: &str,
    is_excluded: impl Fn(u32) -> bool,
    every: usize,
    contents: &mut Contents,
) -> Result<String, crate::sqlite::parse::ParseError> {
    let labels = ["postgresql".to_owned()];
    let mut excerpt = String::new();
    let mut queries = 0;
    for record in records(text) {
        let record = record?;
        let for_us = record.conditions.iter().all(|c| c.admits(&labels));
        match record.body {
            Body::Halt if for_us => break,
            _ if !for_us || (record.first_line..=record.line).any(&is_excluded) => continue,
            Body::Query(_) => {
                queries += 1;
                if (queries - 1) % every != 0 {
                    continue;
                }
                contents.queries += 1;
            }
            Body::Statement { .. } => contents.statements += 1,
            Body::Halt | Body::HashThreshold => {}
        }
        excerpt.push_str(&text[record.span]);
        excerpt.push_str("\n\n");
    }
    Ok(excerpt)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_statements_and_every_nth_usable_query() {
        let mut text = "statement ok\nCREATE TABLE t(a INTEGER)\n\n".to_owned();
        text.push_str("onlyif mysql\nquery I nosort\nSELECT 1 DIV 1\n----\n1\n\n");
        for i in 0..5 {
            text.push_str(&format!("query I nosort\nSELECT {i}\n----\n{i}\n\n"));
        }
        text.push_str("statement ok\nDROP TABLE t\n");
        let mut contents = Contents::default();
        // The second of the five, SELECT 1, is excluded.
        let excerpt = shorten(&text, |line| line == 15, 2, &mut contents).unwrap();
        assert_eq!(contents, Contents { files: 0, statements: 2, queries: 2 });
        assert!(excerpt.contains("SELECT 0") && excerpt.contains("SELECT 3"), "{excerpt}");
        assert!(!excerpt.contains("DIV") && !excerpt.contains("SELECT 1"), "{excerpt}");
        assert_eq!(records(&excerpt).filter(Result::is_ok).count(), 4);
    }
}
