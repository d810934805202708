//! Events of many histories in commit order, followed by cursor over interruptions.

use std::time::{Duration, Instant};

use proto::v1::{SubscribeRequest, WatchIncidentRequest};
use tonic::Streaming;

use crate::{Client, Error, Event, Notice, Refusal};

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(2);
/// Streams that a reader may be too slow for, one after the other, without a single event.
const BARREN_MOST: u32 = 100;

/// Which events to hear; the default is all from now on.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subscribe {
    /// Go on after this cursor of an earlier event; empty from now on.
    pub cursor: String,
    /// From the first event that is kept; not together with `cursor`.
    pub from_start: bool,
    /// Only these kinds; `step.*` stands for all that begin with `step.`.
    pub kinds: Vec<String>,
    /// Only of these runs.
    pub runs: Vec<String>,
    /// Only of these incidents and their runs.
    pub incidents: Vec<String>,
    /// Only of runs of these workflows.
    pub workflows: Vec<String>,
}

/// A stream of events that goes on where it stopped.
#[derive(Debug)]
pub struct Subscription {
    client: Client,
    of: Of,
    /// Where it is; before the first event, where it was asked to begin.
    cursor: String,
    stream: Option<Streaming<proto::v1::Event>>,
    away: Option<Away>,
    barren: u32,
}

#[derive(Debug)]
enum Of {
    All(Subscribe),
    Incident(String),
}

#[derive(Debug)]
struct Away {
    since: Instant,
    pause: Duration,
    told: bool,
}

impl Client {
    /// Events of all histories in commit order. It has no end of its own.
    #[must_use]
    pub fn subscribe(&self, what: Subscribe) -> Subscription {
        let cursor = what.cursor.clone();
        Subscription::new(self.clone(), Of::All(what), cursor)
    }

    /// An incident's events and those of its runs in commit order, from the first or after `cursor`, then live.
    /// It has no end of its own.
    #[must_use]
    pub fn watch_incident(&self, incident: &str, cursor: &str) -> Subscription {
        Subscription::new(self.clone(), Of::Incident(incident.to_owned()), cursor.to_owned())
    }
}

impl Subscription {
    const fn new(client: Client, of: Of, cursor: String) -> Self {
        Self {
            client,
            of,
            cursor,
            stream: None,
            away: None,
            barren: 0,
        }
    }

    /// The cursor of the last event that was handed out: where a later subscription goes on. Empty before the first,
    /// when none was given.
    #[must_use]
    pub fn cursor(&self) -> &str {
        &self.cursor
    }

    /// Opens the stream without waiting for an event, so that what happens from now on is heard.
    ///
    /// # Errors
    /// When the server refuses or cannot be reached.
    pub async fn begin(&mut self) -> Result<(), Error> {
        if self.stream.is_none() {
            self.stream = Some(self.call().await?);
        }
        Ok(())
    }

    /// The next notice. Dropped before it is ready it loses nothing, but a pause before a reconnection begins anew.
    ///
    /// # Errors
    /// When the server refuses or stays away longer than [`crate::Timeouts::away`]; and, for a subscription that began "from now on" and has
    /// heard nothing, at the first interruption: where to go on is not known.
    pub async fn next(&mut self) -> Result<Notice, Error> {
        loop {
            let Some(stream) = &mut self.stream else {
                if let Some(away) = &mut self.away {
                    tokio::time::sleep(away.pause).await;
                    away.pause = (away.pause * 2).min(PAUSE_MOST);
                }
                match self.call().await {
                    Ok(stream) => self.stream = Some(stream),
                    Err(error) => {
                        if let Some(notice) = self.interrupted(error)? {
                            return Ok(notice);
                        }
                        continue;
                    }
                }
                if self.away.take().is_some_and(|away| away.told) {
                    return Ok(Notice::Back);
                }
                continue;
            };
            let error = match stream.message().await {
                Ok(Some(event)) => {
                    let event = Event::from_wire(event)?;
                    self.cursor.clone_from(&event.cursor);
                    self.barren = 0;
                    return Ok(Notice::Event(Box::new(event)));
                }
                Ok(None) => Error::Unreachable {
                    url: self.client.url().to_owned(),
                    reason: "the server ended the stream".to_owned(),
                },
                Err(status) => self.client.refused(&status),
            };
            self.lost_place(&error)?;
            if let Some(notice) = self.interrupted(error)? {
                return Ok(notice);
            }
        }
    }

    /// A subscription "from now on" that is cut before its first event would skip what happened meanwhile.
    fn lost_place(&self, error: &Error) -> Result<(), Error> {
        match &self.of {
            Of::All(what) if self.cursor.is_empty() && !what.from_start => Err(Error::Unreachable {
                url: self.client.url().to_owned(),
                reason: format!(
                    "the stream was cut before its first event, so events may be missed: {error}"
                ),
            }),
            Of::All(_) | Of::Incident(_) => Ok(()),
        }
    }

    async fn call(&self) -> Result<Streaming<proto::v1::Event>, Error> {
        let answer = match &self.of {
            Of::All(what) => {
                let request = SubscribeRequest {
                    cursor: self.cursor.clone(),
                    from_start: what.from_start && self.cursor.is_empty(),
                    kinds: what.kinds.clone(),
                    run_ids: what.runs.clone(),
                    incident_ids: what.incidents.clone(),
                    workflows: what.workflows.clone(),
                };
                self.client.event_service().subscribe(request).await
            }
            Of::Incident(incident) => {
                let request = WatchIncidentRequest {
                    incident_id: incident.clone(),
                    cursor: self.cursor.clone(),
                };
                self.client.incident_service().watch(request).await
            }
        };
        self.client.take(answer)
    }

    /// Notes an interruption. A reader that was too slow goes on from its cursor and hears nothing of it.
    fn interrupted(&mut self, error: Error) -> Result<Option<Notice>, Error> {
        self.stream = None;
        self.barren += 1;
        let slow = error.refusal() == Some(Refusal::Exhausted);
        if !(slow || error.is_unreachable()) || (slow && self.barren > BARREN_MOST) {
            return Err(error);
        }
        let patience = self.client.timeouts().away;
        match &mut self.away {
            Some(away) if away.since.elapsed() >= patience => Err(error.after(patience)),
            Some(away) if away.told || slow => Ok(None),
            Some(away) => {
                away.told = true;
                Ok(Some(Notice::Away(error)))
            }
            None => {
                self.away = Some(Away {
                    since: Instant::now(),
                    pause: PAUSE,
                    told: !slow,
                });
                Ok((!slow).then_some(Notice::Away(error)))
            }
        }
    }
}
