//! Row programs, sent to the servers that hold their rows.

use super::{Location, TabletClient};
use crate::error::TabletError;
use crate::ids::CommitTs;
use crate::program::{Atomicity, ModifyRequest, ModifyResponse, RowError, RowOutcome, RowProgram};
use crate::service::Applied;
use std::ops::Range;
use std::sync::Arc;

type RowResult = Result<RowOutcome, RowError>;

/// The programs of a batch whose rows are on one server.
struct Group {
    server: Arc<str>,
    /// Their places in the batch, ascending; no range is empty.
    places: Vec<Range<usize>>,
}

impl Group {
    /// Adds a place behind those that are there.
    fn add(&mut self, place: usize) {
        match self.places.last_mut() {
            Some(last) if last.end == place => last.end += 1,
            _ => self.places.push(place..place + 1),
        }
    }
}

impl TabletClient {
    /// Runs row programs, as [`crate::service::TabletService::apply_rows`]. Where the rows are on several
    /// servers, each server's are all or nothing by themselves (rule 30): if one server applied its rows
    /// and another did not, the answer is [`TabletError::PartlyApplied`]. Such a request must not be
    /// repeated; one on a single server may be.
    pub async fn apply_rows(&self, request: ModifyRequest) -> Result<Applied, TabletError> {
        let mut attempt = 0;
        loop {
            match self.try_apply(&request).await {
                Ok(applied) => return Ok(applied),
                // NotServing means that nothing was done, so the same request may be sent again.
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    async fn try_apply(&self, request: &ModifyRequest) -> Result<Applied, TabletError> {
        let groups = self.programs_by_server(&request.programs).await?;
        match &groups[..] {
            [] => {
                let response = ModifyResponse { commit_ts: CommitTs::ABSENT, results: Vec::new() };
                Ok(Applied::durable(response))
            }
            [group] => {
                let table = request.programs[group.places[0].start].table;
                self.server(table, &group.server)?.apply_rows(request.clone()).await
            }
            _ => Ok(Applied::durable(self.modify_servers(request, &groups).await?)),
        }
    }

    async fn programs_by_server(&self, programs: &[RowProgram]) -> Result<Vec<Group>, TabletError> {
        let mut groups: Vec<Group> = Vec::new();
        // Neighbours in a batch are mostly on one tablet: its group, and the tablet.
        let mut last: Option<(usize, Arc<Location>)> = None;
        for (place, program) in programs.iter().enumerate() {
            if let Some((at, location)) = &last
                && location.table == program.table
                && location.range.contains(&program.key)
            {
                groups[*at].add(place);
                continue;
            }
            let location = self.locate(program.table, &program.key).await?;
            let known = groups.iter().position(|group| group.server == location.server);
            let at = known.unwrap_or(groups.len());
            match known {
                Some(at) => groups[at].add(place),
                None => groups.push(Group {
                    server: location.server.clone(),
                    places: std::iter::once(place..place + 1).collect(),
                }),
            }
            last = Some((at, location));
        }
        Ok(groups)
    }

    async fn modify_servers(
        &self,
        request: &ModifyRequest,
        groups: &[Group],
    ) -> Result<ModifyResponse, TabletError> {
        let of = request.programs.len();
        let all_or_none = request.atomicity == Atomicity::AllOrNone;
        let mut results: Vec<Option<RowResult>> = vec![None; of];
        let (mut commit_ts, mut applied) = (CommitTs::ABSENT, 0);
        for group in groups {
            let places = || group.places.iter().cloned().flatten();
            let programs: Vec<RowProgram> =
                places().map(|place| request.programs[place].clone()).collect();
            let table = programs[0].table;
            let programs = Arc::new(programs);
            // A server must not take one part of the request for a repetition of another part.
            let part = ModifyRequest { request: self.request_id(), programs, ..request.clone() };
            let answer = match self.server(table, &group.server) {
                Ok(server) => server.modify_rows(part).await,
                Err(error) => Err(error),
            };
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) if applied == 0 => return Err(error),
                Err(error) => return Err(partly(applied, of, &error)),
            };
            let failed = answer.results.iter().find_map(|result| result.as_ref().err());
            if let (Some(error), true, true) = (failed, all_or_none, applied > 0) {
                return Err(partly(applied, of, error));
            }
            let stop = failed.is_some() && all_or_none;
            applied += answer.results.iter().filter(|result| is_applied(result)).count();
            commit_ts = commit_ts.max(answer.commit_ts);
            for (place, result) in places().zip(answer.results) {
                results[place] = Some(result);
            }
            if stop {
                // Nothing was applied anywhere; the programs of servers not asked say nothing.
                break;
            }
        }
        let results =
            results.into_iter().map(|result| result.unwrap_or(Ok(RowOutcome::Unmatched))).collect();
        Ok(ModifyResponse { commit_ts, results })
    }
}

fn is_applied(result: &RowResult) -> bool {
    matches!(result, Ok(RowOutcome::Applied { .. }))
}

fn partly(applied: usize, of: usize, cause: &dyn std::fmt::Display) -> TabletError {
    TabletError::PartlyApplied { applied, of, cause: cause.to_string() }
}
