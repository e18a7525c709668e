//! The grammar of ALTER TABLE.

use crate::bind::ddl::constraint::{self, Constraint};
use crate::bind::ddl::create_table::{
    ColumnDefinition, parse_add_identity, parse_column, parse_identity_kind,
};
use crate::bind::ddl::cursor::{Cursor, Parsed};
use crate::bind::ddl::family::{self, FamilyChange};
use crate::bind::ddl::names::RelationKind;
use crate::bind::ddl::rename::{AlterRelation, parse_change};
use crate::bind::ddl::sequence::{SequenceOption, parse_options};
use crate::bind::ddl::{DdlStatement, QualifiedName};
use datafusion::sql::sqlparser::ast::{DataType, Expr};
use datafusion::sql::sqlparser::tokenizer::Token;

/// ALTER TABLE.
#[derive(Clone, Debug, PartialEq)]
pub struct AlterTable {
    /// IF EXISTS.
    pub if_exists: bool,
    /// The table.
    pub name: QualifiedName,
    /// What changes, in order.
    pub actions: Vec<AlterAction>,
}

/// One change.
#[derive(Clone, Debug, PartialEq)]
pub enum AlterAction {
    /// ADD COLUMN.
    AddColumn {
        /// IF NOT EXISTS.
        if_not_exists: bool,
        /// The column.
        column: ColumnDefinition,
    },
    /// DROP COLUMN.
    DropColumn {
        /// IF EXISTS.
        if_exists: bool,
        /// Its name.
        name: String,
        /// CASCADE.
        cascade: bool,
    },
    /// ALTER COLUMN.
    AlterColumn {
        /// Its name.
        name: String,
        /// What changes.
        change: ColumnChange,
    },
    /// ADD CONSTRAINT.
    AddConstraint(Constraint),
    /// DROP CONSTRAINT.
    DropConstraint {
        /// IF EXISTS.
        if_exists: bool,
        /// Its name.
        name: String,
        /// CASCADE: nothing depends on a constraint.
        cascade: bool,
    },
    /// RENAME CONSTRAINT … TO.
    RenameConstraint(String, String),
    /// VALIDATE CONSTRAINT: all are valid.
    ValidateConstraint(String),
    /// SET (…).
    SetOptions(Vec<(String, Option<String>)>),
    /// RESET (…).
    ResetOptions(Vec<String>),
    /// A change of families or locality groups.
    Family(FamilyChange),
    /// A clause that changes nothing here, and why.
    Ignored(&'static str, &'static str),
}

/// What changes of a column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnChange {
    /// SET DEFAULT.
    SetDefault(Expr),
    /// DROP DEFAULT.
    DropDefault,
    /// SET NOT NULL.
    SetNotNull,
    /// DROP NOT NULL.
    DropNotNull,
    /// TYPE.
    Type {
        /// The new type.
        data_type: DataType,
        /// USING.
        using: Option<Expr>,
    },
    /// ADD GENERATED … AS IDENTITY.
    AddIdentity {
        /// ALWAYS.
        always: bool,
        /// Options of its sequence.
        options: Vec<SequenceOption>,
    },
    /// SET GENERATED, SET sequence option, RESTART.
    SetIdentity {
        /// ALWAYS, where SET GENERATED says.
        always: Option<bool>,
        /// Options of its sequence.
        options: Vec<SequenceOption>,
    },
    /// DROP IDENTITY.
    DropIdentity {
        /// IF EXISTS.
        if_exists: bool,
    },
    /// A clause that changes nothing here.
    Ignored(&'static str),
}

/// After ALTER TABLE.
pub(crate) fn parse(cursor: &mut Cursor<'_, '_>) -> Parsed<DdlStatement> {
    if cursor.sees(&["ALL", "IN"]) {
        return cursor.unsupported("ALTER TABLE ALL IN TABLESPACE");
    }
    let if_exists = cursor.if_exists();
    cursor.take(&["ONLY"]);
    let name = cursor.name()?;
    cursor.take_token(&Token::Mul);
    if let Some(change) = parse_change(cursor)? {
        let kind = RelationKind::Table;
        let alter = AlterRelation { kind, if_exists, name, change };
        return Ok(DdlStatement::AlterRelation(alter));
    }
    let actions = cursor.list(parse_action)?;
    Ok(DdlStatement::AlterTable(AlterTable { if_exists, name, actions }))
}

