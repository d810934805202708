//! What goes wrong, and when: drawn from the seed, never from what the program does.

use std::{fmt, time::Duration};

use turmoil::Sim;

use crate::{machine, process::Clocks, record::Record, world::AGENTS};

/// Faults begin after this.
const FROM: Duration = Duration::from_secs(1);
/// All of them are over by then, but for a long one.
const UNTIL: Duration = Duration::from_secs(45);
/// The longest pause between two.
const PAUSE_MS: u64 = 4_000;
/// Most last less than this;
const SHORT_MS: u64 = 3_000;
/// one in four less than this: longer than a lease, and longer than the transport takes to find a dead peer.
const LONG_MS: u64 = 40_000;
/// One seed in so many has a fault that lasts longer than all that is waited for;
const PATIENT: u64 = 32;
/// it lasts this long, and up to a minute more.
const TEN_MINUTES: Duration = Duration::from_secs(600);

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
    /// The process stands still, and its clocks go on.
    Stopped(&'static str),
    /// The process stands still, and so do its clocks and its containers.
    Paused(&'static str),
}

/// What becomes of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blow {
    /// It is killed.
    Kill,
    /// It is started again.
    Start,
    /// It stands still.
    Stop(Clocks),
    /// It goes on.
    Wake,
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
            | Self::Crash(host)
            | Self::Stopped(host)
            | Self::Paused(host) => host,
        }
    }

    const fn is_of_process(self) -> bool {
        matches!(self, Self::Crash(_) | Self::Stopped(_) | Self::Paused(_))
    }

    /// One a link and one a process at a time.
    fn excludes(self, other: Self) -> bool {
        self.host() == other.host() && self.is_of_process() == other.is_of_process()
    }

    fn begin(self, sim: &mut Sim<'_>) -> Option<Blow> {
        match self {
            Self::Cut(host) => sim.partition(host, "server"),
            Self::CutUp(host) => sim.partition_oneway(host, "server"),
            Self::CutDown(host) => sim.partition_oneway("server", host),
            Self::Held(host) => sim.hold(host, "server"),
            Self::Slow(host) => sim.set_link_max_message_latency(host, "server", Duration::from_secs(2)),
            Self::Lossy(host) => sim.set_link_fail_rate(host, "server", 0.02),
            Self::Crash(_) => return Some(Blow::Kill),
            Self::Stopped(_) => return Some(Blow::Stop(Clocks::GoOn)),
            Self::Paused(_) => return Some(Blow::Stop(Clocks::StandStill)),
        }
        None
    }

    fn end(self, sim: &mut Sim<'_>) -> Option<Blow> {
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
            Self::Crash(_) => return Some(Blow::Start),
            Self::Stopped(_) | Self::Paused(_) => return Some(Blow::Wake),
        }
        None
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
    /// When the long one begins and ends.
    long: Option<(Duration, Duration, Fault)>,
    until: Duration,
    /// Those that last, with their ends. One a link and one a process at a time.
    lasting: Vec<(Duration, Fault)>,
}

impl Faults {
    /// Of a seed.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        let mut faults = Self {
            entropy: seed ^ 0x00fa_0175,
            next: FROM,
            long: None,
            until: UNTIL,
            lasting: Vec::new(),
        };
        if faults.below(PATIENT) == 0 {
            let host = faults.agent();
            let fault = match faults.below(6) {
                0 => Fault::Cut(host),
                1 => Fault::CutUp(host),
                2 => Fault::CutDown(host),
                3 => Fault::Held(host),
                4 => Fault::Stopped(host),
                _ => Fault::Paused(host),
            };
            let begins = FROM + Duration::from_millis(faults.below(20_000));
            faults.until = begins + TEN_MINUTES + Duration::from_millis(faults.below(60_000));
            faults.long = Some((begins, faults.until, fault));
        }
        faults
    }

    /// All of them are over by then.
    #[must_use]
    pub const fn until(&self) -> Duration {
        self.until
    }

    fn below(&mut self, bound: u64) -> u64 {
        machine::draw(&mut self.entropy) % bound
    }

    fn agent(&mut self) -> &'static str {
        AGENTS[usize::try_from(self.below(AGENTS.len() as u64)).unwrap_or_default()]
    }

    /// Ends and begins what is due; answers what becomes of which host's process just now.
    pub fn apply(&mut self, sim: &mut Sim<'_>, record: &Record) -> Vec<(&'static str, Blow)> {
        let now = sim.elapsed();
        let mut blows = self.end(sim, record, |ends, _| ends <= now);
        if let Some((_, ends, fault)) = self.long.take_if(|(begins, ..)| *begins <= now) {
            blows.extend(self.end(sim, record, |_, other| fault.excludes(other)));
            blows.extend(self.begin(sim, record, (ends, fault)));
        }
        if now < self.next || now >= UNTIL {
            return blows;
        }
        self.next = now + Duration::from_millis(200 + self.below(PAUSE_MS));
        let fault = self.draw();
        if self.lasting.iter().any(|(_, other)| fault.excludes(*other)) {
            return blows;
        }
        let longest = if self.below(4) == 0 { LONG_MS } else { SHORT_MS };
        let ends = (now + Duration::from_millis(50 + self.below(longest))).min(UNTIL);
        blows.extend(self.begin(sim, record, (ends, fault)));
        blows
    }

    fn begin(
        &mut self,
        sim: &mut Sim<'_>,
        record: &Record,
        (ends, fault): (Duration, Fault),
    ) -> Option<(&'static str, Blow)> {
        record.fault(format_args!("{fault} until {} ms", ends.as_millis()));
        record.trouble(fault.host(), ends);
        self.lasting.push((ends, fault));
        fault.begin(sim).map(|blow| (fault.host(), blow))
    }

    fn end(
        &mut self,
        sim: &mut Sim<'_>,
        record: &Record,
        is_over: impl Fn(Duration, Fault) -> bool,
    ) -> Vec<(&'static str, Blow)> {
        let all = self.lasting.drain(..);
        let (over, lasting): (Vec<_>, _) = all.partition(|(ends, fault)| is_over(*ends, *fault));
        self.lasting = lasting;
        let end = |(_, fault): (Duration, Fault)| {
            record.say("fault", format_args!("{fault} is over"));
            fault.end(sim).map(|blow| (fault.host(), blow))
        };
        over.into_iter().filter_map(end).collect()
    }

    fn draw(&mut self) -> Fault {
        let agent = self.agent();
        let link = if self.below(8) == 0 { "user" } else { agent };
        let process = if self.below(3) == 0 { "server" } else { agent };
        match self.below(12) {
            0 | 1 => Fault::Cut(link),
            2 => Fault::CutUp(link),
            3 => Fault::CutDown(link),
            4 => Fault::Held(link),
            5 => Fault::Slow(link),
            6 => Fault::Lossy(link),
            7 => Fault::Stopped(process),
            8 => Fault::Paused(process),
            _ => Fault::Crash(process),
        }
    }
}
