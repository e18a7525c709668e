//! The exclude list: records that a reference server does not pass either.
//!
//! Tab-separated lines `FILE LINE WHY`, more columns are ignored; `#` begins a comment. FILE is the end of
//! a path, at a folder's border, so that one list serves wherever the files were unpacked. A list of
//! failures (`--list-failures`) has this shape.

use std::collections::{HashMap, HashSet};
use std::path::Path;

/// The list.
#[derive(Debug, Default)]
pub struct Excludes {
    files: HashMap<String, HashSet<u32>>,
}

/// A line of another shape.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not FILE<tab>LINE<tab>WHY")]
pub struct BadLine(pub usize);

impl Excludes {
    /// Adds the lines of a list.
    pub fn add(&mut self, text: &str) -> Result<(), BadLine> {
        for (i, line) in text.lines().enumerate() {
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let mut columns = line.split('\t');
            let file = columns.next().unwrap_or_default();
            let number = columns.next().and_then(|n| n.parse().ok()).ok_or(BadLine(i + 1))?;
            self.files.entry(file.to_owned()).or_default().insert(number);
        }
        Ok(())
    }

    /// The excluded lines of a file.
    pub fn of(&self, path: &Path) -> HashSet<u32> {
        let mut lines = HashSet::new();
        let path = path.to_string_lossy();
        let mut rest = Some(path.as_ref());
        while let Some(end) = rest {
            if let Some(found) = self.files.get(end) {
                lines.extend(found);
            }
            rest = end.split_once('/').map(|(_, tail)| tail);
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_matches_by_its_end() {
        let mut list = Excludes::default();
        list.add("# why not\ntest/a.test\t7\terror\ntest/a.test\t9\tresult\tmore\n").unwrap();
        assert_eq!(list.of(Path::new("/tmp/x/test/a.test")), HashSet::from([7, 9]));
        assert_eq!(list.of(Path::new("test/a.test")), HashSet::from([7, 9]));
        assert!(list.of(Path::new("/tmp/x/latest/a.test")).is_empty());
        assert_eq!(list.add("test/a.test seven\n"), Err(BadLine(1)));
    }
}
