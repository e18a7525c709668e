//! Entry points for fuzzers: decoding must never panic, whatever the bytes.

use super::format::{FrameHeader, SegmentHeader, SegmentId, decode_mark};
use super::record::Decoder;
use super::scan::scan_segment;
use bytes::Bytes;

/// Decodes bytes as every structure of the log: a segment's header, its frames (their crc made to match, so
/// that what lies behind it is reached), and the records in them.
pub fn fuzz_decode(data: &[u8]) {
    let id = SegmentId { number: 1, epoch: 1 };
    let seed = id.seed("fuzz");
    let _ = SegmentHeader::decode(data);
    let _ = decode_mark(data);
    let _ = FrameHeader::decode(data, id.number, seed);
    decode_records(data);
    let scanned = scan_segment(data, id.number, seed);
    assert!(scanned.frames.iter().all(|frame| frame.end() <= data.len() as u64 + 7));
    if let Some(body) = data.get(12..) {
        let mut frame = vec![0; super::format::FRAME_HEADER_BYTES];
        frame.extend_from_slice(body);
        let word =
            |at: usize| u32::from_le_bytes([data[at], data[at + 1], data[at + 2], data[at + 3]]);
        let header = FrameHeader {
            body_len: body.len() as u32,
            lsn: u64::from(word(0)),
            synced_lsn: u64::from(word(4)),
            last_seq: 1,
            segment: id.number,
            records: word(8),
            flags: word(4) & 3,
        };
        if frame.len() <= super::format::FRAME_BYTES_MAX {
            header.encode(&mut frame, seed);
            let mut segment = vec![0; super::format::SEGMENT_HEADER_BYTES];
            segment.extend_from_slice(&frame);
            let _ = scan_segment(&segment, id.number, seed);
        }
    }
}

fn decode_records(data: &[u8]) {
    let decoder = Decoder::new(Bytes::copy_from_slice(data));
    let mut bytes = 0;
    for record in decoder.flatten() {
        bytes += record.key.len() + record.payload.len();
    }
    assert!(bytes <= data.len(), "records do not overlap");
}
