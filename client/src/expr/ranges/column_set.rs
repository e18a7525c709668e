//! The encoded values of one key column that an expression allows.

use crate::expr::{BinaryOp, Expr, binary_result};
use crate::ids::ColumnId;
use crate::key::{KeyWriter, successor};
use crate::schema::TableSchema;
use crate::types::DataType;
use crate::value::Value;
use bytes::Bytes;

/// An interval of one column's encodings; all keys whose column's bytes are in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    /// First inside.
    pub(super) start: Bytes,
    /// First outside; `None` is unbounded.
    pub(super) end: Option<Bytes>,
    /// True where `start` is one value's encoding, and the only one inside.
    point: bool,
}

impl Span {
    fn all() -> Self {
        Self { start: Bytes::new(), end: None, point: false }
    }

    fn is_empty(&self) -> bool {
        self.end.as_ref().is_some_and(|end| *end <= self.start)
    }

    fn intersect(&self, other: &Span) -> Span {
        let end = match (&self.end, &other.end) {
            (Some(a), Some(b)) => Some(a.min(b).clone()),
            (a, b) => a.as_ref().or(b.as_ref()).cloned(),
        };
        let start = self.start.clone().max(other.start.clone());
        Span { start, end, point: self.point || other.point }
    }
}

/// Disjoint spans, ascending, none empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ColumnSet {
    spans: Vec<Span>,
}

impl ColumnSet {
    fn of(mut spans: Vec<Span>) -> Self {
        spans.retain(|span| !span.is_empty());
        spans.sort_by(|a, b| a.start.cmp(&b.start));
        let mut disjoint: Vec<Span> = Vec::with_capacity(spans.len());
        for span in spans {
            match disjoint.last_mut() {
                Some(last) if last.end.as_ref().is_none_or(|end| *end > span.start) => {
                    last.point &= span.point && last.start == span.start;
                    last.end = match (last.end.take(), span.end) {
                        (Some(a), Some(b)) => Some(a.max(b)),
                        _ => None,
                    };
                }
                _ => disjoint.push(span),
            }
        }
        Self { spans: disjoint }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.spans.len()
    }

    pub(super) fn spans(&self) -> &[Span] {
        &self.spans
    }

    /// The encodings, where there are finitely many.
    pub(super) fn points(&self) -> Option<Vec<Bytes>> {
        self.spans.iter().map(|span| span.point.then(|| span.start.clone())).collect()
    }

    /// One interval around all.
    pub(super) fn hull(&self) -> ColumnSet {
        let (Some(first), Some(last)) = (self.spans.first(), self.spans.last()) else {
            return self.clone();
        };
        let point = self.spans.len() == 1 && first.point;
        let hull = Span { start: first.start.clone(), end: last.end.clone(), point };
        Self { spans: vec![hull] }
    }

    pub(super) fn intersect(&self, other: &ColumnSet) -> ColumnSet {
        let (mut i, mut j) = (0, 0);
        let mut both = Vec::new();
        while let (Some(a), Some(b)) = (self.spans.get(i), other.spans.get(j)) {
            both.push(a.intersect(b));
            let a_ends_first = match (&a.end, &b.end) {
                (Some(a), Some(b)) => a <= b,
                (a, _) => a.is_some(),
            };
            if a_ends_first {
                i += 1;
            } else {
                j += 1;
            }
        }
        Self::of(both)
    }
}

/// A key column as a predicate meets it.
struct KeyPart<'a> {
    position: usize,
    data_type: &'a DataType,
    descending: bool,
}

/// The key column that `expr` is about, and the values for which it can be true; `None` where it is not
/// about one key column alone, or cannot be said in encoded values.
pub(super) fn column_set(schema: &TableSchema, expr: &Expr) -> Option<(usize, ColumnSet)> {
    match expr {
        Expr::Binary { op, left, right, .. } => {
            same_types(left, right)?;
            let (part, op, value) = match (part_of(schema, left), part_of(schema, right)) {
                (Some(part), _) => (part, *op, literal(right)?),
                (_, Some(part)) => (part, op.mirrored(), literal(left)?),
                _ => return None,
            };
            Some((part.position, part.compared(op, value)?))
        }
        Expr::InList(e, list) => {
            let part = part_of(schema, e)?;
            let mut spans = Vec::with_capacity(list.len());
            for candidate in list {
                same_types(e, candidate)?;
                spans.extend(part.compared(BinaryOp::Eq, literal(candidate)?)?.spans);
            }
            Some((part.position, ColumnSet::of(spans)))
        }
        Expr::Column(..) => {
            let part = part_of(schema, expr)?;
            Some((part.position, part.compared(BinaryOp::Eq, &Value::Bool(true))?))
        }
        Expr::Not(e) if matches!(**e, Expr::Column(..)) => {
            let part = part_of(schema, e)?;
            Some((part.position, part.compared(BinaryOp::Eq, &Value::Bool(false))?))
        }
        // A key column is never NULL.
        Expr::IsNull(e) => Some((part_of(schema, e)?.position, ColumnSet::of(Vec::new()))),
        Expr::Or(sides) => {
            let mut sets = sides.iter().map(|side| column_set(schema, side));
            let (position, first) = sets.next()??;
            let mut spans = first.spans;
            for set in sets {
                let (other, set) = set?;
                if other != position {
                    return None;
                }
                spans.extend(set.spans);
            }
            Some((position, ColumnSet::of(spans)))
        }
        _ => None,
    }
}

