//! Constants as PostgreSQL shows them, and the casts its operators imply.

use crate::catalog::quote::quote_literal;
use crate::session::response::WireType;
use crate::types::oid;
use crate::types::style::TextStyle;
use crate::types::text::{self, InputContext};

/// What has been printed so far of an expression.
#[derive(Clone, Debug)]
pub(super) struct Printed {
    pub text: String,
    /// Its type, as far as it can be told.
    pub wire_type: Option<WireType>,
    /// A literal in quotes that has no type yet: its text.
    pub untyped: Option<String>,
    pub node: Node,
}

/// What kind of node an expression is: decides where the pretty form needs parentheses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Node {
    /// Columns, constants, functions, casts, CASE, arrays: never in parentheses.
    Simple,
    /// A binary or unary operator: one of `+ - * / %`, or another.
    Operator(Option<char>),
    /// IS NULL, IS TRUE, IS DISTINCT FROM, and subqueries.
    Test,
    /// AND.
    And,
    /// OR.
    Or,
    /// NOT.
    Not,
    /// `= ANY (ARRAY[…])`.
    Any,
}

impl Printed {
    pub fn simple(text: impl Into<String>, type_oid: Option<u32>) -> Self {
        Self {
            text: text.into(),
            wire_type: type_oid.map(|type_oid| oid::wire(type_oid, -1)),
            untyped: None,
            node: Node::Simple,
        }
    }

    pub fn type_oid(&self) -> Option<u32> {
        self.wire_type.map(|wire_type| wire_type.oid)
    }

    pub fn untyped(literal: &str) -> Self {
        Self {
            text: quote_literal(literal),
            wire_type: None,
            untyped: Some(literal.to_owned()),
            node: Node::Simple,
        }
    }
}

/// A constant of a type, its text normalised: `'2020-01-01'::date`, `5`, `true`.
pub(super) fn constant(literal: &str, wire_type: WireType) -> Printed {
    let style = TextStyle::default();
    let input = InputContext { style: &style, now_micros: 0 };
    // What depends on the clock (`now`, `today`) or the zone is shown as it was written.
    let fixed = !matches!(wire_type.oid, oid::TIMESTAMPTZ)
        && literal.chars().any(|c| c.is_ascii_digit() || matches!(c, '{' | '[' | '"'))
        || matches!(wire_type.oid, oid::BOOL);
    let normal = oid::data_type(wire_type.oid, -1)
        .filter(|_| fixed)
        .and_then(|t| text::parse(literal, &t, input).ok().map(|v| text::to_string(&v, &t, &style)))
        .unwrap_or_else(|| literal.to_owned());
    let name = oid::format_type(wire_type.oid, Some(wire_type.modifier));
    let shown = match wire_type.oid {
        oid::BOOL => if normal == "t" { "true" } else { "false" }.to_owned(),
        oid::INT4 if !normal.starts_with('-') => normal,
        oid::NUMERIC if normal.contains('.') && !normal.starts_with('-') => normal,
        // A constant's own type never has a length.
        oid::BPCHAR => format!("{}::bpchar", quote_literal(&normal)),
        oid::VARCHAR => format!("{}::character varying", quote_literal(&normal)),
        _ => format!("{}::{name}", quote_literal(&normal)),
    };
    Printed { wire_type: Some(wire_type), ..Printed::simple(shown, None) }
}

/// A number as it is written.
pub(super) fn number(digits: &str) -> Printed {
    if digits.parse::<i32>().is_ok() {
        return Printed::simple(digits, Some(oid::INT4));
    }
    if digits.parse::<i64>().is_ok() {
        return Printed::simple(format!("'{digits}'::bigint"), Some(oid::INT8));
    }
    match digits.contains(['.', 'e', 'E']) {
        true => Printed::simple(digits, Some(oid::NUMERIC)),
        false => Printed::simple(format!("'{digits}'::numeric"), Some(oid::NUMERIC)),
    }
}

/// A negative number: PostgreSQL keeps it as one constant.
pub(super) fn negative(digits: &str) -> Printed {
    let positive = number(digits);
    let name = positive.wire_type.map_or("integer", |wire_type| match wire_type.oid {
        oid::INT4 => "integer",
        oid::INT8 => "bigint",
        _ => "numeric",
    });
    Printed { text: format!("'-{digits}'::{name}"), ..positive }
}

/// `value::type`, with the parentheses of the plain form.
pub(super) fn cast(value: Printed, to: WireType, pretty: bool) -> Printed {
    let name = oid::format_type(to.oid, Some(to.modifier));
    let text = match pretty {
        false => format!("({})::{name}", value.text),
        true if value.node == Node::Simple => format!("{}::{name}", value.text),
        true => format!("({})::{name}", value.text),
    };
    Printed { text, wire_type: Some(to), untyped: None, node: Node::Simple }
}

/// An expression where a value of a type is wanted: a literal becomes a constant of it, text of another
/// kind and numbers are cast.
pub(super) fn to_type(value: Printed, to: WireType, pretty: bool) -> Printed {
    if let Some(literal) = &value.untyped {
        return constant(literal, to);
    }
    match value.type_oid() {
        Some(from) if from != to.oid && is_implicit(from, to.oid) => cast(value, to, pretty),
        _ => value,
    }
}

/// A literal nothing gives a type to is text.
pub(super) fn settled(value: Printed) -> Printed {
    match &value.untyped {
        Some(literal) => constant(literal, oid::wire(oid::TEXT, -1)),
        None => value,
    }
}

