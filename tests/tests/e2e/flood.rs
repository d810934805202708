//! A step that says more than anybody wants to keep: bounded memory, each lost byte counted where people read, the secret
//! masked, the neighbours undisturbed, over a kill -9 of the agent in the middle.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::{Duration, Instant},
};

use e2e::{Stack, Witness, docker::Operator, wait};

/// A line's length in bytes, its newline included: a divisor of what is kept of a stream's beginning and of its end, so
/// that a loss begins and ends with a line.
const LINE: usize = 64;
/// What is kept of one stream, and how much of that are its last bytes.
const KEPT: usize = 64 * 1024 * 1024;
const TAIL: usize = 64 * 1024;
/// Every so many lines the secret stands in one.
const EVERY: usize = 10;
const SECRET: &str = "flood-s3cr3t-0123456789";
const MIB: usize = 1024 * 1024;

/// The line of a number, as the step writes it.
fn line(number: usize, secret: &str) -> String {
    let word = if number.is_multiple_of(EVERY) { SECRET } else { "" };
    let plain = format!("{number:010} {word}");
    let padded = format!("{plain:-<width$}\n", width = LINE - 1);
    padded.replace(SECRET, secret)
}

/// What people must be shown of so many lines: the first, the last, and the number of bytes between them.
fn expected(lines: usize) -> (Vec<u8>, usize) {
    let (head, tail) = ((KEPT - TAIL) / LINE, TAIL / LINE);
    let shown = (0..head).chain(lines - tail..lines);
    let text: String = shown.map(|number| line(number, "***")).collect();
    (text.into_bytes(), lines * LINE - KEPT)
}

/// Writes so many lines as fast as it can, and says when it begins and when half is out.
fn definition(lines: usize, witness: &Witness) -> String {
    let perl = format!(
        "for my $n ({{FROM}} .. {{TO}} - 1) {{ my $l = sprintf(\"%010d \", $n); $l .= $ENV{{TOKEN}} unless $n % {EVERY}; \
         print $l, \"-\" x ({LINE} - 1 - length $l), \"\\n\" }}"
    );
    let part = |from: usize, to: usize| {
        let perl = perl
            .replace("{FROM}", &from.to_string())
            .replace("{TO}", &to.to_string());
        format!("perl -e '{perl}'")
    };
    let (first, second) = (part(0, lines / 2), part(lines / 2, lines));
    format!(
        "name: flood\nsteps:\n  s:\n    image: host\n    network: host\n    timeout: 15m\n    secrets: {{ TOKEN: FLOOD_TOKEN }}\n    run: |\n      {}\n      {first}\n      {}\n      {second}\n",
        witness.say("begun"),
        witness.say("half"),
    )
}

const NEIGHBOUR: &str = "name: neighbour\nsteps:\n  s:\n    image: host\n    run: echo fine\n";

/// Runs short steps one after the other until told to end; how long each took from its request to its end.
fn neighbours(stack: &Stack, over: &AtomicBool, patience: Duration) -> Vec<Duration> {
    let mut took = Vec::new();
    let file = stack.file("neighbour.yaml", NEIGHBOUR);
    while !over.load(Ordering::Relaxed) {
        let begun = Instant::now();
        let run = wait::until("a neighbour to be taken", patience, || {
            let output = stack.cli(&["run", &file]);
            output
                .status
                .success()
                .then(|| String::from_utf8(output.stdout).unwrap().trim().to_owned())
        });
        let view = ended(stack, &run, patience);
        took.push(begun.elapsed());
        assert_eq!(view["outcome"], "succeeded", "{view:#}");
        wait::until("the neighbour's log", patience, || {
            (stack.logs(&run, "s") == b"fine\n").then_some(())
        });
    }
    took
}

fn ended(stack: &Stack, run: &str, patience: Duration) -> serde_json::Value {
    wait::until(&format!("{run} to end"), patience, || {
        let view = stack.json(&["show", run, "-o", "json"])?;
        (!view["outcome"].is_null()).then_some(view)
    })
}

/// The most memory that a process ever had, in MiB (proc(5), `VmHWM`).
fn peak(pid: u32) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    let kib: usize = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kib / 1024
}

