//! The API from another language, which knows of it only what the server says of itself.

use std::process::Command;

use e2e::{Stack, process};

#[test]
fn a_program_in_python_makes_the_calls_by_reflection() {
    let stack = Stack::with_agent();
    let test = std::env::current_exe().unwrap();
    // target/debug/deps/TEST
    let target = test.ancestors().nth(3).unwrap();
    let python = target.join("python/bin/python");
    assert!(
        python.exists(),
        "{} is not there: `cargo xtask test` sets it up",
        python.display()
    );
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/python/grpc_check.py");
    let url = stack.url();
    let address = url.strip_prefix("http://").unwrap();
    let ended = process::finish(Command::new(python).args([script, address]));
    assert!(
        ended.status.success(),
        "{}{}",
        String::from_utf8_lossy(&ended.stdout),
        String::from_utf8_lossy(&ended.stderr)
    );
}
