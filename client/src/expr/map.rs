//! Operators on maps, as rule 27 has them: get, has, put, remove. NULL maps and keys as hstore has them; a map column
//! is never NULL.

use super::ExprError;
use crate::cell::map::in_order;
use crate::value::Value;

type Entries = Vec<(Value, Value)>;

fn place(entries: &Entries, key: &Value) -> Result<usize, usize> {
    entries.binary_search_by(|(known, _)| known.compare(key))
}

fn ill_typed<T>() -> Result<T, ExprError> {
    Err(ExprError::IllTyped("no map".to_owned()))
}

/// The key's value; NULL where the map does not have it.
pub(super) fn get(map: Value, key: &Value) -> Result<Value, ExprError> {
    match map {
        Value::Null => Ok(Value::Null),
        Value::Map(mut entries) => Ok(match place(&entries, key) {
            Ok(at) => entries.swap_remove(at).1,
            Err(_) => Value::Null,
        }),
        _ => ill_typed(),
    }
}

/// Whether the map has the key.
pub(super) fn has(map: &Value, key: &Value) -> Result<Value, ExprError> {
    match map {
        Value::Null => Ok(Value::Null),
        Value::Map(_) if key.is_null() => Ok(Value::Null),
        Value::Map(entries) => Ok(Value::Bool(place(entries, key).is_ok())),
        _ => ill_typed(),
    }
}

/// The map with this entry. No map at all is an empty one.
pub(crate) fn put(map: Value, key: Value, value: Value) -> Result<Value, ExprError> {
    if key.is_null() {
        return Err(ExprError::NullMapKey);
    }
    let mut entries = match map {
        Value::Null => Entries::new(),
        Value::Map(entries) => entries,
        _ => return ill_typed(),
    };
    match place(&entries, &key) {
        Ok(at) => entries[at].1 = value,
        Err(at) => entries.insert(at, (key, value)),
    }
    Ok(Value::Map(entries))
}

/// Both maps' entries: of keys that both have the right one's.
pub(super) fn concat(map: Value, other: Value) -> Result<Value, ExprError> {
    match (map, other) {
        (Value::Null, _) | (_, Value::Null) => Ok(Value::Null),
        (Value::Map(mut entries), Value::Map(others)) => {
            entries.extend(others);
            Ok(Value::Map(in_order(entries)))
        }
        _ => ill_typed(),
    }
}

/// The map without the key.
pub(crate) fn remove(map: Value, key: &Value) -> Result<Value, ExprError> {
    match map {
        // As hstore has it: without NULL is NULL.
        _ if key.is_null() => Ok(Value::Null),
        Value::Null => Ok(Value::Null),
        Value::Map(mut entries) => {
            if let Ok(at) = place(&entries, key) {
                entries.remove(at);
            }
            Ok(Value::Map(entries))
        }
        _ => ill_typed(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(text: &str) -> Value {
        Value::Text(text.to_owned())
    }

    #[test]
    fn an_entry_is_put_found_and_removed() {
        let map = put(Value::Map(Vec::new()), text("b"), text("2")).unwrap();
        let map = put(map, text("a"), Value::Null).unwrap();
        let map = put(map, text("b"), text("3")).unwrap();
        assert_eq!(map, Value::Map(vec![(text("a"), Value::Null), (text("b"), text("3"))]));
        assert_eq!(get(map.clone(), &text("b")), Ok(text("3")));
        assert_eq!(get(map.clone(), &text("c")), Ok(Value::Null));
        assert_eq!(has(&map, &text("a")), Ok(Value::Bool(true)));
        assert_eq!(has(&map, &text("c")), Ok(Value::Bool(false)));
        let map = remove(map, &text("b")).unwrap();
        assert_eq!(remove(map.clone(), &text("z")), Ok(map.clone()));
        assert_eq!(map, Value::Map(vec![(text("a"), Value::Null)]));
    }

    #[test]
    fn null_is_no_key() {
        let map = Value::Map(vec![(text("a"), text("1"))]);
        assert_eq!(get(map.clone(), &Value::Null), Ok(Value::Null));
        assert_eq!(has(&map, &Value::Null), Ok(Value::Null));
        assert_eq!(put(map, Value::Null, text("1")), Err(ExprError::NullMapKey));
        assert_eq!(get(Value::Null, &text("a")), Ok(Value::Null));
    }
}
