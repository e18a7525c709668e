//! Scans that give more than the newest version of each row.

use crate::ids::CommitTs;

/// Which versions a scan gives.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Versions {
    /// Each row once, as it is at the read's timestamp.
    #[default]
    Newest,
    /// Each row once for every timestamp that one of the selected cells was written at, newest first, with what was to
    /// be seen of it then of the cells that live; [`super::Projected::Version`] is that timestamp. A row without any
    /// cell is there once, at its version.
    Rows(Selection),
    /// A row for each selected cell, by column, newest first: [`super::Projected::CellColumn`],
    /// [`super::Projected::CellValue`], and [`super::Projected::Version`] is when it was written. Of columns only those of the key
    /// can be projected.
    Cells(Selection),
}

/// Some of the cells that live at a read's timestamp.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Selection {
    /// Of each column of a row so many of the newest.
    pub latest_n: Option<u32>,
    /// Only those written after this.
    pub after: Option<CommitTs>,
    /// Only those written before this.
    pub before: Option<CommitTs>,
}

impl Versions {
    /// What is selected; `None` where each row comes once, as it is.
    pub fn selection(&self) -> Option<Selection> {
        match self {
            Self::Newest => None,
            Self::Rows(selection) | Self::Cells(selection) => Some(*selection),
        }
    }
}

impl Selection {
    /// True where everything that lives is selected.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }

    /// True where a cell written then may be selected.
    pub fn contains(&self, written: CommitTs) -> bool {
        self.after.is_none_or(|after| written > after)
            && self.before.is_none_or(|before| written < before)
    }
}
