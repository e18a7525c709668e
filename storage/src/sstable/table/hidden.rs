//! Whether the versions in a file's history part are hidden by the data part, as it says: part of verifying a file.

use super::Sstable;
use crate::sstable::block::Block;
use crate::sstable::error::Result;
use crate::sstable::format::block_flags;
use crate::sstable::versions::hides_older;
use std::collections::BTreeSet;
use std::sync::Arc;
use terrane_client::ids::CommitTs;

/// The data blocks beside a history part that is read in order.
#[derive(Default)]
pub(super) struct Hiders {
    /// The one with the last key.
    block: Option<Arc<Block>>,
    /// Those that hide something.
    found: BTreeSet<u32>,
}

impl Hiders {
    /// True where the data part has versions of a key, the oldest of which is newer than this and hides it. Past the cache.
    pub(super) fn hide(&mut self, table: &Sstable, key: &[u8], hidden: CommitTs) -> Result<bool> {
        let mut number = table.blocks_in(key, None)?.start;
        while number < table.block_count() {
            let block = self.block(table, number)?;
            let (lead, continued) = (block.rows()?, block.flags() & block_flags::CONTINUED != 0);
            let rows = lead.find(key);
            if !rows.is_empty() && continued && rows.end == lead.len() {
                // Its versions end in the last of the blocks that it goes on in.
                number += 1;
                continue;
            }
            let Some(oldest) = rows.last() else { return Ok(false) };
            self.found.insert(number);
            return Ok(lead.commit_ts(oldest) > hidden && hides_older(lead.flags(oldest)));
        }
        Ok(false)
    }

    fn block(&mut self, table: &Sstable, number: u32) -> Result<Arc<Block>> {
        match &self.block {
            Some(block) if block.number() == number => Ok(block.clone()),
            _ => {
                let info = table.block_info(number)?;
                let block = Block::open(&table.shared.context, number, &info, true, false)?;
                let block = Arc::new(block);
                self.block = Some(block.clone());
                Ok(block)
            }
        }
    }

    /// True where the blocks that hide something are those that say so.
    pub(super) fn are_all_found(&self, table: &Sstable) -> Result<bool> {
        for number in 0..table.block_count() {
            if table.block_info(number)?.has_history() != self.found.contains(&number) {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
