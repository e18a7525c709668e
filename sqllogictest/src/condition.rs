//! `skipif LABEL` and `onlyif LABEL`: which records are meant for whom.

/// A condition before a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition<'a> {
    /// Not for those with the label.
    SkipIf(&'a str),
    /// Only for those with it.
    OnlyIf(&'a str),
}

impl Condition<'_> {
    /// Whether it lets one with these labels run the record.
    pub fn admits(self, labels: &[String]) -> bool {
        match self {
            Self::SkipIf(label) => !labels.iter().any(|l| l == label),
            Self::OnlyIf(label) => labels.iter().any(|l| l == label),
        }
    }
}

impl<'a> From<&'a sqllogictest::Condition> for Condition<'a> {
    fn from(condition: &'a sqllogictest::Condition) -> Self {
        match condition {
            sqllogictest::Condition::OnlyIf { label } => Self::OnlyIf(label),
            sqllogictest::Condition::SkipIf { label } => Self::SkipIf(label),
        }
    }
}
