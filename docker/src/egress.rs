//! `network: egress`: outwards, but neither to the host nor to a neighbour nor to link-local addresses, where clouds keep
//! their credentials. One bridge for all steps of a daemon; two rules of the host's firewall make it so, and are looked for
//! before each start, because whoever reloads a firewall takes them away.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::Duration;

use bollard::models::{Ipam, NetworkCreateRequest};
use nix::sys::statvfs::{FsFlags, statvfs};
use runtime::{ContainerSpec, Network, StartError, StartErrorKind};
use tokio::process::Command;

use crate::connection::{CALL, Connection};

/// The network's name on the daemon.
pub(crate) const NETWORK: &str = "firehall-egress";
/// Its bridge on the host; not of the native runtime's names, whose own rules go by their beginning. A host may have both
/// daemons.
const fn bridge(podman: bool) -> &'static str {
    if podman { "fh-egress1" } else { "fh-egress0" }
}
/// How long the firewall may take.
const FIREWALL: Duration = Duration::from_secs(10);

/// What comes from the bridge and is for the host itself, its other addresses and its services included.
const fn not_to_host(bridge: &str) -> [&str; 5] {
    ["INPUT", "-i", bridge, "-j", "DROP"]
}

/// What comes from it and is for a link-local address.
/// Before the table in which the daemon puts its own rules on top of others.
const fn not_to_link_local(bridge: &str) -> [&str; 9] {
    [
        "PREROUTING",
        "-t",
        "raw",
        "-i",
        bridge,
        "-d",
        "169.254.0.0/16",
        "-j",
        "DROP",
    ]
}

/// IPv6 off in a container's own network: the rules are of IPv4, and the host would answer at the bridge's link-local address.
/// Docker does so by itself, Podman does not. A kernel without IPv6 has nothing to switch.
pub(crate) fn sysctls(spec: &ContainerSpec) -> Option<HashMap<String, String>> {
    let own = spec.network == Network::Egress && spec.pod.network_of.is_none();
    let switched = own && Path::new("/proc/sys/net/ipv6").exists();
    // Of `all`: of each interface that is there, and of those to come.
    switched.then(|| HashMap::from([("net.ipv6.conf.all.disable_ipv6".to_owned(), "1".to_owned())]))
}

/// Makes the network and the rules, or finds them.
pub(crate) async fn ensure(connection: &Connection) -> Result<&'static str, StartError> {
    let bridge = bridge(connection.dialect.podman);
    let request = NetworkCreateRequest {
        name: NETWORK.to_owned(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(false),
        ipam: Some(Ipam::default()),
        options: Some(
            [
                ("com.docker.network.bridge.name", bridge),
                // Neighbours on the bridge do not hear each other; Podman does not know this, see [`isolate`].
                ("com.docker.network.bridge.enable_icc", "false"),
            ]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into(),
        ),
        labels: Some(HashMap::from([(
            "io.firehall.network".to_owned(),
            "egress".to_owned(),
        )])),
        ..NetworkCreateRequest::default()
    };
    if !is_there(connection).await? {
        let creating = connection.client.create_network(request);
        let made = connection.call("cannot make the network", CALL, creating).await;
        // Another start may have been faster: daemons answer that with the name's or with the bridge's conflict.
        if let Err(error) = made
            && !is_there(connection).await?
        {
            return Err(refused(error));
        }
    }
    for rule in [not_to_host(bridge).as_slice(), &not_to_link_local(bridge)] {
        if iptables("-C", rule).await?.status.success() {
            continue;
        }
        let added = iptables("-I", rule).await?;
        if !added.status.success() {
            return Err(refused(String::from_utf8_lossy(&added.stderr).trim()));
        }
    }
    Ok(NETWORK)
}

async fn is_there(connection: &Connection) -> Result<bool, StartError> {
    let looking = connection.client.inspect_network(NETWORK, None);
    match connection
        .call("cannot look for the network", CALL, looking)
        .await
    {
        Ok(_) => Ok(true),
        Err(error) if error.status() == Some(404) => Ok(false),
        Err(error) => Err(StartError::runtime("network: egress", error)),
    }
}

/// Sets the ports of Podman's bridge apart in the kernel: it knows no bridge whose neighbours do not hear each other. To be done
/// once a container is on the bridge and before its step is told to go; a container of ours that runs is on it by then.
pub(crate) fn isolate() -> Result<(), StartError> {
    let ports = PathBuf::from("/sys/class/net").join(bridge(true)).join("brif");
    let failed = |error: std::io::Error| refused(format!("{}: {error}", ports.display()));
    let mut apart = 0;
    for port in std::fs::read_dir(&ports).map_err(failed)? {
        let switch = port.map_err(failed)?.path().join("isolated");
        match std::fs::write(&switch, "1").and_then(|()| std::fs::read_to_string(&switch)) {
            Ok(text) if text.trim() == "1" => apart += 1,
            Ok(text) => {
                let why = format!("{} says {:?} after 1 was written", switch.display(), text.trim());
                return Err(refused(why));
            }
            // A neighbour that ended meanwhile, also after its switch was opened.
            Err(error)
                if error.kind() == std::io::ErrorKind::NotFound
                    || error.raw_os_error() == Some(libc::ENODEV) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    if apart == 0 {
        return Err(refused(format!("no container is on {}", bridge(true))));
    }
    Ok(())
}

/// Whether steps of a daemon on this host can have `network: egress`: whether this program may look at the host's firewall,
/// which it must to change it, and, with Podman, may set the ports of a bridge apart.
///
/// # Errors
/// Why not, with the way out.
pub async fn egress_supported(podman: bool) -> Result<(), String> {
    possible(podman).await.map_err(|error| error.message)
}

pub(crate) async fn possible(podman: bool) -> Result<(), StartError> {
    let read = iptables("-S", &["INPUT"]).await?;
    if !read.status.success() {
        return Err(refused(String::from_utf8_lossy(&read.stderr).trim()));
    }
    if podman {
        let seen = statvfs("/sys").map_err(|error| refused(format!("/sys cannot be looked at: {error}")))?;
        if seen.flags().contains(FsFlags::ST_RDONLY) {
            return Err(refused(
                "/sys is read-only for this agent, which must set the ports of Podman's bridge apart there",
            ));
        }
    }
    Ok(())
}

/// A step whose isolation is not in force is not run.
fn refused(why: impl std::fmt::Display) -> StartError {
    let message = format!(
        "network: egress cannot be kept from the host and its link-local addresses here: {why}; use network: none, or run \
         the agent as root on the host itself, with iptables"
    );
    StartError::new(StartErrorKind::Hardening, message)
}

async fn iptables(verb: &str, rule: &[&str]) -> Result<Output, StartError> {
    let running = Command::new("iptables")
        .args(["--wait", "5", verb])
        .args(rule)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    match tokio::time::timeout(FIREWALL, running).await {
        Err(_) => Err(refused("iptables does not answer")),
        Ok(Err(error)) => Err(refused(format!("iptables: {error}"))),
        Ok(Ok(output)) => Ok(output),
    }
}