/// Forms that are refused, by how they begin.
const REFUSED: &[(&[&str], &str)] = &[
    (&["INHERIT"], "INHERIT"),
    (&["NO", "INHERIT"], "NO INHERIT"),
    (&["ATTACH", "PARTITION"], "ATTACH PARTITION"),
    (&["DETACH", "PARTITION"], "DETACH PARTITION"),
    (&["OF"], "OF a type"),
    (&["NOT", "OF"], "NOT OF"),
    (&["ENABLE"], "ENABLE of rules, triggers and row level security"),
    (&["DISABLE"], "DISABLE of rules, triggers and row level security"),
    (&["FORCE"], "FORCE ROW LEVEL SECURITY"),
    (&["NO", "FORCE"], "NO FORCE ROW LEVEL SECURITY"),
    (&["ALTER", "CONSTRAINT"], "ALTER CONSTRAINT"),
];

fn parse_action(cursor: &mut Cursor<'_, '_>) -> Parsed<AlterAction> {
    if cursor.take(&["ADD"]) {
        return match family::starts_add(cursor) {
            true => family::parse_alter(cursor, "ADD").map(AlterAction::Family),
            false => parse_add(cursor),
        };
    }
    if cursor.take(&["DROP", "CONSTRAINT"]) {
        let if_exists = cursor.if_exists();
        let name = cursor.ident()?;
        let cascade = cursor.cascade();
        return Ok(AlterAction::DropConstraint { if_exists, name, cascade });
    }
    if cursor.take(&["DROP"]) {
        if family::starts_drop(cursor) {
            return family::parse_alter(cursor, "DROP").map(AlterAction::Family);
        }
        cursor.take(&["COLUMN"]);
        let if_exists = cursor.if_exists();
        let name = cursor.ident()?;
        let cascade = cursor.cascade();
        return Ok(AlterAction::DropColumn { if_exists, name, cascade });
    }
    if cursor.take(&["RENAME", "CONSTRAINT"]) {
        let from = cursor.ident()?;
        cursor.expect(&["TO"])?;
        return Ok(AlterAction::RenameConstraint(from, cursor.ident()?));
    }
    if cursor.take(&["VALIDATE", "CONSTRAINT"]) {
        return Ok(AlterAction::ValidateConstraint(cursor.ident()?));
    }
    if let Some((_, clause)) = REFUSED.iter().find(|(words, _)| cursor.sees(words)) {
        return parse_refused(cursor, clause);
    }
    if cursor.take(&["ALTER"]) {
        if family::starts_alter(cursor) {
            return family::parse_alter(cursor, "ALTER").map(AlterAction::Family);
        }
        cursor.take(&["COLUMN"]);
        let name = cursor.ident()?;
        let change = parse_column_change(cursor)?;
        return Ok(AlterAction::AlterColumn { name, change });
    }
    parse_storage(cursor)
}

/// Triggers can be enabled and disabled where that means all or none of them: there are none.
fn parse_refused(cursor: &mut Cursor<'_, '_>, clause: &'static str) -> Parsed<AlterAction> {
    for verb in ["ENABLE", "DISABLE"] {
        for which in ["ALL", "USER"] {
            if cursor.take(&[verb, "TRIGGER", which]) {
                return Ok(AlterAction::Ignored("TRIGGER", "there are no triggers"));
            }
        }
    }
    cursor.unsupported(format!("ALTER TABLE … {clause}"))
}

fn parse_add(cursor: &mut Cursor<'_, '_>) -> Parsed<AlterAction> {
    if constraint::starts(cursor) {
        let constraint = constraint::parse(cursor)?;
        if cursor.sees(&["NOT", "VALID"]) {
            return cursor.unsupported("NOT VALID");
        }
        return Ok(AlterAction::AddConstraint(constraint));
    }
    cursor.take(&["COLUMN"]);
    let if_not_exists = cursor.if_not_exists();
    Ok(AlterAction::AddColumn { if_not_exists, column: parse_column(cursor)? })
}

