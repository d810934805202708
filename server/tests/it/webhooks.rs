//! Alerts that come in.

use std::sync::{Arc, atomic::Ordering::SeqCst};

use proto::v1::{self, event_service_client::EventServiceClient};
use serde_json::json;
use tokio::{io::AsyncWriteExt, net::TcpStream};

use crate::{
    http::{post, read, send},
    pages,
    stack::{Stack, soon},
};

const PATH: &str = "/webhook/incident-response";
const BOUND: &str = "
name: on-alert
on:
  alert: {}
steps:
  only:
    image: host
    run: echo hello
";

fn alert(id: &str, state: &str) -> Vec<u8> {
    json!({"id": id, "title": "it burns", "severity": "critical", "state": state})
        .to_string()
        .into_bytes()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_starts_its_runs_once_and_a_recovery_joins_it() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let first = post(&stack, PATH, &alert("a", "firing")).await;
    assert_eq!(first.status, 202, "{}", first.body);
    let run = first.body["run_id"].as_str().unwrap().to_owned();
    assert_eq!(first.body["run_ids"], json!([run]));
    assert_eq!(
        stack.run(&run).await.incident_id,
        first.body["incident_id"].as_str().unwrap()
    );

    let again = post(&stack, PATH, &alert("a", "firing")).await;
    assert_eq!((again.status, &again.body), (202, &first.body));
    let over = post(&stack, PATH, &alert("a", "resolved")).await;
    assert_eq!(over.body["incident_id"], first.body["incident_id"]);
    assert_ne!(over.body["alert_id"], first.body["alert_id"]);
    assert_eq!(over.body["run_id"], serde_json::Value::Null);
    let other = post(&stack, PATH, &alert("b", "firing")).await;
    assert_ne!(other.body["incident_id"], first.body["incident_id"]);

    // The same after a restart.
    let stack = Stack::on(stack.stop().await, None).await;
    let again = post(&stack, PATH, &alert("b", "firing")).await;
    assert_eq!(again.body, other.body);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fifty_at_once_and_a_storm_of_repeats() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let posts = (0..50).map(|n| {
        let (stack, body) = (&stack, alert(&format!("k{}", n % 5), "firing"));
        async move { post(stack, PATH, &body).await }
    });
    let answers = futures::future::join_all(posts).await;
    assert!(answers.iter().all(|answer| answer.status == 202));
    let ids: std::collections::BTreeSet<String> = answers
        .iter()
        .map(|answer| answer.body["run_id"].to_string())
        .collect();
    assert_eq!(ids.len(), 5);

    let before = stack.store.appends.load(SeqCst);
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    let body = alert("k0", "firing");
    for _ in 0..1_000 {
        let head = format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        stream
            .write_all(&[head.as_bytes(), &body].concat())
            .await
            .unwrap();
        let answer = read(&mut stream).await;
        assert_eq!((answer.status, &answer.body), (202, &answers[0].body));
    }
    let recorded = stack.store.appends.load(SeqCst) - before;
    assert!(recorded <= 110, "{recorded} repeats were recorded");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_alert_is_refused_with_a_reason() {
    let stack = Stack::start().await;
    let cases: [(&str, &[u8], u16); 6] = [
        ("application/json", b"", 400),
        ("application/json", b"{", 400),
        ("application/json", b"\xff\xfe", 400),
        ("application/json", b"[]", 422),
        ("application/json", b"{\"severity\": \"high\"}", 422),
        ("text/plain", b"{\"title\": \"t\"}", 415),
    ];
    for (content_type, body, status) in cases {
        let head = format!("POST {PATH} HTTP/1.1\r\nContent-Type: {content_type}");
        let answer = send(&stack, &head, body).await;
        assert_eq!(answer.status, status, "{content_type} {body:?}: {}", answer.body);
        assert!(answer.body["reason"].is_string());
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_that_is_too_large_gets_its_answer() {
    let stack = Stack::start().await;
    let answer = post(&stack, PATH, &vec![b'x'; 2 * 1024 * 1024]).await;
    assert_eq!((answer.status, &answer.body["error"]), (413, &"too_large".into()));
    // One that asks first is told before it sends; one that is not too large is told to go on.
    let ask = |length: usize| {
        format!(
            "POST {PATH} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nExpect: 100-continue\r\n\
             Content-Length: {length}\r\n\r\n"
        )
    };
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    stream.write_all(ask(2 * 1024 * 1024).as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream).await.status, 413);
    let body = alert("a", "firing");
    let mut stream = TcpStream::connect(stack.address).await.unwrap();
    stream.write_all(ask(body.len()).as_bytes()).await.unwrap();
    assert_eq!(read(&mut stream).await.status, 100);
    stream.write_all(&body).await.unwrap();
    assert_eq!(read(&mut stream).await.status, 202);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secret_is_asked_for_also_with_a_large_body() {
    let stack = Stack::on(Arc::default(), Some("s3cret")).await;
    let with = |secret: &str| {
        format!("POST {PATH} HTTP/1.1\r\nContent-Type: application/json\r\nAuthorization: {secret}")
    };
    assert_eq!(post(&stack, PATH, &alert("a", "firing")).await.status, 401);
    assert_eq!(post(&stack, PATH, &vec![b'x'; 2 * 1024 * 1024]).await.status, 401);
    assert_eq!(
        send(&stack, &with("Bearer s3cre"), &alert("a", "firing"))
            .await
            .status,
        401
    );
    assert_eq!(
        send(&stack, &with("bearer s3cret"), &alert("a", "firing"))
            .await
            .status,
        202
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_that_fails_is_send_it_again_and_nothing_is_doubled() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    for broken in [&stack.store.refuse, &stack.store.forget_to_say] {
        broken.store(1, SeqCst);
        let answer = post(&stack, PATH, &alert("a", "firing")).await;
        assert_eq!(answer.status, 503);
        assert!(answer.head.contains("retry-after"), "{}", answer.head);
    }
    // The second was stored: the repeat finds it.
    let first = post(&stack, PATH, &alert("a", "firing")).await;
    assert_eq!(first.status, 202);
    let again = post(&stack, PATH, &alert("a", "firing")).await;
    assert_eq!(again.body, first.body);
    let listed = stack
        .runs()
        .await
        .list(v1::ListRunsRequest::default())
        .await
        .unwrap();
    assert_eq!(listed.into_inner().runs.len(), 1);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_is_too_large_beside_its_plan_is_kept_and_ends_no_stream() {
    let stack = Stack::start().await;
    // Each quote is two bytes of JSON, in the plan and again in the run's inputs.
    let inputs: String = (0..4)
        .map(|n| {
            format!(
                "  i{n}: {{ type: string, default: '{}' }}\n",
                "\"".repeat(235_000)
            )
        })
        .collect();
    stack
        .put(&BOUND.replace("steps:", &format!("inputs:\n{inputs}steps:")))
        .await;
    let small = post(&stack, PATH, &alert("small", "firing")).await;
    assert_eq!(small.status, 202, "{}", small.body);
    assert!(small.body["run_id"].is_string(), "{}", small.body);
    let large =
        json!({"id": "large", "title": "it burns", "severity": "high", "description": "d".repeat(900_000)});
    let large = post(&stack, PATH, large.to_string().as_bytes()).await;
    assert_eq!((large.status, &large.body["run_ids"]), (202, &json!([])));
    let refused = &large.body["refused"];
    assert_eq!(refused[0]["workflow"], "on-alert", "{refused}");
    let why = refused[0]["why"].as_str().unwrap();
    assert!(
        why.starts_with("its plan, inputs and the alert are ") && why.contains(" is the most"),
        "{why}"
    );
    assert!(small.body["refused"].is_null(), "{}", small.body);

    let mut events = EventServiceClient::new(stack.channel().await);
    let request = v1::SubscribeRequest {
        from_start: true,
        ..v1::SubscribeRequest::default()
    };
    let mut events = events.subscribe(request).await.unwrap().into_inner();
    let last = post(&stack, PATH, &alert("last", "firing")).await;
    let mut told = Vec::new();
    loop {
        let event = soon("the last incident", events.message())
            .await
            .unwrap()
            .unwrap();
        if event.kind == "run_refused" {
            told.push(event.incident_id.clone());
        }
        if event.incident_id == last.body["incident_id"] && event.kind == "opened" {
            break;
        }
    }
    let incident = large.body["incident_id"].as_str().unwrap();
    assert_eq!(told, [incident], "the history says that nothing was started");
    let page = pages::get(&stack, &format!("/incidents/{incident}")).await;
    let html = pages::text(&page);
    assert!(html.contains("on-alert was not started"), "{html}");
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_that_grows_beyond_its_body_is_refused() {
    let stack = Stack::start().await;
    let tags: Vec<String> = (0..900).map(|n| format!("host:{n:0>1000}")).collect();
    let body = json!({"title": "t", "tags": tags}).to_string();
    let answer = post(&stack, PATH, body.as_bytes()).await;
    assert_eq!(
        (answer.status, &answer.body["error"]),
        (413, &json!("too_large")),
        "{}",
        answer.body
    );
    stack.stop().await;
}
