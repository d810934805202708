//! Readers that do not read: closed after 30 seconds with the position, from which nothing is missed and nothing doubled.

use std::time::Duration;

use proto::v1::{
    self, event_service_client::EventServiceClient, incident_service_client::IncidentServiceClient,
    run_service_client::RunServiceClient,
};
use tonic::{Code, Status, Streaming, transport::Channel};
use tonic_types::StatusExt;

use crate::{
    agent::{Agent, started},
    logs::Intake,
    stack::{ONE, Stack, soon},
};

/// A connection that takes little unread.
async fn narrow(stack: &Stack) -> Channel {
    let endpoint = Channel::from_shared(format!("http://{}", stack.address)).unwrap();
    let endpoint = endpoint
        .initial_stream_window_size(65_535)
        .initial_connection_window_size(65_535);
    soon("a connection", endpoint.connect()).await.unwrap()
}

/// All that comes, and the last word.
async fn rest<T>(stream: &mut Streaming<T>) -> (Vec<T>, Option<Status>) {
    let mut items = Vec::new();
    loop {
        match soon("an item", stream.message()).await {
            Ok(Some(item)) => items.push(item),
            Ok(None) => return (items, None),
            Err(status) => return (items, Some(status)),
        }
    }
}

/// Where to go on, as a program reads it.
fn position(status: Option<Status>, field: &str) -> String {
    let status = status.unwrap_or_else(|| panic!("not closed: {field}"));
    assert_eq!(status.code(), Code::ResourceExhausted, "{status}");
    let info = status.get_details_error_info().unwrap();
    assert_eq!(info.reason, "READER_TOO_SLOW");
    let position = info.metadata[field].clone();
    assert!(
        status
            .message()
            .contains(&format!("go on with {field} {position}")),
        "{status}"
    );
    position
}

fn fan_out() -> String {
    let items: Vec<String> = (0..900).map(|n| format!("{n:0250}")).collect();
    let items = serde_json::to_string(&items).unwrap();
    format!(
        "name: wide\ninputs:\n  items: {{ type: list<string>, default: {items} }}\nsteps:\n  each:\n    foreach: ${{{{ inputs.items }}}}\n    \
         image: host\n    env: {{ X: \"${{{{ each.value }}}}\" }}\n    run: \"echo hello # {}\"\n",
        "d".repeat(4_000)
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slow_readers_are_told_where_to_go_on_and_miss_nothing() {
    let stack = Stack::start().await;
    // A log of 4 MB.
    let logged = stack.start_run(ONE).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    let mut intake = Intake::open(&stack).await;
    let mut bytes = String::new();
    for n in 0..64 {
        let chunk = format!("{n:064000}");
        intake
            .send(&offer, u64::try_from(bytes.len()).unwrap(), &chunk, n == 63)
            .await;
        bytes.push_str(&chunk);
    }
    // A history of a thousand events, and an incident's.
    let wide = stack.start_run(&fan_out()).await;
    let mut incidents = IncidentServiceClient::new(stack.channel().await);
    let mut incident_id = String::new();
    for n in 0..150 {
        let opening = v1::OpenIncidentRequest {
            external_id: "slow".to_owned(),
            title: "slow".to_owned(),
            severity: "low".to_owned(),
            description: format!("{n:012000}"),
            ..v1::OpenIncidentRequest::default()
        };
        incident_id = incidents.open(opening).await.unwrap().into_inner().incident_id;
    }
    let watch = |after_seq| v1::WatchRunRequest {
        run_id: wide.clone(),
        after_seq,
    };
    let all = |cursor: &str| v1::SubscribeRequest {
        cursor: cursor.to_owned(),
        from_start: cursor.is_empty(),
        ..v1::SubscribeRequest::default()
    };
    let incident = |cursor: &str| v1::WatchIncidentRequest {
        incident_id: incident_id.clone(),
        cursor: cursor.to_owned(),
    };
    let logs = |offset| v1::RunLogsRequest {
        run_id: logged.clone(),
        step: "only".to_owned(),
        offset,
        ..v1::RunLogsRequest::default()
    };
    let mut runs = RunServiceClient::new(narrow(&stack).await);
    let mut watched = runs.watch(watch(0)).await.unwrap().into_inner();
    let mut events = EventServiceClient::new(narrow(&stack).await);
    let mut subscribed = events.subscribe(all("")).await.unwrap().into_inner();
    let mut of_incident = IncidentServiceClient::new(narrow(&stack).await);
    let mut followed = of_incident.watch(incident("")).await.unwrap().into_inner();
    let mut log = RunServiceClient::new(narrow(&stack).await);
    let mut read = log.logs(logs(0)).await.unwrap().into_inner();
    tokio::time::sleep(Duration::from_secs(40)).await;

    let last = stack.run(&wide).await.seq;
    let (mut seen, status) = rest(&mut watched).await;
    let after: u64 = position(status, "after_seq").parse().unwrap();
    assert_eq!(seen.last().unwrap().seq, after, "the last that came");
    let mut more = stack.runs().await.watch(watch(after)).await.unwrap().into_inner();
    while seen.last().unwrap().seq < last {
        seen.push(soon("the rest", more.message()).await.unwrap().unwrap());
    }
    assert_eq!(
        seen.iter().map(|e| e.seq).collect::<Vec<_>>(),
        (1..=last).collect::<Vec<_>>()
    );

    let (mut seen, status) = rest(&mut subscribed).await;
    let cursor = position(status, "cursor");
    assert_eq!(seen.last().unwrap().cursor, cursor);
    let newest = stack.start_run(ONE).await;
    let mut client = EventServiceClient::new(stack.channel().await);
    let mut more = client.subscribe(all(&cursor)).await.unwrap().into_inner();
    while seen.last().unwrap().run_id != newest {
        seen.push(soon("the rest", more.message()).await.unwrap().unwrap());
    }
    let cursors: Vec<u64> = seen.iter().map(|event| event.cursor.parse().unwrap()).collect();
    assert_eq!(
        cursors,
        (1..=u64::try_from(cursors.len()).unwrap()).collect::<Vec<_>>()
    );

    let (mut seen, status) = rest(&mut followed).await;
    let cursor = position(status, "cursor");
    assert_eq!(seen.last().unwrap().cursor, cursor);
    let mut more = incidents.watch(incident(&cursor)).await.unwrap().into_inner();
    while seen.len() < 150 {
        seen.push(soon("the rest", more.message()).await.unwrap().unwrap());
    }
    assert_eq!(
        seen.iter().map(|e| e.seq).collect::<Vec<_>>(),
        (1..=150).collect::<Vec<_>>()
    );

    let (seen, status) = rest(&mut read).await;
    let offset: u64 = position(status, "offset").parse().unwrap();
    let mut text: Vec<u8> = seen.into_iter().flat_map(|piece| piece.data).collect();
    assert_eq!(u64::try_from(text.len()).unwrap(), offset);
    let mut more = stack.runs().await.logs(logs(offset)).await.unwrap().into_inner();
    let (rest_of_it, end) = rest(&mut more).await;
    assert!(end.is_none(), "{end:?}");
    text.extend(rest_of_it.into_iter().flat_map(|piece| piece.data));
    assert!(
        text == bytes.as_bytes(),
        "{} of {} bytes",
        text.len(),
        bytes.len()
    );
    stack.stop().await;
}
