//! The master: tables come, go and change; tablets get an owner.
//!
//! | module | what it holds |
//! |---|---|
//! | [`schemas`] | table schemas in the lock service |
//! | [`service`] | [`service::Master`]: assignment at start, and what is asked of the master |
//!
//! The master keeps nothing of its own: the lock service holds schemas and the root, METADATA holds
//! tablets. Everything it does is a sequence of steps each of which may be the last before a crash; the
//! module docs say what a successor finds.

pub mod schemas;
pub mod service;

pub use service::Master;
