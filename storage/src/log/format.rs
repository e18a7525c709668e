//! The bytes of segments and frames: docs/format-log.md in code.
//!
//! Decoding never panics and trusts nothing before its crc.

use crate::checksum::{Crc32c, crc32c};
use std::fmt;
use terrane_client::ids::Generation;

/// First bytes of a segment.
pub const MAGIC: [u8; 8] = *b"TerraLog";
/// The format this build writes, and the newest it reads.
pub const FORMAT: u32 = 1;
/// A segment's header, one sector: a disk never tears it.
pub const SEGMENT_HEADER_BYTES: usize = 512;
/// A frame's header.
pub const FRAME_HEADER_BYTES: usize = 48;
/// Where in a frame's header the segment number stands.
pub const SEGMENT_NUMBER_AT: usize = 32;
/// Frames start at multiples of this, so that looking for one behind damage is cheap.
pub const FRAME_ALIGN: usize = 8;
/// No frame is larger, header included: a length beyond is damage.
pub const FRAME_BYTES_MAX: usize = 1 << 20;
/// A server's name is at most this long.
pub const SERVER_BYTES_MAX: usize = 255;

/// The frame's commit goes on in the next frame.
pub const FRAME_OPEN: u32 = 1;
/// The frame holds a [`LowWater`] instead of records.
pub const FRAME_MARK: u32 = 2;
const FRAME_FLAGS_KNOWN: u32 = FRAME_OPEN | FRAME_MARK;
const MARK_BODY_BYTES: usize = 24;
/// A mark frame, in whole.
pub const MARK_FRAME_BYTES: usize = FRAME_HEADER_BYTES + MARK_BODY_BYTES;

/// Whose log it is. Seeds every crc, so that no one reads another's bytes as its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogIdentity {
    /// The server's name, at most 255 bytes.
    pub server: String,
    /// The generation of the server's lease.
    pub epoch: Generation,
}

/// Which segment of which epoch: the name of its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SegmentId {
    /// Counts all segments of the log, over all epochs; never reused.
    pub number: u32,
    /// The epoch that wrote it.
    pub epoch: u64,
}

impl fmt::Display for SegmentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}-{:08x}.log", self.epoch, self.number)
    }
}

impl SegmentId {
    /// Parses a file name; `None` if it is not a segment's.
    pub fn parse(name: &str) -> Option<Self> {
        let (epoch, number) = name.strip_suffix(".log")?.split_once('-')?;
        let lower_hex = |text: &str| text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        if epoch.len() != 16 || number.len() != 8 || !lower_hex(epoch) || !lower_hex(number) {
            return None;
        }
        Some(Self {
            epoch: u64::from_str_radix(epoch, 16).ok()?,
            number: u32::from_str_radix(number, 16).ok()?,
        })
    }

    /// What every frame's crc of this segment starts from.
    pub fn seed(&self, server: &str) -> Crc32c {
        let mut seed = Crc32c::new();
        seed.update(server.as_bytes());
        seed.update(&self.epoch.to_le_bytes());
        seed.update(&self.number.to_le_bytes());
        seed
    }
}

/// Where the log begins: everything before is in SSTables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct LowWater {
    /// Segments with a smaller number are no longer part of the log.
    pub segment: u32,
    /// Frames with a smaller lsn are not needed.
    pub base_lsn: u64,
    /// No record of those frames has a greater seq.
    pub last_seq: u64,
}

/// A segment's header.
///
/// ```text
///   0  magic "TerraLog"
///   8  format u32
///  12  segment number u32
///  16  epoch u64
///  24  low water: segment u32, zero u32, base lsn u64, last seq u64
///  48  void_from u64: frames of this lsn and above in segments of smaller number do not count; 0: all count
///  56  proven_lsn u64: every frame up to this was durable before this header was
///  64  server name: length u16, bytes
/// 508  crc32c of bytes 0..508
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentHeader {
    /// Number and epoch; the file's name says the same.
    pub id: SegmentId,
    /// Whose log it is.
    pub server: String,
    /// The low-water mark when the header was written.
    pub low: LowWater,
    /// Frames of this lsn and above in older segments do not count (they were cut, or copied to here).
    pub void_from: u64,
    /// Every frame up to this lsn is durable.
    pub proven_lsn: u64,
}

