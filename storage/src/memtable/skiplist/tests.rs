//! The list against a BTreeMap, and readers beside a writer. Small enough under miri to end.

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicBool;

type Model = BTreeMap<Vec<u8>, Vec<(u64, Vec<u8>)>>;

fn listed(versions: Versions<'_>) -> Vec<(u64, Vec<u8>)> {
    versions.map(|v| (v.seq.0, v.mutation.to_vec())).collect()
}

fn check_against(list: &Arc<SkipList>, model: &Model, probes: &[Vec<u8>]) {
    for probe in probes {
        let expected = model.get(probe).cloned().unwrap_or_default();
        assert_eq!(listed(list.get(probe)), expected);
        let mut cursor = Cursor::new(list.clone());
        cursor.seek(probe);
        let above = model.range(probe.clone()..).next().map(|(key, _)| &key[..]);
        assert_eq!(cursor.key(), above);
        cursor.seek_below(probe);
        let below = model.range(..probe.clone()).next_back().map(|(key, _)| &key[..]);
        assert_eq!(cursor.key(), below);
    }
    let mut cursor = Cursor::new(list.clone());
    cursor.seek(b"");
    for (key, versions) in model {
        assert_eq!(cursor.key(), Some(&key[..]));
        assert_eq!(listed(cursor.versions()), *versions);
        cursor.next();
    }
    assert_eq!(cursor.key(), None);
    cursor.seek_last();
    for key in model.keys().rev() {
        assert_eq!(cursor.key(), Some(&key[..]));
        cursor.previous();
    }
    assert_eq!(cursor.key(), None);
    cursor.previous();
    cursor.next();
    assert_eq!(cursor.key(), None);
}

/// Keys that share prefixes, differ only in length, and hold the bytes that padding holds.
fn key() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![Just(0u8), Just(0xff), Just(b'a'), any::<u8>()];
    prop_oneof![
        proptest::collection::vec(byte.clone(), 0..4),
        proptest::collection::vec(byte, 7..12),
        (0u64..64).prop_map(|n| n.to_be_bytes().to_vec()),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: if cfg!(miri) { 2 } else { 300 }, ..Default::default() })]

    #[test]
    fn behaves_like_a_map(
        inserts in proptest::collection::vec((key(), proptest::collection::vec(any::<u8>(), 0..9)), 0..120),
        is_sorted in any::<bool>(),
        probes in proptest::collection::vec(key(), 0..20),
    ) {
        let list = Arc::new(SkipList::new());
        let mut model = Model::new();
        let mut inserts = inserts;
        if is_sorted {
            inserts.sort();
        }
        for (i, (key, mutation)) in inserts.iter().enumerate() {
            let seq = i as u64 + 1;
            let is_new = list.insert(key, Seq(seq), CommitTs(seq as i64), mutation);
            prop_assert_eq!(is_new, !model.contains_key(key));
            model.entry(key.clone()).or_default().insert(0, (seq, mutation.clone()));
        }
        let probes: Vec<_> = probes.into_iter().chain(model.keys().take(5).cloned()).collect();
        check_against(&list, &model, &probes);
    }
}

#[test]
fn an_empty_list_owns_nothing_and_finds_nothing() {
    let list = Arc::new(SkipList::new());
    assert_eq!(list.reserved_bytes(), 0);
    check_against(&list, &Model::new(), &[vec![], vec![1]]);
}

#[test]
fn ascending_and_descending_inserts_keep_order() {
    let count: u64 = if cfg!(miri) { 60 } else { 20_000 };
    for is_descending in [false, true] {
        let list = Arc::new(SkipList::new());
        let mut model = Model::new();
        for i in 0..count {
            let key = if is_descending { count - i } else { i }.to_be_bytes();
            assert!(list.insert(&key, Seq(i + 1), CommitTs(i as i64 + 1), &key));
            model.insert(key.to_vec(), vec![(i + 1, key.to_vec())]);
        }
        check_against(&list, &model, &[]);
    }
}

/// A writer inserts rows in scrambled order, each three times; readers must see every row that was there
/// when they began, whole, in order, with chains that only grow at the front.
#[test]
fn readers_beside_a_writer_see_whole_rows_in_order() {
    let rows: u64 = if cfg!(miri) { 40 } else { 30_000 };
    let list = Arc::new(SkipList::new());
    let done = AtomicBool::new(false);
    let published = AtomicUsize::new(0);
    let key_of = |i: u64| (i.wrapping_mul(0x9e37_79b9_7f4a_7c15)).to_be_bytes();
    std::thread::scope(|scope| {
        for reader in 0..3 {
            let (list, done, published) = (&list, &done, &published);
            scope.spawn(move || {
                let mut rounds = 0;
                while rounds == 0 || !done.load(Memory::Acquire) {
                    let least = published.load(Memory::Acquire);
                    read_all(list, least, reader == 0);
                    if least > 0 {
                        let i = (least as u64 - 1) % rows;
                        assert!(list.get(&key_of(i)).next().is_some(), "a published row is there");
                    }
                    rounds += 1;
                }
            });
        }
        for i in 0..rows * 3 {
            let key = key_of(i % rows);
            let mutation = [key, i.to_le_bytes()].concat();
            list.insert(&key, Seq(i + 1), CommitTs(i as i64 + 1), &mutation);
            published.store(i as usize + 1, Memory::Release);
        }
        done.store(true, Memory::Release);
    });
    assert_eq!(read_all(&list, 0, false), rows as usize * 3);
}

/// Walks the whole list, at least `least` versions of which must be there; returns how many are.
fn read_all(list: &Arc<SkipList>, least: usize, is_reverse: bool) -> usize {
    let mut cursor = Cursor::new(list.clone());
    let mut last: Option<Vec<u8>> = None;
    let mut seen = 0;
    if is_reverse {
        cursor.seek_last()
    } else {
        cursor.seek(b"")
    };
    while let Some(key) = cursor.key() {
        let in_order = last.as_deref().is_none_or(|last| (last < key) != is_reverse);
        assert!(in_order, "rows come in order, each once");
        let mut newer = u64::MAX;
        for version in cursor.versions() {
            assert!(version.seq.0 < newer, "a chain is newest first");
            newer = version.seq.0;
            assert_eq!(&version.mutation[..8], key, "a version is of its row");
            assert_eq!(version.mutation[8..], (newer - 1).to_le_bytes(), "a version is whole");
            seen += 1;
        }
        last = Some(key.to_vec());
        if is_reverse {
            cursor.previous()
        } else {
            cursor.next()
        };
    }
    assert!(seen >= least, "saw {seen} of at least {least} versions");
    seen
}
