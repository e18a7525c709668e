//! Statements about the session: prepared statements, cursors, locks, EXPLAIN.
//!
//! Read by a grammar of our own, as DDL is: sqlparser knows most of them in part only.

use super::Ast;
use crate::bind::ddl::QualifiedName;
use crate::bind::ddl::cursor::{Cursor, Parsed};
use datafusion::sql::sqlparser::ast::{DataType, Expr, Query, Statement};
use datafusion::sql::sqlparser::parser::{Parser, ParserError};
use datafusion::sql::sqlparser::tokenizer::Token;

/// A statement about the session.
#[derive(Clone, Debug)]
pub enum Command {
    /// PREPARE.
    Prepare {
        /// Its name.
        name: String,
        /// The types given for its parameters.
        types: Vec<DataType>,
        /// The statement.
        statement: Box<Ast>,
    },
    /// EXECUTE.
    Execute {
        /// The prepared statement's name.
        name: String,
        /// Its arguments.
        arguments: Vec<Expr>,
    },
    /// DEALLOCATE; `None` is ALL.
    Deallocate(Option<String>),
    /// DECLARE … CURSOR.
    Declare(Box<Declare>),
    /// FETCH and MOVE.
    Fetch {
        /// The cursor's name.
        cursor: String,
        /// Which rows.
        direction: Direction,
        /// MOVE: the rows are only counted.
        moves: bool,
    },
    /// CLOSE; `None` is ALL.
    Close(Option<String>),
    /// LOCK TABLE.
    Lock {
        /// The tables.
        names: Vec<QualifiedName>,
        /// True for the modes that writers conflict with.
        excludes_writers: bool,
    },
    /// EXPLAIN.
    Explain {
        /// What is asked.
        options: ExplainOptions,
        /// Of which statement.
        statement: Box<Ast>,
    },
    /// UNLISTEN: nothing is listened to.
    Unlisten,
    /// SET CONSTRAINTS: no constraint is deferrable.
    SetConstraints,
    /// SET ROLE NONE and the like: what there is anyway. The tag.
    Nothing(&'static str),
    /// What PostgreSQL has and Terrane has not: 0A000.
    Unsupported(String),
}

/// DECLARE … CURSOR.
#[derive(Clone, Debug)]
pub struct Declare {
    /// Its name.
    pub name: String,
    /// BINARY: rows are sent in the binary format.
    pub binary: bool,
    /// SCROLL or NO SCROLL; `None` where neither is said.
    pub scroll: Option<bool>,
    /// WITH HOLD: it outlives its transaction.
    pub hold: bool,
    /// The query.
    pub query: Box<Query>,
}

/// Which rows FETCH wants. Rows count from 1; negative numbers count backward.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// So many rows onward; 0 is the current row again.
    Forward(i64),
    /// All rows onward.
    ForwardAll,
    /// All rows backward.
    BackwardAll,
    /// The row of this number; negative counts from the end.
    Absolute(i64),
    /// The row so far from here.
    Relative(i64),
}

/// EXPLAIN's options.
#[derive(Clone, Copy, Debug, Default)]
pub struct ExplainOptions {
    /// The statement is run.
    pub analyze: bool,
    /// More of it.
    pub verbose: bool,
    /// FORMAT JSON.
    pub json: bool,
}

/// Reads a command, if one starts here.
pub fn parse(parser: &mut Parser<'_>) -> Result<Option<Command>, ParserError> {
    let mut cursor = Cursor::new(parser);
    if cursor.sees(&["PREPARE"]) && !cursor.sees(&["PREPARE", "TRANSACTION"]) {
        cursor.take(&["PREPARE"]);
        let name = cursor.ident()?;
        let types = match cursor.is_token(&Token::LParen) {
            true => cursor.parenthesized(Cursor::data_type)?,
            false => Vec::new(),
        };
        cursor.expect(&["AS"])?;
        let first = parser.peek_token();
        let statement = Box::new(super::parse_one(parser)?);
        if !can_be_prepared(&statement) {
            return parser.expected("SELECT, VALUES, INSERT, UPDATE or DELETE", first);
        }
        return Ok(Some(Command::Prepare { name, types, statement }));
    }
    if cursor.take(&["EXPLAIN"]) {
        let options = match explain_options(&mut cursor)? {
            Ok(options) => options,
            Err(clause) => {
                skip(&mut cursor);
                return Ok(Some(Command::Unsupported(clause)));
            }
        };
        let statement = Box::new(super::parse_one(parser)?);
        return Ok(Some(Command::Explain { options, statement }));
    }
    named(&mut cursor)
}

