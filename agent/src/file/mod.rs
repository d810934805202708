//! The agent's own part of the configuration files: its policy, its secrets' sources, its registries.

mod images;
mod logs;
mod policy;
mod secrets;
mod shapes;
mod table;

#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use node::config::{Place, Problem, Settings};
use types::{Policy, Rule, limits};

pub use secrets::{RegistryLogin, Source, Sourced, VaultPlace};
pub use shapes::TABLES;

/// `/tmp` of a step, unless the file says otherwise; see the runtime's `tmp_bytes`.
const TMP_BYTES: u64 = 64 * 1024 * 1024;

/// What the files say of an agent beside its flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AgentFile {
    /// What steps may ask for.
    pub policy: Policy,
    /// The size of a step's `/tmp`, at most.
    pub tmp_bytes: u64,
    /// Where each rule stands, by its name (`policy.images`); one that is not here has its default.
    pub places: BTreeMap<String, Place>,
    /// Secrets by name.
    pub secrets: BTreeMap<String, Sourced>,
    /// Vault, where a secret or the file says so.
    pub vault: Option<VaultPlace>,
    /// Registries by host.
    pub registries: BTreeMap<String, RegistryLogin>,
    /// What stays of images that nothing uses.
    pub keep: ::images::Keep,
    /// What logs of acknowledged attempts may take of the disk while the server does not have them.
    pub logs_waiting_bytes: u64,
}

impl Default for AgentFile {
    fn default() -> Self {
        Self {
            policy: Policy::default(),
            tmp_bytes: TMP_BYTES,
            places: BTreeMap::new(),
            secrets: BTreeMap::new(),
            vault: None,
            registries: BTreeMap::new(),
            keep: ::images::Keep::default(),
            logs_waiting_bytes: limits::LOGS_WAITING_BYTES,
        }
    }
}

impl AgentFile {
    /// Takes the agent's tables out of what was read. `vendors` are the variables that connections are made of: a secret
    /// that is named so goes to the agent's own actions.
    ///
    /// # Errors
    /// Everything that is wrong with them: what has no meaning, names that lead nowhere, and files that others may write.
    pub fn read(settings: &Settings, vendors: &[&str]) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut file = Self::default();
        let mut reader = table::Reader {
            tables: settings.tables(),
            problems: &mut problems,
            places: &mut file.places,
        };
        policy::read(&mut reader, &mut file.policy, &mut file.tmp_bytes);
        file.secrets = secrets::read(&mut reader, &mut file.policy);
        file.vault = secrets::vault(&mut reader, &file.secrets);
        file.registries = secrets::registries(&mut reader, &file.secrets);
        file.keep = images::read(&mut reader);
        file.logs_waiting_bytes = logs::read(&mut reader);
        let inner: BTreeSet<String> = file.inner_secrets(vendors).map(str::to_owned).collect();
        for (name, sourced) in &file.secrets {
            // What the agent needs itself is nobody else's, until the file says so.
            let rule = file.policy.secrets.entry(name.clone()).or_default();
            if inner.contains(name) && *rule == types::SecretRule::default() {
                rule.workflows = Some(Vec::new());
                file.places.insert(
                    Rule::Secret(name.clone(), "workflows").to_string(),
                    sourced.place.clone(),
                );
            }
        }
        file.policy
            .secrets
            .retain(|_, rule| *rule != types::SecretRule::default());
        problems.extend(too_large(&file, settings));
        let files: BTreeSet<&PathBuf> = settings
            .tables()
            .values()
            .map(|table| &table.place.file)
            .collect();
        problems.extend(files.into_iter().filter_map(|file| not_private(file)));
        problems.sort_by(|a, b| {
            let place = |problem: &Problem| (problem.place.line, problem.place.column);
            (&a.place.file, place(a)).cmp(&(&b.place.file, place(b)))
        });
        if problems.is_empty() {
            Ok(file)
        } else {
            Err(problems)
        }
    }

    /// Secrets that the agent uses itself.
    fn inner_secrets<'a>(&'a self, vendors: &'a [&str]) -> impl Iterator<Item = &'a str> {
        let vault = self.vault.iter().map(|vault| vault.secret_id.as_str());
        let logins = self.registries.values().map(|login| login.password.as_str());
        vault.chain(logins).chain(vendors.iter().copied())
    }

    /// Secrets that stand in the environment: each with its variable.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        self.secrets
            .iter()
            .filter_map(|(name, sourced)| match &sourced.source {
                Source::Env(variable) => Some((name.as_str(), variable.as_str())),
                Source::File(_) | Source::Command(_) | Source::Credential(_) | Source::Vault { .. } => None,
            })
    }
}

/// The server is told of the policy, in a message of bounded size.
fn too_large(file: &AgentFile, settings: &Settings) -> Option<Problem> {
    let size = serde_json::to_vec(&file.policy).map_or(usize::MAX, |json| json.len());
    let place = settings.tables().values().next()?.place.clone();
    (size > limits::POLICY_BYTES).then(|| Problem {
        place,
        message: format!(
            "the policy takes {size} bytes, the limit is {}",
            limits::POLICY_BYTES
        ),
        help: "use fewer and wider patterns".to_owned(),
    })
}

/// Whoever can write the file decides what steps may do here: that is root, or the agent's own user.
fn not_private(file: &Path) -> Option<Problem> {
    let meta = std::fs::metadata(file).ok()?;
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let foreign_group = meta.mode() & 0o020 != 0 && ![0, group].contains(&meta.gid());
    let (message, help) = if meta.mode() & 0o002 != 0 || foreign_group {
        let message = "others than its owner may write this file, and it decides what steps may do";
        (message.to_owned(), format!("chmod go-w {}", file.display()))
    } else if ![0, user].contains(&meta.uid()) {
        let message = format!(
            "this file belongs to user {}, and it decides what steps may do",
            meta.uid()
        );
        (message, format!("chown root {}", file.display()))
    } else {
        return None;
    };
    Some(Problem {
        place: Place {
            file: file.to_owned(),
            line: 1,
            column: 1,
        },
        message,
        help,
    })
}
