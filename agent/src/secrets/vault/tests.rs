//! Against the emulator of Vault's documented API.

#![allow(clippy::unwrap_used, reason = "tests")]

use std::{collections::BTreeMap, path::PathBuf, sync::Arc};

use emulators::vault::{Config, Emulator, spawn};
use node::config::Place;
use serde_json::Map;

use super::*;
use crate::{
    file::{AgentFile, Source, Sourced},
    secrets::Secrets,
};

/// No wait of a test is longer.
const PATIENCE: Duration = Duration::from_secs(60);

fn sourced(source: Source) -> Sourced {
    Sourced {
        source,
        cache_ms: 0,
        place: Place {
            file: "agent.toml".into(),
            line: 1,
            column: 1,
        },
    }
}

/// The secret `DB`, key `password` of `team/db`; the secret id is in a file.
fn secrets(vault: &Emulator, secret_id: PathBuf, namespace: Option<&str>) -> (Arc<Secrets>, Arc<Masks>) {
    let masks = Arc::new(Masks::new());
    let of_vault = Source::Vault {
        path: "team/db".to_owned(),
        key: "password".to_owned(),
    };
    let file = AgentFile {
        secrets: BTreeMap::from([
            ("DB".to_owned(), sourced(of_vault)),
            ("ID".to_owned(), sourced(Source::File(secret_id))),
        ]),
        vault: Some(VaultPlace {
            address: vault.url(),
            ca: None,
            namespace: namespace.map(str::to_owned),
            mount: "secret".to_owned(),
            auth_mount: "approle".to_owned(),
            role_id: Config::default().role_id,
            secret_id: "ID".to_owned(),
        }),
        ..AgentFile::default()
    };
    (
        Arc::new(Secrets::new(BTreeMap::new(), &file, Arc::clone(&masks))),
        masks,
    )
}

struct Bench {
    vault: Emulator,
    secrets: Arc<Secrets>,
    masks: Arc<Masks>,
    id: PathBuf,
    _dir: tempfile::TempDir,
}

impl Bench {
    async fn new(config: Config) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let id = dir.path().join("id");
        write(&id, &config.secret_id);
        let namespace = config.namespace.clone();
        let vault = spawn(config).await.unwrap();
        put(&vault, "password", "first-password");
        let (secrets, masks) = secrets(&vault, id.clone(), namespace.as_deref());
        Self {
            vault,
            secrets,
            masks,
            id,
            _dir: dir,
        }
    }

    async fn get(&self) -> Result<String, String> {
        let got = self.secrets.get("DB").await;
        got.map(|secret| secret.expose().to_owned())
            .map_err(|error| error.to_string())
    }

    fn count(&self, path: &str) -> usize {
        self.vault
            .calls()
            .iter()
            .filter(|call| call.path.ends_with(path) && call.status == 200)
            .count()
    }
}

fn write(path: &std::path::Path, text: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
}

fn put(vault: &Emulator, key: &str, value: &str) {
    vault.put("team/db", Map::from_iter([(key.to_owned(), value.into())]));
}

#[tokio::test]
async fn a_secret_is_read_anew_after_its_rotation_and_all_that_was_had_is_masked() {
    let bench = Bench::new(Config {
        namespace: Some("team-a".to_owned()),
        ..Config::default()
    })
    .await;
    assert_eq!(bench.get().await, Ok("first-password".to_owned()));
    put(&bench.vault, "password", "second-password");
    assert_eq!(bench.get().await, Ok("second-password".to_owned()));
    assert_eq!(bench.count("/login"), 1);
    let masker = bench.masks.now();
    assert_eq!(
        masker.text("first-password second-password hvs.for-tests-00000001"),
        "*** *** ***"
    );
    assert_eq!(masker.text("secret-id-for-tests"), "***");
}

#[tokio::test]
async fn a_token_that_was_revoked_is_replaced_with_the_secret_id_of_now() {
    let bench = Bench::new(Config::default()).await;
    bench.get().await.unwrap();
    bench.vault.rotate_secret_id("another-secret-id");
    bench.vault.revoke();
    let why = bench.get().await.unwrap_err();
    assert!(
        why.contains("invalid role or secret ID") && !why.contains("another-secret-id"),
        "{why}"
    );
    assert!(!why.contains("secret-id-for-tests"), "{why}");
    write(&bench.id, "another-secret-id\n");
    assert_eq!(bench.get().await, Ok("first-password".to_owned()));
}

#[tokio::test]
async fn what_vault_does_not_give_is_said_in_its_words() {
    let bench = Bench::new(Config::default()).await;
    put(&bench.vault, "other", "x");
    let why = bench.get().await.unwrap_err();
    assert!(
        why.starts_with("secret DB (Vault, key password of team/db; agent.toml:1:1): it has no key password"),
        "{why}"
    );
    bench.vault.delete("team/db");
    assert!(
        bench
            .get()
            .await
            .unwrap_err()
            .contains("its latest version is deleted")
    );
    put(&bench.vault, "password", "again-a-password");
    bench.vault.deny("team/db");
    let why = bench.get().await.unwrap_err();
    assert!(
        why.contains("permission denied: the role's policy must let it read secret/data/team/db"),
        "{why}"
    );
}

#[tokio::test]
async fn what_passes_is_tried_again_and_a_sealed_vault_is_said_to_be_one() {
    let bench = Bench::new(Config::default()).await;
    bench.vault.fail(429, 1);
    assert_eq!(bench.get().await, Ok("first-password".to_owned()));
    bench.vault.seal(true);
    let error = bench.secrets.get("DB").await.unwrap_err();
    assert!(error.to_string().contains("HTTP 503: Vault is sealed"), "{error}");
    assert_eq!(types::Failure::from(error).kind, types::FailureKind::Transient);
    bench.vault.seal(false);
    assert_eq!(bench.get().await, Ok("first-password".to_owned()));
    let (url, gone) = (bench.vault.url(), bench);
    drop(gone.vault);
    let error = gone.secrets.get("DB").await.unwrap_err().to_string();
    assert!(error.contains(&url) && !error.contains("hvs."), "{error}");
}

#[tokio::test]
async fn a_token_is_renewed_before_it_ends_and_replaced_at_the_end_of_its_longest_life() {
    let bench = Bench::new(Config {
        token_ttl: Duration::from_secs(3),
        token_max_ttl: Duration::from_secs(5),
        ..Config::default()
    })
    .await;
    let keeper = Arc::clone(&bench.secrets);
    let keeping = tokio::spawn(async move { keeper.keep().await });
    let begun = Instant::now();
    while bench.count("/renew-self") < 1 || bench.count("/login") < 2 {
        assert_eq!(bench.get().await, Ok("first-password".to_owned()));
        assert!(begun.elapsed() < PATIENCE, "{:?}", bench.vault.calls());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    keeping.abort();
}