/// What people see must be exactly what was written: masked, with the one loss in its place and counted.
fn judge(stack: &Stack, run: &str, lines: usize, patience: Duration) {
    let (bytes, lost) = expected(lines);
    let mut told = None;
    let (out, err) = wait::until("the log's end", patience, || {
        let output = stack.cli(&["logs", run, "s"]);
        let err = String::from_utf8_lossy(&output.stderr).into_owned();
        let seen = err.contains("dropped").then(Instant::now);
        told = told.or(seen);
        // The last bytes come with the loss or right after it; if they never come, the difference is shown below.
        let whole = output.stdout.len() == bytes.len();
        let over = whole || told.is_some_and(|told| told.elapsed() > Duration::from_secs(20));
        (seen.is_some() && over).then_some((output.stdout, err))
    });
    assert_eq!(err, format!("firehall: {lost} bytes were dropped here\n"));
    if out != bytes {
        let at = out.iter().zip(&bytes).position(|(is, must)| is != must);
        let at = at.unwrap_or(out.len().min(bytes.len()));
        let around = |bytes: &[u8]| {
            String::from_utf8_lossy(
                &bytes[at.saturating_sub(80).min(bytes.len())..(at + 80).min(bytes.len())],
            )
            .into_owned()
        };
        panic!(
            "{} bytes for {}; at {at}:\n{}\nfor\n{}",
            out.len(),
            bytes.len(),
            around(&out),
            around(&bytes)
        );
    }
}

/// A step's container on the daemon that all tests share: what the agent left there goes with this value.
struct OnDocker {
    operator: Operator,
    agent: String,
}

impl OnDocker {
    /// An agent whose steps run there.
    fn agent(stack: &mut Stack, env: &[(String, String)]) -> Self {
        let operator = Operator::shared();
        let args = [
            "--secret-env",
            "FLOOD_TOKEN",
            "--runtime",
            "docker",
            "--docker-host",
        ];
        let host = operator.host();
        stack.agent("one", &[&args[..], &[&host]].concat(), env);
        let agents = stack.json(&["agents", "-o", "json"]).unwrap();
        let agent = agents[0]["id"].as_str().unwrap().to_owned();
        Self { operator, agent }
    }

    /// The most memory that the first process of the only container ever had, in MiB.
    fn first_process(&self) -> usize {
        peak(self.operator.pid(&self.operator.only(&self.agent, "running")))
    }
}

impl Drop for OnDocker {
    fn drop(&mut self) {
        self.operator.sweep(&self.agent);
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Native,
    Docker,
}

fn flood(mib: usize, patience: Duration, on: On) {
    let lines = mib * MIB / LINE;
    let witness = Witness::start();
    let mut stack = Stack::server();
    let env = [("FLOOD_TOKEN".to_owned(), SECRET.to_owned())];
    let docker = match on {
        On::Docker => Some(OnDocker::agent(&mut stack, &env)),
        On::Native => {
            stack.agent("one", &["--secret-env", "FLOOD_TOKEN"], &env);
            None
        }
    };
    let begun = Instant::now();
    let run = stack.start(&definition(lines, &witness), &[]);
    wait::until("half of it", patience, || {
        (witness.count("half") > 0).then_some(())
    });
    let mut agents = vec![peak(stack.agent_process("one").pid())];
    // It stays for its second half, which is as long as its first.
    let pump = docker.as_ref().map(OnDocker::first_process);
    stack.agent_process("one").kill9();
    stack.start_agent("one");
    let over = AtomicBool::new(false);
    let took = std::thread::scope(|scope| {
        let beside = scope.spawn(|| neighbours(&stack, &over, patience));
        let view = ended(&stack, &run, patience);
        assert_eq!(view["outcome"], "succeeded", "{view:#}");
        judge(&stack, &run, lines, patience);
        over.store(true, Ordering::Relaxed);
        beside.join().unwrap()
    });
    let whole = begun.elapsed();
    agents.push(peak(stack.agent_process("one").pid()));
    let server = peak(stack.server_process().pid());
    eprintln!(
        "{mib} MiB in {whole:.1?}; at most {agents:?} MiB of memory in the agents, {server} MiB in the server and {pump:?} \
         MiB in the container's first process; \
         {} neighbours beside it, the slowest in {:.1?}",
        took.len(),
        took.iter().max().unwrap()
    );
    assert!(agents.iter().all(|peak| *peak < 200), "agents: {agents:?} MiB");
    assert!(
        pump.is_none_or(|peak| peak < 32),
        "the container's first process: {pump:?} MiB"
    );
    assert!(server < 300, "server: {server} MiB");
    assert_eq!(witness.count("begun"), 1, "it ran once");
}

#[test]
fn a_flood_over_a_kill_of_the_agent_is_masked_counted_and_bounded() {
    flood(72, Duration::from_secs(150), On::Native);
}

#[test]
fn full_one_gibibyte_from_one_container_is_masked_counted_and_bounded() {
    flood(1024, Duration::from_secs(600), On::Native);
}

#[test]
fn a_flood_from_docker_over_a_kill_of_the_agent_is_masked_counted_and_bounded() {
    flood(66, Duration::from_secs(150), On::Docker);
}

#[test]
fn full_one_gibibyte_from_one_docker_container_is_masked_counted_and_bounded() {
    flood(1024, Duration::from_secs(600), On::Docker);
}
