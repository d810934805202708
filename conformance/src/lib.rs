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

impl Case {
    /// `module::case`.
    fn short(&self) -> &'static str {
        self.name.trim_start_matches("conformance::cases::")
    }

    fn module(&self) -> &'static str {
        self.short().split("::").next().unwrap_or_default()
    }

    /// Whether it is of this name, or of the module of this name.
    fn is_of(&self, name: &str) -> bool {
        self.short() == name || self.module() == name
    }
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

/// The same where the ordinary run takes some modules and cases only: the others are named `full_…`.
///
/// # Panics
/// When there is none of a name.
pub fn main_of(subject: &'static dyn Subject, ordinary: &[&str]) -> ExitCode {
    for one in ordinary {
        let mut all = cases::ALL.iter().flat_map(|cases| cases.iter());
        assert!(all.any(|case| case.is_of(one)), "no case is of {one}");
    }
    run(subject, |case| ordinary.iter().any(|one| case.is_of(one)))
}

/// The modules of cases, by name.
#[must_use]
pub fn modules() -> Vec<&'static str> {
    let of = |cases: &&[Case]| Some(cases.first()?.module());
    cases::ALL.iter().filter_map(of).collect()
}

fn run(subject: &'static dyn Subject, is_ordinary: impl Fn(&Case) -> bool) -> ExitCode {
    let arguments = Arguments::from_args();
    let trials = cases::ALL
        .iter()
        .flat_map(|cases| cases.iter())
        // Without root nothing joins another's network, and a step that asks for it is refused.
        .filter(|case| !case.name.contains("::beside::") || subject.answers().ids != Ids::Agent)
        .map(|case| {
            let name = case.short();
            let full = if is_ordinary(case) { "" } else { "full_" };
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
