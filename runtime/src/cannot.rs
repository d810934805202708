//! What this host cannot give a step, and which limits it holds loosely: said by the agent before a step asks.

use types::{HostView, Network};

use crate::cgroup::Layout;
use crate::{ContainerSpec, egress};

/// How limits hold without cgroups.
const LOOSER: &str = "no cgroups: memory is limited for each process, not for the step, and its end is a \
    failed allocation, not an OOM; processes are counted by the step's user namespace; the processor is not limited";
const NO_SYS: &str =
    "the host's /sys can be shown only by an agent that is root: leave `sys` away, or run it as root";

const NO_SERVICES: &str = "services share a network, which only an agent that is root can let them join: run the agent as root, \
    or send the step to one with Docker";

/// Something that a step may ask for and no step can have here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cannot {
    /// Its name in a Hello: `network:egress`, `host-view:sys`, `services`, `cpu`.
    pub what: &'static str,
    /// The field of a spec that asks for it.
    pub field: &'static str,
    /// Why not, and the way out.
    pub why: String,
}

impl Cannot {
    /// Whether a spec asks for it.
    pub(crate) fn is_asked_by(&self, spec: &ContainerSpec) -> bool {
        match self.what {
            "network:egress" => spec.network == Network::Egress,
            "host-view:sys" => spec.host_view.contains(&HostView::Sys),
            "services" => spec.pod.holds || !spec.pod.hosts.is_empty(),
            _ => spec.cpu_millis.is_some(),
        }
    }
}

/// Which limits do not hold a step as a whole, and why; none where all do.
pub(crate) fn looser(layout: &Layout) -> Option<String> {
    match layout {
        Layout::None(why) => Some(format!("{LOOSER}. Why: {why}")),
        Layout::V1 { .. } | Layout::V2 { .. } | Layout::Delegated(_) => None,
    }
}

/// Why the processor cannot be limited.
fn no_cpu(layout: &Layout) -> Option<String> {
    let why = match layout {
        Layout::None(why) => why.clone(),
        Layout::Delegated(part) if !part.cpu => format!(
            "{} was given without cpu: name it in Delegate= of its unit and of those above",
            part.path.display()
        ),
        Layout::V1 { .. } | Layout::V2 { .. } | Layout::Delegated(_) => return None,
    };
    Some(format!(
        "a limit of the processor needs cgroups with the cpu controller, which this agent has not ({why}): leave `cpu` \
         away, delegate it, or run the agent as root"
    ))
}

pub(crate) fn cannot(layout: &Layout) -> Vec<Cannot> {
    let mut found = Vec::new();
    if let Err(why) = egress::supported() {
        found.push(Cannot {
            what: "network:egress",
            field: "network",
            why,
        });
    }
    if !nix::unistd::geteuid().is_root() {
        found.push(Cannot {
            what: "host-view:sys",
            field: "host_view",
            why: NO_SYS.to_owned(),
        });
        found.push(Cannot {
            what: "services",
            field: "services",
            why: NO_SERVICES.to_owned(),
        });
    }
    if let Some(why) = no_cpu(layout) {
        found.push(Cannot {
            what: "cpu",
            field: "cpu_millis",
            why,
        });
    }
    found
}
