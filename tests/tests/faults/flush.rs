//! A flush that the disk fails, once: the process ends, says why, and flushes nothing again. By strace, which answers the
//! system call in the kernel's place.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use e2e::{
    Stack, Witness,
    ledger::{Ledger, Row},
    process::Running,
    scene::{Judgement, Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// From now on the first flush of each thread of a process fails.
struct FailingDisk {
    trace: PathBuf,
    strace: Running,
}

impl FailingDisk {
    fn under(stack: &Stack, pid: u32) -> Self {
        let (trace, log) = (stack.dir().join("trace"), stack.dir().join("strace.txt"));
        let mut command = Command::new("strace");
        // With the path of each file.
        command.args(["-f", "-y", "-e", "trace=fsync,fdatasync"]);
        command.args(["-e", "inject=fsync,fdatasync:error=EIO:when=1"]);
        command
            .arg("-o")
            .arg(&trace)
            .args(["-p", &pid.to_string()])
            .stdin(Stdio::null());
        let strace = Running::start("strace", &mut command, &log);
        wait::until("strace to be attached", PATIENCE, || {
            fs::read_to_string(&log).ok()?.contains("attached").then_some(())
        });
        Self { trace, strace }
    }

    /// The files of which a flush failed, a database being one. No thread flushed any of them after that.
    fn failed(mut self) -> Vec<String> {
        wait::until("strace to end", PATIENCE, || self.strace.ended());
        let (mut asked, mut failed) = (BTreeMap::new(), BTreeSet::new());
        let trace = fs::read_to_string(&self.trace).unwrap();
        for line in trace.lines() {
            let Some((thread, call)) = line.split_once(char::is_whitespace) else {
                continue;
            };
            if call.contains("fsync(") || call.contains("fdatasync(") {
                let path = call.split(['<', '>']).nth(1).unwrap();
                let name = path.rsplit('/').next().unwrap().trim_end_matches("-wal");
                assert!(!failed.contains(name), "it flushed again: {line}\n{trace}");
                asked.insert(thread, name.to_owned());
            }
            if call.contains("INJECTED") {
                failed.insert(asked[thread].clone());
            }
        }
        failed.into_iter().collect()
    }
}

fn exits(ended: impl FnMut() -> Option<std::process::ExitStatus>) {
    let status = wait::until("the process to end", PATIENCE, ended);
    assert!(!status.success(), "{status}");
}

fn exists(path: &Path) -> bool {
    path.exists()
}

#[test]
fn a_flush_that_fails_ends_the_server_which_says_why_and_never_flushes_again() {
    let mut ledger = Ledger::new("fsync fails once");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let scene = Scene::one(500);
    let run = scene.start(&mut stack, &witness, "server", |_| ());
    witness.wait_for_prefix(&format!("start {run}"));
    let pid = stack.server_process().pid();
    let disk = FailingDisk::under(&stack, pid);
    // The step's end is a commit; so is this, should it come first.
    let file = stack.file("refused.yaml", &scene.definition(&witness));
    let refused = stack.cli(&["run", &file]);
    exits(|| stack.server_process().ended());
    let failed = disk.failed();
    assert!(!failed.is_empty());
    assert!(!refused.status.success(), "nothing is acknowledged: {refused:?}");
    assert!(
        stack.said_by("server").contains("could not be flushed"),
        "{}",
        stack.said()
    );
    assert!(
        exists(&stack.dir().join("server").join("history.db-wal")),
        "nothing is put away"
    );
    stack.start_server();
    drop(stack.finished(&run));
    let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
    row.figure = format!("of {}; none was flushed again", failed.join(" and "));
    ledger.add("the server's", row.clone());
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (1, 0));
    cleaned(&stack);
}

#[test]
fn a_flush_that_fails_ends_the_agent_which_says_why_and_never_flushes_again() {
    let mut ledger = Ledger::new("fsync fails once");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    let pid = stack.agent_process("one").pid();
    let disk = FailingDisk::under(&stack, pid);
    // Accepting is a flush.
    let scene = Scene::two();
    let run = scene.start(&mut stack, &witness, "agent", |_| ());
    exits(|| stack.agent_process("one").ended());
    let failed = disk.failed();
    assert!(!failed.is_empty());
    assert!(
        stack.said_by("one").contains("the spool cannot be written"),
        "{}",
        stack.said()
    );
    assert_eq!(
        witness.count_prefix(&format!("start {run}")),
        0,
        "nothing starts that is not on disk"
    );
    stack.start_agent("one");
    drop(stack.finished(&run));
    let Judgement { mut row, wrong } = scene.judge(&stack, &witness, &run);
    row.figure = format!("of {}; none was flushed again", failed.join(" and "));
    ledger.add("the agent's", Row { ..row.clone() });
    assert!(wrong.is_empty(), "{wrong:#?}\n{}", stack.said());
    assert_eq!((row.starts, row.unknown), (2, 0));
    cleaned(&stack);
}
