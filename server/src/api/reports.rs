//! One report of an agent, on its way to the run. A report that cannot be taken now ends the session, so that it is
//! said again; one that can never be taken must not: the agent would say it again at once, and all its other work with
//! it would never be heard.

use engine::ReportBody;
use proto::v1::{self, session_down::Message as Down};
use tonic::Status;
use types::{AgentId, LeaseToken, RunId, SessionId};

use super::convert;
use crate::{
    Core, artifacts,
    runs::{Ask, RunError},
    store::StoreError,
};

/// # Errors
/// What ends the session.
pub(super) async fn reported(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    report: v1::Report,
) -> Result<(), Status> {
    let attempt = report.attempt.clone();
    let (token, run, mut ask, terminal) = match read(core, agent, session, report) {
        Ok(read) => read,
        Err(status) => {
            tracing::error!(%agent, why = status.message(), "a report that makes no sense is left out");
            return Ok(());
        }
    };
    if terminal {
        failpoint::reach("result.recv");
    }
    let mut left = false;
    if let Ask::Report {
        body: ReportBody::Finished(report),
        ..
    } = &mut ask
    {
        left = !report.artifacts.is_empty();
        artifacts::held(&core.store, &run, &token, report)
            .await
            .map_err(|error| super::errors::store_status(&error))?;
    }
    match core.runs.tell(&run, ask).await {
        Ok(()) => {
            if let Some(artifacts) = core.config.artifacts.as_ref().filter(|_| left) {
                artifacts.over(&run, &token).await;
            }
            Ok(())
        }
        Err(error @ (RunError::NotFound(_) | RunError::GivenUp(_))) => {
            // Of a history that this store does not have (a restored backup), or that nobody can go on with: nothing can
            // use it, and the agent's spool must not keep it for ever.
            tracing::error!(%agent, %run, %token, %error, "a report of a run that is not there");
            let token = token.to_string();
            let message = if terminal {
                Down::Ack(v1::Ack { attempt, token })
            } else {
                let reason = error.to_string();
                Down::Stop(v1::Stop {
                    attempt,
                    token,
                    reason,
                })
            };
            let message = Some(message);
            core.agents.send(agent, None, v1::SessionDown { message });
            Ok(())
        }
        Err(RunError::Store(error @ (StoreError::Corrupt(_) | StoreError::Invalid(_)))) => {
            tracing::error!(%agent, %run, %token, %error, "a report of a run that cannot be read");
            Ok(())
        }
        Err(error @ RunError::Defect(_)) => {
            tracing::error!(%agent, %run, %token, %error, "a report that is not taken; its agent says it again");
            core.runs.unheard(&run, agent);
            Ok(())
        }
        Err(error) => Err(super::errors::run_status(&error)),
    }
}

fn read(
    core: &Core,
    agent: &AgentId,
    session: &SessionId,
    report: v1::Report,
) -> Result<(LeaseToken, RunId, Ask, bool), Status> {
    let token: LeaseToken = convert::id(&report.token, "report.token")?;
    let (run, at) = convert::attempt(report.attempt)?;
    if let Some(v1::report::Body::Declined(declined)) = &report.body {
        use v1::DeclineReason as Why;
        if matches!(declined.reason(), Why::NoSlot | Why::Draining) {
            core.agents.full(agent, session, &token);
        }
    }
    let body = convert::report(report.body)?;
    let terminal = body.word().is_terminal();
    let ask = Ask::Report {
        at,
        token: token.clone(),
        from: agent.clone(),
        body,
    };
    Ok((token, run, ask, terminal))
}
