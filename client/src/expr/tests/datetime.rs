//! Dates, times, timestamps and intervals. Expected values are PostgreSQL 15's.

use super::*;
use crate::interval::Interval;
use BinaryOp::{Add, Subtract};

const DAY: i64 = 86_400_000_000;
const HOUR: i64 = 3_600_000_000;

fn date(days: i32) -> Expr {
    lit(Value::Date(days), DataType::Date)
}

fn timestamp(micros: i64) -> Expr {
    lit(Value::Timestamp(micros), DataType::Timestamp)
}

fn time(micros: i64) -> Expr {
    lit(Value::Time(micros), DataType::Time)
}

fn interval(months: i32, days: i32, micros: i64) -> Expr {
    lit(Value::Interval(Interval { months, days, micros }), DataType::Interval)
}

fn out_of_range(what: &str) -> Result<Value, ExprError> {
    Err(ExprError::DateTimeOutOfRange(what.to_owned()))
}

/// timestamp, months, days, microseconds, and PostgreSQL's sum: random.
const SUMS: [(i64, i32, i32, i64, i64); 24] = [
    (1457669251814352, -55, 873, -435679966364, 1388027171847988),
    (-2434458250186269, -114, -18, -110753017922, -2736105003204191),
    (452997731804998, 102, 139, 469451193410, 733835182998408),
    (2030230944132037, 131, -738, -305914315863, 2310725029816174),
    (-1128675620352947, 150, -836, 310714131668, -806006506221279),
    (-542005282572900, -73, -154, -34654072569, -747326336645469),
    (2861579952543643, 153, 887, -144891701464, 3340350260842179),
    (-64532732666327, 55, -588, 137296958969, 29434964292642),
    (-1369112668180095, -43, -452, -378519530790, -1521555187710885),
    (2125329515877719, 176, 566, -318922558091, 2636844193319628),
    (1956477999209556, -192, -531, 147352132351, 1405825351341907),
    (2503249231293244, -192, -761, -388206737335, 1932189024555909),
    (-1113095599064906, -121, -625, 445467668791, -1484861331396115),
    (-2351747967143686, -58, 264, -332700317439, -2481767067461125),
    (-2825797486632685, 1, 810, 265614050746, -2752955872581939),
    (-175440843988616, -76, -953, 395090956183, -457141753032433),
    (-2862978628041132, -55, -464, 42479364618, -3047572948676514),
    (2961695334307223, -157, -447, -106312932801, 2510062621374422),
    (2833626240715942, 130, -305, -165374179204, 3148993666536738),
    (-1066633015676363, -139, -355, 154707403632, -1462622308272731),
    (2103979619278832, 55, 127, 96595721633, 2259596215000465),
    (-1423325310858038, 155, 100, 146145733273, -1006990365124765),
    (-1821449236478702, -4, 977, -410382557487, -1747987619036189),
    (-2755744320152281, 65, 639, 251193610056, -2529297926542225),
];

#[test]
fn timestamps_and_intervals() {
    for (t, months, days, micros, sum) in SUMS {
        let result = Ok(Value::Timestamp(sum));
        assert_eq!(apply(Add, timestamp(t), interval(months, days, micros)), result);
        assert_eq!(apply(Add, interval(months, days, micros), timestamp(t)), result);
        assert_eq!(apply(Subtract, timestamp(t), interval(-months, -days, -micros)), result);
    }
}

#[test]
fn months_end_on_their_last_day() {
    let seconds = |t: i64| Ok(Value::Timestamp(t * 1_000_000));
    let at = |days: i64, hours: i64| timestamp(days * DAY + hours * HOUR);
    // 2024-01-31, 2023-01-31, 2024-02-29, 2024-03-31 12:00
    assert_eq!(apply(Add, at(19_753, 0), interval(1, 0, 0)), seconds(1_709_164_800));
    assert_eq!(apply(Add, at(19_388, 0), interval(1, 0, 0)), seconds(1_677_542_400));
    assert_eq!(apply(Subtract, at(19_782, 0), interval(12, 0, 0)), seconds(1_677_542_400));
    assert_eq!(apply(Subtract, at(19_813, 12), interval(1, 1, 0)), seconds(1_709_121_600));
    // 0001-01-31 BC
    assert_eq!(apply(Add, at(-719_498, 0), interval(1, 0, 0)), seconds(-62_162_121_600));
}

#[test]
fn differences_count_days_and_time() {
    let (a, b) = (1_709_251_200_000_000, 1_709_038_800_000_000);
    let difference = |sign: i64| {
        let days = 2 * sign as i32;
        Ok(Value::Interval(Interval { months: 0, days, micros: 11 * HOUR * sign }))
    };
    assert_eq!(apply(Subtract, timestamp(a), timestamp(b)), difference(1));
    assert_eq!(apply(Subtract, timestamp(b), timestamp(a)), difference(-1));
    let tz = |t| lit(Value::TimestampTz(t), DataType::TimestampTz);
    assert_eq!(apply(Subtract, tz(a), tz(b)), difference(1));
    assert_eq!(apply(Subtract, date(19_783), date(19_417)), Ok(Value::Int4(366)));
    let hours = |h: i64| Value::Interval(Interval { months: 0, days: 0, micros: h * HOUR });
    assert_eq!(apply(Subtract, time(HOUR), time(3 * HOUR)), Ok(hours(-2)));
}

