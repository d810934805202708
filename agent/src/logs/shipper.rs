//! The one task that sends logs. It has a connection only while there is something to send.

use std::{
    collections::{BTreeMap, BTreeSet},
    io, iter,
    ops::Bound,
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

use nix::errno::Errno;
use proto::v1;
use tokio::{
    sync::{Notify, mpsc},
    time::MissedTickBehavior,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;
use types::LeaseToken;

use super::{Logs, Word, source::Source};
use crate::{
    context::Context,
    link::{self, PATIENCE, Server, Tries},
    supervisor::Event,
};

/// How often files are looked at, while one of them is being written by a container.
const POLL: Duration = Duration::from_millis(10);
/// How often attempts are looked at that wait for acknowledgements.
const LOOK: Duration = Duration::from_secs(30);
/// How long an attempt's files are left alone for which the host had no descriptor or no memory.
const REST: Duration = Duration::from_secs(1);
/// Words on their way: three for each attempt, so that slots bound them far below this.
const WORDS: usize = 65_536;
/// Chunks between this task and the connection.
const AHEAD: usize = 4;
/// An unused connection is closed after this.
const IDLE: Duration = Duration::from_secs(30);

pub(crate) struct Shipper {
    context: Arc<Context>,
    server: Server,
    events: mpsc::Sender<Event>,
    words: mpsc::Receiver<Word>,
    grew: Arc<Notify>,
    sources: BTreeMap<LeaseToken, Source>,
    /// The source that had its turn.
    turn: Option<LeaseToken>,
    /// Ends without bytes are on their way: one of them has waited long enough.
    ends: bool,
    /// Those that cannot be read and to which nothing more is written.
    unread: BTreeSet<LeaseToken>,
}

/// Why a connection is over.
enum Over {
    Idle,
    Failed(String),
}

impl Shipper {
    pub(crate) fn new(context: Arc<Context>, server: Server, events: mpsc::Sender<Event>) -> (Self, Logs) {
        let (sender, words) = mpsc::channel(WORDS);
        let grew = Arc::new(Notify::new());
        let logs = Logs {
            words: sender,
            grew: Arc::clone(&grew),
        };
        let shipper = Self {
            context,
            server,
            events,
            words,
            grew,
            sources: BTreeMap::new(),
            turn: None,
            ends: false,
            unread: BTreeSet::new(),
        };
        (shipper, logs)
    }

    /// Goes on until it is dropped.
    pub(crate) async fn run(mut self) {
        let mut tries = Tries::new();
        loop {
            let first = self.something().await;
            let begun = Instant::now();
            match self.connection(first).await {
                Over::Idle => {}
                Over::Failed(why) => {
                    let wait = tries.next(begun.elapsed());
                    tracing::debug!(why, ?wait, "the connection for logs is gone");
                    self.listen(wait).await;
                }
            }
            self.sources.values_mut().for_each(Source::rewind);
        }
    }

    /// Takes words for a while.
    async fn listen(&mut self, wait: Duration) {
        let over = tokio::time::sleep(wait);
        tokio::pin!(over);
        loop {
            tokio::select! {
                () = &mut over => return,
                word = self.words.recv() => match word {
                    Some(word) => self.hear(word),
                    None => return,
                },
            }
        }
    }

    /// Waits without a connection until there is something to send.
    async fn something(&mut self) -> v1::LogChunk {
        loop {
            self.let_go();
            self.make_room();
            if let Some(chunk) = self.chunk() {
                return chunk;
            }
            self.news(None).await;
        }
    }

    /// Waits for anything that may make a chunk, or for room.
    async fn news(&mut self, blocked: Option<&mpsc::Sender<v1::LogChunk>>) {
        let polls = self
            .sources
            .values()
            .any(|source| (source.by_itself && !source.finished) || source.lingers() || source.is_done());
        let pause = if polls && blocked.is_none() {
            POLL
        } else if self.sources.values().any(Source::rests) {
            REST
        } else {
            LOOK
        };
        let room = async {
            match blocked {
                Some(tx) => drop(tx.reserve().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            word = self.words.recv() => match word {
                Some(word) => self.hear(word),
                // All handles are gone: so is the agent.
                None => std::future::pending().await,
            },
            () = self.grew.notified() => {}
            () = room => {}
            () = tokio::time::sleep(pause), if !self.sources.is_empty() => {}
        }
    }

    async fn connection(&mut self, first: v1::LogChunk) -> Over {
        let channel = match self.server.connect().await {
            Ok(channel) => channel,
            Err(why) => return Over::Failed(why),
        };
        let (tx, rx) = mpsc::channel(AHEAD);
        // In the stream before the call: the call returns only with the answer's headers.
        if tx.try_send(first).is_err() {
            return Over::Failed("no room for the first chunk".to_owned());
        }
        let mut client = link::client(channel);
        let called = tokio::time::timeout(PATIENCE, client.logs(ReceiverStream::new(rx))).await;
        match called {
            Ok(Ok(answer)) => self.carry(tx, answer.into_inner()).await,
            Ok(Err(status)) => Over::Failed(status.to_string()),
            Err(_) => Over::Failed("no answer".to_owned()),
        }
    }

    async fn carry(&mut self, tx: mpsc::Sender<v1::LogChunk>, mut acks: Streaming<v1::LogAck>) -> Over {
        let mut used = Instant::now();
        let mut idle = tokio::time::interval(IDLE);
        idle.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut blocked = true;
            while let Ok(permit) = tx.try_reserve() {
                let Some(chunk) = self.chunk() else {
                    blocked = false;
                    break;
                };
                permit.send(chunk);
            }
            self.let_go();
            self.make_room();
            if !self.sources.is_empty() {
                used = Instant::now();
            }
            tokio::select! {
                ack = acks.message() => match ack {
                    Ok(Some(ack)) => if let Err(why) = self.acknowledged(&ack) {
                        return Over::Failed(why);
                    },
                    Ok(None) => return Over::Failed("the server ended the stream".to_owned()),
                    Err(status) => return Over::Failed(status.to_string()),
                },
                () = self.news(blocked.then_some(&tx)) => {}
                _ = idle.tick() => if used.elapsed() >= IDLE {
                    return Over::Idle;
                },
            }
        }
    }

    fn acknowledged(&mut self, ack: &v1::LogAck) -> Result<(), String> {
        let Some(source) = ack
            .token
            .parse()
            .ok()
            .and_then(|token: LeaseToken| self.sources.get_mut(&token))
        else {
            return Ok(());
        };
        if !ack.refused.is_empty() {
            tracing::warn!(
                attempt = source.shown,
                why = ack.refused,
                "the server does not want this attempt's logs"
            );
            source.refuse();
            return Ok(());
        }
        source
            .acknowledged(ack)
            .map_err(|_behind| "the server holds less than it was sent".to_owned())
    }

    fn hear(&mut self, word: Word) {
        match word {
            Word::Added {
                token,
                key,
                by_itself,
                services,
            } => {
                let dir = self.context.dir.attempt(&token);
                self.sources
                    .entry(token.clone())
                    .or_insert_with(|| Source::open(&dir, &token, &key, by_itself, &services));
            }
            Word::Finished { token, ends } => {
                if let Some(source) = self.sources.get_mut(&token) {
                    source.finish(&ends);
                    if source.unreadable {
                        self.unread.insert(token);
                    }
                }
            }
            Word::Acknowledged { token } => {
                if let Some(source) = self.sources.get_mut(&token) {
                    source.result_acknowledged();
                }
            }
        }
    }

    /// The next chunk of any source, each in turn.
    fn chunk(&mut self) -> Option<v1::LogChunk> {
        let masker = self.context.masker();
        self.ends |= self.sources.values().any(Source::is_due);
        let after = self.turn.take();
        let first = after.clone().map_or(Bound::Unbounded, Bound::Excluded);
        let rest = after.map(|turn| (Bound::Unbounded, Bound::Included(turn)));
        for range in iter::once((first, Bound::Unbounded)).chain(rest) {
            for (token, source) in self.sources.range_mut(range) {
                match source.next(&masker, self.ends) {
                    Ok(Some(chunk)) => {
                        self.turn = Some(token.clone());
                        return Some(chunk);
                    }
                    Ok(None) => {}
                    Err(error) if passes(&error) => {
                        if source.rest(REST) {
                            tracing::warn!(attempt = source.shown, %error, "cannot read an attempt's log now: it is tried again");
                        }
                    }
                    Err(error) => {
                        let now = source.leave_unread();
                        tracing::error!(attempt = source.shown, %error, "cannot read an attempt's log: what is left of it is given up");
                        if now {
                            self.unread.insert(token.clone());
                        }
                    }
                }
            }
        }
        self.ends = false;
        None
    }

    /// Gives up what cannot be read, and the oldest logs of attempts that are acknowledged where all of those take too much of
    /// the disk. The log itself says how much that was.
    fn make_room(&mut self) {
        let all: u64 = self.sources.values_mut().map(Source::waiting).sum();
        let most = self.context.logs_waiting_bytes;
        let mut over = all.saturating_sub(most);
        self.unread.retain(|token| self.sources.contains_key(token));
        let mut given_up = self.unread.clone();
        for (token, source) in &mut self.sources {
            let waiting = source.waiting();
            if over > 0 && waiting > 0 {
                over = over.saturating_sub(waiting);
                given_up.insert(token.clone());
            }
        }
        for token in &given_up {
            let source = self.sources.get_mut(token).filter(|source| !source.rests());
            let Some(source) = source else {
                continue;
            };
            let attempt = source.shown.clone();
            match source.give_up() {
                Ok(bytes) => {
                    self.unread.remove(token);
                    self.context
                        .log_bytes_given_up
                        .fetch_add(bytes, Ordering::Relaxed);
                    tracing::warn!(
                        attempt,
                        bytes,
                        waiting = all,
                        most,
                        "logs that the server does not have are given up; the log itself says so"
                    );
                }
                Err(error) => {
                    if source.rest(if passes(&error) { REST } else { LOOK }) {
                        tracing::error!(
                            attempt,
                            %error,
                            "logs cannot be given up: they stay on the disk until they can, or the server has them"
                        );
                    }
                }
            }
        }
        let left = self.sources.values_mut().map(Source::waiting).sum();
        self.context.log_bytes_waiting.store(left, Ordering::Relaxed);
    }

    /// Tells the supervisor which attempts need their files no more.
    fn let_go(&mut self) {
        let done: Vec<LeaseToken> = self
            .sources
            .iter()
            .filter(|(_, source)| source.is_done())
            .map(|(token, _)| token.clone())
            .collect();
        for token in done {
            // Where the supervisor's queue is full, it is told in the next round.
            if self.events.try_send(Event::LogsDone(token.clone())).is_ok() {
                self.sources.remove(&token);
            }
        }
    }
}

/// Whether what the host refused may be had in a while: descriptors, memory.
fn passes(error: &io::Error) -> bool {
    use Errno::{EAGAIN, EINTR, EMFILE, ENFILE, ENOMEM};
    let refusal = error.raw_os_error().map(Errno::from_raw);
    matches!(refusal, Some(EMFILE | ENFILE | ENOMEM | EAGAIN | EINTR))
}
