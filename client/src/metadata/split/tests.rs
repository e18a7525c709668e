#![allow(clippy::unwrap_used)]

use super::*;
use crate::ids::{Generation, Seq};
use crate::metadata::fixture::file;
use crate::metadata::settled;
use crate::model::fixture::schema as table_schema;

fn parent(at: &[u8]) -> TabletRow {
    let end = Some(b"t".to_vec());
    let mut row = TabletRow::empty(&table_schema(), b"c".to_vec(), end, "server", Generation(3));
    row.max_seq = Seq(2);
    row.groups[0].redo_point = Seq(2);
    row.groups[0].runs = vec![
        RunRow { files: vec![file("both", b"a", None)] },
        RunRow { files: vec![file("left", b"d", Some(b"m")), file("right", b"m", Some(b"n"))] },
        RunRow { files: vec![file("older", b"d", Some(b"e"))] },
    ];
    row.split = Some(SplitIntent { at: at.to_vec(), is_chosen: false });
    row
}

#[test]
fn children_tile_their_parent_and_share_its_files() {
    let parent = parent(b"m");
    let (left, right) = children(&parent).unwrap();
    assert_eq!((left.start.clone(), left.end.clone()), (b"c".to_vec(), Some(b"m".to_vec())));
    assert_eq!((right.start.clone(), right.end.clone()), (b"m".to_vec(), Some(b"t".to_vec())));
    let names = |row: &TabletRow| row.files().map(|file| file.name.clone()).collect::<Vec<_>>();
    assert_eq!(names(&left), ["both", "left", "older"]);
    assert_eq!(names(&right), ["both", "right"]);
    let shared = left.files().next().unwrap();
    assert_eq!((&shared.start[..], shared.end.as_deref()), (&b"c"[..], Some(&b"m"[..])));
    for child in [left, right] {
        assert_eq!((child.max_seq, child.groups[0].redo_point), (Seq(2), Seq(2)));
        assert_eq!((child.generation, child.split), (Generation(3), None));
    }
}

#[test]
fn an_intent_outside_of_the_range_makes_no_children() {
    for at in [&b"a"[..], b"c", b"t", b"z"] {
        assert_eq!(children(&parent(at)), None, "{at:?}");
    }
}

#[test]
fn settled_rows_have_the_left_child_once() {
    let parent = parent(b"m");
    let (left, right) = children(&parent).unwrap();
    assert_eq!(settled(vec![parent.clone()]), [left.clone(), right.clone()]);
    assert_eq!(settled(vec![left.clone(), parent]), [left.clone(), right.clone()]);
    assert_eq!(settled(vec![left.clone(), right.clone()]), [left, right]);
}

#[test]
fn a_row_without_an_intent_is_stored_as_before() {
    let mut row = parent(b"m");
    assert!(codec::state(&row).unwrap().contains("split"));
    assert_eq!(codec::parse_state(codec::state(&row).unwrap().as_bytes()).unwrap(), row);
    row.split = None;
    assert!(!codec::state(&row).unwrap().contains("split"));
    assert_eq!(codec::parse_state(codec::state(&row).unwrap().as_bytes()).unwrap(), row);
}
