//! Every decoder and the wire protocol's messages, fed with anything: nothing may panic.
//!
//! Inputs are random bytes, and mutations of inputs that some target was given before or that are nearly valid.
//! `TERRANE_FUZZ_SECONDS` says for how long in all (10); `TERRANE_SEED` what is tried (1).

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};
use terrane_client::cell;
use terrane_client::key::KeyReader;
use terrane_client::metadata::codec;
use terrane_client::row::RowMutation;
use terrane_env::random::SplitMix64;
use terrane_sql::types::fuzz::TYPES;
use tokio_util::bytes::Bytes;

/// Longest input.
const BYTES_MAX: u64 = 2048;
/// Inputs kept to be mutated.
const POOL: usize = 64;

type Target = (&'static str, fn(&[u8]), &'static [&'static [u8]]);

/// Name, entry point, and inputs from which valid ones are not far.
const TARGETS: &[Target] = &[
    ("log", terrane_storage::log::fuzz::fuzz_decode, &[b"TerraLog\x01\0\0\0\x01\0\0\0"]),
    ("sstable", terrane_storage::sstable::fuzz_decode, &[b"\x20\0\0\0\x01", b"\x02\x10\0\0\0abc"]),
    ("lock service", terrane_storage::lock_service::fuzz_decode, &[SNAPSHOT]),
    ("row", row, &[b"\x03\x02\x01\x02x\x02\0", b"\x01\0"]),
    ("cell", one_cell, &[b"\x06\x01\x02\x03\x04\x05\x06\x07\x08"]),
    ("key", key, &[b"\x00ab\0\xffc\0\x01\x80\0\0\x01", b"\x0f\x7f\xff\xff"]),
    ("tablet row", tablet_row, &[TABLET_ROW]),
    ("startup", terrane_sql::wire::fuzz::fuzz_startup, &[STARTUP]),
    ("messages", terrane_sql::wire::fuzz::fuzz_messages, &[QUERY, PARSE, BIND]),
    ("types", terrane_sql::types::fuzz::fuzz_types, &[b"\x06-12.5e3", b"\x10{2024-02-29,NULL}"]),
    ("copy", terrane_sql::copy::fuzz::fuzz_copy, &[b"\x02\x05a\\tb\tc\n", b"\0\x03\"a\"\"\",b\n"]),
];

/// The entries of a lock service snapshot with one key.
const SNAPSHOT: &[u8] = b"\x05\0\0\0\0\0\0\0\x09\0\0\0\0\0\0\0\x02\0\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\
    \x02\0\0\0\x01\0\0\0\x03\0\0\0\0\0\0\0/ax";
const TABLET_ROW: &[u8] =
    br#"{"table":1000,"start":[],"end":null,"server":"embedded","generation":2,
    "version":3,"max_seq":7,"max_commit_ts":9,"gc_floor":0,"groups":[]}"#;
const STARTUP: &[u8] = b"\0\0\0\x16\0\x03\0\0user\0terrane\0\0";
const QUERY: &[u8] = b"Q\0\0\0\x0dselect 1\0";
const PARSE: &[u8] = b"P\0\0\0\x14s\0select $1\0\0\x01\0\0\0\x17";
const BIND: &[u8] = b"B\0\0\0\x15\0s\0\0\x01\0\x01\0\x01\0\0\0\x012\0\0";

fn row(data: &[u8]) {
    if let Ok(mutation) = RowMutation::decode(&Bytes::copy_from_slice(data)) {
        let mut again = Vec::new();
        mutation.encode(&mut again);
        assert_eq!(again, data, "what decodes encodes to the same bytes");
    }
}

fn one_cell(data: &[u8]) {
    let [choice, data @ ..] = data else { return };
    let data_type = &TYPES[usize::from(*choice) % TYPES.len()];
    let _ = cell::decode(data, data_type);
}

/// Three columns, of types that the first byte chooses.
fn key(data: &[u8]) {
    let [choice, data @ ..] = data else { return };
    let mut reader = KeyReader::new(data);
    let mut skipped = KeyReader::new(data);
    for place in 0..3 {
        let data_type = &TYPES[(usize::from(*choice) + place * 5) % TYPES.len()];
        let descending = choice & 0x40 != 0;
        let read = reader.value(data_type, descending);
        let passed = skipped.skip(data_type, descending);
        assert!(read.is_err() || passed.is_ok(), "what can be read can be skipped");
        if read.is_err() {
            return;
        }
    }
}

fn tablet_row(data: &[u8]) {
    let _ = codec::parse_state(data);
}

/// An input: new, or one of the pool changed in a few places.
fn input(random: &mut SplitMix64, pool: &[Vec<u8>]) -> Vec<u8> {
    if random.chance(0.1) {
        return (0..random.below(BYTES_MAX)).map(|_| random.next_u64() as u8).collect();
    }
    let mut data = pool[random.below(pool.len() as u64) as usize].clone();
    for _ in 0..=random.below(5) {
        let at = random.below(data.len() as u64 + 1) as usize;
        let interesting = [0, 1, 0x7f, 0x80, 0xff, random.next_u64() as u8];
        let byte = interesting[random.below(6) as usize];
        match random.below(6) {
            0 => data.insert(at, byte),
            1 => data.truncate(at),
            2 => {
                let from = random.below(at as u64 + 1) as usize;
                data.extend_from_within(from..at);
            }
            3 => {
                let other = &pool[random.below(pool.len() as u64) as usize];
                data.truncate(at);
                data.extend_from_slice(&other[at.min(other.len())..]);
            }
            _ => {
                if let Some(old) = data.get_mut(at) {
                    *old = byte;
                }
            }
        }
    }
    data.truncate(BYTES_MAX as usize);
    data
}

/// Tries a target for a while; how many inputs it took.
fn try_target(target: &Target, seed: u64, time: Duration) -> u64 {
    let (name, run, seeds) = target;
    let mut random = SplitMix64::new(seed);
    let mut pool: Vec<Vec<u8>> = seeds.iter().map(|seed| seed.to_vec()).collect();
    let until = Instant::now() + time;
    let mut tried = 0;
    while Instant::now() < until {
        for _ in 0..64 {
            let data = input(&mut random, &pool);
            if catch_unwind(AssertUnwindSafe(|| run(&data))).is_err() {
                panic!("{name} panicked, seed {seed}, input {tried}: {data:?}");
            }
            tried += 1;
            if random.chance(0.05) {
                // Seeds stay; the others come and go.
                if pool.len() > seeds.len() + POOL {
                    let place = seeds.len() + random.below(POOL as u64) as usize;
                    pool.swap_remove(place);
                }
                pool.push(data);
            }
        }
    }
    tried
}

#[test]
fn no_decoder_panics_whatever_the_bytes() {
    let number = |name: &str, otherwise: u64| -> u64 {
        std::env::var(name).map_or(otherwise, |text| text.parse().unwrap())
    };
    let (seconds, seed) = (number("TERRANE_FUZZ_SECONDS", 10), number("TERRANE_SEED", 1));
    let time = Duration::from_secs(seconds) / TARGETS.len() as u32;
    for target in TARGETS {
        let tried = try_target(target, seed, time);
        println!("{}: {tried} inputs", target.0);
        assert!(tried > 0, "{} was not tried", target.0);
    }
}
