//! A format, taken apart.

/// A piece of a picture, whose patterns are `K`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Node<K> {
    /// A pattern.
    Pattern(Pattern<K>),
    /// A printable ASCII character that is no letter or digit.
    Separator(char),
    /// A blank.
    Space(char),
    /// Any other character, or one in quotes.
    Text(char),
}

/// A pattern, with what stands before and behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern<K> {
    /// What it stands for.
    pub key: K,
    /// As PostgreSQL writes it.
    pub name: &'static str,
    /// FM: no padding.
    pub bare: bool,
    /// TM: as the locale writes it, unpadded.
    pub translated: bool,
    /// TH or th.
    pub ordinal: Option<Ordinal>,
}

/// The ending of ordinal numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ordinal {
    /// ST, ND, RD, TH.
    Upper,
    /// st, nd, rd, th.
    Lower,
}

impl Ordinal {
    /// The ending of a number that ends with these digits.
    pub fn ending(self, digits: &str) -> &'static str {
        let mut last = digits.bytes().rev();
        let (unit, ten) = (last.next(), last.next());
        let (upper, lower) = match (ten, unit) {
            (Some(b'1'), _) => ("TH", "th"),
            (_, Some(b'1')) => ("ST", "st"),
            (_, Some(b'2')) => ("ND", "nd"),
            (_, Some(b'3')) => ("RD", "rd"),
            _ => ("TH", "th"),
        };
        match self {
            Self::Upper => upper,
            Self::Lower => lower,
        }
    }
}

/// True for what parts fields: printable ASCII that is no letter or digit.
pub fn is_separator(c: char) -> bool {
    c.is_ascii_graphic() && !c.is_ascii_alphanumeric()
}

/// C's isspace.
pub fn is_space(c: char) -> bool {
    matches!(c, ' ' | '\t'..='\r')
}

/// Takes a picture apart. Of `words` the first that fits is meant, in exactly these letters. Only pictures of dates
/// (`of_dates`) have prefixes, suffixes and separators.
pub fn parse<K: Copy>(text: &str, words: &[(&'static str, K)], of_dates: bool) -> Vec<Node<K>> {
    let mut nodes = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (mut bare, mut translated) = (false, false);
        if of_dates {
            match rest.get(..2) {
                Some("FM" | "fm") => bare = true,
                Some("TM" | "tm") => translated = true,
                _ => {}
            }
            if bare || translated {
                rest = &rest[2..];
            }
        }
        let Some(first) = rest.chars().next() else { break };
        if let Some((name, key)) = words.iter().find(|(name, _)| rest.starts_with(name)) {
            rest = &rest[name.len()..];
            let mut ordinal = None;
            if of_dates {
                let suffix = rest.get(..2).filter(|suffix| matches!(*suffix, "TH" | "th" | "SP"));
                ordinal = match suffix {
                    Some("TH") => Some(Ordinal::Upper),
                    Some("th") => Some(Ordinal::Lower),
                    _ => None,
                };
                rest = &rest[suffix.map_or(0, str::len)..];
            }
            nodes.push(Node::Pattern(Pattern { key: *key, name, bare, translated, ordinal }));
            continue;
        }
        if first == '"' {
            rest = quoted(&rest[1..], &mut nodes);
            continue;
        }
        // Outside of quotes a backslash means something only before one.
        let first = if rest.starts_with("\\\"") { '"' } else { first };
        rest = &rest[if rest.starts_with("\\\"") { 2 } else { first.len_utf8() }..];
        nodes.push(match first {
            c if of_dates && is_separator(c) => Node::Separator(c),
            c if is_space(c) => Node::Space(c),
            c => Node::Text(c),
        });
    }
    nodes
}

/// Takes what is up to the closing quote; answers what follows it.
fn quoted<'a, K>(text: &'a str, nodes: &mut Vec<Node<K>>) -> &'a str {
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return &text[at + 1..],
            '\\' => nodes.push(Node::Text(chars.next().map_or('\\', |(_, escaped)| escaped))),
            c => nodes.push(Node::Text(c)),
        }
    }
    ""
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_picture_apart() {
        let words = [("DD", 2), ("D", 1)];
        let pattern = |key, name, bare, ordinal| {
            Node::Pattern(Pattern { key, name, bare, translated: false, ordinal })
        };
        let nodes = parse("FMDDth-D x\"D\\\"\" \\\"ü", &words, true);
        assert_eq!(
            nodes,
            [
                pattern(2, "DD", true, Some(Ordinal::Lower)),
                Node::Separator('-'),
                pattern(1, "D", false, None),
                Node::Space(' '),
                Node::Text('x'),
                Node::Text('D'),
                Node::Text('"'),
                Node::Space(' '),
                Node::Separator('"'),
                Node::Text('ü'),
            ]
        );
        let of_numbers = parse("DDth-", &words, false);
        assert_eq!(of_numbers.len(), 4, "{of_numbers:?}");
    }
}
