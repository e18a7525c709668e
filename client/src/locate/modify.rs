//! Row programs, sent to the servers that hold their rows.

use super::TabletClient;
use crate::error::TabletError;
use crate::ids::CommitTs;
use crate::program::{Atomicity, ModifyRequest, ModifyResponse, RowError, RowOutcome, RowProgram};
use std::sync::Arc;

type RowResult = Result<RowOutcome, RowError>;

impl TabletClient {
    /// Runs row programs, as [`crate::service::TabletService::modify_rows`]. Where the rows are on several
    /// servers, each server's are all or nothing by themselves (rule 30): if one server applied its rows
    /// and another did not, the answer is [`TabletError::PartlyApplied`]. Such a request must not be
    /// repeated; one on a single server may be.
    pub async fn modify_rows(&self, request: ModifyRequest) -> Result<ModifyResponse, TabletError> {
        let mut attempt = 0;
        loop {
            match self.try_modify(&request).await {
                Ok(response) => return Ok(response),
                // NotServing means that nothing was done, so the same request may be sent again.
                Err(error) => self.retry(&mut attempt, error).await?,
            }
        }
    }

    async fn try_modify(&self, request: &ModifyRequest) -> Result<ModifyResponse, TabletError> {
        let groups = self.programs_by_server(&request.programs).await?;
        match &groups[..] {
            [] => Ok(ModifyResponse { commit_ts: CommitTs::ABSENT, results: Vec::new() }),
            [(server, places)] => {
                let table = request.programs[places[0]].table;
                self.server(table, server)?.modify_rows(request.clone()).await
            }
            _ => self.modify_servers(request, &groups).await,
        }
    }

    async fn programs_by_server(
        &self,
        programs: &[RowProgram],
    ) -> Result<Vec<(Arc<str>, Vec<usize>)>, TabletError> {
        let mut groups: Vec<(Arc<str>, Vec<usize>)> = Vec::new();
        for (place, program) in programs.iter().enumerate() {
            let location = self.locate(program.table, &program.key).await?;
            match groups.iter_mut().find(|(server, _)| *server == location.server) {
                Some((_, places)) => places.push(place),
                None => groups.push((location.server.clone(), vec![place])),
            }
        }
        Ok(groups)
    }

    async fn modify_servers(
        &self,
        request: &ModifyRequest,
        groups: &[(Arc<str>, Vec<usize>)],
    ) -> Result<ModifyResponse, TabletError> {
        let of = request.programs.len();
        let all_or_none = request.atomicity == Atomicity::AllOrNone;
        let mut results: Vec<Option<RowResult>> = vec![None; of];
        let (mut commit_ts, mut applied) = (CommitTs::ABSENT, 0);
        for (server, places) in groups {
            let programs: Vec<RowProgram> =
                places.iter().map(|place| request.programs[*place].clone()).collect();
            let table = programs[0].table;
            // A server must not take one part of the request for a repetition of another part.
            let part = ModifyRequest { request: self.request_id(), programs, ..request.clone() };
            let answer = match self.server(table, server) {
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
            for (place, result) in places.iter().zip(answer.results) {
                results[*place] = Some(result);
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
