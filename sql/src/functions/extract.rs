//! `EXTRACT (field FROM x)` and date_part(): numerics and floats with the fractions of their seconds.
//!
//! DataFusion's answer integers, know fewer fields and read every instant in UTC.

use super::cast::convert;
use super::undefined;
use crate::error::{SqlError, SqlState};
use crate::plan::errors::external;
use crate::plan::values::interval_from_arrow;
use crate::types::datetime::calendar::{
    self, DAY, EPOCH_JULIAN, HOUR, MINUTE, SECOND, split_micros,
};
use crate::types::datetime::infinity::{is_finite, is_finite_date};
use crate::types::datetime::zone;
use crate::types::style::TimeZone;
use arrow::array::{ArrayRef, AsArray, Decimal128Array, Float64Array};
use arrow::datatypes::{
    DataType, Date32Type, Field, FieldRef, IntervalMonthDayNanoType, IntervalUnit,
    Time64MicrosecondType, TimeUnit, TimestampMicrosecondType,
};
use datafusion::common::ScalarValue;
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDFImpl, Signature, Volatility,
};
use std::sync::Arc;
use terrane_client::interval::Interval;

/// The name of the function behind `EXTRACT`.
pub const NAME: &str = "extract";
/// Digits of what EXTRACT answers: microseconds since the first timestamp have fewer.
const PRECISION: u8 = 30;

/// One of the two functions.
#[derive(Debug, PartialEq, Eq, Hash)]
pub struct Extract {
    name: &'static str,
    signature: Signature,
}

impl Extract {
    /// Both.
    pub fn all() -> [Self; 2] {
        // Stable: the fields of an instant depend on the session's time zone.
        [NAME, "date_part"]
            .map(|name| Self { name, signature: Signature::user_defined(Volatility::Stable) })
    }
}

/// A value whose fields are asked for.
#[derive(Clone, Copy)]
enum Moment {
    Date(i32),
    Timestamp(i64),
    /// In UTC, on the session's wall, and how far that is east, seconds.
    Instant(i64, i64, i32),
    Time(i64),
    Interval(Interval),
}

/// What a field of a value is.
#[derive(Clone, Copy)]
enum Part {
    Millionths(i128),
    Infinite {
        /// After all others.
        late: bool,
    },
    Null,
}

impl Moment {
    fn type_name(self) -> &'static str {
        match self {
            Self::Date(_) => "date",
            Self::Timestamp(_) => "timestamp without time zone",
            Self::Instant(..) => "timestamp with time zone",
            Self::Time(_) => "time without time zone",
            Self::Interval(_) => "interval",
        }
    }

    /// A field of a time that is none: PostgreSQL's NonFiniteTimestampTzPart. Fields that grow with time are infinite,
    /// fields that come around are NULL.
    fn infinite_field(self, name: &str, late: bool) -> std::result::Result<Part, SqlError> {
        match name {
            "year" | "decade" | "century" | "millennium" | "julian" | "isoyear" | "epoch" => {
                Ok(Part::Infinite { late })
            }
            "microseconds" | "milliseconds" | "second" | "minute" | "hour" | "timezone"
            | "timezone_hour" | "timezone_minute"
                if !matches!(self, Self::Date(_)) =>
            {
                Ok(Part::Null)
            }
            "day" | "month" | "quarter" | "week" | "dow" | "isodow" | "doy" => Ok(Part::Null),
            _ => Err(self.no_field(name)),
        }
    }

    fn part(self, name: &str) -> std::result::Result<Part, SqlError> {
        match self {
            Self::Date(days) if !is_finite_date(days) => self.infinite_field(name, days > 0),
            Self::Timestamp(at) | Self::Instant(at, ..) if !is_finite(at) => {
                self.infinite_field(name, at > 0)
            }
            _ => self.field(name).map(Part::Millionths),
        }
    }

    /// A field in millionths.
    fn field(self, name: &str) -> std::result::Result<i128, SqlError> {
        let whole = |value: i64| Some(i128::from(value) * i128::from(SECOND));
        let found = match self {
            Self::Date(days) => date_field(name, days).and_then(whole),
            Self::Time(micros) => time_field(name, micros),
            Self::Interval(interval) => interval_field(name, interval),
            Self::Timestamp(local) | Self::Instant(_, local, _) => {
                let (days, micros) = split_micros(local);
                match (name, self) {
                    ("epoch", Self::Instant(utc, ..)) => Some(i128::from(utc)),
                    ("epoch", _) => Some(i128::from(local)),
                    ("timezone", Self::Instant(_, _, east)) => whole(i64::from(east)),
                    ("timezone_hour", Self::Instant(_, _, east)) => whole(i64::from(east / 3600)),
                    ("timezone_minute", Self::Instant(_, _, east)) => {
                        whole(i64::from(east % 3600 / 60))
                    }
                    // A day and a fraction of one, which millionths do not hold.
                    ("julian", _) => None,
                    _ => {
                        time_field(name, micros).or_else(|| date_field(name, days).and_then(whole))
                    }
                }
            }
        };
        found.ok_or_else(|| self.no_field(name))
    }

    fn no_field(self, name: &str) -> SqlError {
        match FIELDS.contains(&name) {
            true => SqlError::unsupported(format!(
                "unit \"{name}\" not supported for type {}",
                self.type_name()
            )),
            false => SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("unit \"{name}\" not recognized for type {}", self.type_name()),
            ),
        }
    }
}