#[test]
fn dates_and_times() {
    assert_eq!(apply(Add, date(19_781), int4(2)), Ok(Value::Date(19_783)));
    assert_eq!(apply(Add, int4(2), date(19_781)), Ok(Value::Date(19_783)));
    assert_eq!(apply(Subtract, date(19_781), int4(i32::MIN)), out_of_range("date"));
    assert_eq!(apply(Add, date(19_723), int4(i32::MAX)), out_of_range("date"));
    assert_eq!(apply(Add, date(0), int4(2_145_042_905)), Ok(Value::Date(2_145_042_905)));
    assert_eq!(apply(Add, date(1), int4(2_145_042_905)), out_of_range("date"));
    assert_eq!(apply(Subtract, date(0), int4(2_440_588)), Ok(Value::Date(-2_440_588)));
    assert_eq!(apply(Subtract, date(0), int4(2_440_589)), out_of_range("date"));
    assert_eq!(apply(Add, date(1), time(HOUR)), Ok(Value::Timestamp(DAY + HOUR)));
    assert_eq!(apply(Add, date(1), interval(0, 1, HOUR)), Ok(Value::Timestamp(2 * DAY + HOUR)));
    assert_eq!(apply(Add, time(23 * HOUR), interval(0, 9, 5 * HOUR)), Ok(Value::Time(4 * HOUR)));
    assert_eq!(apply(Subtract, time(HOUR), interval(0, 1, 2 * HOUR)), Ok(Value::Time(23 * HOUR)));
}

#[test]
fn limits() {
    let last = timestamp(i64::MAX - 1);
    assert_eq!(apply(Add, last.clone(), interval(0, 0, 1)), out_of_range("timestamp"));
    assert_eq!(apply(Add, last, interval(i32::MAX, i32::MAX, 0)), out_of_range("timestamp"));
    let first = timestamp(-210_866_803_200_000_000);
    assert_eq!(apply(Subtract, first, interval(0, 0, 1)), out_of_range("timestamp"));
    let most = interval(i32::MAX, 0, 0);
    assert_eq!(apply(Add, most, interval(1, 0, 0)), out_of_range("interval"));
    assert_eq!(
        apply(Subtract, interval(0, 0, 0), interval(0, 0, i64::MIN)),
        out_of_range("interval")
    );
    let negated = eval(&Expr::Negate(Box::new(interval(1, 2, 3)), DataType::Interval));
    assert_eq!(negated, eval(&interval(-1, -2, -3)));
}

#[test]
fn infinities_stay() {
    assert_eq!(apply(Add, date(i32::MAX), int4(1)), Ok(Value::Date(i32::MAX)));
    let forever = Ok(Value::Timestamp(i64::MAX));
    assert_eq!(apply(Add, date(i32::MAX), interval(0, 1, 0)), forever);
    assert_eq!(apply(Add, timestamp(i64::MAX), interval(-1, 0, 0)), forever);
    assert!(apply(Subtract, date(i32::MAX), date(1)).is_err());
    let cast_to = |value, from, to| cast(value, from, to);
    assert_eq!(
        cast_to(Value::Date(i32::MIN), DataType::Date, DataType::Timestamp),
        Ok(Value::Timestamp(i64::MIN))
    );
    assert_eq!(
        cast_to(Value::Timestamp(i64::MAX), DataType::Timestamp, DataType::Date),
        Ok(Value::Date(i32::MAX))
    );
}

#[test]
fn casts_between_dates_and_timestamps() {
    let moment = Value::Timestamp(-DAY - 1);
    assert_eq!(cast(moment.clone(), DataType::Timestamp, DataType::Date), Ok(Value::Date(-2)));
    assert_eq!(cast(moment, DataType::Timestamp, DataType::Time), Ok(Value::Time(DAY - 1)));
    let midnight = cast(Value::Date(-2), DataType::Date, DataType::Timestamp);
    assert_eq!(midnight, Ok(Value::Timestamp(-2 * DAY)));
    let far = cast(Value::Date(2_000_000_000), DataType::Date, DataType::Timestamp);
    assert_eq!(far, out_of_range("timestamp"));
}

#[test]
fn what_needs_a_time_zone_is_left_to_the_frontend() {
    let (tz, interval) = (DataType::TimestampTz, DataType::Interval);
    assert_eq!(binary_result(Add, &tz, &interval), None);
    assert!(!can_cast(&tz, &DataType::Timestamp));
}
