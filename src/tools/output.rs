//! Standard output of the tools, which a reader may close when it has seen enough.

use std::fmt;
use std::io::{self, BufWriter, ErrorKind, StdoutLock, Write};

/// See the module's documentation.
pub struct Output {
    out: BufWriter<StdoutLock<'static>>,
    /// The reader has gone: what is printed now goes nowhere.
    is_closed: bool,
}

impl Output {
    /// Standard output, for this tool alone.
    pub fn new() -> Self {
        Self { out: BufWriter::new(io::stdout().lock()), is_closed: false }
    }

    /// Whether anyone reads: a dump may end, a check goes on for the sake of its exit status.
    pub fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Prints a line.
    pub fn line(&mut self, line: impl fmt::Display) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let written = writeln!(self.out, "{line}");
        self.unless_closed(written)
    }

    /// Prints what is held back.
    pub fn finish(&mut self) -> io::Result<()> {
        if self.is_closed {
            return Ok(());
        }
        let flushed = self.out.flush();
        self.unless_closed(flushed)
    }

    fn unless_closed(&mut self, done: io::Result<()>) -> io::Result<()> {
        match done {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.is_closed = true;
                Ok(())
            }
            done => done,
        }
    }
}

/// Bytes in hex and, where all of them can be printed, as text; long ones cut.
pub struct Bytes<'a>(pub &'a [u8]);

/// Bytes of a key or cell that are printed at most.
const SHOWN_BYTES_MAX: usize = 64;

impl fmt::Display for Bytes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (shown, rest) = self.0.split_at(self.0.len().min(SHOWN_BYTES_MAX));
        if shown.is_empty() {
            return f.write_str("-");
        }
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))?;
        if !rest.is_empty() {
            write!(f, "… ({} bytes)", self.0.len())?;
        }
        match std::str::from_utf8(shown) {
            Ok(text) if !text.chars().any(char::is_control) => write!(f, " \"{text}\""),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_hex_and_text_where_they_can_be_printed() {
        assert_eq!(Bytes(b"ab").to_string(), "6162 \"ab\"");
        assert_eq!(Bytes(b"a\0").to_string(), "6100");
        assert_eq!(Bytes(b"").to_string(), "-");
        let long = Bytes(&[0xff; 100]).to_string();
        assert!(long.ends_with("… (100 bytes)") && long.starts_with("ffff"), "{long}");
    }
}
