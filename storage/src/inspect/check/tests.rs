//! Rows and files made up, each with one thing wrong.

use super::*;
use crate::inspect::evidence::SchemaFacts;
use crate::inspect::metadata::{StoredTablet, settled};
use crate::log::LogError;
use crate::sstable::{Properties, SstableError};
use terrane_client::ids::{CommitTs, Generation, LocalityGroupId, Seq};
use terrane_client::metadata::merge::{self, MergeIntent};
use terrane_client::metadata::split::{self, SplitIntent};
use terrane_client::metadata::{RunRow, root};

const TABLE: StorageId = StorageId(1000);

fn file_row(name: &str, start: &str, last: &str) -> FileRow {
    FileRow {
        name: name.to_owned(),
        size_bytes: 500,
        rows: 10,
        start: start.into(),
        end: Some([last.as_bytes(), &[0]].concat()),
        min_seq: Seq(1),
        max_seq: Seq(20),
        max_commit_ts: CommitTs(30),
    }
}

fn tablet_row(start: &str, end: Option<&str>, runs: Vec<Vec<FileRow>>) -> TabletRow {
    let runs = runs.into_iter().map(|files| RunRow { files }).collect();
    TabletRow {
        table: TABLE,
        start: start.into(),
        end: end.map(Into::into),
        server: "s".to_owned(),
        generation: Generation(1),
        version: 1,
        max_seq: Seq(20),
        max_commit_ts: CommitTs(30),
        gc_floor: CommitTs(0),
        groups: vec![GroupRow { group: LocalityGroupId(0), redo_point: Seq(20), runs }],
        split: None,
        merge: None,
        is_start_chosen: false,
        purged: None,
        events: Vec::new(),
    }
}

/// What the file of a row would be.
fn facts(file: &FileRow) -> FileFacts {
    let last = file.end.as_ref().map(|end| end[..end.len() - 1].to_vec()).unwrap_or_default();
    FileFacts {
        size_bytes: file.size_bytes,
        properties: Properties {
            storage: TABLE.0,
            rows: file.rows,
            min_seq: file.min_seq.0,
            max_seq: file.max_seq.0,
            max_commit_ts: file.max_commit_ts.0,
            ..Properties::default()
        },
        bounds: Some((file.start.clone().into(), last.into())),
        problems: Vec::new(),
    }
}

/// Evidence in which everything named is as it is named.
fn evidence(rows: Vec<TabletRow>) -> Evidence {
    let mut evidence = Evidence { is_complete: true, ..Evidence::default() };
    let schema = SchemaFacts { name: "t".to_owned(), groups: vec![LocalityGroupId(0)] };
    evidence.schemas.insert(TABLE, schema);
    let log = LogState::Read { last_seq: Seq(20), cut: Vec::new() };
    evidence.logs.insert(("s".to_owned(), LogPurpose::Users), log);
    for row in &rows {
        let runs = row.groups.iter().flat_map(|group| &group.runs);
        for file in runs.flat_map(|run| &run.files) {
            let name = FileName { table: TABLE, name: file.name.clone() };
            evidence.listed.insert(name.clone());
            evidence.files.insert(name, FileState::Read(facts(file)));
        }
    }
    let stored = |row: TabletRow| {
        let key = codec::row_key(row.table, row.end.as_deref()).unwrap();
        StoredTablet { key: Some(key), row }
    };
    evidence.tablets = rows.into_iter().map(stored).collect();
    evidence
}

fn problems(evidence: &Evidence) -> Vec<Problem> {
    check(evidence).into_iter().map(|finding| finding.problem).collect()
}

fn range(start: &str, end: Option<&str>) -> Range {
    Range { start: start.into(), end: end.map(Into::into) }
}

fn two_tablets() -> Vec<TabletRow> {
    vec![
        tablet_row("", Some("m"), vec![vec![file_row("1-1.sst", "a", "c")]]),
        tablet_row("m", None, vec![vec![file_row("1-2.sst", "m", "x")]]),
    ]
}

