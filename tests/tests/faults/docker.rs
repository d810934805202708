//! Faults of a Docker daemon, and of operators who use it beside us, under the real agent.

use std::{
    thread,
    time::{Duration, Instant},
};

use e2e::{
    Stack, Witness,
    docker::{Dockerd, Operator},
    ledger::Ledger,
    process::{signal, state},
    scene::{Judgement, Scene, Step, cleaned},
    stack::PATIENCE,
    wait,
};

/// How long a run may take that the daemon fails more than once, and that waits for its calls to time out.
pub(crate) const LONG: Duration = Duration::from_secs(240);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Moment {
    /// The container is made and not started.
    Created,
    /// The step has begun.
    Running,
    /// The step has said its last word.
    Ended,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// kill -9, then started again.
    Kill,
    /// Ended as its unit ends it, then started again.
    Restart,
    /// SIGSTOP for so many seconds, then SIGCONT.
    Hang(u64),
}

/// One daemon, and one agent that has nothing else.
struct Place {
    witness: Witness,
    stack: Stack,
    agent: String,
    daemon: Dockerd,
}

impl Place {
    fn new(live_restore: bool) -> Self {
        let daemon = Dockerd::start(live_restore);
        let mut stack = Stack::server();
        let host = daemon.operator().host();
        stack.agent("one", &["--runtime", "docker", "--docker-host", &host], &[]);
        Self {
            witness: Witness::start(),
            agent: id(&stack),
            stack,
            daemon,
        }
    }

    fn strike(&mut self, fault: Fault) {
        match fault {
            Fault::Kill => {
                self.daemon.kill9();
                self.daemon.up();
            }
            Fault::Restart => {
                self.daemon.stop();
                self.daemon.up();
            }
            Fault::Hang(seconds) => {
                self.daemon.signal(libc::SIGSTOP);
                thread::sleep(Duration::from_secs(seconds));
                self.daemon.signal(libc::SIGCONT);
            }
        }
    }

    /// A run of one step that is tried again when it fails, with one fault at one moment. It succeeds in the end, no
    /// attempt is started twice, and what the step wrote is its log, whatever the daemon did.
    fn play(&mut self, ledger: &mut Ledger, moment: Moment, fault: Fault) {
        let name = format!("{fault:?} while {moment:?}");
        let mut step = Step::short("a", &[]);
        (step.lines, step.pause_ms) = (40, 50);
        let mut scene = Scene::of(vec![step]);
        scene.more = "retry: { limit: 8, delay: 1s, jitter: false }".to_owned();
        if moment == Moment::Created {
            self.stack.arm("docker.create.post", "stop");
        }
        let key = name.to_lowercase().replace([' ', '(', ')'], "-");
        let run = scene.start(&mut self.stack, &self.witness, &key, |_| ());
        match moment {
            Moment::Created => {
                let agent = self.stack.agent_process("one").pid();
                wait::until("the container to be made", PATIENCE, || {
                    (self.stack.reached("docker.create.post") && state(agent) == Some('T')).then_some(())
                });
                // A daemon that hangs does so when it is asked to start the container.
                if let Fault::Hang(_) = fault {
                    self.daemon.signal(libc::SIGSTOP);
                    signal(agent, libc::SIGCONT);
                    self.strike(fault);
                } else {
                    self.strike(fault);
                    signal(agent, libc::SIGCONT);
                }
            }
            Moment::Running => {
                self.witness.wait_for_prefix(&format!("start {run}"));
                self.strike(fault);
            }
            Moment::Ended => {
                self.witness.wait_for_prefix(&format!("end {run}"));
                self.strike(fault);
            }
        }
        let begun = Instant::now();
        let view = wait::until(&format!("{run} to end"), LONG, || {
            let view = self.stack.json(&["show", &run, "-o", "json"])?;
            (!view["outcome"].is_null()).then_some(view)
        });
        let Judgement { mut row, wrong } = scene.judge(&self.stack, &self.witness, &run);
        row.figure = format!("over {} ms after", begun.elapsed().as_millis());
        ledger.add(&name, row.clone());
        assert!(wrong.is_empty(), "{name}: {wrong:#?}\n{}", self.stack.said());
        assert_eq!(view["outcome"], "succeeded", "{name}: {view:#}");
        assert_eq!((row.doubled, row.unknown), (0, 0), "{name}: {view:#}");
        if moment == Moment::Created {
            assert_eq!(row.starts, 1, "{name}: what was not told to go never ran");
        }
        self.gone();
    }

    /// Nothing of any attempt is left, on the agent or on the daemon.
    fn gone(&self) {
        cleaned(&self.stack);
        let operator = self.daemon.operator();
        wait::until("the containers to be gone", LONG, || {
            operator.containers(&self.agent).is_empty().then_some(())
        });
    }
}

fn id(stack: &Stack) -> String {
    let agents = stack.json(&["agents", "-o", "json"]).unwrap();
    agents[0]["id"].as_str().unwrap().to_owned()
}

#[test]
fn a_daemon_that_dies_is_no_success_and_loses_nothing() {
    let mut ledger = Ledger::new("dockerd, without live-restore");
    let mut place = Place::new(false);
    for (moment, fault) in [
        (Moment::Created, Fault::Kill),
        (Moment::Running, Fault::Kill),
        (Moment::Ended, Fault::Kill),
        (Moment::Running, Fault::Hang(3)),
    ] {
        place.play(&mut ledger, moment, fault);
    }
}

const ALL: [Moment; 3] = [Moment::Created, Moment::Running, Moment::Ended];

