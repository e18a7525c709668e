//! nextval and setval. Not transactional, as in PostgreSQL: ROLLBACK gives nothing back.
//!
//! The row of a sequence's counter says up to where values are reserved. A frontend reserves a range by
//! compare-and-set, durably, and hands its values out from memory; the more it hands out, the larger the
//! next range. Values reserved and not handed out when the process dies are a gap (rule 44).

use crate::catalog::counters::{Counters, Position};
use crate::catalog::model::Sequence;
use crate::error::{SqlError, SqlState};
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;
use terrane_client::ids::StorageId;

/// Values reserved the first time, as PostgreSQL logs ahead.
const RESERVED_MIN: i64 = 32;
/// Values reserved at most; each reservation doubles up to here.
const RESERVED_MAX: i64 = 8192;

/// All sequences as this frontend sees them.
pub struct Sequences {
    counters: Counters,
    reserved: Mutex<HashMap<StorageId, Arc<tokio::sync::Mutex<Reserved>>>>,
}

/// What this frontend has reserved of a sequence.
#[derive(Clone, Copy, Debug)]
struct Reserved {
    /// The last value handed out here, or where the sequence stands.
    position: Position,
    /// The last value reserved; nothing is left where `position` has reached it.
    end: Option<i64>,
    /// How many to reserve next.
    size: i64,
    /// The definition the reservation was made under.
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Shape {
    increment: i64,
    min: i64,
    max: i64,
    cycle: bool,
}

impl Shape {
    fn of(sequence: &Sequence) -> Self {
        let Sequence { increment, min, max, cycle, .. } = sequence;
        Self { increment: *increment, min: *min, max: *max, cycle: *cycle }
    }

    /// The value after `last`: `None` at the end of a sequence that does not cycle.
    fn after(&self, last: i64) -> Option<i64> {
        let inside = |value: &i64| (self.min..=self.max).contains(value);
        let next = last.checked_add(self.increment).filter(inside);
        let restart = if self.increment > 0 { self.min } else { self.max };
        next.or(self.cycle.then_some(restart))
    }

    /// The value `count` - 1 steps after `first`, or the last one before the end.
    fn reach(&self, first: i64, count: i64) -> i64 {
        let (first, step) = (i128::from(first), i128::from(self.increment));
        let limit = i128::from(if step > 0 { self.max } else { self.min });
        let steps_max = (limit - first) / step;
        let steps = (i128::from(count) - 1).clamp(0, steps_max.max(0));
        i64::try_from(first + steps * step).unwrap_or(self.max)
    }
}

impl Sequences {
    pub(crate) fn new(counters: Counters) -> Self {
        Self { counters, reserved: Mutex::new(HashMap::new()) }
    }

    fn reserved(&self, sequence: &Sequence) -> Arc<tokio::sync::Mutex<Reserved>> {
        let mut reserved = self.reserved.lock();
        let entry = reserved.entry(sequence.counter).or_insert_with(|| {
            let start = Position { last: sequence.start, called: false };
            Arc::new(tokio::sync::Mutex::new(Reserved {
                position: start,
                end: None,
                size: RESERVED_MIN,
                shape: Shape::of(sequence),
            }))
        });
        Arc::clone(entry)
    }

    /// nextval.
    pub async fn next_value(&self, sequence: &Sequence) -> Result<i64, SqlError> {
        let reserved = self.reserved(sequence);
        let mut reserved = reserved.lock().await;
        self.advance(&mut reserved, sequence).await
    }

    /// nextval `count` times, for the rows of one statement.
    pub async fn next_values(
        &self,
        sequence: &Sequence,
        count: usize,
    ) -> Result<Vec<i64>, SqlError> {
        let reserved = self.reserved(sequence);
        let mut reserved = reserved.lock().await;
        let wanted = i64::try_from(count).unwrap_or(RESERVED_MAX);
        reserved.size = reserved.size.max(wanted.min(RESERVED_MAX));
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(self.advance(&mut reserved, sequence).await?);
        }
        Ok(values)
    }