const FIELDS: &[&str] = &[
    "century",
    "day",
    "decade",
    "dow",
    "doy",
    "epoch",
    "hour",
    "isodow",
    "isoyear",
    "julian",
    "microseconds",
    "millennium",
    "milliseconds",
    "minute",
    "month",
    "quarter",
    "second",
    "timezone",
    "timezone_hour",
    "timezone_minute",
    "week",
    "year",
];

/// The one name of a field that may be written in several ways.
fn canonical(written: &str) -> String {
    let lower = written.to_ascii_lowercase();
    match lower.as_str() {
        "years" | "y" | "yr" | "yrs" => "year",
        "months" | "mon" | "mons" => "month",
        "days" | "d" => "day",
        "hours" | "h" | "hr" | "hrs" => "hour",
        "minutes" | "m" | "min" | "mins" => "minute",
        "seconds" | "s" | "sec" | "secs" => "second",
        "millisecond" | "ms" | "msec" | "msecs" => "milliseconds",
        "microsecond" | "us" | "usec" | "usecs" => "microseconds",
        "weeks" | "w" => "week",
        "quarters" | "qtr" => "quarter",
        "decades" | "dec" | "decs" => "decade",
        "centuries" | "c" | "cent" => "century",
        "millennia" | "mil" | "mils" | "millenium" => "millennium",
        other => other,
    }
    .to_owned()
}

fn time_field(name: &str, micros: i64) -> Option<i128> {
    let second = i128::from(SECOND);
    let in_minute = i128::from(micros % MINUTE);
    Some(match name {
        "hour" => i128::from(micros / HOUR) * second,
        "minute" => i128::from(micros % HOUR / MINUTE) * second,
        "second" => in_minute,
        "milliseconds" => in_minute * 1_000,
        "microseconds" => in_minute * second,
        "epoch" => i128::from(micros),
        _ => return None,
    })
}

fn date_field(name: &str, days: i32) -> Option<i64> {
    let (year, month, day) = calendar::civil_from_days(days);
    let iso_weekday = match calendar::weekday(days) {
        0 => 7,
        weekday => weekday as i32,
    };
    // The week's Thursday tells its year.
    let thursday = days - iso_weekday + 4;
    let iso_year = calendar::civil_from_days(thursday).0;
    // There is no year 0.
    let counted = |year: i32| if year > 0 { year } else { year - 1 };
    Some(i64::from(match name {
        "year" => counted(year),
        "isoyear" => counted(iso_year),
        "month" => month,
        "day" => day,
        "quarter" => (month - 1) / 3 + 1,
        "decade" => year.div_euclid(10),
        "century" => era(year, 100),
        "millennium" => era(year, 1000),
        "dow" => iso_weekday % 7,
        "isodow" => iso_weekday,
        "doy" => days - calendar::days_from_civil(year, 1, 1) + 1,
        "week" => (thursday - calendar::days_from_civil(iso_year, 1, 1)) / 7 + 1,
        "julian" => return Some(i64::from(days) + i64::from(EPOCH_JULIAN)),
        "epoch" => return Some(i64::from(days) * (DAY / SECOND)),
        _ => return None,
    }))
}

/// The century or millennium of a year: the first began with year 1, the one before it ended with 1 BC.
fn era(year: i32, years: i32) -> i32 {
    match year > 0 {
        true => (year + years - 1) / years,
        false => -((years - year) / years),
    }
}

fn interval_field(name: &str, interval: Interval) -> Option<i128> {
    let second = i128::from(SECOND);
    let (years, months) = (interval.months / 12, interval.months % 12);
    let whole = |value: i32| i128::from(value) * second;
    Some(match name {
        "year" => whole(years),
        "decade" => whole(years / 10),
        "century" => whole(years / 100),
        "millennium" => whole(years / 1000),
        "month" => whole(months),
        "quarter" => whole(months / 3 + 1),
        "day" => whole(interval.days),
        "epoch" => {
            // A year counts 365.25 days and a month 30.
            let day = i128::from(DAY);
            i128::from(years) * (day * 1461 / 4)
                + (i128::from(months) * 30 + i128::from(interval.days)) * day
                + i128::from(interval.micros)
        }
        _ => return time_field(name, interval.micros),
    })
}

/// The fractional digits of a field of a type.
fn scale(name: &str, given: &DataType) -> i8 {
    match (name, given) {
        ("epoch", DataType::Date32) => 0,
        ("second" | "epoch", _) => 6,
        ("milliseconds", _) => 3,
        _ => 0,
    }
}

