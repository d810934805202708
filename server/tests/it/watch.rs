//! Histories as they come.

use std::{sync::Arc, time::Duration};

use proto::v1;
use tonic::Code;

use crate::{
    agent::{Agent, item, started, succeeded},
    stack::{ONE, Stack, TWO, soon},
};

async fn rest(mut stream: tonic::Streaming<v1::Event>) -> Vec<u64> {
    let mut seqs = Vec::new();
    while let Some(event) = soon("an event", stream.message()).await.unwrap() {
        seqs.push(event.seq);
    }
    seqs
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_watch_has_no_gap_and_ends_with_the_run_also_over_a_restart() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 9).await;
    let mut live = stack.watch(&run, 0).await;
    let mut seen = Vec::new();
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    while seen.last().map(|e: &v1::Event| e.kind.as_str()) != Some("attempt.started") {
        seen.push(soon("an event", live.message()).await.unwrap().unwrap());
    }
    let last = seen.last().unwrap().seq;
    assert_eq!(
        seen.iter().map(|e| e.seq).collect::<Vec<_>>(),
        (1..=last).collect::<Vec<_>>()
    );

    let store = stack.stop().await;
    let status = soon("the stream's end", live.message()).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(session.end().await.code(), Code::Unavailable);

    let stack = Stack::on(Arc::clone(&store), None).await;
    let live = stack.watch(&run, last).await;
    let mut session = agent
        .connect(&stack, vec![item(&offer, v1::AttemptPhase::Running)], 9)
        .await;
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    let second = session.offer().await;
    session.report(&second, succeeded()).await;
    session.ack(&second.token).await;
    let seqs = rest(live).await;
    let end = *seqs.last().unwrap();
    assert_eq!(seqs, (last + 1..=end).collect::<Vec<_>>());
    assert_eq!(stack.run(&run).await.seq, end);

    // An ended run, from its middle, from its end and from behind it.
    assert_eq!(
        rest(stack.watch(&run, 3).await).await,
        (4..=end).collect::<Vec<_>>()
    );
    assert!(rest(stack.watch(&run, end).await).await.is_empty());
    assert!(rest(stack.watch(&run, end + 9).await).await.is_empty());
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unknown_run_is_said() {
    let stack = Stack::start().await;
    let run_id = types::RunId::new(types::Timestamp::from_unix_ms(1), [1; 10]).to_string();
    let request = v1::WatchRunRequest { run_id, after_seq: 0 };
    let status = stack.runs().await.watch(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn stopping_is_quick_with_streams_open() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let _watching = stack.watch(&run, 0).await;
    let _session = Agent::new(1).connect(&stack, Vec::new(), 0).await;
    let _silent = tokio::net::TcpStream::connect(stack.address).await.unwrap();
    let begun = tokio::time::Instant::now();
    stack.stop().await;
    assert!(begun.elapsed() < Duration::from_secs(8), "{:?}", begun.elapsed());
}
