//! A secret is in the environment of the step that was given it, and nowhere else.

use std::path::{Path, PathBuf};

use types::Secret;

use crate::place::{Place, processes_with, sh};

crate::suite![
    a_secret_is_in_the_environment,
    a_secret_is_in_no_file_of_the_agent,
    a_secret_is_in_no_command_line,
    a_secret_is_not_seen_by_a_neighbour,
    the_agents_own_environment_does_not_come_in,
    a_step_does_not_see_the_agents_data,
];

/// Put together here, so that this program's own text does not hold it in one piece.
fn canary(name: &str) -> String {
    ["canary", name, "7f3a91"].join("-")
}

fn secret(value: &str) -> Vec<(String, Secret)> {
    vec![("TOKEN".to_owned(), Secret::new(value.to_owned()))]
}

fn a_secret_is_in_the_environment(place: &Place) {
    for value in ["s3cret", "two\nlines\n", "ü 'quoted' \"$x\""] {
        assert_eq!(
            place.run_with(&sh("printf %s \"$TOKEN\""), secret(value)).out(),
            value
        );
    }
}

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

fn a_secret_is_in_no_file_of_the_agent(place: &Place) {
    let value = canary("files");
    let running = place.start_with(&sh("echo up; sleep 600"), secret(&value));
    running.says("up");
    let look = || {
        let mut files = Vec::new();
        files_below(&place.dir(""), &mut files);
        assert!(files.len() > 3, "{files:?}");
        for file in files {
            let bytes = std::fs::read(&file).unwrap_or_default();
            let holds = bytes
                .windows(value.len())
                .any(|window| window == value.as_bytes());
            assert!(!holds, "{}", file.display());
        }
    };
    look();
    place.stop(&running);
    place.wait(&running);
    look();
}

fn a_secret_is_in_no_command_line(place: &Place) {
    let value = canary("argv");
    let running = place.start_with(&sh("echo up; sleep 600"), secret(&value));
    running.says("up");
    assert_eq!(processes_with(&value), Vec::<String>::new());
    place.stop(&running);
    place.wait(&running);
}

fn a_secret_is_not_seen_by_a_neighbour(place: &Place) {
    let value = canary("neighbour");
    let running = place.start_with(&sh("echo up; sleep 600"), secret(&value));
    running.says("up");
    for user in [0, 1000] {
        let mut spec = sh(
            "cat /proc/[0-9]*/environ /host/proc/[0-9]*/environ /tmp/* /dev/shm/* /run/firehall/* 2>/dev/null; \
            grep -rs TOKEN= /run /tmp /dev/shm /var 2>/dev/null; true",
        );
        spec.user = Some(user);
        spec.host_view = [types::HostView::Proc].into();
        let ran = place.run(&spec);
        assert!(!ran.out().contains(&value), "{}", ran.out());
    }
    place.stop(&running);
    place.wait(&running);
}

fn the_agents_own_environment_does_not_come_in(place: &Place) {
    // This process has a HOME, a PATH and what Cargo sets.
    let out = place
        .sh("env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'")
        .out();
    assert!(std::env::vars().any(|(name, _)| name.starts_with("CARGO") || name.starts_with("NEXTEST")));
    assert!(!out.contains("CARGO") && !out.contains("NEXTEST"), "{out}");
}

fn a_step_does_not_see_the_agents_data(place: &Place) {
    let data = place.dir("");
    let mut spec = sh(
        "ls \"$DATA\" && echo seen; cat /proc/1/environ; ls /proc/1/cwd /proc/1/root /proc/1/fd && echo seen; cat /proc/mounts",
    );
    spec.env = vec![("DATA".to_owned(), data.to_string_lossy().into_owned())];
    spec.user = Some(0);
    let ran = place.run(&spec);
    assert!(!ran.out().lines().any(|line| line == "seen"), "{}", ran.out());
}
