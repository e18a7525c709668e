//! PostgreSQL's types as a client sees them: OIDs, text and binary forms.
//!
//! | module | what it holds |
//! |---|---|
//! | [`oid`] | OIDs, names, modifiers; PostgreSQL type ↔ column type ↔ Arrow type |
//! | [`style`] | the settings that text forms depend on: zone, date order, `bytea_output`, … |
//! | [`invalid`] | the errors of input functions, in PostgreSQL's words |
//! | [`boolean`], [`integer`], [`float`], [`numeric`], [`string`], [`bytea`], [`uuid`], [`datetime`], [`json`], [`jsonb`], [`array`] | one family each: the text form in and out |
//! | [`space`] | what counts as white space |

pub mod array;
pub mod boolean;
pub mod bytea;
pub mod datetime;
pub mod float;
pub mod integer;
pub mod invalid;
pub mod json;
pub mod jsonb;
pub mod numeric;
pub mod oid;
pub mod space;
pub mod string;
pub mod style;
pub mod uuid;
