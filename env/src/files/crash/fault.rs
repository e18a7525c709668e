//! Fault rules: which operations fail, when, and how.

use crate::error::Operation;
use crate::random::SplitMix64;
use std::io;
use std::path::Path;

/// What a failing operation reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// EIO. A failed write leaves a random part of its sectors, a failed sync makes a random part of the
    /// unsynced writes durable and the rest unreachable for later syncs.
    Io,
    /// ENOSPC. A failed write leaves nothing.
    DiskFull,
}

impl FaultKind {
    pub(super) fn error(self) -> io::Error {
        match self {
            FaultKind::Io => io::Error::from_raw_os_error(libc::EIO),
            FaultKind::DiskFull => io::Error::from_raw_os_error(libc::ENOSPC),
        }
    }
}

/// When a rule fires, among the operations it matches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Trigger {
    /// Every time.
    Always,
    /// Once: on the nth, counted from 1.
    Nth(u64),
    /// On the nth and all later ones.
    From(u64),
    /// Each time with this probability.
    Probability(f64),
}

/// One rule.
#[derive(Clone, Debug)]
pub struct Fault {
    path: String,
    operation: Option<Operation>,
    trigger: Trigger,
    kind: FaultKind,
}

impl Fault {
    /// Fails every operation on every path whose text contains `path`.
    pub fn on(path: &str, kind: FaultKind) -> Self {
        Self { path: path.to_owned(), operation: None, trigger: Trigger::Always, kind }
    }

    /// Only this operation.
    pub fn operation(mut self, operation: Operation) -> Self {
        self.operation = Some(operation);
        self
    }

    /// Only then.
    pub fn when(mut self, trigger: Trigger) -> Self {
        self.trigger = trigger;
        self
    }
}

/// The rules of one file system and how often each has matched.
#[derive(Debug, Default)]
pub(super) struct Faults {
    rules: Vec<(Fault, u64)>,
}

impl Faults {
    pub(super) fn add(&mut self, fault: Fault) {
        self.rules.push((fault, 0));
    }

    pub(super) fn clear(&mut self) {
        self.rules.clear();
    }

    /// Counts the operation in every rule that matches it; the first that fires decides.
    pub(super) fn check(
        &mut self,
        operation: Operation,
        path: &Path,
        random: &mut SplitMix64,
    ) -> Option<FaultKind> {
        let mut fired = None;
        for (fault, count) in &mut self.rules {
            let matches = fault.operation.is_none_or(|wanted| wanted == operation)
                && path.to_string_lossy().contains(&fault.path);
            if !matches {
                continue;
            }
            *count += 1;
            let fires = match fault.trigger {
                Trigger::Always => true,
                Trigger::Nth(nth) => *count == nth,
                Trigger::From(nth) => *count >= nth,
                Trigger::Probability(probability) => random.chance(probability),
            };
            if fires && fired.is_none() {
                fired = Some(fault.kind);
            }
        }
        fired
    }
}
