//! PostgreSQL's types as a client sees them: OIDs, text and binary forms.
//!
//! | module | what it holds |
//! |---|---|
//! | [`oid`] | OIDs, names, modifiers; PostgreSQL type ↔ column type ↔ Arrow type |
//! | [`style`] | the settings that text forms depend on: zone, date order, `bytea_output`, … |
//! | [`invalid`] | the errors of input functions, in PostgreSQL's words |
//! | [`boolean`], [`integer`], [`float`], [`numeric`], [`string`], [`bytea`], [`uuid`], [`datetime`], [`json`], [`jsonb`], [`array`] | one family each: the text form in and out |
//! | [`map`] | hstore and `map(k, v)`: the text forms in and out |
//! | [`text`], [`binary`] | all families behind one door: text or bytes ↔ [`terrane_client::value::Value`] |
//! | [`column`] | text or bytes into Arrow builders: COPY's way in |
//! | [`cells`] | cells of Arrow arrays as text or bytes: the way out |
//! | [`scalar`] | values ↔ DataFusion's scalars |
//! | [`space`] | what counts as white space |
//! | [`fuzz`] | entry points for fuzzing |

pub mod array;
pub mod binary;
pub mod boolean;
pub mod bytea;
pub mod cells;
pub mod column;
pub mod datetime;
pub mod float;
pub mod fuzz;
pub mod integer;
pub mod invalid;
pub mod json;
pub mod json_order;
pub mod json_tree;
pub mod jsonb;
pub mod map;
pub mod numeric;
pub mod oid;
pub mod scalar;
pub mod space;
pub mod string;
pub mod style;
pub mod text;
pub mod uuid;
