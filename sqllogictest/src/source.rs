//! Which files are run, and what they are called in reports.

use std::path::{Path, PathBuf};

use crate::archive::{self, ArchiveError};

/// The two dialects of test files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dialect {
    /// `.test`: SQLite's own.
    Sqlite,
    /// `.slt`: that of sqllogictest-rs.
    Slt,
}

/// A test file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Where it is.
    pub path: PathBuf,
    /// Its name in lists: the path from the folder that was asked for, or in the archive.
    pub name: String,
    /// The folder it is reported under.
    pub group: String,
    /// Its dialect.
    pub dialect: Dialect,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Why there are no files to run.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SourceError {
    /// The operating system refused something.
    #[error("{}: {source}", .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// An archive cannot be unpacked.
    #[error("{}: {source}", .path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// Why.
        source: ArchiveError,
    },
    /// Neither a directory nor a kind of file we run.
    #[error("{}: neither a directory nor a .slt, .test, .tar.xz or .tar.zst file", .0.display())]
    UnknownKind(PathBuf),
    /// Nothing in it.
    #[error("{}: no .slt or .test file in it", .0.display())]
    Empty(PathBuf),
}

/// The files found, and the temporary directories that hold those of archives.
#[derive(Debug, Default)]
pub struct Sources {
    /// The files, by name.
    pub files: Vec<Source>,
    unpacked: Vec<tempfile::TempDir>,
    /// Whether the path being added has led to any file.
    found: bool,
}

impl Sources {
    /// All test files that `paths` name or contain, each once.
    pub fn find(paths: &[PathBuf]) -> Result<Self, SourceError> {
        let mut sources = Self::default();
        for path in paths {
            sources.add(path)?;
        }
        sources.files.sort_by(|a, b| (&a.group, &a.name).cmp(&(&b.group, &b.name)));
        Ok(sources)
    }

    /// The size of all files.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.bytes).sum()
    }

    fn add(&mut self, path: &Path) -> Result<(), SourceError> {
        let full = std::fs::canonicalize(path).map_err(|e| io(path, e))?;
        self.found = false;
        if full.is_dir() {
            self.add_directory(&full, full.parent().unwrap_or(&full))?;
        } else if dialect_of(&full).is_some() {
            let folder = full.parent().unwrap_or(Path::new("/"));
            self.add_file(&full, folder.parent().unwrap_or(folder))?;
        } else {
            let unpacked = archive::unpack(&full)
                .map_err(|source| SourceError::Archive { path: path.to_owned(), source })?
                .ok_or_else(|| SourceError::UnknownKind(path.to_owned()))?;
            self.add_directory(unpacked.path(), unpacked.path())?;
            self.unpacked.push(unpacked);
        }
        if !self.found {
            return Err(SourceError::Empty(path.to_owned()));
        }
        Ok(())
    }

    fn add_directory(&mut self, directory: &Path, root: &Path) -> Result<(), SourceError> {
        for entry in std::fs::read_dir(directory).map_err(|e| io(directory, e))? {
            let path = entry.map_err(|e| io(directory, e))?.path();
            if path.is_dir() {
                self.add_directory(&path, root)?;
            } else if dialect_of(&path).is_some() {
                self.add_file(&path, root)?;
            }
        }
        Ok(())
    }

    fn add_file(&mut self, path: &Path, root: &Path) -> Result<(), SourceError> {
        let Some(dialect) = dialect_of(path) else { return Ok(()) };
        self.found = true;
        if self.files.iter().any(|file| file.path == path) {
            return Ok(());
        }
        let bytes = std::fs::metadata(path).map_err(|e| io(path, e))?.len();
        let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
        let group = group_of(&name);
        self.files.push(Source { path: path.to_owned(), name, group, dialect, bytes });
        Ok(())
    }
}

/// The folder a file is reported under: at most two levels, without the `test/` that SQLite's corpus puts
/// around everything. A file in no folder is its own group, by its name.
fn group_of(name: &str) -> String {
    let name = name.strip_prefix("test/").unwrap_or(name);
    let mut parts: Vec<&str> = name.split('/').collect();
    let file = parts.pop().unwrap_or_default();
    if parts.is_empty() {
        return file.rsplit_once('.').map_or(file, |(stem, _)| stem).to_owned();
    }
    parts.truncate(2);
    parts.join("/")
}

fn dialect_of(path: &Path) -> Option<Dialect> {
    match path.extension()?.to_str()? {
        "test" => Some(Dialect::Sqlite),
        "slt" => Some(Dialect::Slt),
        _ => None,
    }
}

fn io(path: &Path, source: std::io::Error) -> SourceError {
    SourceError::Io { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn groups_are_folders_of_two_levels_or_single_files() {
        assert_eq!(group_of("test/index/delete/10/slt_good_0.test"), "index/delete");
        assert_eq!(group_of("test/evidence/in1.test"), "evidence");
        assert_eq!(group_of("test/select1.test"), "select1");
        assert_eq!(group_of("joins.slt"), "joins");
    }

    #[test]
    fn a_directory_is_searched_and_named_from_itself() {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(root.path().join("a/b")).unwrap();
        for name in ["a/b/x.slt", "a/y.test", "a/notes.txt"] {
            std::fs::write(root.path().join(name), "\n").unwrap();
        }
        let sources =
            Sources::find(&[root.path().to_owned(), root.path().join("a/y.test")]).unwrap();
        let folder = root.path().file_name().unwrap().to_str().unwrap();
        let names: Vec<_> = sources.files.iter().map(|f| f.name.as_str()).collect();
        assert_eq!(names, [format!("{folder}/a/b/x.slt"), format!("{folder}/a/y.test")]);
        assert!(matches!(
            Sources::find(&[root.path().join("a/notes.txt")]),
            Err(SourceError::UnknownKind(_))
        ));
    }
}
