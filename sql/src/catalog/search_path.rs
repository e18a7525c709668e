//! Which schemas an unqualified name is looked up in: the setting `search_path`.

use crate::catalog::quote::split_names;

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
        // An empty name is how clients write "no schema at all": SET search_path = ''.
        let mut schemas = split_names(text, ',')?;
        schemas.retain(|name| !name.is_empty());
        Some(Self { schemas, user: user.to_owned() })
    }
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
