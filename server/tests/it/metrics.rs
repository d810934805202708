//! What Prometheus reads.

use proto::v1;

use crate::{
    agent::{Agent, accepted, declined, started, succeeded},
    http::{all, post},
    stack::{Stack, TWO},
};

async fn scrape(stack: &Stack) -> String {
    let (head, text) = all(stack, "GET /metrics HTTP/1.1\r\nConnection: close", b"").await;
    assert!(head.starts_with("http/1.1 200"), "{head}");
    assert!(
        head.contains("content-type: application/openmetrics-text"),
        "{head}"
    );
    text
}

/// The value of a line that begins so.
fn value(text: &str, series: &str) -> f64 {
    let line = text.lines().find_map(|line| line.strip_prefix(series));
    let line = line.unwrap_or_else(|| panic!("no {series} in\n{text}"));
    line.trim().parse().unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_happened_and_how_the_agents_are_is_counted() {
    let stack = Stack::start().await;
    let none = scrape(&stack).await;
    assert_eq!(value(&none, "firehall_runs_started_total"), 0.0);
    assert_eq!(value(&none, "firehall_agents{state=\"connected\"}"), 0.0);

    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 9).await;
    let run = stack.start_run(TWO).await;
    let unwanted = session.offer().await;
    session
        .report(&unwanted, declined(v1::DeclineReason::NoSlot))
        .await;
    session.ack(&unwanted.token).await;
    session.credits(20).await;
    for _ in 0..2 {
        let offer = session.offer().await;
        for body in [accepted(), started(), succeeded()] {
            session.report(&offer, body).await;
        }
        session.ack(&offer.token).await;
    }
    assert_eq!(stack.outcome(&run).await, v1::Outcome::Succeeded);
    agent.heartbeat(&stack, &[]).await;
    let refused = post(&stack, "/webhook/incident-response", b"{").await;
    assert_eq!(refused.status, 400);

    let text = scrape(&stack).await;
    let id = &agent.id;
    for (series, expected) in [
        ("firehall_runs_started_total".to_owned(), 1.0),
        ("firehall_runs_ended_total{outcome=\"succeeded\"}".to_owned(), 1.0),
        (
            "firehall_attempts_ended_total{how=\"succeeded\",why=\"\"}".to_owned(),
            2.0,
        ),
        ("firehall_attempts_lost_total".to_owned(), 0.0),
        ("firehall_offers_returned_total".to_owned(), 1.0),
        (
            "firehall_attempt_phase_seconds_count{phase=\"queued\"}".to_owned(),
            2.0,
        ),
        (
            "firehall_attempt_phase_seconds_count{phase=\"offered\"}".to_owned(),
            2.0,
        ),
        (
            "firehall_attempt_phase_seconds_count{phase=\"running\"}".to_owned(),
            2.0,
        ),
        ("firehall_agents{state=\"connected\"}".to_owned(), 1.0),
        (
            format!("firehall_agent_capacity{{agent=\"{id}\",name=\"scripted\"}}"),
            4.0,
        ),
        (
            format!("firehall_agent_executing{{agent=\"{id}\",name=\"scripted\"}}"),
            1.0,
        ),
        (
            format!("firehall_agent_spool_bytes{{agent=\"{id}\",name=\"scripted\"}}"),
            4_096.0,
        ),
        (
            "firehall_webhooks_total{source=\"generic\",answer=\"refused\"}".to_owned(),
            1.0,
        ),
    ] {
        assert_eq!(value(&text, &series), expected, "{series}");
    }
    assert!(value(&text, "firehall_server_resident_bytes") > 1e6);
    assert!(text.ends_with("# EOF\n"), "{text}");
    assert_eq!(text.matches("# EOF").count(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agents_name_cannot_forge_a_line() {
    let stack = Stack::start().await;
    let agent = Agent::new(1);
    let mut hello = agent.hello(Vec::new());
    hello.dial = 1;
    hello.name = "a\"} 1 \\".to_owned();
    let (_session, welcome) = agent.say(&stack, hello).await;
    assert!(welcome.is_ok(), "{welcome:?}");
    let text = scrape(&stack).await;
    assert!(text.contains("name=\"a\\\"} 1 \\\\\"} 4"), "{text}");
    stack.stop().await;
}
