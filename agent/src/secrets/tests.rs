#![allow(clippy::unwrap_used, reason = "tests")]

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use node::config::Place;

use super::*;

fn secrets(sources: &[(&str, Source)]) -> Secrets {
    let place = Place {
        file: "agent.toml".into(),
        line: 3,
        column: 1,
    };
    let of = |(name, source): &(&str, Source)| {
        let sourced = Sourced {
            source: source.clone(),
            cache_ms: 60_000,
            place: place.clone(),
        };
        ((*name).to_owned(), sourced)
    };
    let file = AgentFile {
        secrets: sources.iter().map(of).collect(),
        ..AgentFile::default()
    };
    Secrets::new(BTreeMap::new(), &file, Arc::new(Masks::new()))
}

fn command(script: &str) -> Source {
    Source::Command(["/bin/sh", "-c", script].map(str::to_owned).to_vec())
}

fn write(path: &Path, text: &str, mode: u32) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

async fn why(secrets: &Secrets, name: &str) -> String {
    secrets.get(name).await.unwrap_err().to_string()
}

#[tokio::test]
async fn a_file_is_read_anew_each_time_and_masked_before_it_is_given() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let secrets = secrets(&[("T", Source::File(path.clone()))]);
    for value in ["first-value", "second-value"] {
        write(&path, &format!("{value}\n"), 0o600);
        assert_eq!(secrets.get("T").await.unwrap().expose(), value);
        assert_eq!(secrets.masks.now().text(value), "***");
    }
    // A step that got the first one may still run.
    assert_eq!(secrets.masks.now().text("first-value"), "***");
    let token = types::LeaseToken::new(types::Timestamp::from_unix_ms(1), [1; 10]);
    let held = Secret::new("first-value".to_owned());
    secrets.masks.hold(&token, [&held]);
    for n in 0..20 {
        write(&path, &format!("value-number-{n}\n"), 0o600);
        drop(secrets.get("T").await.unwrap());
    }
    assert_eq!(secrets.masks.now().text("first-value"), "***", "while it is held");
    secrets.masks.release(&token);
    assert_eq!(secrets.masks.now().text("first-value"), "first-value");
}

#[tokio::test]
async fn a_file_that_others_may_read_or_that_is_none_is_said_without_its_value() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("token");
    let secrets = secrets(&[
        ("T", Source::File(path.clone())),
        ("DIR", Source::File(dir.path().to_owned())),
    ]);
    assert!(
        why(&secrets, "T")
            .await
            .ends_with("agent.toml:3:1): there is no such file")
    );
    for mode in [0o644, 0o604, 0o620, 0o602] {
        write(&path, "the-value-itself", mode);
        let why = why(&secrets, "T").await;
        assert!(why.contains("chmod 600") && !why.contains("the-value"), "{why}");
    }
    for (text, said) in [
        ("", "its value is empty"),
        ("\n", "its value is empty"),
        (&*"x".repeat(SECRET_BYTES + 1), "more than 8192 bytes"),
        ("the-value\0itself", "NUL"),
    ] {
        write(&path, text, 0o600);
        let why = why(&secrets, "T").await;
        assert!(why.contains(said) && !why.contains("the-value"), "{why}");
    }
    write(&path, &"x".repeat(SECRET_BYTES), 0o600);
    assert!(secrets.get("T").await.is_ok());
    assert!(why(&secrets, "DIR").await.contains("is not a file"));
    assert!(why(&secrets, "NONE").await.contains("no secret named NONE"));
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::from_bits_truncate(0o600)).unwrap();
    let secrets = self::secrets(&[("F", Source::File(fifo))]);
    assert!(why(&secrets, "F").await.contains("is not a file"));
}

#[tokio::test]
async fn a_command_is_run_once_for_a_while_and_its_failures_show_nothing_of_it() {
    let dir = tempfile::tempdir().unwrap();
    let count = dir.path().join("count");
    let secrets = secrets(&[
        (
            "T",
            command(&format!(
                "echo . >> {}; echo the-value; echo noise >&2",
                count.display()
            )),
        ),
        ("FAILS", command("echo the-value; exit 3")),
        ("LONG", command("exec head -c 100000 /dev/zero | tr '\\0' x")),
        ("NONE", Source::Command(vec!["/no/such/program".to_owned()])),
    ]);
    for _ in 0..3 {
        assert_eq!(secrets.get("T").await.unwrap().expose(), "the-value");
    }
    assert_eq!(std::fs::read_to_string(&count).unwrap(), ".\n");
    let why_fails = why(&secrets, "FAILS").await;
    assert!(
        why_fails.contains("exit status: 3") && !why_fails.contains("the-value"),
        "{why_fails}"
    );
    assert!(why(&secrets, "LONG").await.contains("more than 8192 bytes"));
    assert!(why(&secrets, "NONE").await.contains("cannot be started"));
}

#[tokio::test]
async fn a_command_that_hangs_is_ended_with_all_that_it_started() {
    let dir = tempfile::tempdir().unwrap();
    let pid = dir.path().join("pid");
    let script = format!("sleep 600 & echo $! > {}; wait", pid.display());
    let secrets = secrets(&[("T", command(&script))]);
    let said = tokio::time::timeout(Duration::from_secs(60), why(&secrets, "T"))
        .await
        .unwrap();
    assert!(said.contains("did not end within 10 s"), "{said}");
    let child = std::fs::read_to_string(&pid).unwrap();
    let stat = format!("/proc/{}/stat", child.trim());
    let begun = Instant::now();
    // A zombie waits for its parent, which is not us.
    while std::fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(begun.elapsed() < Duration::from_secs(30), "it lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
