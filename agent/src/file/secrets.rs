//! `[secrets.NAME]`, `[vault]` and `[registries."HOST"]`.

use std::{collections::BTreeMap, path::PathBuf};

use node::config::{Place, Setting, Table, near};
use types::{Millis, Policy, Rule, SecretRule, units};

use super::table::Reader;

/// How long a value that was fetched is used.
const CACHE_MS: Millis = 60_000;
/// The longest that a value may be used without looking again.
const CACHE_MAX_MS: Millis = 24 * 3_600_000;
/// Secrets of one agent: with the forms in which each may appear, masking stays quick.
const SECRETS: usize = 256;

/// Where a secret comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// A variable of the agent's environment, taken at its start.
    Env(String),
    /// A file, read each time.
    File(PathBuf),
    /// What a program prints.
    Command(Vec<String>),
    /// A credential of the systemd unit.
    Credential(String),
    /// A key of Vault's key-value engine.
    Vault {
        /// The path in the engine.
        path: String,
        /// The key in it.
        key: String,
    },
}

/// A secret as the file describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sourced {
    /// Where its value comes from.
    pub source: Source,
    /// How long a value that was fetched is used, milliseconds.
    pub cache_ms: Millis,
    /// Where it stands.
    pub place: Place,
}

/// Where Vault is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VaultPlace {
    /// Its URL, without a final slash.
    pub address: String,
    /// Authorities of its certificate.
    pub ca: Option<PathBuf>,
    /// The namespace.
    pub namespace: Option<String>,
    /// Where the key-value engine is.
    pub mount: String,
    /// Where AppRole is.
    pub auth_mount: String,
    /// The role.
    pub role_id: String,
    /// The secret that is its secret id.
    pub secret_id: String,
}

/// How to log in to a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegistryLogin {
    /// The user.
    pub username: String,
    /// The secret that is the password.
    pub password: String,
}

pub(super) fn read(reader: &mut Reader<'_>, policy: &mut Policy) -> BTreeMap<String, Sourced> {
    let mut secrets = BTreeMap::new();
    let named = reader.named("secrets");
    if let Some((_, table)) = named.get(SECRETS) {
        let help = "leave out those that no step takes";
        reader.wrong(&table.place, format!("more than {SECRETS} secrets"), help);
    }
    for (name, table) in named {
        if !is_name(name) {
            let message = format!("{name:?} cannot be a secret's name");
            reader.wrong(
                &table.place,
                message,
                "letters, digits and _ . -, at most 128, a letter first",
            );
            continue;
        }
        let rule = SecretRule {
            workflows: reader.patterns(
                Some(table),
                ("workflows", Rule::Secret(name.to_owned(), "workflows")),
            ),
            steps: reader.patterns(Some(table), ("steps", Rule::Secret(name.to_owned(), "steps"))),
            images: reader.patterns(Some(table), ("images", Rule::Secret(name.to_owned(), "images"))),
        };
        policy.secrets.insert(name.to_owned(), rule);
        let cache = |text: &str| match units::duration(text) {
            Some(ms) if ms <= CACHE_MAX_MS => Ok(ms),
            Some(_) => Err(format!("{text:?} is longer than 24h")),
            None => Err(format!("{text:?} is no duration")),
        };
        let rule = format!("secrets.{name}.cache");
        let cache_ms = reader.value(Some(table), ("cache", rule), "write 30s or 5m", cache);
        if let Some(source) = source(reader, name, table) {
            let sourced = Sourced {
                source,
                cache_ms: cache_ms.unwrap_or(CACHE_MS),
                place: table.place.clone(),
            };
            secrets.insert(name.to_owned(), sourced);
        }
    }
    secrets
}

/// A name that a definition, a path and a message can hold.
fn is_name(name: &str) -> bool {
    name.len() <= 128
        && name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_')
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
}

