//! What every runtime must do, as cases that are run on each of them.
//!
//! A case starts containers through [`runtime::Runtime`] and reads what is in force *from inside* the container; what a
//! runtime says of itself is only ever compared with that. A runtime's test binary has no harness of its own and calls
//! [`main`] with its [`Subject`]: each case becomes one test, named `module::case`. Where runtimes honestly differ, the
//! difference is a field of [`Answers`].
//!
//! After each case the place is left: all that it started is ended and removed, and nothing of it may remain.
#![allow(clippy::unwrap_used, reason = "tests")]

mod answers;
mod cases;
mod place;
mod probe;
mod subject;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

pub use answers::{Answers, Ids, Signals};
pub use place::Place;
pub use subject::Subject;

/// One thing that a runtime must do; it panics where it does not.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    /// The module and the function.
    name: &'static str,
    run: fn(&Place),
}

/// The cases of a module: a function that is not named here is dead code, and the compiler says so.
macro_rules! suite {
    ($($name:ident),* $(,)?) => {
        pub(crate) const CASES: &[crate::Case] = &[$(
            crate::Case { name: concat!(module_path!(), "::", stringify!($name)), run: $name },
        )*];
    };
}
pub(crate) use suite;

/// Runs all cases on a runtime, as `cargo test` and `cargo nextest` ask it to.
pub fn main(subject: &'static dyn Subject) -> ExitCode {
    run(subject, |_| true)
}

/// The same where the ordinary run takes some modules only: cases of the others are named `full_…`.
pub fn main_of(subject: &'static dyn Subject, ordinary: &[&str]) -> ExitCode {
    run(subject, |module| ordinary.contains(&module))
}

/// The modules of cases, by name.
#[must_use]
pub fn modules() -> Vec<&'static str> {
    let of = |cases: &&[Case]| Some(module(cases.first()?));
    cases::ALL.iter().filter_map(of).collect()
}

/// A case's module and name, as people read them.
fn called(case: &Case) -> &'static str {
    case.name.trim_start_matches("conformance::cases::")
}

fn module(case: &Case) -> &'static str {
    called(case).split("::").next().unwrap_or_default()
}

fn run(subject: &'static dyn Subject, is_ordinary: impl Fn(&str) -> bool) -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = cases::ALL
        .iter()
        .flat_map(|cases| cases.iter())
        // Without root nothing joins another's network, and a step that asks for it is refused.
        .filter(|case| !case.name.contains("::beside::") || subject.answers().ids != Ids::Agent)
        .map(|case| {
            let name = called(case);
            let full = if is_ordinary(module(case)) { "" } else { "full_" };
            let run = case.run;
            Trial::test(format!("{full}{name}"), move || {
                let place = Place::open(subject);
                run(&place);
                place.leave();
                Ok(())
            })
        })
        .collect();
    libtest_mimic::run(&arguments, trials).exit_code()
}
