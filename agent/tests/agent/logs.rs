//! A log that is not whole says what it lacks, and one that could be is: however long the server does not take it.

use std::path::Path;

use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use proto::v1::{LogStream, report::Body};
use types::{LeaseToken, Verdict};

use super::{
    fake::{Fake, token},
    process::{Agent, Witness, swept},
    work::script,
};

const MIB: u64 = 1024 * 1024;
/// What is kept of a stream's beginning; the shim holds the rest of what is kept in memory.
const HEAD: u64 = types::limits::LOG_STREAM_BYTES - 64 * 1024;

/// The shim of an attempt.
fn shim(dir: &Path, token: &LeaseToken) -> Pid {
    let attempt = dir.canonicalize().unwrap().join("attempts").join(token.as_str());
    let is_shim = |pid: &Pid| {
        let words = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let mut words = words.split(|byte| *byte == 0).skip(1);
        words.next() == Some(b"shim") && words.next() == Some(attempt.as_os_str().as_encoded_bytes())
    };
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok().map(Pid::from_raw));
    // Its container's first process is of the same program for a moment: the shim is the elder.
    pids.filter(is_shim).min().expect("the attempt has a shim")
}

fn writes(bytes: u64) -> String {
    format!("head -c {bytes} /dev/zero | tr '\\0' x\n")
}

fn room(dir: &Path, token: &LeaseToken) -> u64 {
    let out = dir.join("attempts").join(token.as_str()).join("out");
    std::fs::metadata(out).map_or(0, |found| found.len())
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_flood_whose_shim_is_killed_the_log_says_that_its_end_is_not_known() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    let (flood, plain) = (token(), token());
    let text = format!("{}{}sleep 600", writes(HEAD + 3 * MIB), witness.say("written"));
    let mut work = script(&text);
    work.timeout_ms = 120_000;
    fake.offer(&flood, &work).await;
    fake.offer(
        &plain,
        &script(&format!("echo said\n{}sleep 600", witness.say("said"))),
    )
    .await;
    witness.until("written").await;
    witness.until("said").await;
    // The shim has read it, and not only the pipe.
    fake.until("what was said", |s| {
        (s.log(&plain, LogStream::Stdout).bytes == b"said\n").then_some(())
    })
    .await;
    for token in [&flood, &plain] {
        kill(shim(tmp.path(), token), Signal::SIGKILL).unwrap();
        fake.until("a lost attempt", |s| {
            let lost = s.bodies(token).iter().any(|body| matches!(body, Body::Lost(_)));
            lost.then_some(())
        })
        .await;
    }
    let held = fake.log(&flood, LogStream::Stdout).await;
    assert_eq!(
        (held.bytes.len() as u64, held.lost),
        (HEAD, 0),
        "no number is made up"
    );
    assert!(held.end_unknown && held.bytes.iter().all(|byte| *byte == b'x'));
    // Nothing may be missing of the other, and nobody can know that.
    let held = fake.log(&plain, LogStream::Stdout).await;
    assert_eq!(
        (held.bytes.as_slice(), held.end_unknown),
        (b"said\n".as_slice(), true)
    );
    assert!(fake.log(&plain, LogStream::Stderr).await.end_unknown);
    swept(tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_attempt_that_ended_by_itself_has_a_log_that_ends() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    fake.state.lock().unwrap().hold_logs = true;
    let agent = Agent::spawn(&fake.url(), tmp.path());
    let (step, never) = (token(), token());
    fake.offer(&step, &script("echo whole")).await;
    let mut missing = script("");
    if let types::WorkBody::Container(container) = &mut missing.body {
        container.argv = vec!["/no/such/program".to_owned()];
    }
    fake.offer(&never, &missing).await;
    for token in [&step, &never] {
        fake.finished(token).await;
    }
    // What is known is known to the next agent, too.
    agent.kill();
    let _agent = Agent::spawn(&fake.url(), tmp.path());
    fake.state.lock().unwrap().hold_logs = false;
    for (token, bytes) in [(&step, b"whole\n".as_slice()), (&never, b"")] {
        for stream in [LogStream::Stdout, LogStream::Stderr] {
            let held = fake.log(token, stream).await;
            assert!(!held.end_unknown && held.lost == 0, "{token} {stream:?}");
            assert!(stream == LogStream::Stderr || held.bytes == bytes, "{token}");
        }
    }
    swept(tmp.path()).await;
}

/// The server takes results and no logs. The oldest logs go, to the byte that the file says, and are counted where people
/// read; the newest stay, over a kill of the agent.
#[tokio::test(flavor = "multi_thread")]
async fn logs_that_wait_for_the_server_are_bounded_by_the_disk_and_what_is_given_up_is_counted() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let file = tmp.path().join("agent.toml");
    std::fs::write(&file, "[logs]\nwaiting = \"5MiB\"\n").unwrap();
    let env = [("AGENT_FILE", file.to_str().unwrap())];
    fake.state.lock().unwrap().hold_logs = true;
    let agent = Agent::with(&fake.url(), tmp.path(), &env);
    // Tokens are in the order of their time.
    let mut tokens = [token(), token(), token()];
    tokens.sort();
    let [old, middle, new] = &tokens;
    for token in &tokens {
        fake.offer(token, &script(&writes(2 * MIB))).await;
        assert_eq!(fake.finished(token).await.verdict, Verdict::Succeeded);
    }
    let stats = |given_up, waiting| {
        fake.until("what the agent counts", move |s| {
            let stats = s.stats?;
            (stats.log_bytes_given_up == given_up && stats.log_bytes_waiting == waiting).then_some(())
        })
    };
    stats(2 * MIB, 4 * MIB).await;
    let rooms = tokens.each_ref().map(|token| room(tmp.path(), token));
    assert_eq!(rooms, [0, 2 * MIB, 2 * MIB]);
    agent.kill();
    let _agent = Agent::with(&fake.url(), tmp.path(), &env);
    stats(0, 4 * MIB).await;
    fake.state.lock().unwrap().hold_logs = false;
    for (token, bytes, lost) in [(old, 0, 2 * MIB), (middle, 2 * MIB, 0), (new, 2 * MIB, 0)] {
        let held = fake.log(token, LogStream::Stdout).await;
        assert_eq!((held.bytes.len() as u64, held.lost), (bytes, lost), "{token}");
        assert!(!held.end_unknown, "{token}");
        let held = fake.log(token, LogStream::Stderr).await;
        assert_eq!((held.bytes.len(), held.lost), (0, 0), "{token}");
    }
    swept(tmp.path()).await;
    stats(0, 0).await;
}
