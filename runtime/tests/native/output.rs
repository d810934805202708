//! Streams, outputs and environment: exact, capped, counted.

use crate::support::{Place, exec, secret, sh};

#[test]
fn streams_are_separate_and_whole() {
    let place = Place::new();
    let ran = place.sh("echo one; echo two >&2; printf three");
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("one\nthree", "two\n"));
    assert_eq!(
        (
            ran.record.stdout.bytes,
            ran.record.stdout.dropped,
            ran.record.stderr.bytes
        ),
        (9, 0, 4)
    );
}

#[test]
fn binary_output_is_exact() {
    let place = Place::new();
    let ran = place.sh("i=0; while [ $i -lt 256 ]; do printf \"\\\\$(printf %03o $i)\"; i=$((i+1)); done");
    let expected: Vec<u8> = (0..=255).collect();
    assert_eq!(std::fs::read(ran.dir.stdout()).unwrap(), expected);
}

#[test]
fn a_flood_is_capped_counted_and_ends() {
    let place = Place::new();
    let mut spec = sh("echo first; head -c 200000000 /dev/zero; echo last");
    spec.log_cap_bytes = 1_000_000;
    let ran = place.run(&spec);
    let file = std::fs::read(ran.dir.stdout()).unwrap();
    let stream = &ran.record.stdout;
    assert_eq!(ran.record.code, Some(0));
    assert_eq!(stream.bytes, 200_000_000 + 6 + 5);
    assert_eq!(file.len(), 1_000_000);
    assert_eq!(stream.dropped, stream.bytes - 1_000_000);
    assert_eq!(stream.gap_at, Some(1_000_000 - 65_536));
    assert!(file.starts_with(b"first\n") && file.ends_with(b"last\n"));
    assert_eq!(ran.record.stderr.dropped, 0);
}

#[test]
fn outputs_come_back_and_are_empty_without_any() {
    let place = Place::new();
    let ran = place
        .sh("echo a=1 >> $FIREHALL_OUTPUT; echo b=2 >> \"$FIREHALL_OUTPUT\"; echo slow > $FIREHALL_DEGRADED");
    assert_eq!(ran.dir.output().unwrap(), b"a=1\nb=2\n");
    assert_eq!(ran.dir.degraded().unwrap(), b"slow\n");
    let ran = place.sh("true");
    assert_eq!(
        (ran.dir.output().unwrap(), ran.dir.degraded().unwrap()),
        (vec![], vec![])
    );
}

#[test]
fn the_output_file_cannot_be_made_a_link_or_a_fifo() {
    let place = Place::new();
    let ran = place.sh(
        "cd /run/firehall; rm -f output; ln -sf /etc/shadow output; mkfifo x; touch y; ls; echo v=1 > output",
    );
    assert_eq!(ran.out(), "degraded\noutput\n");
    assert_eq!(ran.dir.output().unwrap(), b"v=1\n");
}

#[test]
fn hostile_environment_is_exact() {
    let place = Place::new();
    let values = [
        "",
        " ",
        "a\nb\n",
        "$(touch /tmp/x)`id`;'\"\\",
        "=x=y",
        "\u{1F525} ü",
        "\r\t\u{1b}[31m",
    ];
    for value in values {
        let mut spec = exec(&["printenv", "-0", "HOSTILE"]);
        spec.env = vec![("HOSTILE".to_owned(), value.to_owned())];
        assert_eq!(place.run(&spec).out(), format!("{value}\0"));
        let spec = exec(&["printf", "%s", value]);
        assert_eq!(place.run(&spec).out(), value);
    }
}

#[test]
fn the_environment_is_only_what_was_asked_for() {
    let place = Place::new();
    let mut spec = exec(&["env", "-0"]);
    spec.env = vec![("A".to_owned(), "1".to_owned()), ("A".to_owned(), "2".to_owned())];
    let out = place.run_with(&spec, &secret("TOKEN", "t0k")).out();
    let mut found: Vec<&str> = out.split_terminator('\0').collect();
    found.sort_unstable();
    let expected = [
        "A=2",
        "FIREHALL_DEGRADED=/run/firehall/degraded",
        "FIREHALL_OUTPUT=/run/firehall/output",
        "HOME=/tmp",
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "TOKEN=t0k",
    ];
    assert_eq!(found, expected);
}
