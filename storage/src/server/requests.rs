//! Requests already done, so that a retry is answered and not repeated (rule 5).
//!
//! Only requests that wrote something are kept: one that wrote nothing can be run again. What is kept of
//! an answer is a commit timestamp and two bits a program; an answer that does not fit (rows returned,
//! some programs failed, more than 32 programs, known only from the log) makes a retry
//! [`Seen::OutcomeUnknown`]. What was done before a start is known from the log and, where its records are gone, from
//! the files of the tablets ([`crate::request_ids`]).
//!
//! Bounded: the oldest entries go first, and each frontend's largest forgotten number is remembered, so
//! that a retry from before is refused rather than run again. A frontend must therefore not hold a number
//! back while it sends [`ENTRIES_MAX`] others.

use crate::compaction::output::requests_of;
use crate::request_ids::RequestHistory;
use crate::scan::Run;
use hashbrown::HashMap;
use parking_lot::Mutex;
use std::collections::VecDeque;
use std::sync::Arc;
use terrane_client::error::TabletError;
use terrane_client::ids::{CommitTs, RequestId};
use terrane_client::program::{ModifyResponse, RowError, RowOutcome};

/// Requests remembered: about 4 MiB.
pub const ENTRIES_MAX: usize = 65_536;

const PROGRAMS_MAX: usize = 32;

/// What the table knows of a request.
#[derive(Clone, Debug, PartialEq)]
pub enum Seen {
    /// Nothing: run it, then call [`Requests::done`] or [`Requests::wrote_nothing`].
    New,
    /// It was done and answered so.
    Answered(ModifyResponse),
    /// It is being done, or was, and its answer is not kept.
    OutcomeUnknown,
}

#[derive(Clone, Copy, Debug)]
enum Entry {
    Running,
    Done { commit_ts: CommitTs, programs: u8, outcomes: u64 },
    DoneUnknown,
}

#[derive(Debug, Default)]
struct State {
    entries: HashMap<RequestId, Entry>,
    order: VecDeque<RequestId>,
    /// Per client: the largest number that was forgotten.
    forgotten: HashMap<u64, u64>,
    /// What the log and the files of tablets say was done before this server started.
    recovered: RequestHistory,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Requests {
    state: Mutex<State>,
}

impl Requests {
    /// Looks a request up and, when new, marks it as running.
    pub fn begin(&self, request: RequestId) -> Seen {
        if !request.is_named() {
            return Seen::New;
        }
        let mut state = self.state.lock();
        match state.entries.get(&request).copied() {
            Some(Entry::Done { commit_ts, programs, outcomes }) => {
                Seen::Answered(unpack(commit_ts, programs, outcomes))
            }
            Some(Entry::Running | Entry::DoneUnknown) => Seen::OutcomeUnknown,
            None => {
                if state.recovered.contains(request) {
                    return Seen::OutcomeUnknown;
                }
                let forgotten = state.forgotten.get(&request.client);
                if forgotten.is_some_and(|&number| request.number <= number) {
                    return Seen::OutcomeUnknown;
                }
                state.insert(request, Entry::Running);
                Seen::New
            }
        }
    }

    /// The request's mutations are sequenced and this is its answer.
    pub fn done(&self, request: RequestId, response: &ModifyResponse) {
        if request.is_named() {
            let entry = pack(response);
            if let Some(slot) = self.state.lock().entries.get_mut(&request) {
                *slot = entry;
            }
        }
    }

    /// Some of the request may have been sequenced, and there is no answer.
    pub fn failed_part_way(&self, request: RequestId) {
        if request.is_named()
            && let Some(slot) = self.state.lock().entries.get_mut(&request)
        {
            *slot = Entry::DoneUnknown;
        }
    }

    /// The request changed nothing; it may be run again.
    pub fn wrote_nothing(&self, request: RequestId) {
        if request.is_named() {
            let mut state = self.state.lock();
            state.entries.remove(&request);
            // Almost always the newest: keep the queue as long as the map.
            if let Some(place) = state.order.iter().rposition(|&queued| queued == request) {
                state.order.remove(place);
            }
        }
    }

    /// The log holds a mutation of this request.
    pub fn recovered(&self, request: RequestId, commit_ts: CommitTs) {
        self.state.lock().recovered.add_one(commit_ts, request);
    }

