//! pg_proc as a lookup table: which functions there are under a name, and what they take and give.

use crate::catalog::system::fixed;
use hashbrown::HashMap;
use std::sync::LazyLock;

/// What of a pg_proc row others need.
#[derive(Clone, Debug)]
pub(crate) struct Proc {
    pub oid: u32,
    pub name: String,
    /// f, a, w or p.
    pub kind: char,
    pub arguments: Vec<u32>,
    /// All arguments with their modes and names, where there are other than plain IN ones.
    pub all_arguments: Vec<u32>,
    pub modes: Vec<char>,
    pub names: Vec<String>,
    pub returns: u32,
    pub returns_set: bool,
}

struct All {
    by_oid: HashMap<u32, Proc>,
    by_name: HashMap<String, Vec<u32>>,
}

static ALL: LazyLock<All> = LazyLock::new(|| {
    let (header, rows) = fixed::table(fixed::PG_PROC);
    let place = |name: &str| header.iter().position(|column| column == name).unwrap_or(0);
    let at = [
        "oid",
        "proname",
        "prokind",
        "proargtypes",
        "proallargtypes",
        "proargmodes",
        "proargnames",
        "prorettype",
        "proretset",
    ]
    .map(place);
    let mut all = All { by_oid: HashMap::new(), by_name: HashMap::new() };
    for row in rows {
        let text = |i: usize| row.get(at[i]).cloned().flatten().unwrap_or_default();
        let number = |i: usize| text(i).parse::<u32>().unwrap_or(0);
        let proc = Proc {
            oid: number(0),
            name: text(1),
            kind: text(2).chars().next().unwrap_or('f'),
            arguments: text(3).split_whitespace().filter_map(|t| t.parse().ok()).collect(),
            all_arguments: listed(&text(4)).filter_map(|t| t.parse().ok()).collect(),
            modes: listed(&text(5)).filter_map(|mode| mode.chars().next()).collect(),
            names: listed(&text(6)).map(str::to_owned).collect(),
            returns: number(7),
            returns_set: text(8) == "t",
        };
        all.by_name.entry(proc.name.clone()).or_default().push(proc.oid);
        all.by_oid.insert(proc.oid, proc);
    }
    all
});

/// `{a,b}`.
fn listed(text: &str) -> impl Iterator<Item = &str> {
    let inner = text.trim_start_matches('{').trim_end_matches('}');
    let parts = inner.split(',').map(|part| part.trim_matches('"'));
    parts.filter(move |_| !inner.is_empty())
}

/// The function with this identifier.
pub(crate) fn get(oid: u32) -> Option<&'static Proc> {
    ALL.by_oid.get(&oid)
}

/// The functions of this name, in order of their identifiers.
pub(crate) fn named(name: &str) -> impl Iterator<Item = &'static Proc> {
    ALL.by_name.get(name).into_iter().flatten().filter_map(|oid| get(*oid))
}
