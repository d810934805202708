//! `[policy]` and `[policy.limits]`.

use node::config::near;
use types::{HostView, Network, Policy, Rule, UserRange, limits, units};

use super::table::Reader;

/// The least `/tmp` that is worth a mount.
const TMP_MIN_BYTES: u64 = 64 * 1024;

pub(super) fn read(reader: &mut Reader<'_>, policy: &mut Policy, tmp_bytes: &mut u64) {
    let table = reader.table(&["policy"]);
    let rule = |key: &'static str| (key, Rule::Policy(key));
    if let Some(images) = reader.patterns(table, rule("images")) {
        policy.images = images;
    }
    if let Some(only) = reader.value(table, rule("digest-only"), "true or false", str::parse) {
        policy.digest_only = only;
    }
    policy.registries = reader.patterns(table, rule("registries"));
    let networks = [Network::None, Network::Egress, Network::Host];
    let network = |text: &str| word(text, &networks, |network| network.as_str());
    if let Some(allowed) = reader.list(table, rule("networks"), "none, egress, host", network) {
        policy.networks = allowed.into_iter().collect();
    }
    let views = [HostView::Proc, HostView::Sys];
    let view = |text: &str| word(text, &views, |view| view.as_str());
    if let Some(allowed) = reader.list(table, rule("host-views"), "proc, sys", view) {
        policy.host_views = allowed.into_iter().collect();
    }
    let help = "numbers and ranges: [\"1000\", \"2000-2999\"]; 0 is root";
    if let Some(users) = reader.list(table, rule("users"), help, users) {
        policy.users = users;
    }
    if let Some(actions) = reader.patterns(table, rule("actions")) {
        policy.actions = actions;
    }
    if let Some(denied) = reader.patterns(table, rule("deny-actions")) {
        policy.deny_actions = denied;
    }
    limits_of(reader, policy, tmp_bytes);
}

fn limits_of(reader: &mut Reader<'_>, policy: &mut Policy, tmp_bytes: &mut u64) {
    let table = reader.table(&["policy", "limits"]);
    let size = |text: &str| units::size(text).ok_or_else(|| format!("{text:?} is no size"));
    let (memory, help) = (("memory", Rule::Policy("limits.memory")), "write 512MiB or 2GiB");
    policy.limits.memory_bytes = reader.value(table, memory, help, size);
    let pids = ("pids", Rule::Policy("limits.pids"));
    let count = |text: &str| match text.parse::<u32>() {
        Ok(pids) if (1..=limits::PIDS_MAX).contains(&pids) => Ok(pids),
        _ => Err(format!("{text} is not between 1 and {}", limits::PIDS_MAX)),
    };
    if let Some(pids) = reader.value(table, pids, "write 512", count) {
        policy.limits.pids = pids;
    }
    let cores = |text: &str| units::cpu(text).ok_or_else(|| format!("{text:?} is no number of cores"));
    let cpu = ("cpu", Rule::Policy("limits.cpu"));
    policy.limits.cpu_millis = reader.value(table, cpu, "write \"0.5\", \"2\" or \"500m\"", cores);
    let time = |text: &str| match units::duration(text) {
        Some(ms) if (1..=limits::TIMEOUT_MAX_MS).contains(&ms) => Ok(ms),
        Some(_) => Err(format!("{text:?} is not between 1ms and 24h")),
        None => Err(format!("{text:?} is no duration")),
    };
    let timeout = ("timeout", Rule::Policy("limits.timeout"));
    if let Some(ms) = reader.value(table, timeout, "write 30s, 10m or 2h", time) {
        policy.limits.timeout_ms = ms;
    }
    let artifacts = ("artifacts", Rule::Policy("limits.artifacts"));
    let kept = |text: &str| match size(text)? {
        bytes if bytes <= limits::ARTIFACT_BYTES => Ok(bytes),
        _ => Err("it is more than 1GiB, which is the most that a server takes".to_owned()),
    };
    if let Some(bytes) = reader.value(table, artifacts, "write 100MiB; 0B for none", kept) {
        policy.limits.artifact_bytes = bytes;
    }
    let tmp = ("tmp", Rule::Policy("limits.tmp"));
    let least = |text: &str| match size(text)? {
        bytes if bytes >= TMP_MIN_BYTES => Ok(bytes),
        _ => Err("it is less than 64KiB".to_owned()),
    };
    if let Some(bytes) = reader.value(table, tmp, "write 64MiB", least) {
        *tmp_bytes = bytes;
    }
}

fn word<T: Copy>(text: &str, known: &[T], as_str: impl Fn(T) -> &'static str) -> Result<T, String> {
    let found = known.iter().copied().find(|one| as_str(*one) == text);
    found.ok_or_else(|| {
        let near = near(text, known.iter().map(|one| as_str(*one)), "words");
        format!("{text:?} is none: {near}")
    })
}

fn users(text: &str) -> Result<UserRange, String> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    match (first.trim().parse::<u32>(), last.trim().parse::<u32>()) {
        (Ok(first), Ok(last)) if first <= last && last <= limits::USER_MAX => Ok(UserRange { first, last }),
        (Ok(_), Ok(_)) => Err(format!("{text:?} is no range within 0-{}", limits::USER_MAX)),
        _ => Err(format!("{text:?} is no user's number and no range")),
    }
}
