//! COPY's options, checked as PostgreSQL checks them, with its messages.

use crate::error::{SqlError, SqlState};

/// An option as it is written: its name in lower case, and its value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawOption {
    /// Lower case.
    pub name: String,
    /// What follows it.
    pub value: RawValue,
}

/// An option's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RawValue {
    /// Nothing: true.
    None,
    /// A word, number or string.
    Word(String),
    /// `*`
    Star,
    /// `(a, b)`
    List(Vec<String>),
}

/// The data's format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyFormat {
    /// Tabs and backslashes.
    #[default]
    Text,
    /// Commas and quotes.
    Csv,
    /// Binary.
    Binary,
}

/// What the first line is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CopyHeader {
    /// Data.
    #[default]
    None,
    /// Column names: skipped, or written.
    Names,
    /// Column names that must be right.
    Match,
}

/// Checked options.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CopyOptions {
    /// The format.
    pub format: CopyFormat,
    /// Between fields.
    pub delimiter: u8,
    /// What NULL looks like.
    pub null: String,
    /// The first line.
    pub header: CopyHeader,
    /// CSV's quote.
    pub quote: u8,
    /// CSV's escape.
    pub escape: u8,
    /// Per column: quoted always.
    pub force_quote: Vec<bool>,
    /// Per column: NULL's look is not NULL.
    pub force_not_null: Vec<bool>,
    /// Per column: NULL's look is NULL even if quoted.
    pub force_null: Vec<bool>,
    /// FREEZE: accepted, changes nothing.
    pub freeze: bool,
}

/// The columns that options may name.
#[derive(Clone, Copy, Debug)]
pub struct Columns<'a> {
    /// The table; `None` for a query.
    pub table: Option<&'a str>,
    /// All of its columns.
    pub all: &'a [&'a str],
    /// Those that are copied, in order.
    pub copied: &'a [&'a str],
}

impl Columns<'_> {
    fn position(&self, wanted: &str, option: &str) -> Result<usize, SqlError> {
        if let Some(at) = self.copied.iter().position(|c| *c == wanted) {
            return Ok(at);
        }
        let (state, message) = match (self.all.contains(&wanted), self.table) {
            (true, _) => (
                SqlState::INVALID_COLUMN_REFERENCE,
                format!(
                    "{} column \"{wanted}\" not referenced by COPY",
                    option.to_ascii_uppercase()
                ),
            ),
            (false, Some(table)) => (
                SqlState::UNDEFINED_COLUMN,
                format!("column \"{wanted}\" of relation \"{table}\" does not exist"),
            ),
            (false, None) => {
                (SqlState::UNDEFINED_COLUMN, format!("column \"{wanted}\" does not exist"))
            }
        };
        Err(SqlError::new(state, message))
    }
}

impl CopyOptions {
    /// A format's defaults, for this many columns.
    pub fn new(format: CopyFormat, columns: usize) -> Self {
        let csv = format == CopyFormat::Csv;
        Self {
            format,
            delimiter: if csv { b',' } else { b'\t' },
            null: if csv { String::new() } else { "\\N".to_owned() },
            header: CopyHeader::None,
            quote: b'"',
            escape: b'"',
            force_quote: vec![false; columns],
            force_not_null: vec![false; columns],
            force_null: vec![false; columns],
            freeze: false,
        }
    }

    /// Checks options for COPY of these columns, FROM (`from`) or TO.
    pub fn check(raw: &[RawOption], columns: Columns<'_>, from: bool) -> Result<Self, SqlError> {
        let format = match find(raw, "format")? {
            None => CopyFormat::Text,
            Some(value) => match word("format", value)?.to_ascii_lowercase().as_str() {
                "text" => CopyFormat::Text,
                "csv" => CopyFormat::Csv,
                "binary" => CopyFormat::Binary,
                other => {
                    return Err(invalid(format!("COPY format \"{other}\" not recognized")));
                }
            },
        };
        let mut options = Self::new(format, columns.copied.len());
        for option in raw {
            if !KNOWN.contains(&option.name.as_str()) {
                return Err(SqlError::syntax(format!("option \"{}\" not recognized", option.name)));
            }
            find(raw, &option.name)?;
        }
        options.freeze = find(raw, "freeze")?.is_some_and(|v| *v != RawValue::Word("false".into()));
        options.check_encoding(raw)?;
        options.check_delimiters(raw)?;
        options.check_header(raw, from)?;
        options.check_quotes(raw)?;
        options.check_columns(raw, columns, from)?;
        options.check_null()?;
        Ok(options)
    }

    fn is_csv(&self) -> bool {
        self.format == CopyFormat::Csv
    }

    fn check_encoding(&self, raw: &[RawOption]) -> Result<(), SqlError> {
        let Some(value) = find(raw, "encoding")? else { return Ok(()) };
        let name: String = word("encoding", value)?
            .chars()
            .filter(char::is_ascii_alphanumeric)
            .map(|c| c.to_ascii_lowercase())
            .collect();
        match name.as_str() {
            "utf8" | "unicode" => Ok(()),
            "" => Err(invalid("argument to option \"encoding\" must be a valid encoding name")),
            _ => Err(SqlError::unsupported("COPY supports encoding UTF8 only")),
        }
    }

