//! Errors of DataFusion, Arrow and the tablets as SQL errors, by variant; message text is only looked at
//! where the library offers nothing else.

use crate::error::{SqlError, SqlState};
use crate::functions::undefined;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;
use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;
use terrane_client::error::TabletError;
use terrane_client::expr::ExprError;
use terrane_client::program::RowError;

/// Carries a SQL error through DataFusion.
pub fn external(error: SqlError) -> DataFusionError {
    DataFusionError::External(Box::new(error))
}

/// Carries a tablet's error through DataFusion.
pub fn from_tablet(error: TabletError) -> DataFusionError {
    external(of_tablet(error))
}

/// A tablet's error.
pub fn of_tablet(error: TabletError) -> SqlError {
    let state = match &error {
        TabletError::NotServing { .. } | TabletError::Unavailable(_) => SqlState::ADMIN_SHUTDOWN,
        TabletError::PartlyApplied { .. } => SqlState::STATEMENT_COMPLETION_UNKNOWN,
        // The catalog that was planned with had it: another session has replaced or dropped it since.
        TabletError::UnknownTable { .. } => SqlState::SERIALIZATION_FAILURE,
        TabletError::SchemaChanged { .. } => SqlState::SERIALIZATION_FAILURE,
        TabletError::HistoryGone { .. } => SqlState::SNAPSHOT_TOO_OLD,
        TabletError::TooLarge { .. } => SqlState::PROGRAM_LIMIT_EXCEEDED,
        TabletError::DiskFull(_) => SqlState::DISK_FULL,
        TabletError::OutcomeUnknown(_) => SqlState::TRANSACTION_RESOLUTION_UNKNOWN,
        TabletError::Corruption { .. } => SqlState::DATA_CORRUPTED,
        TabletError::Io(_) => SqlState::IO_ERROR,
        TabletError::Unsupported(_) => SqlState::FEATURE_NOT_SUPPORTED,
        TabletError::Row(RowError::Expr(inner)) => return of_expr(inner),
        _ => SqlState::INTERNAL_ERROR,
    };
    let is_stale =
        matches!(error, TabletError::SchemaChanged { .. } | TabletError::UnknownTable { .. });
    if matches!(error, TabletError::HistoryGone { .. }) {
        return SqlError::new(state, "snapshot too old").with_detail(
            "What a table held at the time that is read has been collected as garbage since.",
        );
    }
    let text = match is_stale {
        true => "could not serialize access due to a concurrent change of a table".to_owned(),
        false => error.to_string(),
    };
    let mut told = SqlError::new(state, text);
    told.stale_catalog = is_stale;
    told
}

/// An error of the tablets' expression language.
pub fn of_expr(error: &ExprError) -> SqlError {
    let state = match error {
        ExprError::OutOfRange(_) => SqlState::NUMERIC_VALUE_OUT_OF_RANGE,
        ExprError::DivisionByZero => SqlState::DIVISION_BY_ZERO,
        ExprError::TooLong(_) => SqlState::STRING_DATA_RIGHT_TRUNCATION,
        ExprError::InvalidInput(_) => SqlState::INVALID_TEXT_REPRESENTATION,
        ExprError::NullMapKey => SqlState::NULL_VALUE_NOT_ALLOWED,
        ExprError::DateTimeOutOfRange(_) | ExprError::InfiniteDifference(_) => {
            SqlState::DATETIME_FIELD_OVERFLOW
        }
        ExprError::TooDeep => SqlState::STATEMENT_TOO_COMPLEX,
        ExprError::TooLarge(_) => SqlState::PROGRAM_LIMIT_EXCEEDED,
        _ => SqlState::INTERNAL_ERROR,
    };
    match error {
        // PostgreSQL's words for what does not fit a declared precision.
        ExprError::OutOfRange(name) if name == "numeric" => {
            SqlError::new(state, "numeric field overflow")
        }
        error => SqlError::new(state, error.to_string()),
    }
}