/// One tablet with one file, changed.
fn changed(change: impl FnOnce(&mut FileFacts)) -> Vec<Problem> {
    let file = file_row("1-1.sst", "a", "c");
    let mut evidence = evidence(vec![tablet_row("", None, vec![vec![file.clone()]])]);
    let name = FileName { table: TABLE, name: file.name.clone() };
    let mut found = facts(&file);
    change(&mut found);
    evidence.files.insert(name, FileState::Read(found));
    problems(&evidence)
}

#[test]
fn what_is_as_it_is_named_has_no_finding() {
    assert_eq!(check(&evidence(two_tablets())), []);
    assert_eq!(changed(|_| {}), []);
}

/// A split, at its commit, half way and at its end (rule 19): nothing is wrong.
#[test]
fn a_split_and_the_files_its_children_share_have_no_finding() {
    let files = || vec![vec![file_row("1-1.sst", "a", "x")]];
    let mut parent = tablet_row("", None, files());
    parent.split = Some(SplitIntent { at: b"m".to_vec(), is_chosen: false });
    let (left, right) = split::children(&parent).unwrap();
    let whole = evidence(vec![tablet_row("", None, files())]);
    for rows in [vec![parent.clone()], vec![left.clone(), parent], vec![left, right]] {
        let mut evidence = Evidence { tablets: evidence(rows).tablets, ..whole.clone() };
        evidence.tablets = settled(evidence.tablets);
        assert_eq!(evidence.tablets.len(), 2);
        assert_eq!(check(&evidence), []);
    }
}

/// A merge, before it is committed, when it is and at its end (rule 19): nothing is wrong.
#[test]
fn a_merge_under_way_has_no_finding() {
    let mut left = tablet_row("", Some("m"), vec![vec![file_row("1-1.sst", "a", "m")]]);
    let right = tablet_row("m", None, vec![vec![file_row("1-1.sst", "m", "x")]]);
    let union = merge::union(&left, &right, Seq(0)).unwrap();
    let whole = evidence(vec![tablet_row("", None, vec![vec![file_row("1-1.sst", "a", "x")]])]);
    left.merge = Some(MergeIntent { right_end: None, right_version: right.version });
    let stages = [(vec![left.clone(), right], 2), (vec![left, union.clone()], 1), (vec![union], 1)];
    for (rows, tablets) in stages {
        let mut evidence = Evidence { tablets: evidence(rows).tablets, ..whole.clone() };
        evidence.tablets = settled(evidence.tablets);
        assert_eq!(evidence.tablets.len(), tablets);
        assert_eq!(check(&evidence), []);
    }
}

#[test]
fn holes_are_found_at_the_start_between_tablets_and_at_the_end() {
    let hole = |start, end| vec![Problem::Hole(range(start, end))];
    let of = |rows| problems(&evidence(rows));
    assert_eq!(of(vec![tablet_row("c", None, vec![])]), hole("", Some("c")));
    assert_eq!(of(vec![tablet_row("", Some("c"), vec![])]), hole("c", None));
    let between = vec![tablet_row("", Some("c"), vec![]), tablet_row("f", None, vec![])];
    let found = check(&evidence(between));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].problem, hole("c", Some("f"))[0]);
    assert_eq!(found[0].tablet, Some(range("", Some("c"))));
    assert!(found[0].repair().starts_with("extend the end of tablet [-, 63) to 66"));
}

