//! What becomes of steps in containers, as the server hears it.

use proto::v1::LogStream;
use serde_json::json;
use types::{Failure, FailureKind, HostView, LeaseToken, OutputFrom, Verdict, Work, WorkBody};

use super::{
    fake::{Fake, token},
    process::{Agent, Witness, swept},
    work::{container, output, script, work},
};

struct Place {
    fake: Fake,
    tmp: tempfile::TempDir,
    _agent: Agent,
}

impl Place {
    async fn new() -> Self {
        let fake = Fake::start().await;
        let tmp = tempfile::tempdir().unwrap();
        let agent = Agent::spawn(&fake.url(), tmp.path());
        let runtimes = fake
            .until("Hello", |s| s.hellos.last().map(|hello| hello.runtimes.clone()))
            .await;
        assert_eq!(
            runtimes,
            ["native"],
            "the native runtime does not work here; see the agent's log"
        );
        Self {
            fake,
            tmp,
            _agent: agent,
        }
    }

    async fn run(&self, work: &Work) -> (LeaseToken, types::AttemptReport) {
        let token = token();
        self.fake.offer(&token, work).await;
        let report = self.fake.finished(&token).await;
        (token, report)
    }

    async fn failure(&self, work: &Work) -> Failure {
        match self.run(work).await.1.verdict {
            Verdict::Failed { failure } => failure,
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn outputs_logs_and_environment_come_back_and_nothing_is_left() {
    let place = Place::new().await;
    let mut work = script(
        r#"echo to-out; echo to-err >&2
        echo "used_mb=42" >> "$FIREHALL_OUTPUT"
        echo "{\"name\":\"who\",\"value\":\"$FIREHALL_STEP/$FIREHALL_ATTEMPT/$FIREHALL_RUN_ID\"}" >> "$FIREHALL_OUTPUT"
        echo "one thing" >> "$FIREHALL_DEGRADED"; echo "$FIREHALL_TOKEN""#,
    );
    output(&mut work, "used_mb", "int");
    output(&mut work, "who", "string");
    let (token, report) = place.run(&work).await;
    assert_eq!(
        report.verdict,
        Verdict::Degraded {
            reasons: vec!["one thing".to_owned()]
        }
    );
    let who = format!("step/1/{}", super::fake::key().run);
    assert_eq!(
        serde_json::Value::Object(report.outputs),
        json!({"used_mb": 42, "who": who})
    );
    assert_eq!(report.exit.unwrap().code, Some(0));
    assert!(report.runtime.unwrap().contains("seccomp 2"));
    let out = place.fake.log(&token, LogStream::Stdout).await;
    assert_eq!(
        String::from_utf8(out.bytes).unwrap(),
        format!("to-out\n{token}\n")
    );
    assert_eq!(place.fake.log(&token, LogStream::Stderr).await.bytes, b"to-err\n");
    swept(place.tmp.path()).await;
}

/// Something holds a place in the attempt's directory, as a mount does, when its step has ended.
#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_removed_at_once_is_removed_later() {
    let place = Place::new().await;
    let token = token();
    place.fake.offer(&token, &script("sleep 1")).await;
    place.fake.started(&token).await;
    let dir = place.tmp.path().join("attempts").join(token.as_str());
    let held = dir.join("held");
    std::fs::create_dir(&held).unwrap();
    let run = |program: &str, args: &[&std::ffi::OsStr]| {
        let done = std::process::Command::new(program).args(args).status().unwrap();
        assert!(done.success(), "{program}: {done}");
    };
    let tmpfs = ["-t", "tmpfs", "held"].map(std::ffi::OsStr::new);
    run("mount", &[&tmpfs[..], &[held.as_os_str()]].concat());
    place.fake.finished(&token).await;
    tokio::time::sleep(std::time::Duration::from_millis(500)).await;
    let stayed = held.exists();
    run("umount", &[held.as_os_str()]);
    assert!(stayed, "a mount cannot be removed");
    swept(place.tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_end_is_told_apart() {
    let place = Place::new().await;
    let failure = place.failure(&script("echo some reason >&2; exit 3")).await;
    assert_eq!((failure.kind, failure.exit_code), (FailureKind::Exit, Some(3)));
    assert!(failure.message.contains("some reason"), "{}", failure.message);
    let failure = place.failure(&script("kill -SEGV $$")).await;
    assert_eq!(failure.kind, FailureKind::Signal);
    assert!(failure.message.contains("SIGSEGV"), "{}", failure.message);
    let mut slow = script("trap '' TERM; while :; do sleep 0.05 || true; done");
    (slow.timeout_ms, slow.grace_ms) = (2_000, 200);
    let (_, report) = place.run(&slow).await;
    assert!(matches!(&report.verdict, Verdict::Failed { failure } if failure.kind == FailureKind::Timeout));
    assert!(report.exit.unwrap().killed_after_grace);
    let mut hungry = container("head -c 200000000 /dev/zero | tail -c 150000000 > /dev/null");
    hungry.resources.memory_bytes = 32 * 1024 * 1024;
    assert_eq!(
        place.failure(&work(WorkBody::Container(hungry))).await.kind,
        FailureKind::Oom
    );
    let mut absent = container("");
    absent.argv = vec!["/no/such/program".to_owned()];
    assert_eq!(
        place.failure(&work(WorkBody::Container(absent))).await.kind,
        FailureKind::Start
    );
    let mut wrong = script("echo used_mb=much >> $FIREHALL_OUTPUT");
    output(&mut wrong, "used_mb", "int");
    let failure = place.failure(&wrong).await;
    assert_eq!(failure.kind, FailureKind::Output);
    assert!(
        failure.message.contains("line 1") && failure.message.contains("used_mb"),
        "{}",
        failure.message
    );
    swept(place.tmp.path()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_policy_does_not_allow_is_refused_and_says_how() {
    let place = Place::new().await;
    let mut sys = container("true");
    sys.host_view.insert(HostView::Sys);
    let failure = place.failure(&work(WorkBody::Container(sys))).await;
    assert!(failure.kind == FailureKind::Refused && failure.message.contains("--allow host-view:sys"));
    let mut secret = container("true");
    secret.secrets.insert("TOKEN".to_owned(), "NO_SUCH".to_owned());
    let failure = place.failure(&work(WorkBody::Container(secret))).await;
    assert!(failure.kind == FailureKind::Refused && failure.message.contains("--secret-env NO_SUCH"));
    let mut proc = container("test -r /host/proc/loadavg");
    proc.host_view.insert(HostView::Proc);
    let (_, report) = place.run(&work(WorkBody::Container(proc))).await;
    assert_eq!(report.verdict, Verdict::Succeeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_that_cannot_be_had_is_a_start_that_failed_and_says_why() {
    let place = Place::new().await;
    let mut image = container("true");
    // Nobody listens there.
    image.image = "127.0.0.1:9/debian:13".to_owned();
    let failure = place.failure(&work(WorkBody::Container(image))).await;
    assert_eq!(failure.kind, FailureKind::Start, "{}", failure.message);
    let said = &failure.message;
    assert!(
        said.contains("127.0.0.1:9/debian:13") && said.contains("cannot be reached"),
        "{said}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn one_json_object_on_standard_output_is_taken_whole() {
    let place = Place::new().await;
    let mut json = container(r#"echo '{"load": [1, 2]}'"#);
    json.output_from = OutputFrom::StdoutJson;
    let mut work = work(WorkBody::Container(json));
    output(&mut work, "load", "list<int>");
    let (_, report) = place.run(&work).await;
    assert_eq!(serde_json::Value::Object(report.outputs), json!({"load": [1, 2]}));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_ends_it_and_a_copy_of_the_offer_starts_nothing() {
    let place = Place::new().await;
    let witness = Witness::new();
    let work = script(&format!("{}sleep 60", witness.say("start")));
    let token = token();
    place.fake.offer(&token, &work).await;
    place.fake.offer(&token, &work).await;
    witness.until("start").await;
    place.fake.offer(&token, &work).await;
    place.fake.started(&token).await;
    place.fake.stop(&token).await;
    let report = place.fake.finished(&token).await;
    assert_eq!(report.verdict, Verdict::Cancelled { confirmed: true });
    place.fake.offer(&token, &work).await;
    place.fake.log(&token, LogStream::Stdout).await;
    swept(place.tmp.path()).await;
    assert_eq!(witness.heard(), ["start"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_flood_is_cut_counted_and_does_not_hold_up_the_report() {
    let place = Place::new().await;
    let total = 90_000_000_u64;
    let work = script(&format!(
        "echo first; head -c {total} /dev/zero | tr '\\0' x; echo; echo last"
    ));
    let (token, report) = place.run(&work).await;
    assert_eq!(report.verdict, Verdict::Succeeded);
    let whole = total + "first\n\nlast\n".len() as u64;
    assert_eq!(report.usage.stdout_bytes, whole);
    let held = place.fake.log(&token, LogStream::Stdout).await;
    assert_eq!(held.bytes.len() as u64, types::limits::LOG_STREAM_BYTES);
    assert_eq!(held.bytes.len() as u64 + held.lost, whole);
    assert!(held.bytes.starts_with(b"first\nxxx") && held.bytes.ends_with(b"xxx\nlast\n"));
    swept(place.tmp.path()).await;
}
