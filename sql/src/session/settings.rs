//! A session's settings: SET, SHOW, RESET.
//!
//! Every setting of PostgreSQL 15 is known with its default, kept and shown (rule 43); those that mean
//! something here are listed in [`MEANT`] or change what functions and the encoder see. A name that is neither
//! PostgreSQL's nor has a dot in it is 42704.

mod number;
mod read_timestamp;

pub(crate) use number::parse_bytes;

use crate::error::{SqlError, SqlState};
use crate::types::datetime::zone;
use crate::types::style::{ByteaOutput, DateOrder, DateStyle, IntervalStyle, TextStyle, TimeZone};
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use terrane_client::ids::CommitTs;

/// name,boot_val,unit,vartype,context,min_val,max_val,enumvals of PostgreSQL 15's pg_settings.
const POSTGRESQL_15: &str = include_str!("settings/postgresql15.csv");

/// How the names of the encodings begin that PostgreSQL has and Terrane has not.
const ENCODINGS: &[&str] = &[
    "ABC", "ALT", "BIG5", "EUC", "GB18030", "GBK", "ISO", "JOHAB", "KOI8", "LATIN", "MSKANJI",
    "MULE", "SHIFT", "SJIS", "TCVN", "UHC", "VSCII", "WIN",
];

/// Defaults that differ from PostgreSQL's built-in ones, and settings of Terrane's own.
const MEANT: &[(&str, &str)] = &[
    ("TimeZone", "UTC"),
    ("client_encoding", "UTF8"),
    ("server_encoding", "UTF8"),
    ("server_version", "15.0"),
    ("server_version_num", "150000"),
    ("lc_collate", "C.UTF-8"),
    ("lc_ctype", "C.UTF-8"),
    ("lc_messages", "C.UTF-8"),
    ("lc_monetary", "C.UTF-8"),
    ("lc_numeric", "C.UTF-8"),
    ("lc_time", "C.UTF-8"),
    ("max_connections", "1000"),
    ("is_superuser", "on"),
    ("session_authorization", "terrane"),
    ("in_hot_standby", "off"),
    ("transaction_isolation", "read committed"),
    ("terrane.enable_pushdown", "on"),
    ("terrane.enable_plan_cache", "on"),
    ("terrane.enable_point_road", "on"),
    ("terrane.block_buffer", "64MB"),
    ("terrane.multi_row_commit", "per_server"),
    (READ_TIMESTAMP, ""),
];

/// The time that queries read at; empty for now.
const READ_TIMESTAMP: &str = "terrane.read_timestamp";

/// Those a client is told of when they change.
const REPORTED: &[&str] = &[
    "server_version",
    "server_encoding",
    "client_encoding",
    "application_name",
    "default_transaction_read_only",
    "in_hot_standby",
    "is_superuser",
    "session_authorization",
    "DateStyle",
    "IntervalStyle",
    "TimeZone",
    "integer_datetimes",
    "standard_conforming_strings",
];

/// One known setting.
#[derive(Debug)]
pub struct Known {
    /// Its name, in PostgreSQL's spelling.
    pub name: String,
    /// What it is without SET.
    pub default: String,
    /// bool, integer, real, string or enum.
    pub kind: String,
    /// The unit of a number without one.
    pub unit: String,
    /// A number's least value.
    pub min: String,
    /// A number's greatest value.
    pub max: String,
    /// When it can change: only `user` and `superuser` ones by SET.
    pub context: String,
    /// An enum's values.
    pub values: Vec<String>,
}

static KNOWN: LazyLock<BTreeMap<String, Known>> = LazyLock::new(|| {
    let mut known = BTreeMap::new();
    for line in POSTGRESQL_15.lines().skip(1) {
        let fields = csv_fields(line);
        let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
        let name = field(0);
        let values = field(7);
        let values = values.trim_matches(['{', '}']).split(',').map(|v| v.trim_matches('"'));
        known.insert(
            name.to_lowercase(),
            Known {
                default: shown_default(&field(1), &field(2), &field(3)),
                kind: field(3),
                context: field(4),
                unit: field(2),
                min: field(5),
                max: field(6),
                values: values.map(str::to_owned).collect(),
                name,
            },
        );
    }
    for (name, default) in MEANT {
        let entry = known.entry(name.to_lowercase()).or_insert_with(|| Known {
            name: (*name).to_owned(),
            default: String::new(),
            kind: "string".to_owned(),
            context: "user".to_owned(),
            unit: String::new(),
            min: String::new(),
            max: String::new(),
            values: Vec::new(),
        });
        entry.default = (*default).to_owned();
    }
    known
});

