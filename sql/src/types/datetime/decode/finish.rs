//! What all fields together must be: ValidateDate, and the moment they make.

use super::{DAY_OF_MONTH, DAY_OF_YEAR, Decoder, MONTH, Moment, SUMMER, YEAR, ZoneGiven};
use crate::types::datetime::Fault;
use crate::types::datetime::calendar::{DAY, civil_from_days, days_from_civil, days_in_month};
use crate::types::datetime::words::DateWord;
use crate::types::datetime::zone;
use crate::types::style::TimeZone;

impl Decoder<'_> {
    /// ValidateDate.
    fn validate(&mut self) -> Result<(), Fault> {
        if self.known & YEAR != 0 && !self.julian {
            if self.bc {
                if self.year <= 0 {
                    return Err(Fault::Field);
                }
                self.year = 1 - self.year;
            } else if self.two_digit_year {
                match self.year {
                    0..=69 => self.year += 2000,
                    70..=99 => self.year += 1900,
                    _ => {}
                }
            } else if self.year <= 0 {
                return Err(Fault::Field);
            }
        }
        if self.known & DAY_OF_YEAR != 0 {
            let first = days_from_civil(self.year, 1, 1);
            (self.year, self.month, self.day) =
                civil_from_days(first.saturating_add(self.day_of_year - 1));
        }
        if self.known & MONTH != 0 && !(1..=12).contains(&self.month) {
            return Err(Fault::MonthDay);
        }
        if self.known & DAY_OF_MONTH != 0 && !(1..=31).contains(&self.day) {
            return Err(Fault::MonthDay);
        }
        if self.has_date() && self.day > days_in_month(self.year, self.month) {
            return Err(Fault::Field);
        }
        Ok(())
    }

    pub(super) fn finish(mut self) -> Result<Moment, Fault> {
        if let Some(special) = self.special {
            return Ok(special);
        }
        self.validate()?;
        if let Some(half) = self.half {
            match (half, self.hour) {
                (_, 13..) => return Err(Fault::Field),
                (DateWord::Am, 12) => self.hour = 0,
                (DateWord::Pm, 0..=11) => self.hour += 12,
                _ => {}
            }
        }
        if self.time_only {
            if self.overflows() {
                return Err(Fault::Field);
            }
            if !self.has_time() {
                return Err(Fault::Format);
            }
        } else if !self.has_date() {
            return Err(Fault::Format);
        }
        let offset = self.offset()?;
        let micros = self.micros();
        let Self { year, month, day, .. } = self;
        Ok(Moment::Civil { year, month, day, micros, offset })
    }

    fn offset(&self) -> Result<i32, Fault> {
        let summer_alone = self.known & SUMMER != 0;
        match &self.zone {
            ZoneGiven::Offset(east) => Ok(*east),
            _ if self.time_only && !self.has_date() => match &self.zone {
                // The type has no zone, but a zone that needs a date is refused all the same.
                ZoneGiven::Named(named) => zone::fixed_offset(named).ok_or(Fault::Format),
                _ => Ok(0),
            },
            _ if summer_alone => Err(Fault::Format),
            ZoneGiven::Named(named) => Ok(self.local_offset(named)),
            ZoneGiven::Session => Ok(self.local_offset(self.context.zone)),
        }
    }

    fn local_offset(&self, zone: &TimeZone) -> i32 {
        let days = i64::from(days_from_civil(self.year, self.month, self.day));
        zone::offset_of_local(zone, days.saturating_mul(DAY).saturating_add(self.micros()))
    }
}
