use super::*;
use proptest::prelude::*;

fn encoded(rows: &[Vec<u8>]) -> Vec<u8> {
    let mut builder = KeysBuilder::default();
    for (row, key) in rows.iter().enumerate() {
        builder.push(key, row > 0 && rows[row - 1] == *key);
    }
    let mut bytes = Vec::new();
    builder.encode(&mut bytes);
    bytes
}

/// Checks a page of these rows, which ascend, against a sorted list.
fn check(rows: &[Vec<u8>], probes: &[Vec<u8>]) {
    let mut distinct = rows.to_vec();
    distinct.dedup();
    let page = Keys::decode(encoded(rows).into(), rows.len(), distinct.len()).unwrap();
    for (index, key) in distinct.iter().enumerate() {
        let mut bytes = vec![7];
        page.append(index, &mut bytes);
        assert_eq!(&bytes[1..], &key[..]);
        assert_eq!(page.key_len(index), key.len());
        assert_eq!(page.first_row(index), rows.iter().position(|row| row == key).unwrap());
    }
    assert_eq!(page.first_row(distinct.len()), rows.len());
    for (row, key) in rows.iter().enumerate() {
        assert_eq!(&distinct[page.key_of_row(row)], key);
    }
    for probe in probes.iter().chain(&distinct) {
        let expected = match distinct.binary_search(probe) {
            Ok(index) => (index, true),
            Err(index) => (index, false),
        };
        assert_eq!(page.search(probe), expected, "probe {probe:?}");
        for (index, key) in distinct.iter().enumerate() {
            assert_eq!(page.compare(index, probe), key.cmp(probe));
        }
    }
}

#[test]
fn fixed_keys_need_no_ends() {
    let rows: Vec<Vec<u8>> = (0..1000u64).map(|i| (i * 3).to_be_bytes().to_vec()).collect();
    // Two bytes a key, plus six a bundle of sixteen, plus the head.
    assert!(encoded(&rows).len() < 1000 * 2 + 63 * 8 + 40, "{}", encoded(&rows).len());
    check(&rows, &[vec![], vec![0xff; 9], 4u64.to_be_bytes().to_vec(), vec![0; 7]]);
}

#[test]
fn repeated_keys_cost_a_bit_a_row() {
    let rows: Vec<Vec<u8>> = (0..8000u32).map(|i| (i / 4000).to_be_bytes().to_vec()).collect();
    assert!(encoded(&rows).len() < 8000 / 8 + 64);
    check(&rows, &[]);
}

#[test]
fn large_keys_get_wide_ends() {
    let rows: Vec<Vec<u8>> = (0..20u8).map(|i| vec![i; 60_000 + usize::from(i)]).collect();
    check(&rows, &[vec![3; 60_002], vec![3; 60_004], vec![]]);
}

#[test]
fn one_empty_key() {
    check(&[vec![]], &[vec![0]]);
    check(&[vec![], vec![], vec![0]], &[vec![0, 0]]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

    #[test]
    fn any_keys_round_trip(
        prefix in proptest::collection::vec(any::<u8>(), 0..10),
        mut keys in proptest::collection::vec(
            (proptest::collection::vec(0..3u8, 0..8), 1..4usize), 1..80),
        probes in proptest::collection::vec(proptest::collection::vec(0..4u8, 0..9), 0..20),
    ) {
        keys.sort();
        let rows: Vec<Vec<u8>> = keys
            .iter()
            .flat_map(|(key, times)| vec![[&prefix[..], key].concat(); *times])
            .collect();
        let probes: Vec<Vec<u8>> = probes
            .iter()
            .flat_map(|probe| [probe.clone(), [&prefix[..], probe].concat()])
            .collect();
        check(&rows, &probes);
    }

    #[test]
    fn damaged_pages_do_not_panic(
        rows in proptest::collection::vec(proptest::collection::vec(0..3u8, 0..6), 1..60),
        at in any::<prop::sample::Index>(),
        byte in any::<u8>(),
    ) {
        let mut rows = rows;
        rows.sort();
        let mut bytes = encoded(&rows);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let mut distinct = rows.clone();
        distinct.dedup();
        if let Ok(page) = Keys::decode(bytes.into(), rows.len(), distinct.len()) {
            let mut out = Vec::new();
            (0..distinct.len()).for_each(|index| page.append(index, &mut out));
            (0..rows.len()).for_each(|row| { page.key_of_row(row); });
            page.search(&rows[0]);
        }
    }
}