fn source(reader: &mut Reader<'_>, name: &str, table: &Table) -> Option<Source> {
    let vault = reader.table(&["secrets", name, "vault"]);
    let mut found: Vec<(&str, &Place)> = ["env", "file", "command", "credential"]
        .into_iter()
        .filter_map(|key| Some((key, &table.keys.get(key)?.place)))
        .collect();
    found.extend(vault.map(|vault| ("vault", &vault.place)));
    match found.as_slice() {
        [_] => {}
        [] => {
            let help = "give it env, file, command, credential or vault";
            reader.wrong(&table.place, format!("the secret {name} has no source"), help);
            return None;
        }
        [(first, _), (second, place), ..] => {
            let message = format!("the secret {name} has two sources, {first} and {second}");
            reader.wrong(place, message, "keep one");
            return None;
        }
    }
    if let Some(vault) = vault {
        return of_vault(reader, name, vault);
    }
    let setting = |key: &str| table.keys.get(key);
    if let Some(variable) = setting("env") {
        let variable = text(variable);
        let plain = variable.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if variable.is_empty() || !plain {
            let message = format!("secrets.{name}.env: {variable:?} is no variable's name");
            reader.wrong(
                found[0].1,
                message,
                "write env = \"DEPLOY_TOKEN\": the name, not the value",
            );
            return None;
        }
        return Some(Source::Env(variable));
    }
    if let Some(file) = setting("file") {
        return Some(Source::File(PathBuf::from(text(file))));
    }
    if let Some(command) = setting("command") {
        return match command.values.first() {
            Some(program) if program.starts_with('/') => Some(Source::Command(command.values.clone())),
            _ => {
                let message = format!("secrets.{name}.command: it begins with a program's absolute path");
                reader.wrong(
                    &command.place,
                    message,
                    "write command = [\"/usr/bin/pass\", \"show\", \"deploy\"]",
                );
                None
            }
        };
    }
    let credential = setting("credential")?;
    let id = text(credential);
    // systemd.exec(5): a credential's name is a file's name.
    if id.is_empty() || id.contains('/') || id == "." || id == ".." {
        let message = format!("secrets.{name}.credential: {id:?} is no credential's name");
        reader.wrong(
            &credential.place,
            message,
            "the name that LoadCredential= gives it",
        );
        return None;
    }
    Some(Source::Credential(id))
}

fn of_vault(reader: &mut Reader<'_>, name: &str, table: &Table) -> Option<Source> {
    let above = format!("secrets.{name}.vault");
    let path = needed(reader, table, &above, "path")?;
    let key = needed(reader, table, &above, "key")?;
    let part =
        |part: &str| !part.is_empty() && part != "." && part != ".." && !part.contains(['?', '#', '%', '\\']);
    if !path.split('/').all(part) {
        let place = table
            .keys
            .get("path")
            .map_or(&table.place, |setting| &setting.place);
        let message = format!("{above}.path: {path:?} is no path of the engine");
        reader.wrong(
            place,
            message,
            "write path = \"team/deploy\", without the engine's mount and without data/",
        );
        return None;
    }
    Some(Source::Vault { path, key })
}

