//! `cargo demo`, as a user runs it.

use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::{Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use e2e::{docker::Operator, process, stack::PATIENCE, wait};

/// Containers of a daemon come and go slowly on a busy machine.
const LONG: Duration = Duration::from_secs(240);

/// It ends well, and says what it did.
fn is_the_demo(output: &Output) {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    assert!(
        text.contains("degraded: 1 of 4 responders is not in the directory"),
        "{text}"
    );
    for wanted in [
        "parse-incident-event",
        "final-summary",
        "checkout-01.company.com",
        "jonas.weber",
    ] {
        assert!(text.contains(wanted), "{wanted} is missing in {text}");
    }
    assert!(!text.contains('\u{1b}'), "plain lines in a pipe");
}

#[test]
fn the_demo_ends_with_an_honest_line_and_exit_code_0() {
    is_the_demo(&process::finish(
        process::firehall().arg("demo").stdin(Stdio::null()),
    ));
}

/// The same in the containers of a daemon: its steps run there, and nothing of them stays.
#[test]
fn the_demo_with_docker_is_the_same_and_leaves_no_container() {
    let operator = Operator::shared();
    let tmp = tempfile::tempdir().unwrap();
    let ours = tmp.path().display().to_string();
    let events = Events::of(&operator);
    let mut command = process::firehall();
    command
        .args(["demo", "--runtime", "docker"])
        .env("DOCKER_HOST", operator.host())
        .env("TMPDIR", tmp.path());
    is_the_demo(&process::finish_within(&mut command, LONG));

    // Each container of ours says where its attempt's files are.
    let of = |word: &str| {
        let word = format!("\"Action\":\"{word}\"");
        let said = events.so_far();
        let lines = said
            .lines()
            .filter(|line| line.contains(&ours) && line.contains(&word));
        lines.count()
    };
    // The daemon tells after it has done it.
    wait::until("three checks to have been made and taken away", PATIENCE, || {
        let (made, gone) = (of("create"), of("destroy"));
        (made >= 3 && made == gone).then_some(())
    });
    assert!(of("start") >= 3, "{}", events.so_far());
    let left: Vec<_> = std::fs::read_dir(&tmp).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

/// What a daemon tells from now on.
struct Events {
    stream: UnixStream,
    said: Arc<Mutex<Vec<u8>>>,
}

impl Events {
    fn of(operator: &Operator) -> Self {
        let mut stream = UnixStream::connect(operator.host().trim_start_matches("unix://")).unwrap();
        // It listens a moment after it has answered: what it said meanwhile it says again.
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
        let since = now.as_secs() - 1;
        write!(
            stream,
            "GET /events?since={since} HTTP/1.0\r\nHost: docker\r\n\r\n"
        )
        .unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let (mut from, to) = (stream.try_clone().unwrap(), Arc::clone(&said));
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = from.read(&mut buffer) {
                to.lock().unwrap().extend(&buffer[..length]);
            }
        });
        let events = Self { stream, said };
        wait::until("the daemon to answer", PATIENCE, || {
            events.so_far().contains("\r\n\r\n").then_some(())
        });
        events
    }

    fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.said.lock().unwrap()).into_owned()
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        drop(self.stream.shutdown(Shutdown::Both));
    }
}

#[test]
fn another_payload_makes_another_demo() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("other.json");
    let payload = r#"{"id":"DD-77","title":"Checkout latency is up","severity":"high","source":"datadog",
        "alerts":[{"host":"checkout-9.example.com","status":"ALERT"}],"tags":["service:checkout"]}"#;
    std::fs::write(&file, payload).unwrap();
    let output = process::finish(process::firehall().arg("demo").arg("--payload").arg(&file));
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(
        text.contains("Checkout latency is up") && text.contains("checkout-9.example.com"),
        "{text}"
    );
    assert!(!text.contains("checkout-01.company.com"), "{text}");
}
