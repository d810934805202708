//! The suite on the Docker runtime at Podman's socket: real containers of a Podman of this test's own.
#![allow(clippy::unwrap_used, reason = "tests")]

mod service;
mod subject;

use std::process::ExitCode;
use std::sync::Mutex;

use docker::Host;
use service::Podman;
use subject::OnDaemon;

/// Where Podman is most unlike Docker: its states, memory file systems and limits, networks, and ends that only it tells of.
/// The rest takes minutes.
const DIFFERENT: &[&str] = &[
    "beside::they_share_a_loopback_under_their_names",
    "ends::out_of_memory_timeout_and_stop_are_told_apart",
    "files::a_file_cannot_be_changed",
    "files::a_file_has_its_mode_and_belongs_to_the_step",
    "life::a_new_agent_finds_a_running_container",
    "limits::memory_files_count_as_memory",
    "limits::the_record_says_what_is_in_force",
    "network::egress_has_no_ipv6_and_no_link_local_way_to_the_host",
    "network::egress_reaches_neither_host_nor_metadata_nor_neighbour",
    "network::none_has_no_interface_but_its_own_loopback",
    "secrets::a_secret_that_is_a_file_is_in_no_environment",
];

static PODMAN: Mutex<Option<Podman>> = Mutex::new(None);

fn host() -> Host {
    let mut podman = PODMAN.lock().unwrap();
    podman.get_or_insert_with(|| Podman::start(None)).host()
}

fn main() -> ExitCode {
    let code = conformance::main_of(&OnDaemon { host, podman: true }, DIFFERENT);
    // A static is never dropped, and the service is to end with this process.
    drop(PODMAN.lock().unwrap().take());
    code
}
