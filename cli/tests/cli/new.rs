//! `firehall new`: from flags, and from answers on a terminal.

use std::{
    fs::File,
    io::{Read, Write},
    process::Stdio,
    sync::mpsc,
    time::{Duration, Instant},
};

use nix::{
    pty::openpty,
    sys::termios::{LocalFlags, tcgetattr},
};

use crate::home::Home;

fn run(home: &Home, args: &[&str]) -> (i32, String, String) {
    let ended = home.run(args, &[]);
    (ended.code, ended.out, ended.err)
}

#[test]
fn each_template_is_written_checked_and_never_written_over() {
    let home = Home::new();
    for template in ["incident-response", "script", "alert"] {
        let (code, out, err) = run(&home, &["new", "--from", template]);
        assert_eq!((code, err.as_str()), (0, ""));
        let file = format!("{template}.yaml");
        assert!(out.contains(&format!("firehall check {file}")), "{out}");
        assert_eq!(run(&home, &["check", &file]).0, 0, "{file}");
        assert_eq!(run(&home, &["plan", &file]).0, 0, "{file}");
        let (code, out, err) = run(&home, &["new", "--from", template]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(
            err.contains("is there already") && err.contains("--force"),
            "{err}"
        );
        assert_eq!(run(&home, &["new", "--from", template, "--force"]).0, 0);
    }
    let (code, out, _) = run(&home, &["new", "steers", "--output", "a\u{1b}[31m\u{202e}.yaml"]);
    assert!(code == 0 && !out.contains(['\u{1b}', '\u{202e}']), "{out:?}");
    let (code, out, _) = run(&home, &["new", "mine", "--output", "-"]);
    assert!(code == 0 && out.contains("\nname: mine\n"), "{out}");
}

#[test]
fn what_belongs_to_an_incident_is_a_command_and_stays_data() {
    let home = Home::new();
    let title = "it's $(reboot) \"slow\"";
    let args = [
        "new",
        "w",
        "--users",
        "@a,b@example.com",
        "--severity",
        "high",
        "--id",
        "I 1",
        "--title",
        title,
    ];
    let (code, out, err) = run(&home, &args);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(
        out.contains(r#"--id 'I 1' --title 'it'\''s $(reboot) "slow"' --severity high"#),
        "{out}"
    );
    let (_, text, _) = run(
        &home,
        &[
            "new",
            "w",
            "--output",
            "-",
            "--users",
            "@a,b@example.com",
            "--severity",
            "high",
        ],
    );
    assert!(
        text.contains(r#"default: ["@a", "b@example.com"]"#) && !text.contains("I 1"),
        "{text}"
    );
    for (wrong, said) in [
        (vec!["new", "W"], "small letter"),
        (vec!["new", "w", "--force", "--users", "a@"], "no e-mail address"),
        (
            vec!["new", "w", "--force", "--from", "script", "--severity", "high"],
            "has no alert",
        ),
        (vec!["new", "w", "--force", "--title", "x"], "--severity"),
        (vec!["new", "w", "--force", "--interactive"], "no terminal"),
    ] {
        let (code, out, err) = run(&home, &wrong);
        assert_eq!((code, out.as_str()), (2, ""), "{wrong:?}");
        assert!(err.contains(said), "{wrong:?}: {err}");
    }
}

/// A person at a terminal: waits for words, then types.
struct Person {
    child: std::process::Child,
    keys: File,
    seen: mpsc::Receiver<Vec<u8>>,
    screen: String,
}

impl Person {
    fn at(home: &Home, args: &[&str]) -> Self {
        let pty = openpty(None, None).unwrap();
        let side = || Stdio::from(pty.slave.try_clone().unwrap());
        let mut command = home.firehall(args);
        command.env("TERM", "xterm").env("NO_COLOR", "1");
        let child = command
            .stdin(side())
            .stdout(side())
            .stderr(side())
            .spawn()
            .unwrap();
        drop(command);
        drop(pty.slave);
        let mut from = File::from(pty.master.try_clone().unwrap());
        let (tx, seen) = mpsc::sync_channel(1024);
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(n @ 1..) = from.read(&mut bytes) {
                if tx.send(bytes[..n].to_vec()).is_err() {
                    break;
                }
            }
        });
        let keys = File::from(pty.master);
        Self {
            child,
            keys,
            seen,
            screen: String::new(),
        }
    }

    /// Waits until the words are on the screen, then forgets what was there.
    fn sees(&mut self, words: &str) -> &mut Self {
        let until = Instant::now() + Duration::from_secs(20);
        while !self.screen.contains(words) {
            let left = until.saturating_duration_since(Instant::now());
            match self.seen.recv_timeout(left) {
                Ok(bytes) => self.screen.push_str(&String::from_utf8_lossy(&bytes)),
                Err(error) => panic!("never saw {words:?} ({error}): {:?}", self.screen),
            }
        }
        self.screen.clear();
        self
    }

    /// Keys that are pressed before the terminal is in raw mode mean something else to it: no person is that fast.
    fn types(&mut self, keys: &str) -> &mut Self {
        let until = Instant::now() + Duration::from_secs(20);
        while tcgetattr(&self.keys)
            .unwrap()
            .local_flags
            .contains(LocalFlags::ISIG)
        {
            assert!(Instant::now() < until, "the terminal is not in raw mode");
            std::thread::sleep(Duration::from_millis(5));
        }
        self.keys.write_all(keys.as_bytes()).unwrap();
        self
    }

    fn ends(&mut self) -> Option<i32> {
        let until = Instant::now() + Duration::from_secs(20);
        while Instant::now() < until {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status.code();
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        self.child.kill().unwrap();
        None
    }
}

#[test]
fn a_person_is_asked_again_while_an_answer_is_wrong() {
    let home = Home::new();
    home.file("taken.yaml", "mine");
    let mut person = Person::at(&home, &["new", "--interactive"]);
    person.sees("From which template").types("\r");
    person.sees("Name of the workflow").types("A b\r");
    person.sees("a small letter").types("\u{15}taken\r");
    person.sees("taken.yaml is there already").types("\u{15}oncall\r");
    person.sees("Whom to call").types("a@\r");
    person
        .sees("no e-mail address")
        .types("\u{15}@backend, maria@example.com\r");
    person.sees("Who may see the room").types("\r");
    person.sees("Alerts of which severity").types("\r");
    person.sees("Is there an incident").types("y");
    person.sees("Its id").types("\r");
    person.sees("Its title").types("Disk $(full)\r");
    person.sees("--title 'Disk $(full)' --severity high");
    assert_eq!(person.ends(), Some(0));
    let (code, out, _) = run(&home, &["plan", "oncall.yaml", "-o", "json"]);
    let seen: serde_json::Value = serde_json::from_str(&out).unwrap();
    let users = serde_json::json!(["@backend", "maria@example.com"]);
    assert!(
        code == 0
            && seen["inputs"]
                .as_array()
                .unwrap()
                .iter()
                .any(|one| one["value"] == users),
        "{seen:#}"
    );
}

#[test]
fn ctrl_c_at_any_question_ends_with_130_and_writes_nothing() {
    for (from, question) in [
        (None, "From which template"),
        (Some("alert"), "Name of the workflow"),
    ] {
        let home = Home::new();
        let mut args = vec!["new", "x", "--interactive"];
        args.extend(from.iter().flat_map(|from| ["--from", from]));
        let mut person = Person::at(&home, &args);
        person.sees(question).types("\u{3}");
        person.sees("nothing was written");
        assert_eq!(person.ends(), Some(130), "{question}");
        assert_eq!(run(&home, &["check", "x.yaml"]).0, 2, "nothing was written");
    }
}