/// Why bytes are not a header of ours.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeaderDamage {
    /// No magic, a crc that does not match, or a field that cannot be: never formatted, or damaged.
    Invalid(&'static str),
    /// A newer format; its crc matches.
    Newer(u32),
}

const HEADER_CRC_AT: usize = SEGMENT_HEADER_BYTES - 4;
const HEADER_NAME_AT: usize = 66;
const _: () = assert!(HEADER_NAME_AT + SERVER_BYTES_MAX < HEADER_CRC_AT);

fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_le_bytes([bytes[at], bytes[at + 1]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(word)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(word)
}

impl SegmentHeader {
    /// The header's bytes.
    pub fn encode(&self) -> [u8; SEGMENT_HEADER_BYTES] {
        assert!(self.server.len() <= SERVER_BYTES_MAX, "checked when the log was opened");
        let mut bytes = [0; SEGMENT_HEADER_BYTES];
        bytes[..8].copy_from_slice(&MAGIC);
        bytes[8..12].copy_from_slice(&FORMAT.to_le_bytes());
        bytes[12..16].copy_from_slice(&self.id.number.to_le_bytes());
        bytes[16..24].copy_from_slice(&self.id.epoch.to_le_bytes());
        bytes[24..28].copy_from_slice(&self.low.segment.to_le_bytes());
        bytes[32..40].copy_from_slice(&self.low.base_lsn.to_le_bytes());
        bytes[40..48].copy_from_slice(&self.low.last_seq.to_le_bytes());
        bytes[48..56].copy_from_slice(&self.void_from.to_le_bytes());
        bytes[56..64].copy_from_slice(&self.proven_lsn.to_le_bytes());
        bytes[64..66].copy_from_slice(&(self.server.len() as u16).to_le_bytes());
        bytes[HEADER_NAME_AT..HEADER_NAME_AT + self.server.len()]
            .copy_from_slice(self.server.as_bytes());
        let crc = crc32c(&bytes[..HEADER_CRC_AT]);
        bytes[HEADER_CRC_AT..].copy_from_slice(&crc.to_le_bytes());
        bytes
    }

    /// Parses the first bytes of a segment.
    pub fn decode(bytes: &[u8]) -> Result<Self, HeaderDamage> {
        let Some(bytes) = bytes.get(..SEGMENT_HEADER_BYTES) else {
            return Err(HeaderDamage::Invalid("shorter than a header"));
        };
        if bytes[..8] != MAGIC {
            return Err(HeaderDamage::Invalid("no magic"));
        }
        if u32_at(bytes, HEADER_CRC_AT) != crc32c(&bytes[..HEADER_CRC_AT]) {
            return Err(HeaderDamage::Invalid("header crc does not match"));
        }
        let format = u32_at(bytes, 8);
        if format != FORMAT {
            return Err(HeaderDamage::Newer(format));
        }
        let name_len = usize::from(u16_at(bytes, 64));
        if name_len > SERVER_BYTES_MAX {
            return Err(HeaderDamage::Invalid("server name too long"));
        }
        let name = bytes[HEADER_NAME_AT..HEADER_NAME_AT + name_len].to_vec();
        let server =
            String::from_utf8(name).map_err(|_| HeaderDamage::Invalid("server name not UTF-8"))?;
        Ok(Self {
            id: SegmentId { number: u32_at(bytes, 12), epoch: u64_at(bytes, 16) },
            server,
            low: LowWater {
                segment: u32_at(bytes, 24),
                base_lsn: u64_at(bytes, 32),
                last_seq: u64_at(bytes, 40),
            },
            void_from: u64_at(bytes, 48),
            proven_lsn: u64_at(bytes, 56),
        })
    }
}

/// A frame's header.
///
/// ```text
///  0  crc32c of server, epoch and segment number, then of bytes 4..48 and the body
///  4  body length u32
///  8  lsn u64: counts frames; a frame written again elsewhere keeps it
/// 16  synced_lsn u64: every frame up to this was durable when this one was written
/// 24  last_seq u64: no record up to the end of the commit this frame ends in has a greater seq
/// 32  segment number u32
/// 36  records u32: in the commits that end in this frame
/// 40  flags u32
/// 44  zero u32
/// 48  body, then zeros to a multiple of 8
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Bytes of the body.
    pub body_len: u32,
    /// Counts frames from 1.
    pub lsn: u64,
    /// Every frame up to this was durable when this one was written.
    pub synced_lsn: u64,
    /// Largest seq so far, that of the commit this frame ends in included.
    pub last_seq: u64,
    /// The segment's number.
    pub segment: u32,
    /// Records of the commits that end in this frame.
    pub records: u32,
    /// [`FRAME_OPEN`], [`FRAME_MARK`].
    pub flags: u32,
}

