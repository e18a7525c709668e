//! The real file system keeps the contract, as far as one process can see it.

use super::*;

fn directory() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().to_owned();
    (directory, path)
}

#[test]
fn a_file_is_written_grown_cut_renamed_and_removed() {
    let (_keep, path) = directory();
    let (a, b) = (path.join("a"), path.join("b"));
    let file = SystemFileSystem.create_new(&a).unwrap();
    file.write_at(b"world", 6).unwrap();
    file.write_at(b"hello", 0).unwrap();
    file.sync_data().unwrap();
    assert_eq!(SystemFileSystem.read(&a).unwrap(), b"hello\0world");
    file.allocate(3_000_000).unwrap();
    assert_eq!(file.len().unwrap(), 3_000_000);
    file.allocate(5).unwrap();
    assert_eq!(SystemFileSystem.file_size(&a).unwrap(), 3_000_000);
    file.set_len(5).unwrap();
    SystemFileSystem.rename(&a, &b).unwrap();
    SystemFileSystem.sync_dir(&path).unwrap();
    assert_eq!(SystemFileSystem.list(&path).unwrap(), ["b"]);
    assert!(!SystemFileSystem.exists(&a).unwrap());
    SystemFileSystem.remove(&b).unwrap();
    let mut bytes = [0; 5];
    file.read_exact_at(&mut bytes, 0).unwrap();
    assert_eq!(&bytes, b"hello", "an open file outlives its name");
}

#[test]
fn errors_tell_operation_and_path() {
    let (_keep, path) = directory();
    let missing = path.join("missing");
    let error = SystemFileSystem.open_read(&missing).unwrap_err();
    assert!(error.is_not_found());
    assert_eq!(error.operation, Operation::Open);
    assert!(error.to_string().starts_with(&format!("cannot open {}", missing.display())));
    SystemFileSystem.write_new_durable(&missing, b"abc").unwrap();
    assert!(SystemFileSystem.create_new(&missing).unwrap_err().is_already_exists());
    let file = SystemFileSystem.open_read(&missing).unwrap();
    assert!(file.read_exact_at(&mut [0; 4], 0).unwrap_err().is_unexpected_eof());
    assert_eq!(file.write_at(b"x", 0).unwrap_err().operation, Operation::Write);
    assert_eq!(SystemFileSystem.open_write(&missing).unwrap().len().unwrap(), 3);
}

#[test]
fn directories_are_made_with_their_parents() {
    let (_keep, path) = directory();
    let deep = path.join("x/y/z");
    SystemFileSystem.create_dir_all(&deep).unwrap();
    SystemFileSystem.create_dir_all(&deep).unwrap();
    assert_eq!(SystemFileSystem.list(&path.join("x/y")).unwrap(), ["z"]);
    SystemFileSystem.write_new_durable(&deep.join("f"), b"").unwrap();
    assert!(SystemFileSystem.remove_dir(&deep).is_err());
    assert!(SystemFileSystem.create_dir_all(&deep.join("f/g")).is_err());
    SystemFileSystem.remove(&deep.join("f")).unwrap();
    SystemFileSystem.remove_dir(&deep).unwrap();
    assert!(!SystemFileSystem.exists(&deep).unwrap());
}

#[test]
fn a_lock_has_one_holder() {
    let (_keep, path) = directory();
    let lock = path.join("LOCK");
    let held = SystemFileSystem.lock_exclusive(&lock).unwrap();
    assert!(SystemFileSystem.lock_exclusive(&lock).unwrap_err().is_locked());
    drop(held);
    SystemFileSystem.lock_exclusive(&lock).unwrap();
    assert!(SystemFileSystem.available_bytes(&path).unwrap() > 0);
}
