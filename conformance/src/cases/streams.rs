//! Both streams: every byte, apart, capped and counted.

use crate::place::{Place, exec, sh};

crate::suite![
    streams_are_apart_and_whole,
    every_byte_value_comes_through,
    invalid_utf8_is_kept_as_it_is,
    carriage_returns_alone_are_kept,
    one_line_of_megabytes_is_whole,
    a_flood_is_capped_counted_and_ends,
    both_streams_flood_at_once,
    no_output_is_no_output,
    the_last_bytes_of_a_short_life_are_never_lost,
    the_last_bytes_before_a_kill_are_kept,
    what_is_said_is_seen_while_it_runs,
    an_end_without_a_newline_is_kept,
    standard_input_is_empty,
    no_stream_is_a_terminal,
    a_closed_stream_does_no_harm,
    a_late_child_does_not_hold_the_end,
];

fn streams_are_apart_and_whole(place: &Place) {
    let ran = place.sh("echo one; echo two >&2; printf three");
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("one\nthree", "two\n"));
    let (out, err) = (&ran.record.stdout, &ran.record.stderr);
    assert_eq!((out.bytes, out.dropped, err.bytes, err.dropped), (9, 0, 4, 0));
}

fn every_byte_value_comes_through(place: &Place) {
    let ran = place.run(&exec(&["perl", "-e", "print pack('C*', 0..255) x 40"]));
    let expected: Vec<u8> = (0..=255).collect::<Vec<u8>>().repeat(40);
    assert_eq!(ran.out_bytes(), expected);
}

fn invalid_utf8_is_kept_as_it_is(place: &Place) {
    let ran = place.sh(r"printf '\377\376 \303 \355\240\200 ok\n'");
    assert_eq!(ran.out_bytes(), b"\xff\xfe \xc3 \xed\xa0\x80 ok\n");
}

fn carriage_returns_alone_are_kept(place: &Place) {
    let ran = place.sh(r"i=0; while [ $i -lt 2000 ]; do printf '%d%%\r' $i; i=$((i+1)); done");
    let expected: String = (0..2000).map(|number| format!("{number}%\r")).collect();
    assert_eq!(ran.out(), expected);
}

fn one_line_of_megabytes_is_whole(place: &Place) {
    let mut spec = sh("head -c 8000000 /dev/zero | tr '\\0' x; echo end");
    spec.log_cap_bytes = 16 * 1024 * 1024;
    let ran = place.run(&spec);
    assert_eq!(
        (ran.record.stdout.bytes, ran.record.stdout.dropped),
        (8_000_004, 0)
    );
    let out = ran.out_bytes();
    assert!(
        out.len() == 8_000_004
            && out[..8_000_000].iter().all(|byte| *byte == b'x')
            && out.ends_with(b"end\n")
    );
}

fn a_flood_is_capped_counted_and_ends(place: &Place) {
    let mut spec = sh("echo first; head -c 50000000 /dev/zero; echo last");
    spec.log_cap_bytes = 1_000_000;
    let ran = place.run(&spec);
    let (file, stream) = (ran.out_bytes(), &ran.record.stdout);
    assert_eq!(ran.record.code, Some(0));
    assert_eq!(stream.bytes, 50_000_000 + 6 + 5);
    assert_eq!(
        file.len() as u64,
        stream.bytes - stream.dropped,
        "each byte that is not there is counted"
    );
    assert!(file.len() <= 1_000_000, "{}", file.len());
    assert!(
        stream.gap_at.is_some_and(|at| at < file.len() as u64),
        "{stream:?}"
    );
    assert!(
        file.starts_with(b"first\n") && file.ends_with(b"last\n"),
        "the first and the last are kept"
    );
    assert_eq!(ran.record.stderr.dropped, 0);
}

fn both_streams_flood_at_once(place: &Place) {
    let mut spec =
        sh("head -c 20000000 /dev/zero & head -c 20000000 /dev/zero >&2; wait; echo out; echo err >&2");
    spec.log_cap_bytes = 300_000;
    let ran = place.run(&spec);
    assert_eq!(ran.record.code, Some(0));
    for (stream, file, last) in [
        (&ran.record.stdout, ran.dir.stdout(), "out\n"),
        (&ran.record.stderr, ran.dir.stderr(), "err\n"),
    ] {
        let file = std::fs::read(file).unwrap();
        assert_eq!(stream.bytes, 20_000_004);
        assert_eq!(file.len() as u64, stream.bytes - stream.dropped);
        assert!(file.ends_with(last.as_bytes()));
    }
}

fn no_output_is_no_output(place: &Place) {
    let ran = place.sh("true");
    assert_eq!((ran.out(), ran.err()), (String::new(), String::new()));
    assert_eq!((ran.record.stdout.bytes, ran.record.stderr.bytes), (0, 0));
}

fn the_last_bytes_of_a_short_life_are_never_lost(place: &Place) {
    for round in 0..15 {
        let ran = place.run(&exec(&["/bin/sh", "-c", "echo out; echo err >&2"]));
        assert_eq!(
            (ran.out().as_str(), ran.err().as_str()),
            ("out\n", "err\n"),
            "round {round}"
        );
    }
}

fn the_last_bytes_before_a_kill_are_kept(place: &Place) {
    for _ in 0..3 {
        let ran = place.sh("seq 5000; kill -KILL $$");
        assert!(ran.died_of(place, 9), "{:?}", ran.record);
        assert!(ran.out().ends_with("4999\n5000\n"));
    }
}

fn what_is_said_is_seen_while_it_runs(place: &Place) {
    let running = place.start(&sh("printf early; sleep 600"));
    running.says("early");
    place.stop(&running);
    place.wait(&running);
}

fn an_end_without_a_newline_is_kept(place: &Place) {
    assert_eq!(place.sh("printf 'a\\nb'").out(), "a\nb");
}

fn standard_input_is_empty(place: &Place) {
    let ran = place.sh("cat; echo $?; read line || echo end");
    assert_eq!(ran.out(), "0\nend\n", "{}", ran.err());
}

fn no_stream_is_a_terminal(place: &Place) {
    let ran = place.sh(
        "for fd in 0 1 2; do [ -t $fd ] && echo tty $fd; done; (: < /dev/tty) 2>/dev/null && echo tty; :",
    );
    assert_eq!(ran.out(), "");
}

fn a_closed_stream_does_no_harm(place: &Place) {
    let ran = place.sh("echo before; exec >&-; exec 2>&-; sleep 0.1; exit 6");
    assert_eq!((ran.record.code, ran.out().as_str()), (Some(6), "before\n"));
}

fn a_late_child_does_not_hold_the_end(place: &Place) {
    let ran = place.sh("sleep 600 & echo done");
    assert_eq!((ran.record.code, ran.out().as_str()), (Some(0), "done\n"));
}
