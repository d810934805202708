//! The stream to the server: dialled again and again, Hello first, then offers down and reports up.

use std::{sync::Arc, time::Instant};

use node::clock::Boot;
use proto::v1::{self, session_down::Message as Down};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Streaming, transport::Channel};
use types::{LeaseToken, Millis, SessionId, limits};

use crate::{
    context::Context,
    convert::{self, Malformed},
    link::{self, PATIENCE, Server, Tries},
    supervisor::Event,
};

/// Reports between the supervisor and the connection. A session that does not take them is closed: a new one says all
/// again.
const AHEAD: usize = 1_024;

/// What a Hello needs of the supervisor.
#[derive(Debug)]
pub(crate) struct Dialled {
    /// The dial's number, on disk.
    pub dial: u64,
    /// What the agent holds.
    pub inventory: Vec<v1::InventoryItem>,
    /// The process before this one ended without being told to, and the server has not heard so yet.
    pub crashed: bool,
}

pub(crate) struct Session {
    pub context: Arc<Context>,
    pub server: Server,
    pub events: mpsc::Sender<Event>,
    /// The connection, for heartbeats too.
    pub channel: watch::Sender<Option<Channel>>,
}

/// Why a session ended.
enum Over {
    /// This dial was taken before; go on above it.
    Stale(u64),
    /// The connection or the server ended it.
    Ended(String),
    /// The server is there and did not answer in time.
    Unanswered(String),
    /// Another process of this agent is connected.
    Another(String),
    /// The supervisor is gone.
    Leaving,
}

impl Session {
    /// Goes on until it is dropped.
    pub(crate) async fn run(self) {
        let (mut tries, mut floor, mut stale) = (Tries::new(), 0, 0);
        loop {
            let begun = Instant::now();
            let mut crowded = false;
            let why = match self.session(floor).await {
                Over::Leaving => return,
                Over::Stale(last) => {
                    (floor, stale) = (last, stale + 1);
                    if stale > 1 {
                        tracing::error!(
                            last,
                            "the server took a later dial of this agent: does a copy of its data directory run?"
                        );
                    }
                    format!("dial {last} was taken before")
                }
                Over::Another(why) => {
                    stale = 0;
                    tracing::warn!(why, "refused by the server");
                    why
                }
                Over::Ended(why) => {
                    stale = 0;
                    why
                }
                Over::Unanswered(why) => {
                    (stale, crowded) = (0, true);
                    why
                }
            };
            if self.events.send(Event::Closed).await.is_err() {
                return;
            }
            if floor > 0 && stale == 1 {
                continue;
            }
            let wait = if crowded {
                tries.unanswered()
            } else {
                tries.next(begun.elapsed())
            };
            tracing::info!(server = ?self.server, why, ?wait, "no session; connecting again");
            tokio::time::sleep(wait).await;
        }
    }

    async fn session(&self, floor: u64) -> Over {
        let channel = match self.server.connect().await {
            Ok(channel) => channel,
            Err(why) => return Over::Ended(why),
        };
        self.channel.send_replace(Some(channel.clone()));
        let (reply, dialled) = oneshot::channel();
        if self.events.send(Event::Dial { floor, reply }).await.is_err() {
            return Over::Leaving;
        }
        let Ok(dialled) = dialled.await else {
            return Over::Leaving;
        };
        let (up, ups) = mpsc::channel(AHEAD);
        let sent = Boot::now();
        // In the stream before the call: the call returns only with the answer's headers.
        if up.try_send(convert::hello(&self.context, dialled)).is_err() {
            return Over::Ended("no room for Hello".to_owned());
        }
        let mut client = link::client(channel);
        let called = tokio::time::timeout(PATIENCE, client.session(ReceiverStream::new(ups))).await;
        let mut down = match called {
            Ok(Ok(answer)) => answer.into_inner(),
            Ok(Err(status)) => return Over::Ended(status.to_string()),
            Err(_) => return Over::Unanswered("no answer to Hello".to_owned()),
        };
        match tokio::time::timeout(PATIENCE, receive(&mut down)).await {
            Ok(Ok(Down::Welcome(welcome))) => self.welcomed(welcome, sent, up, down).await,
            Ok(Ok(Down::StaleDial(stale))) => Over::Stale(stale.last),
            Ok(Ok(_)) => Over::Ended("the server answered Hello with something else".to_owned()),
            Ok(Err(over)) => over,
            Err(_) => Over::Unanswered("no welcome".to_owned()),
        }
    }

