//! Reads keys, column by column, without making values: scans decode key columns for every row.

use super::{ESCAPED_ZERO, KeyError, TERMINATOR, unordered_f32, unordered_f64};
use crate::numeric::Numeric;
use crate::types::DataType;
use crate::value::Value;
use arrow::datatypes::i256;
use bytes::Bytes;

/// Walks over one encoded key. Each read takes the next column, in key order.
#[derive(Clone, Debug)]
pub struct KeyReader<'a> {
    key: &'a [u8],
    offset: usize,
}

macro_rules! read_integer {
    ($name:ident, $type:ty, $unsigned:ty, $doc:literal) => {
        #[doc = $doc]
        pub fn $name(&mut self, descending: bool) -> Result<$type, KeyError> {
            let bits = <$unsigned>::from_be_bytes(self.read_fixed(descending)?);
            Ok((bits ^ (1 << (<$unsigned>::BITS - 1))) as $type)
        }
    };
}

impl<'a> KeyReader<'a> {
    /// Starts at the key's first column.
    pub fn new(key: &'a [u8]) -> Self {
        Self { key, offset: 0 }
    }

    read_integer!(read_i16, i16, u16, "A `smallint`.");
    read_integer!(read_i32, i32, u32, "An `integer`, or a `date`'s days.");
    read_integer!(read_i64, i64, u64, "A `bigint`, or a time's or timestamp's microseconds.");
    read_integer!(read_i128, i128, u128, "A numeric's unscaled digits at the column's scale.");

    fn malformed(&self) -> KeyError {
        KeyError::Malformed { offset: self.offset }
    }

    /// The next `N` bytes: a `uuid`, or the raw bytes of any fixed width.
    pub fn read_fixed<const N: usize>(&mut self, descending: bool) -> Result<[u8; N], KeyError> {
        let rest = self.key.get(self.offset..).unwrap_or_default();
        let mut bytes: [u8; N] = *rest.first_chunk().ok_or_else(|| self.malformed())?;
        if descending {
            bytes.iter_mut().for_each(|byte| *byte = !*byte);
        }
        self.offset += N;
        Ok(bytes)
    }

    /// A `boolean`.
    pub fn read_bool(&mut self, descending: bool) -> Result<bool, KeyError> {
        let at = self.offset;
        match self.read_fixed(descending)? {
            [0] => Ok(false),
            [1] => Ok(true),
            _ => Err(KeyError::Malformed { offset: at }),
        }
    }

    /// A `real`.
    pub fn read_f32(&mut self, descending: bool) -> Result<f32, KeyError> {
        Ok(unordered_f32(u32::from_be_bytes(self.read_fixed(descending)?)))
    }

    /// A `double precision`.
    pub fn read_f64(&mut self, descending: bool) -> Result<f64, KeyError> {
        Ok(unordered_f64(u64::from_be_bytes(self.read_fixed(descending)?)))
    }

    /// Appends the bytes of `text`, `varchar`, `char` or `bytea` to `out`.
    pub fn read_bytes_into(&mut self, descending: bool, out: &mut Vec<u8>) -> Result<(), KeyError> {
        let mask = if descending { 0xff } else { 0 };
        loop {
            let (piece, marker) = self.piece(mask)?;
            let start = out.len();
            out.extend_from_slice(piece);
            if descending {
                out[start..].iter_mut().for_each(|byte| *byte = !*byte);
            }
            if marker == TERMINATOR[1] {
                return Ok(());
            }
            out.push(0);
        }
    }

