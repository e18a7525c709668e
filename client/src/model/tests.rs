#![allow(clippy::unwrap_used)]

mod fixture;
mod modify;
mod read;
mod tablets;
