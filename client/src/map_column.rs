//! Map columns: one row's map is many entries, each stored by itself (architecture.md's "a map column is a whole
//! family whose qualifiers are the map's keys").
//!
//! A map column has a locality group of its own, whose rows are the map's entries: one for each key of each row of
//! the table. An entry lives while its own marker does; its value is the group's one cell, perhaps NULL.
//!
//! ```text
//! entry key := row key, column id u32 big-endian, map key        docs/format-key.md has the map key's bytes
//! ```
//! No row key is a prefix of another's, so the entries of a row are one range, between those of its neighbours,
//! and a tablet has all entries of its rows.
//!
//! | module | what it holds |
//! |---|---|
//! | [`entry_key`] | the keys of entries, and what ranges of rows are as ranges of entries |
//! | [`changes`] | what a mutation of a row does to its entries |
//! | [`parts`] | which entries of a map a read wants |
//!
//! Invariant: entries exist of rows that live, and of no others: whatever deletes a row or puts another in its place
//! clears its maps in the same commit.

pub mod changes;
pub mod entry_key;
pub mod parts;

pub use changes::{Clear, EntryChange, MapChange, MapChanges};
pub use parts::{MapPart, MapParts};
