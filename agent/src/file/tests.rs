#![allow(clippy::unwrap_used, reason = "tests")]

use std::{os::unix::fs::PermissionsExt, path::Path};

use node::config::{Candidate, ConfigError, Schema};
use types::{HostView, Network, Pattern, UserRange};

use super::*;

const VENDORS: [&str; 1] = ["SLACK_BOT_TOKEN"];

fn read_at(dir: &Path, text: &str, mode: u32) -> Result<AgentFile, Vec<Problem>> {
    let path = dir.join("agent.toml");
    std::fs::write(&path, text).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(mode)).unwrap();
    let schema = Schema {
        tables: TABLES,
        ..Schema::default()
    };
    match node::config::read(&[Candidate { path, named: true }], &schema) {
        Ok(settings) => AgentFile::read(&settings, &VENDORS),
        Err(ConfigError::Wrong(problems)) => Err(problems),
        Err(other) => panic!("{other}"),
    }
}

fn read(text: &str) -> Result<AgentFile, Vec<Problem>> {
    read_at(tempfile::tempdir().unwrap().path(), text, 0o600)
}

/// `LINE:COLUMN: MESSAGE`, in the order of the file.
fn wrong(text: &str) -> Vec<String> {
    let of = |problem: Problem| {
        assert!(!problem.help.is_empty(), "{problem}");
        format!(
            "{}:{}: {}",
            problem.place.line, problem.place.column, problem.message
        )
    };
    read(text).unwrap_err().into_iter().map(of).collect()
}

#[test]
fn an_empty_file_is_the_default() {
    assert_eq!(read("").unwrap(), AgentFile::default());
    assert_eq!(read("[policy]\n").unwrap().policy, Policy::default());
}

#[test]
fn every_key_of_the_policy_is_taken_with_its_place() {
    let file = read(
        "[policy]\nimages = [\"host\", \"registry.example.com/*\"]\ndigest-only = true\nregistries = [\"registry.example.com\"]\n\
         networks = [\"none\", \"host\"]\nhost-views = [\"proc\"]\nusers = [\"0\", \"1000-2000\"]\nactions = [\"slack/*\"]\n\
         deny-actions = [\"slack/post\"]\n[policy.limits]\nmemory = \"1GiB\"\npids = 64\ncpu = \"1.5\"\ntimeout = \"5m\"\ntmp = \"1MiB\"\n",
    )
    .unwrap();
    let policy = &file.policy;
    assert_eq!(
        policy.images,
        ["host", "registry.example.com/*"].map(Pattern::new)
    );
    assert!(policy.digest_only);
    assert_eq!(
        policy.registries,
        Some(vec![Pattern::new("registry.example.com")])
    );
    assert_eq!(policy.networks, BTreeSet::from([Network::None, Network::Host]));
    assert_eq!(policy.host_views, BTreeSet::from([HostView::Proc]));
    assert_eq!(
        policy.users,
        [(0, 0), (1000, 2000)].map(|(first, last)| UserRange { first, last })
    );
    assert_eq!(policy.actions, ["slack/*"].map(Pattern::new));
    assert_eq!(policy.deny_actions, ["slack/post"].map(Pattern::new));
    let limits = policy.limits;
    assert_eq!(
        (limits.memory_bytes, limits.pids, limits.cpu_millis),
        (Some(1 << 30), 64, Some(1500))
    );
    assert_eq!((limits.timeout_ms, file.tmp_bytes), (300_000, 1 << 20));
    let place = &file.places["policy.limits.memory"];
    assert_eq!((place.line, place.column), (11, 10));
    assert_eq!(file.places.len(), 13);
}

#[test]
fn everything_that_is_wrong_is_said_at_once() {
    let text = "[policy]\nimages = [\"\"]\nnetworks = [\"hosts\"]\nusers = [\"root\", \"9-1\", \"70000\"]\n[policy.limits]\nmemory = \"1G\"\n\
                pids = 0\ncpu = \"0\"\ntimeout = \"25h\"\ntmp = \"1KiB\"\nspeed = 1\n";
    // What has no meaning at all comes alone.
    assert_eq!(wrong(text), ["11:1: [policy.limits] has no key \"speed\""]);
    assert_eq!(
        wrong(&text.replace("speed = 1\n", "")),
        [
            "2:10: policy.images: \"\" is no pattern: 1 to 512 ASCII characters without a space",
            "3:12: policy.networks: \"hosts\" is none: did you mean host?",
            "4:9: policy.users: \"root\" is no user's number and no range",
            "4:9: policy.users: \"9-1\" is no range within 0-65534",
            "4:9: policy.users: \"70000\" is no range within 0-65534",
            "6:10: policy.limits.memory: \"1G\" is no size",
            "7:8: policy.limits.pids: 0 is not between 1 and 65536",
            "8:7: policy.limits.cpu: \"0\" is no number of cores",
            "9:11: policy.limits.timeout: \"25h\" is not between 1ms and 24h",
            "10:7: policy.limits.tmp: it is less than 64KiB",
        ]
    );
}

