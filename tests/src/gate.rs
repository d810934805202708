//! A gate that steps wait at: whoever connects gets a line when it is open. The step needs `network: host`.

use std::{
    io::Write,
    net::{SocketAddr, TcpListener},
    sync::{Arc, Condvar, Mutex, PoisonError},
};

/// A closed gate; it stays open once it was opened.
#[derive(Debug, Clone)]
pub struct Gate {
    address: SocketAddr,
    open: Arc<(Mutex<bool>, Condvar)>,
}

impl Gate {
    /// Listens on loopback.
    ///
    /// # Panics
    /// When it cannot.
    #[must_use]
    pub fn closed() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let gate = Self {
            address: listener.local_addr().expect("an address"),
            open: Arc::default(),
        };
        let open = Arc::clone(&gate.open);
        std::thread::spawn(move || {
            for mut stream in listener.incoming().flatten() {
                let open = Arc::clone(&open);
                std::thread::spawn(move || {
                    let (lock, opened) = &*open;
                    let is_open = lock.lock().unwrap_or_else(PoisonError::into_inner);
                    drop(opened.wait_while(is_open, |is_open| !*is_open));
                    drop(stream.write_all(b"open\n"));
                });
            }
        });
        gate
    }

    /// A shell command (bash) that ends when the gate is open.
    #[must_use]
    pub fn wait(&self) -> String {
        format!(
            "bash -c 'read -r word < /dev/tcp/127.0.0.1/{}'",
            self.address.port()
        )
    }

    /// Lets everybody through.
    pub fn open(&self) {
        let (lock, opened) = &*self.open;
        *lock.lock().unwrap_or_else(PoisonError::into_inner) = true;
        opened.notify_all();
    }
}
