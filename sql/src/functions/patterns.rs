//! Patterns of LIKE … ESCAPE and SIMILAR TO, as LIKE and regular expressions read them; LIKE beside an array.

use super::system::function::{Arg, Definition, Kind, Overload};
use crate::catalog::system::Facts;
use crate::catalog::system::rows::Cell;
use crate::error::{SqlError, SqlState};
use crate::types::oid;

/// `like_escape(pattern, escape)`: the pattern with backslashes for escapes.
pub const LIKE_ESCAPE: &str = "like_escape";
/// `similar_to_escape(pattern[, escape])`: the regular expression.
pub const SIMILAR: &str = "similar_to_escape";
/// `like_each(text, patterns, operator, all)`: `text LIKE ANY (patterns)`, or ALL.
pub const LIKE_EACH: &str = "like_each";

const TEXT: Kind = Kind::Text;

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        LIKE_ESCAPE,
        &[Overload::new(&[TEXT, TEXT], oid::TEXT, |_, args| {
            like(args[0].text(), args[1].text()).map(Cell::from)
        })],
    ),
    Definition::new(
        SIMILAR,
        &[
            Overload::new(&[TEXT], oid::TEXT, of_similar),
            Overload::new(&[TEXT, TEXT], oid::TEXT, of_similar),
        ],
    ),
    Definition::new(
        LIKE_EACH,
        &[Overload::new(&[TEXT, Kind::Of(oid::TEXT_ARRAY), TEXT, Kind::Bool], oid::BOOL, of_each)],
    ),
];

fn of_similar(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    similar(args[0].text(), args.get(1).map_or("\\", Arg::text)).map(Cell::from)
}

fn of_each(_: &Facts, args: &[Arg]) -> Result<Cell<'static>, SqlError> {
    let (text, patterns, all) = (args[0].text(), args[1].texts(), args[3].is_true());
    let operator = args[2].text();
    let (negated, folded) = (operator.starts_with('!'), operator.ends_with('*'));
    let cased = |text: &str| if folded { text.to_lowercase() } else { text.to_owned() };
    let text = cased(text);
    let mut unknown = false;
    for pattern in patterns {
        let Some(pattern) = pattern else {
            unknown = true;
            continue;
        };
        if (matches(&text, &cased(&pattern))? != negated) != all {
            return Ok(Cell::from(!all));
        }
    }
    Ok(if unknown { Cell::Null } else { Cell::from(all) })
}

/// `text LIKE pattern`
fn matches(text: &str, pattern: &str) -> Result<bool, SqlError> {
    let text: Vec<char> = text.chars().collect();
    let pattern: Vec<char> = pattern.chars().collect();
    let (mut at, mut part) = (0, 0);
    // Behind the last %, and how much of the text that % has taken.
    let mut resumed: Option<(usize, usize)> = None;
    while at < text.len() || part < pattern.len() {
        // One character of the text, `None` where any will do, and what of the pattern it takes.
        let next = match pattern.get(part) {
            Some('%') => {
                resumed = Some((part + 1, at));
                part += 1;
                continue;
            }
            Some('\\') if at < text.len() => {
                Some((Some(pattern.get(part + 1).ok_or_else(ends_with_escape)?), 2))
            }
            Some('_') => Some((None, 1)),
            Some(literal) => Some((Some(literal), 1)),
            None => None,
        };
        if let (Some(found), Some((wanted, width))) = (text.get(at), next)
            && wanted.is_none_or(|wanted| wanted == found)
        {
            (at, part) = (at + 1, part + width);
            continue;
        }
        match &mut resumed {
            Some((behind, taken)) if *taken < text.len() => {
                *taken += 1;
                (at, part) = (*taken, *behind);
            }
            _ => return Ok(false),
        }
    }
    Ok(true)
}

/// The escape character; `None` where there is none.
fn escape_of(escape: &str) -> Result<Option<char>, SqlError> {
    let mut chars = escape.chars();
    let first = chars.next();
    match chars.next() {
        None => Ok(first),
        Some(_) => Err(SqlError::new(SqlState("22025"), "invalid escape string")
            .with_hint("Escape string must be empty or one character.")),
    }
}