#[test]
fn a_secret_has_one_source_and_what_the_agent_needs_is_its_own() {
    let file = read(
        "[secrets.TOKEN]\nenv = \"T\"\nworkflows = [\"deploy-*\"]\n[secrets.OPEN]\nfile = \"token\"\n\
         [secrets.SLACK_BOT_TOKEN]\ncommand = [\"/usr/bin/pass\", \"slack\"]\ncache = \"5m\"\n[secrets.ROLE]\ncredential = \"role\"\n\
         [secrets.DB]\nvault = { path = \"team/db\", key = \"password\" }\n\
         [vault]\naddress = \"https://vault.example.com:8200/\"\nrole-id = \"r\"\nsecret-id = \"ROLE\"\n\
         [registries.\"registry.example.com:5000\"]\nusername = \"ci\"\npassword = \"OPEN\"\n",
    )
    .unwrap();
    assert_eq!(file.secrets["TOKEN"].source, Source::Env("T".to_owned()));
    assert!(matches!(&file.secrets["OPEN"].source, Source::File(path) if path.is_absolute()));
    assert_eq!(file.secrets["SLACK_BOT_TOKEN"].cache_ms, 300_000);
    assert_eq!(
        file.secrets["DB"].source,
        Source::Vault {
            path: "team/db".to_owned(),
            key: "password".to_owned()
        }
    );
    let vault = file.vault.unwrap();
    assert_eq!(
        (vault.address.as_str(), vault.mount.as_str()),
        ("https://vault.example.com:8200", "secret")
    );
    assert_eq!(file.registries["registry.example.com:5000"].username, "ci");
    let nobody = |name: &str| {
        file.policy
            .secrets
            .get(name)
            .and_then(|rule| rule.workflows.clone())
            == Some(Vec::new())
    };
    assert!(nobody("SLACK_BOT_TOKEN") && nobody("ROLE") && nobody("OPEN"));
    assert!(!nobody("TOKEN") && !file.policy.secrets.contains_key("DB"));
}

#[test]
fn a_source_that_leads_nowhere_is_said() {
    assert_eq!(
        wrong(
            "[secrets.A]\n[secrets.B]\nenv = \"X\"\nfile = \"y\"\n[secrets.C]\nenv = \"my token\"\n[secrets.D]\ncommand = [\"pass\"]\n\
             [secrets.E]\ncredential = \"../x\"\n[secrets.F]\nvault = { path = \"a/../b\", key = \"k\" }\n[secrets.\"g/h\"]\nenv = \"X\"\n\
             [registries.\"r.example.com\"]\nusername = \"u\"\npassword = \"hunter2\"\n"
        ),
        [
            "1:10: the secret A has no source",
            "4:8: the secret B has two sources, env and file",
            "6:7: secrets.C.env: \"my token\" is no variable's name",
            "8:11: secrets.D.command: it begins with a program's absolute path",
            "10:14: secrets.E.credential: \"../x\" is no credential's name",
            "12:18: secrets.F.vault.path: \"a/../b\" is no path of the engine",
            "13:10: \"g/h\" cannot be a secret's name",
            "17:12: registries.\"r.example.com\".password: no secret is called \"hunter2\"",
        ]
    );
    assert_eq!(
        wrong("[secrets.F]\nvault = { path = \"a\", key = \"k\" }\n"),
        ["1:10: the secret F is in Vault, and nothing says where Vault is"]
    );
    assert_eq!(
        wrong(
            "[secrets.S]\nvault = { path = \"a\", key = \"k\" }\n[vault]\naddress = \"http://u:p@v\"\nrole-id = \"r\"\nsecret-id = \"S\"\n"
        ),
        ["4:11: vault.address: expected a URL without user, query and fragment"]
    );
}

#[test]
fn a_file_that_others_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let problems = read_at(dir.path(), "[policy]\n", 0o666).unwrap_err();
    assert!(
        problems[0].message.contains("others than its owner may write"),
        "{problems:?}"
    );
    assert!(problems[0].help.starts_with("chmod go-w "));
    assert!(read_at(dir.path(), "[policy]\n", 0o644).is_ok());
}

#[test]
fn what_stays_of_images_is_a_size_and_an_age() {
    let file = read("[images]\nsize = \"500MiB\"\nage = \"2d\"\n").unwrap();
    let keep = ::images::Keep {
        bytes: 500 << 20,
        age: std::time::Duration::from_secs(2 * 24 * 3_600),
    };
    assert_eq!(file.keep, keep);
    assert_eq!(
        read("[images]\nage = \"0s\"\n").unwrap().keep.age,
        std::time::Duration::ZERO
    );
    assert_eq!(
        wrong("[images]\nsize = \"much\"\nage = \"9999d\"\n"),
        [
            "2:8: images.size: \"much\" is no size",
            "3:7: images.age: \"9999d\" is more than ten years"
        ]
    );
}
