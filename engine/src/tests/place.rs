//! Placement.

use std::collections::{BTreeMap, BTreeSet};

use types::{
    ActionWork, ContainerWork, HostView, Labels, Network, Object, Pattern, Policy, RuntimeName, Whose, Work,
    WorkBody,
};

use super::bench::{agent, session};
use crate::Crashes;
use crate::placement::{Candidate, Snapshot, Wanted, place};

pub(super) fn candidate(n: u64, free: u32) -> Candidate {
    Candidate {
        id: agent(n),
        name: format!("agent-{n}"),
        session: Some(session(n)),
        labels: Labels::default(),
        actions: BTreeMap::from([("test/act".to_owned(), "d".to_owned())]),
        secrets: BTreeSet::new(),
        connections: BTreeSet::new(),
        grants: BTreeSet::new(),
        policy: None,
        runtimes: BTreeMap::from([("native".to_owned(), None)]),
        draining: false,
        free,
    }
}

fn work(body: WorkBody) -> Work {
    Work {
        body,
        outputs: BTreeMap::new(),
        timeout_ms: 1,
        grace_ms: 1,
        disconnect_ms: 1,
    }
}

fn action() -> Work {
    work(WorkBody::Action(ActionWork {
        action: "test/act".to_owned(),
        major: 1,
        digest: "d".to_owned(),
        params: Object::new(),
    }))
}

fn container(with: impl FnOnce(&mut ContainerWork)) -> Work {
    let mut container = ContainerWork {
        image: "host".to_owned(),
        pull: types::Pull::default(),
        argv: vec!["true".to_owned()],
        env: BTreeMap::new(),
        secrets: BTreeMap::new(),
        secret_files: BTreeSet::new(),
        files: BTreeMap::new(),
        artifacts: BTreeMap::new(),
        resources: types::Resources::default(),
        network: Network::None,
        host_view: BTreeSet::new(),
        workdir: None,
        user: None,
        output_from: types::OutputFrom::File,
        runtime: None,
        services: BTreeMap::new(),
    };
    with(&mut container);
    work(WorkBody::Container(container))
}

fn placed(
    agents: Vec<Candidate>,
    work: &Work,
    runs_on: &[(&str, &str)],
    connection: Option<&str>,
) -> Result<String, String> {
    let runs_on = runs_on
        .iter()
        .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
        .collect();
    let wanted = Wanted {
        work,
        runs_on: &runs_on,
        connection,
        whose: Whose::default(),
        crashes: None,
    };
    place(&Snapshot { agents }, &wanted).map(|agent| agent.name.clone())
}

#[test]
fn the_freest_then_the_first_by_name() {
    let agents = vec![candidate(3, 2), candidate(2, 2), candidate(1, 1)];
    assert_eq!(placed(agents, &action(), &[], None), Ok("agent-2".to_owned()));
}

#[test]
fn what_ended_two_agents_is_given_to_no_third() {
    let given = |agents: Vec<Candidate>, crashes: &Crashes| {
        let wanted = Wanted {
            work: &action(),
            runs_on: &BTreeMap::new(),
            connection: None,
            whose: Whose::default(),
            crashes: Some(crashes),
        };
        place(&Snapshot { agents }, &wanted).map(|agent| agent.name.clone())
    };
    let fleet = || vec![candidate(1, 1), candidate(2, 0), candidate(3, 4), candidate(4, 4)];
    let mut crashes = Crashes::default();
    crashes.note(agent(1), "agent-1".to_owned(), 1);
    assert_eq!(given(fleet(), &crashes), Ok("agent-3".to_owned()));
    crashes.note(agent(2), "agent-2".to_owned(), 1);
    assert_eq!(given(fleet(), &crashes), Ok("agent-1".to_owned()));
    // Neither has had it too often; it waits for them.
    crashes.note(agent(1), "agent-1".to_owned(), 2);
    let why = given(fleet(), &crashes).unwrap_err();
    assert_eq!(why, "agent-2 is busy");
    // They are not in the fleet any more: the step says so until its pickup is over.
    let why = given(vec![candidate(3, 4)], &crashes).unwrap_err();
    assert!(why.contains("agent_crash: agent-1 and agent-2 ended"), "{why}");
}

#[test]
fn busy_and_away_are_told_from_unfit() {
    let mut away = candidate(2, 4);
    away.session = None;
    let why = placed(vec![candidate(1, 0), away], &action(), &[], None).unwrap_err();
    assert_eq!(why, "agent-1 is busy, agent-2 is disconnected");
    let why = placed(vec![candidate(1, 1)], &action(), &[("host", "web-1")], None).unwrap_err();
    assert!(why.contains("no label host=web-1 (1 of 1)"), "{why}");
    let why = placed(vec![candidate(1, 1)], &action(), &[], Some("slack")).unwrap_err();
    assert!(why.contains("no connection slack"), "{why}");
}

#[test]
fn an_action_is_pinned_by_its_digest() {
    let mut old = candidate(1, 1);
    old.actions.insert("test/act".to_owned(), "older".to_owned());
    let why = placed(vec![old], &action(), &[], None).unwrap_err();
    assert!(why.contains("another version of action test/act"), "{why}");
}

