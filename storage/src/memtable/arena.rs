//! A chunked bump arena: memory that is handed out piece by piece and given back all at once.
//!
//! Contract: a piece is aligned to [`ALIGN_BYTES`], does not move and is not handed out again until the
//! arena is dropped. Taking a piece needs `&mut`: one writer. Whoever hands pieces to other threads
//! keeps the arena alive for as long as they may look at them.
//!
//! Chunks grow with what is used: the first is taken with the first piece, so that an empty memtable
//! owns nothing, and a full one wastes at most half of its last chunk. The system allocator's failure
//! aborts the process, as everywhere in Rust.

#![allow(unsafe_code)]

use std::alloc::{Layout, alloc, dealloc, handle_alloc_error};
use std::ptr::NonNull;

/// Alignment of every piece, and what its size is rounded up to.
pub const ALIGN_BYTES: usize = 8;
/// Smallest chunk: a thousand tablets with a row each then cost 4 MiB.
const CHUNK_BYTES_MIN: usize = 4 << 10;
/// Largest chunk, but for a piece that is larger itself.
const CHUNK_BYTES_MAX: usize = 1 << 20;

/// See the module's doc.
pub struct Arena {
    chunks: Vec<Chunk>,
    /// Start of the last chunk's unused bytes; dangling while there is none.
    free: NonNull<u8>,
    /// How many unused bytes there are.
    free_bytes: usize,
    /// Bytes of all chunks.
    reserved_bytes: usize,
}

struct Chunk {
    start: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the arena owns its chunks, and nothing about them is tied to a thread.
unsafe impl Send for Arena {}

impl Arena {
    /// An arena that owns no memory yet.
    pub fn new() -> Self {
        Self { chunks: Vec::new(), free: NonNull::dangling(), free_bytes: 0, reserved_bytes: 0 }
    }

    /// Bytes taken from the system.
    pub fn reserved_bytes(&self) -> usize {
        self.reserved_bytes
    }

    /// A new piece of `bytes` bytes, uninitialised, aligned to [`ALIGN_BYTES`], valid for reads and
    /// writes until the arena is dropped.
    pub fn alloc(&mut self, bytes: usize) -> NonNull<u8> {
        let bytes = bytes.next_multiple_of(ALIGN_BYTES);
        if bytes > self.free_bytes {
            let chunk_bytes = (self.reserved_bytes / 2).clamp(CHUNK_BYTES_MIN, CHUNK_BYTES_MAX);
            if bytes > chunk_bytes / 4 {
                // A chunk of its own, so that the rest of the current one is not thrown away.
                return self.new_chunk(bytes);
            }
            self.free = self.new_chunk(chunk_bytes);
            self.free_bytes = chunk_bytes;
        }
        let piece = self.free;
        // SAFETY: `bytes <= free_bytes`, so the result is inside the chunk or one past its end.
        self.free = unsafe { self.free.add(bytes) };
        self.free_bytes -= bytes;
        piece
    }

    fn new_chunk(&mut self, bytes: usize) -> NonNull<u8> {
        // Zero bytes must not be asked of the allocator.
        let layout = Layout::from_size_align(bytes.max(ALIGN_BYTES), ALIGN_BYTES)
            .expect("a row and its key are far below the address space");
        // SAFETY: the layout's size is not zero.
        let start = unsafe { alloc(layout) };
        let start = NonNull::new(start).unwrap_or_else(|| handle_alloc_error(layout));
        self.chunks.push(Chunk { start, layout });
        self.reserved_bytes += layout.size();
        start
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for chunk in &self.chunks {
            // SAFETY: allocated by `new_chunk` with this layout, and freed only here.
            unsafe { dealloc(chunk.start.as_ptr(), chunk.layout) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_aligned_and_apart() {
        let mut arena = Arena::new();
        assert_eq!(arena.reserved_bytes(), 0);
        let mut pieces: Vec<(usize, usize)> = Vec::new();
        let sizes = [1, 8, 0, 17, 4000, 5000, 1, 2 << 20, 3];
        for round in 0..40 {
            for size in sizes.iter().filter(|size| **size < 1 << 20 || round == 7) {
                let piece = arena.alloc(*size);
                // SAFETY: `alloc` promises `size` writable bytes; miri checks it here.
                unsafe { piece.as_ptr().write_bytes(round, *size) };
                pieces.push((piece.as_ptr() as usize, *size));
            }
        }
        pieces.sort_unstable();
        for pair in pieces.windows(2) {
            assert!(pair[0].0 + pair[0].1 <= pair[1].0, "pieces overlap");
        }
        assert!(pieces.iter().all(|(start, _)| start % ALIGN_BYTES == 0));
    }

    #[test]
    fn memory_grows_with_use() {
        let mut arena = Arena::new();
        arena.alloc(100);
        assert_eq!(arena.reserved_bytes(), CHUNK_BYTES_MIN);
        let mut used = 100;
        while used < 3 << 20 {
            arena.alloc(120);
            used += 120;
            assert!(arena.reserved_bytes() <= CHUNK_BYTES_MIN + used * 2);
        }
        assert!(arena.reserved_bytes() <= used + CHUNK_BYTES_MAX);
    }
}