    async fn advance(&self, own: &mut Reserved, sequence: &Sequence) -> Result<i64, SqlError> {
        let shape = Shape::of(sequence);
        if own.shape != shape {
            self.give_back(own, sequence.counter).await?;
            own.shape = shape;
        }
        let at_end = own.end.is_none_or(|end| own.position.called && own.position.last == end);
        if at_end {
            self.reserve(own, sequence).await?;
        }
        let value = match own.position.called {
            false => own.position.last,
            true => shape.after(own.position.last).ok_or_else(|| exhausted(sequence))?,
        };
        own.position = Position { last: value, called: true };
        Ok(value)
    }

    /// Reserves the next range, wherever the row says the sequence stands.
    async fn reserve(&self, own: &mut Reserved, sequence: &Sequence) -> Result<(), SqlError> {
        let size = own.size.max(sequence.cache);
        loop {
            let (stored, version) = self.counters.read(sequence.counter).await?;
            let start = Position { last: sequence.start, called: false };
            let stored = stored.unwrap_or(start);
            let first = match stored.called {
                false => stored.last,
                true => own.shape.after(stored.last).ok_or_else(|| exhausted(sequence))?,
            };
            let end = own.shape.reach(first, size);
            let position = Position { last: end, called: true };
            if self.counters.write(sequence.counter, position, version).await? {
                own.position = stored;
                own.end = Some(end);
                own.size = (size * 2).min(RESERVED_MAX);
                return Ok(());
            }
        }
    }

    /// Gives back what is reserved and not handed out, where nobody reserved after us.
    async fn give_back(&self, own: &mut Reserved, counter: StorageId) -> Result<(), SqlError> {
        let Some(end) = own.end.take() else { return Ok(()) };
        if own.position.called && own.position.last == end {
            return Ok(());
        }
        let (stored, version) = self.counters.read(counter).await?;
        if stored == Some(Position { last: end, called: true }) {
            self.counters.write(counter, own.position, version).await?;
        }
        Ok(())
    }

    /// setval.
    pub async fn set_value(
        &self,
        sequence: &Sequence,
        last: i64,
        called: bool,
    ) -> Result<(), SqlError> {
        if !(sequence.min..=sequence.max).contains(&last) {
            let message = format!(
                "setval: value {last} is out of bounds for sequence \"{}\" ({}..{})",
                sequence.name, sequence.min, sequence.max
            );
            return Err(SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, message));
        }
        let reserved = self.reserved(sequence);
        let mut reserved = reserved.lock().await;
        let position = Position { last, called };
        self.counters.overwrite(sequence.counter, position).await?;
        (reserved.end, reserved.position, reserved.size) = (None, position, RESERVED_MIN);
        Ok(())
    }

    /// Where a counter that no sequence has used yet is to start.
    pub async fn place(&self, counter: StorageId, position: Position) -> Result<(), SqlError> {
        self.counters.overwrite(counter, position).await
    }

    /// `SELECT last_value, is_called FROM sequence`.
    pub async fn position(&self, sequence: &Sequence) -> Result<Position, SqlError> {
        let reserved = self.reserved(sequence);
        let reserved = reserved.lock().await;
        if reserved.end.is_some() {
            return Ok(reserved.position);
        }
        let (stored, _) = self.counters.read(sequence.counter).await?;
        Ok(stored.unwrap_or(Position { last: sequence.start, called: false }))
    }

    /// Gives everything reserved back: a clean shutdown leaves no gaps.
    pub async fn close(&self) -> Result<(), SqlError> {
        let all: Vec<_> = self.reserved.lock().drain().collect();
        for (counter, reserved) in all {
            self.give_back(&mut *reserved.lock().await, counter).await?;
        }
        Ok(())
    }
}

fn exhausted(sequence: &Sequence) -> SqlError {
    let (end, limit) = match sequence.increment > 0 {
        true => ("maximum", sequence.max),
        false => ("minimum", sequence.min),
    };
    SqlError::new(
        SqlState::SEQUENCE_GENERATOR_LIMIT_EXCEEDED,
        format!("nextval: reached {end} value of sequence \"{}\" ({limit})", sequence.name),
    )
}