/// A DataFusion error.
pub fn of_datafusion(error: DataFusionError) -> SqlError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<SqlError>() {
            Ok(error) => *error,
            Err(inner) => match inner.downcast::<DataFusionError>() {
                Ok(error) => of_datafusion(*error),
                Err(inner) => match inner.downcast::<ArrowError>() {
                    Ok(error) => of_arrow(*error),
                    // Whatever else a function's library says: regular expressions, above all.
                    Err(inner) => of_execution(inner.to_string()),
                },
            },
        },
        DataFusionError::Context(_, inner) | DataFusionError::Diagnostic(_, inner) => {
            of_datafusion(*inner)
        }
        DataFusionError::Shared(inner) => of_shared(&inner),
        DataFusionError::Collection(errors) => match errors.into_iter().next() {
            Some(first) => of_datafusion(first),
            None => SqlError::internal("an empty collection of errors"),
        },
        DataFusionError::ArrowError(inner, _) => of_arrow(*inner),
        DataFusionError::SchemaError(inner, _) => of_schema(&inner),
        DataFusionError::ResourcesExhausted(message) => out_of_memory(&message),
        DataFusionError::NotImplemented(message) => SqlError::unsupported(message),
        DataFusionError::SQL(inner, _) => SqlError::syntax(inner.to_string()),
        DataFusionError::Plan(message) => of_plan(message),
        DataFusionError::Execution(message) => of_execution(message),
        other => unclassified(other.to_string()),
    }
}

/// An error several consumers of one stream get.
fn of_shared(error: &DataFusionError) -> SqlError {
    match error.find_root() {
        DataFusionError::External(inner) => match inner.downcast_ref::<SqlError>() {
            Some(error) => error.clone(),
            None => unclassified(inner.to_string()),
        },
        DataFusionError::ArrowError(inner, _) => of_arrow_ref(inner),
        DataFusionError::ResourcesExhausted(message) => out_of_memory(message),
        DataFusionError::Plan(message) => of_plan(message.clone()),
        DataFusionError::Execution(message) => of_execution(message.clone()),
        other => unclassified(other.to_string()),
    }
}

/// How DataFusion says that what is spilled has reached its limit: an error of writing, without a kind.
const SPILLED_TOO_MUCH: &str = "datafusion.runtime.max_temp_directory_size";

/// What neither crate has a kind of error for; patterns of regular expressions come from users.
fn unclassified(message: String) -> SqlError {
    if message.contains("regex parse error") {
        let message = format!("invalid regular expression: {message}");
        return SqlError::new(SqlState::INVALID_REGULAR_EXPRESSION, message);
    }
    if message.contains(SPILLED_TOO_MUCH) {
        let message = "temporary files exceed what queries may spill";
        return SqlError::new(SqlState::CONFIGURATION_LIMIT_EXCEEDED, message)
            .with_hint("The server's option --query-temporary-mib says how much that is.");
    }
    SqlError::internal(message)
}

fn out_of_memory(message: &str) -> SqlError {
    if message.contains(SPILLED_TOO_MUCH) {
        return unclassified(message.to_owned());
    }
    SqlError::new(SqlState::OUT_OF_MEMORY, "out of memory").with_detail(message.to_owned())
}

fn of_arrow(error: ArrowError) -> SqlError {
    match error {
        ArrowError::ExternalError(inner) => of_datafusion(DataFusionError::External(inner)),
        other => of_arrow_ref(&other),
    }
}

fn of_arrow_ref(error: &ArrowError) -> SqlError {
    match error {
        ArrowError::DivideByZero => SqlError::new(SqlState::DIVISION_BY_ZERO, "division by zero"),
        ArrowError::ArithmeticOverflow(_) => {
            SqlError::new(SqlState::NUMERIC_VALUE_OUT_OF_RANGE, "value out of range")
        }
        ArrowError::CastError(message) => {
            SqlError::new(SqlState::INVALID_TEXT_REPRESENTATION, message.clone())
        }
        ArrowError::NotYetImplemented(message) => SqlError::unsupported(message.clone()),
        ArrowError::ExternalError(inner) => match inner.downcast_ref::<SqlError>() {
            Some(error) => error.clone(),
            None => unclassified(inner.to_string()),
        },
        ArrowError::ComputeError(message) => of_execution(message.clone()),
        ArrowError::InvalidArgumentError(message) if message.contains("regex parse") => {
            of_execution(message.clone())
        }
        other => unclassified(other.to_string()),
    }
}

