//! A blocked Bloom filter on row keys, and on the columns of rows where it is asked for.
//!
//! ```text
//! filter := lines u32 | zero u32 | lines × 64 bytes
//! ```
//!
//! A key's hash is xxh3-64 of its bytes. The upper half picks a line of 512 bits, the lower half
//! PROBES bits of it: bit i is the top nine bits of `lower × MULTIPLIER^(i+1)`, in 32-bit arithmetic. A
//! lookup touches one cache line. Ten bits a key let about 1.2 % of absent keys through.
//!
//! A column of a row has a hash of its own, made of the key's and the column's id; so has what a row says with
//! flags: that it lives, or hides older versions. A read of few columns passes over files that have the row without them.
//!
//! Blocked Bloom filters: Putze, Sanders, Singler, "Cache-, Hash- and Space-Efficient Bloom Filters", 2007.

use super::error::Malformed;
use super::input::Input;
use bytes::Bytes;
use terrane_client::ids::ColumnId;
use terrane_client::schema::BlockFilter;
use twox_hash::XxHash3_64;

const LINE_BYTES: usize = 64;
const BITS_PER_KEY: usize = 10;
const PROBES: usize = 6;
/// The golden ratio's bits: odd, and spreads well.
const MULTIPLIER: u32 = 0x9e37_79b9;

/// What is added to a key's hash for each column id, and mixed: splitmix64's increment and finalizer (Steele, Lea,
/// Flood, "Fast Splittable Pseudorandom Number Generators", 2014).
const COLUMN_STEP: u64 = 0x9e37_79b9_7f4a_7c15;
const MIXERS: [u64; 2] = [0xbf58_476d_1ce4_e5b9, 0x94d0_49bb_1331_11eb];

/// A row key's hash.
pub(crate) fn hash(key: &[u8]) -> u64 {
    XxHash3_64::oneshot(key)
}

/// The hash of a column of the row with this hash.
pub(crate) fn column_hash(row: u64, column: ColumnId) -> u64 {
    mixed(row, u64::from(column.0) + 2)
}

/// The hash of a row that is read whichever columns are looked for: a version of it has flags, or it goes on in
/// another partition.
pub(crate) fn every_column_hash(row: u64) -> u64 {
    mixed(row, 1)
}

fn mixed(row: u64, step: u64) -> u64 {
    let sum = row.wrapping_add(step.wrapping_mul(COLUMN_STEP));
    let once = (sum ^ (sum >> 30)).wrapping_mul(MIXERS[0]);
    let twice = (once ^ (once >> 27)).wrapping_mul(MIXERS[1]);
    twice ^ (twice >> 31)
}

fn line_of(hash: u64, lines: usize) -> usize {
    // Multiplying maps the upper half evenly to the lines without dividing.
    (((hash >> 32) * lines as u64) >> 32) as usize
}

fn probes(hash: u64) -> impl Iterator<Item = usize> {
    let mut state = hash as u32;
    (0..PROBES).map(move |_| {
        state = state.wrapping_mul(MULTIPLIER);
        (state >> 23) as usize
    })
}

/// Appends the filter of some keys' hashes.
pub(crate) fn encode(hashes: &[u64], out: &mut Vec<u8>) {
    let lines = (hashes.len() * BITS_PER_KEY).div_ceil(LINE_BYTES * 8).max(1);
    out.extend_from_slice(&(lines as u32).to_le_bytes());
    out.extend_from_slice(&[0; 4]);
    let start = out.len();
    out.resize(start + lines * LINE_BYTES, 0);
    for hash in hashes {
        let line = start + line_of(*hash, lines) * LINE_BYTES;
        for bit in probes(*hash) {
            out[line + bit / 8] |= 1 << (bit % 8);
        }
    }
}

