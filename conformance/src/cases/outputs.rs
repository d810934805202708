//! What a step tells through files: small regular files, whatever it tries.

use runtime::RUN_FILE_BYTES;

use crate::place::{Place, Ran, sh};

crate::suite![
    outputs_come_back,
    no_outputs_are_empty,
    outputs_are_bytes,
    a_link_in_the_place_of_outputs_is_not_followed,
    a_fifo_in_the_place_of_outputs_does_not_block,
    a_directory_in_the_place_of_outputs_gives_nothing,
    huge_outputs_neither_fill_the_disk_nor_come_back,
    a_hundred_thousand_files_beside_the_outputs_are_not_kept,
    outputs_of_a_failed_step_come_back_too,
    every_user_may_write_outputs,
];

fn outputs_come_back(place: &Place) {
    let ran = place
        .sh("echo a=1 >> $FIREHALL_OUTPUT; echo b=2 >> \"$FIREHALL_OUTPUT\"; echo slow > $FIREHALL_DEGRADED");
    assert_eq!(ran.dir.output().unwrap(), b"a=1\nb=2\n");
    assert_eq!(ran.dir.degraded().unwrap(), b"slow\n");
}

fn no_outputs_are_empty(place: &Place) {
    let ran = place.sh("true");
    assert_eq!(
        (ran.dir.output().unwrap(), ran.dir.degraded().unwrap()),
        (vec![], vec![])
    );
}

fn outputs_are_bytes(place: &Place) {
    let ran = place.sh(r"printf 'a=\377\376\n\000b' > $FIREHALL_OUTPUT");
    assert_eq!(ran.dir.output().unwrap(), b"a=\xff\xfe\n\0b");
}

/// Whatever stands there in the end: what comes back is what the step wrote, nothing, or a refusal.
fn harmless(ran: &Ran) {
    if let Ok(bytes) = ran.dir.output() {
        let text = String::from_utf8_lossy(&bytes).into_owned();
        assert!(text.is_empty() || text == "v=1\n", "{text}");
    }
}

fn a_link_in_the_place_of_outputs_is_not_followed(place: &Place) {
    for target in [
        "/etc/passwd",
        "/etc/shadow",
        "/proc/self/environ",
        "../../../job.json",
        "/dev/zero",
    ] {
        let ran = place.sh(&format!(
            "rm -f $FIREHALL_OUTPUT; ln -sf {target} $FIREHALL_OUTPUT; echo v=1 > $FIREHALL_OUTPUT; true"
        ));
        assert_eq!(ran.record.code, Some(0));
        harmless(&ran);
    }
}

fn a_fifo_in_the_place_of_outputs_does_not_block(place: &Place) {
    let ran = place.sh("rm -f $FIREHALL_OUTPUT; mkfifo $FIREHALL_OUTPUT; true");
    assert_eq!(ran.record.code, Some(0));
    harmless(&ran);
}

fn a_directory_in_the_place_of_outputs_gives_nothing(place: &Place) {
    let ran = place.sh("rm -f $FIREHALL_OUTPUT; mkdir $FIREHALL_OUTPUT; true");
    assert_eq!(ran.record.code, Some(0));
    harmless(&ran);
}

fn huge_outputs_neither_fill_the_disk_nor_come_back(place: &Place) {
    let ran = place.sh("head -c 30000000 /dev/zero > $FIREHALL_OUTPUT || echo full");
    assert_eq!(ran.out(), "full\n", "{:?}", ran.record);
    let came = ran.dir.output().map_or(0, |bytes| bytes.len() as u64);
    assert!(came <= RUN_FILE_BYTES, "{came}");
}

fn a_hundred_thousand_files_beside_the_outputs_are_not_kept(place: &Place) {
    let ran = place.sh("cd $(dirname $FIREHALL_OUTPUT); perl -e 'for (1..100000) { open F, \">x$_\" or exit 1 }'; echo v=1 > $FIREHALL_OUTPUT");
    assert_eq!(ran.record.code, Some(0), "{}", ran.err());
    assert_eq!(ran.dir.output().unwrap(), b"v=1\n");
    let kept = std::fs::read_dir(ran.dir.path().join("run")).map_or(0, Iterator::count);
    assert!(kept <= 2, "{kept} files came out of it");
}

fn outputs_of_a_failed_step_come_back_too(place: &Place) {
    let ran = place.sh("echo v=1 > $FIREHALL_OUTPUT; exit 3");
    assert_eq!(ran.record.code, Some(3));
    assert_eq!(ran.dir.output().unwrap(), b"v=1\n");
}

fn every_user_may_write_outputs(place: &Place) {
    for user in [0, 1, 1000, 65_534] {
        let mut spec = sh("echo v=1 > $FIREHALL_OUTPUT");
        spec.user = Some(user);
        let ran = place.run(&spec);
        assert_eq!(ran.dir.output().unwrap(), b"v=1\n", "user {user}: {}", ran.err());
    }
}
