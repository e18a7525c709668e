//! What a number means, by its look and by what is known already: DecodeNumber and DecodeNumberField.

use super::{
    ALL_SECONDS, DATE, DAY_OF_MONTH, DAY_OF_YEAR, Decoder, HOURS, Label, MINUTES, MONTH, Parts,
    SECONDS, TIME, YEAR,
};
use crate::types::datetime::Fault;
use crate::types::datetime::calendar::{DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND, civil_from_days};
use crate::types::datetime::fields::{Field, Kind};
use crate::types::datetime::scan::{fraction_micros, leading_int};
use crate::types::datetime::words::Unit;
use crate::types::style::DateOrder;

impl Decoder<'_> {
    pub(super) fn number_field(&mut self, fields: &[Field], i: usize) -> Result<Parts, Fault> {
        let text = &fields[i].text;
        if let Some(label) = self.label.take() {
            return self.labelled(label, text);
        }
        let point = text.find('.');
        let long_head = point.is_some_and(|at| at > 2);
        if self.time_only {
            let date_ahead =
                i == 0 && fields.len() >= 2 && fields.last().is_some_and(|f| f.kind == Kind::Date);
            return match point {
                Some(_) if date_ahead => self.date(text),
                Some(_) if long_head => self.run_together(text, self.known | DATE),
                Some(_) => Err(Fault::Format),
                None if text.len() > 4 => self.run_together(text, self.known | DATE),
                None => self.number(text, false, self.known | DATE),
            };
        }
        if point.is_some() && self.known & DATE == 0 {
            self.date(text)
        } else if long_head || (text.len() >= 6 && !(self.has_date() && self.has_time())) {
            self.run_together(text, self.known)
        } else {
            self.number(text, self.text_month, self.known)
        }
    }

    /// A number after a label: `y2001`, `j2451187.5`, `t040506`.
    fn labelled(&mut self, label: Label, text: &str) -> Result<Parts, Fault> {
        let (value, rest) = leading_int(text)?;
        let decimal = rest.starts_with('.');
        let may_have_fraction =
            matches!(label, Label::Time | Label::Unit(Unit::Julian | Unit::Second));
        if !(rest.is_empty() || decimal && may_have_fraction) {
            return Err(Fault::Format);
        }
        match label {
            Label::Unit(Unit::Year) => {
                self.year = value;
                Ok(YEAR)
            }
            // A month after an hour is a minute.
            Label::Unit(Unit::Month) if self.known & MONTH != 0 && self.known & HOURS != 0 => {
                self.minute = value;
                Ok(MINUTES)
            }
            Label::Unit(Unit::Month) => {
                self.month = value;
                Ok(MONTH)
            }
            Label::Unit(Unit::Day) => {
                self.day = value;
                Ok(DAY_OF_MONTH)
            }
            Label::Unit(Unit::Hour) => {
                self.hour = i64::from(value);
                Ok(HOURS)
            }
            Label::Unit(Unit::Minute) => {
                self.minute = value;
                Ok(MINUTES)
            }
            Label::Unit(Unit::Second) => {
                self.second = value;
                if !decimal {
                    return Ok(SECONDS);
                }
                self.fraction = fraction_micros(rest)?;
                Ok(ALL_SECONDS)
            }
            Label::Unit(Unit::Julian) => {
                self.set_julian(value);
                if !decimal {
                    return Ok(DATE);
                }
                let part: f64 = rest.parse().map_err(|_| Fault::Format)?;
                let micros = (part * DAY as f64) as i64;
                self.hour = micros / HOUR;
                self.minute = (micros % HOUR / MINUTE) as i32;
                self.second = (micros % MINUTE / SECOND) as i32;
                self.fraction = micros % SECOND;
                Ok(DATE | TIME)
            }
            Label::Time => match self.run_together(text, self.known | DATE)? {
                TIME => Ok(TIME),
                _ => Err(Fault::Format),
            },
            Label::Unit(_) => Err(Fault::Format),
        }
    }

    pub(super) fn set_julian(&mut self, julian: i32) {
        let days = julian.saturating_sub(EPOCH_JULIAN);
        (self.year, self.month, self.day) = civil_from_days(days);
        self.julian = true;
    }

    /// DecodeNumber: one number whose part is known by what is there already.
    pub(super) fn number(
        &mut self,
        text: &str,
        text_month: bool,
        known: Parts,
    ) -> Result<Parts, Fault> {
        let (value, rest) = leading_int(text)?;
        if rest.starts_with('.') {
            if text.len() - rest.len() > 2 {
                return self.run_together(text, known | DATE);
            }
            self.fraction = fraction_micros(rest)?;
        } else if !rest.is_empty() {
            return Err(Fault::Format);
        }
        let length = text.len();
        if length == 3 && known & DATE == YEAR && (1..=366).contains(&value) {
            self.day_of_year = value;
            return Ok(DAY_OF_YEAR | MONTH | DAY_OF_MONTH);
        }
        let ymd = self.context.order == DateOrder::Ymd;
        const YEAR_MONTH: Parts = YEAR | MONTH;
        const MONTH_DAY: Parts = MONTH | DAY_OF_MONTH;
        let part = match known & DATE {
            0 if length >= 3 || ymd => YEAR,
            0 if self.context.order == DateOrder::Dmy => DAY_OF_MONTH,
            0 => MONTH,
            YEAR => MONTH,
            MONTH if text_month && (length >= 3 || ymd) => YEAR,
            MONTH => DAY_OF_MONTH,
            YEAR_MONTH if text_month && length >= 3 && self.two_digit_year => {
                // What was taken for the year was the day.
                self.day = self.year;
                self.year = value;
                self.two_digit_year = false;
                return Ok(DAY_OF_MONTH);
            }
            YEAR_MONTH => DAY_OF_MONTH,
            DAY_OF_MONTH => MONTH,
            MONTH_DAY => YEAR,
            DATE => return self.run_together(text, known),
            _ => return Err(Fault::Format),
        };
        match part {
            YEAR => {
                self.year = value;
                self.two_digit_year = length <= 2;
            }
            MONTH => self.month = value,
            _ => self.day = value,
        }
        Ok(part)
    }

    /// DecodeNumberField: `20010203`, `010203`, `040506.789`, `0405`.
    pub(super) fn run_together(&mut self, text: &str, known: Parts) -> Result<Parts, Fault> {
        let mut digits = text;
        if let Some(at) = text.find('.') {
            self.fraction = fraction_micros(&text[at..])?;
            digits = &text[..at];
        } else if known & DATE != DATE && text.len() >= 6 {
            let (head, day) = text.split_at(text.len() - 2);
            let (year, month) = head.split_at(head.len() - 2);
            let int = |part: &str| part.parse::<i32>().map_err(|_| Fault::Field);
            (self.year, self.month, self.day) = (int(year)?, int(month)?, int(day)?);
            if year.len() == 2 {
                self.two_digit_year = true;
            }
            return Ok(DATE);
        }
        if known & TIME != TIME && matches!(digits.len(), 4 | 6) {
            let int = |part: &str| part.parse::<i32>().map_err(|_| Fault::Format);
            self.hour = i64::from(int(&digits[..2])?);
            self.minute = int(&digits[2..4])?;
            self.second = if digits.len() == 6 { int(&digits[4..])? } else { 0 };
            return Ok(TIME);
        }
        Err(Fault::Format)
    }
}