#[test]
fn a_container_needs_what_the_operator_grants() {
    for (work, lack) in [
        (
            container(|c| c.host_view = BTreeSet::from([HostView::Proc])),
            "host-view:proc",
        ),
        (container(|c| c.network = Network::Host), "network:host"),
        (
            container(|c| drop(c.secrets.insert("TOKEN".to_owned(), "slack-token".to_owned()))),
            "no secret slack-token",
        ),
    ] {
        let why = placed(vec![candidate(1, 1)], &work, &[], None).unwrap_err();
        assert!(why.contains(lack), "{why}");
    }
    let mut granted = candidate(1, 1);
    granted.grants = BTreeSet::from(["host-view:proc".to_owned()]);
    let work = container(|c| c.host_view = BTreeSet::from([HostView::Proc]));
    assert_eq!(placed(vec![granted], &work, &[], None), Ok("agent-1".to_owned()));
    let mut bare = candidate(1, 1);
    bare.runtimes.clear();
    let why = placed(vec![bare], &container(|_| {}), &[], None).unwrap_err();
    assert!(why.contains("no usable container runtime"), "{why}");
}

#[test]
fn a_container_goes_where_its_runtime_is_and_where_that_offers_what_it_wants() {
    let with = |n, runtimes: &[(&str, Option<&[&str]>)]| {
        let mut agent = candidate(n, 1);
        let owned = |offers: &[&str]| offers.iter().map(|word| (*word).to_owned()).collect();
        agent.runtimes = runtimes
            .iter()
            .map(|(name, offers)| ((*name).to_owned(), offers.map(owned)))
            .collect();
        agent
    };
    let egress: Option<&[&str]> = Some(&["network:egress"]);
    let old = with(1, &[("native", None)]);
    let bare = with(2, &[("native", Some(&[]))]);
    let docker = with(3, &[("docker", egress)]);
    let both = with(4, &[("docker", Some(&[])), ("native", egress)]);
    let asks = |runtime, network| container(|c| (c.runtime, c.network) = (runtime, network));
    let (native, on_docker) = (Some(RuntimeName::Native), Some(RuntimeName::Docker));
    let (none, out) = (Network::None, Network::Egress);
    for (runtime, network, fit) in [
        (None, none, "1 2 3 4"),
        (native, none, "1 2 4"),
        (on_docker, none, "3 4"),
        // One that does not say may have it; which of two runtimes is asked decides whose offer counts.
        (None, out, "1 3 4"),
        (native, out, "1 4"),
        (on_docker, out, "3"),
    ] {
        let all = [&old, &bare, &docker, &both];
        let work = asks(runtime, network);
        let takes = all
            .into_iter()
            .filter(|agent| placed(vec![(*agent).clone()], &work, &[], None).is_ok());
        let takes: Vec<&str> = takes
            .map(|agent| agent.name.trim_start_matches("agent-"))
            .collect();
        assert_eq!(takes.join(" "), fit, "{runtime:?} {network:?}");
    }
    for (agent, runtime, network, why) in [
        (
            &old,
            on_docker,
            none,
            "no runtime docker (`--runtime docker`, or `both`)",
        ),
        (&bare, None, out, "no runtime of its offers network:egress"),
        (
            &both,
            on_docker,
            out,
            "its runtime docker does not offer network:egress",
        ),
    ] {
        let said = placed(vec![agent.clone()], &asks(runtime, network), &[], None).unwrap_err();
        assert!(
            said.starts_with("no agent fits: ") && said.contains(why),
            "{said}"
        );
    }
}

#[test]
fn a_draining_agent_is_offered_nothing_and_the_wait_says_so() {
    let mut one = candidate(1, 3);
    one.draining = true;
    let (work, runs_on) = (action(), BTreeMap::new());
    let wanted = Wanted {
        work: &work,
        runs_on: &runs_on,
        connection: None,
        whose: Whose::default(),
        crashes: None,
    };
    let mut agents = vec![one.clone()];
    let why = place(
        &Snapshot {
            agents: agents.clone(),
        },
        &wanted,
    )
    .unwrap_err();
    assert!(why.contains("is draining"), "{why}");
    agents.push(candidate(2, 1));
    let snapshot = Snapshot { agents };
    assert_eq!(place(&snapshot, &wanted).unwrap().id, agent(2));
}

#[test]
fn what_its_policy_refuses_goes_elsewhere() {
    let strict = Candidate {
        policy: Some(std::sync::Arc::new(Policy {
            images: vec![Pattern::new("registry.example.com/*")],
            deny_actions: vec![Pattern::new("test/*")],
            ..Policy::default()
        })),
        ..candidate(1, 9)
    };
    let liberal = candidate(2, 1);
    let both = || vec![strict.clone(), liberal.clone()];
    assert_eq!(placed(both(), &action(), &[], None).unwrap(), "agent-2");
    let host = container(|_| ());
    assert_eq!(placed(both(), &host, &[], None).unwrap(), "agent-2");
    let theirs = container(|c| c.image = "registry.example.com/app:1".to_owned());
    assert_eq!(placed(both(), &theirs, &[], None).unwrap(), "agent-1");
    let why = placed(vec![strict.clone()], &host, &[], None).unwrap_err();
    assert!(
        why.contains("refused by its operator: image host: policy.images allows registry.example.com/*"),
        "{why}"
    );
}
