//! PostgreSQL's interval: three fields that do not convert into each other without a calendar.

use serde::{Deserialize, Serialize};

/// Months, days and microseconds, each signed. Equality here is of the fields; SQL's `=` compares
/// [`Interval::comparable_micros`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Interval {
    /// Whole months.
    pub months: i32,
    /// Whole days.
    pub days: i32,
    /// Microseconds, not limited to a day.
    pub micros: i64,
}

impl Interval {
    /// Bytes of the stored form: months, days, micros, little-endian.
    pub const WIDTH_BYTES: usize = 16;

    /// The value SQL orders by: a month counts 30 days and a day 24 hours, as in PostgreSQL.
    pub fn comparable_micros(&self) -> i128 {
        const DAY: i128 = 86_400_000_000;
        i128::from(self.months) * 30 * DAY + i128::from(self.days) * DAY + i128::from(self.micros)
    }

    /// The stored form.
    pub fn to_bytes(&self) -> [u8; Self::WIDTH_BYTES] {
        let mut bytes = [0; Self::WIDTH_BYTES];
        bytes[..4].copy_from_slice(&self.months.to_le_bytes());
        bytes[4..8].copy_from_slice(&self.days.to_le_bytes());
        bytes[8..].copy_from_slice(&self.micros.to_le_bytes());
        bytes
    }

    /// Reads the stored form.
    pub fn from_bytes(bytes: [u8; Self::WIDTH_BYTES]) -> Self {
        let [a, b, c, d, e, f, g, h, micros @ ..] = bytes;
        Self {
            months: i32::from_le_bytes([a, b, c, d]),
            days: i32::from_le_bytes([e, f, g, h]),
            micros: i64::from_le_bytes(micros),
        }
    }
}