fn moments(array: &ArrayRef, zone: &TimeZone, dates: bool) -> Result<Vec<Option<Moment>>> {
    Ok(match array.data_type() {
        // There is no date_part() of dates: they are midnights.
        DataType::Date32 if !dates => {
            let midnights = convert::midnights(array).map_err(external)?;
            return moments(&midnights, zone, dates);
        }
        DataType::Date32 => {
            array.as_primitive::<Date32Type>().iter().map(|days| days.map(Moment::Date)).collect()
        }
        DataType::Timestamp(_, None) => {
            let times = array.as_primitive::<TimestampMicrosecondType>();
            times.iter().map(|at| at.map(Moment::Timestamp)).collect()
        }
        DataType::Timestamp(_, Some(_)) => {
            let instant =
                |utc| Moment::Instant(utc, zone::to_local(zone, utc), zone::offset_at(zone, utc));
            array
                .as_primitive::<TimestampMicrosecondType>()
                .iter()
                .map(|at| at.map(instant))
                .collect()
        }
        DataType::Time64(_) => array
            .as_primitive::<Time64MicrosecondType>()
            .iter()
            .map(|at| at.map(Moment::Time))
            .collect(),
        DataType::Interval(_) => {
            let interval = |value| Moment::Interval(interval_from_arrow(value));
            let intervals = array.as_primitive::<IntervalMonthDayNanoType>();
            intervals.iter().map(|value| value.map(interval)).collect()
        }
        other => return Err(DataFusionError::Internal(format!("fields of a {other}"))),
    })
}

fn literal(argument: Option<&ScalarValue>) -> Option<String> {
    argument?.try_as_str().flatten().map(canonical)
}

impl ScalarUDFImpl for Extract {
    fn name(&self) -> &str {
        self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn coerce_types(&self, args: &[DataType]) -> Result<Vec<DataType>> {
        let micros = TimeUnit::Microsecond;
        let undefined = || external(undefined::function(self.name, args));
        let [DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View, given] = args else {
            return Err(undefined());
        };
        let read = match given {
            DataType::Date32 => DataType::Date32,
            DataType::Timestamp(_, None) | DataType::Null => DataType::Timestamp(micros, None),
            DataType::Timestamp(_, Some(_)) => DataType::Timestamp(micros, Some("UTC".into())),
            DataType::Time64(_) | DataType::Time32(_) => DataType::Time64(micros),
            DataType::Interval(_) => DataType::Interval(IntervalUnit::MonthDayNano),
            _ => return Err(undefined()),
        };
        Ok(vec![DataType::Utf8View, read])
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(if self.name == NAME { DataType::Decimal128(PRECISION, 6) } else { DataType::Float64 })
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        let field = literal(args.scalar_arguments.first().copied().flatten());
        let scale = field.map_or(6, |field| scale(&field, args.arg_fields[1].data_type()));
        let result = match self.name {
            NAME => DataType::Decimal128(PRECISION, scale),
            _ => DataType::Float64,
        };
        Ok(Arc::new(Field::new(self.name, result, true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let info = crate::session::info::of(&args.config_options);
        let scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if scalar { 1 } else { args.number_rows };
        let moments =
            moments(&args.args[1].to_array(rows)?, &info.style.time_zone, self.name == NAME)?;
        let names = match &args.args[0] {
            ColumnarValue::Scalar(name) => name.to_array()?,
            ColumnarValue::Array(names) => Arc::clone(names),
        };
        let names: Vec<Option<String>> =
            names.as_string_view().iter().map(|name| name.map(canonical)).collect();
        let part = |(row, moment): (usize, &Option<Moment>)| {
            // The field is nearly always written out: one for all rows.
            let name = names.get(row).or(names.first()).and_then(Option::as_deref);
            match (name, moment) {
                (Some(name), Some(moment)) => moment.part(name).map_err(external),
                _ => Ok(Part::Null),
            }
        };
        let parts: Vec<Part> = moments.iter().enumerate().map(part).collect::<Result<_>>()?;
        let array: ArrayRef = match args.return_field.data_type() {
            DataType::Decimal128(precision, scale) => {
                let unit = 10i128.pow(6 - scale.unsigned_abs().min(6) as u32);
                let exact = |part: Part| match part {
                    Part::Millionths(part) => Ok(Some(part / unit)),
                    Part::Null => Ok(None),
                    Part::Infinite { .. } => Err(external(SqlError::unsupported(
                        "infinite values of type numeric are not supported",
                    ))),
                };
                Arc::new(
                    parts
                        .into_iter()
                        .map(exact)
                        .collect::<Result<Decimal128Array>>()?
                        .with_precision_and_scale(*precision, *scale)?,
                )
            }
            _ => {
                let float = |part: Part| match part {
                    Part::Millionths(part) => Some(part as f64 / 1e6),
                    Part::Infinite { late: true } => Some(f64::INFINITY),
                    Part::Infinite { late: false } => Some(f64::NEG_INFINITY),
                    Part::Null => None,
                };
                Arc::new(parts.into_iter().map(float).collect::<Float64Array>())
            }
        };
        match scalar {
            true => Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&array, 0)?)),
            false => Ok(ColumnarValue::Array(array)),
        }
    }
}
