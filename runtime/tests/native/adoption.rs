//! The agent or the shim dies: what is known afterwards is true.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::process::{Command, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use runtime::{Adopted, AttemptDir, ContainerSpec, Ended, Network};

use crate::support::{Place, SHIM, exec, finished, processes_with, sh, shim_pid, until, until_says, wait};

/// Starts a step from a process of its own and kills that process with no warning.
fn start_and_kill_the_agent(place: &Place, spec: &ContainerSpec) -> AttemptDir {
    let dir = place.path(&spec.id);
    let mut agent = Command::new(SHIM)
        .args([
            "agent".as_ref(),
            place.path("native").as_os_str(),
            dir.as_os_str(),
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    agent
        .stdin
        .take()
        .unwrap()
        .write_all(&serde_json::to_vec(spec).unwrap())
        .unwrap();
    let mut line = String::new();
    BufReader::new(agent.stdout.take().unwrap())
        .read_line(&mut line)
        .unwrap();
    assert_eq!(line, "started\n");
    agent.kill().unwrap();
    agent.wait().unwrap();
    AttemptDir::new(dir)
}

fn adopted(place: &Place, dir: &AttemptDir) -> Ended {
    match place.native.adopt(dir.path()).unwrap() {
        Adopted::Running(handle) => wait(&handle),
        Adopted::Ended(ended) => ended,
    }
}

#[test]
fn a_killed_agent_loses_neither_exit_code_nor_a_byte() {
    let place = Place::new();
    let script = "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done; sleep 0.3; \
        while [ $i -lt 6000 ]; do echo line $i; i=$((i+1)); done; echo v=9 > $FIREHALL_OUTPUT; exit 41";
    let dir = start_and_kill_the_agent(&place, &sh(script));
    let record = finished(adopted(&place, &dir));
    assert_eq!((record.code, record.stdout.dropped), (Some(41), 0));
    let expected: String = (0..6000).map(|number| format!("line {number}\n")).collect();
    assert!(
        std::fs::read_to_string(dir.stdout()).unwrap() == expected,
        "every byte"
    );
    assert_eq!(dir.output().unwrap(), b"v=9\n");
}

#[test]
fn a_killed_shim_takes_its_container_along_and_is_lost() {
    let place = Place::new();
    let mark = "86398.4321";
    let handle = place.start(&sh(&format!("echo up; setsid sleep {mark} & sleep {mark}")));
    until_says(handle.dir(), "up");
    until("both sleeps", || processes_with(mark).len() >= 2);
    kill(Pid::from_raw(shim_pid(handle.dir())), Signal::SIGKILL).unwrap();
    // By itself: no agent has looked yet.
    until("the container is gone", || processes_with(mark).is_empty());
    assert_eq!(wait(&handle), Ended::Lost);
    assert_eq!(adopted(&place, handle.dir()), Ended::Lost);
    // Started again it stays lost: nothing runs twice.
    match place
        .native
        .start(handle.dir().path(), &exec(&["true"]), &Vec::new())
        .unwrap()
    {
        Adopted::Ended(Ended::Lost) => {}
        other => panic!("{other:?}"),
    }
    place.native.remove(handle.dir().path()).unwrap();
}

/// Kills the shim at many moments of its first milliseconds; each outcome must be a true one.
#[test]
fn a_shim_killed_at_any_moment_starts_the_step_at_most_once() {
    let place = Place::new();
    let witness = TcpListener::bind("127.0.0.1:0").unwrap();
    witness.set_nonblocking(true).unwrap();
    let port = witness.local_addr().unwrap().port();
    let (mut never, mut lost) = (0, 0);
    // Forty moments half a millisecond apart; a loaded machine is slower, and there later (and earliest) ones follow until
    // both sides of the marker were hit.
    for round in 0..300 {
        if round >= 40 && never > 0 && lost > 0 {
            break;
        }
        let moment = if round >= 40 && round % 2 == 1 {
            0
        } else {
            round * 500
        };
        let mut spec = exec(&[
            "bash",
            "-c",
            &format!("exec 3<>/dev/tcp/127.0.0.1/{port}; sleep 30"),
        ]);
        spec.network = Network::Host;
        let handle = place.start(&spec);
        std::thread::sleep(Duration::from_micros(moment));
        kill(Pid::from_raw(shim_pid(handle.dir())), Signal::SIGKILL).unwrap();
        let ended = wait(&handle);
        let ended = match place.native.adopt(handle.dir().path()).unwrap() {
            Adopted::Ended(again) => {
                assert_eq!(again, ended);
                ended
            }
            Adopted::Running(_) => panic!("the shim is dead"),
        };
        let seen = std::iter::from_fn(|| witness.accept().ok()).count();
        match ended {
            Ended::NeverStarted(_) => {
                never += 1;
                assert_eq!(seen, 0, "never started, but it was seen");
            }
            Ended::Lost => {
                lost += 1;
                assert!(seen <= 1);
            }
            Ended::Finished(record) => panic!("{record:?}"),
        }
        let id = spec.id.clone();
        place.native.remove(handle.dir().path()).unwrap();
        until("nothing of it lives", || processes_with(&id).is_empty());
    }
    assert!(
        never > 0 && lost > 0,
        "the sweep must hit both sides of the marker: {never} / {lost}"
    );
}

#[test]
fn a_shim_that_cannot_be_executed_is_an_error_and_leaves_the_attempt_startable() {
    let place = Place::new();
    let broken = runtime::ShimCommand {
        program: "/no/such/shim".into(),
        args: Vec::new(),
    };
    let native = runtime::Native::open(&place.path("native"), broken).unwrap();
    let spec = exec(&["true"]);
    let error = native
        .start(&place.path(&spec.id), &spec, &Vec::new())
        .unwrap_err();
    assert!(error.to_string().contains("cannot start the shim"), "{error}");
    assert_eq!(place.run(&spec).record.code, Some(0));
}
