//! Colours, and readers that go away.

use std::{io::Read, os::unix::process::ExitStatusExt, process::Stdio};

use crate::home::Home;

const WRONG: &str = "name: w\nsteps:\n  a:\n    image: host\n    runn: echo hi\n";

#[test]
fn colours_are_where_they_are_asked_for_and_nowhere_else() {
    let home = Home::new();
    let wrong = home.file("wrong.yaml", WRONG);
    let coloured = |more: &[&str], env: &[(&str, &str)]| {
        let ended = home.run(&[&["check", &wrong], more].concat(), env);
        assert_eq!(ended.code, 2, "{ended:?}");
        ended.out.contains('\u{1b}') || ended.err.contains('\u{1b}')
    };
    assert!(!coloured(&[], &[]), "a pipe");
    assert!(coloured(&["--color", "always"], &[]));
    assert!(
        coloured(&["--color", "always"], &[("NO_COLOR", "1")]),
        "a flag beats a variable"
    );
    assert!(coloured(&[], &[("CLICOLOR_FORCE", "1")]));
    assert!(!coloured(&[], &[("CLICOLOR_FORCE", "0")]));
    assert!(!coloured(&[], &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]));
    assert!(coloured(&[], &[("FIREHALL_COLOR", "always")]));
    assert!(!coloured(
        &["--no-color"],
        &[("CLICOLOR_FORCE", "1"), ("FIREHALL_COLOR", "always")]
    ));
    home.file(".config/firehall/config.toml", "[client]\ncolor = \"always\"\n");
    assert!(coloured(&[], &[]));
}

#[test]
fn a_reader_that_goes_away_is_no_failure_to_shout_about() {
    let home = Home::new();
    let mut child = home
        .firehall(&["reference"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    let status = child.wait().unwrap();
    assert_eq!(
        (status.code(), status.signal(), said.as_str()),
        (Some(141), None, "")
    );
}
