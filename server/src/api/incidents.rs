//! `IncidentService`.

use futures::stream::BoxStream;
use proto::v1;
use tonic::{Request, Response, Status};
use types::{IncidentId, limits};

use super::{
    convert,
    errors::{self, invalid, store_status},
    incident_watch, open, paging,
};
use crate::{
    Core,
    access::{Permission, authorize},
    http::load_incident,
    store::{IncidentFilter, IncidentHead},
};

/// Incidents of a page when nothing is said.
const LIST: u32 = 50;
/// Bytes of a history in one message; the rest is for the other fields.
const HISTORY_BYTES: usize = limits::ANSWER_BYTES / 2;

pub(super) struct Service(pub(super) Core);

fn info(id: &IncidentId, head: IncidentHead) -> v1::IncidentInfo {
    let manual = head.dedupe_key.strip_prefix("manual:");
    v1::IncidentInfo {
        id: id.to_string(),
        state: if head.open { "open" } else { "resolved" }.to_owned(),
        external_id: manual
            .filter(|_| head.source == incident::MANUAL)
            .unwrap_or_default()
            .to_owned(),
        title: head.title,
        severity: head.severity,
        source: head.source,
        opened_at_ms: head.opened_at.unix_ms(),
        resolved_at_ms: convert::ms(head.resolved_at),
        alerts: head.alerts,
        run_ids: head.runs.iter().map(ToString::to_string).collect(),
        history_json: String::new(),
        history_left_out: 0,
    }
}

/// A history as one JSON list within its limit: whole, or its oldest and newest parts with how many are left out between.
fn bounded(events: &[incident::IncidentEvent], most: usize) -> Result<(String, u32), serde_json::Error> {
    let texts: Vec<String> = events
        .iter()
        .map(serde_json::to_string)
        .collect::<Result<_, _>>()?;
    let list = |texts: &[&str]| format!("[{}]", texts.join(","));
    let mut left = most.saturating_sub(2);
    let (mut from, mut to) = (0, texts.len());
    // From both ends by turns: how it began, and how it stands.
    while from < to {
        let next = if from <= texts.len() - to { from } else { to - 1 };
        let Some(rest) = left.checked_sub(texts[next].len() + 1) else {
            break;
        };
        left = rest;
        if next == from {
            from += 1;
        } else {
            to -= 1;
        }
    }
    let kept: Vec<&str> = texts[..from]
        .iter()
        .chain(&texts[to..])
        .map(String::as_str)
        .collect();
    Ok((list(&kept), u32::try_from(to - from).unwrap_or(u32::MAX)))
}

#[tonic::async_trait]
impl v1::incident_service_server::IncidentService for Service {
    type WatchStream = BoxStream<'static, Result<v1::Event, Status>>;

    async fn open(
        &self,
        request: Request<v1::OpenIncidentRequest>,
    ) -> Result<Response<v1::OpenIncidentResponse>, Status> {
        open::call(&self.0, request).await
    }

    async fn watch(
        &self,
        request: Request<v1::WatchIncidentRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        authorize(&request, Permission::View)?;
        incident_watch::call(&self.0, request.get_ref())
            .await
            .map(Response::new)
    }

    async fn list(
        &self,
        request: Request<v1::ListIncidentsRequest>,
    ) -> Result<Response<v1::ListIncidentsResponse>, Status> {
        authorize(&request, Permission::View)?;
        let request = request.get_ref();
        let limit = paging::limit(request.limit, LIST);
        let open = match request.state.as_str() {
            "" => None,
            "open" => Some(true),
            "resolved" => Some(false),
            other => return Err(invalid("state", format!("{other:?} is not open or resolved"))),
        };
        let before = match request.page_token.as_str() {
            "" => None,
            token => Some(token.parse().map_err(|_| {
                invalid(
                    "page_token",
                    "not a token of this list: give next_page_token of the page before",
                )
            })?),
        };
        // One more than asked for says whether there is another page.
        let filter = IncidentFilter {
            limit: limit + 1,
            before,
            open,
        };
        let found = self.0.store.incidents(&filter).await;
        let found = found.map_err(|error| store_status(&error))?.into_iter();
        let mut incidents: Vec<v1::IncidentInfo> = found.map(|(id, head)| info(&id, head)).collect();
        let more = paging::cut(&mut incidents, limit);
        let last = incidents.last().filter(|_| more).map(|one| one.id.clone());
        Ok(Response::new(v1::ListIncidentsResponse {
            incidents,
            next_page_token: last.unwrap_or_default(),
        }))
    }

    async fn get(
        &self,
        request: Request<v1::GetIncidentRequest>,
    ) -> Result<Response<v1::IncidentInfo>, Status> {
        authorize(&request, Permission::View)?;
        let id: IncidentId = convert::id(&request.get_ref().incident_id, "incident_id")?;
        let head = self.0.store.incident(&id).await;
        let head = head.map_err(|error| store_status(&error))?;
        let head = head.ok_or_else(|| errors::no_incident(&id))?;
        let events = load_incident(&self.0, &id).await;
        let events = events.map_err(|error| store_status(&error))?;
        let (history_json, history_left_out) = bounded(&events, HISTORY_BYTES)
            .map_err(|error| errors::defect("an incident's history cannot be written", error))?;
        Ok(Response::new(v1::IncidentInfo {
            history_json,
            history_left_out,
            ..info(&id, head)
        }))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use incident::{IncidentEvent, What};
    use types::{AlertId, Timestamp};

    use super::bounded;

    #[test]
    fn a_history_too_large_keeps_both_ends_and_counts_the_middle() {
        let event = |n: u8| IncidentEvent {
            at: Timestamp::from_unix_ms(i64::from(n)),
            what: What::AlertRepeated {
                alert_id: AlertId::new(Timestamp::from_unix_ms(1), [n; 10]),
            },
        };
        let events: Vec<IncidentEvent> = (0..50).map(event).collect();
        let whole = serde_json::to_string(&events).unwrap();
        assert_eq!(bounded(&events, whole.len() + 1).unwrap(), (whole.clone(), 0));
        let (cut, left_out) = bounded(&events, whole.len() / 5).unwrap();
        assert!(cut.len() <= whole.len() / 5);
        let kept: Vec<IncidentEvent> = serde_json::from_str(&cut).unwrap();
        assert_eq!(kept.len() + left_out as usize, 50);
        assert!(kept.len() >= 8);
        assert_eq!((kept.first(), kept.last()), (events.first(), events.last()));
        assert_eq!(bounded(&events, 10).unwrap(), ("[]".to_owned(), 50));
        assert_eq!(bounded(&[], 10).unwrap(), ("[]".to_owned(), 0));
    }
}
