//! What C's isspace calls white space, which is what PostgreSQL's input functions skip.

/// Space, tab, newline, vertical tab, form feed, carriage return.
#[inline]
pub fn is_space(byte: u8) -> bool {
    byte == b' ' || (b'\t'..=b'\r').contains(&byte)
}

/// Without white space at either end.
pub fn trim(text: &str) -> &str {
    text.trim_matches(|c: char| c.is_ascii() && is_space(c as u8))
}
