//! The suite on the native runtime as an ordinary user, whom nobody has prepared anything for: the process becomes one
//! before it does anything else.
#![allow(clippy::unwrap_used, reason = "tests")]

mod subject;
mod user;

use std::process::ExitCode;

use conformance::Ids;
use runtime::LimitsBy;
use subject::OnThisHost;

/// Where it is most unlike root's.
const DIFFERENT: &[&str] = &["hardening", "inside", "limits", "network"];

fn main() -> ExitCode {
    let (open, shim) = user::become_one();
    let subject = OnThisHost {
        shim,
        ids: Ids::Agent,
        limits: LimitsBy::Process,
    };
    let code = conformance::main_of(Box::leak(Box::new(subject)), DIFFERENT);
    drop(open);
    code
}
