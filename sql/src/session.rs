//! One client's state, what its statements answer, and the contract between session and wire.
//!
//! | module | what it holds |
//! |---|---|
//! | [`service`] | [`service::SessionService`] and [`service::Session`]: what the wire asks of a session |
//! | [`response`] | what a statement answers |
//! | [`format`] | text or binary, per parameter and per column |
//! | [`server`] | what all sessions of one frontend share |
//! | [`client`] | a session: its state and the order of things |
//! | `messages` | what it answers to each message of its client |
//! | `statement` | which module runs a statement: `select`, `modify`, `ddl`, `copy`, `control`, `setting`, `command` |
//! | `cursors`, `explain`, `row_locks` | DECLARE and FETCH, EXPLAIN, FOR UPDATE |
//! | [`block`], `transaction` | the transaction block, and how it begins and ends |
//! | `races` | turns for statements that lost a row and run again |
//! | `altered` | row programs of a block that altered their tables since |
//! | `parameter` | parameters' values from their bytes |
//! | [`prepared`], `plans` | prepared statements and portals; prepared statements shared by text |
//! | [`point`] | the fast road of statements about rows named by their keys |
//! | `maintenance` | VACUUM, ANALYZE, CHECKPOINT |
//! | `cached_query` | a prepared query's plan, kept between executions |
//! | [`settings`] | SET, SHOW, RESET |
//! | [`info`] | what functions know of the session they run in |
//! | [`services`] | what functions may do for their session |
//! | [`advisory`] | advisory locks |
//! | [`cancel`] | the token that ends a statement |
//! | [`backends`] | the connections of this server, for cancel requests and pg_stat_activity |

pub mod advisory;
mod altered;
pub mod backends;
pub mod block;
mod cached_query;
pub mod cancel;
pub mod client;
mod command;
mod control;
mod copy;
mod cursors;
mod ddl;
mod explain;
pub mod format;
pub mod info;
mod maintenance;
mod messages;
pub(crate) mod modify;
mod names;
mod parameter;
mod plans;
mod point;
pub mod prepared;
mod races;
pub mod response;
mod row_locks;
mod select;
pub mod server;
pub mod service;
pub mod services;
mod setting;
pub mod settings;
mod statement;
mod transaction;
