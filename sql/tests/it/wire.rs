//! The connection loop in front of a scripted session: no SQL, only the protocol.

mod cancel;
mod clients;
mod copy;
mod extended;
mod fake;
mod hostile;
mod login;
mod script;
mod simple;