/// The filter of an index partition, while its rows are added.
pub(crate) struct FilterBuilder {
    knows: BlockFilter,
    hashes: Vec<u64>,
    /// Of the last key.
    row: u64,
    /// The last key's columns that were added, ascending.
    columns: Vec<ColumnId>,
    /// The last key is read whichever columns are looked for.
    has_every_column: bool,
}

impl FilterBuilder {
    pub(crate) fn new(knows: BlockFilter) -> Self {
        Self { knows, hashes: Vec::new(), row: 0, columns: Vec::new(), has_every_column: false }
    }

    /// Adds a key.
    pub(crate) fn add_row(&mut self, key: &[u8]) {
        self.row = hash(key);
        self.hashes.push(self.row);
        self.columns.clear();
        self.has_every_column = false;
    }

    /// Adds a version of the last key that has these flags.
    pub(crate) fn add_version(&mut self, flags: u8) {
        if flags != 0 {
            self.add_every_column();
        }
    }

    fn add_every_column(&mut self) {
        if self.knows == BlockFilter::RowColumn && !self.has_every_column {
            self.has_every_column = true;
            self.hashes.push(every_column_hash(self.row));
        }
    }

    /// Adds a column that the last key has a cell of.
    pub(crate) fn add_column(&mut self, column: ColumnId) {
        if self.knows == BlockFilter::RowColumn
            && let Err(place) = self.columns.binary_search(&column)
        {
            self.columns.insert(place, column);
            self.hashes.push(column_hash(self.row, column));
        }
    }

    /// Hashes added.
    pub(crate) fn len(&self) -> usize {
        self.hashes.len()
    }

    /// Ends the partition; appends its filter, and is false where there is to be none. `continued` says that the next
    /// version has the last key, whose columns no single filter knows then.
    pub(crate) fn finish(&mut self, continued: bool, out: &mut Vec<u8>) -> bool {
        if continued {
            self.add_every_column();
        }
        if self.knows != BlockFilter::None {
            encode(&self.hashes, out);
        }
        self.hashes.clear();
        if continued {
            self.hashes.push(self.row);
            self.has_every_column = false;
            self.add_every_column();
        }
        self.knows != BlockFilter::None
    }
}

/// A parsed filter.
#[derive(Debug)]
pub(crate) struct Filter {
    lines: Bytes,
}

impl Filter {
    pub(crate) fn decode(page: Bytes) -> Result<Self, Malformed> {
        let mut input = Input::new(page);
        let lines = input.u32()? as usize;
        let zero = input.u32()?;
        if zero != 0 || lines == 0 || input.remaining() != lines.saturating_mul(LINE_BYTES) {
            return Err(Malformed("filter is not of this format"));
        }
        Ok(Self { lines: input.rest() })
    }

    /// False where the row with this hash has neither a cell of these columns nor flags. Asked of a filter that knows
    /// columns.
    pub(crate) fn may_have(&self, row: u64, columns: &[ColumnId]) -> bool {
        self.may_contain(row)
            && (self.may_contain(every_column_hash(row))
                || columns.iter().any(|column| self.may_contain(column_hash(row, *column))))
    }

    /// False where no key with this hash was added.
    #[inline]
    pub(crate) fn may_contain(&self, hash: u64) -> bool {
        let line = line_of(hash, self.lines.len() / LINE_BYTES) * LINE_BYTES;
        let line = &self.lines[line..line + LINE_BYTES];
        probes(hash).all(|bit| line[bit / 8] >> (bit % 8) & 1 == 1)
    }

