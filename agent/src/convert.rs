//! Between the wire and the domain; nowhere else.

use proto::v1;
use protocol::{
    Decline, Held,
    agent::{Ending, Message},
};
use types::{AttemptKey, AttemptReport, LeaseToken};

use crate::{
    context::Context,
    runtimes::{Runtimes, Usable},
    session::Dialled,
    spool::Meta,
};

/// The protocol's number.
const PROTOCOL: u32 = 1;

/// A message that makes no sense: what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Malformed(String);

/// A typed id.
pub(crate) fn id<T: std::str::FromStr<Err = types::IdError>>(text: &str) -> Result<T, Malformed> {
    text.parse()
        .map_err(|error: types::IdError| Malformed(error.to_string()))
}

/// An attempt from the wire.
pub(crate) fn key(wire: Option<v1::AttemptRef>) -> Result<AttemptKey, Malformed> {
    let wire = wire.ok_or_else(|| Malformed("attempt: missing".to_owned()))?;
    Ok(AttemptKey {
        run: id(&wire.run_id)?,
        step: wire.step,
        index: wire.index,
        attempt: wire.attempt,
    })
}

/// An attempt for the wire.
pub(crate) fn attempt(key: &AttemptKey) -> v1::AttemptRef {
    v1::AttemptRef {
        run_id: key.run.to_string(),
        step: key.step.clone(),
        index: key.index,
        attempt: key.attempt,
    }
}

/// An inventory's line.
pub(crate) fn item(token: &impl ToString, meta: &Meta, held: Held) -> v1::InventoryItem {
    let phase = match held {
        Held::Accepted => v1::AttemptPhase::Accepted,
        Held::Starting => v1::AttemptPhase::Starting,
        Held::Running => v1::AttemptPhase::Running,
        Held::Finished => v1::AttemptPhase::Finished,
        Held::Done => v1::AttemptPhase::Done,
    };
    v1::InventoryItem {
        attempt: Some(attempt(&meta.key)),
        token: token.to_string(),
        phase: phase.into(),
    }
}

/// One of which only the token is known: it was here, and it is over.
pub(crate) fn unknown_item(token: &LeaseToken) -> v1::InventoryItem {
    v1::InventoryItem {
        attempt: None,
        token: token.to_string(),
        phase: v1::AttemptPhase::Done.into(),
    }
}

/// A report for the wire. `agent_crashes`: processes that ended as they were about to start it. `now_ms` is the agent's wall clock, for people.
pub(crate) fn report(
    token: &impl ToString,
    key: &AttemptKey,
    message: &Message<AttemptReport>,
    agent_crashes: u32,
    now_ms: i64,
) -> Result<v1::SessionUp, Malformed> {
    use v1::report::Body;
    let body = match message {
        Message::Accepted => Body::Accepted(v1::AcceptedReport {}),
        Message::Started => Body::Started(v1::StartedReport {
            started_at_ms: now_ms,
        }),
        Message::Ended(Ending::Declined { why }) => {
            let reason = match why {
                Decline::NoSlot => v1::DeclineReason::NoSlot,
                Decline::Draining => v1::DeclineReason::Draining,
                Decline::Unheard => v1::DeclineReason::Unheard,
            };
            Body::Declined(v1::DeclinedReport {
                reason: reason.into(),
            })
        }
        Message::Ended(Ending::Released) => Body::Released(v1::ReleasedReport { agent_crashes }),
        Message::Ended(Ending::Lost) => Body::Lost(v1::LostReport {}),
        Message::Ended(Ending::Finished { result }) => {
            let report_json = serde_json::to_string(result).map_err(|error| Malformed(error.to_string()))?;
            Body::Finished(v1::FinishedReport { report_json })
        }
    };
    let report = v1::Report {
        attempt: Some(attempt(key)),
        token: token.to_string(),
        body: Some(body),
    };
    Ok(v1::SessionUp {
        message: Some(v1::session_up::Message::Report(report)),
    })
}

fn runtimes(context: &Context) -> impl Iterator<Item = &Usable> {
    context.runtimes.iter().flat_map(Runtimes::iter)
}

fn offers(usable: &Usable) -> v1::RuntimeOffers {
    v1::RuntimeOffers {
        runtime: usable.runtime.name().to_owned(),
        words: usable.offers.iter().map(|word| (*word).to_owned()).collect(),
    }
}

/// The Hello.
pub(crate) fn hello(context: &Context, dialled: Dialled) -> v1::SessionUp {
    let Dialled {
        dial,
        inventory,
        crashed,
    } = dialled;
    let catalogue = context.actions.catalogue();
    let action = |s: &types::Signature| v1::ActionInfo {
        name: s.name.clone(),
        major: s.major,
        digest: s.digest(),
    };
    // What its policy refuses it does not offer.
    let allowed = |s: &&types::Signature| context.policy.action(&s.name).is_ok();
    let hello = v1::Hello {
        agent_id: context.id.to_string(),
        name: context.name.clone(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        labels: context
            .labels
            .0
            .iter()
            .map(|label| v1::Label {
                key: label.key.clone(),
                value: label.value.clone(),
            })
            .collect(),
        capacity: context.capacity,
        runtimes: runtimes(context)
            .map(|one| one.runtime.name().to_owned())
            .collect(),
        runtime_offers: runtimes(context).map(offers).collect(),
        actions: catalogue.0.values().filter(allowed).map(action).collect(),
        secrets: context.secrets.names().cloned().collect(),
        connections: context.vendors.names().to_vec(),
        grants: context.grants.iter().map(ToString::to_string).collect(),
        policy_json: serde_json::to_string(&context.policy).unwrap_or_default(),
        inventory,
        dial,
        instance: context.instance.clone(),
        limits: runtimes(context)
            .find_map(|one| one.runtime.looser())
            .unwrap_or_default(),
        crashed,
        answers_probes: true,
    };
    v1::SessionUp {
        message: Some(v1::session_up::Message::Hello(hello)),
    }
}
