//! What queries of a process that was killed have spilled: nobody else removes it.

use std::path::Path;
use terrane_env::IoError;
use terrane_env::files::FileSystem;

/// Removes it: the directories of `temporary`, each with its files. The caller holds the data directory's LOCK.
pub fn remove(files: &dyn FileSystem, temporary: &Path) -> Result<(), IoError> {
    if !files.exists(temporary)? {
        return Ok(());
    }
    for name in files.list(temporary)? {
        let directory = temporary.join(name);
        for name in files.list(&directory)? {
            files.remove(&directory.join(name))?;
        }
        files.remove_dir(&directory)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use terrane_env::files::crash::CrashFileSystem;

    #[test]
    fn nothing_is_left() {
        let files = CrashFileSystem::new(1);
        let temporary = Path::new("/data/tmp");
        remove(&files, temporary).unwrap();
        for directory in ["datafusion-a", "datafusion-b"] {
            files.create_dir_all(&temporary.join(directory)).unwrap();
        }
        files.create_new(&temporary.join("datafusion-a/sort")).unwrap();
        remove(&files, temporary).unwrap();
        assert!(files.list(temporary).unwrap().is_empty());
    }
}
