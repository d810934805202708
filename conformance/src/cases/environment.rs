//! Environment and arguments: exact, and nothing else.

use types::Secret;

use crate::place::{Place, exec, sh};

crate::suite![
    hostile_values_are_exact,
    hostile_arguments_are_exact,
    the_environment_is_only_what_was_asked_for,
    a_later_name_wins,
    a_large_value_comes_whole,
    many_names_come_whole,
    names_need_not_be_a_shells,
    the_defaults_can_be_changed,
];

const HOSTILE: &[&str] = &[
    "",
    " ",
    "a\nb\n",
    "\n",
    "$(touch /tmp/x)`id`;'\"\\",
    "=x=y",
    "\u{1F525} ü \u{202e}txt",
    "\r\t\u{1b}[31m",
    "--help",
];

fn hostile_values_are_exact(place: &Place) {
    let mut spec = exec(&[
        "perl",
        "-e",
        "print join(\"\\0\", map { $ENV{\"V$_\"} } 0..$ENV{COUNT}-1)",
    ]);
    spec.env = HOSTILE
        .iter()
        .enumerate()
        .map(|(index, value)| (format!("V{index}"), (*value).to_owned()))
        .collect();
    spec.env.push(("COUNT".to_owned(), HOSTILE.len().to_string()));
    assert_eq!(place.run(&spec).out(), HOSTILE.join("\0"));
}

fn hostile_arguments_are_exact(place: &Place) {
    let mut argv = vec!["perl", "-e", "print join(\"\\0\", @ARGV)", "--"];
    argv.extend(HOSTILE);
    assert_eq!(place.run(&exec(&argv)).out(), HOSTILE.join("\0"));
}

fn the_environment_is_only_what_was_asked_for(place: &Place) {
    let mut spec = exec(&["env", "-0"]);
    spec.env = vec![("A".to_owned(), "1".to_owned())];
    let secrets = vec![("TOKEN".to_owned(), Secret::new("t0k".to_owned()))];
    let out = place.run_with(&spec, secrets).out();
    let mut found: Vec<&str> = out.split_terminator('\0').collect();
    found.sort_unstable();
    let expected = [
        "A=1",
        "FIREHALL_DEGRADED=/run/firehall/degraded",
        "FIREHALL_OUTPUT=/run/firehall/output",
        "HOME=/tmp",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TOKEN=t0k",
    ];
    assert_eq!(found, expected);
}

fn a_later_name_wins(place: &Place) {
    let mut spec = exec(&["env", "-0"]);
    spec.env = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
    let out = place
        .run_with(&spec, vec![("A".to_owned(), Secret::new("3".to_owned()))])
        .out();
    let found: Vec<&str> = out
        .split_terminator('\0')
        .filter(|one| one.starts_with("A="))
        .collect();
    assert_eq!(found, ["A=3"], "and it is there once");
}

fn a_large_value_comes_whole(place: &Place) {
    // The kernel takes at most 128 KiB of one value (execve(2), MAX_ARG_STRLEN).
    let mut spec = sh("printf %s \"$BIG\" | wc -c; printf %s \"$BIG\" | tr -d é | wc -c");
    spec.env = vec![("BIG".to_owned(), "é".repeat(60_000))];
    assert_eq!(place.run(&spec).out().replace(' ', ""), "120000\n0\n");
}

fn many_names_come_whole(place: &Place) {
    let mut spec = sh("env | grep -c '^MANY_[0-9]*=value$'");
    spec.env = (0..1_500)
        .map(|number| (format!("MANY_{number}"), "value".to_owned()))
        .collect();
    assert_eq!(place.run(&spec).out(), "1500\n");
}

fn names_need_not_be_a_shells(place: &Place) {
    let mut spec = exec(&["env", "-0"]);
    spec.env = vec![("with.dots-and dashes".to_owned(), "x".to_owned())];
    let out = place.run(&spec).out();
    assert!(
        out.split('\0').any(|one| one == "with.dots-and dashes=x"),
        "{out:?}"
    );
}

fn the_defaults_can_be_changed(place: &Place) {
    let mut spec = sh("echo $HOME $PATH");
    spec.env = vec![
        ("HOME".to_owned(), "/tmp/home".to_owned()),
        ("PATH".to_owned(), "/usr/bin:/bin".to_owned()),
    ];
    assert_eq!(place.run(&spec).out(), "/tmp/home /usr/bin:/bin\n");
}
