//! Files that a step gets: what it reads at their paths, and that it cannot change them.

use std::os::unix::fs::PermissionsExt;

use runtime::{AttemptDir, ContainerSpec, SpecFile};

use crate::place::{Place, sh};

crate::suite![
    a_file_is_at_its_path_with_its_bytes,
    a_file_has_its_mode_and_belongs_to_the_step,
    a_file_cannot_be_changed,
    files_lie_beside_what_the_system_has,
    a_file_is_below_tmp_too,
    a_file_where_none_may_lie_is_refused,
    a_program_can_be_a_file,
];

/// The spec with these files, put where the runtime takes them from.
pub(super) fn with(place: &Place, mut spec: ContainerSpec, files: &[(&str, u32, &[u8])]) -> ContainerSpec {
    let dir = AttemptDir::new(place.dir(&spec.id));
    dir.make_files().unwrap();
    for (n, (path, mode, bytes)) in files.iter().enumerate() {
        std::fs::write(dir.file(n), bytes).unwrap();
        std::fs::set_permissions(dir.file(n), PermissionsExt::from_mode(0o400)).unwrap();
        spec.files.push(SpecFile {
            path: (*path).to_owned(),
            mode: *mode,
        });
    }
    spec
}

fn a_file_is_at_its_path_with_its_bytes(place: &Place) {
    let bytes: Vec<u8> = (0..=255).cycle().take(100_000).collect();
    let files: [(&str, u32, &[u8]); 4] = [
        ("/data/bytes", 0o444, &bytes),
        ("/data/empty", 0o444, b""),
        ("/x/y/z/große Datei.txt", 0o444, "Zeile\n".as_bytes()),
        ("/top", 0o444, b"top"),
    ];
    let spec = with(
        place,
        sh("cat /data/bytes /data/empty '/x/y/z/große Datei.txt' /top"),
        &files,
    );
    let expected = [&bytes, "Zeile\ntop".as_bytes()].concat();
    assert!(place.run(&spec).out_bytes() == expected);
}

fn a_file_has_its_mode_and_belongs_to_the_step(place: &Place) {
    let files: [(&str, u32, &[u8]); 2] = [("/data/all", 0o444, b"all"), ("/data/own", 0o400, b"own")];
    for user in [None, Some(0), Some(1234)] {
        let mut spec = sh("stat -c '%a %u' /data/all /data/own; id -u; cat /data/own");
        spec.user = user;
        let ran = place.run(&with(place, spec, &files));
        let id = user.unwrap_or(1000);
        let expected = format!("444 {id}\n400 {id}\n{id}\nown");
        assert_eq!(ran.out(), expected, "{}", ran.err());
    }
}

fn a_file_cannot_be_changed(place: &Place) {
    for user in [0, 1000] {
        let script = "for f in /data/f /tmp/f; do (echo more >> $f) 2>/dev/null && echo written; chmod 777 $f 2>/dev/null && \
            echo changed; rm -f $f 2>/dev/null; mv $f /tmp/g 2>/dev/null; cat $f; done; grep -c . /data/f";
        let mut spec = with(
            place,
            sh(script),
            &[("/data/f", 0o444, b"kept\n"), ("/tmp/f", 0o444, b"kept\n")],
        );
        spec.user = Some(user);
        let ran = place.run(&spec);
        assert_eq!(ran.out(), "kept\nkept\n1\n", "{}", ran.err());
        let kept = std::fs::read(ran.dir.file(0)).unwrap();
        assert_eq!(kept, b"kept\n");
    }
}

fn files_lie_beside_what_the_system_has(place: &Place) {
    let files: [(&str, u32, &[u8]); 2] = [
        ("/etc/firehall-case/app.conf", 0o444, b"new\n"),
        ("/etc/os-release", 0o444, b"ours\n"),
    ];
    let spec = with(
        place,
        sh("cat /etc/firehall-case/app.conf /etc/os-release; grep -c root: /etc/passwd; ls /usr/bin/env"),
        &files,
    );
    let ran = place.run(&spec);
    assert_eq!(ran.out(), "new\nours\n1\n/usr/bin/env\n", "{}", ran.err());
    // The next step's root is as it was.
    let after =
        place.sh("cat /etc/firehall-case/app.conf; cat /etc/os-release; ls -d /etc/firehall-case /data");
    assert!(
        !after.out().contains("new") && !after.out().contains("ours"),
        "{}",
        after.out()
    );
    assert!(!after.out().contains("firehall-case"), "{}", after.out());
}

fn a_file_is_below_tmp_too(place: &Place) {
    let spec = with(
        place,
        sh("cat /tmp/in/deep; echo new > /tmp/other && cat /tmp/other"),
        &[("/tmp/in/deep", 0o444, b"deep\n")],
    );
    let ran = place.run(&spec);
    assert_eq!(ran.out(), "deep\nnew\n", "{}", ran.err());
}

fn a_file_where_none_may_lie_is_refused(place: &Place) {
    for path in ["/proc/x", "/etc/passwd", "/usr/bin/env", "/a/../b", "rel"] {
        let spec = with(place, sh("echo ran"), &[(path, 0o444, b"x")]);
        let said = place
            .begin(&spec, Vec::new())
            .err()
            .map(|error| error.to_string());
        assert!(
            said.as_ref().is_some_and(|said| said.contains("files")),
            "{path}: {said:?}"
        );
    }
}

fn a_program_can_be_a_file(place: &Place) {
    let mut spec = sh("");
    spec.argv = vec!["/tool/run.sh".to_owned(), "word".to_owned()];
    let spec = with(
        place,
        spec,
        &[("/tool/run.sh", 0o555, b"#!/bin/sh\necho \"ran $1\"\n")],
    );
    assert_eq!(place.run(&spec).out(), "ran word\n");
}
