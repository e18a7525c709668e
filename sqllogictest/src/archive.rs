//! Archives of test files: `.tar.xz`, unpacked by the `xz` and `tar` commands, and `.tar.zst`, the form of
//! our own excerpts, which needs no command.

use std::ffi::OsStr;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;
use std::process::{Command, Stdio};

pub mod tar;

/// Why an archive cannot be unpacked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ArchiveError {
    /// The operating system refused something.
    #[error("{0}")]
    Io(#[from] std::io::Error),
    /// A command is not there.
    #[error("unpacking needs the `{command}` command, which does not start: {source}")]
    NoCommand {
        /// The command.
        command: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A command failed.
    #[error("`{command}` failed: {status}")]
    CommandFailed {
        /// The command.
        command: &'static str,
        /// How.
        status: std::process::ExitStatus,
    },
    /// It is not what its name says.
    #[error("at byte {at} of the unpacked archive: {what}")]
    Corrupt {
        /// Where.
        at: u64,
        /// What is wrong.
        what: String,
    },
}

/// Unpacks an archive into a temporary directory; `None` if it is none of ours by its name.
pub fn unpack(path: &Path) -> Result<Option<tempfile::TempDir>, ArchiveError> {
    let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
    let directory = || tempfile::Builder::new().prefix("slt-").tempdir();
    if name.ends_with(".tar.xz") {
        let directory = directory()?;
        unpack_xz(path, directory.path())?;
        Ok(Some(directory))
    } else if name.ends_with(".tar.zst") {
        let directory = directory()?;
        let reader = zstd::Decoder::new(File::open(path)?)?;
        tar::read(BufReader::new(reader), |name, content| {
            let target = directory.path().join(name);
            if let Some(parent) = target.parent() {
                std::fs::create_dir_all(parent)?;
            }
            std::fs::write(target, content)
        })?;
        Ok(Some(directory))
    } else {
        Ok(None)
    }
}

fn unpack_xz(path: &Path, directory: &Path) -> Result<(), ArchiveError> {
    let mut xz = Command::new("xz")
        .args(["--decompress", "--stdout", "--"])
        .arg(path)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|source| ArchiveError::NoCommand { command: "xz", source })?;
    let Some(pipe) = xz.stdout.take() else { unreachable!("its standard output is piped") };
    let tar = Command::new("tar")
        .args(["--extract", "--no-same-owner", "--file", "-", "--directory"])
        .arg(directory)
        .stdin(Stdio::from(pipe))
        .status()
        .map_err(|source| ArchiveError::NoCommand { command: "tar", source });
    let status = xz.wait()?;
    let tar = tar?;
    if !status.success() {
        return Err(ArchiveError::CommandFailed { command: "xz", status });
    }
    if !tar.success() {
        return Err(ArchiveError::CommandFailed { command: "tar", status: tar });
    }
    Ok(())
}
