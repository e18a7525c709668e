//! Prepared statements by their text: who prepares the same text again, in any session, neither parses nor
//! plans it again.
//!
//! An entry is good for the catalog and the settings it was made from ([`Basis`]); what is found stale is
//! dropped. Statements over temporary tables or staged DDL are not kept.

use super::point::Basis;
use super::prepared::Prepared;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::sync::Arc;

/// Statements kept at most.
const STATEMENTS_MAX: usize = 1024;
/// Longer texts are not kept.
const TEXT_BYTES_MAX: usize = 16 << 10;

type Key = (String, Vec<u32>);

/// See the module's documentation.
#[derive(Default)]
pub struct PlanCache {
    statements: Mutex<HashMap<Key, (Basis, Arc<Prepared>)>>,
}

impl PlanCache {
    /// The statement of this text and these parameter types, if it was made from the same basis.
    pub fn get(&self, sql: &str, types: &[u32], basis: &Basis) -> Option<Arc<Prepared>> {
        let key = (sql.to_owned(), types.to_owned());
        let mut statements = self.statements.lock();
        let (known, prepared) = statements.get(&key)?;
        if known.is_same(basis) {
            return Some(Arc::clone(prepared));
        }
        statements.remove(&key);
        None
    }

    /// Keeps a statement.
    pub fn put(&self, sql: &str, types: &[u32], basis: Basis, prepared: &Arc<Prepared>) {
        if sql.len() > TEXT_BYTES_MAX {
            return;
        }
        let mut statements = self.statements.lock();
        if statements.len() >= STATEMENTS_MAX {
            statements.retain(|_, (known, _)| known.is_same(&basis));
        }
        if statements.len() >= STATEMENTS_MAX {
            statements.clear();
        }
        let key = (sql.to_owned(), types.to_owned());
        statements.insert(key, (basis, Arc::clone(prepared)));
    }
}