pub(super) fn vault(reader: &mut Reader<'_>, secrets: &BTreeMap<String, Sourced>) -> Option<VaultPlace> {
    let Some(table) = reader.table(&["vault"]) else {
        let user = secrets
            .iter()
            .find(|(_, sourced)| matches!(sourced.source, Source::Vault { .. }));
        if let Some((name, sourced)) = user {
            let message = format!("the secret {name} is in Vault, and nothing says where Vault is");
            reader.wrong(
                &sourced.place,
                message,
                "add [vault] with address, role-id and secret-id",
            );
        }
        return None;
    };
    let optional = |key: &str| table.keys.get(key).map(text);
    let address = needed(reader, table, "vault", "address");
    let role_id = needed(reader, table, "vault", "role-id");
    let secret_id = needed(reader, table, "vault", "secret-id");
    let (address, role_id, secret_id) = (address?, role_id?, secret_id?);
    let host = address
        .strip_prefix("https://")
        .or_else(|| address.strip_prefix("http://"))
        .unwrap_or_default();
    if host.is_empty() || host.starts_with('/') || address.contains(['@', '?', '#', ' ']) {
        let place = table
            .keys
            .get("address")
            .map_or(&table.place, |setting| &setting.place);
        let message = "vault.address: expected a URL without user, query and fragment";
        reader.wrong(
            place,
            message,
            "write address = \"https://vault.example.com:8200\"",
        );
        return None;
    }
    let is_near = ["127.0.0.1", "localhost", "[::1]"].iter().any(|near| {
        host.strip_prefix(near)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with([':', '/']))
    });
    if address.starts_with("http://") && !is_near {
        let place = table
            .keys
            .get("address")
            .map_or(&table.place, |setting| &setting.place);
        let message = "vault.address: http carries tokens and secrets open over the network";
        reader.wrong(place, message, "write https://; its authority goes into ca");
    }
    refers(reader, table, ("vault", "secret-id"), &secret_id, secrets);
    if let Some(Sourced {
        source: Source::Vault { .. },
        ..
    }) = secrets.get(&secret_id)
    {
        let message = format!("vault.secret-id: the secret {secret_id} is in Vault itself");
        reader.wrong(
            &table.place,
            message,
            "take it from env, file, command or credential",
        );
    }
    Some(VaultPlace {
        address: address.trim_end_matches('/').to_owned(),
        ca: optional("ca").map(PathBuf::from),
        namespace: optional("namespace"),
        mount: optional("mount").unwrap_or_else(|| "secret".to_owned()),
        auth_mount: optional("auth-mount").unwrap_or_else(|| "approle".to_owned()),
        role_id,
        secret_id,
    })
}

pub(super) fn registries(
    reader: &mut Reader<'_>,
    secrets: &BTreeMap<String, Sourced>,
) -> BTreeMap<String, RegistryLogin> {
    let mut registries = BTreeMap::new();
    for (host, table) in reader.named("registries") {
        let plain = |b: u8| b.is_ascii_alphanumeric() || b".-:_".contains(&b);
        if host.is_empty() || !host.bytes().all(plain) {
            let message = format!("{host:?} is no registry's host");
            reader.wrong(
                &table.place,
                message,
                "write [registries.\"registry.example.com:5000\"]",
            );
            continue;
        }
        let above = format!("registries.{host:?}");
        let username = needed(reader, table, &above, "username");
        let password = needed(reader, table, &above, "password");
        let (Some(username), Some(password)) = (username, password) else {
            continue;
        };
        refers(reader, table, (&above, "password"), &password, secrets);
        registries.insert(host.to_ascii_lowercase(), RegistryLogin { username, password });
    }
    registries
}

/// A name of a secret leads to one.
fn refers(
    reader: &mut Reader<'_>,
    table: &Table,
    (above, key): (&str, &str),
    name: &str,
    secrets: &BTreeMap<String, Sourced>,
) {
    // One whose own table is wrong has been said already.
    if secrets.contains_key(name) || reader.table(&["secrets", name]).is_some() {
        return;
    }
    let place = table.keys.get(key).map_or(&table.place, |setting| &setting.place);
    let known = near(name, secrets.keys().map(String::as_str), "secrets");
    let message = format!("{above}.{key}: no secret is called {name:?}");
    reader.wrong(
        place,
        message,
        format!("{known} (it is a name of [secrets.NAME], not a value)"),
    );
}

fn needed(reader: &mut Reader<'_>, table: &Table, above: &str, key: &str) -> Option<String> {
    let found = table.keys.get(key).map(text).filter(|text| !text.is_empty());
    if found.is_none() {
        let help = format!("write {key} = \"…\"");
        reader.wrong(&table.place, format!("[{above}] has no {key}"), help);
    }
    found
}

fn text(setting: &Setting) -> String {
    setting.values.first().cloned().unwrap_or_default()
}
