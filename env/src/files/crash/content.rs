//! A file's bytes as shared pages: copying a file costs one reference per page.

use std::sync::{Arc, LazyLock};

/// Size of a page; also the unit in which disk space is counted.
pub(super) const PAGE_BYTES: usize = 4096;

type Page = Arc<[u8; PAGE_BYTES]>;

/// All allocated but unwritten pages are this one.
static ZERO_PAGE: LazyLock<Page> = LazyLock::new(|| Arc::new([0; PAGE_BYTES]));

/// Bytes of a file. Copy-on-write: clones share pages until one of them writes.
#[derive(Clone, Debug, Default)]
pub(super) struct Content {
    /// `None` is a hole: reads as zeros, owns no space.
    pages: Vec<Option<Page>>,
    len: u64,
}

fn index(offset: u64) -> usize {
    usize::try_from(offset / PAGE_BYTES as u64).expect("test files fit the address space")
}

impl Content {
    pub(super) fn len(&self) -> u64 {
        self.len
    }

    /// Pages that own space.
    pub(super) fn allocated_pages(&self) -> u64 {
        self.pages.iter().flatten().count() as u64
    }

    /// Pages a write of `[offset, offset + len)` would newly take.
    pub(super) fn missing_pages(&self, offset: u64, len: u64) -> u64 {
        if len == 0 {
            return 0;
        }
        let range = index(offset)..=index(offset + len - 1);
        range.filter(|page| !matches!(self.pages.get(*page), Some(Some(_)))).count() as u64
    }

    pub(super) fn read(&self, buffer: &mut [u8], offset: u64) -> usize {
        let len = (buffer.len() as u64).min(self.len.saturating_sub(offset));
        let len = usize::try_from(len).expect("bounded by the buffer");
        let mut done = 0;
        while done < len {
            let at = offset + done as u64;
            let within = (at % PAGE_BYTES as u64) as usize;
            let take = (PAGE_BYTES - within).min(len - done);
            let target = &mut buffer[done..done + take];
            match self.pages.get(index(at)) {
                Some(Some(page)) => target.copy_from_slice(&page[within..within + take]),
                _ => target.fill(0),
            }
            done += take;
        }
        len
    }

    pub(super) fn write(&mut self, bytes: &[u8], offset: u64) {
        if bytes.is_empty() {
            return;
        }
        self.grow(offset + bytes.len() as u64);
        let mut done = 0;
        while done < bytes.len() {
            let at = offset + done as u64;
            let within = (at % PAGE_BYTES as u64) as usize;
            let take = (PAGE_BYTES - within).min(bytes.len() - done);
            let page = self.pages[index(at)].get_or_insert_with(|| ZERO_PAGE.clone());
            Arc::make_mut(page)[within..within + take].copy_from_slice(&bytes[done..done + take]);
            done += take;
        }
    }

    /// Extends with zeros that own space.
    pub(super) fn allocate(&mut self, len: u64) {
        let first = index(self.len.next_multiple_of(PAGE_BYTES as u64));
        self.grow(len);
        for page in self.pages.iter_mut().skip(first) {
            page.get_or_insert_with(|| ZERO_PAGE.clone());
        }
    }

    pub(super) fn set_len(&mut self, len: u64) {
        if len >= self.len {
            return self.grow(len);
        }
        self.pages.truncate(index(len.next_multiple_of(PAGE_BYTES as u64)));
        self.len = len;
        // Bytes past the end must read as zeros if the file grows again.
        let within = (len % PAGE_BYTES as u64) as usize;
        if within > 0
            && let Some(Some(page)) = self.pages.last_mut()
        {
            Arc::make_mut(page)[within..].fill(0);
        }
    }

    /// Extends with a hole; never shrinks.
    pub(super) fn grow(&mut self, len: u64) {
        if len > self.len {
            self.len = len;
            self.pages.resize(index(len.next_multiple_of(PAGE_BYTES as u64)), None);
        }
    }

    pub(super) fn flip_bit(&mut self, offset: u64, bit: u8) {
        let mut byte = [0];
        if self.read(&mut byte, offset) == 1 {
            self.write(&[byte[0] ^ (1 << bit)], offset);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Clone, Debug)]
    enum Step {
        Write(u16, Vec<u8>),
        SetLen(u16),
        Allocate(u16),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0..20_000u16, proptest::collection::vec(any::<u8>(), 0..9_000))
                .prop_map(|(offset, bytes)| Step::Write(offset, bytes)),
            (0..20_000u16).prop_map(Step::SetLen),
            (0..20_000u16).prop_map(Step::Allocate),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..Default::default() })]

        #[test]
        fn it_behaves_as_a_vector(steps in proptest::collection::vec(step(), 1..12)) {
            let mut content = Content::default();
            let mut model: Vec<u8> = Vec::new();
            for step in steps {
                let before = content.clone();
                let model_before = model.clone();
                match step {
                    Step::Write(offset, bytes) => {
                        content.write(&bytes, u64::from(offset));
                        let end = offset as usize + bytes.len();
                        if !bytes.is_empty() {
                            model.resize(model.len().max(end), 0);
                            model[offset as usize..end].copy_from_slice(&bytes);
                        }
                    }
                    Step::SetLen(len) => {
                        content.set_len(u64::from(len));
                        model.resize(len as usize, 0);
                    }
                    Step::Allocate(len) => {
                        content.allocate(u64::from(len));
                        model.resize(model.len().max(len as usize), 0);
                    }
                }
                for (content, model) in [(&content, &model), (&before, &model_before)] {
                    let mut bytes = vec![0xee; model.len() + 10];
                    prop_assert_eq!(content.read(&mut bytes, 0), model.len());
                    prop_assert_eq!(&bytes[..model.len()], &model[..]);
                    prop_assert_eq!(content.len(), model.len() as u64);
                }
            }
        }
    }
}
