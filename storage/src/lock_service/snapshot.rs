//! Snapshots: docs/format-lock-service.md in code.
//!
//! A snapshot gets its name only after it is synced, so one that is damaged was damaged later: that is reported, and
//! no older one is taken in its place, because the log behind it may be gone.

use super::store::Map;
use crate::checksum::crc32c;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use terrane_client::ids::Generation;
use terrane_client::lock::{LockError, Versioned};
use terrane_env::{Env, IoError};

const MAGIC: [u8; 8] = *b"TerraLck";
const FORMAT: u32 = 1;
const HEADER_BYTES: usize = 48;
const ENTRY_HEADER_BYTES: usize = 16;
const CRC_BYTES: usize = 4;
/// The snapshot before it has its name.
const UNNAMED: &str = "snapshot.tmp";

/// Everything the service knows, at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Snapshot {
    /// The last transaction's revision.
    pub(super) revision: u64,
    /// The last log record's seq.
    pub(super) seq: u64,
    /// The last generation given.
    pub(super) generation: Generation,
    pub(super) entries: Map,
}

/// Why bytes are not a snapshot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Damage {
    offset: usize,
    what: &'static str,
}

impl Snapshot {
    /// Its stored size.
    pub(super) fn bytes(&self) -> u64 {
        let entry = |(key, value): (&Arc<str>, &Versioned)| {
            ENTRY_HEADER_BYTES + key.len() + value.value.len()
        };
        (HEADER_BYTES + CRC_BYTES + self.entries.iter().map(entry).sum::<usize>()) as u64
    }

    /// ```text
    ///  0  magic "TerraLck"
    ///  8  format u32
    /// 12  zero u32
    /// 16  revision u64
    /// 24  seq u64
    /// 32  generation u64
    /// 40  number of entries u64
    /// 48  entries, ascending by key: key length u32, value length u32, revision u64, key, value
    ///  .  crc32c of everything before, u32
    /// ```
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(usize::try_from(self.bytes()).unwrap_or(0));
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&FORMAT.to_le_bytes());
        bytes.extend_from_slice(&[0; 4]);
        bytes.extend_from_slice(&self.revision.to_le_bytes());
        bytes.extend_from_slice(&self.seq.to_le_bytes());
        bytes.extend_from_slice(&self.generation.0.to_le_bytes());
        bytes.extend_from_slice(&(self.entries.len() as u64).to_le_bytes());
        assert_eq!(bytes.len(), HEADER_BYTES);
        for (key, value) in &self.entries {
            let len = |bytes: &[u8]| {
                u32::try_from(bytes.len()).expect("the log takes no commit of 4 GiB").to_le_bytes()
            };
            bytes.extend_from_slice(&len(key.as_bytes()));
            bytes.extend_from_slice(&len(&value.value));
            bytes.extend_from_slice(&value.revision.to_le_bytes());
            bytes.extend_from_slice(key.as_bytes());
            bytes.extend_from_slice(&value.value);
        }
        let crc = crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        assert_eq!(bytes.len() as u64, self.bytes());
        bytes
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Damage> {
        let damage = |offset, what| Damage { offset, what };
        let Some((body, crc)) = bytes.split_last_chunk::<CRC_BYTES>() else {
            return Err(damage(0, "shorter than a crc"));
        };
        if crc32c(body) != u32::from_le_bytes(*crc) {
            return Err(damage(body.len(), "crc does not match"));
        }
        let mut reader = Reader { bytes: body, offset: 0 };
        if reader.array()? != MAGIC {
            return Err(damage(0, "no magic"));
        }
        if u32::from_le_bytes(reader.array()?) != FORMAT {
            return Err(damage(8, "a format this build does not know"));
        }
        reader.array::<4>()?;
        let revision = reader.u64()?;
        let seq = reader.u64()?;
        let generation = Generation(reader.u64()?);
        let count = reader.u64()?;
        let mut entries = Map::new();
        for _ in 0..count {
            let (key, value) = reader.entry()?;
            if entries.last_key_value().is_some_and(|(last, _)| **last >= *key) {
                return Err(damage(reader.offset, "keys do not ascend"));
            }
            entries.insert(key, value);
        }
        if reader.offset != body.len() {
            return Err(damage(reader.offset, "bytes behind the last entry"));
        }
        Ok(Self { revision, seq, generation, entries })
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    offset: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, len: usize) -> Result<&'a [u8], Damage> {
        let end = self.offset.checked_add(len).filter(|end| *end <= self.bytes.len());
        let end = end.ok_or(Damage { offset: self.offset, what: "ends early" })?;
        let taken = &self.bytes[self.offset..end];
        self.offset = end;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Damage> {
        let mut array = [0; N];
        array.copy_from_slice(self.take(N)?);
        Ok(array)
    }

    fn u64(&mut self) -> Result<u64, Damage> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn entry(&mut self) -> Result<(Arc<str>, Versioned), Damage> {
        let key_len = u32::from_le_bytes(self.array()?) as usize;
        let value_len = u32::from_le_bytes(self.array()?) as usize;
        let revision = self.u64()?;
        let offset = self.offset;
        let key = std::str::from_utf8(self.take(key_len)?)
            .map_err(|_| Damage { offset, what: "the key is not UTF-8" })?;
        let value = self.take(value_len)?.to_vec().into();
        Ok((Arc::from(key), Versioned { value, revision }))
    }
}

