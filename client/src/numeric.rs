//! Exact decimals of up to 76 digits: an unscaled 256-bit integer and a scale.

use arrow::datatypes::i256;

/// `unscaled / 10^scale`. Two numerics that differ only in trailing zeros are different here and equal
/// in SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Numeric {
    /// The digits, signed.
    pub unscaled: i256,
    /// Digits right of the point, 0 to 76.
    pub scale: i8,
}

/// Serialized as `[text of the unscaled digits, scale]`: arrow's integer has no serde of its own.
impl serde::Serialize for Numeric {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        (self.unscaled.to_string(), self.scale).serialize(serializer)
    }
}

impl<'de> serde::Deserialize<'de> for Numeric {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (digits, scale) = <(String, i8)>::deserialize(deserializer)?;
        let unscaled = i256::from_string(&digits)
            .ok_or_else(|| serde::de::Error::custom("not a 256-bit integer"))?;
        Ok(Self { unscaled, scale })
    }
}
