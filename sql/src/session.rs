//! One client's state, what its statements answer, and the contract between session and wire.
//!
//! | module | what it holds |
//! |---|---|
//! | [`service`] | [`service::SessionService`] and [`service::Session`]: what the wire asks of a session |
//! | [`response`] | what a statement answers |
//! | [`format`] | text or binary, per parameter and per column |
//! | [`cancel`] | the token that ends a statement |
//! | [`backends`] | the connections of this server, for cancel requests and pg_stat_activity |

pub mod backends;
pub mod cancel;
pub mod format;
pub mod response;
pub mod service;
