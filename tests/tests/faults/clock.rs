//! The wall clock jumps while a step runs. By libfaketime, which leaves the clocks alone that count from boot.

use std::{
    fs,
    path::PathBuf,
    time::{SystemTime, UNIX_EPOCH},
};

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    scene::{Judgement, Scene, cleaned},
};

/// A clock that a file sets.
struct Clock(PathBuf);

impl Clock {
    fn new(stack: &Stack, name: &str) -> Self {
        let clock = Self(stack.dir().join(format!("{name}.clock")));
        clock.jump("+0");
        clock
    }

    /// `+1d` is a day ahead of the true time, `@2147483647` at those Unix seconds, from where it goes on.
    fn jump(&self, to: &str) {
        let to = to
            .strip_prefix('@')
            .map_or_else(|| to.to_owned(), |unix| jump_to(unix.parse().unwrap()));
        let new = self.0.with_extension("new");
        fs::write(&new, format!("{to}\n")).unwrap();
        fs::rename(new, &self.0).unwrap();
    }

    fn env(&self) -> Vec<(String, String)> {
        [
            ("LD_PRELOAD", library().display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", self.0.display().to_string()),
            ("FAKETIME_NO_CACHE", "1".to_owned()),
            ("DONT_FAKE_MONOTONIC", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .to_vec()
    }
}

/// Debian's package `faketime` puts it there; `cargo xtask test` installs it.
fn library() -> PathBuf {
    let of = |arch: &str| PathBuf::from(format!("/usr/lib/{arch}-linux-gnu/faketime/libfaketimeMT.so.1"));
    let found = ["x86_64", "aarch64"]
        .map(of)
        .into_iter()
        .find(|path| path.exists());
    found.expect("libfaketime: apt-get install faketime")
}

/// The jump that leads to an instant in Unix seconds now.
fn jump_to(unix: i64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    format!("{:+}", unix - i64::try_from(now).unwrap())
}

#[test]
fn a_clock_that_jumps_by_a_day_expires_nothing() {
    let mut ledger = Ledger::new("the wall clock jumps while a step runs");
    let witness = Witness::start();
    let mut stack = Stack::server();
    let (of_server, of_agent) = (Clock::new(&stack, "server"), Clock::new(&stack, "agent"));
    stack.server_process().stop();
    stack.server_env(&of_server.env());
    stack.start_server();
    stack.agent("one", &[], &of_agent.env());
    for (fault, server, agent) in [
        ("the server's, a day ahead", "+1d", "+0"),
        ("the server's, a day back", "-1d", "+0"),
        ("the agent's, a day ahead", "+0", "+1d"),
        ("the agent's, a day back", "+0", "-1d"),
        ("both, away from each other", "+1d", "-1d"),
        ("the server's, an hour ahead", "+1h", "+0"),
        ("the agent's, an hour back", "+0", "-1h"),
        ("both, an hour away from each other", "-1h", "+1h"),
        // 2038-01-19 03:14:07 UTC, and the last seconds of 2028-02-28 and 2028-02-29: passed during the step.
        (
            "both, to the last second of 32 bits",
            "@2147483647",
            "@2147483647",
        ),
        ("into a leap day and out of it", "@1835395199", "@1835481599"),
    ] {
        let mut scene = Scene::one(600);
        // All that could expire falsely: the attempt's time, its lease, and the wait for an agent.
        scene.more = "timeout: 1m\n    disconnect: 30s\n    pickup: 1m".to_owned();
        let run = scene.start(&mut stack, &witness, &fault.replace(' ', "-"), |_| ());
        witness.wait_for_prefix(&format!("start {run}"));
        of_server.jump(server);
        of_agent.jump(agent);
        let view = stack.finished(&run);
        let Judgement { row, wrong } = scene.judge(&stack, &witness, &run);
        let took = view["steps"][0]["attempts"][0]["duration_ms"].as_u64();
        ledger.add(
            fault,
            Row {
                figure: format!("{} false expiries, said to have taken {took:?} ms", row.unknown),
                ..row.clone()
            },
        );
        assert!(wrong.is_empty(), "{fault}: {wrong:#?}\n{}", stack.said());
        assert_eq!((row.starts, row.unknown), (1, 0), "{fault}: {view:#}");
        assert_eq!(
            view["steps"][0]["attempts"][0]["exit_code"], 7,
            "{fault}: {view:#}"
        );
        // A day of the clock is none of the step's.
        assert!(took.is_some_and(|ms| ms < 3_600_000), "{fault}: {view:#}");
        of_server.jump("+0");
        of_agent.jump("+0");
    }
    cleaned(&stack);
}
