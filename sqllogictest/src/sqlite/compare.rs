//! Does an answer equal what a `.test` file expects?
//!
//! The rules are those of SQLite's own runner: a column's letter formats its values, then rows or values
//! are sorted as text, then the lines are compared, or their md5 is.

use md5::{Digest, Md5};

use super::parse::{Query, Sort};
use crate::session::Answer;

/// Compares; the error says what differs.
pub fn compare(query: &Query<'_>, answer: &Answer) -> Result<(), String> {
    let Some(expected) = query.expected else { return Ok(()) };
    let width = query.types.len();
    if let Some(columns) = answer.columns
        && columns != width
    {
        return Err(format!("{columns} columns where {width} are expected"));
    }
    let lines = lines(query, answer);
    if let Some((count, hash)) = expected_hash(expected) {
        let got = hash_of(&lines);
        if count != lines.len() || hash != got {
            let got = format!("{} values hashing to {got}", lines.len());
            return Err(format!("expected {expected}, got {got}"));
        }
        return Ok(());
    }
    let mut wanted = expected.lines();
    for (i, line) in lines.iter().enumerate() {
        match wanted.next() {
            Some(want) if want == line => {}
            Some(want) => return Err(format!("value {}: expected {want}, got {line}", i + 1)),
            None => return Err(format!("{} values where {i} are expected", lines.len())),
        }
    }
    match wanted.count() {
        0 => Ok(()),
        more => Err(format!("{} values where {} are expected", lines.len(), lines.len() + more)),
    }
}

/// The values as the file would have them: formatted and sorted.
fn lines(query: &Query<'_>, answer: &Answer) -> Vec<String> {
    let letters = query.types.as_bytes();
    let mut lines: Vec<String> = answer
        .values
        .iter()
        .zip(letters.iter().cycle())
        .map(|(value, letter)| format_value(*letter, value.as_deref()))
        .collect();
    match query.sort {
        Sort::None => {}
        Sort::Values => lines.sort_unstable(),
        Sort::Rows if letters.len() == 1 => lines.sort_unstable(),
        Sort::Rows => {
            let mut rows: Vec<Vec<String>> = Vec::with_capacity(lines.len() / letters.len());
            let mut values = lines.into_iter().peekable();
            while values.peek().is_some() {
                rows.push(values.by_ref().take(letters.len()).collect());
            }
            rows.sort_unstable();
            return rows.into_iter().flatten().collect();
        }
    }
    lines
}

/// A value under a result letter.
fn format_value(letter: u8, value: Option<&str>) -> String {
    let Some(value) = value else { return "NULL".to_owned() };
    match letter {
        b'I' => integer(value),
        b'R' => real(value),
        _ if value.is_empty() => "(empty)".to_owned(),
        _ => value
            .bytes()
            .map(|b| if (b' '..=b'~').contains(&b) { char::from(b) } else { '@' })
            .collect(),
    }
}

/// As C's conversion to an integer has it: the fraction goes, what is no number is 0. PostgreSQL's bool,
/// which SQLite does not have, is 1 or 0.
fn integer(value: &str) -> String {
    match value {
        "t" => return "1".to_owned(),
        // Integers have no negative zero; a float's sign goes with its fraction.
        "f" | "-0" => return "0".to_owned(),
        _ => {}
    }
    let digits = value.strip_prefix('-').unwrap_or(value);
    if !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit()) {
        return value.to_owned();
    }
    match value.parse::<f64>() {
        #[expect(clippy::cast_possible_truncation, reason = "saturates, as SQLite's does")]
        Ok(number) => (number as i64).to_string(),
        Err(_) => "0".to_owned(),
    }
}

fn real(value: &str) -> String {
    match value.parse::<f64>() {
        Ok(number) => format!("{number:.3}"),
        Err(_) => "0.000".to_owned(),
    }
}

/// `N values hashing to H`.
fn expected_hash(expected: &str) -> Option<(usize, &str)> {
    let (count, hash) = expected.split_once(" values hashing to ")?;
    Some((count.parse().ok()?, hash))
}

fn hash_of(lines: &[String]) -> String {
    let mut md5 = Md5::new();
    for line in lines {
        md5.update(line.as_bytes());
        md5.update(b"\n");
    }
    md5.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(columns: usize, values: &[Option<&str>]) -> Answer {
        let values = values.iter().map(|v| v.map(str::to_owned)).collect();
        Answer { columns: Some(columns), values, ..Answer::default() }
    }

    fn query<'a>(types: &'a str, sort: Sort, expected: &'a str) -> Query<'a> {
        Query { types, sort, sql: "", expected: Some(expected) }
    }

    #[test]
    fn letters_format() {
        let values = [Some("12.70"), Some("2.5"), Some("a\u{e9}\n"), None, Some(""), Some("-3")];
        let expected = "12\n2.500\na@@@\nNULL\n0.000\n-3";
        assert_eq!(compare(&query("IRT", Sort::None, expected), &answer(3, &values)), Ok(()));
        assert_eq!(format_value(b'T', Some("")), "(empty)");
        assert_eq!(format_value(b'I', Some("t")), "1");
        assert_eq!(format_value(b'I', Some("-0.5")), "0");
        assert_eq!(format_value(b'I', Some("-0")), "0");
        assert_eq!(format_value(b'R', Some("0.0005")), "0.001");
    }

    #[test]
    fn rows_and_values_sort_as_text() {
        let values = [Some("2"), Some("x"), Some("10"), Some("y")];
        let rows = query("IT", Sort::Rows, "10\ny\n2\nx");
        assert_eq!(compare(&rows, &answer(2, &values)), Ok(()));
        let all = query("IT", Sort::Values, "10\n2\nx\ny");
        assert_eq!(compare(&all, &answer(2, &values)), Ok(()));
        assert!(compare(&query("IT", Sort::None, "10\ny\n2\nx"), &answer(2, &values)).is_err());
    }

    #[test]
    fn a_hash_stands_for_its_values() {
        // printf '1\n2\n3\n' | md5sum
        let expected = "3 values hashing to c0710d6b4f15dfa88f600b0e6b624077";
        let three = answer(1, &[Some("1"), Some("2"), Some("3")]);
        assert_eq!(compare(&query("I", Sort::None, expected), &three), Ok(()));
        assert!(compare(&query("I", Sort::None, "2 values hashing to 00"), &three).is_err());
    }

    #[test]
    fn too_few_too_many_and_too_wide() {
        let one = answer(1, &[Some("1")]);
        assert!(compare(&query("I", Sort::None, ""), &one).is_err());
        assert!(compare(&query("I", Sort::None, "1\n1"), &one).is_err());
        assert!(compare(&query("II", Sort::None, "1"), &one).is_err());
        assert_eq!(compare(&query("I", Sort::None, "1"), &one), Ok(()));
    }
}