fn of_schema(error: &SchemaError) -> SqlError {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            if let Some(relation) = &field.relation
                && valid_fields.iter().all(|valid| valid.relation.as_ref() != Some(relation))
            {
                let table = relation.table();
                let message = format!("missing FROM-clause entry for table \"{table}\"");
                return SqlError::new(SqlState::UNDEFINED_TABLE, message);
            }
            let name = match &field.relation {
                Some(relation) => format!("{}.{}", relation.table(), field.name),
                None => format!("\"{}\"", field.name),
            };
            let message = format!("column {name} does not exist");
            SqlError::new(SqlState::UNDEFINED_COLUMN, message)
        }
        SchemaError::AmbiguousReference { field } => SqlError::new(
            SqlState::AMBIGUOUS_COLUMN,
            format!("column reference \"{}\" is ambiguous", field.name),
        ),
        SchemaError::DuplicateQualifiedField { qualifier, .. } => SqlError::new(
            SqlState::DUPLICATE_ALIAS,
            format!("table name \"{}\" specified more than once", qualifier.table()),
        ),
        SchemaError::DuplicateUnqualifiedField { name } => SqlError::new(
            SqlState::DUPLICATE_COLUMN,
            format!("column \"{name}\" specified more than once"),
        ),
    }
}

/// What a planning error's text says, and the SQLSTATE PostgreSQL gives it: the first match counts.
const PLAN_ERRORS: &[(&str, SqlState)] = &[
    ("could not be resolved from available columns", SqlState::GROUPING_ERROR),
    ("must appear in the GROUP BY clause", SqlState::GROUPING_ERROR),
    ("must be in GROUP BY", SqlState::GROUPING_ERROR),
    ("function calls cannot be nested", SqlState::GROUPING_ERROR),
    ("cannot contain window function calls", SqlState::GROUPING_ERROR),
    ("not allowed in the WHERE clause", SqlState::GROUPING_ERROR),
    ("is not defined!", SqlState::UNDEFINED_OBJECT),
    ("LIMIT must be >= 0", SqlState::INVALID_ROW_COUNT_IN_LIMIT_CLAUSE),
    ("OFFSET must be >=", SqlState::INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE),
    ("Order by column out of bounds", SqlState::INVALID_COLUMN_REFERENCE),
    ("Cannot find column with position", SqlState::INVALID_COLUMN_REFERENCE),
    ("must match initial ORDER BY", SqlState::INVALID_COLUMN_REFERENCE),
    ("must appear in select list", SqlState::INVALID_COLUMN_REFERENCE),
    ("names given as column alias", SqlState::INVALID_COLUMN_REFERENCE),
    ("have different number of columns", SqlState::SYNTAX_ERROR),
    ("should only return one column", SqlState::SYNTAX_ERROR),
    ("cannot be larger than end bound", SqlState("42P20")),
    ("must be non negative integers", SqlState::INVALID_PRECEDING_OR_FOLLOWING_SIZE),
    ("Inconsistent data length across values list", SqlState::SYNTAX_ERROR),
    ("specified more than once", SqlState::DUPLICATE_ALIAS),
    ("coercion", SqlState::UNDEFINED_FUNCTION),
    ("Cannot coerce", SqlState::UNDEFINED_FUNCTION),
    ("Cannot infer common", SqlState::UNDEFINED_FUNCTION),
    ("No function matches", SqlState::UNDEFINED_FUNCTION),
    ("Invalid function", SqlState::UNDEFINED_FUNCTION),
    ("not supported", SqlState::FEATURE_NOT_SUPPORTED),
    ("Unsupported", SqlState::FEATURE_NOT_SUPPORTED),
    ("not implemented", SqlState::FEATURE_NOT_SUPPORTED),
];

/// Functions that are nothing without OVER.
const WINDOW_FUNCTIONS: &[&str] =
    &["row_number", "rank", "dense_rank", "percent_rank", "cume_dist", "ntile", "lag", "lead"];

