use super::*;

fn zone(physical: PhysicalType, build: impl FnOnce(&mut ZoneBuilder)) -> Zone {
    let mut builder = ZoneBuilder::new(physical, 3, 1);
    build(&mut builder);
    let mut section = Vec::new();
    builder.encode(&mut section);
    ZoneMap::decode(section.into(), physical, 1).unwrap().zone(0).unwrap()
}

fn strings(values: &[&[u8]]) -> (Option<ZoneBound>, Option<ZoneBound>) {
    let zone = zone(PhysicalType::Bytes, |zone| zone.strings(values.iter().copied()));
    (zone.min, zone.max)
}

fn bytes(value: &[u8], exact: bool) -> Option<ZoneBound> {
    Some(ZoneBound { value: ZoneValue::Bytes(value.to_vec()), exact })
}

fn exact(value: ZoneValue) -> Option<ZoneBound> {
    Some(ZoneBound { value, exact: true })
}

#[test]
fn integers_are_exact() {
    let zone = zone(PhysicalType::Int4, |zone| zone.ints((-5, 7)));
    let bound = |v| exact(ZoneValue::Int(v));
    assert_eq!(zone, Zone { values: 3, nulls: 1, min: bound(-5), max: bound(7) });
}

#[test]
fn long_strings_are_cut_outwards() {
    let long = [b'x'; 17];
    assert_eq!(strings(&[b"b", b"", b"c"]), (bytes(b"", true), bytes(b"c", true)));
    let above = [&[b'x'; 15][..], b"y"].concat();
    assert_eq!(strings(&[&long]), (bytes(&[b'x'; 16], false), bytes(&above, false)));
    let highest = [0xff; 20];
    assert_eq!(strings(&[b"a", &highest]), (bytes(b"a", true), None));
    let mut mixed = [0xff; 20];
    mixed[3] = 9;
    assert_eq!(strings(&[&mixed]).1, bytes(&[0xff, 0xff, 0xff, 10], false));
    assert_eq!(strings(&[&[0xff; 16]]), (bytes(&[0xff; 16], true), bytes(&[0xff; 16], true)));
}

#[test]
fn floats_order_as_sql_does() {
    let of = |values: &[f64]| {
        let data: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
        zone(PhysicalType::Float8, |zone| zone.fixed(&data, 8))
    };
    let bound = |v| exact(ZoneValue::Float(v));
    let zone = of(&[1.5, -2.5, f64::NEG_INFINITY, 3.0]);
    assert_eq!((zone.min, zone.max), (bound(f64::NEG_INFINITY), bound(3.0)));
    let zone = of(&[1.0, f64::NAN, f64::INFINITY]);
    assert_eq!(zone.min, bound(1.0));
    let Some(ZoneBound { value: ZoneValue::Float(max), exact: true }) = zone.max else {
        panic!("NaN is the greatest")
    };
    assert!(max.is_nan());
}

#[test]
fn decimals_beyond_sixteen_bytes_have_no_bound() {
    let wide = |value: i128| {
        let mut bytes = [if value < 0 { 0xff } else { 0 }; 32];
        bytes[..16].copy_from_slice(&value.to_le_bytes());
        bytes
    };
    let mut huge = [0; 32];
    huge[31] = 1;
    let data = [wide(-3), wide(i128::MAX), wide(2)].concat();
    let zone_of = |data: &[u8]| {
        let zone = zone(PhysicalType::Int32, |zone| zone.fixed(data, 32));
        (zone.min, zone.max)
    };
    let bound = |v| exact(ZoneValue::Wide(v));
    assert_eq!(zone_of(&data), (bound(-3), bound(i128::MAX)));
    assert_eq!(zone_of(&[wide(-3), huge].concat()), (bound(-3), None));
    let data: Vec<u8> = [-1i128, i128::MIN, 5].iter().flat_map(|v| v.to_le_bytes()).collect();
    let zone = zone(PhysicalType::Int16, |zone| zone.fixed(&data, 16));
    assert_eq!((zone.min, zone.max), (bound(i128::MIN), bound(5)));
}

#[test]
fn an_exception_unbounds_the_zone() {
    let zone = zone(PhysicalType::Int8, |zone| {
        zone.ints((1, 2));
        zone.exception(true);
        zone.exception(false);
    });
    assert_eq!(zone, Zone { values: 4, nulls: 2, min: None, max: None });
}
