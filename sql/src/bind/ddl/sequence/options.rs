//! The options of a sequence: their grammar, and PostgreSQL's checks of how they fit together.

use crate::bind::ddl::QualifiedName;
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::type_name;
use crate::catalog::model::Sequence;
use crate::error::{SqlError, SqlState};
use crate::types::oid;
use datafusion::sql::sqlparser::ast;
use terrane_client::types::DataType;

/// One option of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceOption {
    /// AS type.
    As(ast::DataType),
    /// INCREMENT BY.
    Increment(i64),
    /// MINVALUE; `None` is NO MINVALUE.
    Min(Option<i64>),
    /// MAXVALUE; `None` is NO MAXVALUE.
    Max(Option<i64>),
    /// START WITH.
    Start(i64),
    /// RESTART WITH; `None` is at the start value.
    Restart(Option<i64>),
    /// CACHE.
    Cache(i64),
    /// CYCLE or NO CYCLE.
    Cycle(bool),
    /// OWNED BY a column, or NONE.
    OwnedBy(Option<QualifiedName>),
    /// SEQUENCE NAME, of an identity column.
    Name(QualifiedName),
}

/// Any number of options.
pub(crate) fn parse_options(cursor: &mut Cursor<'_, '_>) -> Parsed<Vec<SequenceOption>> {
    let mut options = Vec::new();
    while let Some(option) = parse_option(cursor)? {
        options.push(option);
    }
    Ok(options)
}

fn parse_option(cursor: &mut Cursor<'_, '_>) -> Parsed<Option<SequenceOption>> {
    use SequenceOption as O;
    Ok(Some(if cursor.take(&["AS"]) {
        O::As(cursor.data_type()?)
    } else if cursor.take(&["INCREMENT"]) {
        cursor.take(&["BY"]);
        O::Increment(cursor.integer()?)
    } else if cursor.take(&["NO", "MINVALUE"]) {
        O::Min(None)
    } else if cursor.take(&["NO", "MAXVALUE"]) {
        O::Max(None)
    } else if cursor.take(&["NO", "CYCLE"]) {
        O::Cycle(false)
    } else if cursor.take(&["MINVALUE"]) {
        O::Min(Some(cursor.integer()?))
    } else if cursor.take(&["MAXVALUE"]) {
        O::Max(Some(cursor.integer()?))
    } else if cursor.take(&["START"]) {
        cursor.take(&["WITH"]);
        O::Start(cursor.integer()?)
    } else if cursor.take(&["RESTART"]) {
        let with = cursor.take(&["WITH"]);
        O::Restart(match with || cursor.is_integer() {
            true => Some(cursor.integer()?),
            false => None,
        })
    } else if cursor.take(&["CACHE"]) {
        O::Cache(cursor.integer()?)
    } else if cursor.take(&["CYCLE"]) {
        O::Cycle(true)
    } else if cursor.take(&["OWNED", "BY", "NONE"]) {
        O::OwnedBy(None)
    } else if cursor.take(&["OWNED", "BY"]) {
        O::OwnedBy(Some(cursor.name()?))
    } else if cursor.take(&["SEQUENCE", "NAME"]) {
        O::Name(cursor.name()?)
    } else {
        return Ok(None);
    }))
}

/// A sequence's numbers.
#[derive(Clone, Debug)]
pub(crate) struct Shape {
    pub data_type: DataType,
    pub start: i64,
    pub increment: i64,
    pub min: i64,
    pub max: i64,
    pub cycle: bool,
    pub cache: i64,
    /// RESTART, with its value.
    pub restart: Option<Option<i64>>,
}

/// The options, each at most once.
#[derive(Default)]
struct Given<'a> {
    data_type: Option<&'a ast::DataType>,
    increment: Option<i64>,
    min: Option<Option<i64>>,
    max: Option<Option<i64>>,
    start: Option<i64>,
    restart: Option<Option<i64>>,
    cache: Option<i64>,
    cycle: Option<bool>,
}

impl<'a> Given<'a> {
    fn new(options: &'a [SequenceOption]) -> Result<Self, SqlError> {
        fn once<T>(place: &mut Option<T>, value: T) -> Result<(), SqlError> {
            match place.replace(value) {
                None => Ok(()),
                Some(_) => Err(SqlError::syntax("conflicting or redundant options")),
            }
        }
        let mut given = Self::default();
        for option in options {
            match option {
                SequenceOption::As(data_type) => once(&mut given.data_type, data_type)?,
                SequenceOption::Increment(by) => once(&mut given.increment, *by)?,
                SequenceOption::Min(min) => once(&mut given.min, *min)?,
                SequenceOption::Max(max) => once(&mut given.max, *max)?,
                SequenceOption::Start(start) => once(&mut given.start, *start)?,
                SequenceOption::Restart(restart) => once(&mut given.restart, *restart)?,
                SequenceOption::Cache(cache) => once(&mut given.cache, *cache)?,
                SequenceOption::Cycle(cycle) => once(&mut given.cycle, *cycle)?,
                SequenceOption::OwnedBy(_) | SequenceOption::Name(_) => {}
            }
        }
        Ok(given)
    }

