//! Artifacts as agents send and get them, those that lie among them, and as people get them.

use proto::v1::{
    self, Outcome, agent_service_client::AgentServiceClient, get_artifact_response::Part,
    put_artifact_request::Message as Up,
};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, Streaming, transport::Channel};
use types::{Artifact, Verdict, limits};

use crate::{
    agent::{Agent, Session, finished_with, item, started, succeeded},
    s3,
    stack::{ONE, Stack, count, soon},
};

const KEEPS: &str = "
name: keeps
steps:
  dump:
    image: host
    run: echo heap > /tmp/heap
    artifacts:
      heap: { path: /tmp/heap, media-type: text/plain }
      more: { path: /tmp/more, if-missing: ignore }
  read:
    image: host
    files: { /data/heap: { artifact: dump.heap } }
    run: cat /data/heap
";

fn hex(data: &[u8]) -> String {
    Sha256::digest(data)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn artifact(name: &str, data: &[u8]) -> Artifact {
    Artifact {
        name: name.to_owned(),
        bytes: data.len() as u64,
        sha256: hex(data),
        media_type: "text/plain".to_owned(),
    }
}

fn begin(offer: &v1::Offer, artifact: &Artifact) -> v1::ArtifactBegin {
    v1::ArtifactBegin {
        attempt: offer.attempt.clone(),
        token: offer.token.clone(),
        name: artifact.name.clone(),
        bytes: artifact.bytes,
        sha256: artifact.sha256.clone(),
        media_type: artifact.media_type.clone(),
    }
}

fn piece(offset: usize, data: &[u8]) -> v1::ArtifactPiece {
    v1::ArtifactPiece {
        offset: offset as u64,
        data: data.to_vec(),
        digest: Sha256::digest(data).to_vec(),
    }
}

/// One stream of an upload.
struct Upload {
    up: mpsc::Sender<v1::PutArtifactRequest>,
    answers: Streaming<v1::PutArtifactResponse>,
}

impl Upload {
    async fn begin(stack: &Stack, begin: v1::ArtifactBegin) -> Self {
        let (up, messages) = mpsc::channel(64);
        let message = Some(Up::Begin(begin));
        up.send(v1::PutArtifactRequest { message }).await.unwrap();
        let mut client: AgentServiceClient<Channel> = AgentServiceClient::new(stack.channel().await);
        let answers = client.put_artifact(ReceiverStream::new(messages)).await.unwrap();
        Self {
            up,
            answers: answers.into_inner(),
        }
    }

    async fn piece(&self, piece: v1::ArtifactPiece) {
        let message = Some(Up::Piece(piece));
        // A server that refused does not read on.
        let _sent = self.up.send(v1::PutArtifactRequest { message }).await;
    }

    async fn answer(&mut self) -> Result<v1::PutArtifactResponse, Status> {
        let answer = soon("an answer", self.answers.message()).await?;
        Ok(answer.expect("an answer"))
    }

    async fn refused(mut self) -> String {
        self.answer().await.unwrap().refused
    }

    async fn status(mut self) -> Status {
        loop {
            if let Err(status) = self.answer().await {
                return status;
            }
        }
    }
}

/// Sends it whole.
async fn put(stack: &Stack, offer: &v1::Offer, name: &str, data: &[u8]) {
    let mut upload = Upload::begin(stack, begin(offer, &artifact(name, data))).await;
    let mut last = upload.answer().await.unwrap();
    let mut held = usize::try_from(last.offset).unwrap();
    while !last.stored {
        let next = data.len().min(held + limits::ARTIFACT_CHUNK_BYTES);
        if held < next {
            upload.piece(piece(held, &data[held..next])).await;
        }
        last = upload.answer().await.unwrap();
        assert_eq!(last.refused, "");
        held = usize::try_from(last.offset).unwrap();
    }
}

async fn get(stack: &Stack, run: &str, offset: u64) -> Result<(v1::RunArtifact, Vec<u8>), Status> {
    let request = v1::GetArtifactRequest {
        run_id: run.to_owned(),
        step: "dump".to_owned(),
        name: "heap".to_owned(),
        offset,
        ..v1::GetArtifactRequest::default()
    };
    let mut parts = stack.runs().await.get_artifact(request).await?.into_inner();
    let (mut is, mut data) = (None, Vec::new());
    while let Some(part) = soon("a part", parts.message()).await? {
        match part.part.unwrap() {
            Part::Artifact(artifact) => is = Some(artifact),
            Part::Data(more) => data.extend(more),
        }
    }
    Ok((is.unwrap(), data))
}

async fn fetch(stack: &Stack, offer: &v1::Offer, sha256: &str) -> Result<Vec<u8>, Status> {
    let request = v1::GetAttemptArtifactRequest {
        attempt: offer.attempt.clone(),
        token: offer.token.clone(),
        sha256: sha256.to_owned(),
        offset: 0,
    };
    let mut client: AgentServiceClient<Channel> = AgentServiceClient::new(stack.channel().await);
    let mut pieces = client.get_attempt_artifact(request).await?.into_inner();
    let mut data = Vec::new();
    while let Some(piece) = soon("a piece", pieces.message()).await? {
        data.extend(piece.data);
    }
    Ok(data)
}

async fn running(stack: &Stack) -> (String, Session, v1::Offer) {
    let run = stack.start_run(KEEPS).await;
    let mut session = Agent::new(1).connect(stack, Vec::new(), 9).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    (run, session, offer)
}

/// From the upload over the history to the next step and to people, on one place for artifacts.
async fn goes_through(stack: &Stack, data: &[u8]) {
    let (run, mut session, offer) = running(stack).await;
    put(stack, &offer, "heap", data).await;
    // Once more, after an answer that was lost.
    put(stack, &offer, "heap", data).await;
    let report = finished_with(Verdict::Succeeded, vec![artifact("heap", data)]);
    session.report(&offer, report).await;
    session.ack(&offer.token).await;
    let next = session.offer().await;
    assert!(next.work_json.contains(&hex(data)) && next.attempt.as_ref().unwrap().step == "read");
    assert!(fetch(stack, &next, &hex(data)).await.unwrap() == data);
    let foreign = fetch(stack, &next, &hex(b"another")).await.unwrap_err();
    assert_eq!(foreign.code(), Code::PermissionDenied);
    session.report(&next, succeeded()).await;
    session.ack(&next.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Succeeded);
    let late = fetch(stack, &next, &hex(data)).await.unwrap_err();
    assert_eq!(late.code(), Code::PermissionDenied, "its lease is over");

    let kinds = stack.history(&run).await;
    let at = |kind: &str| kinds.iter().position(|one| one == kind).unwrap();
    assert_eq!(count(&kinds, "artifact.stored"), 1);
    assert_eq!(at("artifact.stored") + 1, at("attempt.finished"));
    let (is, got) = get(stack, &run, 0).await.unwrap();
    assert!(got == data);
    assert_eq!(
        (is.sha256.as_str(), is.media_type.as_str()),
        (&*hex(data), "text/plain")
    );
    let (_, rest) = get(stack, &run, data.len() as u64 / 2).await.unwrap();
    assert!(rest == data[data.len() / 2..]);
    let request = v1::ListArtifactsRequest {
        run_id: run,
        ..v1::ListArtifactsRequest::default()
    };
    let listed = stack.runs().await.list_artifacts(request).await.unwrap();
    assert_eq!(listed.into_inner().artifacts, [is]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_artifact_goes_from_an_agent_to_the_next_step_and_to_people() {
    let stack = Stack::start().await;
    goes_through(&stack, b"heap\n").await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_speaks_s3_keeps_small_and_large_ones() {
    let bucket = s3::Bucket::start().await;
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stack = Stack::keeping(std::sync::Arc::default(), None, dir, Some(bucket.url())).await;
    goes_through(&stack, b"heap\n").await;
    assert_eq!(
        bucket.names(),
        [format!(
            "below/sha256/{}/{}",
            &hex(b"heap\n")[..2],
            hex(b"heap\n")
        )]
    );
    stack.stop().await;
    // In parts, by a server that begins anew.
    let large: Vec<u8> = (0..9_000_000_u32).map(|n| (n / 7) as u8).collect();
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stack = Stack::keeping(std::sync::Arc::default(), None, dir, Some(bucket.url())).await;
    goes_through(&stack, &large).await;
    assert_eq!(bucket.names().len(), 2);
    assert!(bucket.multipart() > 0 && bucket.unsigned() == 0);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_bucket_that_answers_nothing_useful_is_no_room_and_then_stores() {
    let bucket = s3::Bucket::start().await;
    let dir = std::sync::Arc::new(tempfile::tempdir().unwrap());
    let stack = Stack::keeping(std::sync::Arc::default(), None, dir, Some(bucket.url())).await;
    let (_run, _session, offer) = running(&stack).await;
    bucket.refuse(true);
    let data = b"heap\n";
    let upload = Upload::begin(&stack, begin(&offer, &artifact("heap", data))).await;
    upload.piece(piece(0, data)).await;
    assert_eq!(upload.status().await.code(), Code::ResourceExhausted);
    bucket.refuse(false);
    // What came is held: nothing is sent again.
    let mut again = Upload::begin(&stack, begin(&offer, &artifact("heap", data))).await;
    assert_eq!(again.answer().await.unwrap().offset, data.len() as u64);
    assert!(again.answer().await.unwrap().stored);
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_upload_goes_on_where_it_was_over_cuts_and_another_server() {
    let stack = Stack::start().await;
    let (_run, session, offer) = running(&stack).await;
    let data: Vec<u8> = (0..700_000_u32).map(|n| (n % 251) as u8).collect();
    let whole = artifact("heap", &data);
    let mut first = Upload::begin(&stack, begin(&offer, &whole)).await;
    assert_eq!(first.answer().await.unwrap().offset, 0);
    first.piece(piece(0, &data[..200_000])).await;
    assert_eq!(first.answer().await.unwrap().offset, 200_000);
    // Its connection hangs; the next one takes its turn.
    let mut second = Upload::begin(&stack, begin(&offer, &whole)).await;
    assert_eq!(second.answer().await.unwrap().offset, 200_000);
    assert_eq!(first.status().await.code(), Code::Aborted);
    second.piece(piece(200_000, &data[200_000..400_000])).await;
    assert_eq!(second.answer().await.unwrap().offset, 400_000);
    drop(session);
    let dir = stack.artifacts.clone();
    let store = stack.stop().await;
    let stack = Stack::keeping(store, None, dir, None).await;
    let mut third = Upload::begin(&stack, begin(&offer, &whole)).await;
    assert_eq!(third.answer().await.unwrap().offset, 400_000);
    drop(third);
    put_rest(&stack, &offer, &whole, &data).await;
    stack.stop().await;
}

async fn put_rest(stack: &Stack, offer: &v1::Offer, whole: &Artifact, data: &[u8]) {
    let mut upload = Upload::begin(stack, begin(offer, whole)).await;
    assert_eq!(upload.answer().await.unwrap().offset, 400_000);
    upload.piece(piece(400_000, &data[400_000..600_000])).await;
    upload.piece(piece(600_000, &data[600_000..])).await;
    assert_eq!(upload.answer().await.unwrap().offset, 600_000);
    assert_eq!(upload.answer().await.unwrap().offset, 700_000);
    assert!(upload.answer().await.unwrap().stored);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_is_not_live_or_not_its_own_stores_nothing() {
    let stack = Stack::start().await;
    let (run, mut session, offer) = running(&stack).await;
    let data = b"heap\n";
    let good = begin(&offer, &artifact("heap", data));
    let other = stack.start_run(ONE).await;
    let foreign = session.offer().await;
    for (what, begin, why) in [
        (
            "another's token",
            v1::ArtifactBegin {
                token: foreign.token.clone(),
                ..good.clone()
            },
            "not that of a live",
        ),
        (
            "another's attempt",
            v1::ArtifactBegin {
                attempt: foreign.attempt.clone(),
                ..good.clone()
            },
            "not that of a live",
        ),
        (
            "a made-up token",
            v1::ArtifactBegin {
                token: "lse_01j00000000000000000000000".to_owned(),
                ..good.clone()
            },
            "not that of a live",
        ),
        (
            "a name that its step does not declare",
            v1::ArtifactBegin {
                name: "other".to_owned(),
                ..good.clone()
            },
            "declares no artifact",
        ),
        (
            "a step that declares none",
            begin(&foreign, &artifact("heap", data)),
            "declares no artifact",
        ),
        (
            "too much",
            v1::ArtifactBegin {
                bytes: limits::ARTIFACT_BYTES + 1,
                ..good.clone()
            },
            "at most",
        ),
    ] {
        let refused = Upload::begin(&stack, begin).await.refused().await;
        assert!(refused.contains(why), "{what}: {refused:?}");
    }
    for name in ["../x", "a/b", "", "A"] {
        let bad = v1::ArtifactBegin {
            name: name.to_owned(),
            ..good.clone()
        };
        assert_eq!(
            Upload::begin(&stack, bad).await.status().await.code(),
            Code::InvalidArgument,
            "{name:?}"
        );
    }
    session
        .report(
            &offer,
            finished_with(Verdict::Cancelled { confirmed: true }, Vec::new()),
        )
        .await;
    session.ack(&offer.token).await;
    let late = Upload::begin(&stack, good).await.refused().await;
    assert!(late.contains("not that of a live"), "{late:?}");
    for run in [run, other] {
        let request = v1::ListArtifactsRequest {
            run_id: run,
            ..v1::ListArtifactsRequest::default()
        };
        let listed = stack.runs().await.list_artifacts(request).await.unwrap();
        assert_eq!(listed.into_inner().artifacts, []);
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_what_it_was_said_to_be_is_not_stored() {
    let stack = Stack::start().await;
    let (_run, _session, offer) = running(&stack).await;
    let data = b"heap\n";
    let whole = artifact("heap", data);
    // More than was told.
    let mut upload = Upload::begin(&stack, begin(&offer, &whole)).await;
    upload.answer().await.unwrap();
    upload.piece(piece(0, b"heap\n and more")).await;
    assert!(upload.refused().await.contains("more came"));
    // A piece that was damaged, or is not the next one, or too large.
    let damaged = v1::ArtifactPiece {
        digest: vec![0; 32],
        ..piece(0, data)
    };
    let large = vec![0; limits::ARTIFACT_CHUNK_BYTES + 1];
    for (bad, code) in [
        (damaged, Code::Aborted),
        (piece(3, b"p\n"), Code::InvalidArgument),
        (piece(0, b""), Code::InvalidArgument),
        (piece(0, &large), Code::InvalidArgument),
    ] {
        let upload = Upload::begin(&stack, begin(&offer, &whole)).await;
        upload.piece(bad).await;
        assert_eq!(upload.status().await.code(), code);
    }
    // Another content of that length.
    let upload = Upload::begin(&stack, begin(&offer, &whole)).await;
    upload.piece(piece(0, b"HEAP\n")).await;
    assert_eq!(upload.status().await.code(), Code::Aborted);
    // It was thrown away: the right one begins at 0.
    let mut upload = Upload::begin(&stack, begin(&offer, &whole)).await;
    assert_eq!(upload.answer().await.unwrap().offset, 0);
    upload.piece(piece(0, data)).await;
    upload.answer().await.unwrap();
    assert!(upload.answer().await.unwrap().stored);
    // One name, one content.
    let another = begin(&offer, &artifact("heap", b"other"));
    assert!(
        Upload::begin(&stack, another)
            .await
            .refused()
            .await
            .contains("another content")
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_success_without_what_it_counts_on_is_a_failure() {
    for (claimed, why) in [
        (Vec::new(), "without the declared artifact heap"),
        (
            vec![artifact("heap", b"never sent")],
            "which this server does not hold",
        ),
    ] {
        let stack = Stack::start().await;
        let (run, mut session, offer) = running(&stack).await;
        session
            .report(&offer, finished_with(Verdict::Succeeded, claimed))
            .await;
        session.ack(&offer.token).await;
        assert_eq!(stack.outcome(&run).await, Outcome::Failed);
        let reasons = stack.run(&run).await.reasons.join("; ");
        assert!(reasons.contains(why), "{reasons}");
        assert_eq!(count(&stack.history(&run).await, "artifact.stored"), 0);
        stack.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_store_has_damaged_is_not_given_as_if_it_were_whole() {
    let stack = Stack::start().await;
    let (run, mut session, offer) = running(&stack).await;
    let data = b"heap\n";
    put(&stack, &offer, "heap", data).await;
    session
        .report(
            &offer,
            finished_with(Verdict::Succeeded, vec![artifact("heap", data)]),
        )
        .await;
    session.ack(&offer.token).await;
    let sum = hex(data);
    let object = stack
        .artifacts
        .path()
        .join(format!("artifacts/sha256/{}/{sum}", &sum[..2]));
    std::fs::write(&object, b"HEAP\n").unwrap();
    assert_eq!(get(&stack, &run, 0).await.unwrap_err().code(), Code::DataLoss);
    assert_eq!(get(&stack, &run, 2).await.unwrap_err().code(), Code::DataLoss);
    std::fs::remove_file(&object).unwrap();
    let missing = get(&stack, &run, 0).await.unwrap_err();
    assert_eq!(missing.code(), Code::DataLoss);
    // As after a restore without them: what is missing, and where it was looked for.
    for part in [
        "does not have its bytes",
        &*sum,
        "put the copy of that store back",
    ] {
        assert!(missing.message().contains(part), "{missing:?}");
    }
    assert_eq!(
        get(&stack, &run, 9).await.unwrap_err().code(),
        Code::InvalidArgument
    );
    stack.stop().await;
}

/// A damaged row makes the report that counts on it a failure, and ends nobody's session: it would be damaged in the next one
/// as well, and the agent never heard again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_row_fails_its_step_and_cuts_no_agent_off() {
    let stack = Stack::start().await;
    let (run, mut session, offer) = running(&stack).await;
    let data = b"heap\n";
    put(&stack, &offer, "heap", data).await;
    stack
        .store
        .damaged_artifacts
        .store(u32::MAX, std::sync::atomic::Ordering::SeqCst);
    let report = finished_with(Verdict::Succeeded, vec![artifact("heap", data)]);
    session.report(&offer, report).await;
    // In this very session.
    session.ack(&offer.token).await;
    assert_eq!(stack.outcome(&run).await, Outcome::Failed);
    let reasons = stack.run(&run).await.reasons.join("; ");
    assert!(reasons.contains("is damaged; its log says more"), "{reasons}");
    assert_eq!(count(&stack.history(&run).await, "artifact.stored"), 0);
    let other = stack.start_run(ONE).await;
    let offer = session.offer().await;
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    assert_eq!(stack.outcome(&other).await, Outcome::Succeeded);
    stack.stop().await;
}

/// What lies on its way.
fn incoming(stack: &Stack) -> Vec<String> {
    fn below(dir: &std::path::Path, found: &mut Vec<String>) {
        for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                below(&entry.path(), found);
            } else {
                found.push(entry.file_name().into_string().unwrap());
            }
        }
    }
    let mut found = Vec::new();
    below(&stack.artifacts.path().join("artifacts.incoming"), &mut found);
    found
}

async fn until(what: &str, mut is: impl FnMut() -> bool) {
    let waits = async {
        while !is() {
            tokio::time::sleep(std::time::Duration::from_millis(20)).await;
        }
    };
    soon(what, waits).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_came_in_part_is_one_for_each_name_and_goes_when_its_attempt_is_over() {
    let stack = Stack::start().await;
    let (_run, _session, offer) = running(&stack).await;
    for data in [&b"a first content"[..], b"another, as long"] {
        let mut upload = Upload::begin(&stack, begin(&offer, &artifact("heap", data))).await;
        assert_eq!(upload.answer().await.unwrap().offset, 0);
        upload.piece(piece(0, &data[..5])).await;
        assert_eq!(upload.answer().await.unwrap().offset, 5);
    }
    let last = hex(b"another, as long");
    assert_eq!(incoming(&stack), [format!("heap.{last}")]);
    // The first thing that a server does on it; here the attempt lives still.
    let (dir, store) = (stack.artifacts.clone(), stack.stop().await);
    let stack = Stack::keeping(store, None, dir, None).await;
    let mut upload = Upload::begin(&stack, begin(&offer, &artifact("heap", b"another, as long"))).await;
    assert_eq!(upload.answer().await.unwrap().offset, 5, "it goes on");
    drop(upload);
    // It ended without it.
    let mut agent = Agent {
        dial: 1,
        ..Agent::new(1)
    };
    let runs = vec![item(&offer, v1::AttemptPhase::Running)];
    let mut session = agent.connect(&stack, runs, 9).await;
    session
        .report(
            &offer,
            finished_with(Verdict::Cancelled { confirmed: true }, Vec::new()),
        )
        .await;
    session.ack(&offer.token).await;
    let (dir, store) = (stack.artifacts.clone(), stack.stop().await);
    let stack = Stack::keeping(store, None, dir, None).await;
    until("nothing is on its way", || incoming(&stack).is_empty()).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn room_is_promised_once() {
    let stack = Stack::start().await;
    let (_run, _session, offer) = running(&stack).await;
    let all = v1::ArtifactBegin {
        bytes: limits::ARTIFACT_BYTES,
        ..begin(&offer, &artifact("heap", b""))
    };
    let mut heap = Upload::begin(&stack, all).await;
    assert_eq!(heap.answer().await.unwrap().offset, 0);
    let more = begin(&offer, &artifact("more", b"more\n"));
    let refused = Upload::begin(&stack, more.clone()).await.refused().await;
    assert!(
        refused.contains("with which the attempt would have"),
        "{refused:?}"
    );
    // Given up: its room is free, as soon as the server has seen that.
    drop(heap);
    let frees = async {
        while !Upload::begin(&stack, more.clone())
            .await
            .refused()
            .await
            .is_empty()
        {}
    };
    soon("room", frees).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_run_left_is_listed_by_pages() {
    let stack = Stack::start().await;
    let (run, mut session, offer) = running(&stack).await;
    let both = [artifact("heap", b"heap\n"), artifact("more", b"more\n")];
    put(&stack, &offer, "heap", b"heap\n").await;
    put(&stack, &offer, "more", b"more\n").await;
    session
        .report(&offer, finished_with(Verdict::Succeeded, both.to_vec()))
        .await;
    session.ack(&offer.token).await;
    let page = async |page_token: &str| {
        let request = v1::ListArtifactsRequest {
            run_id: run.clone(),
            limit: 1,
            page_token: page_token.to_owned(),
        };
        stack.runs().await.list_artifacts(request).await
    };
    let (mut names, mut token) = (Vec::new(), String::new());
    loop {
        let one = page(&token).await.unwrap().into_inner();
        assert_eq!(one.artifacts.len(), 1);
        names.extend(one.artifacts.into_iter().map(|one| one.name));
        token = one.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(names, ["heap", "more"]);
    let wrong = page("dump//1/other").await.unwrap_err();
    assert_eq!(wrong.code(), Code::InvalidArgument);
    stack.stop().await;
}
