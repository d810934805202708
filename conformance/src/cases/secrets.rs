//! A secret is with the step that was given it, in its environment or in a file in memory, and nowhere else.

use std::path::{Path, PathBuf};

use types::Secret;

use crate::place::{Place, processes_with, sh};

crate::suite![
    a_secret_is_in_the_environment,
    a_secret_can_be_a_file_in_memory_for_the_step_alone,
    a_secret_that_is_a_file_is_in_no_environment,
    a_secret_that_is_a_file_goes_with_the_step,
    without_secret_files_there_are_none,
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

/// As a file, for a step that is asked to print or look at it.
fn filed(script: &str) -> runtime::ContainerSpec {
    let mut spec = sh(script);
    spec.secret_files = ["TOKEN".to_owned()].into();
    spec
}

fn a_secret_can_be_a_file_in_memory_for_the_step_alone(place: &Place) {
    let look = "cat /run/secrets/TOKEN; stat -c '%a %u %g %F' /run/secrets/TOKEN /run/secrets; stat -f -c %T /run/secrets; \
        ls /run/secrets; { echo x > /run/secrets/TOKEN; } 2>/dev/null || echo kept; \
        { echo x > /run/secrets/other; } 2>/dev/null || echo closed";
    let values = [
        "s3cret\nof two lines",
        ".",
        "ü 'quoted' \"$x\"",
        &"x".repeat(8 * 1024),
    ];
    for (user, value) in [None, Some(1234), Some(65_000), None].into_iter().zip(values) {
        let mut spec = filed(look);
        spec.user = user;
        let id = user.unwrap_or(1000);
        assert_eq!(
            place.run_with(&spec, secret(value)).out(),
            format!(
                "{value}400 {id} {id} regular file\n500 {id} {id} directory\ntmpfs\nTOKEN\nkept\nclosed\n"
            )
        );
    }
}

fn a_secret_that_is_a_file_is_in_no_environment(place: &Place) {
    let (filed_one, plain) = (canary("filed"), canary("plain"));
    let spec = filed("env; cat /proc/[0-9]*/environ 2>/dev/null | tr '\\0' '\\n'; ls /run/secrets");
    let secrets = vec![
        ("TOKEN".to_owned(), Secret::new(filed_one.clone())),
        ("OTHER".to_owned(), Secret::new(plain.clone())),
    ];
    let out = place.run_with(&spec, secrets).out();
    assert!(!out.contains(&filed_one), "{out}");
    assert!(out.contains(&format!("OTHER={plain}\n")), "{out}");
    assert!(out.ends_with("TOKEN\n"), "{out}");
}

fn a_secret_that_is_a_file_goes_with_the_step(place: &Place) {
    let value = canary("gone");
    let running = place.start_with(
        &filed("cat /run/secrets/TOKEN > /dev/null; echo up; sleep 600"),
        secret(&value),
    );
    running.says("up");
    // Neither the agent's directories nor any mount of the host has it while it runs, nor afterwards.
    let look = || {
        assert_eq!(processes_with(&value), Vec::<String>::new());
        holds_nowhere(place, &value);
        let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
        assert!(
            !mounts.contains("/run/secrets ") && !mounts.contains("/secrets "),
            "{mounts}"
        );
    };
    look();
    let neighbour =
        place.sh("ls /run/secrets 2>/dev/null; ls /proc/[0-9]*/root/run/secrets 2>/dev/null; true");
    assert_eq!(neighbour.out(), "");
    place.stop(&running);
    place.wait(&running);
    look();
}

fn without_secret_files_there_are_none(place: &Place) {
    let ran = place.run_with(
        &sh("ls -A /run/secrets 2>/dev/null; printf %s \"$TOKEN\""),
        secret("s3cret"),
    );
    assert_eq!(ran.out(), "s3cret");
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

/// In no file below the case's directories.
fn holds_nowhere(place: &Place, value: &str) {
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
}

fn a_secret_is_in_no_file_of_the_agent(place: &Place) {
    let value = canary("files");
    let running = place.start_with(&sh("echo up; sleep 600"), secret(&value));
    running.says("up");
    holds_nowhere(place, &value);
    place.stop(&running);
    place.wait(&running);
    holds_nowhere(place, &value);
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
