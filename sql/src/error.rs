//! The SQL layer's error: everything a client is told, in PostgreSQL's fields.
//!
//! Messages use PostgreSQL's wording where drivers match on it. `XX000` means a bug in Terrane.

use std::fmt;
use std::ops::{Deref, DerefMut};

/// A five-character SQLSTATE.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SqlState(pub &'static str);

impl fmt::Debug for SqlState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

macro_rules! states {
    ($($(#[$doc:meta])* $name:ident = $code:literal;)*) => {
        impl SqlState {
            $($(#[$doc])* pub const $name: SqlState = SqlState($code);)*
        }
    };
}

states! {
    /// Protocol violation.
    PROTOCOL_VIOLATION = "08P01";
    /// The connection broke.
    CONNECTION_FAILURE = "08006";
    /// The commit may or may not be durable.
    TRANSACTION_RESOLUTION_UNKNOWN = "08007";
    /// A warning of no class of its own.
    WARNING = "01000";
    /// An argument that must not be NULL.
    NULL_VALUE_NOT_ALLOWED = "22004";
    /// Sessions that wait for each other.
    DEADLOCK_DETECTED = "40P01";
    /// The logarithm of zero or less.
    INVALID_ARGUMENT_FOR_LOGARITHM = "2201E";
    /// A count of buckets, or bounds, that make none.
    INVALID_ARGUMENT_FOR_WIDTH_BUCKET = "2201G";
    /// A subscript outside of its value.
    ARRAY_SUBSCRIPT_ERROR = "2202E";
    /// Not built, or never will be.
    FEATURE_NOT_SUPPORTED = "0A000";
    /// More rows than a scalar subquery may give.
    CARDINALITY_VIOLATION = "21000";
    /// Value too long for its type.
    STRING_DATA_RIGHT_TRUNCATION = "22001";
    /// A number does not fit its type.
    NUMERIC_VALUE_OUT_OF_RANGE = "22003";
    /// Not a date or time.
    INVALID_DATETIME_FORMAT = "22007";
    /// A date or time does not fit.
    DATETIME_FIELD_OVERFLOW = "22008";
    /// A time zone's offset does not fit.
    INVALID_TIME_ZONE_DISPLACEMENT = "22009";
    /// An interval does not fit.
    INTERVAL_FIELD_OVERFLOW = "22015";
    /// Division by zero.
    DIVISION_BY_ZERO = "22012";
    /// A frame of a window ends before it begins, or begins that far away.
    INVALID_PRECEDING_OR_FOLLOWING_SIZE = "22013";
    /// Bad parameter of a function or clause.
    INVALID_PARAMETER_VALUE = "22023";
    /// Bytes that are not UTF-8.
    CHARACTER_NOT_IN_REPERTOIRE = "22021";
    /// A \u escape that text cannot hold.
    UNTRANSLATABLE_CHARACTER = "22P05";
    /// Text that is not of the type.
    INVALID_TEXT_REPRESENTATION = "22P02";
    /// Bytes that are not the type's binary form.
    INVALID_BINARY_REPRESENTATION = "22P03";
    /// A sequence at its end.
    SEQUENCE_GENERATOR_LIMIT_EXCEEDED = "2200H";
    /// A substring of negative length.
    SUBSTRING_ERROR = "22011";
    /// The root of a negative number, a power that is not defined.
    INVALID_ARGUMENT_FOR_POWER_FUNCTION = "2201F";
    /// A regular expression that does not parse.
    INVALID_REGULAR_EXPRESSION = "2201B";
    /// LIMIT below zero.
    INVALID_ROW_COUNT_IN_LIMIT_CLAUSE = "2201W";
    /// OFFSET below zero.
    INVALID_ROW_COUNT_IN_RESULT_OFFSET_CLAUSE = "2201X";
    /// Data of a COPY that does not parse.
    BAD_COPY_FILE_FORMAT = "22P04";
    /// NOT NULL.
    NOT_NULL_VIOLATION = "23502";
    /// A key that exists.
    UNIQUE_VIOLATION = "23505";
    /// CHECK.
    CHECK_VIOLATION = "23514";
    /// A cursor in the wrong state.
    INVALID_CURSOR_STATE = "24000";
    /// A block is open already.
    ACTIVE_SQL_TRANSACTION = "25001";
    /// A write where only reads may be.
    READ_ONLY_SQL_TRANSACTION = "25006";
    /// No block is open.
    NO_ACTIVE_SQL_TRANSACTION = "25P01";
    /// A block sat idle past idle_in_transaction_session_timeout.
    IDLE_IN_TRANSACTION_SESSION_TIMEOUT = "25P03";
    /// The block failed; only ROLLBACK is answered.
    IN_FAILED_SQL_TRANSACTION = "25P02";
    /// No such prepared statement.
    INVALID_SQL_STATEMENT_NAME = "26000";
    /// Authentication.
    INVALID_AUTHORIZATION_SPECIFICATION = "28000";
    /// Wrong password.
    INVALID_PASSWORD = "28P01";
    /// Something else depends on it.
    DEPENDENT_OBJECTS_STILL_EXIST = "2BP01";
    /// No such cursor or portal.
    INVALID_CURSOR_NAME = "34000";
    /// No such savepoint.
    INVALID_SAVEPOINT_SPECIFICATION = "3B001";
    /// No such database.
    INVALID_CATALOG_NAME = "3D000";
    /// No such schema.
    INVALID_SCHEMA_NAME = "3F000";
    /// Try again: nothing was applied.
    SERIALIZATION_FAILURE = "40001";
    /// Partly applied, or unknown.
    STATEMENT_COMPLETION_UNKNOWN = "40003";
    /// Privilege.
    INSUFFICIENT_PRIVILEGE = "42501";
    /// Does not parse.
    SYNTAX_ERROR = "42601";
    /// A name that is reserved or malformed.
    INVALID_NAME = "42602";
    /// A bad column definition.
    INVALID_COLUMN_DEFINITION = "42611";
    /// A column named twice.
    DUPLICATE_COLUMN = "42701";
    /// A name that fits two columns.
    AMBIGUOUS_COLUMN = "42702";
    /// No such column.
    UNDEFINED_COLUMN = "42703";
    /// No such object of another kind.
    UNDEFINED_OBJECT = "42704";
    /// An object of another kind that exists.
    DUPLICATE_OBJECT = "42710";
    /// An alias used twice.
    DUPLICATE_ALIAS = "42712";
    /// A function that fits two ways.
    AMBIGUOUS_FUNCTION = "42725";
    /// GROUP BY.
    GROUPING_ERROR = "42803";
    /// OVER.
    WINDOWING_ERROR = "42P20";
    /// Types that do not fit.
    DATATYPE_MISMATCH = "42804";
    /// The object is of another kind.
    WRONG_OBJECT_TYPE = "42809";
    /// A cast there is not.
    CANNOT_COERCE = "42846";
    /// No such function or operator.
    UNDEFINED_FUNCTION = "42883";
    /// No such relation.
    UNDEFINED_TABLE = "42P01";
    /// No such parameter.
    UNDEFINED_PARAMETER = "42P02";
    /// A name kept for the system.
    RESERVED_NAME = "42939";
    /// A cursor that exists.
    DUPLICATE_CURSOR = "42P03";
    /// A prepared statement that exists.
    DUPLICATE_PREPARED_STATEMENT = "42P05";
    /// A schema that exists.
    DUPLICATE_SCHEMA = "42P06";
    /// A relation that exists.
    DUPLICATE_TABLE = "42P07";
    /// A table name that fits two.
    AMBIGUOUS_ALIAS = "42P09";
    /// A bad column reference.
    INVALID_COLUMN_REFERENCE = "42P10";
    /// A bad table definition.
    INVALID_TABLE_DEFINITION = "42P16";
    /// A parameter whose type cannot be told.
    INDETERMINATE_DATATYPE = "42P18";
    /// WITH CHECK OPTION and the like.
    WITH_CHECK_OPTION_VIOLATION = "44000";
    /// No disk space.
    DISK_FULL = "53100";
    /// A query past its memory cap.
    OUT_OF_MEMORY = "53200";
    /// Too many connections.
    TOO_MANY_CONNECTIONS = "53300";
    /// Past a limit that an option of the server sets.
    CONFIGURATION_LIMIT_EXCEEDED = "53400";
    /// Over a limit of Terrane's.
    PROGRAM_LIMIT_EXCEEDED = "54000";
    /// A statement nested too deeply.
    STATEMENT_TOO_COMPLEX = "54001";
    /// Too many columns.
    TOO_MANY_COLUMNS = "54011";
    /// The object is in the wrong state.
    OBJECT_NOT_IN_PREREQUISITE_STATE = "55000";
    /// A setting that cannot be changed.
    CANT_CHANGE_RUNTIME_PARAM = "55P02";
    /// Cancelled, by the user or a timeout.
    QUERY_CANCELED = "57014";
    /// Shutting down.
    ADMIN_SHUTDOWN = "57P01";
    /// A session sat idle past idle_session_timeout.
    IDLE_SESSION_TIMEOUT = "57P05";
    /// Starting up.
    CANNOT_CONNECT_NOW = "57P03";
    /// Reading or writing a file failed.
    IO_ERROR = "58030";
    /// History older than the table keeps.
    SNAPSHOT_TOO_OLD = "72000";
    /// A bug.
    INTERNAL_ERROR = "XX000";
    /// Stored bytes are damaged.
    DATA_CORRUPTED = "XX001";
}

/// An error as the client sees it. One word wide, so that results stay small; its fields are read and
/// set through it: `error.message`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SqlError(Box<ErrorFields>);

/// What an error says, field by field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorFields {
    /// Its SQLSTATE.
    pub state: SqlState,
    /// One line.
    pub message: String,
    /// More.
    pub detail: Option<String>,
    /// What to do about it.
    pub hint: Option<String>,
    /// Where in the statement: characters, from 1.
    pub position: Option<u32>,
    /// The schema it is about.
    pub schema: Option<String>,
    /// The table it is about.
    pub table: Option<String>,
    /// The column it is about.
    pub column: Option<String>,
    /// The constraint it is about.
    pub constraint: Option<String>,
    /// True where a tablet refused a call for its schema version: the statement was planned on a catalog that
    /// has changed since, and nothing of it was applied.
    pub stale_catalog: bool,
    /// The place in the order of turns of the row that another commit changed first.
    pub lost_row: Option<usize>,
    /// PostgreSQL's CONTEXT: `COPY t, line 3, column a: "x"`.
    pub context: Option<String>,
}

impl Deref for SqlError {
    type Target = ErrorFields;

    fn deref(&self) -> &ErrorFields {
        &self.0
    }
}

impl DerefMut for SqlError {
    fn deref_mut(&mut self) -> &mut ErrorFields {
        &mut self.0
    }
}

impl SqlError {
    /// An error with a state and a message.
    pub fn new(state: SqlState, message: impl Into<String>) -> Self {
        Self(Box::new(ErrorFields {
            state,
            message: message.into(),
            detail: None,
            hint: None,
            position: None,
            schema: None,
            table: None,
            column: None,
            constraint: None,
            stale_catalog: false,
            lost_row: None,
            context: None,
        }))
    }

    /// 0A000.
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(SqlState::FEATURE_NOT_SUPPORTED, message)
    }

    /// 42601.
    pub fn syntax(message: impl Into<String>) -> Self {
        Self::new(SqlState::SYNTAX_ERROR, message)
    }

    /// XX000: a bug.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(SqlState::INTERNAL_ERROR, message)
    }

    /// Adds a DETAIL.
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        self.detail = Some(detail.into());
        self
    }

    /// Adds a HINT.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Adds the position in the statement.
    pub fn at(mut self, position: u32) -> Self {
        self.position = Some(position);
        self
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.state.0)
    }
}

impl std::error::Error for SqlError {}
