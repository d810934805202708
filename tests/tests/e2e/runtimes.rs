//! Which runtime a step gets, and an agent that has both.

use std::{process::Command, time::Duration};

use e2e::{
    Stack,
    docker::{Dockerd, MAPPED, Operator},
    scene::{cleaned, history},
    stack::PATIENCE,
    wait,
};
use serde_json::Value;

/// What an agent left on the daemon that all tests share, removed with this value.
struct Swept(String);

impl Drop for Swept {
    fn drop(&mut self) {
        Operator::shared().sweep(&self.0);
    }
}

/// An image of one static program: no loader, no C library. Gone with this value.
struct Static(String);

impl Static {
    fn make() -> Self {
        let name = format!("firehall-static-{}:1", std::process::id());
        docker(
            "d=$(mktemp -d); mkdir $d/bin; cp \"$(command -v busybox)\" $d/bin/sh; \
             tar -C $d -c . | docker --host \"$1\" import - \"$2\"; rm -r $d",
            &name,
        );
        Self(name)
    }
}

impl Drop for Static {
    fn drop(&mut self) {
        docker("docker --host \"$1\" rmi \"$2\"", &self.0);
    }
}

/// A line of shell for the daemon ($1) and an image ($2).
fn docker(line: &str, image: &str) {
    let host = Operator::shared().host();
    let done = Command::new("sh")
        .args(["-e", "-c", line, "sh", &host, image])
        .output()
        .unwrap();
    assert!(
        done.status.success(),
        "{line}: {}",
        String::from_utf8_lossy(&done.stderr)
    );
}

/// One more agent; its id.
fn agent(stack: &mut Stack, name: &str, runtime: &str) -> Swept {
    let host = Operator::shared().host();
    stack.agent(name, &["--runtime", runtime, "--docker-host", &host], &[]);
    let agents = stack.json(&["agents", "-o", "json"]).unwrap();
    let found = agents.as_array().unwrap().iter().find(|one| one["name"] == name);
    Swept(found.unwrap()["id"].as_str().unwrap().to_owned())
}

