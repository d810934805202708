#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{ActionWork, ContainerWork, Object, OutputFrom, Pull, Resources, Work, WorkBody};

fn work(body: WorkBody) -> Work {
    Work {
        body,
        outputs: BTreeMap::new(),
        timeout_ms: 1_000,
        grace_ms: 1,
        disconnect_ms: 1,
    }
}

fn container(with: impl FnOnce(&mut ContainerWork)) -> Work {
    let mut container = ContainerWork {
        image: "host".to_owned(),
        pull: Pull::default(),
        argv: vec!["true".to_owned()],
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        secret_files: BTreeSet::new(),
        files: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        resources: Resources::default(),
        network: Network::None,
        host_view: BTreeSet::new(),
        workdir: None,
        user: None,
        output_from: OutputFrom::File,
        runtime: None,
        services: BTreeMap::new(),
    };
    with(&mut container);
    work(WorkBody::Container(container))
}

fn action(name: &str) -> Work {
    work(WorkBody::Action(ActionWork {
        action: name.to_owned(),
        major: 1,
        digest: "d".to_owned(),
        params: Object::new(),
    }))
}

fn patterns(texts: &[&str]) -> Vec<Pattern> {
    texts.iter().map(|text| Pattern::new(*text)).collect()
}

fn refused(policy: &Policy, work: &Work) -> String {
    match policy.check(work, Whose::default()) {
        Ok(()) => "allowed".to_owned(),
        Err(refusal) => refusal.rule.to_string(),
    }
}

#[test]
fn without_a_word_the_ordinary_is_allowed_and_nothing_else() {
    let policy = Policy::default();
    assert_eq!(refused(&policy, &container(|_| ())), "allowed");
    assert_eq!(
        refused(&policy, &container(|c| c.image = "alpine".to_owned())),
        "allowed"
    );
    assert_eq!(
        refused(&policy, &container(|c| c.network = Network::Egress)),
        "allowed"
    );
    assert_eq!(refused(&policy, &action("slack/post")), "allowed");
    for (with, rule) in [
        (container(|c| c.user = Some(0)), "policy.users"),
        (container(|c| c.network = Network::Host), "policy.networks"),
        (
            container(|c| c.host_view = BTreeSet::from([HostView::Proc])),
            "policy.host-views",
        ),
        (container(|c| c.resources.pids = u32::MAX), "policy.limits.pids"),
        (container(|c| c.image = "../x".to_owned()), "policy.images"),
        (
            Work {
                timeout_ms: u64::MAX,
                ..container(|_| ())
            },
            "policy.limits.timeout",
        ),
    ] {
        assert_eq!(refused(&policy, &with), rule);
    }
}

#[test]
fn each_rule_refuses_what_it_is_about() {
    let policy = Policy {
        images: patterns(&["host", "registry.example.com/*", "alpine"]),
        digest_only: true,
        registries: Some(patterns(&["registry.example.com"])),
        users: vec![
            UserRange { first: 0, last: 0 },
            UserRange {
                first: 1000,
                last: 2000,
            },
        ],
        actions: patterns(&["slack/*", "incident/parse"]),
        deny_actions: patterns(&["slack/post"]),
        limits: PolicyLimits {
            memory_bytes: Some(512 << 20),
            cpu_millis: Some(2_000),
            ..PolicyLimits::default()
        },
        ..Policy::default()
    };
    let image = |name: &str| container(|c| c.image = name.to_owned());
    let digest = format!("@sha256:{}", "0".repeat(64));
    for (work, rule) in [
        (image("host"), "allowed"),
        (image(&format!("registry.example.com/app{digest}")), "allowed"),
        (image("registry.example.com/app:1"), "policy.digest-only"),
        (image(&format!("alpine{digest}")), "policy.registries"),
        (image("debian"), "policy.images"),
        (container(|c| c.user = Some(0)), "allowed"),
        (container(|c| c.user = Some(999)), "policy.users"),
        (
            container(|c| c.resources.memory_bytes = 1 << 30),
            "policy.limits.memory",
        ),
        (
            container(|c| c.resources.cpu_millis = Some(2_001)),
            "policy.limits.cpu",
        ),
        (action("slack/war-room"), "allowed"),
        (action("slack/post"), "policy.deny-actions"),
        (action("http/request"), "policy.actions"),
    ] {
        assert_eq!(refused(&policy, &work), rule, "{work:?}");
    }
}

