//! The small part of the tar format (POSIX ustar) that an archive of text files needs.
//!
//! An archive is a row of 512-byte blocks: a header, then the content, padded to whole blocks, for each
//! file; two zero blocks at the end. Written archives hold neither times nor owners: the same files make
//! the same bytes.

use std::io::{Read, Write};
use std::path::{Component, Path};

use super::ArchiveError;

const BLOCK: usize = 512;
// Header fields: offset and length. Numbers are octal text.
const NAME: (usize, usize) = (0, 100);
const MODE: (usize, usize) = (100, 8);
const OWNER: (usize, usize) = (108, 8);
const GROUP: (usize, usize) = (116, 8);
const SIZE: (usize, usize) = (124, 12);
const MODIFIED: (usize, usize) = (136, 12);
const CHECKSUM: (usize, usize) = (148, 8);
const KIND: usize = 156;
const MAGIC: (usize, usize) = (257, 8);
const PREFIX: (usize, usize) = (345, 155);
/// No file of ours is larger; a header that says so is broken.
const SIZE_MAX: u64 = 1 << 30;

/// Hands every regular file to `sink`, by name and content. Names that lead out of the archive are an
/// error.
pub fn read(
    mut from: impl Read,
    mut sink: impl FnMut(&str, &[u8]) -> std::io::Result<()>,
) -> Result<(), ArchiveError> {
    let mut at = 0u64;
    loop {
        let mut header = [0; BLOCK];
        from.read_exact(&mut header)?;
        if header.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let corrupt = |what: &str| ArchiveError::Corrupt { at, what: what.to_owned() };
        if number(&header, CHECKSUM) != Some(checksum(&header)) {
            return Err(corrupt("a header whose checksum is wrong"));
        }
        let size = number(&header, SIZE).filter(|size| *size <= SIZE_MAX);
        let size = size.ok_or_else(|| corrupt("a file without a size"))?;
        let name = [text(&header, PREFIX), text(&header, NAME)]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("/");
        if !Path::new(&name).components().all(|c| matches!(c, Component::Normal(_))) {
            return Err(corrupt("a name that leads out of the archive"));
        }
        let padded = size.next_multiple_of(BLOCK as u64);
        let mut content = Vec::new();
        from.by_ref().take(padded).read_to_end(&mut content)?;
        if content.len() as u64 != padded {
            return Err(corrupt("a file cut short"));
        }
        content.truncate(usize::try_from(size).unwrap_or(0));
        if matches!(header[KIND], 0 | b'0') {
            sink(&name, &content)?;
        }
        at += BLOCK as u64 + padded;
    }
}

/// Writes a file.
pub fn write(to: &mut impl Write, name: &str, content: &[u8]) -> std::io::Result<()> {
    let (prefix, base) = split_name(name)
        .ok_or_else(|| std::io::Error::other(format!("a name too long for ustar: {name}")))?;
    let mut header = [0; BLOCK];
    put(&mut header, NAME, base.as_bytes());
    put(&mut header, PREFIX, prefix.as_bytes());
    put(&mut header, MODE, b"0000644");
    put(&mut header, OWNER, b"0000000");
    put(&mut header, GROUP, b"0000000");
    put(&mut header, SIZE, format!("{:011o}", content.len()).as_bytes());
    put(&mut header, MODIFIED, b"00000000000");
    put(&mut header, MAGIC, b"ustar\x0000");
    header[KIND] = b'0';
    let sum = format!("{:06o}\0 ", checksum(&header));
    put(&mut header, CHECKSUM, sum.as_bytes());
    to.write_all(&header)?;
    to.write_all(content)?;
    let padding = content.len().next_multiple_of(BLOCK) - content.len();
    to.write_all(&[0; BLOCK][..padding])
}

/// Writes the end of an archive.
pub fn finish(to: &mut impl Write) -> std::io::Result<()> {
    to.write_all(&[0; 2 * BLOCK])
}

/// A name as prefix and base, cut at a slash where it must be.
fn split_name(name: &str) -> Option<(&str, &str)> {
    if name.len() <= NAME.1 {
        return Some(("", name));
    }
    name.match_indices('/')
        .map(|(i, _)| (&name[..i], &name[i + 1..]))
        .find(|(prefix, base)| prefix.len() <= PREFIX.1 && base.len() <= NAME.1)
}

fn put(header: &mut [u8; BLOCK], (offset, length): (usize, usize), value: &[u8]) {
    debug_assert!(value.len() <= length, "a value longer than its field");
    header[offset..offset + value.len()].copy_from_slice(value);
}

fn text(header: &[u8; BLOCK], (offset, length): (usize, usize)) -> String {
    let field = &header[offset..offset + length];
    let end = field.iter().position(|byte| *byte == 0).unwrap_or(length);
    String::from_utf8_lossy(&field[..end]).into_owned()
}

fn number(header: &[u8; BLOCK], field: (usize, usize)) -> Option<u64> {
    u64::from_str_radix(text(header, field).trim(), 8).ok()
}

/// The sum of the header's bytes, its own field taken as spaces.
fn checksum(header: &[u8; BLOCK]) -> u64 {
    let (from, length) = CHECKSUM;
    let in_field = |i: usize| (from..from + length).contains(&i);
    header.iter().enumerate().map(|(i, b)| u64::from(if in_field(i) { b' ' } else { *b })).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn archive(files: &[(&str, &str)]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for (name, content) in files {
            write(&mut bytes, name, content.as_bytes()).unwrap();
        }
        finish(&mut bytes).unwrap();
        bytes
    }

    fn names(bytes: &[u8]) -> Result<Vec<(String, usize)>, ArchiveError> {
        let mut names = Vec::new();
        read(bytes, |name, content| {
            names.push((name.to_owned(), content.len()));
            Ok(())
        })?;
        Ok(names)
    }

    #[test]
    fn files_come_back() {
        let long = format!("{}/x.test", "d".repeat(120));
        let bytes = archive(&[("a/b.test", "x"), (&long, &"y".repeat(1024)), ("empty", "")]);
        assert_eq!(bytes.len() % BLOCK, 0);
        let expected = [("a/b.test".to_owned(), 1), (long.clone(), 1024), ("empty".to_owned(), 0)];
        assert_eq!(names(&bytes).unwrap(), expected);
    }

    #[test]
    fn the_tar_command_reads_them_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.tar");
        std::fs::write(&path, archive(&[("a/b.test", "hello\n")])).unwrap();
        let listing = std::process::Command::new("tar").arg("-tf").arg(&path).output().unwrap();
        assert!(listing.status.success());
        assert_eq!(String::from_utf8_lossy(&listing.stdout), "a/b.test\n");
    }

    #[test]
    fn broken_archives_are_refused() {
        let good = archive(&[("a.test", "hello")]);
        assert!(names(&good[..600]).is_err(), "cut short");
        let mut flipped = good.clone();
        flipped[0] ^= 1;
        assert!(names(&flipped).is_err(), "a flipped bit in a header");
        assert!(names(&archive(&[("../a.test", "hello")])).is_err(), "a way out");
    }
}