    fn check_delimiters(&mut self, raw: &[RawOption]) -> Result<(), SqlError> {
        if let Some(value) = find(raw, "delimiter")? {
            if self.format == CopyFormat::Binary {
                return Err(SqlError::syntax("cannot specify DELIMITER in BINARY mode"));
            }
            self.delimiter = one_byte("delimiter", word("delimiter", value)?)?;
        }
        if let Some(value) = find(raw, "null")? {
            if self.format == CopyFormat::Binary {
                return Err(SqlError::syntax("cannot specify NULL in BINARY mode"));
            }
            self.null = word("null", value)?.to_owned();
        }
        if matches!(self.delimiter, b'\r' | b'\n') {
            return Err(invalid("COPY delimiter cannot be newline or carriage return"));
        }
        if self.null.contains(['\r', '\n']) {
            return Err(invalid("COPY null representation cannot use newline or carriage return"));
        }
        let taken = |b: u8| matches!(b, b'\\' | b'.' | b'a'..=b'z' | b'0'..=b'9');
        if !self.is_csv() && taken(self.delimiter) {
            return Err(invalid(format!(
                "COPY delimiter cannot be \"{}\"",
                char::from(self.delimiter)
            )));
        }
        Ok(())
    }

    fn check_header(&mut self, raw: &[RawOption], from: bool) -> Result<(), SqlError> {
        self.header = match find(raw, "header")? {
            None => CopyHeader::None,
            Some(RawValue::None) => CopyHeader::Names,
            Some(value) => match word("header", value)?.to_ascii_lowercase().as_str() {
                "true" | "on" | "1" => CopyHeader::Names,
                "false" | "off" | "0" => CopyHeader::None,
                "match" if from => CopyHeader::Match,
                "match" => {
                    return Err(SqlError::unsupported(
                        "cannot use \"match\" with HEADER in COPY TO",
                    ));
                }
                _ => {
                    return Err(SqlError::syntax("header requires a Boolean value or \"match\""));
                }
            },
        };
        if self.format == CopyFormat::Binary && self.header != CopyHeader::None {
            return Err(SqlError::unsupported("cannot specify HEADER in BINARY mode"));
        }
        Ok(())
    }

    fn check_quotes(&mut self, raw: &[RawOption]) -> Result<(), SqlError> {
        if let Some(value) = find(raw, "quote")? {
            if !self.is_csv() {
                return Err(SqlError::unsupported("COPY quote available only in CSV mode"));
            }
            self.quote = one_byte("quote", word("quote", value)?)?;
            self.escape = self.quote;
        }
        if let Some(value) = find(raw, "escape")? {
            if !self.is_csv() {
                return Err(SqlError::unsupported("COPY escape available only in CSV mode"));
            }
            self.escape = one_byte("escape", word("escape", value)?)?;
        }
        if self.is_csv() && self.delimiter == self.quote {
            return Err(invalid("COPY delimiter and quote must be different"));
        }
        Ok(())
    }

    fn check_columns(
        &mut self,
        raw: &[RawOption],
        columns: Columns<'_>,
        from: bool,
    ) -> Result<(), SqlError> {
        let csv = self.is_csv();
        let lists = [
            ("force_quote", "force quote", false, &mut self.force_quote),
            ("force_not_null", "force not null", true, &mut self.force_not_null),
            ("force_null", "force null", true, &mut self.force_null),
        ];
        for (name, shown, for_from, flags) in lists {
            let Some(value) = find(raw, name)? else { continue };
            if !csv {
                return Err(SqlError::unsupported(format!(
                    "COPY {shown} available only in CSV mode"
                )));
            }
            if from != for_from {
                let direction = if for_from { "FROM" } else { "TO" };
                return Err(SqlError::unsupported(format!(
                    "COPY {shown} only available using COPY {direction}"
                )));
            }
            match value {
                RawValue::Star if name == "force_quote" => flags.fill(true),
                RawValue::List(names) => {
                    for wanted in names {
                        flags[columns.position(wanted, name)?] = true;
                    }
                }
                _ => {
                    return Err(invalid(format!(
                        "argument to option \"{name}\" must be a list of column names"
                    )));
                }
            }
        }
        Ok(())
    }

    fn check_null(&self) -> Result<(), SqlError> {
        if self.format == CopyFormat::Binary {
            return Ok(());
        }
        if self.null.as_bytes().contains(&self.delimiter) {
            return Err(SqlError::unsupported(
                "COPY delimiter must not appear in the NULL specification",
            ));
        }
        if self.is_csv() && self.null.as_bytes().contains(&self.quote) {
            return Err(SqlError::unsupported(
                "CSV quote character must not appear in the NULL specification",
            ));
        }
        Ok(())
    }
}

const KNOWN: &[&str] = &[
    "format",
    "freeze",
    "delimiter",
    "null",
    "header",
    "quote",
    "escape",
    "force_quote",
    "force_not_null",
    "force_null",
    "encoding",
];

/// The one option of this name; 42601 if there are two.
fn find<'a>(raw: &'a [RawOption], name: &str) -> Result<Option<&'a RawValue>, SqlError> {
    let mut all = raw.iter().filter(|o| o.name == name);
    let first = all.next();
    match all.next() {
        Some(_) => Err(SqlError::syntax("conflicting or redundant options")),
        None => Ok(first.map(|o| &o.value)),
    }
}

fn word<'a>(name: &str, value: &'a RawValue) -> Result<&'a str, SqlError> {
    match value {
        RawValue::Word(word) => Ok(word),
        _ => Err(SqlError::syntax(format!("{name} requires a parameter"))),
    }
}

fn one_byte(name: &str, text: &str) -> Result<u8, SqlError> {
    match text.as_bytes() {
        [one] => Ok(*one),
        _ => Err(SqlError::unsupported(format!("COPY {name} must be a single one-byte character"))),
    }
}

#[cold]
fn invalid(message: impl Into<String>) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}
