//! Named places at which a test lets the process die or freeze. In a release build they are empty functions, and
//! the variable below means nothing.
//!
//! A test makes a directory, names it to the processes in `FIREHALL_FAILPOINTS`, and arms a place by a file of its name
//! in it: at any time, while the processes run. What the file says is done by the first process that comes there, once:
//!
//! | text | what |
//! |---|---|
//! | `kill` | SIGKILL to itself: no destructor, no flush |
//! | `stop` | SIGSTOP to itself, until somebody sends SIGCONT |
//! | `sleep MS` | the thread stands still for so many milliseconds |
//! | `panic` | a panic, as a defect would |
//!
//! A number in front (`3 kill`) is the visit that counts, from 1. What was taken is renamed to `PLACE.reached`. With
//! `every` in front it is done at each visit, by each process; `PLACE.reached` gets a line each time.
//!
//! Some places say for what they were reached: `PLACE@WHAT` is for that alone.

#[cfg(debug_assertions)]
mod armed;

use std::process::Command;

/// The variable that names the directory.
pub const VARIABLE: &str = "FIREHALL_FAILPOINTS";

/// Does what a test armed this place with; nothing else, ever.
#[inline]
pub fn reach(place: &str) {
    #[cfg(debug_assertions)]
    armed::reach(place);
    #[cfg(not(debug_assertions))]
    let _ = place;
}

/// [`reach`], and the place of this one thing: a step, a workflow, a run.
#[inline]
pub fn reach_of(place: &str, what: &str) {
    #[cfg(debug_assertions)]
    armed::reach_of(place, what);
    #[cfg(not(debug_assertions))]
    let _ = (place, what);
}

/// Hands the directory on to a child whose environment is made from nothing.
#[inline]
pub fn pass_on(child: &mut Command) {
    #[cfg(debug_assertions)]
    if let Some(dir) = armed::dir() {
        child.env(VARIABLE, dir);
    }
    #[cfg(not(debug_assertions))]
    let _ = child;
}