    /// The bytes of `text`, `varchar`, `char` or `bytea`: borrowed from the key where they stand there as
    /// they are (ascending, no 0x00 inside), else put into `scratch`, whose content is lost.
    pub fn read_bytes<'b>(
        &mut self,
        descending: bool,
        scratch: &'b mut Vec<u8>,
    ) -> Result<&'b [u8], KeyError>
    where
        'a: 'b,
    {
        let start = self.offset;
        if !descending {
            let (piece, marker) = self.piece(0)?;
            if marker == TERMINATOR[1] {
                return Ok(piece);
            }
            self.offset = start;
        }
        scratch.clear();
        self.read_bytes_into(descending, scratch)?;
        Ok(scratch)
    }

    /// The bytes up to the next (masked) 0x00, and the byte after it, unmasked: [`ESCAPED_ZERO`]'s or
    /// [`TERMINATOR`]'s.
    fn piece(&mut self, mask: u8) -> Result<(&'a [u8], u8), KeyError> {
        let rest = self.key.get(self.offset..).unwrap_or_default();
        let zero = rest.iter().position(|byte| *byte == mask).ok_or_else(|| self.malformed())?;
        let marker = rest.get(zero + 1).map(|byte| byte ^ mask);
        match marker {
            Some(marker) if marker == ESCAPED_ZERO[1] || marker == TERMINATOR[1] => {
                self.offset += zero + 2;
                Ok((&rest[..zero], marker))
            }
            _ => Err(KeyError::Malformed { offset: self.offset + zero }),
        }
    }

    /// Passes over a column.
    pub fn skip(&mut self, data_type: &DataType, descending: bool) -> Result<(), KeyError> {
        match data_type.physical().width() {
            // Fixed widths in keys are those of cells.
            Some(width) => match self.key.len().checked_sub(self.offset) {
                Some(rest) if rest >= width => {
                    self.offset += width;
                    Ok(())
                }
                _ => Err(self.malformed()),
            },
            None => {
                let mask = if descending { 0xff } else { 0 };
                while self.piece(mask)?.1 != TERMINATOR[1] {}
                Ok(())
            }
        }
    }

    /// The column as a value.
    pub fn value(&mut self, data_type: &DataType, descending: bool) -> Result<Value, KeyError> {
        let at = self.offset;
        Ok(match data_type {
            DataType::Bool => Value::Bool(self.read_bool(descending)?),
            DataType::Int2 => Value::Int2(self.read_i16(descending)?),
            DataType::Int4 => Value::Int4(self.read_i32(descending)?),
            DataType::Int8 => Value::Int8(self.read_i64(descending)?),
            DataType::Date => Value::Date(self.read_i32(descending)?),
            DataType::Time => Value::Time(self.read_i64(descending)?),
            DataType::Timestamp => Value::Timestamp(self.read_i64(descending)?),
            DataType::TimestampTz => Value::TimestampTz(self.read_i64(descending)?),
            DataType::Float4 => Value::Float4(self.read_f32(descending)?),
            DataType::Float8 => Value::Float8(self.read_f64(descending)?),
            DataType::Numeric(modifier) if data_type.is_key_type() => {
                let (_, scale) = DataType::numeric_shape(*modifier);
                let unscaled = i256::from_i128(self.read_i128(descending)?);
                let numeric = Numeric::new(unscaled, scale);
                Value::Numeric(numeric.map_err(|_| KeyError::Malformed { offset: at })?)
            }
            DataType::Text | DataType::Varchar(_) | DataType::Char(_) => {
                let mut bytes = Vec::new();
                self.read_bytes_into(descending, &mut bytes)?;
                let text = String::from_utf8(bytes);
                Value::Text(text.map_err(|_| KeyError::Malformed { offset: at })?)
            }
            DataType::Bytea => {
                let mut bytes = Vec::new();
                self.read_bytes_into(descending, &mut bytes)?;
                Value::Bytea(Bytes::from(bytes))
            }
            DataType::Uuid => Value::Uuid(self.read_fixed(descending)?),
            _ => return Err(KeyError::Mismatch(data_type.clone())),
        })
    }

    /// Where the next column starts.
    pub fn offset(&self) -> usize {
        self.offset
    }

    /// Checks that the key ends here.
    pub fn finish(&self) -> Result<(), KeyError> {
        if self.offset == self.key.len() { Ok(()) } else { Err(self.malformed()) }
    }
}
