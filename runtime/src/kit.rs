//! What another runtime of ours has in common with the native one: the pump of a step's streams, its clocks, and how files
//! of an attempt are read and written.

pub use crate::artifacts::{collect as collect_artifacts, refuse_all as refuse_artifacts};
pub use crate::attempt_dir::{read_small, sync_dir, write_durably};
pub use crate::causes::with_causes;
pub use crate::clock::{boot, wall_ms};
pub use crate::ready::{Prober, Readiness};
pub use crate::shim::{NO_COMMAND, Pump};
pub use crate::sys::{fork_single_threaded, pidfd_open, process_ended};
