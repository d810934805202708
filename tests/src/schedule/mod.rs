//! Random work under random faults, all of it determined by one seed: a run, its agents behind proxies, and a script of
//! what goes wrong and when. Then everything is mended, and what became of the run is judged.

mod play;
mod script;
mod soak;

pub use play::{Outcome, play};
pub use script::{Deed, Schedule};
pub use soak::Soak;