fn submit(stack: &Stack, name: &str, definition: &str) -> String {
    let file = stack.file(&format!("{name}.yaml"), definition);
    let output = stack.cli(&["run", &file]);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

/// What ran each step of a run that has ended, by its history: the agent's report.
fn ran_by(stack: &Stack, run: &str) -> Vec<(String, String)> {
    let history = history(stack, run);
    let finished = history.iter().filter(|event| event["kind"] == "attempt.finished");
    let mut by: Vec<(String, String)> = finished
        .map(|event| {
            let said = event["body"]["report"]["runtime"].as_str().unwrap_or_default();
            let word = said.split(':').next().unwrap_or_default();
            (
                event["body"]["step"].as_str().unwrap().to_owned(),
                word.to_owned(),
            )
        })
        .collect();
    by.sort();
    by
}

fn of(agents: &Value, name: &str) -> Value {
    let found = agents.as_array().unwrap().iter().find(|one| one["name"] == name);
    found.unwrap().clone()
}

const THREE: &str = "
name: three
steps:
  any: { image: host, run: 'true' }
  daemon: { image: host, runtime: docker, run: 'true' }
  alone: { image: host, runtime: native, run: 'true' }
";

#[test]
fn a_step_goes_to_an_agent_with_the_runtime_that_it_asks_for() {
    let mut stack = Stack::server();
    let _native = agent(&mut stack, "plain", "native");
    let refused = "
name: refused
steps:
  daemon: { image: host, runtime: docker, pickup: 1s, run: 'true' }
";
    let run = submit(&stack, "refused", refused);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert!(
        view["reasons"]
            .to_string()
            .contains("no runtime docker (`--runtime docker`, or `both`) (1 of 1)"),
        "{view:#}"
    );
    // One that waits is taken by the first agent that has it.
    let run = submit(&stack, "three", THREE);
    let _docker = agent(&mut stack, "moby", "docker");
    assert_eq!(stack.finished(&run)["outcome"], "succeeded", "{}", stack.said());
    let by = ran_by(&stack, &run);
    let daemon = ("daemon".to_owned(), "docker".to_owned());
    let alone = ("alone".to_owned(), "native".to_owned());
    assert!(by.contains(&daemon) && by.contains(&alone), "{by:?}");
    let agents = stack.json(&["agents", "-o", "json"]).unwrap();
    assert_eq!(of(&agents, "plain")["runtimes"], serde_json::json!(["native"]));
    assert_eq!(of(&agents, "moby")["runtimes"], serde_json::json!(["docker"]));
    let file = stack.file("three.yaml", THREE);
    let plan = String::from_utf8(stack.cli(&["plan", &file]).stdout).unwrap();
    assert!(plan.contains("an agent with the runtime docker"), "{plan}");
    cleaned(&stack);
}

/// Both at once, over a kill of the agent, each with its own.
#[test]
fn an_agent_with_both_runtimes_adopts_what_each_of_them_runs() {
    let mut stack = Stack::server();
    let both = agent(&mut stack, "both", "both");
    let text = String::from_utf8(stack.cli(&["agents"]).stdout).unwrap();
    assert!(
        text.contains("native") && text.contains("docker") && text.contains("RUNTIMES"),
        "{text}"
    );
    let slow = "echo begun; sleep 15; echo ended; exit 7";
    let definition = format!(
        "
name: both
steps:
  any: {{ image: host, run: '{slow}' }}
  daemon: {{ image: host, runtime: docker, run: '{slow}' }}
"
    );
    let run = submit(&stack, "both", &definition);
    for step in ["any", "daemon"] {
        wait::until("both to have begun", PATIENCE, || {
            (stack.logs(&run, step) == b"begun\n").then_some(())
        });
    }
    assert_eq!(Operator::shared().containers(&both.0).len(), 1);
    stack.agent_process("both").kill9();
    std::thread::sleep(Duration::from_millis(500));
    stack.start_agent("both");
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert_eq!(
        ran_by(&stack, &run),
        [("any", "native"), ("daemon", "docker")].map(|(step, by)| (step.to_owned(), by.to_owned()))
    );
    let history = history(&stack, &run);
    let finished = history.iter().filter(|event| event["kind"] == "attempt.finished");
    let codes: Vec<&Value> = finished
        .map(|event| &event["body"]["report"]["exit"]["code"])
        .collect();
    assert_eq!(codes, [7, 7], "{history:#?}");
    for step in ["any", "daemon"] {
        assert_eq!(stack.logs(&run, step), b"begun\nended\n");
    }
    cleaned(&stack);
    wait::until("the container to go", PATIENCE, || {
        Operator::shared().containers(&both.0).is_empty().then_some(())
    });
}

/// Whose each attempt of an agent is, as its directory says: none where it says nothing.
fn marks(stack: &Stack, agent: &str) -> Vec<Option<String>> {
    let attempts = std::fs::read_dir(stack.agent_dir(agent).join("attempts")).unwrap();
    let mark = |dir: std::fs::DirEntry| std::fs::read_to_string(dir.path().join("runtime")).ok();
    let mut marks: Vec<_> = attempts.flatten().map(mark).collect();
    marks.sort();
    marks
}

/// What ran before it has a second runtime is the first one's still, although steps that do not ask go to the second now.
#[test]
fn an_agent_that_gets_a_second_runtime_keeps_what_the_first_one_runs() {
    let mut stack = Stack::server();
    let grows = agent(&mut stack, "grows", "docker");
    let slow = "echo begun; sleep 15; echo ended; exit 7";
    let begun = |stack: &Stack, run: &str| {
        wait::until("the step to have begun", PATIENCE, || {
            (stack.logs(run, "any") == b"begun\n").then_some(())
        });
    };
    let definition = format!("name: slow\nsteps:\n  any: {{ image: host, run: '{slow}' }}\n");
    let first = submit(&stack, "first", &definition);
    begun(&stack, &first);
    assert_eq!(marks(&stack, "grows"), [None], "one runtime has all there is");
    stack.agent_process("grows").kill9();
    stack.agent_takes("grows", "--runtime", "both");
    stack.start_agent("grows");
    assert_eq!(marks(&stack, "grows"), [Some("docker".to_owned())]);
    let second = submit(&stack, "second", &definition);
    begun(&stack, &second);
    let of_each = ["docker", "native"].map(|name| Some(name.to_owned()));
    let now = marks(&stack, "grows");
    assert!(now == of_each || now == of_each[1..], "{now:?}\n{}", stack.said());
    // Each is found again by its own.
    stack.agent_process("grows").kill9();
    stack.start_agent("grows");
    for (run, by) in [(&first, "docker"), (&second, "native")] {
        drop(stack.finished(run));
        assert_eq!(ran_by(&stack, run), [("any".to_owned(), by.to_owned())]);
        let history = history(&stack, run);
        let finished: Vec<&Value> = history
            .iter()
            .filter(|event| event["kind"] == "attempt.finished")
            .collect();
        let [finished] = finished.as_slice() else {
            panic!("{finished:#?}")
        };
        assert_eq!(finished["body"]["report"]["exit"]["code"], 7, "{finished:#}");
        assert_eq!(stack.logs(run, "any"), b"begun\nended\n");
    }
    cleaned(&stack);
    wait::until("the container to go", PATIENCE, || {
        Operator::shared().containers(&grows.0).is_empty().then_some(())
    });
}

/// Our pid 1 brings its own loader and libraries: the image needs none.
#[test]
fn an_image_without_a_c_library_runs_in_docker() {
    let image = Static::make();
    let mut stack = Stack::server();
    let _docker = agent(&mut stack, "moby", "docker");
    let definition = format!(
        "
name: static
steps:
  one: {{ image: '{}', pull: never, run: 'echo hi' }}
",
        image.0
    );
    let run = submit(&stack, "static", &definition);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    assert_eq!(stack.logs(&run, "one"), b"hi\n");
    cleaned(&stack);
}

/// A daemon that maps its containers' users to others of the host: what belongs to the step is the step's there, too.
#[test]
fn full_a_daemon_that_maps_users_gives_steps_their_files_secrets_and_outputs() {
    let daemon = Dockerd::remapped();
    let host = daemon.operator().host();
    let mut stack = Stack::server();
    let args = [
        "--runtime",
        "docker",
        "--docker-host",
        &host,
        "--secret-env",
        "WORD",
    ];
    stack.agent("mapped", &args, &[("WORD".to_owned(), "open-sesame".to_owned())]);
    let definition = "
name: mapped
steps:
  one:
    image: host
    host-view: [proc]
    secrets: { WORD: { name: WORD, as: file } }
    files:
      /data/note: { content: a note, mode: 0400 }
    artifacts:
      mine: /tmp/mine
    outputs: { base: int }
    services:
      beside: { image: host, run: 'sleep 60' }
    run: |
      id -u; stat -c '%u %g %a' /data/note; cat /data/note; echo
      test \"$(wc -c < /run/secrets/WORD)\" = 11 && echo secret
      cat /host/proc/sys/kernel/ostype
      echo kept > /tmp/mine
      read -r inside outside count < /proc/self/uid_map
      echo \"base=$outside\" >> \"$FIREHALL_OUTPUT\"
  two:
    image: host
    needs: [one]
    user: 4242
    files:
      /data/mine: { artifact: one.mine, mode: 0400 }
    run: 'id -u; cat /data/mine'
";
    let run = submit(&stack, "mapped", definition);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    let logs = String::from_utf8(stack.logs(&run, "one")).unwrap();
    assert_eq!(logs, "1000\n1000 1000 400\na note\nsecret\nLinux\n");
    assert_eq!(stack.logs(&run, "two"), b"4242\nkept\n");
    let history = history(&stack, &run);
    let base = MAPPED.to_string();
    assert!(
        history.iter().any(|event| event.to_string().contains(&base)),
        "{history:#?}"
    );
    // What such a daemon does not do is said before anything starts.
    let run = submit(
        &stack,
        "host",
        "name: host\nsteps:\n  s: { image: host, network: host, run: 'true' }\n",
    );
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "failed");
    assert!(view.to_string().contains("userns-remap"), "{view:#}");
    cleaned(&stack);
}