fn rank(type_oid: u32) -> Option<u8> {
    match type_oid {
        oid::INT2 => Some(1),
        oid::INT4 => Some(2),
        oid::INT8 => Some(3),
        oid::NUMERIC => Some(4),
        oid::FLOAT4 => Some(5),
        oid::FLOAT8 => Some(6),
        _ => None,
    }
}

fn is_implicit(from: u32, to: u32) -> bool {
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) => from < to,
        _ => {
            let text = |t| matches!(t, oid::VARCHAR | oid::BPCHAR | oid::NAME);
            (text(from) && to == oid::TEXT)
                || (from == oid::DATE && matches!(to, oid::TIMESTAMP | oid::TIMESTAMPTZ))
        }
    }
}

/// True for the operators there is one of for each pair of integer types.
fn has_mixed_integers(operator: &str) -> bool {
    matches!(operator, "+" | "-" | "*" | "/" | "=" | "<>" | "<" | ">" | "<=" | ">=")
}

/// The two operands of a binary operator, brought to the types it takes.
pub(super) fn operands(
    left: Printed,
    right: Printed,
    operator: &str,
    pretty: bool,
) -> (Printed, Printed) {
    let text = oid::wire(oid::TEXT, -1);
    let as_text = |value: Printed| match value.type_oid() {
        Some(oid::VARCHAR) => cast(value, text, pretty),
        _ => value,
    };
    match (left.untyped.is_some(), right.untyped.is_some()) {
        (true, true) => (settled(left), settled(right)),
        (false, true) => {
            let to = partner(left.wire_type, operator);
            (as_text(left), to_type(right, to, pretty))
        }
        (true, false) => {
            let to = partner(right.wire_type, operator);
            (to_type(left, to, pretty), as_text(right))
        }
        (false, false) => both(as_text(left), as_text(right), operator, pretty),
    }
}

/// The type a literal beside a value of this type gets.
fn partner(other: Option<WireType>, operator: &str) -> WireType {
    let type_oid = match (other.map(|t| t.oid), operator) {
        (Some(oid::VARCHAR) | None, _) => oid::TEXT,
        (Some(oid::JSON | oid::JSONB), "->" | "->>" | "?") => oid::TEXT,
        (Some(oid::BPCHAR), "~~" | "!~~" | "~~*" | "!~~*" | "~" | "!~" | "~*" | "!~*") => oid::TEXT,
        (Some(type_oid), _) => type_oid,
    };
    oid::wire(type_oid, -1)
}

fn both(left: Printed, right: Printed, operator: &str, pretty: bool) -> (Printed, Printed) {
    let (Some(a), Some(b)) = (left.type_oid(), right.type_oid()) else { return (left, right) };
    let (Some(low), Some(high)) = (rank(a), rank(b)) else { return (left, right) };
    if a == b || (low <= 3 && high <= 3 && has_mixed_integers(operator)) {
        return (left, right);
    }
    let wider = match (a, b) {
        // real with anything but a double goes by double.
        (oid::FLOAT4, other) | (other, oid::FLOAT4) if other != oid::FLOAT4 => oid::FLOAT8,
        _ if low > high => a,
        _ => b,
    };
    let to = oid::wire(wider, -1);
    (to_type(left, to, pretty), to_type(right, to, pretty))
}

/// The type of a binary operator's result.
pub(super) fn result(left: &Printed, right: &Printed, operator: &str) -> Option<u32> {
    match operator {
        "=" | "<>" | "<" | ">" | "<=" | ">=" | "~" | "!~" | "~*" | "!~*" | "~~" | "!~~" | "~~*"
        | "!~~*" | "?" | "@>" | "<@" | "&&" => Some(oid::BOOL),
        "->>" | "#>>" => Some(oid::TEXT),
        "->" | "#>" => left.type_oid(),
        "||" => match (left.type_oid(), right.type_oid()) {
            (Some(a), Some(b)) if a == b => Some(a),
            _ => Some(oid::TEXT),
        },
        "+" | "-" | "*" | "/" | "%" => arithmetic(left.type_oid()?, right.type_oid()?, operator),
        _ => None,
    }
}

fn arithmetic(a: u32, b: u32, operator: &str) -> Option<u32> {
    if let (Some(low), Some(high)) = (rank(a), rank(b)) {
        return Some(if low > high { a } else { b });
    }
    match (a, b) {
        (oid::DATE, oid::DATE) if operator == "-" => Some(oid::INT4),
        (oid::DATE, oid::INT4) => Some(oid::DATE),
        (oid::DATE, oid::INTERVAL) => Some(oid::TIMESTAMP),
        (oid::TIMESTAMP | oid::TIMESTAMPTZ | oid::TIME, oid::INTERVAL) => Some(a),
        (oid::TIMESTAMP | oid::TIMESTAMPTZ, other) if a == other => Some(oid::INTERVAL),
        (oid::INTERVAL, _) => Some(oid::INTERVAL),
        _ => None,
    }
}

/// The type several alternatives have in common: of CASE, COALESCE, GREATEST, IN.
pub(super) fn common(values: &[Printed]) -> Option<WireType> {
    let known: Vec<_> = values.iter().filter_map(|value| value.wire_type).collect();
    let first = *known.first()?;
    let widest = known.iter().copied().reduce(|a, b| match (rank(a.oid), rank(b.oid)) {
        (Some(low), Some(high)) if low < high => b,
        (None, None) if b.oid == oid::TEXT => b,
        _ => a,
    });
    Some(oid::wire(widest.unwrap_or(first).oid, -1))
}
