use super::*;
use proptest::prelude::*;

fn coded(values: &[i64]) -> (Vec<u8>, Ints) {
    let mut bytes = Vec::new();
    encode(values.iter().copied(), bounds(values), &mut bytes);
    let mut input = Input::new(Bytes::from(bytes.clone()));
    let ints = Ints::decode(&mut input, values.len()).unwrap();
    input.finish().unwrap();
    (bytes, ints)
}

#[test]
fn a_constant_takes_nine_bytes() {
    let (bytes, ints) = coded(&[-7; 1000]);
    assert_eq!(bytes, [&[0][..], &(-7i64).to_le_bytes()].concat());
    assert_eq!(ints.constant(), Some(-7));
    assert_eq!(ints.get(999), -7);
}

#[test]
fn bits_lie_least_significant_first() {
    let (bytes, _) = coded(&[10, 11, 12, 13, 14]);
    // Offsets 0 1 2 3 4 in three bits each: 000 001 010 011 100 from the low end.
    let packed = 1u64 << 3 | 2 << 6 | 3 << 9 | 4 << 12;
    let expected =
        [&[3][..], &10i64.to_le_bytes(), &packed.to_le_bytes()[..2], &[0; PAD_BYTES]].concat();
    assert_eq!(bytes, expected);
}

#[test]
fn the_extremes_fit() {
    let values = [i64::MIN, i64::MAX, 0, -1, 1];
    let (_, ints) = coded(&values);
    assert_eq!(ints.bounds(), Some((i64::MIN, i64::MAX)));
    assert_eq!((0..5).map(|i| ints.get(i)).collect::<Vec<_>>(), values);
}

#[test]
fn a_value_too_large_for_the_lane_is_refused() {
    // Both sequences are packed in 3 bits from a base close to the lane's end.
    let (_, fits) = coded(&[32_763, 32_767]);
    let (_, exceeds) = coded(&[32_763, 32_768]);
    assert!(fits.fit::<i16>(0..2));
    assert!(!exceeds.fit::<i16>(0..2));
    assert!(exceeds.fit::<i16>(0..1) && exceeds.fit::<i32>(0..2));
}

#[test]
fn a_width_over_64_is_malformed() {
    let mut bytes = vec![65];
    bytes.extend_from_slice(&[0; 100]);
    assert!(Ints::decode(&mut Input::new(bytes.into()), 3).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn every_width_round_trips(
        width in 0..=64u32,
        base in any::<i64>(),
        raw in proptest::collection::vec(any::<u64>(), 1..200),
        cut in any::<(prop::sample::Index, prop::sample::Index)>(),
    ) {
        let mask = u64::MAX.checked_shr(64 - width).unwrap_or(0);
        let values: Vec<i64> = raw
            .iter()
            .map(|raw| base.saturating_add_unsigned((raw & mask) >> 1).saturating_add_unsigned((raw & mask).div_ceil(2)))
            .collect();
        let (_, ints) = coded(&values);
        prop_assert_eq!(ints.len(), values.len());
        let mut all: Vec<i64> = Vec::new();
        ints.unpack(0..values.len(), &mut all);
        prop_assert_eq!(&all, &values);
        let (mut from, mut to) = (cut.0.index(values.len() + 1), cut.1.index(values.len() + 1));
        if from > to {
            std::mem::swap(&mut from, &mut to);
        }
        let mut part: Vec<i32> = vec![17];
        ints.unpack(from..to, &mut part);
        let expected: Vec<i32> = values[from..to].iter().map(|v| *v as i32).collect();
        prop_assert_eq!(&part[1..], &expected[..]);
        for (index, value) in values.iter().enumerate() {
            prop_assert_eq!(ints.get(index), *value);
        }
    }
}