/// PREPARE takes queries and statements that change rows.
fn can_be_prepared(statement: &Ast) -> bool {
    match statement {
        Ast::Sql(statement) => matches!(
            **statement,
            Statement::Query(_)
                | Statement::Insert(_)
                | Statement::Update(_)
                | Statement::Delete(_)
                | Statement::Merge(_)
        ),
        _ => false,
    }
}

fn skip(cursor: &mut Cursor<'_, '_>) {
    let _: Parsed<()> = cursor.unsupported("the rest");
    cursor.take_unsupported();
}

fn named(cursor: &mut Cursor<'_, '_>) -> Parsed<Option<Command>> {
    let all_or_name = |cursor: &mut Cursor<'_, '_>| match cursor.take(&["ALL"]) {
        true => Ok(None),
        false => cursor.ident().map(Some),
    };
    Ok(Some(if cursor.take(&["EXECUTE"]) {
        let name = cursor.ident()?;
        let arguments = match cursor.is_token(&Token::LParen) {
            true => cursor.parenthesized(Cursor::expr)?,
            false => Vec::new(),
        };
        Command::Execute { name, arguments }
    } else if cursor.take(&["DEALLOCATE"]) {
        cursor.take(&["PREPARE"]);
        Command::Deallocate(all_or_name(cursor)?)
    } else if cursor.take(&["DECLARE"]) {
        Command::Declare(Box::new(declare(cursor)?))
    } else if cursor.take(&["FETCH"]) {
        fetch(cursor, false)?
    } else if cursor.take(&["MOVE"]) {
        fetch(cursor, true)?
    } else if cursor.take(&["CLOSE"]) {
        Command::Close(all_or_name(cursor)?)
    } else if cursor.take(&["LOCK"]) {
        lock(cursor)?
    } else if cursor.take(&["UNLISTEN"]) {
        if !cursor.take_token(&Token::Mul) {
            cursor.ident()?;
        }
        Command::Unlisten
    } else {
        return others(cursor);
    }))
}

/// What does nothing, and what there is not.
fn others(cursor: &mut Cursor<'_, '_>) -> Parsed<Option<Command>> {
    const NOTHING: &[(&[&str], &str)] = &[
        (&["SET", "ROLE", "NONE"], "SET"),
        (&["SET", "SESSION", "AUTHORIZATION", "DEFAULT"], "SET"),
        (&["RESET", "ROLE"], "RESET"),
        (&["RESET", "SESSION", "AUTHORIZATION"], "RESET"),
    ];
    const UNSUPPORTED: &[&[&str]] =
        &[&["DO"], &["LISTEN"], &["NOTIFY"], &["LOAD"], &["CALL"], &["PREPARE", "TRANSACTION"]];
    if let Some((_, tag)) = NOTHING.iter().find(|(words, _)| cursor.take(words)) {
        return Ok(Some(Command::Nothing(tag)));
    }
    if cursor.take(&["SET", "CONSTRAINTS"]) {
        if !cursor.take(&["ALL"]) {
            cursor.list(Cursor::name)?;
        }
        cursor.one_of(&["DEFERRED", "IMMEDIATE"])?;
        return Ok(Some(Command::SetConstraints));
    }
    match UNSUPPORTED.iter().find(|words| cursor.sees(words)) {
        Some(words) => {
            skip(cursor);
            Ok(Some(Command::Unsupported(words.join(" "))))
        }
        None => Ok(None),
    }
}

fn declare(cursor: &mut Cursor<'_, '_>) -> Parsed<Declare> {
    let name = cursor.ident()?;
    let (mut binary, mut scroll) = (false, None);
    loop {
        if cursor.take(&["BINARY"]) {
            binary = true;
        } else if cursor.take(&["NO", "SCROLL"]) {
            scroll = Some(false);
        } else if cursor.take(&["SCROLL"]) {
            scroll = Some(true);
        } else if !(cursor.take(&["INSENSITIVE"]) || cursor.take(&["ASENSITIVE"])) {
            break;
        }
    }
    cursor.expect(&["CURSOR"])?;
    let hold = cursor.take(&["WITH", "HOLD"]);
    if !hold {
        cursor.take(&["WITHOUT", "HOLD"]);
    }
    cursor.expect(&["FOR"])?;
    if ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|word| cursor.is(0, word)) {
        return cursor.fail("a query");
    }
    let query = cursor.query()?;
    Ok(Declare { name, binary, scroll, hold, query })
}

fn fetch(cursor: &mut Cursor<'_, '_>, moves: bool) -> Parsed<Command> {
    let direction = direction(cursor)?;
    let _ = cursor.take(&["FROM"]) || cursor.take(&["IN"]);
    let cursor = cursor.ident()?;
    Ok(Command::Fetch { cursor, direction, moves })
}

