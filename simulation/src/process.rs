//! A host's one process: it runs in slices of time on a runtime of its own, beside turmoil, so that it can stand still for as
//! long as a fault wants it.

use std::{future::Future, pin::Pin, time::Duration};

use tokio::{runtime::Runtime, task::JoinHandle};

use crate::{
    kernel::{Kernel, Ports},
    machine,
};

/// What a process is until it ends; it must not.
pub type Life = Pin<Box<dyn Future<Output = Result<(), String>> + Send>>;

/// What its clocks do while it stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clocks {
    /// SIGSTOP: they go on, and everything is due at once when it wakes.
    GoOn,
    /// A paused machine: they stand still, too, and are behind all others ever after.
    StandStill,
    /// They go on, and it notices nothing of the pause: the planted bug.
    Hidden,
}

/// One process over all its lives.
pub struct Process {
    /// The host's name.
    pub host: &'static str,
    /// Its kernel.
    pub kernel: Kernel,
    software: Box<dyn Fn(Ports) -> Life>,
    alive: Option<Alive>,
    still: Option<(Duration, Clocks)>,
    behind: Duration,
}

struct Alive {
    runtime: Runtime,
    main: JoinHandle<Result<(), String>>,
}

/// Steps in which a pause is hidden: shorter than any that is noticed.
const HIDDEN: Duration = Duration::from_secs(1);

impl Process {
    /// One that does not run yet.
    #[must_use]
    pub fn new(host: &'static str, kernel: Kernel, software: Box<dyn Fn(Ports) -> Life>) -> Self {
        Self {
            host,
            kernel,
            software,
            alive: None,
            still: None,
            behind: Duration::ZERO,
        }
    }

    /// Begins a life. Its kernel is to be run after that.
    ///
    /// # Errors
    /// The machine has no runtime for it.
    pub fn start(&mut self) -> std::io::Result<()> {
        machine::set(machine::elapsed(), self.behind);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let main = runtime.spawn((self.software)(self.kernel.boot()));
        self.alive = Some(Alive { runtime, main });
        Ok(())
    }

    /// Between two polls, without a word.
    pub fn kill(&mut self) {
        machine::set(machine::elapsed(), self.behind);
        self.alive = None;
    }

    /// It stands still from now on.
    pub fn stop(&mut self, clocks: Clocks) {
        self.still = Some((machine::elapsed(), clocks));
    }

    /// It goes on; answers how long its clocks went on without it.
    pub fn wake(&mut self) -> Duration {
        let Some((since, clocks)) = self.still.take() else {
            return Duration::ZERO;
        };
        let elapsed = machine::elapsed();
        let still = elapsed.saturating_sub(since);
        match clocks {
            Clocks::StandStill => {
                self.behind += still;
                return Duration::ZERO;
            }
            Clocks::GoOn => self.advance(still),
            Clocks::Hidden => {
                let mut at = since;
                while at < elapsed {
                    let step = HIDDEN.min(elapsed - at);
                    at += step;
                    machine::set(at, self.behind);
                    self.advance(step);
                }
            }
        }
        still
    }

    fn advance(&self, by: Duration) {
        machine::set(machine::elapsed(), self.behind);
        if let Some(alive) = &self.alive {
            alive.runtime.block_on(async {
                tokio::time::advance(by).await;
                // What is due is done.
                tokio::task::yield_now().await;
            });
        }
    }

    /// Runs for a slice of time that the world has gone through.
    ///
    /// # Errors
    /// It ended by itself.
    pub fn tick(&mut self, slice: Duration) -> Result<(), String> {
        let Some(alive) = &mut self.alive else {
            return Ok(());
        };
        if self.still.is_some() {
            return Ok(());
        }
        machine::set(machine::elapsed(), self.behind);
        alive.runtime.block_on(async { tokio::time::sleep(slice).await });
        if !alive.main.is_finished() {
            return Ok(());
        }
        Err(match alive.runtime.block_on(&mut alive.main) {
            Ok(Ok(())) => format!("{} ended", self.host),
            Ok(Err(why)) => format!("{} ended: {why}", self.host),
            Err(error) => format!("{} ended: {error}", self.host),
        })
    }
}