fn name(seq: u64) -> String {
    format!("snapshot-{seq:016x}")
}

fn seq_of(name: &str) -> Option<u64> {
    let hex = name.strip_prefix("snapshot-").filter(|hex| hex.len() == 16)?;
    u64::from_str_radix(hex, 16).ok()
}

/// Loads the newest snapshot and removes what it replaces.
pub(super) fn load(env: &Env, directory: &Path) -> Result<Option<Snapshot>, LockError> {
    let snapshot = newest(env, directory)?;
    if let Some(snapshot) = &snapshot {
        remove_older(env, directory, snapshot.seq)
            .map_err(|error| LockError::Unavailable(error.to_string()))?;
    }
    Ok(snapshot)
}

/// Reads the newest snapshot.
pub(super) fn newest(env: &Env, directory: &Path) -> Result<Option<Snapshot>, LockError> {
    let unavailable = |error: IoError| LockError::Unavailable(error.to_string());
    let names = env.files.list(directory).map_err(unavailable)?;
    let Some(newest) = names.iter().filter_map(|name| seq_of(name)).max() else {
        return Ok(None);
    };
    let path = directory.join(name(newest));
    let bytes = env.files.read(&path).map_err(unavailable)?;
    let corruption = |damage: Damage| LockError::Corruption {
        file: path.display().to_string(),
        offset: damage.offset as u64,
        what: damage.what.to_owned(),
    };
    let snapshot = Snapshot::decode(&bytes).map_err(corruption)?;
    if snapshot.seq != newest {
        return Err(corruption(Damage { offset: 24, what: "its name says another seq" }));
    }
    Ok(Some(snapshot))
}

/// Writes a snapshot; durable under its name when this returns. Its stored size.
pub(super) fn save(env: &Env, directory: &Path, snapshot: &Snapshot) -> Result<u64, IoError> {
    let unnamed = directory.join(UNNAMED);
    if env.files.exists(&unnamed)? {
        env.files.remove(&unnamed)?;
    }
    let bytes = snapshot.encode();
    env.files.write_new_durable(&unnamed, &bytes)?;
    let path: PathBuf = directory.join(name(snapshot.seq));
    env.files.rename(&unnamed, &path)?;
    env.files.sync_dir(directory)?;
    // What is left of older ones is removed at the next chance.
    if let Err(error) = remove_older(env, directory, snapshot.seq) {
        tracing::warn!("an old snapshot of the lock service stays: {error}");
    }
    Ok(bytes.len() as u64)
}

fn remove_older(env: &Env, directory: &Path, newest: u64) -> Result<(), IoError> {
    for name in env.files.list(directory)? {
        if name == UNNAMED || seq_of(&name).is_some_and(|seq| seq < newest) {
            env.files.remove(&directory.join(name))?;
        }
    }
    Ok(())
}

/// Entry point for fuzzers: decoding must never panic, and what decodes encodes to the same bytes. The crc is
/// made to match, so that what lies behind it is reached.
pub fn fuzz_decode(data: &[u8]) {
    let _ = Snapshot::decode(data);
    let mut bytes = MAGIC.to_vec();
    bytes.extend_from_slice(&FORMAT.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(data);
    let crc = crc32c(&bytes);
    bytes.extend_from_slice(&crc.to_le_bytes());
    if let Ok(snapshot) = Snapshot::decode(&bytes) {
        assert_eq!(snapshot.encode(), bytes);
    }
}
