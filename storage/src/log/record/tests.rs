//! Records come back as they went in, and damaged ones are told from whole ones.

use super::*;
use proptest::prelude::*;

fn encode(records: &[Record]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = Encoder::default();
    for record in records {
        let before = bytes.len();
        encoder.encode(&record.as_ref(), |piece| bytes.extend_from_slice(piece));
        assert!(bytes.len() - before <= record.as_ref().encoded_bytes_max());
    }
    bytes
}

fn any_record() -> impl Strategy<Value = Record> {
    let small = || prop_oneof![Just(0u64), Just(1), Just(u64::MAX), any::<u64>()];
    let bytes = || proptest::collection::vec(any::<u8>(), 0..40);
    (small(), small(), any::<i64>(), small(), small(), any::<u8>(), bytes(), bytes()).prop_map(
        |(table, seq, commit_ts, client, number, kind, key, payload)| Record {
            table: StorageId(table),
            seq: Seq(seq),
            commit_ts: CommitTs(commit_ts),
            request: RequestId { client, number },
            kind,
            key: key.into(),
            payload: payload.into(),
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..Default::default() })]

    #[test]
    fn records_round_trip(records in proptest::collection::vec(any_record(), 0..8)) {
        let decoded: Result<Vec<Record>, MalformedRecord> =
            Decoder::new(encode(&records).into()).collect();
        prop_assert_eq!(decoded.unwrap(), records);
    }

    #[test]
    fn a_body_cut_short_is_malformed(record in any_record(), cut in 1usize..20) {
        let bytes = encode(std::slice::from_ref(&record));
        let cut = &bytes[..bytes.len() - cut.min(bytes.len() - 1)];
        let mut decoder = Decoder::new(Bytes::copy_from_slice(cut));
        prop_assert!(matches!(decoder.next(), Some(Err(_))));
        prop_assert!(decoder.next().is_none(), "nothing comes after an error");
    }
}

#[test]
fn rows_of_one_commit_cost_five_bytes_and_their_contents() {
    let record = |seq| Record {
        table: StorageId(1 << 40),
        seq: Seq(seq),
        commit_ts: CommitTs(1 << 50),
        request: RequestId { client: 1 << 60, number: 1 << 33 },
        kind: 1,
        key: Bytes::from_static(b"key"),
        payload: Bytes::from_static(&[7; 200]),
    };
    let one = encode(&[record(1 << 33)]).len();
    let two = encode(&[record(1 << 33), record((1 << 33) + 1)]).len();
    assert_eq!(two - one, 2 + 1 + 2 + 203);
}

#[test]
fn what_cannot_be_is_named() {
    let malformed = |bytes: &[u8]| {
        Decoder::new(Bytes::copy_from_slice(bytes)).next().unwrap().unwrap_err().what
    };
    assert_eq!(malformed(&[16, 0]), "unknown record flags");
    assert_eq!(malformed(&[SAME_TABLE, 0]), "first record refers to one before it");
    assert_eq!(malformed(&[0]), "record ends early");
    let overlong = [&[0u8, 0][..], &[0xff; 9], &[0x02]].concat();
    assert_eq!(malformed(&overlong), "record ends early", "a varint past 64 bits");
}
