//! Which files of a merge meet, by their key bounds.
//!
//! A file that no other file of the merge meets holds all that is known of its keys there: it can be taken
//! over as it is. So loading rows in key order rewrites nothing, and a merge into the base rewrites only the base
//! files that newer rows fall into. But small files side by side are worth writing again as one: each costs a
//! descriptor and a line in METADATA.

use super::pick::{Kind, Pick};
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

/// Small neighbours that are gathered need not fill a file if there are this many.
const GATHERED_FILES_MIN: usize = 8;

/// A file that is worth joining with its neighbours.
fn is_small(size_bytes: u64, file_bytes: u64) -> bool {
    size_bytes < file_bytes / 2
}

/// How many of the runs' files are small.
pub fn small_files(runs: &[&[FileRow]], file_bytes: u64) -> usize {
    let files = runs.iter().copied().flatten();
    files.filter(|file| is_small(file.size_bytes, file_bytes)).count()
}

/// Joins neighbouring groups of one small file each. What is joined makes at least half a file, or takes
/// many files: so no byte is written again and again for the sake of its neighbours.
pub fn join_small(
    groups: Vec<Vec<Place>>,
    size: impl Fn(Place) -> u64,
    file_bytes: u64,
) -> Vec<Vec<Place>> {
    let small = |group: &Vec<Place>| match group.as_slice() {
        [alone] => Some(size(*alone)).filter(|size| is_small(*size, file_bytes)),
        _ => None,
    };
    let mut joined: Vec<Vec<Place>> = Vec::with_capacity(groups.len());
    let mut stretch: Vec<Vec<Place>> = Vec::new();
    let mut stretch_bytes = 0;
    let end_stretch = |stretch: &mut Vec<Vec<Place>>, bytes: &mut u64, out: &mut Vec<_>| {
        let is_worth_it = *bytes >= file_bytes / 2 || stretch.len() >= GATHERED_FILES_MIN;
        match stretch.len() >= 2 && is_worth_it {
            true => {
                let mut group = stretch.concat();
                group.sort_unstable();
                out.push(group);
                stretch.clear();
            }
            false => out.append(stretch),
        }
        *bytes = 0;
    };
    for group in groups {
        match small(&group) {
            Some(bytes) => {
                if stretch_bytes + bytes > file_bytes {
                    end_stretch(&mut stretch, &mut stretch_bytes, &mut joined);
                }
                stretch_bytes += bytes;
                stretch.push(group);
            }
            None => {
                end_stretch(&mut stretch, &mut stretch_bytes, &mut joined);
                joined.push(group);
            }
        }
    }
    end_stretch(&mut stretch, &mut stretch_bytes, &mut joined);
    joined
}

/// The newest run with small files that are worth joining, by itself.
pub fn pick_scattered(runs: &[&[FileRow]], file_bytes: u64) -> Option<Pick> {
    let is_scattered = |files: &&[FileRow]| {
        let size = |place: Place| files[place.file].size_bytes;
        join_small(groups(&[files]), size, file_bytes).iter().any(|group| group.len() > 1)
    };
    let at = runs.iter().position(is_scattered)?;
    let is_base = at + 1 == runs.len();
    Some(Pick { runs: at..at + 1, kind: if is_base { Kind::Major } else { Kind::Merging } })
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

    #[test]
    fn small_neighbours_are_joined_once_they_make_half_a_file() {
        let alone = |file| vec![Place { run: 0, file }];
        let sizes = [10, 10, 90, 10, 20, 30, 10, 10];
        let size = |place: Place| sizes[place.file];
        let groups: Vec<_> = (0..sizes.len()).map(alone).collect();
        let joined = places(join_small(groups.clone(), size, 100));
        let expected = vec![
            // 20 bytes are not worth it; 90 are no small file; 10 + 20 + 30 + 10 + 10 are.
            vec![(0, 0)],
            vec![(0, 1)],
            vec![(0, 2)],
            vec![(0, 3), (0, 4), (0, 5), (0, 6), (0, 7)],
        ];
        assert_eq!(joined, expected);
        // Many tiny ones are worth it; what meets others stays apart.
        let groups: Vec<_> = (0..9).map(alone).collect();
        assert_eq!(join_small(groups, |_| 1, 100).len(), 1);
        let both = vec![Place { run: 0, file: 0 }, Place { run: 1, file: 0 }];
        assert_eq!(join_small(vec![both.clone(), both], |_| 1, 2).len(), 2);
        // A joined file is about one file long.
        let groups: Vec<_> = (0..40).map(alone).collect();
        let joined = join_small(groups, |_| 10, 100);
        assert!(joined.iter().all(|group| group.len() == 10), "{joined:?}");
    }

    #[test]
    fn a_run_of_small_files_is_picked_and_one_of_large_ones_is_not() {
        let sized = |start, end, size_bytes| FileRow { size_bytes, ..file(start, Some(end)) };
        let small = [sized("a", "b", 30), sized("b", "c", 30)];
        let large = [sized("a", "b", 60), sized("b", "c", 30)];
        let picked = |runs: &[&[FileRow]]| pick_scattered(runs, 100).map(|p| (p.runs, p.kind));
        assert_eq!(picked(&[&large, &small]), Some((1..2, Kind::Major)));
        assert_eq!(picked(&[&small, &large]), Some((0..1, Kind::Merging)));
        assert_eq!(picked(&[&large, &large]), None);
        assert_eq!((small_files(&[&large, &small], 100), small_files(&[], 100)), (3, 0));
    }
}