/// 22025.
pub fn ends_with_escape() -> SqlError {
    SqlError::new(SqlState("22025"), "LIKE pattern must not end with escape character")
}

/// A pattern of LIKE whose escape character is the backslash.
pub fn like(pattern: &str, escape: &str) -> Result<String, SqlError> {
    let escape = escape_of(escape)?;
    if escape == Some('\\') {
        return Ok(pattern.to_owned());
    }
    let mut out = String::with_capacity(pattern.len() + 2);
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        let literal = match c {
            c if Some(c) == escape => chars.next().ok_or_else(ends_with_escape)?,
            '\\' => c,
            wild => {
                out.push(wild);
                continue;
            }
        };
        if matches!(literal, '\\' | '%' | '_') {
            out.push('\\');
        }
        out.push(literal);
    }
    Ok(out)
}

/// SIMILAR TO's pattern as a regular expression.
pub fn similar(pattern: &str, escape: &str) -> Result<String, SqlError> {
    let escape = escape_of(escape)?;
    let mut out = String::from("(?s)^(?:");
    let mut in_brackets = false;
    let mut chars = pattern.chars();
    while let Some(c) = chars.next() {
        if Some(c) == escape {
            let Some(literal) = chars.next() else { break };
            if !literal.is_alphanumeric() && !literal.is_whitespace() {
                out.push('\\');
            }
            out.push(literal);
            continue;
        }
        match c {
            '\\' => out.push_str("\\\\"),
            ']' if in_brackets => {
                in_brackets = false;
                out.push(c);
            }
            '[' if in_brackets => out.push_str("\\["),
            c if in_brackets => out.push(c),
            '[' => {
                in_brackets = true;
                out.push(c);
            }
            '%' => out.push_str(".*"),
            '_' => out.push('.'),
            '(' => out.push_str("(?:"),
            '.' | '^' | '$' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out.push_str(")$");
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_become_backslashes() {
        for (pattern, escape, wanted) in [
            ("a!_c", "!", "a\\_c"),
            ("a!!c", "!", "a!c"),
            ("a\\c%", "!", "a\\\\c%"),
            ("a\\_", "", "a\\\\_"),
            ("a\\_", "\\", "a\\_"),
        ] {
            assert_eq!(like(pattern, escape).unwrap(), wanted, "{pattern} ESCAPE {escape}");
        }
        assert!(like("a!", "!").is_err());
        assert!(like("a", "!!").is_err());
    }

    #[test]
    fn texts_match_as_like_does() {
        for (text, pattern, wanted) in [
            ("abc", "abc", true),
            ("abc", "a%", true),
            ("abc", "%c", true),
            ("abc", "%b%", true),
            ("abc", "a_c", true),
            ("abc", "a_", false),
            ("abc", "____", false),
            ("abc", "", false),
            ("", "", true),
            ("", "%", true),
            ("", "_", false),
            ("aXbXc", "a%X_", true),
            ("aab", "%ab", true),
            ("a%c", "a\\%c", true),
            ("abc", "a\\%c", false),
            ("été", "_t_", true),
        ] {
            assert_eq!(matches(text, pattern).unwrap(), wanted, "{text} LIKE {pattern}");
        }
        assert!(matches("ab", "a\\").is_err());
        assert!(!matches("a", "a\\").unwrap());
    }

    #[test]
    fn similar_patterns_match_the_whole_text() {
        for (pattern, text, wanted) in [
            ("(a|b)%", "abc", true),
            ("(b|c)%", "abc", false),
            ("a|abc", "abc", true),
            ("ab", "abc", false),
            ("a.c", "abc", false),
            ("[a-c]+", "abc", true),
            ("a\\%c", "a%c", true),
            ("_b_", "abc", true),
            ("a%", "a\nb", true),
        ] {
            let regex = regex::Regex::new(&similar(pattern, "\\").unwrap()).unwrap();
            assert_eq!(regex.is_match(text), wanted, "{text} SIMILAR TO {pattern}");
        }
    }
}