/// Splits a CSV line; quotes double inside quotes.
fn csv_fields(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    let mut chars = line.chars().peekable();
    while let Some(c) = chars.next() {
        match c {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                fields.last_mut().expect("there is a first field").push('"');
            }
            '"' => quoted = !quoted,
            ',' if !quoted => fields.push(String::new()),
            c => fields.last_mut().expect("there is a first field").push(c),
        }
    }
    fields
}

/// pg_settings gives numbers in the setting's unit; SHOW gives the largest unit that divides.
fn shown_default(value: &str, unit: &str, kind: &str) -> String {
    let Ok(number) = value.parse::<i64>() else { return value.to_owned() };
    if kind == "bool" || number <= 0 {
        return value.to_owned();
    }
    let scales: &[(i64, &str)] = match unit {
        "B" => &[(1, "B"), (1024, "kB"), (1 << 20, "MB"), (1 << 30, "GB")],
        "kB" => &[(1, "kB"), (1024, "MB"), (1 << 20, "GB")],
        "8kB" => &[(1, "8kB")],
        "MB" => &[(1, "MB"), (1024, "GB")],
        "ms" => &[(1, "ms"), (1000, "s"), (60_000, "min"), (3_600_000, "h"), (86_400_000, "d")],
        "s" => &[(1, "s"), (60, "min"), (3600, "h"), (86_400, "d")],
        "min" => &[(1, "min"), (60, "h"), (1440, "d")],
        _ => return value.to_owned(),
    };
    let (number, scales): (i64, &[(i64, &str)]) = match unit {
        "8kB" => (number * 8, &[(1, "kB"), (1024, "MB"), (1 << 20, "GB")]),
        _ => (number, scales),
    };
    let (scale, unit) =
        scales.iter().rev().find(|(scale, _)| number % scale == 0).copied().unwrap_or((1, ""));
    format!("{}{unit}", number / scale)
}

/// A known setting, whatever its case.
pub fn known(name: &str) -> Option<&'static Known> {
    KNOWN.get(&name.to_lowercase())
}

/// All settings, in order of their lower-case names.
pub fn all() -> impl Iterator<Item = &'static Known> {
    KNOWN.values()
}

/// The settings that a plan depends on: two sessions that agree in them can share plans.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PlanSettings {
    /// How text becomes dates, and values text.
    pub style: Arc<TextStyle>,
    /// search_path, as given.
    pub search_path: String,
    /// terrane.enable_point_road: off plans every statement by DataFusion, and must answer the same.
    pub point_road: bool,
    /// terrane.enable_plan_cache: off plans a prepared query anew for every execution.
    pub plan_cache: bool,
}

/// A session's settings. A clone is a savepoint, and cheap.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What the startup packet gave: what RESET goes back to.
    startup: Arc<BTreeMap<String, String>>,
    values: Arc<BTreeMap<String, String>>,
    style: Arc<TextStyle>,
    plan: Arc<PlanSettings>,
    timeouts: Timeouts,
    read_at: Option<CommitTs>,
}

/// What is asked for with every message, worked out when a setting changes. `None` is no limit.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timeouts {
    /// statement_timeout
    pub statement: Option<Duration>,
    /// idle_session_timeout
    pub idle: Option<Duration>,
    /// idle_in_transaction_session_timeout
    pub idle_in_transaction: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Self {
        let mut settings = Self {
            startup: Arc::default(),
            values: Arc::default(),
            style: Arc::new(TextStyle::default()),
            plan: Arc::default(),
            timeouts: Timeouts::default(),
            read_at: None,
        };
        settings.plan = Arc::new(settings.plan_settings());
        settings.timeouts = settings.new_timeouts();
        settings
    }
}

impl Settings {
    /// The settings of a new session.
    pub fn new(startup: &[(String, String)]) -> Result<Self, SqlError> {
        let mut settings = Self::default();
        for (name, value) in startup {
            settings.set(name, value)?;
        }
        settings.startup = Arc::clone(&settings.values);
        Ok(settings)
    }

    /// How long statements may take and clients be idle.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// terrane.read_timestamp: `None` where queries read what is there now.
    pub fn read_at(&self) -> Option<CommitTs> {
        self.read_at
    }

    /// What plans depend on. The same `Arc` until one of these settings changes.
    pub fn plan(&self) -> &Arc<PlanSettings> {
        &self.plan
    }

    /// True where nothing at all was set since `other` was cloned off.
    pub fn is_unchanged(&self, other: &Settings) -> bool {
        Arc::ptr_eq(&self.values, &other.values)
    }

    /// How values are written.
    pub fn style(&self) -> &Arc<TextStyle> {
        &self.style
    }

