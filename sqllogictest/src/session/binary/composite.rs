//! Arrays, vectors and records: values within values.

use std::fmt::Write as _;

use tokio_postgres::types::Type;

use super::{Failure, take, take_value, to_text};

/// An array of any number of dimensions; lower bounds other than 1 are shown.
pub(super) fn array(element: &Type, mut raw: &[u8]) -> Result<String, Failure> {
    let dimensions = i32::from_be_bytes(take(&mut raw)?);
    let has_nulls = i32::from_be_bytes(take(&mut raw)?);
    let oid = u32::from_be_bytes(take(&mut raw)?);
    if !(0..=6).contains(&dimensions) || !(0..=1).contains(&has_nulls) {
        return Err(format!("an array of {dimensions} dimensions, flags {has_nulls}").into());
    }
    if oid != element.oid() {
        return Err(format!("an array of type {oid} where {} belongs", element.oid()).into());
    }
    let mut sizes = Vec::new();
    let mut bounds = String::new();
    let mut odd_bounds = false;
    for _ in 0..dimensions {
        let size = i32::from_be_bytes(take(&mut raw)?);
        let lower = i32::from_be_bytes(take(&mut raw)?);
        if size < 1 {
            return Err(format!("an array of size {size}").into());
        }
        sizes.push(size);
        odd_bounds |= lower != 1;
        let _ = write!(bounds, "[{lower}:{}]", i64::from(lower) + i64::from(size) - 1);
    }
    let mut text = if odd_bounds { format!("{bounds}=") } else { String::new() };
    if sizes.is_empty() {
        text.push_str("{}");
    } else {
        braces(&mut text, element, &sizes, &mut raw, has_nulls == 1)?;
    }
    if raw.is_empty() { Ok(text) } else { Err("an array longer than it says".into()) }
}

fn braces(
    text: &mut String,
    element: &Type,
    sizes: &[i32],
    raw: &mut &[u8],
    has_nulls: bool,
) -> Result<(), Failure> {
    let Some((size, inner)) = sizes.split_first() else {
        let length = i32::from_be_bytes(take(raw)?);
        match take_value(raw, length)? {
            None if !has_nulls => return Err("an array with a NULL that denies it".into()),
            None => text.push_str("NULL"),
            Some(value) => push_element(text, &to_text(element, value)?),
        }
        return Ok(());
    };
    text.push('{');
    for i in 0..*size {
        if i > 0 {
            text.push(',');
        }
        braces(text, element, inner, raw, has_nulls)?;
    }
    text.push('}');
    Ok(())
}

fn push_element(text: &mut String, value: &str) {
    let special = |c: char| matches!(c, '{' | '}' | ',' | '"' | '\\') || is_space(c);
    if value.is_empty() || value.contains(special) || value.eq_ignore_ascii_case("null") {
        text.push('"');
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                text.push('\\');
            }
            text.push(c);
        }
        text.push('"');
    } else {
        text.push_str(value);
    }
}

/// What C's isspace calls a space.
fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t' | '\n' | '\r' | '\x0b' | '\x0c')
}

/// int2vector and oidvector: arrays on the wire, words in text.
pub(super) fn vector(raw: &[u8]) -> Result<String, Failure> {
    let oid = raw.get(8..12).ok_or("a value cut short")?;
    let oid = u32::from_be_bytes([oid[0], oid[1], oid[2], oid[3]]);
    let element = Type::from_oid(oid).ok_or("a vector of an unknown type")?;
    let array = array(&element, raw)?;
    let inner = array.rsplit_once('=').map_or(array.as_str(), |(_, elements)| elements);
    Ok(inner.trim_matches(['{', '}']).replace(',', " "))
}

/// A row: its fields in parentheses.
pub(super) fn record(mut raw: &[u8]) -> Result<String, Failure> {
    let fields = i32::from_be_bytes(take(&mut raw)?);
    let mut text = "(".to_owned();
    for i in 0..fields {
        if i > 0 {
            text.push(',');
        }
        let oid = u32::from_be_bytes(take(&mut raw)?);
        let length = i32::from_be_bytes(take(&mut raw)?);
        if let Some(value) = take_value(&mut raw, length)? {
            let ty = Type::from_oid(oid).ok_or_else(|| format!("a field of type {oid}"))?;
            push_field(&mut text, &to_text(&ty, value)?);
        }
    }
    text.push(')');
    if raw.is_empty() { Ok(text) } else { Err("a record longer than it says".into()) }
}

fn push_field(text: &mut String, value: &str) {
    let special = |c: char| matches!(c, '(' | ')' | ',' | '"' | '\\') || is_space(c);
    if value.is_empty() || value.contains(special) {
        text.push('"');
        for c in value.chars() {
            if matches!(c, '"' | '\\') {
                text.push(c);
            }
            text.push(c);
        }
        text.push('"');
    } else {
        text.push_str(value);
    }
}
