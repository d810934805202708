//! The token appears nowhere.

use std::path::Path;

use e2e::{
    slack::{Slack, TOKEN},
    wait,
};

use crate::incident::{alert, posted, ready};

#[test]
fn the_slack_token_is_in_no_environment_no_command_line_no_file_and_no_answer() {
    let slack = Slack::start();
    let mut stack = ready(&slack);
    let file = stack.file(
        "linger.yaml",
        "name: linger\nsteps:\n  s:\n    image: host\n    run: sleep 60\n",
    );
    let linger = String::from_utf8(stack.cli(&["run", &file]).stdout)
        .unwrap()
        .trim()
        .to_owned();
    wait::until("the lingering step to run", e2e::stack::PATIENCE, || {
        (stack.show(&linger)["steps"][0]["state"] == "running").then_some(())
    });
    let agent = stack.agent_process("near").pid();
    let family = wait::until("agent, shim and step", e2e::stack::PATIENCE, || {
        let family = family_of(agent, &stack.dir().display().to_string());
        (family.len() >= 3).then_some(family)
    });
    for pid in family {
        for what in ["environ", "cmdline"] {
            let bytes = std::fs::read(format!("/proc/{pid}/{what}")).unwrap_or_default();
            assert!(!contains(&bytes, TOKEN), "/proc/{pid}/{what} holds the token");
        }
    }
    let run = posted(&stack, &alert("secret"));
    let view = stack.finished(&run);
    assert!(!view.to_string().contains(TOKEN));
    for args in [
        ["watch", run.as_str()],
        ["show", run.as_str()],
        ["logs", run.as_str()],
    ] {
        let output = stack.cli(&args);
        assert!(
            !contains(&output.stdout, TOKEN) && !contains(&output.stderr, TOKEN),
            "{args:?}"
        );
    }
    let mut files = 0;
    search(stack.dir(), &mut files);
    assert!(files > 5, "the data directories were searched");
}

fn search(dir: &Path, files: &mut usize) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|t| t.is_dir()) {
            search(&entry.path(), files);
        } else if let Ok(bytes) = std::fs::read(entry.path()) {
            *files += 1;
            assert!(
                !contains(&bytes, TOKEN),
                "{} holds the token",
                entry.path().display()
            );
        }
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// The agent, the shims of its data directory, and all below them.
fn family_of(agent: u32, dir: &str) -> Vec<u32> {
    let mut all: Vec<(u32, u32, String)> = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|n| n.parse::<u32>().ok()) else {
            continue;
        };
        let stat = std::fs::read_to_string(entry.path().join("stat")).unwrap_or_default();
        let parent = stat
            .rsplit(')')
            .next()
            .and_then(|rest| rest.split_whitespace().nth(1)?.parse().ok())
            .unwrap_or(0);
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        all.push((pid, parent, String::from_utf8_lossy(&line).replace('\0', " ")));
    }
    let mut family: Vec<u32> = all
        .iter()
        .filter(|(pid, _, line)| *pid == agent || (line.contains(" shim ") && line.contains(dir)))
        .map(|p| p.0)
        .collect();
    loop {
        let more: Vec<u32> = all
            .iter()
            .filter(|(pid, parent, _)| family.contains(parent) && !family.contains(pid))
            .map(|p| p.0)
            .collect();
        if more.is_empty() {
            return family;
        }
        family.extend(more);
    }
}
