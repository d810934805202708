//! A Docker daemon that dies over one call of the agent: while an image is fetched, while a container is made, while one is
//! removed; with a service beside the step.

use std::{os::unix::fs::PermissionsExt, time::Instant};

use e2e::{
    Stack,
    between::{Between, Seen},
    docker::Dockerd,
    registry::{Image, PASSWORD, Registry, USER},
    scene::{cleaned, history},
    wait,
};

use crate::docker::LONG;

/// A call, and how far the daemon is with it when it dies.
#[derive(Debug, Clone, Copy)]
struct Moment {
    name: &'static str,
    method: &'static str,
    path: &'static str,
    seen: Seen,
}

const fn moment(name: &'static str, method: &'static str, path: &'static str, seen: Seen) -> Moment {
    Moment {
        name,
        method,
        path,
        seen,
    }
}

const FETCHING: Moment = moment("an image is fetched", "POST", "/images/create", Seen::Asked);
const COMING: Moment = moment(
    "an image begins to come",
    "POST",
    "/images/create",
    Seen::Answered,
);
const CREATING: Moment = moment(
    "a container is asked for",
    "POST",
    "/containers/create",
    Seen::Asked,
);
const CREATED: Moment = moment(
    "a container is made and nobody told",
    "POST",
    "/containers/create",
    Seen::Answered,
);
const STARTED: Moment = moment(
    "a container is started and nobody told",
    "POST",
    "/start",
    Seen::Answered,
);
const REMOVING: Moment = moment(
    "a container is to be removed",
    "DELETE",
    "/containers/",
    Seen::Asked,
);
const REMOVED: Moment = moment(
    "a container is removed and nobody told",
    "DELETE",
    "/containers/",
    Seen::Answered,
);

/// A daemon, a socket before it, and an agent that knows that one alone.
struct Place {
    stack: Stack,
    agent: String,
    between: Between,
    daemon: Dockerd,
    registry: Registry,
    _dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let daemon = Dockerd::start(false);
        let between = Between::before(&daemon.operator().host(), dir.path());
        let registry = Registry::locked();
        let mut stack = Stack::server();
        let password = dir.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        std::fs::set_permissions(&password, PermissionsExt::from_mode(0o600)).unwrap();
        let host = &registry.host;
        let text = format!(
            "[secrets.REGISTRY]\nfile = {password:?}\n[registries.{host:?}]\nusername = {USER:?}\npassword = \"REGISTRY\"\n"
        );
        let config = stack.file("agent.toml", &text);
        let at = between.host();
        let args = ["--runtime", "docker", "--docker-host", &at, "--config", &config];
        stack.agent("one", &args, &[]);
        let agents = stack.json(&["agents", "-o", "json"]).unwrap();
        Self {
            agent: agents[0]["id"].as_str().unwrap().to_owned(),
            stack,
            between,
            daemon,
            registry,
            _dir: dir,
        }
    }

    /// A step with a service beside it, tried again when it fails: it succeeds in the end, with the log of one attempt, and
    /// nothing of any attempt stays.
    fn play(&mut self, moment: Moment) {
        let name = moment.name;
        let key = name.replace(' ', "-");
        drop(
            self.registry
                .push(&format!("team/{key}:1"), &Image::saying("fetched")),
        );
        let definition = format!(
            "name: {key}\nsteps:\n  a:\n    image: {}/team/{key}:1\n    retry: {{ limit: 8, delay: 1s, jitter: false }}\n    \
             services: {{ beside: {{ image: host, run: exec sleep 1000 }} }}\n    run: cat /note; echo; echo ended\n",
            self.registry.host
        );
        self.between.trap(moment.method, moment.path, moment.seen);
        let begun = Instant::now();
        let run = self.stack.start(&definition, &[]);
        self.between.sprung(LONG);
        self.daemon.kill9();
        self.between.cut();
        self.daemon.up();
        let view = wait::until(&format!("{run} to end: {name}"), LONG, || {
            let view = self.stack.json(&["show", &run, "-o", "json"])?;
            (!view["outcome"].is_null()).then_some(view)
        });
        let said = || format!("{name}: {view:#}\n{}", self.stack.said());
        assert_eq!(view["outcome"], "succeeded", "{}", said());
        assert_eq!(self.stack.logs(&run, "a"), b"fetched\nended\n", "{}", said());
        let history = history(&self.stack, &run);
        let succeeded = history.iter().filter(|event| {
            event["kind"] == "attempt.finished" && event["body"]["report"]["verdict"] == "succeeded"
        });
        assert_eq!(succeeded.count(), 1, "{name}: {history:#?}");
        cleaned(&self.stack);
        let operator = self.daemon.operator();
        wait::until("the containers to be gone", LONG, || {
            operator.containers(&self.agent).is_empty().then_some(())
        });
        eprintln!(
            "{name}: over and clean {} ms after its start",
            begun.elapsed().as_millis()
        );
    }
}

#[test]
fn a_daemon_that_dies_over_an_answer_leaves_nothing_and_its_step_is_tried_again() {
    Place::new().play(CREATED);
}

#[test]
fn full_a_daemon_that_dies_over_each_call_of_a_step_with_a_service() {
    let mut place = Place::new();
    for moment in [FETCHING, COMING, CREATING, CREATED, STARTED, REMOVING, REMOVED] {
        place.play(moment);
    }
}