#[test]
fn a_secret_goes_to_those_whom_its_rule_names() {
    let rule = SecretRule {
        workflows: Some(patterns(&["deploy-*"])),
        steps: Some(patterns(&["rollout"])),
        images: Some(patterns(&["registry.example.com/deploy"])),
    };
    let policy = Policy {
        secrets: BTreeMap::from([
            ("TOKEN".to_owned(), rule),
            (
                "NOBODY".to_owned(),
                SecretRule {
                    workflows: Some(Vec::new()),
                    ..SecretRule::default()
                },
            ),
        ]),
        ..Policy::default()
    };
    let ask = |secret: &str, image: &str, workflow: &str, step: &str| {
        let work = container(|c| {
            c.image = image.to_owned();
            c.secrets.insert("T".to_owned(), secret.to_owned());
        });
        let whose = Whose {
            workflow: Some(workflow),
            step: Some(step),
            ..Whose::default()
        };
        policy
            .check(&work, whose)
            .err()
            .map(|refusal| refusal.rule.to_string())
    };
    let image = "registry.example.com/deploy:1";
    assert_eq!(ask("TOKEN", image, "deploy-web", "rollout"), None);
    assert_eq!(ask("OTHER", "host", "x", "y"), None);
    for (secret, image, workflow, step, rule) in [
        ("TOKEN", image, "incident", "rollout", "secrets.TOKEN.workflows"),
        ("TOKEN", image, "deploy-web", "check", "secrets.TOKEN.steps"),
        ("TOKEN", "host", "deploy-web", "rollout", "secrets.TOKEN.images"),
        (
            "NOBODY",
            image,
            "deploy-web",
            "rollout",
            "secrets.NOBODY.workflows",
        ),
    ] {
        assert_eq!(ask(secret, image, workflow, step).as_deref(), Some(rule));
    }
}

#[test]
fn a_policy_of_another_version_is_read_with_defaults() {
    let policy: Policy = serde_json::from_str(r#"{"images":["host"],"of_tomorrow":1}"#).unwrap();
    assert_eq!(policy.images, patterns(&["host"]));
    assert_eq!(policy.networks, Policy::default().networks);
    let json = serde_json::to_string(&policy).unwrap();
    assert_eq!(serde_json::from_str::<Policy>(&json).unwrap(), policy);
}

#[test]
fn a_service_is_held_to_what_a_step_is_and_named() {
    let policy = Policy {
        images: patterns(&["host", "postgres:*"]),
        ..Policy::default()
    };
    let beside = |image: &str, user| {
        container(|step| {
            let service = crate::ServiceWork {
                image: image.to_owned(),
                pull: Pull::default(),
                argv: Vec::new(),
                env: BTreeMap::new(),
                secrets: BTreeMap::new(),
                secret_files: BTreeSet::new(),
                files: BTreeMap::new(),
                resources: Resources::default(),
                workdir: None,
                user,
                ready: None,
            };
            step.services.insert("db".to_owned(), service);
        })
    };
    let said = |work: &Work| match policy.check(work, Whose::default()) {
        Ok(()) => "allowed".to_owned(),
        Err(refusal) => refusal.to_string(),
    };
    assert_eq!(said(&beside("postgres:17", None)), "allowed");
    assert_eq!(
        said(&beside("mysql:9", None)),
        "service db: image mysql:9: policy.images allows host, postgres:*"
    );
    assert!(said(&beside("postgres:17", Some(0))).starts_with("service db: user: 0: policy.users"));
}

#[test]
fn no_definition_has_services_beyond_the_language() {
    let named = |name: &str| {
        let mut work = container(|_| {});
        if let WorkBody::Container(step) = &mut work.body {
            let service = serde_json::json!({"image": "host", "argv": ["true"]});
            step.services
                .insert(name.to_owned(), serde_json::from_value(service).unwrap());
        }
        within_language(&work)
    };
    assert_eq!(named("db"), Ok(()));
    for name in ["../db", "Db", "localhost", "", "-", &"d".repeat(33)] {
        assert!(named(name).is_err(), "{name:?}");
    }
}
