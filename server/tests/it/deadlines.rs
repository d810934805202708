//! Deadlines and calls that their callers give up: what was begun is whole, what was not is not there.

use std::{
    collections::BTreeSet,
    future::Future as _,
    sync::atomic::Ordering,
    task::Poll,
    time::{Duration, Instant},
};

use prost::Message;
use proto::v1::{self, start_run_request::What};
use tonic::Code;

use crate::{
    bad::raw::{self, Wire},
    stack::{ONE, Stack, soon},
};

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const TE: (&str, &str) = ("te", "trailers");

fn start(key: &str) -> v1::StartRunRequest {
    v1::StartRunRequest {
        what: Some(What::Source(ONE.to_owned())),
        idempotency_key: key.to_owned(),
        ..v1::StartRunRequest::default()
    }
}

async fn call(wire: &Wire, method: &str, timeout: &'static str, request: &impl Message) -> raw::Answer {
    let headers = [GRPC, TE, ("grpc-timeout", timeout)];
    let body = raw::frame(&request.encode_to_vec());
    raw::send(wire, &format!("/firehall.v1.{method}"), &headers, body).await
}

async fn runs(stack: &Stack) -> Vec<String> {
    let list = stack.runs().await.list(v1::ListRunsRequest::default()).await;
    let runs = list.unwrap().into_inner().runs.into_iter();
    runs.map(|run| run.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_is_late_is_answered_in_time_and_is_whole() {
    let stack = Stack::start().await;
    let wire = raw::wire(&stack).await;
    stack.store.slow_ms.store(5_000, Ordering::SeqCst);
    let begun = Instant::now();
    let answer = call(&wire, "RunService/Start", "150m", &start("late")).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded, "{answer:?}");
    let took = begun.elapsed();
    assert!(
        (Duration::from_millis(120)..Duration::from_secs(4)).contains(&took),
        "{took:?}"
    );
    // A deadline that is over on arrival begins nothing.
    let answer = call(&wire, "RunService/Start", "1n", &start("never")).await;
    assert_eq!(answer.code(), Code::DeadlineExceeded);
    stack.store.slow_ms.store(0, Ordering::SeqCst);
    let run = stack
        .runs()
        .await
        .start(start("late"))
        .await
        .unwrap()
        .into_inner()
        .run_id;
    assert_eq!(
        runs(&stack).await,
        std::slice::from_ref(&run),
        "the late one, once"
    );
    assert_eq!(stack.run(&run).await.steps.len(), 1);
    stack.stop().await;
}

/// On one thread, so that the first, which is dropped when it was polled once, cannot have come to the server.
#[tokio::test]
async fn a_start_given_up_at_any_moment_exists_whole_or_not_at_all() {
    let stack = Stack::start().await;
    stack.store.slow_ms.store(2, Ordering::SeqCst);
    let keys: Vec<String> = (0..40).map(|n| format!("k{n}")).collect();
    for (n, key) in keys.iter().enumerate() {
        let mut client = stack.runs().await;
        let call = client.start(start(key));
        if n == 0 {
            // Nothing else has run since it was made.
            let mut call = std::pin::pin!(call);
            let begun =
                std::future::poll_fn(|context| Poll::Ready(call.as_mut().poll(context).is_ready())).await;
            assert!(!begun);
            continue;
        }
        if n + 1 == keys.len() {
            // After its answer.
            soon("the last start", call).await.unwrap();
            break;
        }
        // Dropped: the stream is reset, wherever the server is with it.
        let _ = tokio::time::timeout(Duration::from_micros(150 * u64::try_from(n).unwrap()), call).await;
    }
    tokio::time::sleep(Duration::from_millis(300)).await;
    let there: BTreeSet<String> = runs(&stack).await.into_iter().collect();
    for run in &there {
        let mut watch = stack.watch(run, 0).await;
        let first = soon("its first event", watch.message()).await.unwrap().unwrap();
        assert_eq!((first.seq, first.kind.as_str()), (1, "run.started"));
        assert_eq!(
            stack.run(run).await.steps[0].attempts.len(),
            1,
            "its step waits for an agent"
        );
    }
    let mut again = BTreeSet::new();
    for key in &keys {
        let run = stack
            .runs()
            .await
            .start(start(key))
            .await
            .unwrap()
            .into_inner()
            .run_id;
        again.insert(run);
    }
    assert_eq!(again.len(), keys.len(), "a key, a run");
    let all: BTreeSet<String> = runs(&stack).await.into_iter().collect();
    assert_eq!(
        all, again,
        "those that were given up are found by their keys, none is doubled"
    );
    assert!(there.is_subset(&again));
    assert!(
        !there.is_empty() && there.len() < keys.len(),
        "{} of {} were begun",
        there.len(),
        keys.len()
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_end_at_their_deadline_with_what_came_until_then() {
    let stack = Stack::start().await;
    let run_id = stack.start_run(ONE).await;
    let wire = raw::wire(&stack).await;
    let watch = v1::WatchRunRequest {
        run_id: run_id.clone(),
        after_seq: 0,
    };
    let logs = v1::RunLogsRequest {
        run_id,
        step: "only".to_owned(),
        follow: true,
        ..v1::RunLogsRequest::default()
    };
    let all = v1::SubscribeRequest {
        from_start: true,
        ..v1::SubscribeRequest::default()
    };
    let begun = Instant::now();
    let watched = call(&wire, "RunService/Watch", "1500m", &watch).await;
    let subscribed = call(&wire, "EventService/Subscribe", "1500m", &all).await;
    let followed = call(&wire, "RunService/Logs", "1500m", &logs).await;
    for answer in [&watched, &subscribed, &followed] {
        assert_eq!(answer.code(), Code::DeadlineExceeded, "{answer:?}");
    }
    assert!(
        begun.elapsed() >= Duration::from_millis(4_400),
        "{:?}",
        begun.elapsed()
    );
    assert!(!watched.body.is_empty() && !subscribed.body.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_streams_are_refused_precisely_and_give_their_places_back() {
    const MOST: usize = 4_096;
    let stack = Stack::start().await;
    let mut open = Vec::new();
    let mut channel = stack.channel().await;
    for n in 0..MOST {
        // As many as one connection may have.
        if n % 500 == 0 {
            channel = stack.channel().await;
        }
        let mut client = v1::event_service_client::EventServiceClient::new(channel.clone());
        open.push(client.subscribe(v1::SubscribeRequest::default()).await.unwrap());
    }
    let mut client = v1::event_service_client::EventServiceClient::new(stack.channel().await);
    let refused = client
        .subscribe(v1::SubscribeRequest::default())
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted, "{refused}");
    assert!(refused.message().contains("4096 streaming calls"), "{refused}");
    // Others are served, and agents too.
    assert!(runs(&stack).await.is_empty());
    crate::agent::Agent::new(1).connect(&stack, Vec::new(), 1).await;
    drop(open);
    soon("a place", async {
        while client.subscribe(v1::SubscribeRequest::default()).await.is_err() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    stack.stop().await;
}
