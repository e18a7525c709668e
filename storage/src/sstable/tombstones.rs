//! Range tombstones: "every row of [start, end) that was committed before this is deleted".
//!
//! ```text
//! section := count u32 | per tombstone: commit timestamp i64 | start length u32 | end length u32 + 1, 0: unbounded
//!                                     | start | end
//! ```
//!
//! Ascending by start, then by timestamp descending; ranges may overlap.

use super::error::Malformed;
use super::input::Input;
use bytes::Bytes;
use terrane_client::ids::CommitTs;

/// A deleted range.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RangeTombstone {
    /// First key inside.
    pub start: Bytes,
    /// First key outside; `None` is unbounded.
    pub end: Option<Bytes>,
    /// Rows committed before this are deleted.
    pub commit_ts: CommitTs,
}

impl RangeTombstone {
    /// True where the range meets [start, end).
    pub fn meets(&self, start: &[u8], end: Option<&[u8]>) -> bool {
        end.is_none_or(|end| &self.start[..] < end)
            && self.end.as_ref().is_none_or(|own_end| start < &own_end[..])
    }

    fn order(&self) -> (&[u8], std::cmp::Reverse<CommitTs>) {
        (&self.start, std::cmp::Reverse(self.commit_ts))
    }
}

/// Appends the section.
pub(crate) fn encode(tombstones: &mut [RangeTombstone], out: &mut Vec<u8>) {
    tombstones.sort_by(|a, b| a.order().cmp(&b.order()));
    out.extend_from_slice(&(tombstones.len() as u32).to_le_bytes());
    for tombstone in tombstones {
        let end_len = tombstone.end.as_ref().map_or(0, |end| end.len() as u32 + 1);
        out.extend_from_slice(&tombstone.commit_ts.0.to_le_bytes());
        out.extend_from_slice(&(tombstone.start.len() as u32).to_le_bytes());
        out.extend_from_slice(&end_len.to_le_bytes());
        out.extend_from_slice(&tombstone.start);
        out.extend_from_slice(tombstone.end.as_deref().unwrap_or_default());
    }
}

/// Parses a section.
pub(crate) fn decode(section: Bytes) -> Result<Vec<RangeTombstone>, Malformed> {
    let mut input = Input::new(section);
    let count = input.count(16)?;
    let mut tombstones: Vec<RangeTombstone> = Vec::with_capacity(count);
    for _ in 0..count {
        let commit_ts = CommitTs(input.i64()?);
        let (start_len, end_len) = (input.u32()? as usize, input.u32()? as usize);
        let start = input.take(start_len)?;
        let end = match end_len {
            0 => None,
            len => Some(input.take(len - 1)?),
        };
        let tombstone = RangeTombstone { start, end, commit_ts };
        if tombstones.last().is_some_and(|last| last.order() > tombstone.order()) {
            return Err(Malformed("range tombstones are out of order"));
        }
        tombstones.push(tombstone);
    }
    input.finish()?;
    Ok(tombstones)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn they_round_trip_in_order() {
        let tombstone = |start: &'static str, end: Option<&'static str>, ts| RangeTombstone {
            start: start.into(),
            end: end.map(Bytes::from),
            commit_ts: CommitTs(ts),
        };
        let mut tombstones = vec![
            tombstone("m", None, 3),
            tombstone("", Some(""), 9),
            tombstone("m", Some("z"), 7),
            tombstone("a", Some("n"), 5),
        ];
        let mut section = Vec::new();
        encode(&mut tombstones, &mut section);
        let decoded = decode(section.clone().into()).unwrap();
        assert_eq!(decoded, tombstones);
        let order: Vec<i64> = decoded.iter().map(|tombstone| tombstone.commit_ts.0).collect();
        assert_eq!(order, [9, 5, 7, 3]);
        section.push(0);
        assert!(decode(section.into()).is_err());
    }

    #[test]
    fn ranges_are_half_open() {
        let range =
            RangeTombstone { start: "c".into(), end: Some("f".into()), commit_ts: CommitTs(1) };
        assert!(range.meets(b"e", Some(b"z")) && range.meets(b"", Some(b"ca")));
        assert!(range.meets(b"", None) && range.meets(b"d", Some(b"e")));
        assert!(!range.meets(b"f", None) && !range.meets(b"", Some(b"c")));
    }
}
