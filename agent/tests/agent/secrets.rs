//! A secret reaches the step that names it, and nothing else.

use std::{os::unix::fs::PermissionsExt, path::Path};

use proto::v1::LogStream;
use types::{FailureKind, Verdict, WorkBody};

use super::{
    fake::{Fake, token},
    process::{Agent, Witness},
    work::{container, output, work},
};

const ONE: &str = "hunter2-and-some-more";
const TWO: &str = "another/secret+value";

fn has(path: impl AsRef<Path>, text: &str) -> bool {
    let bytes = std::fs::read(path).unwrap_or_default();
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

/// Whether a text is in any file below a directory.
fn anywhere(dir: &Path, text: &str) -> Vec<std::path::PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir).unwrap().flatten() {
        let path = entry.path();
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            found.extend(anywhere(&path, text));
        } else if kind.is_file() && has(&path, text) {
            found.push(path);
        }
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_is_in_its_step_and_nowhere_else() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let agent = Agent::with(
        &fake.url(),
        tmp.path(),
        &[("SECRET_ONE", ONE), ("SECRET_TWO", TWO)],
    );
    let names = fake
        .until("Hello", |s| s.hellos.last().map(|hello| hello.secrets.clone()))
        .await;
    assert_eq!(names, ["SECRET_ONE", "SECRET_TWO"]);
    let say = witness.say("waiting");
    let mut step = container(&format!(
        r#"test ${{#MINE}} = {}; test -z "$SECRET_TWO$SECRET_ONE"
        printf 'raw %s\n' "$MINE"; printf '%s' "$MINE" | base64; printf 'u:%s' "$MINE" | base64
        printf '%s' "${{MINE:0:9}}"; sleep 0.2; printf '%s\n' "${{MINE:9}}"; echo "$MINE" >&2; {say} sleep 1; echo done"#,
        ONE.len()
    ));
    step.secrets.insert("MINE".to_owned(), "SECRET_ONE".to_owned());
    let token = token();
    fake.offer(&token, &work(WorkBody::Container(step))).await;
    witness.until("waiting").await;
    for secret in [ONE, TWO] {
        assert!(!has(format!("/proc/{}/environ", agent.pid()), secret));
        assert!(!has(format!("/proc/{}/cmdline", agent.pid()), secret));
        let shims = children(agent.pid());
        assert!(!shims.is_empty(), "no shim was found");
        for shim in shims {
            assert!(
                !has(format!("/proc/{shim}/environ"), secret)
                    && !has(format!("/proc/{shim}/cmdline"), secret)
            );
        }
        let on_disk: Vec<_> = anywhere(tmp.path(), secret)
            .into_iter()
            // What the step itself wrote, on its way to be masked.
            .filter(|path| !path.ends_with("out") && !path.ends_with("err"))
            .collect();
        assert!(on_disk.is_empty(), "{on_disk:?}");
    }
    assert_eq!(fake.finished(&token).await.verdict, Verdict::Succeeded);
    let out = String::from_utf8(fake.log(&token, LogStream::Stdout).await.bytes).unwrap();
    assert!(
        out.starts_with("raw ***\n") && out.ends_with("***\ndone\n"),
        "{out}"
    );
    assert_eq!(out.matches("***").count(), 4, "{out}");
    assert_eq!(fake.log(&token, LogStream::Stderr).await.bytes, b"***\n");
}

fn children(pid: u32) -> Vec<String> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap_or_default();
    let mut children: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    for task in std::fs::read_dir(format!("/proc/{pid}/task")).unwrap().flatten() {
        let text = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.extend(text.split_whitespace().map(str::to_owned));
    }
    children
}

#[tokio::test(flavor = "multi_thread")]
async fn an_output_with_a_secret_fails_the_step() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let _agent = Agent::with(&fake.url(), tmp.path(), &[("SECRET_ONE", ONE)]);
    let mut step = container(r#"echo "leak=<$MINE>" >> "$FIREHALL_OUTPUT""#);
    step.secrets.insert("MINE".to_owned(), "SECRET_ONE".to_owned());
    let mut work = work(WorkBody::Container(step));
    output(&mut work, "leak", "string");
    let token = token();
    fake.offer(&token, &work).await;
    let report = fake.finished(&token).await;
    let Verdict::Failed { failure } = &report.verdict else {
        panic!("{report:?}")
    };
    assert_eq!(failure.kind, FailureKind::Output);
    assert!(!serde_json::to_string(&report).unwrap().contains(ONE));
}

/// The step holds the value of its start; the next agent knows only the one of now.
#[tokio::test(flavor = "multi_thread")]
async fn an_adopted_step_is_masked_also_when_its_secret_was_rotated_meanwhile() {
    let (fake, tmp, witness) = (Fake::start().await, tempfile::tempdir().unwrap(), Witness::new());
    let (data, file, value) = (
        tmp.path().join("data"),
        tmp.path().join("agent.toml"),
        tmp.path().join("value"),
    );
    let policy = "[policy]\nnetworks = [\"host\"]\n[secrets.ROTATED]\nfile = \"value\"\n";
    private(&file, policy);
    private(&value, "first-hunter2-value");
    let agent = Agent::with_file(&fake.url(), &data, &file, &[]);
    let wait = tmp.path().join("go");
    let say = witness.say("waiting");
    let mut step = container(&format!(
        "{say}\nexec 3<>/dev/tcp/127.0.0.1/{}; read -r go <&3; echo \"it is $MINE\"",
        gate(&wait)
    ));
    step.secrets.insert("MINE".to_owned(), "ROTATED".to_owned());
    let token = token();
    fake.offer(&token, &work(WorkBody::Container(step))).await;
    witness.until("waiting").await;
    agent.kill();
    private(&value, "second-hunter2-value");
    let again = Agent::with_file(&fake.url(), &data, &file, &[]);
    fake.until("second Hello", |s| (s.hellos.len() == 2).then_some(()))
        .await;
    std::fs::write(&wait, "").unwrap();
    assert_eq!(fake.finished(&token).await.verdict, Verdict::Succeeded);
    let out = String::from_utf8(fake.log(&token, LogStream::Stdout).await.bytes).unwrap();
    assert_eq!(out, "it is ***\n");
    assert_eq!(again.end().await, Some(0));
}

pub(super) fn private(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A port that says a line once a file is there.
pub(super) fn gate(path: &Path) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let path = path.to_owned();
    std::thread::spawn(move || {
        while !path.exists() {
            std::thread::sleep(std::time::Duration::from_millis(10));
        }
        // Whoever comes: a step of another test may try each port that listens.
        for mut stream in listener.incoming().flatten() {
            drop(std::io::Write::write_all(&mut stream, b"go\n"));
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_as_a_file_is_masked_too_and_not_in_the_environment() {
    let (fake, tmp) = (Fake::start().await, tempfile::tempdir().unwrap());
    let _agent = Agent::with(&fake.url(), tmp.path(), &[("SECRET_ONE", ONE)]);
    let mut step = container(r#"cat "$FIREHALL_SECRETS/MINE"; echo; echo "env <$MINE>""#);
    step.secrets.insert("MINE".to_owned(), "SECRET_ONE".to_owned());
    step.secret_files.insert("MINE".to_owned());
    let token = token();
    fake.offer(&token, &work(WorkBody::Container(step))).await;
    assert_eq!(fake.finished(&token).await.verdict, Verdict::Succeeded);
    let out = String::from_utf8(fake.log(&token, LogStream::Stdout).await.bytes).unwrap();
    assert_eq!(out, "***\nenv <>\n");
}
