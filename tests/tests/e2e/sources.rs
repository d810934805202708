//! Secrets from where operators keep them, through an agent's own process into steps, and seen nowhere.

use std::{os::unix::fs::PermissionsExt, path::Path, time::Duration};

use e2e::Stack;
use emulators::vault::{self, Emulator};
use serde_json::json;
use sha2::{Digest, Sha256};

const STEP: &str = "\
name: sources
steps:
  s:
    image: host
    secrets: { A: FROM_FILE, B: FROM_COMMAND, C: FROM_CREDENTIAL, D: FROM_VAULT }
    run: |
      for value in \"$A\" \"$B\" \"$C\" \"$D\"; do printf %s \"$value\" | sha256sum; done
      echo \"said: $A $B $C $D\"
";

fn write(path: &Path, text: &str) {
    std::fs::write(path, text).unwrap();
    std::fs::set_permissions(path, PermissionsExt::from_mode(0o600)).unwrap();
}

/// Values that stand in none of this test's files but their own.
fn value(of: &str) -> String {
    format!("{of}-{}", &hex(of)[..24])
}

fn hex(text: &str) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(text.as_bytes()))
}

struct Scene {
    stack: Stack,
    vault: Emulator,
    outside: tempfile::TempDir,
    _tokio: tokio::runtime::Runtime,
}

impl Scene {
    fn start() -> Self {
        let tokio = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let config = vault::Config {
            token_ttl: Duration::from_secs(60),
            ..vault::Config::default()
        };
        let vault = tokio.block_on(vault::spawn(config.clone())).unwrap();
        let outside = tempfile::tempdir().unwrap();
        let path = |name: &str| outside.path().join(name);
        write(&path("file"), &format!("{}\n", value("file")));
        write(&path("secret-id"), &config.secret_id);
        let credentials = path("credentials");
        std::fs::create_dir(&credentials).unwrap();
        write(&credentials.join("deploy"), &value("credential"));
        write(&path("told"), &value("command"));
        let mut stack = Stack::server();
        let text = format!(
            "[secrets.FROM_FILE]\nfile = {:?}\n\
             [secrets.FROM_COMMAND]\ncommand = [\"/bin/cat\", {:?}]\ncache = \"0s\"\n\
             [secrets.FROM_CREDENTIAL]\ncredential = \"deploy\"\n\
             [secrets.FROM_VAULT]\nvault = {{ path = \"team/deploy\", key = \"token\" }}\ncache = \"0s\"\n\
             [secrets.ROLE]\nfile = {:?}\n\
             [vault]\naddress = {:?}\nrole-id = {:?}\nsecret-id = \"ROLE\"\n",
            path("file"),
            path("told"),
            path("secret-id"),
            vault.url(),
            config.role_id,
        );
        let config = stack.file("agent.toml", &text);
        let env = [(
            "CREDENTIALS_DIRECTORY".to_owned(),
            credentials.display().to_string(),
        )];
        stack.agent("near", &["--config", &config], &env);
        let scene = Self {
            stack,
            vault,
            outside,
            _tokio: tokio,
        };
        scene.put(&value("vault"));
        scene
    }

    fn put(&self, token: &str) {
        let data = json!({ "token": token });
        self.vault.put("team/deploy", data.as_object().unwrap().clone());
    }

    /// Runs the step: these values came to it, and its log has none of them.
    fn run(&self, values: [&str; 4]) {
        let run = self.stack.start(STEP, &[]);
        let view = self.stack.finished(&run);
        assert_eq!(view["outcome"], "succeeded", "{view:#}\n{}", self.stack.said());
        let log = String::from_utf8(self.stack.logs(&run, "s")).unwrap();
        for value in values {
            assert!(
                log.contains(&hex(value)),
                "{value} did not come to the step:\n{log}"
            );
            assert!(!log.contains(value), "a log holds a secret:\n{log}");
            assert!(!view.to_string().contains(value), "a history holds a secret");
            assert!(
                !self.stack.said().contains(value),
                "the agent or the server told a secret"
            );
        }
    }
}

#[test]
fn a_file_a_command_a_credential_of_systemd_and_vault_reach_the_step_and_are_masked() {
    let scene = Scene::start();
    let [file, command, credential, vault] = ["file", "command", "credential", "vault"].map(value);
    scene.run([&file, &command, &credential, &vault]);

    // All of them change under the running agent, and Vault ends its token.
    let [file, command, credential, vault] = ["file-2", "command-2", "credential-2", "vault-2"].map(value);
    let path = |name: &str| scene.outside.path().join(name);
    write(&path("file"), &file);
    write(&path("told"), &command);
    write(&path("credentials").join("deploy"), &credential);
    scene.put(&vault);
    scene.vault.revoke();
    scene.run([&file, &command, &credential, &vault]);
}

#[test]
fn a_secret_that_is_not_to_be_had_fails_its_step_and_says_where_and_why() {
    let scene = Scene::start();
    scene.vault.delete("team/deploy");
    let run = scene.stack.start(STEP, &[]);
    let view = scene.stack.finished(&run);
    assert_eq!(view["outcome"], "failed", "{view:#}");
    let reasons = view["reasons"].to_string();
    assert!(
        reasons.contains("FROM_VAULT") && reasons.contains("team/deploy"),
        "{reasons}"
    );
    std::fs::remove_file(scene.outside.path().join("credentials/deploy")).unwrap();
    scene.put(&value("vault"));
    let run = scene.stack.start(STEP, &[]);
    let reasons = scene.stack.finished(&run)["reasons"].to_string();
    assert!(
        reasons.contains("FROM_CREDENTIAL") && reasons.contains("deploy"),
        "{reasons}"
    );
    assert!(!reasons.contains(&value("vault")), "{reasons}");
}