#[test]
fn overlaps_are_found_whoever_reaches_further() {
    let of = |rows| problems(&evidence(rows));
    let next = vec![tablet_row("", Some("f"), vec![]), tablet_row("c", None, vec![])];
    assert_eq!(of(next), [Problem::Overlap(range("c", None))]);
    // One inside another, and no hole behind it.
    let inside = vec![
        tablet_row("", Some("p"), vec![]),
        tablet_row("c", Some("d"), vec![]),
        tablet_row("p", None, vec![]),
    ];
    assert_eq!(of(inside), [Problem::Overlap(range("c", Some("d")))]);
    let unbounded = vec![tablet_row("", None, vec![]), tablet_row("c", Some("d"), vec![])];
    assert_eq!(of(unbounded), [Problem::Overlap(range("c", Some("d")))]);
    let empty = vec![tablet_row("", None, vec![]), tablet_row("d", Some("d"), vec![])];
    assert_eq!(of(empty), [Problem::EmptyTablet]);
}

#[test]
fn a_repair_of_an_overlap_leaves_each_key_one_tablet() {
    let repair = |first: TabletRow, second: TabletRow| {
        let found = check(&evidence(vec![first, second]));
        assert!(matches!(found[0].problem, Problem::Overlap(_)), "{found:?}");
        found[0].repair()
    };
    let tablet = |start, end| tablet_row(start, end, vec![]);
    let behind = repair(tablet("", Some("f")), tablet("c", None));
    assert!(behind.starts_with("cut the end of tablet [-, 66) to 63, "), "{behind}");
    let same_start = repair(tablet("", Some("f")), tablet("", None));
    assert!(same_start.starts_with("cut the start of tablet [-, -) to 66, "), "{same_start}");
    let same_end = repair(tablet("", None), tablet("", Some("f")));
    assert!(same_end.starts_with("remove tablet [-, 66), "), "{same_end}");
}

/// METADATA's own tablets have every key once, too; as long as only the root is known, nothing is said of it.
#[test]
fn metadata_tiles_its_key_space() {
    let of = |start: &[u8], end: Option<&[u8]>| {
        let row = tablet_row("", None, Vec::new());
        TabletRow {
            table: StorageId::METADATA,
            start: start.to_vec(),
            end: end.map(<[u8]>::to_vec),
            ..row
        }
    };
    let edge = root::end();
    let root = of(b"", Some(&edge));
    let metadata = |rows: Vec<TabletRow>| {
        let mut evidence = evidence(rows);
        evidence.schemas.clear();
        evidence.has_metadata = true;
        evidence
    };
    let whole = metadata(vec![root.clone(), of(&edge, Some(b"\x90")), of(b"\x90", None)]);
    assert_eq!(check(&whole), []);
    let mut alone = metadata(vec![root.clone()]);
    let hole = |start: &[u8], end: Option<&[u8]>| {
        Problem::Hole(Range { start: start.to_vec(), end: end.map(<[u8]>::to_vec) })
    };
    let found = check(&alone);
    assert_eq!(found[0].problem, hole(&edge, None));
    assert!(found[0].is_of_metadata() && !found[0].is_warning());
    alone.has_metadata = false;
    assert_eq!(check(&alone), []);
    let gap = metadata(vec![root.clone(), of(&edge, Some(b"\x90")), of(b"\x91", None)]);
    assert_eq!(problems(&gap), [hole(b"\x90", Some(b"\x91"))]);
    let twice = metadata(vec![root, of(&edge, None), of(b"\x90", None)]);
    assert!(matches!(problems(&twice)[..], [Problem::Overlap(_)]));
}

#[test]
fn a_file_that_is_gone_is_lost_and_one_that_nobody_names_is_an_orphan() {
    let mut evidence = evidence(two_tablets());
    let lost = FileName { table: TABLE, name: "1-2.sst".to_owned() };
    evidence.files.insert(lost.clone(), FileState::Missing);
    evidence.listed.remove(&lost);
    evidence.listed.insert(FileName { table: TABLE, name: "1-9.sst".to_owned() });
    let found = check(&evidence);
    assert_eq!(found[0].problem, Problem::Lost { rows: 10 });
    assert_eq!(found[0].tablet, Some(range("m", None)));
    assert_eq!(
        found[0].repair(),
        "drop the reference to 1-2.sst from tablet [6d, -), losing 10 row versions"
    );
    assert_eq!(found[1].problem, Problem::Orphan);
    assert!(found[1].is_warning() && !found[0].is_warning());
    // As long as METADATA is not read in whole, nothing is left over.
    evidence.is_complete = false;
    assert_eq!(problems(&evidence), [Problem::Lost { rows: 10 }]);
}

