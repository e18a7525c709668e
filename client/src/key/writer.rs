//! Writes keys, column by column, from values or straight from what a parameter's bytes hold.

use super::{ESCAPED_ZERO, KEY_BYTES_MAX, KeyError, TERMINATOR, ordered_f32, ordered_f64};
use crate::cell::numeric_at;
use crate::types::DataType;
use crate::value::Value;
use bytes::Bytes;

/// Builds one key after another. Columns are pushed in key order.
#[derive(Default)]
pub struct KeyWriter {
    bytes: Vec<u8>,
    columns: usize,
}

macro_rules! push_integer {
    ($name:ident, $type:ty, $unsigned:ty, $doc:literal) => {
        #[doc = $doc]
        pub fn $name(&mut self, value: $type, descending: bool) {
            // Flipping the sign bit turns two's complement order into unsigned order.
            let flipped = (value as $unsigned) ^ (1 << (<$unsigned>::BITS - 1));
            self.push_fixed(&flipped.to_be_bytes(), descending);
        }
    };
}

impl KeyWriter {
    push_integer!(push_i16, i16, u16, "A `smallint`.");
    push_integer!(push_i32, i32, u32, "An `integer`, or a `date`'s days.");
    push_integer!(push_i64, i64, u64, "A `bigint`, or a time's or timestamp's microseconds.");
    push_integer!(push_i128, i128, u128, "A numeric's unscaled digits at the column's scale.");

    /// A `boolean`.
    pub fn push_bool(&mut self, value: bool, descending: bool) {
        self.push_fixed(&[u8::from(value)], descending);
    }

    /// A `real`.
    pub fn push_f32(&mut self, value: f32, descending: bool) {
        self.push_fixed(&ordered_f32(value).to_be_bytes(), descending);
    }

    /// A `double precision`.
    pub fn push_f64(&mut self, value: f64, descending: bool) {
        self.push_fixed(&ordered_f64(value).to_be_bytes(), descending);
    }

    /// Bytes of a fixed width whose order is already that of the values: a `uuid`.
    pub fn push_fixed(&mut self, value: &[u8], descending: bool) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(value);
        self.close(start, descending);
    }

    /// The bytes of `text`, `varchar` or `bytea`. For `char(n)` the caller trims trailing blanks.
    pub fn push_bytes(&mut self, value: &[u8], descending: bool) {
        let start = self.bytes.len();
        let mut rest = value;
        while let Some(zero) = rest.iter().position(|byte| *byte == 0) {
            self.bytes.extend_from_slice(&rest[..zero]);
            self.bytes.extend_from_slice(&ESCAPED_ZERO);
            rest = &rest[zero + 1..];
        }
        self.bytes.extend_from_slice(rest);
        self.bytes.extend_from_slice(&TERMINATOR);
        self.close(start, descending);
    }

    fn close(&mut self, start: usize, descending: bool) {
        if descending {
            self.bytes[start..].iter_mut().for_each(|byte| *byte = !*byte);
        }
        self.columns += 1;
    }

    /// Any value of a key type.
    pub fn push(
        &mut self,
        value: &Value,
        data_type: &DataType,
        descending: bool,
    ) -> Result<(), KeyError> {
        match (value, data_type) {
            (Value::Null, _) => return Err(KeyError::Null(self.columns)),
            (Value::Bool(v), DataType::Bool) => self.push_bool(*v, descending),
            (Value::Int2(v), DataType::Int2) => self.push_i16(*v, descending),
            (Value::Int4(v), DataType::Int4) | (Value::Date(v), DataType::Date) => {
                self.push_i32(*v, descending);
            }
            (Value::Int8(v), DataType::Int8)
            | (Value::Time(v), DataType::Time)
            | (Value::Timestamp(v), DataType::Timestamp)
            | (Value::TimestampTz(v), DataType::TimestampTz) => self.push_i64(*v, descending),
            (Value::Float4(v), DataType::Float4) => self.push_f32(*v, descending),
            (Value::Float8(v), DataType::Float8) => self.push_f64(*v, descending),
            (Value::Numeric(v), DataType::Numeric(modifier)) if data_type.is_key_type() => {
                let stored = numeric_at(*v, *modifier).and_then(|stored| stored.unscaled.to_i128());
                let stored = stored.ok_or_else(|| KeyError::OutOfRange(data_type.clone()))?;
                self.push_i128(stored, descending);
            }
            (Value::Text(v), DataType::Char(_)) => {
                self.push_bytes(v.trim_end_matches(' ').as_bytes(), descending);
            }
            (Value::Text(v), DataType::Text | DataType::Varchar(_)) => {
                self.push_bytes(v.as_bytes(), descending);
            }
            (Value::Bytea(v), DataType::Bytea) => self.push_bytes(v, descending),
            (Value::Uuid(v), DataType::Uuid) => self.push_fixed(v, descending),
            _ => return Err(KeyError::Mismatch(data_type.clone())),
        }
        Ok(())
    }

    /// Bytes written since the last [`KeyWriter::finish`].
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Ends a key that started at byte `start` and leaves it where it is, for many keys in one buffer
    /// ([`KeyWriter::take`]). Answers where it ends; refuses what is over the limit.
    pub fn end(&mut self, start: usize) -> Result<usize, KeyError> {
        self.columns = 0;
        match self.bytes.len() - start {
            size if size > KEY_BYTES_MAX => Err(KeyError::TooLarge { size }),
            _ => Ok(self.bytes.len()),
        }
    }

    /// All keys since the last [`KeyWriter::take`]; the writer is empty again.
    pub fn take(&mut self) -> Vec<u8> {
        self.columns = 0;
        std::mem::take(&mut self.bytes)
    }

    /// The key; the writer is empty again. Refuses what is over the limit.
    pub fn finish(&mut self) -> Result<Bytes, KeyError> {
        self.columns = 0;
        let size = self.bytes.len();
        if size > KEY_BYTES_MAX {
            self.bytes.clear();
            return Err(KeyError::TooLarge { size });
        }
        let key = Bytes::copy_from_slice(&self.bytes);
        self.bytes.clear();
        Ok(key)
    }
}
