use super::*;
use terrane_env::random::SplitMix64;

fn range(start: &str, end: Option<&str>) -> KeyRange {
    let bytes = |key: &str| Bytes::copy_from_slice(key.as_bytes());
    KeyRange { start: bytes(start), end: end.map(bytes) }
}

/// (start, end, timestamps)
fn spelled(fragments: &Fragments) -> Vec<String> {
    let spell = |(start, f): (&Bytes, &Fragment)| {
        let stamps: Vec<i64> = f.stamps.iter().map(|stamp| stamp.0).collect();
        let text = |key: &Bytes| String::from_utf8(key.to_vec()).unwrap();
        format!("{}..{} {stamps:?}", text(start), f.end.as_ref().map(text).unwrap_or_default())
    };
    fragments.0.iter().map(spell).collect()
}

fn made(of: &[(&str, Option<&str>, i64)]) -> Fragments {
    let mut fragments = Fragments::default();
    for (start, end, ts) in of {
        fragments.insert(&range(start, *end), CommitTs(*ts));
    }
    fragments
}

#[test]
fn tombstones_are_cut_at_each_others_edges() {
    let fragments = made(&[("d", Some("g"), 5), ("b", Some("e"), 7), ("f", None, 3)]);
    assert_eq!(
        spelled(&fragments),
        ["b..d [7]", "d..e [7, 5]", "e..f [5]", "f..g [5, 3]", "g.. [3]"]
    );
    let all = made(&[("d", Some("g"), 5), ("", None, 9), ("x", Some("x"), 1)]);
    assert_eq!(spelled(&all), ["..d [9]", "d..g [9, 5]", "g.. [9]"]);
    assert_eq!(all.covering(b"f", CommitTs(8)), CommitTs(5));
    assert_eq!(all.covering(b"g", CommitTs(8)), CommitTs::ABSENT);
    assert_eq!(all.covering(b"", CommitTs::MAX), CommitTs(9));
}

#[test]
fn a_merge_keeps_what_a_read_above_the_floor_sees() {
    let fragments =
        made(&[("a", Some("m"), 2), ("c", Some("d"), 3), ("a", Some("z"), 5), ("k", Some("p"), 9)]);
    let kept = |floor, includes_oldest| spelled(&fragments.kept(CommitTs(floor), includes_oldest));
    assert_eq!(kept(5, false), ["a..k [5]", "k..p [9, 5]", "p..z [5]"]);
    assert_eq!(kept(5, true), ["k..p [9]"]);
    assert_eq!(kept(9, true), [""; 0]);
    assert_eq!(fragments.kept(CommitTs(1), true), fragments);
}

/// Against a plain list of all tombstones.
#[test]
fn random_tombstones_cover_what_a_list_says() {
    const KEYS: u64 = 40;
    let key = |n: u64| Bytes::copy_from_slice(&[n as u8]);
    for seed in 0..200 {
        let mut random = SplitMix64::new(seed);
        let mut fragments = Fragments::default();
        let mut list: Vec<(KeyRange, CommitTs)> = Vec::new();
        for ts in 1..=random.below(30) as i64 {
            let start = key(random.below(KEYS));
            let end = random.chance(0.8).then(|| key(random.below(KEYS)));
            let range = KeyRange { start, end };
            fragments.insert(&range, CommitTs(ts));
            list.push((range, CommitTs(ts)));
        }
        let newest = |at: CommitTs, covers: &dyn Fn(&KeyRange) -> bool| {
            let seen = list.iter().filter(|(range, ts)| *ts <= at && covers(range));
            seen.map(|(_, ts)| *ts).max().unwrap_or(CommitTs::ABSENT)
        };
        let again: Fragments = fragments.tombstones().collect::<Vec<_>>().iter().collect();
        assert_eq!(again, fragments, "seed {seed}");
        let within = KeyRange { start: key(7), end: Some(key(30)) };
        let inside = fragments.within(&within);
        for at in [CommitTs(5), CommitTs(14), CommitTs::MAX] {
            for n in 0..KEYS {
                let here = key(n);
                let expected = newest(at, &|range| range.contains(&here));
                assert_eq!(fragments.covering(&here, at), expected, "seed {seed}, {n}");
                let expected = if within.contains(&here) { expected } else { CommitTs::ABSENT };
                assert_eq!(inside.covering(&here, at), expected, "seed {seed}, {n}");
                let last = key(n + random.below(5));
                let whole = fragments.covering_all(&here, &last, at);
                assert!((n..=u64::from(last[0])).all(|n| fragments.covering(&key(n), at) >= whole));
                let meets =
                    |range: &KeyRange| (n..=u64::from(last[0])).any(|n| range.contains(&key(n)));
                let than = CommitTs(random.below(20) as i64);
                let expected = newest(at, &meets) > than;
                assert_eq!(fragments.meet(&here, &last, at, than), expected, "seed {seed}, {n}");
            }
        }
    }
}

#[test]
fn a_lookup_among_many_is_a_search() {
    let mut fragments = Fragments::default();
    let key = |n: u32| Bytes::copy_from_slice(&n.to_be_bytes());
    for n in 0..100_000 {
        fragments.insert(&KeyRange { start: key(2 * n), end: Some(key(2 * n + 1)) }, CommitTs(1));
    }
    assert_eq!(fragments.len(), 100_000);
    let covered = (0..200_000).filter(|n| fragments.covering(&key(*n), CommitTs(1)).0 == 1);
    assert_eq!(covered.count(), 100_000, "in no time; a list would take minutes");
}
