//! Row locks: who may read and then write a row.
//!
//! Striped: a row's lock is that of its stripe, so two rows may share one and a batch may lock many.
//! Stripes are taken in ascending order, each once, so holders never wait in a circle. A lock is held
//! from a program's read until its mutation is applied (rule 1), never across an await.

use parking_lot::{Mutex, MutexGuard};
use terrane_client::ids::StorageId;
use twox_hash::XxHash3_64;

/// Enough that 64 writers on different rows seldom meet; 2^10 one-byte locks and their padding.
pub const STRIPES: usize = 1024;

/// A lock on a cache line of its own: neighbours are taken by different cores.
#[derive(Debug, Default)]
#[repr(align(64))]
struct Stripe(Mutex<()>);

/// See the module's documentation.
#[derive(Debug)]
pub struct RowLocks {
    stripes: Box<[Stripe]>,
}

/// Held stripes; dropping them lets the next program in.
#[derive(Debug)]
#[must_use]
pub enum HeldRows<'a> {
    /// One row, the common case, without an allocation.
    One(#[allow(dead_code, reason = "held, not read")] MutexGuard<'a, ()>),
    /// Several.
    Many(#[allow(dead_code, reason = "held, not read")] Vec<MutexGuard<'a, ()>>),
}

impl Default for RowLocks {
    fn default() -> Self {
        Self { stripes: (0..STRIPES).map(|_| Stripe::default()).collect() }
    }
}

impl RowLocks {
    /// A row's stripe.
    pub fn stripe(table: StorageId, key: &[u8]) -> u16 {
        let hash = XxHash3_64::oneshot_with_seed(table.0, key);
        u16::try_from(hash % STRIPES as u64).expect("there are fewer than 2^16 stripes")
    }

    /// Locks one row.
    pub fn lock_one(&self, stripe: u16) -> HeldRows<'_> {
        HeldRows::One(self.stripes[usize::from(stripe)].0.lock())
    }

    /// Locks every row of every table.
    pub fn lock_all(&self) -> HeldRows<'_> {
        HeldRows::Many(self.stripes.iter().map(|stripe| stripe.0.lock()).collect())
    }

    /// Locks the stripes of many rows, which may come in any order and more than once.
    pub fn lock_many(&self, mut stripes: Vec<u16>) -> HeldRows<'_> {
        stripes.sort_unstable();
        stripes.dedup();
        HeldRows::Many(stripes.iter().map(|&i| self.stripes[usize::from(i)].0.lock()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_rows_in_any_order_are_locked_once_each() {
        let locks = RowLocks::default();
        let held = locks.lock_many(vec![9, 3, 9, 1023, 0]);
        let HeldRows::Many(guards) = &held else { panic!("many") };
        assert_eq!(guards.len(), 4);
        for stripe in [0, 3, 9, 1023] {
            assert!(locks.stripes[stripe].0.try_lock().is_none());
        }
        assert!(locks.stripes[4].0.try_lock().is_some());
        drop(held);
        assert!(locks.stripes[9].0.try_lock().is_some());
        let all = locks.lock_all();
        assert!(locks.stripes.iter().all(|stripe| stripe.0.try_lock().is_none()));
        drop(all);
    }

    #[test]
    fn rows_spread_over_the_stripes() {
        let mut seen = std::collections::BTreeSet::new();
        for i in 0..4096u32 {
            seen.insert(RowLocks::stripe(StorageId(1000), &i.to_be_bytes()));
        }
        assert!(seen.len() > 950, "{}", seen.len());
        assert_ne!(
            RowLocks::stripe(StorageId(1000), b"k"),
            RowLocks::stripe(StorageId(1001), b"k")
        );
    }
}
