//! Comparing METADATA with what lies in the directory. Pure: evidence in, findings out.
//!
//! What is checked, and against what:
//! - the tablets of a table tile its key space: no hole, no overlap (docs/format-data-directory.md);
//! - what METADATA says of a file is what the file says of itself;
//! - a run's files ascend and do not meet: reads search them so;
//! - a redo point is not beyond its log: records up to it would be taken for flushed (rule 14);
//! - nothing is named that is not there; what is there and not named is left over.

use super::evidence::{Evidence, FileFacts, FileName, FileState, LogPurpose, LogState};
use super::finding::{Finding, Problem, Range};
use std::collections::BTreeMap;
use terrane_client::ids::StorageId;
use terrane_client::metadata::{FileRow, GroupRow, TabletRow, codec};

#[cfg(test)]
mod tests;

/// Everything that is wrong, by table and tablet; what is left over comes last.
pub fn check(evidence: &Evidence) -> Vec<Finding> {
    let mut findings = Vec::new();
    logs(evidence, &mut findings);
    let mut tables: BTreeMap<StorageId, Vec<&TabletRow>> = BTreeMap::new();
    for tablet in &evidence.tablets {
        tables.entry(tablet.row.table).or_default().push(&tablet.row);
    }
    for (table, rows) in &tables {
        // METADATA's schema is the program's.
        if *table != StorageId::METADATA && !evidence.schemas.contains_key(table) {
            findings.push(of_table(*table, Problem::NoSchema));
        }
        if *table != StorageId::METADATA || evidence.has_metadata {
            tiling(rows, &mut findings);
        }
    }
    for tablet in &evidence.tablets {
        if let Some(key) = &tablet.key {
            let own = codec::row_key(tablet.row.table, tablet.row.end.as_deref());
            if own.is_ok_and(|own| own != *key) {
                findings.push(of_tablet(&tablet.row, Problem::Misnamed));
            }
        }
        self::tablet(evidence, &tablet.row, &mut findings);
    }
    findings.sort_by(|a, b| (a.table, &a.tablet).cmp(&(b.table, &b.tablet)));
    if evidence.is_complete {
        left_over(evidence, &tables, &mut findings);
    }
    findings
}

fn of_table(table: StorageId, problem: Problem) -> Finding {
    Finding { table: Some(table), tablet: None, file: None, problem }
}

fn of_tablet(row: &TabletRow, problem: Problem) -> Finding {
    Finding { tablet: Some(Range::of(row)), ..of_table(row.table, problem) }
}

fn logs(evidence: &Evidence, findings: &mut Vec<Finding>) {
    for ((server, purpose), state) in &evidence.logs {
        let table = (*purpose == LogPurpose::Metadata).then_some(StorageId::METADATA);
        let mut add = |problem| findings.push(Finding { table, tablet: None, file: None, problem });
        match state {
            LogState::Missing => {
                add(Problem::LogMissing { server: server.clone(), purpose: *purpose });
            }
            LogState::Damaged(error) => add(Problem::LogDamaged { what: error.to_string() }),
            LogState::Read { cut, .. } => {
                for cut in cut {
                    let what =
                        format!("{} at offset {} of {}", cut.what, cut.offset, cut.file.display());
                    add(Problem::LogCut { what });
                }
            }
        }
    }
}

