//! A step with a service beside it, while agent or server die: each starts once, the step after its service is ready, and
//! both are gone with the end.

use std::time::Instant;

use e2e::{
    Stack, Witness,
    ledger::Ledger,
    scene::{Scene, cleaned},
    stack::PATIENCE,
    wait,
};

/// Who dies, and when.
#[derive(Debug, Clone, Copy)]
enum Death {
    /// The agent, at a place of its own.
    At(&'static str),
    /// The agent, while the service is not ready yet.
    AgentBefore,
    /// The agent, while the step runs.
    AgentDuring,
    /// The server, while the step runs.
    ServerDuring,
    /// The agent, which comes back when the step is over.
    AgentUntilAfter,
}

/// The scene's one step, and its service, which says that it began and is ready a moment later.
fn definition(scene: &Scene, witness: &Witness, key: &str) -> String {
    let service = format!(
        "  a:\n    services:\n      db:\n        image: host\n        ready: {{ run: test -e /tmp/up, interval: 50ms }}\n        run: |\n          {}\n          echo begun\n          sleep 0.5\n          touch /tmp/up\n          exec sleep 600\n",
        witness.say(&format!("db-{key}"))
    );
    scene.definition(witness).replacen("  a:\n", &service, 1)
}

fn dies(stack: &mut Stack, witness: &Witness, key: &str, run: &str, death: Death) {
    match death {
        Death::At(place) => {
            wait::until(place, PATIENCE, || stack.agent_process("one").ended());
            assert!(stack.reached(place), "{}", stack.said());
            stack.disarm(place);
        }
        Death::AgentBefore => {
            witness.wait_for(&format!("db-{key}"));
            stack.agent_process("one").kill9();
        }
        Death::AgentDuring | Death::AgentUntilAfter => {
            witness.wait_for_prefix(&format!("start {run}"));
            stack.agent_process("one").kill9();
        }
        Death::ServerDuring => {
            witness.wait_for_prefix(&format!("start {run}"));
            stack.server_process().kill9();
        }
    }
    match death {
        Death::ServerDuring => stack.start_server(),
        Death::AgentUntilAfter => {
            witness.wait_for_prefix(&format!("end {run}"));
            stack.start_agent("one");
        }
        Death::At(_) | Death::AgentBefore | Death::AgentDuring => stack.start_agent("one"),
    }
}

#[test]
fn a_step_with_a_service_survives_its_agent_and_its_server() {
    let mut ledger = Ledger::new("a step with a service beside it");
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for (name, death) in [
        (
            "kill -9 of the agent: the network is there",
            Death::At("services.held"),
        ),
        (
            "kill -9 of the agent: the service was started",
            Death::At("services.started"),
        ),
        ("kill -9 of the agent: the service gets ready", Death::AgentBefore),
        (
            "kill -9 of the agent: the service is ready",
            Death::At("services.ready"),
        ),
        ("kill -9 of the agent: the step runs", Death::AgentDuring),
        (
            "kill -9 of the agent until the step is over",
            Death::AgentUntilAfter,
        ),
        ("kill -9 of the server: the step runs", Death::ServerDuring),
    ] {
        let scene = Scene::one(300);
        let key = name.replace([' ', ':'], "-");
        if let Death::At(place) = death {
            stack.arm(place, "kill");
        }
        let file = stack.file(&format!("{key}.yaml"), &definition(&scene, &witness, &key));
        let output = stack.cli(&["run", &file]);
        assert!(output.status.success(), "{output:?}");
        let run = String::from_utf8(output.stdout).unwrap().trim().to_owned();
        dies(&mut stack, &witness, &key, &run, death);
        let begun = Instant::now();
        drop(stack.finished(&run));
        let figure = format!("over {} ms later", begun.elapsed().as_millis());
        scene.went_through(&mut ledger, name, (&stack, &witness, &run), figure);
        assert_eq!(
            witness.count(&format!("db-{key}")),
            1,
            "{name}: the service starts once"
        );
        let begun_before = witness
            .lines()
            .iter()
            .position(|line| *line == format!("db-{key}"))
            < witness
                .lines()
                .iter()
                .position(|line| line.starts_with(&format!("start {run}")));
        assert!(begun_before, "{name}: {:?}", witness.lines());
        wait::until("the service's log", PATIENCE, || {
            let log = stack.cli(&["logs", &run, "a", "--service", "db"]).stdout;
            (log == b"begun\n").then_some(())
        });
        cleaned(&stack);
    }
}
