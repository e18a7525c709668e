//! Which of a function's variants a call with unknown arguments means: PostgreSQL's rules of resolution (chapter
//! 10.3 of its manual), as far as they decide about parameters.

use crate::catalog::system::procs::{self, Proc};
use crate::types::oid;

/// The types that unknown arguments have; `None` where the rules leave it open. `given` are the known ones.
pub(super) fn unknown_arguments(name: &str, given: &[Option<u32>]) -> Vec<Option<u32>> {
    let none = vec![None; given.len()];
    let mut variants: Vec<&Proc> =
        procs::named(name).filter(|variant| takes(variant, given)).collect();
    keep_best(&mut variants, |variant| exact(variant, given));
    for at in (0..given.len()).filter(|at| given[*at].is_none()) {
        narrow(&mut variants, at);
    }
    let Some(first) = variants.first() else { return none };
    let agreed = |at: usize| {
        let wanted = first.arguments[at];
        let all = variants.iter().all(|variant| variant.arguments[at] == wanted);
        (all && oid::data_type(wanted, -1).is_some()).then_some(wanted)
    };
    (0..given.len()).map(|at| given[at].map_or_else(|| agreed(at), |_| None)).collect()
}

fn takes(variant: &Proc, given: &[Option<u32>]) -> bool {
    variant.arguments.len() == given.len()
        && !variant.modes.contains(&'v')
        && variant.arguments.iter().zip(given).all(|(wanted, given)| match given {
            None => true,
            Some(given) => given == wanted || is_any(*wanted) || is_implicit(*given, *wanted),
        })
}

fn exact(variant: &Proc, given: &[Option<u32>]) -> usize {
    let pairs = variant.arguments.iter().zip(given);
    pairs.filter(|(wanted, given)| **given == Some(**wanted)).count()
}

fn keep_best(variants: &mut Vec<&Proc>, rank: impl Fn(&Proc) -> usize) {
    let best = variants.iter().map(|variant| rank(variant)).max();
    variants.retain(|variant| Some(rank(variant)) == best);
}

/// An unknown argument is a string where a variant takes one, else of the only category there is; of a category the
/// preferred type comes first.
fn narrow(variants: &mut Vec<&Proc>, at: usize) {
    let categories: Vec<char> = variants.iter().map(|v| category(v.arguments[at])).collect();
    let chosen = match categories.first() {
        _ if categories.contains(&'S') => 'S',
        Some(first) if categories.iter().all(|category| category == first) => *first,
        _ => return,
    };
    variants.retain(|variant| category(variant.arguments[at]) == chosen);
    if variants.iter().any(|variant| is_preferred(variant.arguments[at])) {
        variants.retain(|variant| is_preferred(variant.arguments[at]));
    }
}

fn category(type_oid: u32) -> char {
    match oid::base(type_oid) {
        Some(base) => base.category,
        None if oid::element_of(type_oid).is_some() => 'A',
        None => 'U',
    }
}

fn is_preferred(type_oid: u32) -> bool {
    matches!(type_oid, oid::FLOAT8 | oid::TEXT | oid::BOOL | oid::TIMESTAMPTZ | oid::INTERVAL)
}

/// A polymorphic type.
fn is_any(type_oid: u32) -> bool {
    category(type_oid) == 'P'
}

fn is_implicit(from: u32, to: u32) -> bool {
    const NUMBERS: [u32; 6] =
        [oid::INT2, oid::INT4, oid::INT8, oid::NUMERIC, oid::FLOAT4, oid::FLOAT8];
    let rank = |wanted: u32| NUMBERS.iter().position(|number| *number == wanted);
    match (rank(from), rank(to)) {
        (Some(from), Some(to)) => from < to,
        _ => matches!(
            (from, to),
            (oid::DATE, oid::TIMESTAMP | oid::TIMESTAMPTZ)
                | (oid::TIMESTAMP, oid::TIMESTAMPTZ)
                | (oid::VARCHAR | oid::BPCHAR | oid::NAME, oid::TEXT)
                | (oid::TIME, oid::INTERVAL)
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As PostgreSQL 15 describes such statements.
    #[test]
    fn variants_are_found() {
        for (name, given, wanted) in [
            ("abs", vec![None], vec![Some(oid::FLOAT8)]),
            ("round", vec![None, None], vec![Some(oid::NUMERIC), Some(oid::INT4)]),
            ("upper", vec![None], vec![Some(oid::TEXT)]),
            ("substr", vec![None, None], vec![Some(oid::TEXT), Some(oid::INT4)]),
            ("age", vec![None, Some(oid::TIMESTAMPTZ)], vec![Some(oid::TIMESTAMPTZ), None]),
            ("generate_series", vec![Some(oid::INT4), None], vec![None, Some(oid::INT4)]),
            ("lag", vec![Some(oid::TEXT), None], vec![None, Some(oid::INT4)]),
            ("nosuch", vec![None], vec![None]),
        ] {
            assert_eq!(unknown_arguments(name, &given), wanted, "{name}");
        }
    }
}