/// The tablets of one table have every key once.
fn tiling(rows: &[&TabletRow], findings: &mut Vec<Finding>) {
    let mut rows: Vec<&TabletRow> = rows.to_vec();
    rows.sort_by(|a, b| a.start.cmp(&b.start));
    // What the tablets so far reach to: None is everything.
    let mut reach: Option<&[u8]> = Some(&[]);
    // Whose end that is.
    let mut last: Option<&TabletRow> = None;
    for row in rows {
        if row.end.as_ref().is_some_and(|end| *end <= row.start) {
            findings.push(of_tablet(row, Problem::EmptyTablet));
            continue;
        }
        if reach.is_some_and(|reach| reach < &row.start[..]) {
            let start = reach.unwrap_or_default().to_vec();
            let hole = Range { start, end: Some(row.start.clone()) };
            findings.push(of_tablet(last.unwrap_or(row), Problem::Hole(hole)));
        } else if let Some(last) = last
            && reach.is_none_or(|reach| reach > &row.start[..])
        {
            findings.push(of_tablet(last, Problem::Overlap(Range::of(row))));
        }
        let is_further = match (reach, &row.end) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(reach), Some(end)) => reach < &end[..],
        };
        if is_further {
            (reach, last) = (row.end.as_deref(), Some(row));
        }
    }
    if let (Some(reach), Some(last)) = (reach, last) {
        let hole = Range { start: reach.to_vec(), end: None };
        findings.push(of_tablet(last, Problem::Hole(hole)));
    }
}

fn tablet(evidence: &Evidence, row: &TabletRow, findings: &mut Vec<Finding>) {
    let groups = evidence.schemas.get(&row.table).map(|schema| &schema.groups);
    let log = evidence.logs.get(&(row.server.clone(), LogPurpose::of(row.table)));
    let mut named: BTreeMap<&str, Vec<&FileRow>> = BTreeMap::new();
    for group in &row.groups {
        if groups.is_some_and(|groups| !groups.contains(&group.group)) {
            findings.push(of_tablet(row, Problem::UnknownGroup(group.group)));
        }
        if let Some(LogState::Read { last_seq, .. }) = log
            && group.redo_point > *last_seq
        {
            let (redo_point, last_seq) = (group.redo_point, *last_seq);
            let server = row.server.clone();
            let problem = Problem::RedoBeyondLog { redo_point, last_seq, server };
            findings.push(of_tablet(row, problem));
        }
        for run in &group.runs {
            for pair in run.files.windows(2) {
                let is_before = pair[0].end.as_ref().is_some_and(|end| *end <= pair[1].start);
                if !is_before {
                    let before = pair[0].name.clone();
                    findings.push(of_file(row, &pair[1], Problem::NotAscending { before }));
                }
            }
            for file in &run.files {
                // A merge of tablets may leave the parts of a file that a split has cut in two runs.
                let known = named.entry(&file.name).or_default();
                if known.iter().any(|other| meet(other, file)) {
                    findings.push(of_file(row, file, Problem::NamedTwice));
                }
                known.push(file);
                self::file(evidence, row, group, file, findings);
            }
        }
    }
}

/// True where a key counts in both references.
fn meet(a: &FileRow, b: &FileRow) -> bool {
    let ends_after = |a: &FileRow, start: &[u8]| a.end.as_ref().is_none_or(|end| &end[..] > start);
    ends_after(a, &b.start) && ends_after(b, &a.start)
}

fn of_file(row: &TabletRow, file: &FileRow, problem: Problem) -> Finding {
    Finding { file: Some(file.name.clone()), ..of_tablet(row, problem) }
}

fn file(
    evidence: &Evidence,
    row: &TabletRow,
    group: &GroupRow,
    file: &FileRow,
    findings: &mut Vec<Finding>,
) {
    let mut add = |problem| findings.push(of_file(row, file, problem));
    if file.max_seq > row.max_seq || file.max_commit_ts > row.max_commit_ts {
        let (max_seq, max_commit_ts) = (file.max_seq, file.max_commit_ts);
        add(Problem::AboveTablet { max_seq, max_commit_ts });
    }
    if file.max_seq > group.redo_point {
        add(Problem::AboveRedoPoint { max_seq: file.max_seq });
    }
    if file.end.as_ref().is_some_and(|end| *end <= file.start) {
        add(Problem::NoBounds);
    }
    let rows = file.rows;
    let name = FileName { table: row.table, name: file.name.clone() };
    match evidence.files.get(&name) {
        // Not looked at: whoever gathers evidence reads every file that is named.
        None => {}
        Some(FileState::Missing) => add(Problem::Lost { rows }),
        Some(FileState::Unreadable(error)) => {
            add(Problem::Unreadable { what: error.to_string(), rows });
        }
        Some(FileState::Read(facts)) => {
            for problem in &facts.problems {
                add(Problem::Damaged { what: problem.to_string(), rows });
            }
            facts_agree(row, group, file, facts, &mut add);
        }
    }
}

