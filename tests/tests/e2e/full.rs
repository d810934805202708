//! What takes longer: `cargo xtask test --full`.

use std::{thread, time::Duration};

use e2e::{Stack, Witness, http, random::Random, slack::Slack, stack::PATIENCE, wait};
use serde_json::Value;

use crate::incident::{alert, messages, ready, room};

/// The whole job, the server aborting right before, then right after its Nth commit, for every N.
#[test]
fn full_an_abort_at_every_commit_of_the_job_makes_one_room_and_one_post_each() {
    for when in ["before", "after"] {
        let mut n = 1;
        while job_with(&format!("history.commit.{when}"), n) {
            n += 1;
            assert!(n < 200, "a job has fewer than 200 commits");
        }
        assert!(n > 8, "a job has more commits than {n}: does the failpoint work?");
        eprintln!("{when}: {} commits covered", n - 1);
    }
}

/// Runs the job with the failpoint armed; answers whether the server died of it.
fn job_with(failpoint: &str, nth: u32) -> bool {
    let slack = Slack::start();
    let mut stack = ready(&slack);
    stack.server_process().stop();
    stack.arm(failpoint, &format!("{nth} kill"));
    stack.spawn_server();
    let mut crashed = false;
    let body = alert("abort");
    let ids = wait::until("the alert to be accepted", PATIENCE, || {
        crashed |= revive(&mut stack);
        http::try_post_json(stack.address(), "/webhook/incident-response", &body)
            .ok()
            .filter(|answer| answer.status == 202)
            .map(|answer| answer.json())
    });
    let run = ids["run_id"]
        .as_str()
        .unwrap_or_else(|| panic!("{nth} {failpoint}: {ids}"))
        .to_owned();
    let view = wait::until("the run to end", PATIENCE, || {
        crashed |= revive(&mut stack);
        let view = stack.json(&["show", &run, "-o", "json"])?;
        (!view["outcome"].is_null()).then_some(view)
    });
    assert_ne!(
        view["outcome"],
        "failed",
        "{nth} {failpoint}: {view:#}\n{}",
        stack.said()
    );
    assert_eq!(
        stack
            .json(&["runs", "-o", "json"])
            .unwrap()
            .as_array()
            .unwrap()
            .len(),
        1,
        "{nth} {failpoint}"
    );
    let room = room(&slack);
    let mut marks: Vec<String> = messages(&room)
        .iter()
        .filter(|message| message["metadata"].is_object())
        .map(|message| message["metadata"]["event_payload"].to_string())
        .collect();
    let made = marks.len();
    marks.sort();
    marks.dedup();
    assert_eq!(
        made,
        marks.len(),
        "{nth} {failpoint}: a post was made twice: {room:#}"
    );
    crashed | revive(&mut stack)
}

fn revive(stack: &mut Stack) -> bool {
    let dead = stack.server_process().ended().is_some();
    if dead {
        stack.start_server();
    }
    dead
}

/// kill -9 of server and agent at moments drawn from a printed seed, one long step each round, judged by the witness.
#[test]
fn full_kill_9_at_random_moments() {
    let mut random = Random::printed(20_261_123);
    let witness = Witness::start();
    let mut stack = Stack::with_agent();
    for round in 0..25 {
        let (start, end) = (format!("start-{round}"), format!("end-{round}"));
        let definition = format!(
            "name: r{round}\nsteps:\n  work:\n    image: host\n    network: host\n    run: |\n      {}\n      for i in $(seq 1 12); do echo \"line $i\"; sleep 0.05; done\n      {}\n      exit 7\n",
            witness.say(&start),
            witness.say(&end),
        );
        let run = stack.start(&definition, &[]);
        for _ in 0..=random.below(2) {
            thread::sleep(Duration::from_millis(random.below(400)));
            match random.below(3) {
                0 => {
                    stack.server_process().kill9();
                    stack.start_server();
                }
                1 => {
                    stack.agent_process("one").kill9();
                    stack.start_agent("one");
                }
                _ => {
                    stack.agent_process("one").kill9();
                    stack.server_process().kill9();
                    stack.start_server();
                    stack.start_agent("one");
                }
            }
        }
        judge(&stack, &witness, &run, round, (&start, &end));
    }
}

fn judge(stack: &Stack, witness: &Witness, run: &str, round: u32, (start, end): (&str, &str)) {
    let view: Value = stack.finished(run);
    assert_eq!(
        view["outcome"],
        "failed",
        "round {round}: {view:#}\n{}",
        stack.said()
    );
    assert_eq!(
        (witness.count(start), witness.count(end)),
        (1, 1),
        "round {round}: {view:#}"
    );
    let attempts = view["steps"][0]["attempts"].as_array().unwrap();
    assert_eq!(
        (attempts.len(), &attempts[0]["exit_code"]),
        (1, &Value::from(7)),
        "round {round}: {view:#}"
    );
    let wanted: String = (1..=12).map(|i| format!("line {i}\n")).collect();
    wait::until(
        &format!("round {round}: every byte of the log"),
        Duration::from_secs(10),
        || (stack.logs(run, "work") == wanted.as_bytes()).then_some(()),
    );
}
