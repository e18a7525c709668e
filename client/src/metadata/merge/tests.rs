#![allow(clippy::unwrap_used)]

use super::*;
use crate::ids::{CommitTs, Generation};
use crate::metadata::events::{EventKind, TabletEvent};
use crate::metadata::fixture::file;
use crate::metadata::split::{SplitIntent, children};
use crate::metadata::{codec, settled};
use crate::model::fixture::schema as table_schema;

fn tablet(start: &[u8], end: Option<&[u8]>, runs: &[&[FileRow]]) -> TabletRow {
    let (start, end) = (start.to_vec(), end.map(<[u8]>::to_vec));
    let mut row = TabletRow::empty(&table_schema(), start, end, "server", Generation(3));
    row.groups[0].runs = runs.iter().map(|files| RunRow { files: files.to_vec() }).collect();
    row
}

fn pair() -> (TabletRow, TabletRow) {
    let left = &[file("new", b"a", Some(b"c"))];
    let shared_left = &[file("low", b"a", Some(b"c")), file("both", b"c", Some(b"m"))];
    let right = &[file("both", b"m", Some(b"x")), file("high", b"x", None)];
    (tablet(b"a", Some(b"m"), &[left, shared_left]), tablet(b"m", None, &[right]))
}

/// Name and bounds of a file.
type Shown = (String, Vec<u8>, Option<Vec<u8>>);

fn shown(row: &TabletRow) -> Vec<Vec<Shown>> {
    let of_file = |file: &FileRow| (file.name.clone(), file.start.clone(), file.end.clone());
    let runs = row.runs_of(LocalityGroupId::default()).iter();
    runs.map(|run| run.files.iter().map(of_file).collect()).collect()
}

#[test]
fn the_oldest_runs_are_put_side_by_side_and_a_cut_file_is_whole_again() {
    let (left, right) = pair();
    let union = union(&left, &right, Seq(9)).unwrap();
    let of = |name: &str, start: &[u8], end: Option<&[u8]>| {
        (name.to_owned(), start.to_vec(), end.map(<[u8]>::to_vec))
    };
    let oldest =
        vec![of("low", b"a", Some(b"c")), of("both", b"c", Some(b"x")), of("high", b"x", None)];
    assert_eq!(shown(&union), [vec![of("new", b"a", Some(b"c"))], oldest]);
    assert_eq!((&union.start[..], union.end), (&b"a"[..], None));
    assert_eq!(union.groups[0].redo_point, Seq(9));
}

#[test]
fn the_union_is_as_new_as_the_newer_one() {
    let (mut left, mut right) = pair();
    (left.max_seq, right.max_seq) = (Seq(7), Seq(5));
    (left.max_commit_ts, right.max_commit_ts) = (CommitTs(1), CommitTs(2));
    (left.gc_floor, right.gc_floor) = (CommitTs(8), CommitTs(6));
    (left.version, right.version) = (70, 5);
    (left.is_start_chosen, right.is_start_chosen) = (false, true);
    left.groups[0].redo_point = Seq(6);
    let union = union(&left, &right, Seq(4)).unwrap();
    assert_eq!((union.max_seq, union.max_commit_ts), (Seq(7), CommitTs(2)));
    assert_eq!((union.gc_floor, union.version), (CommitTs(8), 6));
    assert_eq!((union.is_start_chosen, union.groups[0].redo_point), (false, Seq(6)));
}

#[test]
fn only_neighbours_of_one_owner_are_merged() {
    let (left, right) = pair();
    assert_eq!(union(&right, &left, Seq(1)), None);
    let elsewhere = TabletRow { server: "other".to_owned(), ..right.clone() };
    assert_eq!(union(&left, &elsewhere, Seq(1)), None);
    let later = TabletRow { generation: Generation(4), ..right.clone() };
    assert_eq!(union(&left, &later, Seq(1)), None);
    let intent = Some(SplitIntent { at: b"p".to_vec(), is_chosen: false });
    let splitting = TabletRow { split: intent, ..right };
    assert_eq!(union(&left, &splitting, Seq(1)), None);
}

/// What a split makes and a merge puts together again is what there was.
#[test]
fn a_merge_undoes_a_split() {
    let (left, right) = pair();
    let mut before = union(&left, &right, Seq(4)).unwrap();
    let event = |at_micros, kind| TabletEvent {
        at_micros,
        kind,
        reason: "request".to_owned(),
        micros: 7,
        bytes: 0,
    };
    before.events =
        vec![event(5, EventKind::Load), event(9, EventKind::Flush), event(9, EventKind::Merge)];
    for at in [&b"b"[..], b"c", b"f", b"m", b"z"] {
        let split = Some(SplitIntent { at: at.to_vec(), is_chosen: false });
        let (left, right) = children(&TabletRow { split, ..before.clone() }).unwrap();
        let again = union(&left, &right, Seq(4)).unwrap();
        assert_eq!(again.events, before.events, "what both have from their parent is there once");
        let mut names: Vec<_> = before.files().cloned().collect();
        let mut names_again: Vec<_> = again.files().cloned().collect();
        let key = |file: &FileRow| (file.name.clone(), file.start.clone());
        names.sort_by_key(key);
        names_again.sort_by_key(key);
        assert_eq!(names_again, names, "{at:?}");
    }
}

#[test]
fn settled_rows_tile_before_and_after_the_union() {
    let (mut left, right) = pair();
    let (plain_left, plain_right) = (left.clone(), right.clone());
    left.merge = Some(MergeIntent { right_end: None, right_version: right.version });
    let state = codec::state(&left).unwrap();
    assert_eq!(codec::parse_state(state.as_bytes()).unwrap(), left);
    assert_eq!(settled(vec![left.clone(), right.clone()]), [plain_left, plain_right]);
    let union = union(&left, &right, Seq(4)).unwrap();
    assert_eq!(settled(vec![left, union.clone()]), std::slice::from_ref(&union));
}