/// `None` where the language does not compare the two: how it would then compare values is not said.
fn same_types(left: &Expr, right: &Expr) -> Option<DataType> {
    binary_result(BinaryOp::Eq, left.data_type(), right.data_type())
}

fn literal(expr: &Expr) -> Option<&Value> {
    match expr {
        Expr::Literal(value, _) => Some(value),
        _ => None,
    }
}

/// The key column that `expr` is: plainly, or an integer one widened to meet a wider operand.
fn part_of<'a>(schema: &'a TableSchema, expr: &Expr) -> Option<KeyPart<'a>> {
    let id: ColumnId = match expr {
        Expr::Column(id, _) => *id,
        Expr::Cast(e, to) => match &**e {
            Expr::Column(id, from) if integer_width(from)? <= integer_width(to)? => *id,
            _ => return None,
        },
        _ => return None,
    };
    let position = schema.key_position(id)?;
    let data_type = &schema.column(id)?.data_type;
    Some(KeyPart { position, data_type, descending: schema.key[position].descending })
}

fn integer_width(data_type: &DataType) -> Option<usize> {
    match data_type {
        DataType::Int2 => Some(2),
        DataType::Int4 => Some(4),
        DataType::Int8 => Some(8),
        _ => None,
    }
}

/// A literal in the column's own type.
enum Fitted {
    Value(Value),
    /// Below every value of the column.
    Below,
    /// Above every value of the column.
    Above,
}

impl KeyPart<'_> {
    /// The values for which `column op value` is true.
    fn compared(&self, op: BinaryOp, value: &Value) -> Option<ColumnSet> {
        use BinaryOp::*;
        if value.is_null() {
            // NULL is distinct from every key; any other comparison with it is never true.
            return match op {
                DistinctFrom => None,
                _ if op.is_comparison() => Some(ColumnSet::of(Vec::new())),
                _ => None,
            };
        }
        let point = match self.fit(value)? {
            Fitted::Value(value) => self.encode(&value)?,
            beyond => {
                let below = matches!(beyond, Fitted::Below);
                let everything = match op {
                    Eq | NotDistinctFrom => false,
                    NotEq | DistinctFrom => true,
                    Gt | GtEq => below,
                    Lt | LtEq => !below,
                    _ => return None,
                };
                let spans = if everything { vec![Span::all()] } else { Vec::new() };
                return Some(ColumnSet::of(spans));
            }
        };
        // In a DESC column greater values have smaller encodings.
        let op = if self.descending { op.mirrored() } else { op };
        let after = successor(&point);
        let below = |end: Bytes| Span { start: Bytes::new(), end: Some(end), point: false };
        // Where the value's bytes have no successor, nothing is above it.
        let above = after.clone().map(|start| Span { start, end: None, point: false });
        let spans = match op {
            Eq | NotDistinctFrom => vec![Span { start: point, end: after, point: true }],
            NotEq | DistinctFrom => above.into_iter().chain([below(point)]).collect(),
            Lt => vec![below(point)],
            LtEq => vec![Span { start: Bytes::new(), end: after, point: false }],
            Gt => above.into_iter().collect(),
            GtEq => vec![Span { start: point, end: None, point: false }],
            _ => return None,
        };
        Some(ColumnSet::of(spans))
    }

    fn fit(&self, value: &Value) -> Option<Fitted> {
        let wide = match value {
            Value::Int2(v) => i64::from(*v),
            Value::Int4(v) => i64::from(*v),
            Value::Int8(v) => *v,
            other => return Some(Fitted::Value(other.clone())),
        };
        let fitted = match self.data_type {
            DataType::Int2 => i16::try_from(wide).map(Value::Int2),
            DataType::Int4 => i32::try_from(wide).map(Value::Int4),
            DataType::Int8 => Ok(Value::Int8(wide)),
            _ => return None,
        };
        Some(match fitted {
            Ok(value) => Fitted::Value(value),
            Err(_) if wide < 0 => Fitted::Below,
            Err(_) => Fitted::Above,
        })
    }

    /// `None` where the value has no encoding at the column's type: more digits, or another type.
    fn encode(&self, value: &Value) -> Option<Bytes> {
        let mut writer = KeyWriter::default();
        writer.push(value, self.data_type, self.descending).ok()?;
        writer.finish().ok()
    }
}
