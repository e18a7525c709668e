//! Which files of a merge meet, by their key bounds.
//!
//! A file that no other file of the merge meets holds all that is known of its keys there: it can be taken
//! over as it is. So loading rows in key order rewrites nothing, and a merge into the base rewrites only the base
//! files that newer rows fall into.

use terrane_client::metadata::FileRow;

/// A file of a merge: which run it is of, newest first, and which file of that run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The run.
    pub run: usize,
    /// The file.
    pub file: usize,
}

/// Groups files whose key bounds meet, directly or through others. Groups ascend by key and do not meet;
/// inside a group files ascend by run, then key.
pub fn groups(runs: &[&[FileRow]]) -> Vec<Vec<Place>> {
    let mut all: Vec<(Place, &FileRow)> = Vec::new();
    for (run, files) in runs.iter().enumerate() {
        all.extend(files.iter().enumerate().map(|(file, row)| (Place { run, file }, row)));
    }
    all.sort_by(|(_, a), (_, b)| a.start.cmp(&b.start));
    let mut groups: Vec<Vec<Place>> = Vec::new();
    // The end of the group so far; the outer None is "no group yet", the inner one "unbounded".
    let mut reach: Option<Option<&[u8]>> = None;
    for (place, row) in all {
        let end = row.end.as_deref();
        let meets = match reach {
            None => false,
            Some(None) => true,
            Some(Some(reach)) => row.start.as_slice() < reach,
        };
        if meets && let Some(group) = groups.last_mut() {
            group.push(place);
            reach = reach.map(|reach| match (reach, end) {
                (Some(a), Some(b)) => Some(a.max(b)),
                _ => None,
            });
        } else {
            groups.push(vec![place]);
            reach = Some(end);
        }
    }
    for group in &mut groups {
        group.sort_unstable();
    }
    groups
}

#[cfg(test)]
mod tests {
    use super::*;
    use terrane_client::ids::{CommitTs, Seq};

    fn file(start: &str, end: Option<&str>) -> FileRow {
        FileRow {
            name: String::new(),
            size_bytes: 0,
            rows: 0,
            start: start.into(),
            end: end.map(Into::into),
            min_seq: Seq(0),
            max_seq: Seq(0),
            max_commit_ts: CommitTs(0),
        }
    }

    fn places(groups: Vec<Vec<Place>>) -> Vec<Vec<(usize, usize)>> {
        let pairs = |group: Vec<Place>| group.iter().map(|p| (p.run, p.file)).collect();
        groups.into_iter().map(pairs).collect()
    }

    #[test]
    fn rows_loaded_in_key_order_meet_nothing() {
        let (a, b, c) = ([file("c", Some("d"))], [file("b", Some("c"))], [file("a", Some("b"))]);
        let found = places(groups(&[&a, &b, &c]));
        assert_eq!(found, [vec![(2, 0)], vec![(1, 0)], vec![(0, 0)]]);
    }

    #[test]
    fn files_meet_through_others_and_a_bound_is_exclusive() {
        let newer = [file("b", Some("d"))];
        let base =
            [file("a", Some("b")), file("b", Some("c")), file("c", Some("e")), file("e", None)];
        let found = places(groups(&[&newer, &base]));
        assert_eq!(found, [vec![(1, 0)], vec![(0, 0), (1, 1), (1, 2)], vec![(1, 3)]]);
        let everywhere = [file("", None)];
        assert_eq!(groups(&[&everywhere, &base]).len(), 1);
        assert!(groups(&[]).is_empty());
    }
}
