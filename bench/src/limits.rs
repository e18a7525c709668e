//! What the machine can do, so that a figure can be read beside it: measured before and after a run, since a
//! machine that changed meanwhile makes figures of different moments incomparable.

use crate::{BenchError, Result};
use std::fs::OpenOptions;
use std::hint::black_box;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

/// How long each is looked at.
const PATIENCE: Duration = Duration::from_millis(1_500);
/// Of the file that is synced; it is written over, as a recycled log is.
const SYNCED_FILE_BYTES: u64 = 16 << 20;
const MEMORY_BYTES: usize = 64 << 20;
/// A limit may be off by this part of itself between start and end.
const DRIFT_MAX: f64 = 0.2;

/// A limit's name, figure and unit.
#[derive(Clone, Debug)]
pub struct Limit {
    /// What it is.
    pub name: String,
    /// How much.
    pub figure: f64,
    /// Of what.
    pub unit: &'static str,
}

/// A limit that moved during a run.
#[derive(Clone, Debug, PartialEq)]
pub struct Drift {
    /// The limit.
    pub name: String,
    /// By which part of the larger figure.
    pub part: f64,
}

impl std::fmt::Display for Drift {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, by {:.0} %", self.name, self.part * 100.0)
    }
}

/// The limits that moved too far between two measurements.
pub fn drifts(before: &[Limit], after: &[Limit]) -> Vec<Drift> {
    let drift = |before: &Limit| {
        let after = after.iter().find(|after| after.name == before.name)?;
        let (low, high) = (before.figure.min(after.figure), before.figure.max(after.figure));
        let part = if high > 0.0 { 1.0 - low / high } else { 0.0 };
        (part > DRIFT_MAX).then(|| Drift { name: before.name.clone(), part })
    };
    before.iter().filter_map(drift).collect()
}

/// Measures them all; files go into `directory`.
pub fn measure(directory: &Path) -> Result<Vec<Limit>> {
    let limit = |name: &str, figure, unit| Limit { name: name.to_owned(), figure, unit };
    Ok(vec![
        limit("processors", processors() as f64, ""),
        limit("write 4 KiB and fdatasync, one after the other", syncs(directory)?, "1/s"),
        limit("memcpy, one thread", memcpy(), "GB/s"),
        limit("crc32c, one thread", crc32c(), "GB/s"),
        limit("loopback round trip of one byte", loopback()?, "µs"),
    ])
}

/// How this program was built.
pub fn build() -> &'static str {
    if cfg!(debug_assertions) { "development" } else { "release" }
}

/// Processors this process may use.
pub fn processors() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn syncs(directory: &Path) -> Result<f64> {
    let path = directory.join("synced");
    let failed = || BenchError::io(format!("{}", path.display()));
    let file =
        OpenOptions::new().create(true).truncate(true).write(true).open(&path).map_err(failed())?;
    let page = [7_u8; 4096];
    for at in (0..SYNCED_FILE_BYTES).step_by(page.len()) {
        file.write_all_at(&page, at).map_err(failed())?;
    }
    file.sync_all().map_err(failed())?;
    let start = Instant::now();
    let mut count = 0_u64;
    while start.elapsed() < PATIENCE {
        let at = count * page.len() as u64 % SYNCED_FILE_BYTES;
        file.write_all_at(&page, at).map_err(failed())?;
        file.sync_data().map_err(failed())?;
        count += 1;
    }
    let rate = count as f64 / start.elapsed().as_secs_f64();
    std::fs::remove_file(&path).map_err(failed())?;
    Ok(rate)
}

/// Gigabytes a second that `work` gets through, `bytes` at a time.
fn gigabytes_per_second(bytes: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < PATIENCE {
        work();
        count += 1;
    }
    (bytes * count) as f64 / start.elapsed().as_secs_f64() / 1e9
}

fn memcpy() -> f64 {
    let from = vec![1_u8; MEMORY_BYTES];
    let mut to = vec![0_u8; MEMORY_BYTES];
    gigabytes_per_second(MEMORY_BYTES, || {
        to.copy_from_slice(black_box(&from));
        black_box(&mut to);
    })
}

fn crc32c() -> f64 {
    let bytes = vec![1_u8; MEMORY_BYTES];
    gigabytes_per_second(MEMORY_BYTES, || {
        black_box(crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, black_box(&bytes)));
    })
}

fn loopback() -> Result<f64> {
    let failed = || BenchError::io("loopback");
    let listener = TcpListener::bind("127.0.0.1:0").map_err(failed())?;
    let address = listener.local_addr().map_err(failed())?;
    let echo = std::thread::spawn(move || -> std::io::Result<()> {
        let (mut stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let mut byte = [0];
        while stream.read(&mut byte)? == 1 {
            stream.write_all(&byte)?;
        }
        Ok(())
    });
    let mut stream = TcpStream::connect(address).map_err(failed())?;
    stream.set_nodelay(true).map_err(failed())?;
    let mut byte = [0];
    let start = Instant::now();
    let mut count = 0;
    while start.elapsed() < PATIENCE {
        stream.write_all(&byte).map_err(failed())?;
        stream.read_exact(&mut byte).map_err(failed())?;
        count += 1;
    }
    let micros = start.elapsed().as_secs_f64() * 1e6 / f64::from(count);
    drop(stream);
    match echo.join() {
        Ok(echoed) => echoed.map_err(failed())?,
        Err(_) => return Err(BenchError::Program("the echoing thread panicked".to_owned())),
    }
    Ok(micros)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fifth_up_or_down_is_a_drift() {
        let limits = |figures: [f64; 3]| {
            let limit = |(i, figure)| Limit { name: format!("{i}"), figure, unit: "" };
            figures.into_iter().enumerate().map(limit).collect::<Vec<_>>()
        };
        let found = drifts(&limits([100.0, 100.0, 60.0]), &limits([81.0, 75.0, 100.0]));
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(shown, ["1, by 25 %", "2, by 40 %"]);
        assert_eq!(drifts(&limits([1.0; 3]), &[]), []);
    }
}
