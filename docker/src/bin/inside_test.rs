//! Pid 1 of this crate's own tests; the product's is `firehall inside`.

use std::process::ExitCode;

fn main() -> ExitCode {
    if std::env::args().nth(1).as_deref() == Some(docker::inside::WORD) {
        docker::inside::main()
    } else {
        eprintln!("started by tests only");
        ExitCode::from(2)
    }
}
