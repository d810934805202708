//! A run's history: all of it, in order, without a gap, over restarts of the server.

use std::time::{Duration, Instant};

use tonic::Streaming;

use crate::{Client, Error, Event, Refusal};

/// Between two calls.
const PAUSE: Duration = Duration::from_millis(200);
const PAUSE_MOST: Duration = Duration::from_secs(2);
/// Streams that may end one after the other without a single event.
const BARREN_MOST: u32 = 100;

/// What a watcher hears.
#[derive(Debug)]
pub enum Notice {
    /// The next event.
    Event(Box<Event>),
    /// The server is away; said once an interruption.
    Away(Error),
    /// It is back, and the history goes on where it stopped.
    Back,
}

/// A run's history, followed.
#[derive(Debug)]
pub struct Watch {
    client: Client,
    run: String,
    seq: u64,
    stream: Option<Streaming<proto::v1::Event>>,
    away: Option<Away>,
    /// Interruptions since the last event.
    barren: u32,
    ended: bool,
}

#[derive(Debug)]
struct Away {
    since: Instant,
    pause: Duration,
    told: bool,
}

impl Watch {
    pub(crate) const fn new(client: Client, run: String, after: u64) -> Self {
        Self {
            client,
            run,
            seq: after,
            stream: None,
            away: None,
            barren: 0,
            ended: false,
        }
    }

    /// The next notice; none after the run's last event. Dropped before it is ready it loses nothing, but a pause
    /// before a reconnection begins anew.
    ///
    /// # Errors
    /// When the server refuses, stays away longer than [`crate::Timeouts::away`], or its history has a gap.
    pub async fn next(&mut self) -> Result<Option<Notice>, Error> {
        while !self.ended {
            let Some(stream) = &mut self.stream else {
                if let Some(notice) = self.open().await? {
                    return Ok(Some(notice));
                }
                continue;
            };
            match stream.message().await {
                Ok(Some(event)) => {
                    if let Some(event) = self.take(event)? {
                        return Ok(Some(Notice::Event(Box::new(event))));
                    }
                }
                // An orderly end without the run's last event: the server stops; the history goes on elsewhere.
                Ok(None) => {
                    let reason = "the server ended the stream".to_owned();
                    let error = Error::Unreachable {
                        url: self.client.url().to_owned(),
                        reason,
                    };
                    if let Some(notice) = self.interrupted(error)? {
                        return Ok(Some(notice));
                    }
                }
                Err(status) => {
                    let error = self.client.refused(&status);
                    if let Some(notice) = self.interrupted(error)? {
                        return Ok(Some(notice));
                    }
                }
            }
        }
        Ok(None)
    }

    fn take(&mut self, event: proto::v1::Event) -> Result<Option<Event>, Error> {
        if event.seq <= self.seq {
            return Ok(None);
        }
        if event.seq != self.seq + 1 {
            let message = format!(
                "the history of {} jumps from {} to {}",
                self.run, self.seq, event.seq
            );
            return Err(Error::Answer(message));
        }
        let event = Event::from_wire(event)?;
        self.seq = event.seq;
        self.barren = 0;
        self.ended = event.is_last();
        Ok(Some(event))
    }

    async fn open(&mut self) -> Result<Option<Notice>, Error> {
        if let Some(away) = &mut self.away {
            tokio::time::sleep(away.pause).await;
            away.pause = (away.pause * 2).min(PAUSE_MOST);
        }
        match self.client.events(&self.run, self.seq).await {
            Ok(stream) => {
                self.stream = Some(stream);
                Ok(self.away.take().filter(|away| away.told).map(|_| Notice::Back))
            }
            Err(error) => self.interrupted(error),
        }
    }

    /// Notes an interruption. A reader that was too slow goes on from its last seq and hears nothing of it.
    fn interrupted(&mut self, error: Error) -> Result<Option<Notice>, Error> {
        self.stream = None;
        self.barren += 1;
        let slow = error.refusal() == Some(Refusal::Exhausted);
        if !(slow || error.is_unreachable()) || self.barren > BARREN_MOST {
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
