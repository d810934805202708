//! The docker runtime at Podman's socket, under the real agent.

use std::time::Duration;

use e2e::{
    Stack,
    podman::Podman,
    process,
    scene::{cleaned, history},
    stack::PATIENCE,
    wait,
};
use serde_json::Value;

const RUN: &str = "
name: podman
steps:
  slow:
    image: host
    outputs: { n: int }
    run: 'echo begun; sleep 15; echo n=41 >> \"$FIREHALL_OUTPUT\"; echo ended'
  after:
    needs: slow
    image: host
    env: { N: '${{ steps.slow.outputs.n }}' }
    run: 'echo $((N + 1))'
";

/// An agent that is told of Podman as other programs are, by `DOCKER_HOST`.
#[test]
fn a_step_on_podman_outlives_its_agent_with_its_outputs_and_its_log() {
    let podman = Podman::start();
    let operator = podman.operator();
    let mut stack = Stack::server();
    let told = ("DOCKER_HOST".to_owned(), operator.host());
    stack.agent("pod", &["--runtime", "docker"], &[told]);
    let agents = stack.json(&["agents", "-o", "json"]).unwrap();
    let id = agents[0]["id"].as_str().unwrap().to_owned();

    let run = stack.start(RUN, &[]);
    wait::until("the step to have begun", PATIENCE, || {
        (stack.logs(&run, "slow") == b"begun\n").then_some(())
    });
    let [container] = &operator.containers(&id)[..] else {
        panic!("{:?}", operator.containers(&id));
    };
    stack.agent_process("pod").kill9();
    std::thread::sleep(Duration::from_millis(500));
    stack.start_agent("pod");
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}\n{}", stack.said());
    assert_eq!(stack.logs(&run, "slow"), b"begun\nended\n");
    assert_eq!(stack.logs(&run, "after"), b"42\n");
    // The one container went on: nothing was started twice.
    let history = history(&stack, &run);
    let of = |kind: &str| history.iter().filter(|event| event["kind"] == kind).count();
    assert_eq!(of("attempt.finished"), 2, "{} {history:#?}", container.id);
    cleaned(&stack);
    wait::until("the containers to go", PATIENCE, || {
        operator.containers(&id).is_empty().then_some(())
    });
}

/// The daemon that `DOCKER_HOST` names is looked at by a container of it.
#[test]
fn doctor_looks_at_podman_from_the_inside_of_a_container() {
    let podman = Podman::start();
    let mut command = process::firehall();
    command
        .args(["doctor", "-o", "json"])
        .env("DOCKER_HOST", podman.operator().host());
    let said = process::finish(&mut command).stdout;
    let report: Value = serde_json::from_slice(&said).unwrap();
    let findings = report["findings"].as_array().unwrap();
    let of = |check: &str| findings.iter().find(|one| one["check"] == check).unwrap();
    let version = of("runtime.docker")["message"].as_str().unwrap();
    assert!(
        version.contains("Podman 4.") || version.contains("Podman 5."),
        "{version}"
    );
    let oci = of("docker.oci-runtime");
    let message = oci["message"].as_str().unwrap();
    assert_eq!(oci["level"], "ok", "{oci:#}");
    let named = message.starts_with("runc ") || message.starts_with("crun ");
    assert!(named && message.contains(", commit: "), "{message}");
    for check in [
        "seccomp",
        "no-new-privs",
        "capabilities",
        "root",
        "user",
        "network",
        "limits",
    ] {
        let found = of(&format!("docker.{check}"));
        assert_eq!(found["level"], "ok", "{found:#}");
    }
}
