//! The open file behind a table and its blocks.

use super::error::{Malformed, Result, SstableError};
use super::format::{self, PageRef};
use super::read_counts;
use super::schema::FileColumn;
use crate::cache::{BlockCache, Residence};
use bytes::Bytes;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use terrane_client::ids::ColumnId;
use terrane_env::files::File;

/// What blocks need of their file.
#[derive(Debug)]
pub(crate) struct FileContext {
    pub(crate) file: Arc<dyn File>,
    pub(crate) len: u64,
    /// The cache's name for the file.
    pub(crate) number: u64,
    pub(crate) columns: Vec<FileColumn>,
    /// Weak: the cache holds blocks, which hold this.
    pub(crate) cache: Weak<BlockCache>,
    /// Its locality group is `in_memory`.
    pub(crate) is_in_memory: AtomicBool,
}

impl FileContext {
    pub(crate) fn name(&self) -> String {
        self.file.path().display().to_string()
    }

    /// Whose budget its parts count against.
    pub(crate) fn residence(&self) -> Residence {
        match self.is_in_memory.load(Ordering::Relaxed) {
            true => Residence::InMemory,
            false => Residence::Shared,
        }
    }

    pub(crate) fn cache(&self) -> Option<Arc<BlockCache>> {
        self.cache.upgrade()
    }

    pub(crate) fn column(&self, id: ColumnId) -> Option<&FileColumn> {
        let found = self.columns.binary_search_by_key(&id, |column| column.id);
        found.ok().map(|index| &self.columns[index])
    }

    pub(crate) fn corruption(&self, offset: u64, malformed: Malformed) -> SstableError {
        SstableError::Corruption { file: self.name(), offset, what: malformed.0.to_owned() }
    }

    /// Reads bytes. What lies beyond the file's end is corruption of whatever said it is there.
    pub(crate) fn read(&self, offset: u64, len: usize) -> Result<Bytes> {
        let end = offset.checked_add(len as u64);
        if end.is_none_or(|end| end > self.len) {
            return Err(self.corruption(offset, Malformed("reference beyond the end of the file")));
        }
        read_counts::note_file_bytes(len as u64);
        let mut bytes = vec![0; len];
        self.file.read_exact_at(&mut bytes, offset).map_err(|error| {
            match error.is_unexpected_eof() {
                true => self.corruption(offset, Malformed("file ends too early")),
                false => error.into(),
            }
        })?;
        Ok(bytes.into())
    }

    /// Reads and checks a section, and parses it.
    pub(crate) fn section<T>(
        &self,
        reference: &PageRef,
        parse: impl FnOnce(Bytes) -> Result<T, Malformed>,
    ) -> Result<T> {
        let stored = self.read(reference.offset, reference.stored_len as usize)?;
        format::open_page(reference, stored)
            .and_then(parse)
            .map_err(|malformed| self.corruption(reference.offset, malformed))
    }
}