impl FrameHeader {
    /// Writes the header into the first bytes of a frame whose body is in place.
    pub fn encode(&self, frame: &mut [u8], seed: Crc32c) {
        assert_eq!(frame.len(), FRAME_HEADER_BYTES + self.body_len as usize);
        assert!(frame.len() <= FRAME_BYTES_MAX);
        frame[4..8].copy_from_slice(&self.body_len.to_le_bytes());
        frame[8..16].copy_from_slice(&self.lsn.to_le_bytes());
        frame[16..24].copy_from_slice(&self.synced_lsn.to_le_bytes());
        frame[24..32].copy_from_slice(&self.last_seq.to_le_bytes());
        frame[32..36].copy_from_slice(&self.segment.to_le_bytes());
        frame[36..40].copy_from_slice(&self.records.to_le_bytes());
        frame[40..44].copy_from_slice(&self.flags.to_le_bytes());
        frame[44..48].fill(0);
        let mut crc = seed;
        crc.update(&frame[4..]);
        frame[..4].copy_from_slice(&crc.finish().to_le_bytes());
    }

    /// Parses the frame at the start of `bytes`; `None` if there is no whole, undamaged one.
    pub fn decode(bytes: &[u8], segment: u32, seed: Crc32c) -> Option<Self> {
        let header = bytes.get(..FRAME_HEADER_BYTES)?;
        // The cheap tests come first: damage is looked behind at every eighth byte.
        if u32_at(header, SEGMENT_NUMBER_AT) != segment {
            return None;
        }
        let body_len = u32_at(header, 4);
        if body_len as usize > FRAME_BYTES_MAX - FRAME_HEADER_BYTES {
            return None;
        }
        let frame = bytes.get(..FRAME_HEADER_BYTES + body_len as usize)?;
        let mut crc = seed;
        crc.update(&frame[4..]);
        if crc.finish() != u32_at(frame, 0) {
            return None;
        }
        let flags = u32_at(header, 40);
        if flags & !FRAME_FLAGS_KNOWN != 0 {
            return None;
        }
        Some(Self {
            body_len,
            lsn: u64_at(header, 8),
            synced_lsn: u64_at(header, 16),
            last_seq: u64_at(header, 24),
            segment,
            records: u32_at(header, 36),
            flags,
        })
    }

    /// Bytes from this frame's start to the next one's.
    pub fn stride(&self) -> usize {
        (FRAME_HEADER_BYTES + self.body_len as usize).next_multiple_of(FRAME_ALIGN)
    }
}

/// The body of a mark frame: segment u32, zero u32, base lsn u64, last seq u64.
pub fn encode_mark(low: LowWater) -> [u8; MARK_BODY_BYTES] {
    let mut body = [0; MARK_BODY_BYTES];
    body[..4].copy_from_slice(&low.segment.to_le_bytes());
    body[8..16].copy_from_slice(&low.base_lsn.to_le_bytes());
    body[16..].copy_from_slice(&low.last_seq.to_le_bytes());
    body
}

/// Parses the body of a mark frame.
pub fn decode_mark(body: &[u8]) -> Option<LowWater> {
    if body.len() != MARK_BODY_BYTES {
        return None;
    }
    Some(LowWater {
        segment: u32_at(body, 0),
        base_lsn: u64_at(body, 8),
        last_seq: u64_at(body, 16),
    })
}

#[cfg(test)]
mod tests;