    async fn welcomed(
        &self,
        welcome: v1::Welcome,
        sent: Boot,
        up: mpsc::Sender<v1::SessionUp>,
        mut down: Streaming<v1::SessionDown>,
    ) -> Over {
        let session: SessionId = match convert::id(&welcome.session_id) {
            Ok(session) => session,
            Err(error) => return Over::Ended(format!("welcome: {error}")),
        };
        tracing::info!(%session, server = welcome.server_version, "connected");
        let heartbeat_ms = match welcome.heartbeat_ms {
            0 => limits::HEARTBEAT_MS,
            ms => Millis::from(ms),
        };
        // Held by the supervisor: when it lets go of the session, the stream ends.
        let released = CancellationToken::new();
        let release = released.clone().drop_guard();
        if self
            .events
            .send(Event::Opened {
                session,
                sent,
                heartbeat_ms,
                up: up.clone(),
                release,
            })
            .await
            .is_err()
        {
            return Over::Leaving;
        }
        loop {
            let received = tokio::select! {
                received = receive(&mut down) => received,
                () = released.cancelled() => return Over::Ended("given up by this agent, to begin anew".to_owned()),
            };
            let event = match received {
                // This process lives, however long the supervisor waits for its disk: else a copy of it would be taken for
                // the only one. Where the stream is full there is something to be heard of it anyway.
                Ok(Down::Probe(_)) => {
                    drop(up.try_send(nothing_new()));
                    continue;
                }
                Ok(message) => event(message),
                Err(over) => return over,
            };
            match event {
                Ok(event) => {
                    if self.events.send(event).await.is_err() {
                        return Over::Leaving;
                    }
                }
                Err(error) => tracing::warn!(%error, "a message of the server makes no sense and is dropped"),
            }
        }
    }
}

async fn receive(down: &mut Streaming<v1::SessionDown>) -> Result<Down, Over> {
    loop {
        match down.message().await {
            Ok(Some(v1::SessionDown {
                message: Some(message),
            })) => return Ok(message),
            // Of a newer version.
            Ok(Some(v1::SessionDown { message: None })) => {}
            Ok(None) => return Err(Over::Ended("the server ended the session".to_owned())),
            Err(status) if status.code() == Code::AlreadyExists => {
                return Err(Over::Another(status.message().to_owned()));
            }
            Err(status) => return Err(Over::Ended(status.to_string())),
        }
    }
}

fn event(message: Down) -> Result<Event, Malformed> {
    Ok(match message {
        Down::Offer(offer) => {
            let step = offer.attempt.as_ref().map_or("", |attempt| &attempt.step);
            failpoint::reach_of("assign.recv", step);
            Event::Offer {
                token: convert::id(&offer.token)?,
                session: convert::id(&offer.session_id)?,
                key: convert::key(offer.attempt)?,
                workflow: offer.workflow,
                work_json: offer.work_json,
            }
        }
        Down::Ack(ack) => {
            // The report was sent for certain, and its acknowledgement is as good as lost.
            failpoint::reach("send.post");
            Event::Ack(token(&ack.token)?)
        }
        Down::Forget(forget) => Event::Forget(token(&forget.token)?),
        Down::Stop(stop) => Event::Stop {
            token: token(&stop.token)?,
            key: convert::key(stop.attempt)?,
            reason: stop.reason,
        },
        Down::Probe(_) | Down::Welcome(_) | Down::StaleDial(_) => Event::Nothing,
    })
}

/// A message that changes nothing: credits are counted in all, and more than none were given or none.
fn nothing_new() -> v1::SessionUp {
    let credits = v1::Credits { total: 0 };
    v1::SessionUp {
        message: Some(v1::session_up::Message::Credits(credits)),
    }
}

fn token(text: &str) -> Result<LeaseToken, Malformed> {
    convert::id(text)
}
