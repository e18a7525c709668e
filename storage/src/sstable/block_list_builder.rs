//! One of a file's two lists of blocks while it is written: the block that is open, the index partition that is, and the
//! top index.

use super::block_builder::{BlockBuilder, WrittenBlock};
use super::codec::Compressor;
use super::error::Result;
use super::format::{BlockHead, PageRef, block_flags};
use super::index::{BlockInfo, PartitionBuilder, TopBuilder};
use super::properties::Properties;
use super::schema::FileColumn;
use super::writer::{Cell, RowVersion, WriterOptions};
use terrane_client::ids::CommitTs;

/// See the module's documentation.
pub(crate) struct BlockListBuilder {
    pub(crate) block: BlockBuilder,
    /// The number of its first block.
    first: u32,
    /// Blocks closed, and row versions added.
    pub(crate) blocks: u32,
    pub(crate) rows: u64,
    /// Keys of the open block have versions in the history part.
    pub(crate) notes_history: bool,
    /// [`block_flags::CONTINUES`] where the open block does.
    continues: u16,
    partition: PartitionBuilder,
    top: TopBuilder,
}

/// Where a block comes to lie.
pub(crate) struct Place {
    /// From the file's start.
    pub(crate) offset: u64,
    /// The next row has its last key.
    pub(crate) continued: bool,
}

impl BlockListBuilder {
    pub(crate) fn new(columns: &[FileColumn], first: u32) -> Self {
        Self {
            block: BlockBuilder::new(columns),
            first,
            blocks: 0,
            rows: 0,
            notes_history: false,
            continues: 0,
            partition: PartitionBuilder::default(),
            top: TopBuilder::default(),
        }
    }

    /// True where the row added last has this key.
    pub(crate) fn has_last_key(&self, key: &[u8]) -> bool {
        self.block.rows() > 0 && self.block.first_and_last_key().1 == key
    }

    /// True where the next row, which may repeat the last one's key, belongs to another block.
    pub(crate) fn is_full(&self, repeats: bool, options: &WriterOptions) -> bool {
        let (rows, bytes) = (self.block.rows(), self.block.raw_bytes());
        let full = (bytes >= options.block_bytes && rows >= options.block_rows)
            || bytes >= options.block_bytes_max
            || rows >= options.block_rows_max;
        // The versions of one key are parted only where there are very many.
        full && (!repeats
            || rows >= options.block_rows_max * 2
            || bytes >= options.block_bytes_max * 2)
    }

    /// Adds a row to the open block; `repeats` says that it has the last one's key, also where that was in the block before.
    pub(crate) fn add<'a>(
        &mut self,
        row: &RowVersion<'_>,
        repeats: bool,
        cells: impl Iterator<Item = Cell<'a>>,
    ) -> Result<()> {
        self.rows += 1;
        self.block.add(row, repeats && self.block.rows() > 0, cells)
    }

    /// Writes the open block to `out`, counts what is in it, and starts the next.
    pub(crate) fn close_block(
        &mut self,
        place: Place,
        properties: &mut Properties,
        compressor: &mut Compressor,
        zones: &mut [Vec<u8>],
        out: &mut Vec<u8>,
    ) -> Result<()> {
        let Place { offset, continued } = place;
        let (first, last) = self.block.first_and_last_key();
        let (first, last) = (first.to_vec(), last.to_vec());
        properties.cells += self.block.cells();
        properties.raw_bytes += self.block.raw_bytes() as u64;
        properties.deletes += self.block.deletes();
        let flag = |set: bool, flag: u16| if set { flag } else { 0 };
        let neighbours = self.continues | flag(continued, block_flags::CONTINUED);
        let has_history = flag(std::mem::take(&mut self.notes_history), block_flags::HAS_HISTORY);
        let number = self.first + self.blocks;
        let WrittenBlock { head, stored_len, lead_len } =
            self.block.finish(number, neighbours, has_history, compressor, zones, out)?;
        let info = BlockInfo {
            offset,
            stored_len: stored_len as u32,
            head_len: BlockHead::len(head.pages.len()) as u32,
            lead_len: lead_len as u32,
            rows: head.rows,
            keys: head.keys,
            flags: head.flags,
            min_ts: CommitTs(head.min_ts),
            max_ts: CommitTs(head.max_ts),
        };
        properties.min_commit_ts = properties.min_commit_ts.min(head.min_ts);
        properties.max_commit_ts = properties.max_commit_ts.max(head.max_ts);
        self.partition.push(info, &first, &last);
        self.blocks += 1;
        self.continues = flag(continued, block_flags::CONTINUES);
        Ok(())
    }

    /// Bytes of the open index partition.
    pub(crate) fn partition_bytes(&self) -> usize {
        self.partition.bytes()
    }

    pub(crate) fn has_open_partition(&self) -> bool {
        !self.partition.is_empty()
    }

    /// The open index partition, to be written.
    pub(crate) fn partition_page(&self) -> Vec<u8> {
        self.partition.encode()
    }

    /// Ends the open partition, which was written.
    pub(crate) fn end_partition(&mut self, index: PageRef, filter: PageRef) {
        let (mut entry, first, last) = self.partition.finish();
        (entry.index, entry.filter) = (index, filter);
        self.top.push(entry, &first, &last);
    }

    /// The top index of all partitions that have ended.
    pub(crate) fn top_index(&self) -> Vec<u8> {
        let mut page = Vec::new();
        self.top.encode(&mut page);
        page
    }
}
