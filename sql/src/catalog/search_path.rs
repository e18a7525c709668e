//! Which schemas an unqualified name is looked up in: the setting `search_path`.

/// The setting, as names. Which of them exist is a question to the catalog.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SearchPath {
    /// Schema names in order, as given; `$user` stands for the schema named like the role.
    pub schemas: Vec<String>,
    /// The role `$user` stands for.
    pub user: String,
}

impl SearchPath {
    /// PostgreSQL's default: `"$user", public`.
    pub fn default_for(user: &str) -> Self {
        Self { schemas: vec!["$user".to_owned(), "public".to_owned()], user: user.to_owned() }
    }

    /// The names with `$user` replaced.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.schemas.iter().map(|name| match name.as_str() {
            "$user" => self.user.as_str(),
            name => name,
        })
    }

    /// Reads the setting's text: names separated by commas, in double quotes where they must be.
    /// `None` where it is malformed.
    pub fn parse(text: &str, user: &str) -> Option<Self> {
        let mut schemas = Vec::new();
        let mut rest = text.trim_start();
        if rest.is_empty() {
            return Some(Self { schemas, user: user.to_owned() });
        }
        loop {
            let (name, after) = parse_name(rest)?;
            // An empty name is how clients write "no schema at all": SET search_path = ''.
            if !name.is_empty() {
                schemas.push(name);
            }
            rest = after.trim_start();
            match rest.strip_prefix(',') {
                Some(after) => rest = after.trim_start(),
                None if rest.is_empty() => break,
                None => return None,
            }
        }
        Some(Self { schemas, user: user.to_owned() })
    }
}

fn parse_name(text: &str) -> Option<(String, &str)> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find(|c: char| c == ',' || c.is_whitespace()).unwrap_or(text.len());
        return (end > 0).then(|| (text[..end].to_lowercase(), &text[end..]));
    };
    let mut name = String::new();
    let mut chars = quoted.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' if quoted[at + 1..].starts_with('"') => {
                chars.next();
                name.push('"');
            }
            '"' => return Some((name, &quoted[at + 1..])),
            c => name.push(c),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_setting_is_read_as_postgresql_reads_it() {
        let parse = |text| SearchPath::parse(text, "terrane").map(|path| path.schemas);
        let names = |names: &[&str]| Some(names.iter().map(|n| (*n).to_owned()).collect());
        assert_eq!(parse("\"$user\", public"), names(&["$user", "public"]));
        assert_eq!(parse("A , \"B\"\"c\""), names(&["a", "B\"c"]));
        assert_eq!(parse(""), names(&[]));
        assert_eq!(parse("\"\""), names(&[]));
        assert_eq!(parse("a,"), None);
        assert_eq!(parse("a b"), None);
        assert_eq!(parse("\"a"), None);
        let path = SearchPath::default_for("me");
        assert_eq!(path.names().collect::<Vec<_>>(), ["me", "public"]);
    }
}
