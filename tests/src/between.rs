//! Between an agent and its Docker daemon: a Unix socket that passes everything on, until one request of a test's choosing has
//! been passed and its answer is kept back.

use std::{
    io::{Read, Write},
    net::Shutdown,
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use crate::wait;

/// When a request that is waited for counts as seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Seen {
    /// The daemon has it.
    Asked,
    /// The daemon has begun to answer: it is done, and nobody knows.
    Answered,
}

/// What is waited for, and what became of it.
#[derive(Debug, Default)]
enum Trap {
    #[default]
    None,
    /// A method, a word of the path, and when it counts.
    Set(&'static str, &'static str, Seen),
    /// The request was passed on; its answer is kept back.
    Asked(Seen),
    /// It was seen, and waits to be cut.
    Sprung,
}

#[derive(Debug)]
struct Shared {
    to: PathBuf,
    trap: Mutex<Trap>,
    /// Both ends of each connection that is open.
    open: Mutex<Vec<UnixStream>>,
}

/// The socket; it goes with its directory.
#[derive(Debug)]
pub struct Between {
    path: PathBuf,
    shared: Arc<Shared>,
}

impl Between {
    /// In front of the daemon's socket.
    ///
    /// # Panics
    /// When it cannot listen.
    #[must_use]
    pub fn before(daemon: &str, dir: &Path) -> Self {
        let path = dir.join("between");
        let listener = UnixListener::bind(&path).expect("a socket");
        let shared = Arc::new(Shared {
            to: daemon.trim_start_matches("unix://").into(),
            trap: Mutex::default(),
            open: Mutex::default(),
        });
        let ours = Arc::clone(&shared);
        std::thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                ours.connect(client);
            }
        });
        Self { path, shared }
    }

    /// For `--docker-host`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.path.display())
    }

    /// Keeps the answer to the next request of this method whose path contains this.
    pub fn trap(&self, method: &'static str, path: &'static str, seen: Seen) {
        *lock(&self.shared.trap) = Trap::Set(method, path, seen);
    }

    /// Waits for that request.
    ///
    /// # Panics
    /// When it does not come.
    pub fn sprung(&self, within: Duration) {
        wait::until("the daemon to be asked", within, || {
            matches!(*lock(&self.shared.trap), Trap::Sprung).then_some(())
        });
    }

    /// Breaks all connections: the answer that was kept back never comes.
    pub fn cut(&self) {
        *lock(&self.shared.trap) = Trap::None;
        for stream in lock(&self.shared.open).drain(..) {
            // Closed by the other side is closed.
            drop(stream.shutdown(Shutdown::Both));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    /// Without a daemon a client finds out as it would: the connection ends.
    fn connect(self: &Arc<Self>, client: UnixStream) {
        let Ok(daemon) = UnixStream::connect(&self.to) else {
            return;
        };
        let twin = |stream: &UnixStream| stream.try_clone().expect("a descriptor");
        lock(&self.open).extend([twin(&client), twin(&daemon)]);
        let kept = Arc::new(Mutex::new(false));
        let (shared, from, to, keep) = (Arc::clone(self), twin(&client), twin(&daemon), Arc::clone(&kept));
        std::thread::spawn(move || shared.ask(from, to, &keep));
        let shared = Arc::clone(self);
        std::thread::spawn(move || shared.answer(daemon, client, &kept));
    }

    fn ask(&self, mut from: UnixStream, mut to: UnixStream, kept: &Mutex<bool>) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            // The client library begins a request with a write of its own.
            let caught = self.is_caught(&buffer[..length]);
            if caught {
                *lock(kept) = true;
            }
            if to.write_all(&buffer[..length]).is_err() {
                break;
            }
            let mut trap = lock(&self.trap);
            if caught && matches!(*trap, Trap::Asked(Seen::Asked)) {
                *trap = Trap::Sprung;
            }
        }
        drop(to.shutdown(Shutdown::Write));
    }

    fn is_caught(&self, chunk: &[u8]) -> bool {
        let line = chunk.split(|byte| *byte == b'\r').next().unwrap_or_default();
        let line = String::from_utf8_lossy(line);
        let mut trap = lock(&self.trap);
        let Trap::Set(method, path, seen) = *trap else {
            return false;
        };
        let caught = line.starts_with(method) && line.contains(path);
        if caught {
            *trap = Trap::Asked(seen);
        }
        caught
    }

    fn answer(&self, mut from: UnixStream, mut to: UnixStream, kept: &Mutex<bool>) {
        let mut buffer = [0; 16 * 1024];
        while let Ok(length @ 1..) = from.read(&mut buffer) {
            if *lock(kept) {
                let mut trap = lock(&self.trap);
                if matches!(*trap, Trap::Asked(_)) {
                    *trap = Trap::Sprung;
                }
            } else if to.write_all(&buffer[..length]).is_err() {
                break;
            }
        }
        if !*lock(kept) {
            drop(to.shutdown(Shutdown::Write));
        }
    }
}
