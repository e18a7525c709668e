//! to_char(), to_number(), to_date() and to_timestamp(): values written and read by a picture of them, as
//! PostgreSQL's formatting.c does.
//!
//! | module | what it holds |
//! |---|---|
//! | [`picture`] | a format taken apart: patterns, separators, text |
//! | [`fields`] | the patterns of dates and times |
//! | [`moment`] | to_char() of timestamps and intervals |
//! | [`reading`] | the fields of a text by a picture |
//! | [`assembled`] | to_date(), to_timestamp(): fields put together |
//! | [`shape`] | the patterns of numbers, and what they ask for together |
//! | [`digits`] | numbers as digits, rounded |
//! | [`written`] | to_char() of numbers |
//! | [`numbered`] | to_number() |
//!
//! The locale is C: the decimal point is `.`, groups are parted by `,`, there is no currency symbol, and months
//! and days are English, with TM or without.

mod assembled;
mod digits;
mod fields;
mod moment;
mod numbered;
mod picture;
mod reading;
mod shape;
mod written;

use super::system::function::{Definition, Kind, Overload};
use crate::types::oid;

const TEXT: Kind = Kind::Of(oid::TEXT);
const TIMESTAMPTZ: Kind = Kind::Of(oid::TIMESTAMPTZ);

pub(super) const FUNCTIONS: &[Definition] = &[
    Definition::new(
        "to_char",
        &[
            Overload::new(&[TIMESTAMPTZ, TEXT], oid::TEXT, moment::of_instant),
            Overload::new(&[Kind::Of(oid::TIMESTAMP), TEXT], oid::TEXT, moment::of_timestamp),
            Overload::new(&[Kind::Of(oid::INTERVAL), TEXT], oid::TEXT, moment::of_interval),
            Overload::new(&[Kind::Of(oid::INT4), TEXT], oid::TEXT, written::of_int4),
            Overload::new(&[Kind::Of(oid::INT8), TEXT], oid::TEXT, written::of_int8),
            Overload::new(&[Kind::Of(oid::NUMERIC), TEXT], oid::TEXT, written::of_numeric),
            Overload::new(&[Kind::Of(oid::FLOAT4), TEXT], oid::TEXT, written::of_float4),
            Overload::new(&[Kind::Of(oid::FLOAT8), TEXT], oid::TEXT, written::of_float8),
        ],
    ),
    Definition::new(
        "to_number",
        &[Overload::new(&[TEXT, TEXT], oid::NUMERIC, numbered::to_number)],
    ),
    Definition::new("to_date", &[Overload::new(&[TEXT, TEXT], oid::DATE, assembled::to_date)]),
    Definition::new(
        "to_timestamp",
        &[
            Overload::new(&[Kind::Of(oid::FLOAT8)], oid::TIMESTAMPTZ, assembled::of_epoch),
            Overload::new(&[TEXT, TEXT], oid::TIMESTAMPTZ, assembled::to_timestamp),
        ],
    ),
];