fn direction(cursor: &mut Cursor<'_, '_>) -> Parsed<Direction> {
    let counted = |cursor: &mut Cursor<'_, '_>| match cursor.is_integer() {
        true => cursor.integer(),
        false => Ok(1),
    };
    // A cursor may have the name of a direction.
    if cursor.nth_is_token(1, &Token::EOF) || cursor.nth_is_token(1, &Token::SemiColon) {
        return Ok(Direction::Forward(1));
    }
    Ok(if cursor.take(&["NEXT"]) {
        Direction::Forward(1)
    } else if cursor.take(&["PRIOR"]) {
        Direction::Forward(-1)
    } else if cursor.take(&["FIRST"]) {
        Direction::Absolute(1)
    } else if cursor.take(&["LAST"]) {
        Direction::Absolute(-1)
    } else if cursor.take(&["ABSOLUTE"]) {
        Direction::Absolute(cursor.integer()?)
    } else if cursor.take(&["RELATIVE"]) {
        Direction::Relative(cursor.integer()?)
    } else if cursor.take(&["ALL"]) || cursor.take(&["FORWARD", "ALL"]) {
        Direction::ForwardAll
    } else if cursor.take(&["BACKWARD", "ALL"]) {
        Direction::BackwardAll
    } else if cursor.take(&["FORWARD"]) {
        Direction::Forward(counted(cursor)?)
    } else if cursor.take(&["BACKWARD"]) {
        Direction::Forward(counted(cursor)?.saturating_neg())
    } else {
        Direction::Forward(counted(cursor)?)
    })
}

fn lock(cursor: &mut Cursor<'_, '_>) -> Parsed<Command> {
    cursor.take(&["TABLE"]);
    cursor.take(&["ONLY"]);
    let names = cursor.list(|cursor| {
        let name = cursor.name()?;
        cursor.take_token(&Token::Mul);
        Ok(name)
    })?;
    const SHARED: &[&[&str]] = &[&["ACCESS", "SHARE"], &["ROW", "SHARE"], &["ROW", "EXCLUSIVE"]];
    const EXCLUSIVE: &[&[&str]] = &[
        &["SHARE", "UPDATE", "EXCLUSIVE"],
        &["SHARE", "ROW", "EXCLUSIVE"],
        &["ACCESS", "EXCLUSIVE"],
        &["EXCLUSIVE"],
        &["SHARE"],
    ];
    let mut excludes_writers = true;
    if cursor.take(&["IN"]) {
        if SHARED.iter().any(|mode| cursor.take(mode)) {
            excludes_writers = false;
        } else if !EXCLUSIVE.iter().any(|mode| cursor.take(mode)) {
            return cursor.fail("a lock mode");
        }
        cursor.expect(&["MODE"])?;
    }
    if cursor.take(&["NOWAIT"]) {
        return Ok(Command::Unsupported("LOCK TABLE … NOWAIT".to_owned()));
    }
    Ok(Command::Lock { names, excludes_writers })
}

/// EXPLAIN's options; the inner error is an option there is not.
fn explain_options(cursor: &mut Cursor<'_, '_>) -> Parsed<Result<ExplainOptions, String>> {
    let mut options = ExplainOptions::default();
    if !cursor.is_token(&Token::LParen) || cursor.is(1, "SELECT") || cursor.is(1, "WITH") {
        options.analyze = cursor.take(&["ANALYZE"]) || cursor.take(&["ANALYSE"]);
        options.verbose = cursor.take(&["VERBOSE"]);
        return Ok(Ok(options));
    }
    let mut unknown = None;
    cursor.parenthesized(|cursor| {
        let name = cursor.any_ident()?;
        let value = match cursor.is_token(&Token::Comma) || cursor.is_token(&Token::RParen) {
            true => "on".to_owned(),
            false if cursor.is_integer() => cursor.integer()?.to_string(),
            false => cursor.any_ident()?,
        };
        let is_on = matches!(value.to_lowercase().as_str(), "on" | "true" | "1");
        match name.as_str() {
            "analyze" => options.analyze = is_on,
            "verbose" => options.verbose = is_on,
            // These say how much of the plan is shown, and none of it is of ours.
            "costs" | "settings" | "buffers" | "wal" | "timing" | "summary" => {}
            "format" => match value.to_lowercase().as_str() {
                "text" => options.json = false,
                "json" => options.json = true,
                other => unknown = Some(format!("EXPLAIN (FORMAT {})", other.to_uppercase())),
            },
            other => {
                let message = format!("unrecognized EXPLAIN option \"{other}\"");
                return Err(ParserError::TokenizerError(message));
            }
        }
        Ok(())
    })?;
    Ok(match unknown {
        Some(clause) => Err(clause),
        None => Ok(options),
    })
}
