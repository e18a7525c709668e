//! PostgreSQL's types as a client sees them: OIDs, text and binary forms.
//!
//! | module | what it holds |
//! |---|---|
//! | [`style`] | the settings that text forms depend on: zone, date order, `bytea_output`, … |

pub mod style;
