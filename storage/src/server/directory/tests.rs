use super::*;
use std::sync::Arc;
use terrane_env::files::FileSystem;
use terrane_env::files::crash::{CrashFileSystem, CrashMode};

fn env(disk: &CrashFileSystem) -> Env {
    Env::system().with_files(Arc::new(disk.clone()))
}

const ROOT: &str = "/data/terrane";

#[test]
fn a_second_process_is_refused_until_the_first_is_gone() {
    let disk = CrashFileSystem::new(1);
    let env = env(&disk);
    let first = DataDirectory::open(&env, Path::new(ROOT)).unwrap();
    let second = DataDirectory::open(&env, Path::new(ROOT));
    assert!(matches!(second, Err(DirectoryError::InUse(_))), "{second:?}");
    first.release();
    DataDirectory::open(&env, Path::new(ROOT)).unwrap();
}

#[test]
fn a_newer_format_is_refused_and_nothing_touched() {
    let disk = CrashFileSystem::new(1);
    disk.create_dir_all(Path::new(ROOT)).unwrap();
    let newer = "terrane data directory, format 3\n";
    disk.write_new_durable(&Path::new(ROOT).join("FORMAT"), newer.as_bytes()).unwrap();
    let error = DataDirectory::open(&env(&disk), Path::new(ROOT)).unwrap_err();
    assert!(matches!(error, DirectoryError::NewerFormat { found: 3, .. }), "{error}");
    assert_eq!(disk.list(Path::new(ROOT)).unwrap(), ["FORMAT"]);
}

#[test]
fn someone_elses_directory_is_refused_and_nothing_touched() {
    let disk = CrashFileSystem::new(1);
    disk.create_dir_all(Path::new(ROOT)).unwrap();
    disk.write_new_durable(&Path::new(ROOT).join("thesis.tex"), b"x").unwrap();
    let error = DataDirectory::open(&env(&disk), Path::new(ROOT)).unwrap_err();
    assert!(matches!(error, DirectoryError::Foreign { .. }), "{error}");
    assert_eq!(disk.list(Path::new(ROOT)).unwrap(), ["thesis.tex"]);
}

#[test]
fn a_first_start_cut_anywhere_can_be_repeated() {
    let disk = CrashFileSystem::new(1);
    let clones = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (inside, taken) = (disk.clone(), clones.clone());
    disk.set_hook(move |_| {
        for mode in [CrashMode::DropUnsynced, CrashMode::Random, CrashMode::KeepWritten] {
            taken.lock().push(inside.crash_clone(3, mode));
        }
    });
    DataDirectory::open(&env(&disk), Path::new(ROOT)).unwrap();
    disk.clear_hook();
    let clones = std::mem::take(&mut *clones.lock());
    assert!(clones.len() > 20, "{}", clones.len());
    for clone in clones {
        DataDirectory::open(&env(&clone), Path::new(ROOT)).unwrap();
    }
}

/// A directory of format 1 stays one until somebody asks for more; wherever a crash cuts that, it is one or the other.
#[test]
fn an_older_format_is_opened_and_raised() {
    let disk = CrashFileSystem::new(1);
    disk.create_dir_all(Path::new(ROOT)).unwrap();
    let format = Path::new(ROOT).join("FORMAT");
    let older = b"terrane data directory, format 1\n";
    disk.write_new_durable(&format, older).unwrap();
    let env_of = env;
    let env = env_of(&disk);
    let directory = DataDirectory::open(&env, Path::new(ROOT)).unwrap();
    assert_eq!(disk.read(&format).unwrap(), older);
    let clones = Arc::new(parking_lot::Mutex::new(Vec::new()));
    let (inside, taken) = (disk.clone(), clones.clone());
    disk.set_hook(move |_| {
        for mode in [CrashMode::DropUnsynced, CrashMode::Random, CrashMode::KeepWritten] {
            taken.lock().push(inside.crash_clone(3, mode));
        }
    });
    directory.raise_format(&env).unwrap();
    disk.clear_hook();
    let newer = b"terrane data directory, format 2\n";
    assert_eq!(disk.read(&format).unwrap(), newer);
    directory.raise_format(&env).unwrap();
    let clones = std::mem::take(&mut *clones.lock());
    assert!(clones.len() > 5, "{}", clones.len());
    for clone in clones {
        let env = env_of(&clone);
        let directory = DataDirectory::open(&env, Path::new(ROOT)).unwrap();
        let found = clone.read(&format).unwrap();
        assert!(found == older || found == newer, "{found:?}");
        directory.raise_format(&env).unwrap();
        assert_eq!(clone.read(&format).unwrap(), newer);
    }
}
