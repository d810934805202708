//! What an agent is told when it is started.

use std::{collections::BTreeMap, collections::BTreeSet, fmt, net::IpAddr, path::PathBuf, str::FromStr};

use ipnet::IpNet;
use types::{HostView, Labels, Network, Policy, Secret};

use crate::{file::AgentFile, vendors::Vendors};

/// What an agent is told when it is started.
pub struct Config {
    /// The server: `http://127.0.0.1:7911`.
    pub server: String,
    /// The agent's own directory, made 0700. Two agents cannot share one.
    pub data_dir: PathBuf,
    /// Its name for people.
    pub name: String,
    /// Its labels.
    pub labels: Labels,
    /// Attempts it runs at once, at least 1.
    pub capacity: u32,
    /// What steps may have beyond the ordinary, and beyond what the file allows.
    pub allow: BTreeSet<Grant>,
    /// Its policy, its secrets' sources, its registries.
    pub file: AgentFile,
    /// Secrets with values taken from the environment already, by the names that steps use. At most
    /// [`crate::SECRET_BYTES`] each.
    pub secrets: BTreeMap<String, Secret>,
    /// The built-in actions.
    pub actions: actions::Registry,
    /// What actions reach vendors with.
    pub vendors: Vendors,
    /// How the native runtime executes its shim; none for an agent that runs actions only.
    pub shim: Option<runtime::ShimCommand>,
    /// How the native runtime reaches registries.
    pub registries: images::Access,
    /// Which runtimes run containers.
    pub choice: RuntimeChoice,
    /// The daemon of the docker runtime; none: the one that this host has.
    pub docker_host: Option<docker::Host>,
}

/// Which runtimes run containers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RuntimeChoice {
    /// The native one.
    #[default]
    Native,
    /// A Docker or Podman daemon.
    Docker,
    /// The native one where it works, else a daemon.
    Auto,
    /// Each of the two that works; the native one for steps that do not ask.
    Both,
}

impl FromStr for RuntimeChoice {
    type Err = String;
    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "native" => Ok(Self::Native),
            "docker" => Ok(Self::Docker),
            "auto" => Ok(Self::Auto),
            "both" => Ok(Self::Both),
            other => {
                let shown: String = other.chars().take(80).collect();
                Err(format!(
                    "unknown runtime {shown:?} (known: native, docker, auto, both)"
                ))
            }
        }
    }
}

impl fmt::Display for RuntimeChoice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Native => "native",
            Self::Docker => "docker",
            Self::Auto => "auto",
            Self::Both => "both",
        })
    }
}

/// A permission that the operator gives to steps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Grant {
    /// A tree of the host's own, read-only.
    HostView(HostView),
    /// The host's network.
    HostNetwork,
    /// Addresses beside the public ones that `http/request` may connect to.
    Net(IpNet),
}

impl Grant {
    /// Adds it to a policy.
    pub(crate) fn widen(self, policy: &mut Policy) {
        match self {
            Self::HostView(view) => _ = policy.host_views.insert(view),
            Self::HostNetwork => _ = policy.networks.insert(Network::Host),
            // Of the agent's own action: no step's to have.
            Self::Net(_) => {}
        }
    }

    /// What of a policy is a grant.
    pub(crate) fn of(policy: &Policy) -> Vec<Self> {
        let network = policy
            .networks
            .contains(&Network::Host)
            .then_some(Self::HostNetwork);
        let views = policy.host_views.iter().map(|view| Self::HostView(*view));
        views.chain(network).collect()
    }
}

/// Not a grant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantError(String);

impl fmt::Display for GrantError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "unknown grant {:?} (known: host-view:proc, host-view:sys, network:host, net:10.0.0.0/8)",
            self.0
        )
    }
}

impl std::error::Error for GrantError {}

impl FromStr for Grant {
    type Err = GrantError;
    fn from_str(text: &str) -> Result<Self, GrantError> {
        let unknown = || GrantError(text.chars().take(80).collect());
        if let Some(net) = text.strip_prefix("net:") {
            let net = net
                .parse::<IpNet>()
                .or_else(|_| net.parse::<IpAddr>().map(IpNet::from));
            return net.map(|net| Self::Net(net.trunc())).map_err(|_| unknown());
        }
        [
            Self::HostView(HostView::Proc),
            Self::HostView(HostView::Sys),
            Self::HostNetwork,
        ]
        .into_iter()
        .find(|grant| grant.to_string() == text)
        .ok_or_else(unknown)
    }
}

impl fmt::Display for Grant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::HostView(tree) => write!(f, "host-view:{}", tree.as_str()),
            Self::HostNetwork => write!(f, "network:{}", Network::Host.as_str()),
            Self::Net(net) => write!(f, "net:{net}"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]
    use super::*;

    #[test]
    fn grants_are_read_as_they_are_written() {
        for text in [
            "host-view:proc",
            "host-view:sys",
            "network:host",
            "net:10.0.0.0/8",
            "net:fd00::/8",
        ] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), text);
        }
        for (text, meant) in [
            ("net:10.1.2.3", "net:10.1.2.3/32"),
            ("net:10.1.2.3/8", "net:10.0.0.0/8"),
            ("net:::1", "net:::1/128"),
        ] {
            assert_eq!(text.parse::<Grant>().unwrap().to_string(), meant);
        }
        for text in ["net:", "net:example.com", "net:10.0.0.0/33"] {
            assert!(text.parse::<Grant>().is_err(), "{text}");
        }
        assert!("network:egress".parse::<Grant>().is_err() && "".parse::<Grant>().is_err());
    }
}