    fn data_type(&self) -> Result<Option<DataType>, SqlError> {
        let Some(name) = self.data_type else { return Ok(None) };
        let wire = type_name::resolve(name)?;
        match oid::data_type(wire.oid, wire.modifier) {
            Some(data_type) if limits(&data_type).is_some() => Ok(Some(data_type)),
            _ => Err(invalid("sequence type must be smallint, integer, or bigint".to_owned())),
        }
    }
}

/// The smallest and largest value of a sequence's type.
fn limits(data_type: &DataType) -> Option<(i64, i64)> {
    match data_type {
        DataType::Int2 => Some((i64::from(i16::MIN), i64::from(i16::MAX))),
        DataType::Int4 => Some((i64::from(i32::MIN), i64::from(i32::MAX))),
        DataType::Int8 => Some((i64::MIN, i64::MAX)),
        _ => None,
    }
}

fn invalid(message: String) -> SqlError {
    SqlError::new(SqlState::INVALID_PARAMETER_VALUE, message)
}

/// MINVALUE and MAXVALUE where none are given.
fn default_bounds(data_type: &DataType, increment: i64) -> (i64, i64) {
    let (least, greatest) = limits(data_type).unwrap_or((i64::MIN, i64::MAX));
    if increment > 0 { (1, greatest) } else { (least, -1) }
}

impl Shape {
    /// The numbers of a new sequence.
    pub fn new(data_type: DataType, options: &[SequenceOption]) -> Result<Self, SqlError> {
        let given = Given::new(options)?;
        let data_type = given.data_type()?.unwrap_or(data_type);
        let increment = given.increment.unwrap_or(1);
        let (min, max) = default_bounds(&data_type, increment);
        let min = given.min.flatten().unwrap_or(min);
        let max = given.max.flatten().unwrap_or(max);
        let start = given.start.unwrap_or(if increment > 0 { min } else { max });
        let shape = Self {
            data_type,
            start,
            increment,
            min,
            max,
            cycle: given.cycle.unwrap_or(false),
            cache: given.cache.unwrap_or(1),
            restart: given.restart,
        };
        shape.check(None)?;
        Ok(shape)
    }

    /// A sequence's numbers after ALTER. `last` is where it stands.
    pub fn altered(
        sequence: &Sequence,
        options: &[SequenceOption],
        last: i64,
    ) -> Result<Self, SqlError> {
        let given = Given::new(options)?;
        let increment = given.increment.unwrap_or(sequence.increment);
        let mut shape = Self {
            data_type: sequence.data_type.clone(),
            start: given.start.unwrap_or(sequence.start),
            increment,
            min: sequence.min,
            max: sequence.max,
            cycle: given.cycle.unwrap_or(sequence.cycle),
            cache: given.cache.unwrap_or(sequence.cache),
            restart: given.restart,
        };
        if let Some(data_type) = given.data_type()? {
            // Bounds that were the old type's go with it.
            let (least, greatest) = limits(&sequence.data_type).unwrap_or((i64::MIN, i64::MAX));
            let (min, max) = default_bounds(&data_type, increment);
            shape.min = if sequence.min == least { min } else { shape.min };
            shape.max = if sequence.max == greatest { max } else { shape.max };
            shape.data_type = data_type;
        }
        let (min, max) = default_bounds(&shape.data_type, increment);
        shape.min = given.min.map_or(shape.min, |given| given.unwrap_or(min));
        shape.max = given.max.map_or(shape.max, |given| given.unwrap_or(max));
        shape.check(Some(last))?;
        Ok(shape)
    }

    fn check(&self, last: Option<i64>) -> Result<(), SqlError> {
        let Self { data_type, start, increment, min, max, cycle: _, cache, restart } = self;
        if *increment == 0 {
            return Err(invalid("INCREMENT must not be zero".to_owned()));
        }
        let (least, greatest) = limits(data_type).unwrap_or((i64::MIN, i64::MAX));
        for (what, value) in [("MAXVALUE", max), ("MINVALUE", min)] {
            if !(least..=greatest).contains(value) {
                return Err(invalid(format!(
                    "{what} ({value}) is out of range for sequence data type {data_type}"
                )));
            }
        }
        if min >= max {
            return Err(invalid(format!("MINVALUE ({min}) must be less than MAXVALUE ({max})")));
        }
        let restart = restart.map(|restart| restart.unwrap_or(*start));
        let standing = restart.or(last).map(|value| ("RESTART", value));
        for (what, value) in [("START", *start)].into_iter().chain(standing) {
            if value < *min {
                let message =
                    format!("{what} value ({value}) cannot be less than MINVALUE ({min})");
                return Err(invalid(message));
            }
            if value > *max {
                let message =
                    format!("{what} value ({value}) cannot be greater than MAXVALUE ({max})");
                return Err(invalid(message));
            }
        }
        if *cache <= 0 {
            return Err(invalid(format!("CACHE ({cache}) must be greater than zero")));
        }
        Ok(())
    }
}
