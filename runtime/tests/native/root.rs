//! `image: host`: the host's own system, without its configuration.

use crate::support::{Place, sh};

#[test]
fn the_users_are_synthetic_and_only_programs_are_the_hosts() {
    let place = Place::new();
    let mut spec = sh("cat /etc/passwd; id -un; ls -A /opt /srv /mnt /home /root /var");
    spec.user = Some(1000);
    let out = place.run(&spec).out();
    let passwd: Vec<&str> = out.lines().take(3).collect();
    assert!(passwd[1].starts_with("step:x:1000:1000"), "{out}");
    let rest: Vec<&str> = out
        .lines()
        .skip(3)
        .filter(|line| !line.is_empty() && !line.ends_with(':'))
        .collect();
    assert_eq!(rest, ["step", "run", "tmp"], "{out}");
    // And what is below /usr is the very same.
    let size = std::fs::metadata("/usr/bin/env").unwrap().len();
    assert_eq!(
        place.run(&sh("stat -L -c %s /usr/bin/env")).out(),
        format!("{size}\n")
    );
}

#[test]
fn a_program_that_is_missing_is_to_be_installed_below_usr() {
    let place = Place::new();
    let error = place.run(&sh("exit 0")).record.start_error;
    assert_eq!(error, None);
    let error = place
        .run(&crate::support::exec(&["no-such-program"]))
        .record
        .start_error
        .unwrap();
    assert!(
        error
            .message
            .contains("install it on the agent's host below /usr"),
        "{error}"
    );
}

#[test]
fn the_network_of_the_host_comes_with_its_names() {
    let place = Place::new();
    let mut spec = sh("cat /etc/resolv.conf");
    assert_eq!(place.run(&spec).out(), "", "none without network");
    spec.id.push_str("-net");
    spec.network = runtime::Network::Host;
    assert_eq!(
        place.run(&spec).out(),
        std::fs::read_to_string("/etc/resolv.conf").unwrap()
    );
}
