//! The bytes, as docs/format-log.md shows them.

use super::*;
use crate::log::record::{Encoder, RecordRef};
use terrane_client::ids::{CommitTs, RequestId, Seq, StorageId};

fn hex(bytes: &[u8]) -> String {
    bytes
        .chunks(16)
        .map(|row| row.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(" "))
        .collect::<Vec<_>>()
        .join("\n")
}

fn header() -> SegmentHeader {
    SegmentHeader {
        id: SegmentId { number: 3, epoch: 7 },
        server: "s1".to_owned(),
        low: LowWater { segment: 2, base_lsn: 40, last_seq: 4 },
        void_from: 51,
        proven_lsn: 50,
    }
}

/// The worked example of docs/format-log.md: change both or neither.
#[test]
fn the_worked_example_has_these_bytes() {
    let bytes = header().encode();
    assert_eq!(
        hex(&bytes[..80]),
        "54 65 72 72 61 4c 6f 67 01 00 00 00 03 00 00 00\n\
         07 00 00 00 00 00 00 00 02 00 00 00 00 00 00 00\n\
         28 00 00 00 00 00 00 00 04 00 00 00 00 00 00 00\n\
         33 00 00 00 00 00 00 00 32 00 00 00 00 00 00 00\n\
         02 00 73 31 00 00 00 00 00 00 00 00 00 00 00 00"
    );
    assert!(bytes[80..508].iter().all(|byte| *byte == 0));
    assert_eq!(hex(&bytes[508..]), "de a7 ca bc");

    let request = RequestId { client: 0x0102_0304_0506_0708, number: 300 };
    let record = |seq, key: &'static [u8], payload: &'static [u8]| RecordRef {
        table: StorageId(1000),
        seq: Seq(seq),
        commit_ts: CommitTs(1_700_000_000_000_000),
        request,
        kind: 1,
        key,
        payload,
    };
    let mut frame = vec![0; FRAME_HEADER_BYTES];
    let mut encoder = Encoder::default();
    for record in [record(9, b"ab", b"xyz"), record(10, b"ac", b"")] {
        encoder.encode(&record, |piece| frame.extend_from_slice(piece));
    }
    let frame_header = FrameHeader {
        body_len: (frame.len() - FRAME_HEADER_BYTES) as u32,
        lsn: 51,
        synced_lsn: 50,
        last_seq: 10,
        segment: 3,
        records: 2,
        flags: 0,
    };
    frame_header.encode(&mut frame, header().id.seed("s1"));
    assert_eq!(
        hex(&frame),
        "8e 5f 57 75 24 00 00 00 33 00 00 00 00 00 00 00\n\
         32 00 00 00 00 00 00 00 0a 00 00 00 00 00 00 00\n\
         03 00 00 00 02 00 00 00 00 00 00 00 00 00 00 00\n\
         00 01 e8 07 09 00 40 1e 18 24 0a 06 00 08 07 06\n\
         05 04 03 02 01 ac 02 02 03 61 62 78 79 7a 0f 01\n\
         02 00 61 63"
    );
    assert_eq!(FrameHeader::decode(&frame, 3, header().id.seed("s1")), Some(frame_header));
    let other_epoch = SegmentId { number: 3, epoch: 8 };
    for seed in [header().id.seed("s2"), other_epoch.seed("s1")] {
        assert_eq!(FrameHeader::decode(&frame, 3, seed), None);
    }
    assert_eq!(FrameHeader::decode(&frame, 4, header().id.seed("s1")), None);
}

#[test]
fn headers_round_trip_and_every_flipped_bit_shows() {
    let header = header();
    let bytes = header.encode();
    assert_eq!(SegmentHeader::decode(&bytes), Ok(header));
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes;
        damaged[bit / 8] ^= 1 << (bit % 8);
        assert!(matches!(SegmentHeader::decode(&damaged), Err(HeaderDamage::Invalid(_))));
    }
    assert!(SegmentHeader::decode(&bytes[..511]).is_err());
}

#[test]
fn names_round_trip_and_others_are_not_ours() {
    let id = SegmentId { number: 0x1f, epoch: 0xabc };
    assert_eq!(id.to_string(), "0000000000000abc-0000001f.log");
    assert_eq!(SegmentId::parse(&id.to_string()), Some(id));
    for other in ["recovery.tmp", "abc-1f.log", "0000000000000ABC-0000001f.log", ".log", "-.log"] {
        assert_eq!(SegmentId::parse(other), None, "{other}");
    }
    assert!(SegmentId { number: 1, epoch: 9 } < SegmentId { number: 2, epoch: 1 });
}

#[test]
fn marks_round_trip() {
    let low = LowWater { segment: 5, base_lsn: 1 << 40, last_seq: 1 << 50 };
    assert_eq!(decode_mark(&encode_mark(low)), Some(low));
    assert_eq!(decode_mark(&[0; 23]), None);
}