    /// Memory taken.
    pub(crate) fn resident_bytes(&self) -> usize {
        self.lines.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use terrane_client::row::ROW_MARKER;

    #[test]
    fn no_key_is_lost_and_few_others_pass() {
        let keys = |range: std::ops::Range<u64>| range.map(|i| hash(&i.to_be_bytes()));
        for count in [1, 100, 20_000] {
            let mut bytes = Vec::new();
            encode(&keys(0..count).collect::<Vec<_>>(), &mut bytes);
            let filter = Filter::decode(bytes.into()).unwrap();
            assert!(keys(0..count).all(|hash| filter.may_contain(hash)));
            let passed = keys(1_000_000..1_020_000).filter(|h| filter.may_contain(*h)).count();
            assert!(passed < 20_000 * 2 / 100, "{passed} of 20000 absent keys pass");
        }
    }

    #[test]
    fn the_bits_are_those_of_the_documented_hash() {
        // Stored filters are read forever: neither hash nor probes may change.
        assert_eq!(hash(b"terrane"), 1_020_276_627_780_574_450);
        assert_eq!(column_hash(hash(b"terrane"), ColumnId(7)), 9_684_087_537_104_181_564);
        assert_eq!(every_column_hash(hash(b"terrane")), 11_825_377_713_596_268_475);
        assert_eq!(probes(0x1234_5678_9abc_def0).collect::<Vec<_>>(), [58, 332, 270, 33, 214, 26]);
    }

    #[test]
    fn a_row_has_the_columns_of_its_versions() {
        let knows = |knows: BlockFilter| {
            let mut filter = FilterBuilder::new(knows);
            for row in 0..1000u32 {
                filter.add_row(&row.to_be_bytes());
                let flags = if row % 4 == 0 { ROW_MARKER } else { 0 };
                for (flags, column) in [(0, 1 + row % 2), (flags, 3), (0, 1 + row % 2)] {
                    filter.add_version(flags);
                    filter.add_column(ColumnId(column));
                }
            }
            let (len, mut page) = (filter.len(), Vec::new());
            assert_eq!(filter.finish(false, &mut page), knows != BlockFilter::None);
            (len, page)
        };
        let (len, page) = knows(BlockFilter::RowColumn);
        assert_eq!(len, 1000 + 2000 + 250, "a column is added once, whichever versions have it");
        let filter = Filter::decode(page.into()).unwrap();
        let has = |row: u32, columns: &[u32]| {
            let columns: Vec<ColumnId> = columns.iter().copied().map(ColumnId).collect();
            filter.may_have(hash(&row.to_be_bytes()), &columns)
        };
        for row in 0..1000 {
            assert!(has(row, &[1 + row % 2]) && has(row, &[1, 2]) && has(row, &[3, 9]));
            assert!(row % 4 != 0 || has(row, &[]), "a version of it has a flag");
        }
        let passes =
            |columns: &[u32]| (0..1000).filter(|row| row % 4 != 0 && has(*row, columns)).count();
        assert!(passes(&[9]) < 40 && passes(&[]) < 20, "few rows pass without the column");
        assert!((1000..2000).filter(|row| has(*row, &[1, 2, 3])).count() < 20);

        assert_eq!(knows(BlockFilter::Row).0, 1000);
        assert_eq!(knows(BlockFilter::None), (1000, Vec::new()));
    }

    #[test]
    fn a_row_that_goes_on_in_another_partition_is_read_for_every_column() {
        let mut filter = FilterBuilder::new(BlockFilter::RowColumn);
        filter.add_row(b"hot");
        filter.add_column(ColumnId(1));
        let (mut first, mut second) = (Vec::new(), Vec::new());
        filter.finish(true, &mut first);
        filter.add_column(ColumnId(2));
        filter.finish(false, &mut second);
        for page in [first, second] {
            let filter = Filter::decode(page.into()).unwrap();
            assert!(filter.may_have(hash(b"hot"), &[ColumnId(9)]));
        }
    }

    #[test]
    fn a_filter_of_another_length_is_malformed() {
        let mut bytes = Vec::new();
        encode(&[1, 2, 3], &mut bytes);
        assert!(Filter::decode(bytes.clone().into()).is_ok());
        bytes.pop();
        assert!(Filter::decode(bytes.into()).is_err());
        assert!(Filter::decode(Bytes::from_static(&[0; 8])).is_err());
    }
}
