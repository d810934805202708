//! The bytes of one connection.

use std::{
    io,
    time::{Duration, Instant},
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::TcpStream,
    sync::{mpsc, watch},
};

use super::{Seen, rules::Rules, rules::Way};

/// Bytes that are read at once.
const CHUNK: usize = 16 * 1024;
/// Chunks that may be under way.
const UNDER_WAY: usize = 64;
/// How long whoever is answered with nonsense is listened to.
const LISTEN: Duration = Duration::from_millis(100);

/// When a chunk was read, and what it is.
type Chunk = (Instant, Vec<u8>);

/// Listens for a moment, says it and closes.
pub(super) async fn answer(mut client: TcpStream, text: &'static [u8]) {
    let mut heard = vec![0; CHUNK];
    // Whether anything was heard makes no difference to the answer.
    drop(tokio::time::timeout(LISTEN, client.read(&mut heard)).await);
    drop(client.write_all(text).await);
    drop(client.shutdown().await);
}

/// Carries until both sides have closed, or a reset.
pub(super) async fn connection(
    mut client: TcpStream,
    mut server: TcpStream,
    twin: Option<TcpStream>,
    (rules, mut cuts): (watch::Receiver<Rules>, watch::Receiver<u64>),
    (seen, at): (&Seen, usize),
) {
    drop((client.set_nodelay(true), server.set_nodelay(true)));
    cuts.mark_unchanged();
    let (client_reads, client_writes) = client.split();
    let (server_reads, server_writes) = server.split();
    let up = Pump {
        rules: rules.clone(),
        way: |rules| rules.up,
        count: &|bytes| seen.change(at, |one| one.up += bytes),
        left: &|| seen.change(at, |one| one.left_by_client = Some(Instant::now())),
    };
    let down = Pump {
        rules,
        way: |rules| rules.down,
        count: &|bytes| seen.change(at, |one| one.down += bytes),
        left: &|| seen.change(at, |one| one.left_by_server = Some(Instant::now())),
    };
    let both = async {
        tokio::try_join!(
            up.run(client_reads, server_writes, twin),
            down.run(server_reads, client_writes, None)
        )
    };
    let reset = tokio::select! {
        both = both => both.is_err(),
        _ = cuts.changed() => true,
    };
    if reset {
        drop((client.set_zero_linger(), server.set_zero_linger()));
    }
}

/// One direction of a connection.
struct Pump<'a> {
    rules: watch::Receiver<Rules>,
    way: fn(&Rules) -> Way,
    count: &'a (dyn Fn(u64) + Sync),
    left: &'a (dyn Fn() + Sync),
}

impl Pump<'_> {
    /// Ends well when the source has closed and all of it has arrived.
    async fn run(
        mut self,
        mut from: impl AsyncRead + Unpin,
        to: impl AsyncWrite + Unpin,
        twin: Option<TcpStream>,
    ) -> io::Result<()> {
        let (tx, rx) = mpsc::channel(UNDER_WAY);
        let (count, left, mut rules) = (self.count, self.left, self.rules.clone());
        let read = async move {
            loop {
                let mut chunk = vec![0; CHUNK];
                let read = from.read(&mut chunk).await;
                match read {
                    Ok(bytes) if bytes > 0 => {
                        count(bytes as u64);
                        chunk.truncate(bytes);
                        if tx.send((Instant::now(), chunk)).await.is_err() {
                            return Ok(());
                        }
                    }
                    ended => {
                        left();
                        told(&mut rules).await;
                        // Dropping the channel lets the rest arrive first.
                        return ended.map(drop);
                    }
                }
            }
        };
        tokio::try_join!(read, self.write(rx, to, twin)).map(drop)
    }

    async fn write(
        &mut self,
        mut chunks: mpsc::Receiver<Chunk>,
        mut to: impl AsyncWrite + Unpin,
        mut twin: Option<TcpStream>,
    ) -> io::Result<()> {
        let mut carried = 0;
        while let Some((since, mut chunk)) = chunks.recv().await {
            self.passes(since, chunk.len()).await;
            let cut = (self.way)(&self.rules.borrow()).cut_after;
            let left = cut.map_or(u64::MAX, |cut| cut.saturating_sub(carried));
            let is_cut = left < chunk.len() as u64;
            if is_cut {
                chunk.truncate(usize::try_from(left).unwrap_or(0));
            }
            carried += chunk.len() as u64;
            let written = to.write_all(&chunk).await;
            if let Some(twin) = &mut twin {
                // Its server may end it; the first one must not notice.
                drop(twin.write_all(&chunk).await);
            }
            if let Err(error) = written {
                told(&mut self.rules).await;
                return Err(error);
            }
            if is_cut {
                // What was written has left this process before the reset follows it.
                to.flush().await?;
                tokio::time::sleep(Duration::from_millis(1)).await;
                return Err(io::ErrorKind::ConnectionReset.into());
            }
        }
        to.shutdown().await
    }

    /// Waits as long as a chunk is under way.
    async fn passes(&mut self, since: Instant, bytes: usize) {
        loop {
            let way = (self.way)(&self.rules.borrow_and_update());
            let swallowed = way.swallows_over.is_some_and(|most| bytes > most);
            if !way.stalls && !swallowed {
                let late = way.delay.saturating_sub(since.elapsed());
                let narrow = way.bytes_per_s.map_or(Duration::ZERO, |rate| {
                    Duration::from_secs(1) * u32::try_from(bytes).unwrap_or(u32::MAX)
                        / u32::try_from(rate.max(1)).unwrap_or(u32::MAX)
                });
                tokio::time::sleep(late + narrow).await;
                return;
            }
            if self.rules.changed().await.is_err() {
                return;
            }
        }
    }
}

/// Returns when an end may be told to the other side. An error means that the proxy is gone, and so are both sides.
async fn told(rules: &mut watch::Receiver<Rules>) {
    drop(rules.wait_for(|rules| !rules.silent).await);
}
