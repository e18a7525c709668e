//! Which rows a batch has looked at: programs on one row end in one mutation.
//!
//! While programs come in ascending order of their rows, as those of a load do, each is on a row of its own and
//! nothing need be remembered.

use bytes::Bytes;
use hashbrown::HashMap;
use terrane_client::ids::StorageId;
use terrane_client::program::RowProgram;

/// See the module's documentation.
#[derive(Default)]
pub(super) struct Places<'p> {
    rows: HashMap<(StorageId, &'p Bytes), usize>,
    /// Some program's row did not come after the one before's.
    is_unordered: bool,
}

impl<'p> Places<'p> {
    /// The row of the program at `place`, where an earlier one was on it.
    pub(super) fn find(&mut self, programs: &'p [RowProgram], place: usize) -> Option<usize> {
        let row_of = |program: &'p RowProgram| (program.table, &program.key);
        if !self.is_unordered {
            let before = place.checked_sub(1).map(|before| row_of(&programs[before]));
            if before.is_none_or(|before| before < row_of(&programs[place])) {
                return None;
            }
            self.is_unordered = true;
            // So far every program had a row of its own.
            self.rows.reserve(programs.len());
            self.rows.extend(programs[..place].iter().map(row_of).zip(0..));
        }
        self.rows.get(&row_of(&programs[place])).copied()
    }

    /// Notes the row that the program at `place` is the first on.
    pub(super) fn add(&mut self, programs: &'p [RowProgram], place: usize, at: usize) {
        if self.is_unordered {
            self.rows.insert((programs[place].table, &programs[place].key), at);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terrane_client::program::{Action, Guard, Returning};

    /// For each program the number of its row, in order of first appearance.
    fn rows_of(rows: &[(u64, &'static str)]) -> Vec<usize> {
        let program = |(table, key): &(u64, &'static str)| RowProgram {
            table: StorageId(*table),
            schema_version: 0,
            key: Bytes::from_static(key.as_bytes()),
            guard: Guard::Any,
            condition: None,
            action: Action::Check,
            returning: Returning::Nothing,
        };
        let programs: Vec<RowProgram> = rows.iter().map(program).collect();
        let (mut places, mut count) = (Places::default(), 0);
        (0..programs.len())
            .map(|place| {
                places.find(&programs, place).unwrap_or_else(|| {
                    places.add(&programs, place, count);
                    count += 1;
                    count - 1
                })
            })
            .collect()
    }

    #[test]
    fn programs_on_one_row_are_found_in_any_order() {
        assert!(rows_of(&[]).is_empty());
        assert_eq!(rows_of(&[(1, "a"), (1, "b"), (1, "c")]), [0, 1, 2]);
        assert_eq!(rows_of(&[(1, "a"), (1, "a"), (1, "b"), (1, "a")]), [0, 0, 1, 0]);
        assert_eq!(rows_of(&[(1, "b"), (1, "c"), (1, "a"), (1, "c"), (1, "a")]), [0, 1, 2, 1, 2]);
        // A key of another table is another row.
        assert_eq!(rows_of(&[(1, "a"), (2, "a"), (1, "b"), (2, "a"), (1, "a")]), [0, 1, 2, 1, 0]);
    }
}
