//! What a repair would do about a finding, in words: none is built.

use super::finding::{Finding, KeyHex, Problem, Range};

impl Finding {
    /// What a repair would do.
    pub fn repair(&self) -> String {
        let file = self.file.as_deref().unwrap_or_default();
        let tablet = self.tablet.clone().unwrap_or_default();
        let drop_reference = |rows: u64| {
            format!("drop the reference to {file} from tablet {tablet}, losing {rows} row versions")
        };
        match &self.problem {
            Problem::Orphan | Problem::Stray => format!("remove {file}"),
            Problem::Lost { rows } | Problem::WrongTable { rows, .. } => drop_reference(*rows),
            Problem::Unreadable { rows, .. } | Problem::Damaged { rows, .. } => format!(
                "write {file} again without what is damaged; or, where nothing of it can be read, {}",
                drop_reference(*rows)
            ),
            Problem::WrongSize { .. }
            | Problem::WrongRows { .. }
            | Problem::WrongSeqs { .. }
            | Problem::WrongTimestamps { .. } => {
                format!("say in METADATA what {file} says of itself")
            }
            Problem::WrongGroup { found, .. } => {
                format!("move the reference to {file} to locality group {}", found.0)
            }
            Problem::BoundsLeaveOut { keys } => {
                format!("widen the bounds of {file} in tablet {tablet} to {keys}")
            }
            Problem::NamedTwice => format!(
                "cut the bounds of this reference to {file} from tablet {tablet} down to what no other has, losing no row"
            ),
            Problem::NoBounds | Problem::NoRowsInside => {
                format!("drop this reference to {file} from tablet {tablet}, losing no row")
            }
            Problem::NotAscending { .. } => {
                format!("give {file} a run of its own in tablet {tablet}")
            }
            Problem::AboveTablet { max_seq, max_commit_ts } => format!(
                "raise tablet {tablet} to sequence number {} and timestamp {}",
                max_seq.0, max_commit_ts.0
            ),
            Problem::AboveRedoPoint { max_seq } => {
                format!("raise the redo point of tablet {tablet} to {}", max_seq.0)
            }
            other => other.repair_of_tablet(&tablet),
        }
    }
}

impl Problem {
    /// What a repair would do to a tablet's row, its table or its log.
    fn repair_of_tablet(&self, tablet: &Range) -> String {
        match self {
            Self::Hole(hole) if tablet.end.as_ref() == Some(&hole.start) => format!(
                "extend the end of tablet {tablet} to {}; what rows were there stays lost",
                KeyHex(hole.end.as_deref().unwrap_or_default())
            ),
            Self::Hole(hole) => format!(
                "extend the start of tablet {tablet} to {}; what rows were there stays lost",
                KeyHex(&hole.start)
            ),
            Self::Overlap(other) => repair_of_overlap(tablet, other),
            Self::EmptyTablet => format!("remove tablet {tablet} from METADATA"),
            Self::Misnamed => "write the row under its own key, and remove this one".to_owned(),
            Self::NoSchema => "do nothing without the schema: take the lock service of a backup \
                               with all that is beside it"
                .to_owned(),
            Self::UnusedSchema => "remove the schema".to_owned(),
            Self::UnknownGroup(group) => {
                format!("drop locality group {} from tablet {tablet}", group.0)
            }
            Self::RedoBeyondLog { redo_point, .. } => {
                format!("number what is committed next from {} on", redo_point.0.saturating_add(1))
            }
            Self::LogDamaged { .. } => "cut the log before the damage, losing every commit behind \
                                        it that no file has"
                .to_owned(),
            Self::LogMissing { .. } => {
                "start with an empty log, losing every commit that no file has".to_owned()
            }
            Self::LogCut { .. } => "leave it out, as every start does".to_owned(),
            _ => "do nothing".to_owned(),
        }
    }
}

/// Each key goes to one of two tablets, and no file is forgotten.
fn repair_of_overlap(tablet: &Range, other: &Range) -> String {
    if other.start > tablet.start {
        let start = KeyHex(&other.start);
        return format!(
            "cut the end of tablet {tablet} to {start}, and name its files in tablet {other}, too"
        );
    }
    match &tablet.end {
        Some(end) if other.end.as_ref().is_none_or(|other_end| other_end > end) => {
            let end = KeyHex(end);
            format!(
                "cut the start of tablet {other} to {end}, and name its files in tablet {tablet}, \
                 too"
            )
        }
        _ => format!("remove tablet {other}, and name its files in tablet {tablet}"),
    }
}
