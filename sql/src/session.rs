//! One client's state, and what its statements answer.

pub mod response;
