//! What goes wrong, and when: drawn from the seed, never from what the program does.

use std::{fmt, time::Duration};

use turmoil::Sim;

use crate::{machine, record::Record, world::AGENTS};

/// Faults begin after this.
const FROM: Duration = Duration::from_secs(1);
/// All of them are over by then.
pub const UNTIL: Duration = Duration::from_secs(45);
/// The longest pause between two.
const PAUSE_MS: u64 = 4_000;
/// Most last less than this;
const SHORT_MS: u64 = 3_000;
/// one in four less than this: longer than a lease, and longer than the transport takes to find a dead peer.
const LONG_MS: u64 = 40_000;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// Nothing goes through.
    Cut(&'static str),
    /// Nothing goes from it to the server.
    CutUp(&'static str),
    /// Nothing goes from the server to it.
    CutDown(&'static str),
    /// Everything is held back and comes later, in order.
    Held(&'static str),
    /// Messages take up to two seconds.
    Slow(&'static str),
    /// One message in fifty is lost, and with it its connection.
    Lossy(&'static str),
    /// The process is killed and started again.
    Crash(&'static str),
}

impl Fault {
    /// The host whose link or process it is.
    const fn host(self) -> &'static str {
        match self {
            Self::Cut(host)
            | Self::CutUp(host)
            | Self::CutDown(host)
            | Self::Held(host)
            | Self::Slow(host)
            | Self::Lossy(host)
            | Self::Crash(host) => host,
        }
    }

    fn begin(self, sim: &mut Sim<'_>) {
        match self {
            Self::Cut(host) => sim.partition(host, "server"),
            Self::CutUp(host) => sim.partition_oneway(host, "server"),
            Self::CutDown(host) => sim.partition_oneway("server", host),
            Self::Held(host) => sim.hold(host, "server"),
            Self::Slow(host) => sim.set_link_max_message_latency(host, "server", Duration::from_secs(2)),
            Self::Lossy(host) => sim.set_link_fail_rate(host, "server", 0.02),
            Self::Crash(host) => sim.crash(host),
        }
    }

    fn end(self, sim: &mut Sim<'_>) {
        match self {
            Self::Cut(host) => sim.repair(host, "server"),
            Self::CutUp(host) => sim.repair_oneway(host, "server"),
            Self::CutDown(host) => sim.repair_oneway("server", host),
            Self::Held(host) => sim.release(host, "server"),
            Self::Slow(host) => sim.set_link_max_message_latency(host, "server", LATENCY),
            Self::Lossy(host) => {
                sim.set_link_fail_rate(host, "server", 0.0);
                sim.repair(host, "server");
            }
            Self::Crash(host) => sim.bounce(host),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self:?}")
    }
}

/// The longest that a message takes on a good day.
pub const LATENCY: Duration = Duration::from_millis(30);

/// The schedule of a seed.
#[derive(Debug)]
pub struct Faults {
    entropy: u64,
    next: Duration,
    /// Those that last, with their ends. One a link and one a process at a time.
    lasting: Vec<(Duration, Fault)>,
}

impl Faults {
    /// Of a seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            entropy: seed ^ 0x00fa_0175,
            next: FROM,
            lasting: Vec::new(),
        }
    }

    fn below(&mut self, bound: u64) -> u64 {
        machine::draw(&mut self.entropy) % bound
    }

    /// Ends and begins what is due; answers the hosts whose process was killed just now.
    pub fn apply(&mut self, sim: &mut Sim<'_>, record: &Record) -> Vec<&'static str> {
        let now = sim.elapsed();
        let (over, lasting) = self.lasting.drain(..).partition(|(ends, _)| *ends <= now);
        self.lasting = lasting;
        for (_, fault) in over {
            record.say("fault", format_args!("{fault} is over"));
            fault.end(sim);
        }
        if now < self.next || now >= UNTIL {
            return Vec::new();
        }
        self.next = now + Duration::from_millis(200 + self.below(PAUSE_MS));
        let fault = self.draw();
        let of_process = |fault: &Fault| matches!(fault, Fault::Crash(_));
        let is_taken = self
            .lasting
            .iter()
            .any(|(_, other)| other.host() == fault.host() && of_process(other) == of_process(&fault));
        if is_taken {
            return Vec::new();
        }
        let longest = if self.below(4) == 0 { LONG_MS } else { SHORT_MS };
        let ends = (now + Duration::from_millis(50 + self.below(longest))).min(UNTIL);
        record.fault(format_args!("{fault} until {} ms", ends.as_millis()));
        fault.begin(sim);
        self.lasting.push((ends, fault));
        match fault {
            Fault::Crash(host) => vec![host],
            _ => Vec::new(),
        }
    }

    fn draw(&mut self) -> Fault {
        let agent = AGENTS[usize::try_from(self.below(AGENTS.len() as u64)).unwrap_or_default()];
        let host = if self.below(8) == 0 { "user" } else { agent };
        match self.below(10) {
            0 | 1 => Fault::Cut(host),
            2 => Fault::CutUp(host),
            3 => Fault::CutDown(host),
            4 => Fault::Held(host),
            5 => Fault::Slow(host),
            6 => Fault::Lossy(host),
            7 => Fault::Crash("server"),
            _ => Fault::Crash(agent),
        }
    }
}