    /// These runs' files are of a tablet that is about to be served.
    pub fn recovered_in(&self, runs: &[Arc<Run>], now_micros: i64) -> Result<(), TabletError> {
        let mut requests = requests_of_runs(runs)?;
        requests.forget_old(now_micros);
        let recovered = &mut self.state.lock().recovered;
        recovered.forget_old(now_micros);
        recovered.extend(&requests);
        Ok(())
    }
}

impl State {
    fn insert(&mut self, request: RequestId, entry: Entry) {
        self.entries.insert(request, entry);
        self.order.push_back(request);
        if self.order.len() > ENTRIES_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.entries.remove(&oldest);
            let forgotten = self.forgotten.entry(oldest.client).or_default();
            *forgotten = (*forgotten).max(oldest.number);
        }
    }
}

fn pack(response: &ModifyResponse) -> Entry {
    if response.results.len() > PROGRAMS_MAX {
        return Entry::DoneUnknown;
    }
    let mut outcomes = 0u64;
    for (i, result) in response.results.iter().enumerate() {
        let bits = match result {
            Ok(RowOutcome::Unmatched) => 0,
            Ok(RowOutcome::Applied { inserted: false, row: None }) => 1,
            Ok(RowOutcome::Applied { inserted: true, row: None }) => 2,
            Ok(RowOutcome::Applied { row: Some(_), .. }) | Err(_) => return Entry::DoneUnknown,
        };
        outcomes |= bits << (2 * i);
    }
    let programs = u8::try_from(response.results.len()).expect("at most 32 programs are packed");
    Entry::Done { commit_ts: response.commit_ts, programs, outcomes }
}

fn unpack(commit_ts: CommitTs, programs: u8, outcomes: u64) -> ModifyResponse {
    let outcome = |i: u8| -> Result<RowOutcome, RowError> {
        Ok(match (outcomes >> (2 * i)) & 3 {
            0 => RowOutcome::Unmatched,
            bits => RowOutcome::Applied { inserted: bits == 2, row: None },
        })
    };
    ModifyResponse { commit_ts, results: (0..programs).map(outcome).collect() }
}

/// The requests that the files of some runs remember.
pub fn requests_of_runs(runs: &[Arc<Run>]) -> Result<RequestHistory, TabletError> {
    let mut requests = RequestHistory::default();
    for file in runs.iter().flat_map(|run| run.files()) {
        let of_file = requests_of(file.table.properties()).map_err(|error| {
            let (file, what) = (file.table.file_name(), error.to_string());
            TabletError::Corruption { file, offset: 0, what }
        })?;
        requests.extend(&of_file);
    }
    Ok(requests)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(client: u64, number: u64) -> RequestId {
        RequestId { client, number }
    }

    fn response(results: Vec<Result<RowOutcome, RowError>>) -> ModifyResponse {
        ModifyResponse { commit_ts: CommitTs(77), results }
    }

    #[test]
    fn a_retry_gets_the_recorded_answer() {
        let requests = Requests::default();
        assert_eq!(requests.begin(id(1, 1)), Seen::New);
        assert_eq!(requests.begin(id(1, 1)), Seen::OutcomeUnknown, "still running");
        let answer = response(vec![
            Ok(RowOutcome::Unmatched),
            Ok(RowOutcome::Applied { inserted: true, row: None }),
            Ok(RowOutcome::Applied { inserted: false, row: None }),
        ]);
        requests.done(id(1, 1), &answer);
        assert_eq!(requests.begin(id(1, 1)), Seen::Answered(answer));
        assert_eq!(requests.begin(id(2, 1)), Seen::New, "another frontend's number");
    }

    #[test]
    fn what_wrote_nothing_may_run_again_and_what_is_not_kept_may_not() {
        let requests = Requests::default();
        requests.begin(id(1, 1));
        requests.wrote_nothing(id(1, 1));
        assert_eq!(requests.begin(id(1, 1)), Seen::New);
        requests.done(id(1, 1), &response(vec![Err(RowError::AlreadyExists)]));
        assert_eq!(requests.begin(id(1, 1)), Seen::OutcomeUnknown);
        requests.recovered(id(1, 2), CommitTs(5));
        assert_eq!(requests.begin(id(1, 2)), Seen::OutcomeUnknown);
        assert_eq!(requests.begin(RequestId::default()), Seen::New);
        assert_eq!(requests.begin(RequestId::default()), Seen::New, "no id, no memory");
    }

    #[test]
    fn a_forgotten_request_is_refused_not_repeated() {
        let requests = Requests::default();
        for number in 1..=(ENTRIES_MAX as u64 + 2) {
            assert_eq!(requests.begin(id(1, number)), Seen::New);
        }
        assert_eq!(requests.begin(id(1, 2)), Seen::OutcomeUnknown);
        assert_eq!(requests.begin(id(2, 2)), Seen::New);
        assert!(requests.state.lock().entries.len() <= ENTRIES_MAX);
    }
}
