//! Row keys of tables without a PRIMARY KEY.
//!
//! ```text
//! microseconds since 1970 u64 | counter u16 | frontend 48 bits      big-endian, 16 bytes
//! ```
//!
//! Keys of one frontend ascend in the order they were taken, also when its clock stands still or steps
//! back, so insertion order is kept (rule 38). Keys of two frontends differ by the frontend's id, which
//! is chosen at random when it starts. The frontend takes a row's key before it first sends the row, so
//! that a retry writes the same row (rule 5).

/// Bytes of a hidden row key.
pub const HIDDEN_KEY_BYTES: usize = 16;

/// Takes hidden row keys for one frontend.
#[derive(Debug)]
pub struct HiddenKeys {
    frontend: u64,
    last_micros: u64,
    counter: u16,
}

impl HiddenKeys {
    /// For a frontend, by its random id; the low 48 bits count.
    pub fn new(frontend: u64) -> Self {
        Self { frontend, last_micros: 0, counter: 0 }
    }

    /// The next key. `now_micros` is the clock, since 1970-01-01 UTC.
    pub fn next(&mut self, now_micros: i64) -> [u8; HIDDEN_KEY_BYTES] {
        let now = u64::try_from(now_micros).unwrap_or(0);
        if now > self.last_micros {
            self.last_micros = now;
            self.counter = 0;
        } else {
            match self.counter.checked_add(1) {
                Some(next) => self.counter = next,
                // 65,536 keys in one microsecond: run ahead of the clock, which will catch up.
                None => {
                    self.last_micros += 1;
                    self.counter = 0;
                }
            }
        }
        let mut key = [0; HIDDEN_KEY_BYTES];
        key[..8].copy_from_slice(&self.last_micros.to_be_bytes());
        key[8..10].copy_from_slice(&self.counter.to_be_bytes());
        key[10..].copy_from_slice(&self.frontend.to_be_bytes()[2..]);
        key
    }
}
