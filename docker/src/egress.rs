//! `network: egress`: outwards, but neither to the host nor to a neighbour nor to link-local addresses, where clouds keep
//! their credentials. One bridge for all steps of a daemon; two rules of the host's firewall make it so, and are looked for
//! before each start, because whoever reloads a firewall takes them away.

use std::collections::HashMap;
use std::process::{Output, Stdio};
use std::time::Duration;

use bollard::models::{Ipam, NetworkCreateRequest};
use runtime::{StartError, StartErrorKind};
use tokio::process::Command;

use crate::connection::{CALL, Connection};

/// The network's name on the daemon.
pub(crate) const NETWORK: &str = "firehall-egress";
/// Its bridge on the host; not of the native runtime's names, whose own rules go by their beginning.
const BRIDGE: &str = "fh-egress0";
/// How long the firewall may take.
const FIREWALL: Duration = Duration::from_secs(10);

/// What comes from the bridge and is for the host itself, its other addresses and its services included.
const NOT_TO_HOST: [&str; 5] = ["INPUT", "-i", BRIDGE, "-j", "DROP"];
/// What comes from it and is for a link-local address.
/// Before the table in which the daemon puts its own rules on top of others.
const NOT_TO_LINK_LOCAL: [&str; 9] = [
    "PREROUTING",
    "-t",
    "raw",
    "-i",
    BRIDGE,
    "-d",
    "169.254.0.0/16",
    "-j",
    "DROP",
];

/// Makes the network and the rules, or finds them.
pub(crate) async fn ensure(connection: &Connection) -> Result<&'static str, StartError> {
    let request = NetworkCreateRequest {
        name: NETWORK.to_owned(),
        driver: Some("bridge".to_owned()),
        enable_ipv6: Some(false),
        ipam: Some(Ipam::default()),
        options: Some(
            [
                ("com.docker.network.bridge.name", BRIDGE),
                // Neighbours on the bridge do not hear each other.
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
    let looking = connection.client.inspect_network(NETWORK, None);
    match connection
        .call("cannot look for the network", CALL, looking)
        .await
    {
        Ok(_) => {}
        Err(error) if error.status() == Some(404) => {
            let creating = connection.client.create_network(request);
            match connection.call("cannot make the network", CALL, creating).await {
                // Another start was faster.
                Err(error) if error.status() == Some(409) => {}
                made => made.map(drop).map_err(refused)?,
            }
        }
        Err(error) => return Err(StartError::runtime("network: egress", error)),
    }
    for rule in [NOT_TO_HOST.as_slice(), &NOT_TO_LINK_LOCAL] {
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

/// Whether steps of a daemon on this host can have `network: egress`: whether this program may look at the host's firewall,
/// which it must to change it.
///
/// # Errors
/// Why not, with the way out.
pub async fn egress_supported() -> Result<(), String> {
    possible().await.map_err(|error| error.message)
}

pub(crate) async fn possible() -> Result<(), StartError> {
    let read = iptables("-S", &["INPUT"]).await?;
    if read.status.success() {
        return Ok(());
    }
    Err(refused(String::from_utf8_lossy(&read.stderr).trim()))
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