/// What METADATA says of a file is what the file says.
fn facts_agree(
    row: &TabletRow,
    group: &GroupRow,
    file: &FileRow,
    facts: &FileFacts,
    add: &mut impl FnMut(Problem),
) {
    let found = &facts.properties;
    if found.storage_id() != row.table {
        // Nothing else of it can be right.
        add(Problem::WrongTable { found: found.storage_id(), rows: file.rows });
        return;
    }
    if found.locality_group() != group.group {
        add(Problem::WrongGroup { found: found.locality_group(), said: group.group });
    }
    if facts.size_bytes != file.size_bytes {
        add(Problem::WrongSize { said: file.size_bytes, found: facts.size_bytes });
    }
    if found.rows != file.rows {
        add(Problem::WrongRows { said: file.rows, found: found.rows });
    }
    let said = (file.min_seq, file.max_seq);
    if found.seq_range() != said {
        add(Problem::WrongSeqs { said, found: found.seq_range() });
    }
    let found_ts = found.commit_ts_range().1;
    if found_ts != file.max_commit_ts {
        add(Problem::WrongTimestamps { said: file.max_commit_ts, found: found_ts });
    }
    if let Some((first, last)) = &facts.bounds {
        bounds_agree(row, group, file, (first, last), add);
    }
}

/// The reference's bounds let through every key of the file that is the tablet's. They may be wider.
fn bounds_agree(
    row: &TabletRow,
    group: &GroupRow,
    file: &FileRow,
    (first, last): (&[u8], &[u8]),
    add: &mut impl FnMut(Problem),
) {
    let counts_in = |file: &FileRow, key: &[u8]| {
        key >= &file.start[..] && file.end.as_ref().is_none_or(|end| key < &end[..])
    };
    let is_inside = |key: &[u8]| counts_in(file, key);
    let misses_tablet =
        last < &row.start[..] || row.end.as_ref().is_some_and(|end| first >= &end[..]);
    if misses_tablet {
        add(Problem::NoRowsInside);
        return;
    }
    // Of the file's keys only its first and last are known; a tablet's bound between them need not be a key.
    // After a merge of tablets a file may count on one side only, the other's part of it was written anew; or in two runs.
    let others =
        || group.runs.iter().flat_map(|run| &run.files).filter(|other| !std::ptr::eq(*other, file));
    let is_elsewhere = |key: &[u8]| others().any(|other| counts_in(other, key));
    let is_left_out = |key: &[u8]| row.contains(key) && !is_inside(key) && !is_elsewhere(key);
    let (first_left_out, last_left_out) = (is_left_out(first), is_left_out(last));
    if first_left_out || last_left_out {
        let keys = Range { start: first.to_vec(), end: Some([last, &[0]].concat()) };
        add(Problem::BoundsLeaveOut { keys });
    }
}

/// What is there and named by nobody.
fn left_over(
    evidence: &Evidence,
    tables: &BTreeMap<StorageId, Vec<&TabletRow>>,
    findings: &mut Vec<Finding>,
) {
    for table in evidence.schemas.keys().filter(|table| !tables.contains_key(table)) {
        findings.push(of_table(*table, Problem::UnusedSchema));
    }
    for listed in evidence.listed.iter().filter(|file| !evidence.files.contains_key(file)) {
        let file = Some(listed.name.clone());
        findings.push(Finding { file, ..of_table(listed.table, Problem::Orphan) });
    }
    for stray in &evidence.strays {
        let file = Some(stray.display().to_string());
        findings.push(Finding { table: None, tablet: None, file, problem: Problem::Stray });
    }
}