fn parse_storage(cursor: &mut Cursor<'_, '_>) -> Parsed<AlterAction> {
    let laid_out = "storage is laid out otherwise here";
    if cursor.is(0, "SET") && cursor.nth_is_token(1, &Token::LParen) {
        cursor.take(&["SET"]);
        return Ok(AlterAction::SetOptions(cursor.options()?));
    }
    if cursor.take(&["RESET"]) {
        let names = cursor.options()?.into_iter().map(|(name, _)| name);
        return Ok(AlterAction::ResetOptions(names.collect()));
    }
    let clause = if cursor.take(&["SET", "LOGGED"]) || cursor.take(&["SET", "UNLOGGED"]) {
        "SET LOGGED and SET UNLOGGED"
    } else if cursor.take(&["SET", "WITHOUT", "CLUSTER"])
        || cursor.take(&["SET", "WITHOUT", "OIDS"])
    {
        "SET WITHOUT"
    } else if cursor.take(&["CLUSTER", "ON"]) {
        cursor.ident()?;
        "CLUSTER ON"
    } else if cursor.take(&["SET", "TABLESPACE"]) || cursor.take(&["SET", "ACCESS", "METHOD"]) {
        return cursor.unsupported("SET TABLESPACE and SET ACCESS METHOD");
    } else if cursor.take(&["REPLICA", "IDENTITY"]) {
        if cursor.take(&["USING", "INDEX"]) {
            cursor.ident()?;
        } else {
            cursor.one_of(&["DEFAULT", "FULL", "NOTHING"])?;
        }
        "REPLICA IDENTITY"
    } else {
        return cursor.fail("an ALTER TABLE action");
    };
    Ok(AlterAction::Ignored(clause, laid_out))
}

fn parse_column_change(cursor: &mut Cursor<'_, '_>) -> Parsed<ColumnChange> {
    if cursor.take(&["SET", "NOT", "NULL"]) {
        return Ok(ColumnChange::SetNotNull);
    }
    if cursor.take(&["DROP", "NOT", "NULL"]) {
        return Ok(ColumnChange::DropNotNull);
    }
    if cursor.take(&["DROP", "DEFAULT"]) {
        return Ok(ColumnChange::DropDefault);
    }
    if cursor.is(0, "SET") && cursor.is(1, "DEFAULT") {
        cursor.take(&["SET"]);
        return cursor.default().map(ColumnChange::SetDefault);
    }
    if cursor.take(&["DROP", "IDENTITY"]) {
        return Ok(ColumnChange::DropIdentity { if_exists: cursor.if_exists() });
    }
    if cursor.take(&["DROP", "EXPRESSION"]) {
        return cursor.unsupported("DROP EXPRESSION");
    }
    if cursor.take(&["ADD", "GENERATED"]) {
        let (always, options) = parse_add_identity(cursor)?;
        return Ok(ColumnChange::AddIdentity { always, options });
    }
    if cursor.take(&["SET", "DATA", "TYPE"]) || cursor.take(&["TYPE"]) {
        let data_type = cursor.data_type()?;
        if cursor.sees(&["COLLATE"]) {
            return cursor.unsupported("COLLATE of ALTER COLUMN TYPE");
        }
        let using = match cursor.take(&["USING"]) {
            true => Some(cursor.expr()?),
            false => None,
        };
        return Ok(ColumnChange::Type { data_type, using });
    }
    parse_identity_or_storage(cursor)
}

fn parse_identity_or_storage(cursor: &mut Cursor<'_, '_>) -> Parsed<ColumnChange> {
    if cursor.take(&["SET", "STATISTICS"]) {
        cursor.integer()?;
        return Ok(ColumnChange::Ignored("SET STATISTICS"));
    }
    if cursor.take(&["SET", "STORAGE"]) {
        cursor.ident()?;
        return Ok(ColumnChange::Ignored("SET STORAGE"));
    }
    if cursor.take(&["SET", "COMPRESSION"]) {
        cursor.any_ident()?;
        return Ok(ColumnChange::Ignored("SET COMPRESSION"));
    }
    let options = cursor.is(0, "SET") && cursor.nth_is_token(1, &Token::LParen);
    if options || cursor.is(0, "RESET") {
        let _ = cursor.take(&["SET"]) || cursor.take(&["RESET"]);
        cursor.options()?;
        return Ok(ColumnChange::Ignored("options of a column"));
    }
    let (mut always, mut sequence) = (None, Vec::new());
    loop {
        if cursor.take(&["SET", "GENERATED"]) {
            always = Some(parse_identity_kind(cursor)?);
        } else if cursor.take(&["SET"]) || cursor.sees(&["RESTART"]) {
            let before = sequence.len();
            sequence.extend(parse_options(cursor)?);
            if sequence.len() == before {
                return cursor.fail("a sequence option");
            }
        } else if always.is_some() || !sequence.is_empty() {
            return Ok(ColumnChange::SetIdentity { always, options: sequence });
        } else {
            return cursor.fail("an ALTER COLUMN action");
        }
    }
}
