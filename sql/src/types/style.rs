//! The settings that text forms depend on.
//!
//! A session owns one [`TextStyle`] and replaces it when a SET changes it; the encoder takes the
//! `Arc` once per statement, so that a result has one style from its first row to its last.

/// A session's TimeZone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimeZone {
    /// A zone of the tz database.
    Named(chrono_tz::Tz),
    /// A constant offset: seconds **east** of Greenwich, and the name SHOW gives.
    Fixed(i32, String),
}

impl TimeZone {
    /// UTC.
    pub const UTC: TimeZone = TimeZone::Named(chrono_tz::UTC);
}

/// The first word of DateStyle: how dates are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateStyle {
    /// `2001-02-03`
    Iso,
    /// `Sat Feb 03 04:05:06 2001`
    Postgres,
    /// `02/03/2001`
    Sql,
    /// `03.02.2001`
    German,
}

/// The second word of DateStyle: which field of `01/02/03` is which.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DateOrder {
    /// Month, day, year: PostgreSQL's default.
    Mdy,
    /// Day, month, year.
    Dmy,
    /// Year, month, day.
    Ymd,
}

/// IntervalStyle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IntervalStyle {
    /// `1 year 2 mons 3 days 04:05:06`
    Postgres,
    /// `@ 1 year 2 mons 3 days 4 hours 5 mins 6 secs`
    PostgresVerbose,
    /// `+1-2 +3 +4:05:06`
    SqlStandard,
    /// `P1Y2M3DT4H5M6S`
    Iso8601,
}

/// bytea_output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteaOutput {
    /// `\x0a`
    Hex,
    /// `\012`
    Escape,
}

/// What text output, and the text input of dates, depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextStyle {
    /// TimeZone.
    pub time_zone: TimeZone,
    /// DateStyle, first word.
    pub date_style: DateStyle,
    /// DateStyle, second word.
    pub date_order: DateOrder,
    /// IntervalStyle.
    pub interval_style: IntervalStyle,
    /// bytea_output.
    pub bytea_output: ByteaOutput,
    /// extra_float_digits, -15 to 3: above 0 is the shortest exact form.
    pub extra_float_digits: i8,
}

impl Default for TextStyle {
    /// PostgreSQL's defaults, in UTC.
    fn default() -> Self {
        Self {
            time_zone: TimeZone::UTC,
            date_style: DateStyle::Iso,
            date_order: DateOrder::Mdy,
            interval_style: IntervalStyle::Postgres,
            bytea_output: ByteaOutput::Hex,
            extra_float_digits: 1,
        }
    }
}
