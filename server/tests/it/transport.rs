//! What foreign clients and browsers meet: field paths in errors, gRPC-Web, foreign pages, events.

use proto::v1::{self, event_service_client::EventServiceClient};
use tonic::Code;

use crate::{
    http::{send, send_to},
    stack::{ONE, Stack, soon},
};

/// The last field of a google.rpc.BadRequest is not parsed here: its path stands in the details as text.
fn names(status: &tonic::Status, field: &str) -> bool {
    status
        .details()
        .windows(field.len())
        .any(|bytes| bytes == field.as_bytes())
}

async fn subscribe(
    stack: &Stack,
    request: v1::SubscribeRequest,
) -> Result<tonic::Streaming<v1::Event>, tonic::Status> {
    let mut client = EventServiceClient::new(stack.channel().await);
    Ok(client.subscribe(request).await?.into_inner())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_in_commit_order_from_the_past_into_the_present() {
    let stack = Stack::start().await;
    let first = stack.start_run(ONE).await;
    let from_start = v1::SubscribeRequest {
        from_start: true,
        ..v1::SubscribeRequest::default()
    };
    let mut all = subscribe(&stack, from_start).await.unwrap();
    let event = soon("the past", all.message()).await.unwrap().unwrap();
    assert_eq!(
        (event.run_id.as_str(), event.kind.as_str()),
        (first.as_str(), "run.started")
    );

    let mut seen = vec![event];
    let mut live = subscribe(
        &stack,
        v1::SubscribeRequest {
            kinds: vec!["run.*".to_owned()],
            ..v1::SubscribeRequest::default()
        },
    )
    .await
    .unwrap();
    let second = stack.start_run(ONE).await;
    let event = soon("the present", live.message()).await.unwrap().unwrap();
    assert_eq!((&event.run_id, event.kind.as_str()), (&second, "run.started"));
    while seen.last().unwrap().cursor != event.cursor {
        seen.push(soon("all up to it", all.message()).await.unwrap().unwrap());
    }
    let cursors: Vec<u64> = seen.iter().map(|event| event.cursor.parse().unwrap()).collect();
    assert_eq!(cursors, (1..=cursors.len() as u64).collect::<Vec<_>>());

    let after = v1::SubscribeRequest {
        cursor: seen[0].cursor.clone(),
        run_ids: vec![first.clone()],
        ..v1::SubscribeRequest::default()
    };
    let mut rest = subscribe(&stack, after).await.unwrap();
    assert_eq!(
        soon("the next", rest.message()).await.unwrap().unwrap().cursor,
        seen[1].cursor
    );
    stack.stop().await;
    assert_eq!(
        soon("the end", rest.message())
            .await
            .map(|e| e.is_some())
            .map_err(|s| s.code()),
        Err(Code::Unavailable)
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_wrong_with_a_subscription_is_named_by_its_field() {
    let stack = Stack::start().await;
    let wrong = [
        (
            "cursor",
            v1::SubscribeRequest {
                cursor: "999".to_owned(),
                ..v1::SubscribeRequest::default()
            },
        ),
        (
            "cursor",
            v1::SubscribeRequest {
                cursor: "+0".to_owned(),
                ..v1::SubscribeRequest::default()
            },
        ),
        (
            "run_ids[1]",
            v1::SubscribeRequest {
                run_ids: vec![
                    types::RunId::new(types::Timestamp::from_unix_ms(1), [1; 10]).to_string(),
                    "x".to_owned(),
                ],
                ..v1::SubscribeRequest::default()
            },
        ),
        (
            "kinds[0]",
            v1::SubscribeRequest {
                kinds: vec!["Step*".to_owned()],
                ..v1::SubscribeRequest::default()
            },
        ),
        (
            "workflows",
            v1::SubscribeRequest {
                workflows: vec!["a".to_owned(); 65],
                ..v1::SubscribeRequest::default()
            },
        ),
    ];
    for (field, request) in wrong {
        let status = subscribe(&stack, request).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{field}");
        assert!(
            names(&status, field) && names(&status, "google.rpc.BadRequest"),
            "{field}: {status:?}"
        );
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn foreign_pages_and_names_are_refused_and_own_ones_are_not() {
    let stack = Stack::start().await;
    let own = "GET /healthz HTTP/1.1\r\nOrigin: http://localhost".to_owned();
    assert_eq!(send(&stack, &own, b"").await.status, 200);
    for head in [
        "GET /healthz HTTP/1.1\r\nOrigin: http://evil.example",
        "GET /healthz HTTP/1.1\r\nOrigin: null",
        "GET /healthz HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: no-cors",
        "OPTIONS /firehall.v1.RunService/List HTTP/1.1\r\nOrigin: http://localhost:3000",
    ] {
        let answer = send(&stack, head, b"").await;
        assert_eq!(answer.status, 403, "{head}");
        assert!(!answer.head.contains("access-control-allow"), "{}", answer.head);
    }
    // Names: a page that points its own at this machine is refused, the proxy's is not.
    for (name, status) in [
        ("evil.example", 403),
        ("localhost.evil.example", 403),
        ("firehall.example", 200),
        ("127.0.0.1", 200),
    ] {
        assert_eq!(
            send_to(&stack, name, "GET /healthz HTTP/1.1", b"").await.status,
            status,
            "{name}"
        );
    }
    let link = "GET /healthz HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document";
    assert_eq!(send(&stack, link, b"").await.status, 200);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn grpc_web_is_spoken_over_http_1_and_its_errors_are_its_own() {
    let stack = Stack::start().await;
    let call = "POST /firehall.v1.RunService/List HTTP/1.1\r\nContent-Type: application/grpc-web+proto\r\nConnection: close";
    // An empty message: no flags, no bytes.
    let answer = send(&stack, call, &[0; 5]).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.head.contains("content-type: application/grpc-web+proto"),
        "{}",
        answer.head
    );
    let foreign = send(&stack, &format!("{call}\r\nOrigin: http://evil.example"), &[0; 5]).await;
    assert!(foreign.head.contains("grpc-status: 7"), "{}", foreign.head);
    let plain = send(
        &stack,
        "POST /firehall.v1.RunService/List HTTP/1.1\r\nContent-Type: application/json",
        b"{}",
    )
    .await;
    assert_eq!(plain.status, 415);
    stack.stop().await;
}
