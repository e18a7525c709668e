#![allow(clippy::unwrap_used)]

mod modify;
mod read;
mod tablets;