#[test]
fn full_a_daemon_that_dies_or_restarts_at_each_moment_with_live_restore_and_without() {
    for live_restore in [true, false] {
        let mut ledger = Ledger::new(&format!("dockerd, live-restore {live_restore}"));
        let mut place = Place::new(live_restore);
        for moment in ALL {
            for fault in [Fault::Kill, Fault::Restart] {
                place.play(&mut ledger, moment, fault);
            }
        }
    }
}

/// For longer than any call's deadline: 30 s, and 120 s for a start.
#[test]
fn full_a_daemon_that_hangs_for_longer_than_its_callers_wait() {
    let mut ledger = Ledger::new("dockerd hangs");
    let mut place = Place::new(false);
    place.play(&mut ledger, Moment::Created, Fault::Hang(130));
    place.play(&mut ledger, Moment::Running, Fault::Hang(45));
    place.play(&mut ledger, Moment::Ended, Fault::Hang(45));
}

/// The agent's own death, at each point of a container's making.
#[test]
fn kill_9_of_the_agent_while_a_container_is_made() {
    let mut ledger = Ledger::new("kill -9 of an agent with Docker");
    let witness = Witness::start();
    let (mut stack, agent) = shared();
    for (point, starts) in [
        ("docker.create.post", 1..=1),
        ("docker.start.post", 1..=1),
        // It may have been told to go. Its own record says that it was not, if it is there when the agent looks: then it
        // is started, else it fails.
        ("docker.marked", 0..=1),
        ("exit.post", 1..=1),
    ] {
        stack.arm(point, "kill");
        let scene = Scene::of(vec![Step::short("a", &[])]);
        let run = scene.start(&mut stack, &witness, point, |_| ());
        let view = wait::until(&format!("{run} to end"), LONG, || {
            if stack.agent_process("one").ended().is_some() {
                stack.start_agent("one");
            }
            let view = stack.json(&["show", &run, "-o", "json"])?;
            (!view["outcome"].is_null()).then_some(view)
        });
        assert!(stack.reached(point), "{point}: nobody came there");
        let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
        ledger.add(&format!("kill -9 at {point}"), row.clone());
        assert!(wrong.is_empty(), "{point}: {wrong:#?}\n{}", stack.said());
        let outcome = if row.starts == 1 { "succeeded" } else { "failed" };
        assert_eq!(view["outcome"], outcome, "{point}: {view:#}");
        assert!(
            starts.contains(&row.starts),
            "{point}: {} starts: {view:#}",
            row.starts
        );
        assert_eq!(row.unknown, 0, "{point}: {view:#}");
        if stack.agent_process("one").ended().is_some() {
            stack.start_agent("one");
        }
    }
    cleaned(&stack);
    agent.gone();
}

/// One agent that has nothing but the daemon that all tests share, and what it will have left there.
pub(crate) fn shared() -> (Stack, Swept) {
    let mut stack = Stack::server();
    let host = Operator::shared().host();
    stack.agent("one", &["--runtime", "docker", "--docker-host", &host], &[]);
    let swept = Swept(id(&stack));
    (stack, swept)
}

/// What an agent left on the daemon that all tests share.
pub(crate) struct Swept(String);

impl Swept {
    /// Waits until nothing is left there.
    pub(crate) fn gone(&self) {
        wait::until("the containers to be gone", LONG, || {
            Operator::shared().containers(&self.0).is_empty().then_some(())
        });
    }
}

impl Drop for Swept {
    fn drop(&mut self) {
        Operator::shared().sweep(&self.0);
    }
}

/// An operator ends, removes or pauses a container behind our back: a clear end, and nothing hangs.
fn behind_our_back(deeds: &[(&str, &str, &str)]) {
    let mut ledger = Ledger::new("an operator beside us");
    let witness = Witness::start();
    let operator = Operator::shared();
    let (mut stack, agent) = shared();
    for (method, path, word) in deeds {
        let mut scene = Scene::one(60_000);
        scene.more = "timeout: 8s\n    grace: 1s".to_owned();
        let key = format!("{method}{}", path.replace(['/', '?', '='], "-")).to_lowercase();
        let run = scene.start(&mut stack, &witness, &key, |_| ());
        witness.wait_for_prefix(&format!("start {run}"));
        let container = operator.only(&agent.0, "running");
        operator.does(method, &format!("/containers/{container}{path}"));
        let begun = Instant::now();
        let view = stack.finished(&run);
        let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
        row.figure = format!("over {} ms after", begun.elapsed().as_millis());
        ledger.add(&format!("{method} {path}"), row.clone());
        assert!(wrong.is_empty(), "{path}: {wrong:#?}\n{}", stack.said());
        assert_eq!(view["outcome"], "failed", "{path}: {view:#}");
        assert!(view["reasons"].to_string().contains(word), "{path}: {view:#}");
        assert_eq!((row.starts, row.unknown), (1, 0), "{path}: {view:#}");
        cleaned(&stack);
        assert_eq!(operator.containers(&agent.0), []);
    }
}

#[test]
fn what_an_operator_ends_or_removes_is_told_as_that() {
    behind_our_back(&[
        ("POST", "/kill", "its container was killed from outside"),
        ("DELETE", "?force=1", "from outside"),
        ("POST", "/stop?t=1", "from outside"),
    ]);
}

#[test]
fn full_what_an_operator_pauses_is_ended_when_its_time_is_over() {
    behind_our_back(&[("POST", "/pause", "timed out")]);
}
