//! Everything nondeterministic behind one door.
//!
//! No other crate reads a clock, draws a random number, opens a file or starts a thread by itself
//! (`clippy.toml` forbids it): each takes an [`Env`]. A test passes one whose clock stands still, whose
//! random numbers are seeded and whose disk can lose power at any moment.
//!
//! | module | what it holds |
//! |---|---|
//! | [`clock`] | wall time and monotonic time; [`clock::ManualClock`] for tests |
//! | [`random`] | random numbers; [`random::SeededRandom`] for tests |
//! | [`files`] | [`files::FileSystem`]: the real one, and [`files::crash::CrashFileSystem`], which loses power |
//! | [`threads`] | named threads with a scheduling class |
//! | [`failpoint`] | named places where a test makes things fail, wait or crash |
//! | [`error`] | a failed file operation |
//!
//! Time and tasks of the wire layer are tokio's own; nothing there decides what is stored.

pub mod clock;
pub mod error;
pub mod failpoint;
pub mod files;
pub mod random;
pub mod threads;

pub use error::{IoError, Operation};

use std::sync::Arc;

/// The world as one process sees it. Cheap to clone; clones share everything.
#[derive(Clone, Debug)]
pub struct Env {
    /// Wall and monotonic time.
    pub clock: Arc<dyn clock::Clock>,
    /// Random numbers.
    pub random: Arc<dyn random::Random>,
    /// Files.
    pub files: Arc<dyn files::FileSystem>,
    /// Threads.
    pub threads: Arc<dyn threads::Threads>,
    /// This environment's failpoints; none is armed until a test arms it.
    pub failpoints: Arc<failpoint::Failpoints>,
}

impl Env {
    /// The real world.
    pub fn system() -> Self {
        Self {
            clock: Arc::new(clock::SystemClock::new()),
            random: Arc::new(random::SystemRandom),
            files: Arc::new(files::system::SystemFileSystem),
            threads: Arc::new(threads::system::SystemThreads),
            failpoints: Arc::new(failpoint::Failpoints::default()),
        }
    }

    /// The same world with other files.
    pub fn with_files(mut self, files: Arc<dyn files::FileSystem>) -> Self {
        self.files = files;
        self
    }

    /// The same world with another clock.
    pub fn with_clock(mut self, clock: Arc<dyn clock::Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// The same world with other random numbers.
    pub fn with_random(mut self, random: Arc<dyn random::Random>) -> Self {
        self.random = random;
        self
    }
}