    /// SHOW: 42704 where there is no such setting.
    pub fn get(&self, name: &str) -> Result<String, SqlError> {
        let key = name.to_lowercase();
        if let Some(value) = self.values.get(&key) {
            return Ok(value.clone());
        }
        known(name).map(|known| known.default.clone()).ok_or_else(|| unknown(name))
    }

    /// pg_settings.source: where a setting's value comes from.
    pub fn source(&self, name: &str) -> &'static str {
        let key = name.to_lowercase();
        match (self.values.get(&key), self.startup.get(&key)) {
            (None, _) => "default",
            (Some(value), Some(startup)) if value == startup => "client",
            (Some(_), _) => "session",
        }
    }

    /// What RESET would make of a setting.
    pub fn reset_value(&self, name: &str) -> String {
        let default = || known(name).map_or_else(String::new, |known| known.default.clone());
        self.startup.get(&name.to_lowercase()).cloned().unwrap_or_else(default)
    }

    /// A boolean setting.
    pub fn is_on(&self, name: &str) -> bool {
        self.get(name).is_ok_and(|value| value == "on")
    }

    /// A duration in milliseconds; `None` for 0, which is no limit.
    pub fn millis(&self, name: &str) -> Option<u64> {
        let text = self.get(name).ok()?;
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let scale = match text[digits.len()..].trim() {
            "" | "ms" => 1,
            "s" => 1_000,
            "min" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(scale).filter(|millis| *millis > 0)
    }

    /// SET.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), SqlError> {
        let value = self.checked(name, value)?;
        Arc::make_mut(&mut self.values).insert(name.to_lowercase(), value);
        self.changed()
    }

    /// RESET, or SET … TO DEFAULT.
    pub fn reset(&mut self, name: &str) -> Result<(), SqlError> {
        let key = name.to_lowercase();
        if known(name).is_none() && !name.contains('.') {
            return Err(unknown(name));
        }
        let values = Arc::make_mut(&mut self.values);
        match self.startup.get(&key) {
            Some(value) => values.insert(key, value.clone()),
            None => values.remove(&key),
        };
        self.changed()
    }

    /// RESET ALL.
    pub fn reset_all(&mut self) -> Result<(), SqlError> {
        self.values = Arc::clone(&self.startup);
        self.changed()
    }

    /// Works out anew what is derived from the values.
    fn changed(&mut self) -> Result<(), SqlError> {
        let style = self.text_style()?;
        if style != *self.style {
            self.style = Arc::new(style);
        }
        let plan = self.plan_settings();
        if plan != *self.plan {
            self.plan = Arc::new(plan);
        }
        self.timeouts = self.new_timeouts();
        self.read_at = read_timestamp::stored(&self.get(READ_TIMESTAMP)?);
        Ok(())
    }

    fn new_timeouts(&self) -> Timeouts {
        let timeout = |name| self.millis(name).map(Duration::from_millis);
        Timeouts {
            statement: timeout("statement_timeout"),
            idle: timeout("idle_session_timeout"),
            idle_in_transaction: timeout("idle_in_transaction_session_timeout"),
        }
    }

    fn plan_settings(&self) -> PlanSettings {
        PlanSettings {
            style: Arc::clone(&self.style),
            search_path: self.get("search_path").unwrap_or_default(),
            point_road: self.is_on("terrane.enable_point_road"),
            plan_cache: self.is_on("terrane.enable_plan_cache"),
        }
    }

    /// The settings clients are told of.
    pub fn reported(&self) -> Vec<(&'static str, String)> {
        REPORTED.iter().map(|name| (*name, self.get(name).unwrap_or_default())).collect()
    }

    fn checked(&self, name: &str, value: &str) -> Result<String, SqlError> {
        let Some(known) = known(name) else {
            // A name with a dot is somebody's extension; PostgreSQL keeps it too.
            return if name.contains('.') { Ok(value.to_owned()) } else { Err(unknown(name)) };
        };
        if matches!(known.context.as_str(), "internal" | "postmaster" | "sighup") {
            return Err(SqlError::new(
                SqlState::CANT_CHANGE_RUNTIME_PARAM,
                format!("parameter \"{}\" cannot be changed now", known.name),
            ));
        }
        let invalid = || {
            SqlError::new(
                SqlState::INVALID_PARAMETER_VALUE,
                format!("invalid value for parameter \"{}\": \"{value}\"", known.name),
            )
        };
        match (known.name.as_str(), known.kind.as_str()) {
            ("client_encoding", _) => match encoding_name(value).as_str() {
                "UTF8" | "UNICODE" | "SQLASCII" => Ok("UTF8".to_owned()),
                other if !ENCODINGS.iter().any(|known| other.starts_with(known)) => Err(invalid()),
                _ => Err(SqlError::unsupported(format!(
                    "client_encoding \"{value}\" is not supported: only UTF8 is"
                ))),
            },
            ("DateStyle", _) => date_style(value, &self.style).ok_or_else(invalid).map(shown_dates),
            ("TimeZone", _) => Ok(match parse_zone(value).ok_or_else(invalid)? {
                TimeZone::Fixed(_, name) => name,
                TimeZone::Named(_) => value.to_owned(),
            }),
            (READ_TIMESTAMP, _) => read_timestamp::checked(value, &self.style)
                .map_err(|error| invalid().with_detail(error.message.clone())),
            ("transaction_isolation" | "default_transaction_isolation", _) => {
                match value.to_ascii_lowercase().as_str() {
                    "serializable" => {
                        Err(SqlError::unsupported("isolation level serializable is not supported"))
                    }
                    level => Ok(level.to_owned()),
                }
            }
            (_, "bool") => parse_bool(value).map(str::to_owned).ok_or_else(|| {
                SqlError::new(
                    SqlState::INVALID_PARAMETER_VALUE,
                    format!("parameter \"{}\" requires a Boolean value", known.name),
                )
            }),
            (_, "integer" | "real") => number::checked(known, value),
            (_, "enum") => {
                let value = value.to_lowercase();
                match parse_bool(&value) {
                    _ if known.values.contains(&value) => Ok(value),
                    Some(word) => Ok(word.to_owned()),
                    None => Err(invalid()),
                }
            }
            _ => Ok(value.to_owned()),
        }
    }

    fn text_style(&self) -> Result<TextStyle, SqlError> {
        let defaults = TextStyle::default();
        let (date_style, date_order) = date_style(&self.get("DateStyle")?, &defaults)
            .unwrap_or((DateStyle::Iso, DateOrder::Mdy));
        Ok(TextStyle {
            time_zone: parse_zone(&self.get("TimeZone")?).unwrap_or(TimeZone::UTC),
            date_style,
            date_order,
            interval_style: match self.get("IntervalStyle")?.as_str() {
                "postgres_verbose" => IntervalStyle::PostgresVerbose,
                "sql_standard" => IntervalStyle::SqlStandard,
                "iso_8601" => IntervalStyle::Iso8601,
                _ => IntervalStyle::Postgres,
            },
            bytea_output: match self.get("bytea_output")?.as_str() {
                "escape" => ByteaOutput::Escape,
                _ => ByteaOutput::Hex,
            },
            extra_float_digits: self
                .get("extra_float_digits")?
                .parse()
                .unwrap_or(defaults.extra_float_digits),
        })
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new(
        SqlState::UNDEFINED_OBJECT,
        format!("unrecognized configuration parameter \"{name}\""),
    )
}