#[test]
fn what_a_file_says_of_itself_counts() {
    let size = changed(|facts| facts.size_bytes = 400);
    assert_eq!(size, [Problem::WrongSize { said: 500, found: 400 }]);
    let rows = changed(|facts| facts.properties.rows = 9);
    assert_eq!(rows, [Problem::WrongRows { said: 10, found: 9 }]);
    let seqs = changed(|facts| facts.properties.min_seq = 2);
    let (said, found) = ((Seq(1), Seq(20)), (Seq(2), Seq(20)));
    assert_eq!(seqs, [Problem::WrongSeqs { said, found }]);
    let times = changed(|facts| facts.properties.max_commit_ts = 31);
    let (said, found) = (CommitTs(30), CommitTs(31));
    assert_eq!(times, [Problem::WrongTimestamps { said, found }]);
    let other = changed(|facts| facts.properties.storage = 1001);
    assert_eq!(other, [Problem::WrongTable { found: StorageId(1001), rows: 10 }]);
    let group = changed(|facts| facts.properties.group = 2);
    let (found, said) = (LocalityGroupId(2), LocalityGroupId(0));
    assert_eq!(group, [Problem::WrongGroup { found, said }]);
    let damage = SstableError::Corruption {
        file: "f".to_owned(),
        offset: 7,
        what: "checksum mismatch".to_owned(),
    };
    let damaged = changed(|facts| facts.problems.push(damage.clone()));
    assert_eq!(damaged, [Problem::Damaged { what: damage.to_string(), rows: 10 }]);
}

/// After a merge of tablets one side of a file may count, and the other have been written anew.
#[test]
fn bounds_may_leave_out_what_another_file_has() {
    let (one_side, anew) = (file_row("1-1.sst", "a", "c"), file_row("1-2.sst", "c", "z"));
    let runs = vec![vec![one_side.clone()], vec![anew]];
    let mut evidence = evidence(vec![tablet_row("", None, runs)]);
    let name = FileName { table: TABLE, name: one_side.name.clone() };
    let mut found = facts(&one_side);
    found.bounds = Some(("a".into(), "d".into()));
    evidence.files.insert(name, FileState::Read(found));
    assert_eq!(problems(&evidence), []);
}

#[test]
fn bounds_may_be_wider_than_a_file_but_leave_out_nothing_of_the_tablet() {
    let wider = changed(|facts| facts.bounds = Some(("b".into(), "b".into())));
    assert_eq!(wider, []);
    let keys = range("a", Some("d\0"));
    let narrower = changed(|facts| facts.bounds = Some(("a".into(), "d".into())));
    assert_eq!(narrower, [Problem::BoundsLeaveOut { keys }]);
    // After a split each side has its part.
    let file = file_row("1-1.sst", "a", "p");
    let left = FileRow { end: Some("m".into()), ..file.clone() };
    let right = FileRow { start: "m".into(), ..file.clone() };
    let mut evidence = evidence(vec![
        tablet_row("", Some("m"), vec![vec![left]]),
        tablet_row("m", None, vec![vec![right]]),
    ]);
    let name = FileName { table: TABLE, name: file.name.clone() };
    evidence.files.insert(name, FileState::Read(facts(&file)));
    assert_eq!(problems(&evidence), []);
    evidence.tablets[0].row.end = Some("a".into());
    evidence.tablets[0].key = Some(codec::row_key(TABLE, Some(b"a")).unwrap());
    let found = problems(&evidence);
    assert!(found.contains(&Problem::NoRowsInside), "{found:?}");
}