/// A call or an operator that there is not, as a planning error tells it.
fn of_call(message: &str) -> Option<SqlError> {
    // What one of our own functions said of its arguments.
    if let Some((_, told)) = message.split_once("External error: ")
        // What follows is not there where the call has no arguments.
        && let Some(told) = told.split(". No function matches").next()
        && let Some(message) = told.strip_suffix(" (42883)")
    {
        let what = if message.starts_with("function ") { "function" } else { "operator" };
        return Some(SqlError::new(SqlState::UNDEFINED_FUNCTION, message).with_hint(format!(
            "No {what} matches the given name and argument types. You might need to add explicit type \
             casts."
        )));
    }
    let call = between(message, "No function matches the given name and argument types '", "'")?;
    let (name, types) = call.strip_suffix(')')?.split_once('(')?;
    // Types with commas in them stay as they are: the message then tells them all the same.
    let types: Vec<DataType> =
        types.split(", ").map(str::parse).collect::<Result<_, _>>().unwrap_or_default();
    Some(undefined::function(name, &types))
}

/// Planning errors come as text only.
fn of_plan(message: String) -> SqlError {
    if let Some(error) = of_call(&message) {
        return error;
    }
    if message.contains("must appear in the GROUP BY clause")
        && let Some(column) = between(&message, "column \"", "\"")
    {
        let message = format!(
            "column \"{column}\" must appear in the GROUP BY clause or be used in an aggregate function"
        );
        return SqlError::new(SqlState::GROUPING_ERROR, message);
    }
    if let Some(name) = between(&message, "Invalid function '", "'") {
        if WINDOW_FUNCTIONS.contains(&name) {
            let message = format!("window function {name} requires an OVER clause");
            return SqlError::new(SqlState::WRONG_OBJECT_TYPE, message);
        }
        let message = format!("function {name} does not exist");
        return SqlError::new(SqlState::UNDEFINED_FUNCTION, message);
    }
    if let Some((_, operation)) = message.split_once("logical boolean operation ") {
        return of_logic(operation);
    }
    let found = PLAN_ERRORS.iter().find(|(part, _)| message.contains(part));
    let state = found.map_or(SqlState::DATATYPE_MISMATCH, |(_, state)| *state);
    SqlError::new(state, message)
}

/// An operand of AND or OR that is no boolean: `Int32 AND Boolean`.
fn of_logic(operation: &str) -> SqlError {
    let words: Vec<&str> = operation.split_whitespace().collect();
    let operator = if words.contains(&"OR") { "OR" } else { "AND" };
    let mut operands = words.into_iter().filter_map(|word| word.parse::<DataType>().ok());
    let wrong = operands.find(|operand| *operand != DataType::Boolean);
    let name = wrong.as_ref().map_or("unknown", undefined::sql_name);
    let message = format!("argument of {operator} must be type boolean, not type {name}");
    SqlError::new(SqlState::DATATYPE_MISMATCH, message)
}

fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    let (_, rest) = text.split_once(before)?;
    rest.split_once(after).map(|(inside, _)| inside)
}

fn of_execution(message: String) -> SqlError {
    if let Some(error) = of_call(&message) {
        return error;
    }
    let lower = message.to_ascii_lowercase();
    if lower.contains("ntile requires a positive") {
        let message = "argument of ntile must be greater than zero";
        return SqlError::new(SqlState("22014"), message);
    }
    if let Some(parameter) = between(&message, "Placeholder '", "' was not provided a value") {
        let message = format!("there is no parameter {parameter}");
        return SqlError::new(SqlState::UNDEFINED_PARAMETER, message);
    }
    let state = if lower.contains("error parsing timestamp") {
        SqlState::INVALID_DATETIME_FORMAT
    } else if lower.contains("regular expression") || lower.contains("regex parse") {
        SqlState::INVALID_REGULAR_EXPRESSION
    } else if lower.contains("square root of a negative") {
        SqlState::INVALID_ARGUMENT_FOR_POWER_FUNCTION
    } else if lower.contains("negative count not allowed") || lower.contains("negative substring") {
        SqlState::SUBSTRING_ERROR
    } else if lower.contains("divide by zero") || lower.contains("division by zero") {
        SqlState::DIVISION_BY_ZERO
    } else if lower.contains("overflow") || lower.contains("out of range") {
        SqlState::NUMERIC_VALUE_OUT_OF_RANGE
    } else if lower.contains("more than one row") {
        return SqlError::new(
            SqlState::CARDINALITY_VIOLATION,
            "more than one row returned by a subquery used as an expression",
        );
    } else {
        SqlState::INVALID_PARAMETER_VALUE
    };
    SqlError::new(state, message)
}