fn parse_bool(value: &str) -> Option<&'static str> {
    match value.to_ascii_lowercase().as_str() {
        "on" | "true" | "t" | "yes" | "y" | "1" => Some("on"),
        "off" | "false" | "f" | "no" | "n" | "0" => Some("off"),
        _ => None,
    }
}

/// A zone's name, or hours east of Greenwich.
fn parse_zone(value: &str) -> Option<TimeZone> {
    match value.trim().parse::<f64>() {
        Ok(hours) => zone::of_hours(hours),
        Err(_) => zone::by_name(value),
    }
}

fn date_style(value: &str, current: &TextStyle) -> Option<(DateStyle, DateOrder)> {
    let (mut style, mut order) = (current.date_style, current.date_order);
    for word in value.split(',').map(str::trim) {
        match word.to_ascii_lowercase().as_str() {
            "iso" => style = DateStyle::Iso,
            "postgres" => style = DateStyle::Postgres,
            "sql" => style = DateStyle::Sql,
            "german" => style = DateStyle::German,
            "mdy" | "us" | "noneuro" | "noneuropean" => order = DateOrder::Mdy,
            "dmy" | "euro" | "european" => order = DateOrder::Dmy,
            "ymd" => order = DateOrder::Ymd,
            "default" => {}
            _ => return None,
        }
    }
    Some((style, order))
}

fn shown_dates((style, order): (DateStyle, DateOrder)) -> String {
    let style = match style {
        DateStyle::Iso => "ISO",
        DateStyle::Postgres => "Postgres",
        DateStyle::Sql => "SQL",
        DateStyle::German => "German",
    };
    let order = match order {
        DateOrder::Mdy => "MDY",
        DateOrder::Dmy => "DMY",
        DateOrder::Ymd => "YMD",
    };
    format!("{style}, {order}")
}

/// An encoding's name as PostgreSQL compares it: letters and digits alone.
fn encoding_name(value: &str) -> String {
    value.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect()
}
