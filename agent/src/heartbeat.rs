//! Renews leases, with or without a session.

use std::time::Duration;

use node::clock::Boot;
use proto::v1;
use tokio::sync::{mpsc, oneshot, watch};
use tonic::transport::Channel;
use types::AgentId;

use crate::{
    convert, link,
    supervisor::{Beat, Event},
};

/// After a heartbeat that failed.
const AGAIN: Duration = Duration::from_secs(1);

pub(crate) struct Heartbeat {
    pub id: AgentId,
    /// As in Hello.
    pub instance: String,
    pub events: mpsc::Sender<Event>,
    pub channel: watch::Receiver<Option<Channel>>,
    /// The interval; shorter while a short lease is live.
    pub every: watch::Receiver<Duration>,
}

impl Heartbeat {
    /// Goes on until it is dropped.
    pub(crate) async fn run(mut self) {
        loop {
            let every = *self.every.borrow_and_update();
            let Some(channel) = self.channel.borrow_and_update().clone() else {
                if self.channel.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let (reply, live) = oneshot::channel();
            if self.events.send(Event::Beat { reply }).await.is_err() {
                return;
            }
            let Ok(beat) = live.await else { return };
            let answered = self.beat(channel, beat, every).await;
            let wait = if answered { every } else { every.min(AGAIN) };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // A lease that would not live to the next one.
                changed = self.every.changed() => if changed.is_err() { return },
                // A new connection: the server may have come back just now.
                changed = self.channel.changed() => if changed.is_err() { return },
            }
        }
    }

    async fn beat(&self, channel: Channel, beat: Beat, every: Duration) -> bool {
        let Beat { tokens, stats } = beat;
        let request = v1::HeartbeatRequest {
            agent_id: self.id.to_string(),
            tokens: tokens.iter().map(ToString::to_string).collect(),
            stats: Some(stats),
            instance: self.instance.clone(),
        };
        // Leases count from before the request: the server cannot have renewed them earlier.
        let sent = Boot::now();
        let answer = tokio::time::timeout(every.max(AGAIN), link::client(channel).heartbeat(request)).await;
        let stop = match answer {
            Ok(Ok(answer)) => answer.into_inner().stop,
            Ok(Err(status)) => {
                tracing::debug!(%status, "a heartbeat failed");
                return false;
            }
            Err(_) => {
                tracing::debug!("a heartbeat was not answered in time");
                return false;
            }
        };
        let stop = stop.iter().filter_map(|token| convert::id(token).ok()).collect();
        self.events
            .send(Event::Renewed { tokens, sent, stop })
            .await
            .is_ok()
    }
}
