//! Steps that misbehave: each end is told apart, none is a success, nothing stays behind.

use std::time::{Duration, Instant};

use e2e::{Stack, wait};
use serde_json::Value;

fn one(run: &str, more: &str) -> String {
    format!(
        "name: one\nsteps:\n  s:\n    image: host\n{more}    run: |\n      {}\n",
        run.replace('\n', "\n      ")
    )
}

fn reason(view: &Value) -> String {
    format!("{} {}", view["reasons"], view["steps"][0]["attempts"])
}

#[test]
fn an_exit_code_a_signal_a_timeout_and_oom_are_told_apart() {
    let stack = Stack::with_agent();
    let cases = [
        (one("exit 3", ""), "exit"),
        (one("kill -SEGV $$; sleep 5", ""), "signal"),
        (one("sleep 60", "    timeout: 300ms\n"), "time"),
        (
            one(
                "x=x; while true; do x=$x$x; done",
                "    resources: { memory: 32MiB }\n",
            ),
            "memory",
        ),
        (one("/no/such/program", ""), "127"),
    ];
    for (definition, word) in cases {
        let run = stack.start(&definition, &[]);
        let view = stack.finished(&run);
        assert_eq!(view["outcome"], "failed", "{view:#}");
        assert!(
            reason(&view).to_lowercase().contains(word),
            "{word}: {}",
            reason(&view)
        );
    }
}

#[test]
fn a_step_that_ignores_term_is_killed_after_its_grace() {
    let stack = Stack::with_agent();
    let run = stack.start(
        &one(
            "trap '' TERM; echo up; while true; do sleep 1; done",
            "    grace: 300ms\n",
        ),
        &[],
    );
    wait::until("the step to be up", Duration::from_secs(20), || {
        (stack.logs(&run, "s") == b"up\n").then_some(())
    });
    let begun = Instant::now();
    assert!(stack.cli(&["cancel", &run]).status.success());
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "cancelled", "{view:#}");
    assert!(begun.elapsed() < Duration::from_secs(30), "{:?}", begun.elapsed());
}

#[test]
fn a_fork_bomb_stays_in_its_limit() {
    let stack = Stack::with_agent();
    let bomb = one(
        "b() { b | b & }; b; sleep 1; echo still here",
        "    resources: { pids: 32 }\n    timeout: 5s\n",
    );
    let run = stack.start(&bomb, &[]);
    let view = stack.finished(&run);
    assert!(view["outcome"].is_string(), "{view:#}");
    let after = stack.start(&one("echo fine", ""), &[]);
    assert_eq!(stack.finished(&after)["outcome"], "succeeded");
}

#[test]
fn binary_output_comes_through_unchanged() {
    let stack = Stack::with_agent();
    let run = stack.start(
        &one(
            "head -c 300000 /dev/urandom > /tmp/x; cat /tmp/x; sha256sum /tmp/x >&2",
            "",
        ),
        &[],
    );
    assert_eq!(stack.finished(&run)["outcome"], "succeeded");
    let bytes = wait::until("all bytes", Duration::from_secs(20), || {
        let bytes = stack.logs(&run, "s");
        (bytes.len() == 300_000).then_some(bytes)
    });
    let path = stack.dir().join("copy");
    std::fs::write(&path, &bytes).unwrap();
    let ours = std::process::Command::new("sha256sum")
        .arg(&path)
        .output()
        .unwrap()
        .stdout;
    let theirs = stack.cli(&["logs", &run, "s", "--stderr"]).stdout;
    assert_eq!(ours[..64], theirs[..64]);
}

#[test]
fn outputs_that_do_not_fit_fail_the_step_and_say_which() {
    let stack = Stack::with_agent();
    let cases = [
        ("echo other=1 >> $FIREHALL_OUTPUT", "other"),
        ("true", "n"),
        ("echo n=many >> $FIREHALL_OUTPUT", "int"),
        ("echo n=1 >> $FIREHALL_OUTPUT; echo n=2 >> $FIREHALL_OUTPUT", "n"),
        (
            "rm $FIREHALL_OUTPUT; ln -s /etc/passwd $FIREHALL_OUTPUT",
            "output",
        ),
    ];
    for (script, word) in cases {
        let run = stack.start(&one(script, "    outputs: { n: int }\n"), &[]);
        let view = stack.finished(&run);
        assert_eq!(view["outcome"], "failed", "{script}: {view:#}");
        assert!(reason(&view).contains(word), "{script}: {}", reason(&view));
    }
}

#[test]
fn a_step_says_itself_what_it_could_not_do() {
    let stack = Stack::with_agent();
    let run = stack.start(
        &one("echo 'the second disk is not mounted' >> $FIREHALL_DEGRADED", ""),
        &[],
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "degraded");
    assert_eq!(view["reasons"][0], "the second disk is not mounted");
}

#[test]
fn retries_are_counted_and_the_last_word_stands() {
    let stack = Stack::with_agent();
    let definition = one("exit 9", "    retry: { limit: 2, delay: 10ms, jitter: false }\n");
    let run = stack.start(&definition, &[]);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert_eq!(
        view["steps"][0]["attempts"].as_array().unwrap().len(),
        3,
        "{view:#}"
    );
}

#[test]
fn nothing_of_finished_attempts_stays_behind() {
    let stack = Stack::with_agent();
    for script in ["true", "exit 1", "setsid sleep 300 & exit 0"] {
        let run = stack.start(&one(script, ""), &[]);
        let _view = stack.finished(&run);
    }
    let run = stack.start(&one("sleep 300", "    timeout: 200ms\n    grace: 200ms\n"), &[]);
    let _view = stack.finished(&run);
    let dir = stack.dir().display().to_string();
    wait::until("all of it to be gone", Duration::from_secs(20), || {
        let shims = std::fs::read_dir("/proc").unwrap().flatten().filter(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).replace('\0', " ");
            line.contains(&dir) && line.contains(" shim ")
        });
        let mounts = std::fs::read_to_string("/proc/mounts")
            .unwrap()
            .matches(&dir)
            .count();
        let agent = stack.dir().join("agent-one");
        let attempts = std::fs::read_dir(agent.join("attempts")).unwrap().count();
        // Directories are used again: emptied, with zeros in the room for a record.
        let spare = walk(&agent.join("native/spare")).into_iter();
        let says = |path: &String| {
            let of_record = path.ends_with("/exit.json.tmp");
            let nothing = |said: Vec<u8>| said.is_empty() || of_record && said.iter().all(|byte| *byte == 0);
            !std::fs::read(path).is_ok_and(nothing)
        };
        let of_attempts = spare.filter(says);
        let gone = shims.count() == 0 && mounts == 0 && attempts == 0;
        (gone && of_attempts.count() == 0).then_some(())
    });
}

fn walk(dir: &std::path::Path) -> Vec<String> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            all.extend(walk(&entry.path()));
        } else {
            all.push(entry.path().display().to_string());
        }
    }
    all
}
