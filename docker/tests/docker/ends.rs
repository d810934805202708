//! How attempts end.

use std::time::Duration;

use docker::{Host, Registries};
use runtime::{ArtifactEnd, AttemptDir, Runtime, SpecArtifact, StartErrorKind};

use bollard::models::ContainerCreateBody;
use bollard::query_parameters::{CreateContainerOptionsBuilder, ListImagesOptions};

use crate::service::Podman;
use crate::support::{Deed, Operator, PATIENCE, Place, ended, exec, finished, says, script};

#[tokio::test(flavor = "multi_thread")]
async fn output_code_and_hardening_of_a_short_step() {
    let place = Place::new().await;
    let ran = place
        .run(script(
            "echo out; echo err >&2; echo n=1 >> $FIREHALL_OUTPUT; echo slow >> $FIREHALL_DEGRADED; exit 7",
        ))
        .await;
    assert_eq!(
        (ran.record.code, ran.record.signal, ran.record.started),
        (Some(7), None, true),
        "{:?}",
        ran.record
    );
    assert_eq!((ran.out().as_str(), ran.err().as_str()), ("out\n", "err\n"));
    assert_eq!((ran.record.stdout.bytes, ran.record.stderr.bytes), (4, 4));
    assert_eq!(ran.dir.output().unwrap(), b"n=1\n");
    assert_eq!(ran.dir.degraded().unwrap(), b"slow\n");
    let hardening = ran.record.hardening.unwrap();
    assert!(hardening.no_new_privs && hardening.seccomp == 2, "{hardening:?}");
    assert_eq!(hardening.memory_limit_bytes, Some(64 * 1024 * 1024));
    assert_eq!(hardening.pids_limit, Some(33));
    assert!(ran.record.peak_memory_bytes > 0);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_program_that_is_not_there_is_a_start_error() {
    let place = Place::new().await;
    let ran = place.run(exec(&["no-such-program"])).await;
    assert_eq!(ran.record.start_error.unwrap().kind, StartErrorKind::NotFound);
    assert!(!ran.record.started);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signals_timeouts_memory_and_stops_are_told_apart() {
    let place = Place::new().await;
    let mut late = script("trap 'echo term; exit 3' TERM; echo up; while :; do sleep 0.1; done");
    (late.timeout_ms, late.grace_ms) = (4_000, 30_000);
    let mut deaf = script("trap '' TERM; echo up; while :; do sleep 0.1; done");
    (deaf.timeout_ms, deaf.grace_ms) = (3_000, 200);
    let hungry = script("x=$(head -c 100000000 /dev/zero | tr '\\0' x); echo ${#x}");
    let (killed, late, deaf, hungry) = tokio::join!(
        place.run(script("kill -9 $$")),
        place.run(late),
        place.run(deaf),
        place.run(hungry),
    );
    assert_eq!(
        (killed.record.signal, killed.record.oom_kills),
        (Some(9), 0),
        "{:?}",
        killed.record
    );
    assert!(
        late.record.timed_out && !late.record.killed_after_grace && late.out().contains("term"),
        "{:?}",
        late.record
    );
    assert!(
        deaf.record.timed_out && deaf.record.killed_after_grace,
        "{:?}",
        deaf.record
    );
    assert!(
        hungry.record.oom_kills > 0 && hungry.record.code != Some(0),
        "{:?}",
        hungry.record
    );
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restarted_agent_adopts_what_runs_and_stops_it() {
    let place = Place::new().await;
    let dir = place.dir();
    let spec = script("trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.1; done");
    drop(place.docker.start(&dir, spec.clone(), Vec::new()).await.unwrap());
    says(&dir.join("out"), "up").await;
    let again = place.again().await;
    // Asked to start what runs, it starts nothing.
    drop(again.start(&dir, spec, Vec::new()).await.unwrap());
    let found = again.adopt(&dir).await.unwrap();
    assert!(again.remove(&dir).await.is_err(), "what runs is not removed");
    again.stop(&dir).await.unwrap();
    let record = finished(found).await;
    assert!(record.stopped && record.code == Some(0), "{record:?}");
    assert_eq!(std::fs::read_to_string(dir.join("out")).unwrap(), "up\nbye\n");
    again.remove(&dir).await.unwrap();
    assert!(!dir.exists() && again.owned().await.unwrap().is_empty());
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_end_while_no_agent_was_there_is_read_back_whole() {
    let place = Place::new().await;
    let dir = place.dir();
    let spec = script("echo first; sleep 1; seq 1 1000; exit 5");
    drop(place.docker.start(&dir, spec, Vec::new()).await.unwrap());
    tokio::time::sleep(Duration::from_secs(2)).await;
    let again = place.again().await;
    let record = finished(again.adopt(&dir).await.unwrap()).await;
    assert_eq!(record.code, Some(5), "{record:?}");
    let out = std::fs::read_to_string(dir.join("out")).unwrap();
    assert_eq!(out.lines().count(), 1_001);
    // And read again it is the same.
    assert_eq!(finished(again.adopt(&dir).await.unwrap()).await, record);
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_behind_our_back_is_a_clear_end() {
    is_a_clear_end(&Host::find().unwrap(), "killed from outside").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_operator_does_to_podman_is_a_clear_end() {
    let podman = Podman::start(None);
    // It does not tell of an end by memory.
    is_a_clear_end(
        &podman.host(),
        "killed, from outside (podman kill, the host going down) or for its memory",
    )
    .await;
}

async fn is_a_clear_end(host: &Host, killed: &str) {
    let place = Place::on(host.clone(), Registries::default()).await;
    for (deed, word) in [
        (Deed::Kill, killed),
        (Deed::Remove, "outside"),
        (Deed::Stop, "TERM came from outside"),
    ] {
        let dir = place.dir();
        let spec = script("trap 'exit 0' TERM; echo up; while :; do sleep 0.1; done");
        let name = format!("firehall-{}", spec.id);
        let found = place.docker.start(&dir, spec, Vec::new()).await.unwrap();
        says(&dir.join("out"), "up").await;
        Operator::on(host).does(deed, &name).await;
        let record = finished(found).await;
        assert!(!record.stopped && !record.timed_out, "{deed:?} {record:?}");
        let by = record.ended_by.clone().unwrap_or_default();
        assert!(by.contains(word), "{deed:?} {record:?}");
        // Only our pid 1 counts what it did not write. It is killed at once, or (Podman removes so) hears TERM first.
        let killed = record.signal == Some(9);
        assert!(killed || deed != Deed::Kill, "{deed:?} {record:?}");
        let told = [&record.stdout, &record.stderr].map(|stream| stream.end_unknown);
        assert_eq!(told, [killed; 2], "{deed:?} {record:?}");
    }
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_was_created_and_never_told_to_go_is_made_anew() {
    is_made_anew(&Host::find().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn full_one_that_podman_created_is_made_anew() {
    let podman = Podman::start(None);
    is_made_anew(&podman.host()).await;
}

async fn is_made_anew(host: &Host) {
    let place = Place::on(host.clone(), Registries::default()).await;
    let spec = script("echo once");
    let name = format!("firehall-{}", spec.id);
    // As an agent that died between the daemon's create and the reply leaves it.
    place.run(script("true")).await;
    let operator = Operator::on(host).0;
    let images = operator.list_images(None::<ListImagesOptions>).await.unwrap();
    let tags = images.iter().flat_map(|image| &image.repo_tags);
    let host = tags
        .clone()
        .find(|tag| tag.starts_with("localhost/firehall-host:"))
        .unwrap();
    let body = ContainerCreateBody {
        image: Some(host.clone()),
        cmd: Some(vec!["/bin/true".to_owned()]),
        ..Default::default()
    };
    let options = CreateContainerOptionsBuilder::default().name(&name).build();
    operator.create_container(Some(options), body).await.unwrap();
    let dir = place.dir();
    let found = place.docker.start(&dir, spec, Vec::new()).await.unwrap();
    let record = finished(found).await;
    assert_eq!(record.code, Some(0), "{record:?}");
    place.docker.remove(&dir).await.unwrap();
    assert!(matches!(
        ended(place.docker.adopt(&dir).await.unwrap()).await,
        runtime::Ended::NeverStarted(_)
    ));
    place.leave().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_step_is_thawed_and_ended_when_its_time_is_over() {
    let place = Place::new().await;
    let dir = place.dir();
    let mut spec = script("echo up; while :; do sleep 0.1; done");
    (spec.timeout_ms, spec.grace_ms) = (4_000, 200);
    let name = format!("firehall-{}", spec.id);
    let found = place.docker.start(&dir, spec, Vec::new()).await.unwrap();
    says(&dir.join("out"), "up").await;
    Operator::new().does(Deed::Pause, &name).await;
    let record = finished(found).await;
    assert!(record.timed_out, "{record:?}");
    place.leave().await;
}

/// Pid 1 copies what is kept before it writes its record: killed in between, nobody knows how the step ended.
#[tokio::test(flavor = "multi_thread")]
async fn a_kill_while_artifacts_are_copied_is_no_success_and_keeps_none_by_half() {
    const BYTES: u64 = 60_000_000;
    let place = Place::new().await;
    let dir = place.dir();
    let mut spec = script("head -c 60000000 /dev/urandom > /tmp/big; echo ended");
    (spec.memory_bytes, spec.tmp_bytes, spec.artifact_bytes) = (256 << 20, 64 << 20, 64 << 20);
    spec.artifacts.push(SpecArtifact {
        name: "big".to_owned(),
        path: "/tmp/big".to_owned(),
    });
    let name = format!("firehall-{}", spec.id);
    let found = place.docker.start(&dir, spec, Vec::new()).await.unwrap();
    let kept = AttemptDir::new(&dir).artifacts();
    let until = std::time::Instant::now() + PATIENCE;
    while std::fs::metadata(&kept).map_or(0, |meta| meta.len()) == 0 {
        assert!(std::time::Instant::now() < until, "nothing was copied");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    // On a machine that copies faster than this it is late, and all is there.
    let _late = Operator::new().0.kill_container(&name, None).await;
    let record = finished(found).await;
    match record.artifacts.as_slice() {
        [] => {
            assert_eq!((record.code, record.signal), (None, Some(9)), "{record:?}");
            assert!(record.ended_by.is_some(), "{record:?}");
        }
        [one] => {
            assert_eq!(record.code, Some(0), "{record:?}");
            assert!(
                matches!(one.end, ArtifactEnd::Kept { bytes: BYTES, .. }),
                "{record:?}"
            );
        }
        more => panic!("{more:?}"),
    }
    place.docker.remove(&dir).await.unwrap();
    place.leave().await;
}
