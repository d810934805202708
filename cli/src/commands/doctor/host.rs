//! This machine: kernel, user, user namespaces, clock, disk.

use std::path::Path;

use nix::{
    sys::{statvfs::statvfs, utsname::uname},
    unistd::geteuid,
};

use super::{finding::Report, said};

/// Free bytes below which spool and logs soon cannot be written, and below which that is near: as the server judges its own.
const DISK_ERROR: u64 = 256 * 1024 * 1024;
const DISK_WARNING: u64 = 2 * 1024 * 1024 * 1024;
/// 2026-01-01 in UTC, in Unix milliseconds: no clock is right that shows an earlier time than this program's.
const EARLIEST: i64 = 1_767_225_600_000;

pub(super) fn look(report: &mut Report, data_dir: Option<&Path>) {
    report.ok(
        "client.version",
        format!("this is firehall {}", env!("CARGO_PKG_VERSION")),
    );
    match uname() {
        Ok(name) => report.ok(
            "host.kernel",
            format!(
                "{} {} on {}",
                name.sysname().to_string_lossy(),
                name.release().to_string_lossy(),
                name.machine().to_string_lossy()
            ),
        ),
        Err(error) => report.unknown("host.kernel", said(&error), "ask uname -a"),
    }
    if geteuid().is_root() {
        report.ok("host.user", "running as root");
    } else {
        report.warning(
            "host.user",
            format!("running as user {}, not as root", geteuid()),
            "a server needs no root, and steps run without it, held more loosely (see runtime.limits); run this as the \
             agent runs",
        );
    }
    user_namespaces(report);
    egress(report);
    clock(report);
    disk(report, data_dir);
}

fn user_namespaces(report: &mut Report) {
    let check = "host.user-namespaces";
    match std::fs::read_to_string("/proc/sys/user/max_user_namespaces") {
        Ok(text) if text.trim() == "0" => report.error(
            check,
            "user namespaces are switched off: no step can run",
            "sysctl -w user.max_user_namespaces=15000",
        ),
        Ok(text) => report.ok(check, format!("up to {} may be made", text.trim())),
        Err(error) => report.error(
            check,
            format!("this kernel tells of no user namespaces: {error}"),
            "use a kernel with CONFIG_USER_NS, and mount /proc",
        ),
    }
}

fn egress(report: &mut Report) {
    match runtime::egress_supported() {
        Ok(()) => report.ok("host.egress", "steps can have network: egress"),
        Err(why) => report.warning(
            "host.egress",
            why,
            "without it only steps with network: none or host run natively",
        ),
    }
}

fn clock(report: &mut Report) {
    let now = node::clock::wall();
    if now.unix_ms() < EARLIEST {
        report.error(
            "host.clock",
            format!(
                "the clock shows {}, which is before this program was made",
                sdk::rfc3339(now)
            ),
            "set the clock; times in histories and TLS certificates depend on it",
        );
    } else {
        report.ok("host.clock", format!("it is {}", sdk::rfc3339(now)));
    }
    // systemd-timesyncd leaves this file once it has synchronised the clock (systemd-timesyncd.service(8)).
    if Path::new("/run/systemd/timesync/synchronized").exists() {
        report.ok(
            "host.clock-synchronised",
            "systemd-timesyncd has synchronised the clock",
        );
    } else {
        report.unknown(
            "host.clock-synchronised",
            "nothing here tells whether the clock is synchronised",
            "ask the host: timedatectl, or chronyc tracking",
        );
    }
}

fn disk(report: &mut Report, data_dir: Option<&Path>) {
    let check = "host.disk";
    let Some(dir) = data_dir else {
        return report.unknown(
            check,
            "no data directory was named",
            "give the agent's or the server's: --data-dir DIR",
        );
    };
    // One that is not made yet will be on the disk of what is there of its path.
    let there = dir.ancestors().find(|one| one.exists()).unwrap_or(Path::new("."));
    let there = if there.as_os_str().is_empty() {
        Path::new(".")
    } else {
        there
    };
    let place = dir.display();
    match statvfs(there) {
        Ok(stat) => {
            let free = stat.blocks_available().saturating_mul(stat.fragment_size());
            let message = format!("{} MiB are free for {place}", free / (1024 * 1024));
            if free < DISK_ERROR {
                report.error(check, message, "free some space before writes fail");
            } else if free < DISK_WARNING {
                report.warning(check, message, "free some space");
            } else {
                report.ok(check, message);
            }
        }
        Err(error) => report.unknown(check, format!("{place}: {error}"), format!("ask df {place}")),
    }
}
