//! Reads the CSV that PostgreSQL's COPY writes: `""` is an empty text, nothing is NULL.

/// Rows of fields; the first row is the header.
pub(super) fn parse(text: &'static str) -> Vec<Vec<Option<String>>> {
    let mut rows = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (row, after) = parse_row(rest);
        rows.push(row);
        rest = after;
    }
    rows
}

fn parse_row(mut rest: &str) -> (Vec<Option<String>>, &str) {
    let mut row = Vec::new();
    loop {
        let (field, after) = parse_field(rest);
        row.push(field);
        match after.as_bytes().first() {
            Some(b',') => rest = &after[1..],
            Some(_) => return (row, &after[1..]),
            None => return (row, after),
        }
    }
}

fn parse_field(text: &str) -> (Option<String>, &str) {
    let Some(mut rest) = text.strip_prefix('"') else {
        let end = text.find([',', '\n']).unwrap_or(text.len());
        let field = (end > 0).then(|| text[..end].to_owned());
        return (field, &text[end..]);
    };
    let mut field = String::new();
    while let Some(quote) = rest.find('"') {
        field.push_str(&rest[..quote]);
        rest = &rest[quote + 1..];
        match rest.strip_prefix('"') {
            Some(after) => {
                field.push('"');
                rest = after;
            }
            None => return (Some(field), rest),
        }
    }
    (Some(field), "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_null_and_quotes_are_undone() {
        let rows = parse("a,b,c\n1,,\"\"\n\"x,\"\"y\"\"\nz\",2,\n");
        let text = |t: &str| Some(t.to_owned());
        assert_eq!(rows[1], [text("1"), None, text("")]);
        assert_eq!(rows[2], [text("x,\"y\"\nz"), text("2"), None]);
        assert_eq!(rows.len(), 3);
    }
}
