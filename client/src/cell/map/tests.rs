use super::*;
use crate::arbitrary;
use crate::cell;
use proptest::prelude::*;

fn text(text: &str) -> Value {
    Value::Text(text.to_owned())
}

fn a_map() -> impl Strategy<Value = (MapType, Value)> {
    arbitrary::any_type()
        .prop_filter_map("a map type", |data_type| match data_type {
            DataType::Map(of) => Some(*of),
            _ => None,
        })
        .prop_flat_map(|of| {
            let value = arbitrary::value_of(&DataType::Map(Box::new(of.clone())));
            (Just(of), value)
        })
}

proptest! {
    #![proptest_config(ProptestConfig { max_global_rejects: 100_000, ..ProptestConfig::default() })]

    /// What is written is what is read, and every key is found.
    #[test]
    fn maps_come_back((of, value) in a_map()) {
        let data_type = DataType::Map(Box::new(of.clone()));
        let bytes = cell::encoded(&value, &data_type).expect("fits").expect("not NULL");
        let back = cell::decode(&bytes, &data_type).expect("what was written");
        prop_assert!(back.same(&value), "{back:?}");
        let Value::Map(entries) = &value else { return Ok(()) };
        let map = MapCell::new(&bytes, &of).expect("a map");
        prop_assert_eq!(map.len(), entries.len());
        for (key, value) in entries {
            let found = map.get(&encode_key(key, &of).expect("a key")).expect("is there");
            prop_assert_eq!(found.is_none(), value.is_null());
        }
    }

    /// Damage is an error or another map, never a panic.
    #[test]
    fn damaged_bytes_do_not_panic((of, value) in a_map(), at in any::<usize>(), byte in any::<u8>()) {
        let data_type = DataType::Map(Box::new(of.clone()));
        let mut bytes = cell::encoded(&value, &data_type).expect("fits").expect("not NULL");
        let at = at % bytes.len();
        bytes[at] = byte;
        let _ = cell::decode(&bytes, &data_type);
        bytes.truncate(at);
        prop_assert!(cell::decode(&bytes, &data_type).is_err());
    }
}

#[test]
fn the_bytes_of_a_map() {
    let of = MapType::hstore();
    let entries = vec![(text("a"), text("1")), (text("b"), Value::Null)];
    let bytes = cell::encoded(&Value::Map(entries), &DataType::Map(Box::new(of)));
    let code = [0xff, 0xff, 0xff, 0x0f, 0xff, 0xff, 0xff, 0xff];
    let ends = [3, 0, 0, 0, 4, 0, 0, 0, 7, 0, 0, 0, 7, 0, 0, 0x80];
    let key = |byte: u8| encode_key(&text(&char::from(byte).to_string()), &MapType::hstore());
    let mut expected = [&code[..], &[2, 0, 0, 0], &ends].concat();
    expected.extend(key(b'a').expect("a key"));
    expected.push(b'1');
    expected.extend(key(b'b').expect("a key"));
    assert_eq!(bytes, Ok(Some(expected)));
}

#[test]
fn equal_maps_are_equal_bytes() {
    let of = MapType::new(DataType::Int4, DataType::Float8).expect("scalars");
    let data_type = DataType::Map(Box::new(of));
    let map = |value: f64| {
        let entries = vec![(Value::Int4(1), Value::Float8(value))];
        cell::encoded(&Value::Map(entries), &data_type).expect("fits")
    };
    assert_eq!(map(0.0), map(-0.0));
    assert_eq!(map(f64::NAN), map(-f64::NAN));
    assert_ne!(map(0.0), map(1.0));
}

#[test]
fn a_map_of_another_type_is_none() {
    let empty = cell::encoded(&Value::Map(Vec::new()), &DataType::Map(Box::new(MapType::hstore())));
    let of = MapType::new(DataType::Text, DataType::Text).expect("scalars");
    let bytes = empty.expect("fits").expect("not NULL");
    assert!(MapCell::new(&bytes, &of).is_none());
    assert!(MapCell::new(&bytes, &MapType::hstore()).expect("one").is_empty());
}

#[test]
fn of_equal_keys_the_last_stays() {
    let entries = vec![(text("b"), text("1")), (text("a"), text("2")), (text("b"), text("3"))];
    let expected = vec![(text("a"), text("2")), (text("b"), text("3"))];
    assert_eq!(in_order(entries), expected);
}