#[test]
fn a_run_whose_files_meet_and_a_file_named_twice_are_found() {
    let (a, b) = (file_row("1-1.sst", "a", "f"), file_row("1-2.sst", "c", "x"));
    let of = |runs| problems(&evidence(vec![tablet_row("", None, runs)]));
    let before = "1-1.sst".to_owned();
    assert_eq!(of(vec![vec![a.clone(), b.clone()]]), [Problem::NotAscending { before }]);
    assert_eq!(of(vec![vec![a.clone()], vec![b]]), [], "runs may meet");
    assert_eq!(of(vec![vec![a.clone()], vec![a.clone()]]), [Problem::NamedTwice]);
    let part = |start: &[u8], end: Option<&[u8]>| FileRow {
        start: start.to_vec(),
        end: end.map(<[u8]>::to_vec),
        ..a.clone()
    };
    let of_parts = |parts: [FileRow; 2]| {
        let runs = parts.into_iter().map(|part| vec![part]).collect();
        let mut evidence = evidence(vec![tablet_row("", None, runs)]);
        evidence.files.values_mut().for_each(|file| *file = FileState::Read(facts(&a)));
        problems(&evidence)
    };
    let left = part(b"a", Some(b"c"));
    let cut = [left.clone(), part(b"c", None)];
    assert_eq!(of_parts(cut), [], "a merge has put together what a split cut");
    assert_eq!(of_parts([left, part(b"b", None)]), [Problem::NamedTwice]);
}

#[test]
fn numbers_above_what_the_row_says_are_found() {
    let mut evidence = evidence(two_tablets());
    evidence.tablets[0].row.max_seq = Seq(19);
    let (max_seq, max_commit_ts) = (Seq(20), CommitTs(30));
    assert_eq!(problems(&evidence), [Problem::AboveTablet { max_seq, max_commit_ts }]);
    evidence.tablets[0].row.max_seq = Seq(20);
    evidence.tablets[0].row.groups[0].redo_point = Seq(19);
    assert_eq!(problems(&evidence), [Problem::AboveRedoPoint { max_seq }]);
    evidence.tablets[0].row.groups[0].redo_point = Seq(21);
    let problem =
        Problem::RedoBeyondLog { redo_point: Seq(21), last_seq: Seq(20), server: "s".to_owned() };
    assert_eq!(problems(&evidence), [problem]);
}

#[test]
fn a_log_that_is_gone_or_damaged_and_schemas_without_tables_are_found() {
    let mut evidence = evidence(two_tablets());
    let log = ("s".to_owned(), LogPurpose::Users);
    evidence.logs.insert(log.clone(), LogState::Missing);
    let missing = Problem::LogMissing { server: "s".to_owned(), purpose: LogPurpose::Users };
    assert_eq!(problems(&evidence), [missing]);
    let damage = LogError::Corruption { file: "l".into(), offset: 9, what: "w".to_owned() };
    let what = damage.to_string();
    evidence.logs.insert(log, LogState::Damaged(damage));
    assert_eq!(problems(&evidence), [Problem::LogDamaged { what }]);
    evidence.logs.clear();
    evidence.schemas.insert(StorageId(1001), SchemaFacts::default());
    let found = check(&evidence);
    assert_eq!(found[0].problem, Problem::UnusedSchema);
    assert!(found[0].is_warning());
    evidence.schemas.clear();
    assert_eq!(problems(&evidence), [Problem::NoSchema]);
}

#[test]
fn a_group_the_schema_lacks_and_a_row_under_anothers_key_are_found() {
    let mut evidence = evidence(two_tablets());
    evidence.tablets[0].row.groups[0].group = LocalityGroupId(4);
    let found = problems(&evidence);
    assert!(found.contains(&Problem::UnknownGroup(LocalityGroupId(4))), "{found:?}");
    let mut evidence = self::evidence(two_tablets());
    evidence.tablets[0].key = evidence.tablets[1].key.clone();
    assert_eq!(problems(&evidence), [Problem::Misnamed]);
}
