//! `network: egress`: a network of the step's own, from which it reaches the world by address translation and neither
//! this host nor its neighbours nor a cloud's metadata service.
//!
//! A step's slot (see [`crate::slot`]) gives it four addresses and an interface's name, so nothing has to be handed out.
//! The pair of interfaces belongs to the step's network namespace and goes with it, however it ends. The rules are two
//! chains and a translation for all steps of the host; they say nothing of a single step, so nothing of one stays behind.
//! They are set by `iptables`, whose tables Docker and firewalls use too: a rule elsewhere could not undo their drop.

use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

/// Interfaces of steps on the host's side are this and a number.
const PREFIX: &str = "firehall";
/// The first of the steps' addresses, of the range for tests of network devices (RFC 2544): private networks do not use
/// it. Four for each of 2,048 slots.
const NET: Ipv4Addr = Ipv4Addr::new(198, 18, 64, 0);
const NET_BITS: u32 = 19;
/// Where programs for administrators are, whatever the agent's `PATH`.
const BINS: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];
/// Seconds to wait for another process that changes the tables.
const LOCK: &str = "10";

/// A step's addresses and names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The interface on the host's side.
    pub interface: String,
    /// The host's address on it.
    pub host: Ipv4Addr,
    /// The step's.
    pub step: Ipv4Addr,
}

impl Line {
    /// Of a slot, by its number.
    pub(crate) fn of(slot: u32) -> Self {
        let first = u32::from(NET) + slot * 4;
        Self {
            interface: format!("{PREFIX}{slot}"),
            host: (first + 1).into(),
            step: (first + 2).into(),
        }
    }
}

/// Nothing of a host's network can be given to a step's without root.
pub(crate) const NOT_ROOT: &str =
    "network: egress needs an agent that is root: use network: none, or run it as root";

/// Whether this host can give a step `network: egress`.
///
/// # Errors
/// Why not, with what to do.
pub fn supported() -> Result<(), String> {
    if !nix::unistd::geteuid().is_root() {
        return Err(NOT_ROOT.to_owned());
    }
    for (name, package) in [
        ("ip", "iproute2"),
        ("iptables", "iptables"),
        ("iptables-restore", "iptables"),
    ] {
        if find(name).is_none() {
            return Err(format!(
                "network: egress needs the program {name}: install the package {package}, or use network: none"
            ));
        }
    }
    match std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward") {
        Ok(text) if text.trim() == "1" => Ok(()),
        _ => Err(
            "network: egress needs a host that forwards packets: set sysctl net.ipv4.ip_forward to 1, or use network: none"
                .to_owned(),
        ),
    }
}

/// A program for administrators.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let candidates = BINS.iter().map(|dir| Path::new(dir).join(name));
    candidates.into_iter().find(|path| path.is_file())
}

/// Puts the rules in place, or finds them there. Blocks; anew before each start, since a firewall that is reloaded may
/// have dropped them.
pub(crate) fn ensure_rules() -> io::Result<()> {
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    run("iptables-restore", &["--noflush", "--wait", LOCK], &rules())?;
    for (table, chain, ours) in JUMPS {
        let rule = |action: &'static str| ["--wait", LOCK, "--table", table, action, chain, "--jump", ours];
        if run("iptables", &rule("--check"), "").is_err() {
            run("iptables", &rule("--insert"), "")?;
        }
    }
    Ok(())
}

/// Which of the kernel's chains lead to ours. Ours come first: a later drop cannot be undone, nor a later accept.
const JUMPS: [(&str, &str, &str); 3] = [
    ("nat", "POSTROUTING", "FIREHALL-NAT"),
    ("filter", "FORWARD", "FIREHALL-FORWARD"),
    ("filter", "INPUT", "FIREHALL-INPUT"),
];

/// The content of our chains; naming a chain empties it, in one transaction with what follows.
fn rules() -> String {
    let net = format!("{NET}/{NET_BITS}");
    let steps = format!("{PREFIX}+");
    format!(
        "*nat\n:FIREHALL-NAT - [0:0]\n\
         -A FIREHALL-NAT -s {net} ! -o {steps} -j MASQUERADE\n\
         COMMIT\n\
         *filter\n:FIREHALL-FORWARD - [0:0]\n:FIREHALL-INPUT - [0:0]\n\
         -A FIREHALL-INPUT -i {steps} -j REJECT\n\
         -A FIREHALL-FORWARD -i {steps} ! -s {net} -j DROP\n\
         -A FIREHALL-FORWARD -i {steps} -o {steps} -j REJECT\n\
         -A FIREHALL-FORWARD -i {steps} -d {net} -j REJECT\n\
         -A FIREHALL-FORWARD -i {steps} -d 169.254.0.0/16 -j REJECT\n\
         -A FIREHALL-FORWARD -i {steps} -d 224.0.0.0/4 -j DROP\n\
         -A FIREHALL-FORWARD -i {steps} -j ACCEPT\n\
         -A FIREHALL-FORWARD -o {steps} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
         -A FIREHALL-FORWARD -o {steps} -j DROP\n\
         COMMIT\n"
    )
}

/// Runs a program for administrators with this on its standard input; what it says goes into the error.
pub(crate) fn run(program: &str, args: &[&str], input: &str) -> io::Result<()> {
    let path = find(program).ok_or_else(|| io::Error::other(format!("no program {program} here")))?;
    let mut child = Command::new(path)
        .args(args)
        .env_clear()
        .env("PATH", BINS.join(":"))
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    if let Some(mut stdin) = child.stdin.take() {
        // One that ends early says why by its status.
        let _broken = stdin.write_all(input.as_bytes());
    }
    let done = child.wait_with_output()?;
    if done.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&done.stderr);
    let said: String = said.trim().chars().take(300).collect();
    Err(io::Error::other(format!("{program}: {}: {said}", done.status)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_share_no_address_and_no_name() {
        let first = Line::of(0);
        assert_eq!(
            (first.host, first.step),
            ([198, 18, 64, 1].into(), [198, 18, 64, 2].into())
        );
        let last = Line::of(2047);
        assert_eq!(
            (last.host, last.step),
            ([198, 18, 95, 253].into(), [198, 18, 95, 254].into())
        );
        assert_eq!(last.interface, "firehall2047");
        assert_eq!(
            u32::from(last.step) >> (32 - NET_BITS),
            u32::from(NET) >> (32 - NET_BITS)
        );
    }
}
