//! Help as people ask for it.

use crate::home::Home;

/// The commands that `firehall --help` lists.
fn commands(home: &Home) -> Vec<String> {
    let help = home.run(&["--help"], &[]);
    assert_eq!((help.code, help.err.as_str()), (0, ""), "{help:?}");
    let (_, listed) = help.out.split_once("Commands:\n").unwrap();
    let listed = listed.split("\n\n").next().unwrap();
    let names = listed.lines().filter_map(|line| line.split_whitespace().next());
    names.filter(|name| *name != "help").map(str::to_owned).collect()
}

#[test]
fn every_command_explains_itself_on_standard_output() {
    let home = Home::new();
    let commands = commands(&home);
    assert!(commands.len() > 20, "{commands:?}");
    for command in &commands {
        let long = home.run(&[command, "--help"], &[]);
        assert_eq!((long.code, long.err.as_str()), (0, ""), "{command}");
        assert!(
            long.out.contains(&format!("firehall {command}")),
            "{command}: {}",
            long.out
        );
        assert_eq!(home.run(&["help", command], &[]).out, long.out, "{command}");
        let no_escape = !long.out.contains('\u{1b}');
        assert!(no_escape, "{command}: colours in a pipe");
    }
}

#[test]
fn nothing_in_help_shows_what_a_variable_holds() {
    let home = Home::new();
    let help = home.run(
        &["runs", "--help"],
        &[("FIREHALL_SERVER", "http://ann:secret@h:1")],
    );
    assert!(
        help.code == 0 && help.out.contains("[env: FIREHALL_SERVER]"),
        "{help:?}"
    );
    assert!(!help.out.contains("secret"), "{help:?}");
}

#[test]
fn a_near_miss_is_named() {
    let home = Home::new();
    for (args, near) in [
        (&["rnus"][..], "runs"),
        (&["runs", "--outcme", "failed"], "--outcome"),
        (&["runs", "--outcome", "faild"], "failed"),
    ] {
        let ended = home.run(args, &[]);
        assert_eq!((ended.code, ended.out.as_str()), (2, ""), "{ended:?}");
        assert!(ended.err.contains(&format!("'{near}'")), "{ended:?}");
    }
}

#[test]
fn a_refusal_repeats_what_was_given_and_steers_no_terminal() {
    let home = Home::new();
    for args in [&["\u{1b}[31mx"][..], &["runs", "--outcome", "x\u{202e}y"]] {
        let ended = home.run(args, &[]);
        assert!(
            ended.code == 2 && ended.err.contains('x') && !ended.err.contains(['\u{1b}', '\u{202e}']),
            "{ended:?}"
        );
    }
}
