//! The pages of one run, and the streams and downloads beside them.

use proto::v1;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::{
    agent::{Agent, failed, started, succeeded},
    http::send,
    logs::Intake,
    stack::{ONE, Stack, TWO, soon},
};

/// An answer that may go on: what came of it so far.
struct Open {
    tcp: TcpStream,
    got: String,
}

impl Open {
    async fn get(stack: &Stack, path: &str, headers: &str) -> Self {
        let mut tcp = TcpStream::connect(stack.address).await.unwrap();
        let head = format!("GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n{headers}\r\n");
        tcp.write_all(head.as_bytes()).await.unwrap();
        Self {
            tcp,
            got: String::new(),
        }
    }

    /// Whether there was more.
    async fn more(&mut self) -> bool {
        let mut bytes = vec![0; 64 * 1024];
        let n = soon("more of the answer", self.tcp.read(&mut bytes))
            .await
            .unwrap_or(0);
        self.got.push_str(&String::from_utf8_lossy(&bytes[..n]));
        n > 0
    }

    async fn until(&mut self, what: &str) {
        while !self.got.contains(what) {
            assert!(self.more().await, "ended before {what:?}: {}", self.got);
        }
    }

    /// All of it, once it has ended.
    async fn whole(mut self) -> String {
        while self.more().await {}
        self.got
    }
}

async fn whole(stack: &Stack, path: &str) -> String {
    Open::get(stack, path, "").await.whole().await
}

/// The ids of a stream's events.
fn ids(stream: &str) -> Vec<u64> {
    let ids = stream.lines().filter_map(|line| line.strip_prefix("id: "));
    ids.map(|id| id.parse().unwrap()).collect()
}

async fn json(stack: &Stack, path: &str) -> Value {
    let answer = send(stack, &format!("GET {path} HTTP/1.1"), b"").await;
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    answer.body
}

async fn page(stack: &Stack, path: &str) -> String {
    let answer = json(stack, path).await;
    answer.as_str().unwrap_or_default().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn events_come_live_go_on_where_a_reader_was_and_end() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let events = format!("/runs/{run}/events");
    let mut live = Open::get(&stack, &events, "").await;
    live.until("run.started").await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    live.until("attempt.started").await;
    session.report(&offer, succeeded()).await;
    let live = live.whole().await;
    let last = stack.run(&run).await.seq;
    assert_eq!(ids(&live), (1..=last).collect::<Vec<_>>(), "no gap: {live}");
    assert!(live.contains("event: end"), "{live}");
    assert!(live.contains("\"outcome\":\"succeeded\""), "with bodies: {live}");

    let later = Open::get(&stack, &events, "Last-Event-ID: 2\r\n")
        .await
        .whole()
        .await;
    assert_eq!(ids(&later), (3..=last).collect::<Vec<_>>());
    // A browser comes with the address of its page and with what it heard last: the latter holds.
    let both = Open::get(&stack, &format!("{events}?after=0"), "Last-Event-ID: 3\r\n").await;
    assert_eq!(ids(&both.whole().await)[0], 4);
    let brief = whole(&stack, &format!("{events}?after=1&brief=1")).await;
    assert!(ids(&brief)[0] == 2 && !brief.contains("\"body\""), "{brief}");
    let done = whole(&stack, &format!("{events}?after={last}")).await;
    assert!(
        done.starts_with("HTTP/1.1 204"),
        "a browser does not ask again: {done}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stream_that_the_server_cuts_has_no_end() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut live = Open::get(&stack, &format!("/runs/{run}/events"), "").await;
    live.until("attempt.queued").await;
    stack.stop().await;
    assert!(
        !live.whole().await.contains("event: end"),
        "it goes on when the server is back"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_does_not_exist_or_is_malformed_is_said_on_a_page() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let none = "/runs/run_00000000000000000000000000";
    let own = format!("/runs/{run}");
    for (path, status, says) in [
        (format!("{none}/events"), 404, "there is no run"),
        (format!("{none}/history"), 404, "there is no run"),
        (format!("{none}/history.json"), 404, "there is no run"),
        (format!("{none}/logs"), 404, "there is no run"),
        ("/runs/nonsense/events".to_owned(), 400, "not a valid id"),
        (format!("{own}?page=0"), 400, "counted from 1"),
        (format!("{own}?page=x"), 400, "not a number"),
        (
            format!("{own}?q={}", "x".repeat(2_000)),
            400,
            "at most 1024 bytes",
        ),
        (format!("{own}/steps/nope"), 404, "there is no step"),
        (format!("{own}/steps/only?item=0"), 404, "does not fan out"),
        (format!("{own}/steps/only?item=-1"), 400, "not a number"),
        (format!("{own}/events?after=-1"), 400, "not a number"),
        (format!("{own}/events?brief=yes"), 400, "not 0 or 1"),
        (
            format!("{own}/history?after=99999999999999999999"),
            400,
            "not a number",
        ),
        (format!("{own}/logs?step=nope"), 404, "there is no step"),
        (format!("{own}/logs?step=only&attempt=7"), 404, "has no try 7"),
        (format!("{own}/logs?step=only&index=0"), 404, "leave index out"),
        (
            format!("{own}/logs?step=only&stream=stdin"),
            400,
            "not one of stdout, stderr",
        ),
        (format!("{own}/logs?step=only&from=0"), 400, "counted from 1"),
        (
            format!("{own}/logs/rows?step=only&count=9999"),
            400,
            "at most 2048",
        ),
        (format!("{own}/logs/search?step=only&q="), 400, "1 to 200"),
        (format!("{own}/logs.txt?step=only&offset=x"), 400, "not a number"),
    ] {
        let answer = send(&stack, &format!("GET {path} HTTP/1.1\r\nAccept: text/html"), b"").await;
        assert_eq!(answer.status, status, "{path}: {}", answer.body);
        let text = answer.body.as_str().unwrap_or_default();
        assert!(text.contains(says), "{path}: {text}");
    }
    stack.stop().await;
}

/// A run of one step that wrote a log and ended.
async fn logged(stack: &Stack) -> String {
    let run = stack.start_run(ONE).await;
    let mut session = Agent::new(1).connect(stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    let mut intake = Intake::open(stack).await;
    let text = "\u{1b}[31mred\u{1b}[0m <b>\n 10%\r 99%\nerr";
    assert_eq!(intake.send(&offer, 0, text, false).await.offset, 30);
    assert_eq!(
        intake
            .send_after(&offer, 1_000, 1_030, "or\nend\n", true)
            .await
            .offset,
        1_037
    );
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    stack.outcome(&run).await;
    run
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_rows_text_and_bytes() {
    let stack = Stack::start().await;
    let run = logged(&stack).await;
    let logs = format!("/runs/{run}/logs");

    let all = json(&stack, &format!("{logs}/rows?step=only")).await;
    let wanted = serde_json::json!([["red", "c1 fg", " <b>", ""], [" 99%", ""], ["err", ""], {"lost": 1_000}, ["or", ""], ["end", ""]]);
    assert_eq!(all["lines"], wanted);
    assert_eq!(
        (&all["rows"], &all["bytes"], &all["ended"]),
        (&6.into(), &1_037.into(), &true.into())
    );
    let some = json(&stack, &format!("{logs}/rows?step=only&from=3&count=2")).await;
    assert_eq!(some["lines"], serde_json::json!([{"lost": 1_000}, ["or", ""]]));
    let beyond = json(&stack, &format!("{logs}/rows?step=only&from=6000")).await;
    assert_eq!(beyond["lines"], serde_json::json!([]));

    let found = json(&stack, &format!("{logs}/search?step=only&q=e")).await;
    assert_eq!(found, serde_json::json!({"rows": [0, 2, 5], "count": 3}));

    let html = page(&stack, &format!("{logs}?step=only")).await;
    for part in [
        "id=\"L1\"",
        "<span class=\"c1 fg\">red</span>",
        "&lt;b&gt;",
        "1000 bytes lost here",
        "6 lines, 1.0 KiB",
    ] {
        assert!(html.contains(part), "{part}: {html}");
    }
    let pick = send(&stack, &format!("GET {logs} HTTP/1.1"), b"").await;
    assert_eq!(pick.status, 303);
    assert!(
        pick.head.contains(&format!("location: {logs}?step=only")),
        "{}",
        pick.head
    );

    let raw = whole(&stack, &format!("/runs/{run}/logs.txt?step=only")).await;
    assert!(
        raw.contains("\u{1b}[31mred") && raw.contains("[firehall: 1000 bytes lost here]"),
        "{raw}"
    );
    let head = raw.to_lowercase();
    for header in [
        "content-type: text/plain; charset=utf-8",
        "content-disposition: attachment",
        "nosniff",
    ] {
        assert!(head.contains(header), "{header}: {head}");
    }
    let rest = whole(&stack, &format!("/runs/{run}/logs.txt?step=only&offset=1033")).await;
    assert!(rest.contains("end\n") && !rest.contains("lost here"), "{rest}");
    let asked = send(
        &stack,
        &format!("HEAD /runs/{run}/logs.txt?step=only HTTP/1.1"),
        b"",
    )
    .await;
    assert_eq!((asked.status, asked.body.as_str()), (200, Some("")));

    let done = whole(&stack, &format!("{logs}/events?step=only&bytes=1037")).await;
    assert!(done.starts_with("HTTP/1.1 204"), "{done}");
    let behind = whole(&stack, &format!("{logs}/events?step=only&bytes=5")).await;
    assert!(
        behind.contains("\"rows\":6") && behind.contains("event: end"),
        "{behind}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_what_wrote_a_log_was_killed_every_reader_is_told_and_no_number_is_made_up() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    let mut intake = Intake::open(&stack).await;
    intake.send(&offer, 0, "begun\n", false).await;
    let logs = format!("/runs/{run}/logs");
    let open = page(&stack, &format!("{logs}?step=only")).await;
    assert!(
        open.contains("not ended") && open.contains("data-end-unknown=\"false\""),
        "{open}"
    );
    let mut live = Open::get(&stack, &format!("{logs}/events?step=only&bytes=0"), "").await;
    live.until("\"ended\":false").await;
    let killed = |stream: v1::LogStream, offset| v1::LogChunk {
        attempt: offer.attempt.clone(),
        token: offer.token.clone(),
        stream: stream.into(),
        offset,
        end: true,
        end_unknown: true,
        ..v1::LogChunk::default()
    };
    intake.say(killed(v1::LogStream::Stdout, 6)).await;
    intake.say(killed(v1::LogStream::Stderr, 0)).await;
    live.until("\"endUnknown\":true").await;

    const SAID: &str = "the end is not known: what wrote it was killed, so bytes may be missing here";
    for (query, rows) in [("step=only", 1), ("step=only&stream=stderr", 0)] {
        let html = page(&stack, &format!("{logs}?{query}")).await;
        assert!(
            html.contains(SAID) && html.contains("data-end-unknown=\"true\""),
            "{html}"
        );
        for word in [">complete<", "bytes lost", "It wrote nothing"] {
            assert!(!html.contains(word), "{word}: {html}");
        }
        let raw = whole(&stack, &format!("/runs/{run}/logs.txt?{query}")).await;
        assert!(raw.contains(&format!("\n[firehall: {SAID}]\n")), "{raw}");
        let all = json(&stack, &format!("{logs}/rows?{query}&from=0")).await;
        assert_eq!((&all["rows"], &all["endUnknown"]), (&rows.into(), &true.into()));
        for offset in [0, 6 * rows] {
            let request = v1::RunLogsRequest {
                run_id: run.clone(),
                step: "only".to_owned(),
                stream: if rows == 0 {
                    v1::LogStream::Stderr
                } else {
                    v1::LogStream::Stdout
                }
                .into(),
                offset,
                ..v1::RunLogsRequest::default()
            };
            let mut pieces = stack.runs().await.logs(request).await.unwrap().into_inner();
            let mut told = Vec::new();
            while let Some(piece) = soon("a piece", pieces.message()).await.unwrap() {
                assert_eq!(piece.lost, 0);
                told.push(piece.end_unknown);
            }
            assert_eq!(told.pop(), Some(true), "{query} {offset}");
            assert!(!told.contains(&true), "only at its end");
        }
    }
    session.report(&offer, succeeded()).await;
    session.ack(&offer.token).await;
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_is_followed_as_it_grows() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    let mut intake = Intake::open(&stack).await;
    intake.send(&offer, 0, "one\ntw", false).await;
    let mut live = Open::get(&stack, &format!("/runs/{run}/logs/events?step=only"), "").await;
    live.until("\"rows\":2").await;
    intake.send(&offer, 6, "o\nthree\n", false).await;
    live.until("\"rows\":3").await;
    let rows = json(&stack, &format!("/runs/{run}/logs/rows?step=only&from=1")).await;
    assert_eq!(
        rows["lines"],
        serde_json::json!([["two", ""], ["three", ""]]),
        "the row that had begun went on"
    );
    intake.send(&offer, 14, "four", true).await;
    session.report(&offer, succeeded()).await;
    let live = live.whole().await;
    assert!(
        live.contains("\"rows\":4") && live.contains("event: end"),
        "{live}"
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_its_steps_and_its_history_are_shown() {
    let stack = Stack::start().await;
    let run = stack.start_run(TWO).await;
    let mut session = Agent::new(1).connect(&stack, Vec::new(), 1).await;
    let offer = session.offer().await;
    session.report(&offer, started()).await;
    stack
        .until(&run, "the first step", |run| run.steps[0].state == "running")
        .await;
    let live = page(&stack, &format!("/runs/{run}")).await;
    assert!(live.contains("0 of 2 steps ended; now: first"), "{live}");
    assert!(
        live.contains(&format!("data-live=\"/runs/{run}/events?after=")),
        "{live}"
    );
    assert!(
        live.contains("first: running") && live.contains("waits for the end of first"),
        "{live}"
    );
    session.report(&offer, failed()).await;
    session.ack(&offer.token).await;
    stack.outcome(&run).await;

    let over = page(&stack, &format!("/runs/{run}")).await;
    assert!(
        !over.contains("data-live"),
        "what is over does not change: {over}"
    );
    assert!(over.contains("<title>✗ two"), "{over}");
    for (query, shown, hidden) in [
        ("?state=failed", "first", "second"),
        ("?q=SEC", "second", "first"),
    ] {
        let list = page(&stack, &format!("/runs/{run}{query}")).await;
        assert!(list.contains(&format!("id=\"step-{shown}\"")), "{query}");
        assert!(!list.contains(&format!("id=\"step-{hidden}\"")), "{query}");
    }
    let step = page(&stack, &format!("/runs/{run}/steps/first")).await;
    for part in [
        "exit 1",
        "scripted",
        "/bin/sh",
        &format!("/runs/{run}/logs?step=first&amp;attempt=1"),
    ] {
        assert!(step.contains(part), "{part}: {step}");
    }
    let history = page(&stack, &format!("/runs/{run}/history?kind=step.*&step=second")).await;
    assert!(
        history.contains("step.omitted") && !history.contains("attempt.queued"),
        "{history}"
    );
    let answer = whole(&stack, &format!("/runs/{run}/history.json")).await;
    let lines: Vec<Value> = answer
        .lines()
        .filter_map(|line| serde_json::from_str(line).ok())
        .filter(Value::is_object)
        .collect();
    assert_eq!(lines.len() as u64, stack.run(&run).await.seq);
    assert!(
        lines.iter().zip(1_u64..).all(|(line, seq)| line["seq"] == seq),
        "{lines:?}"
    );
    assert_eq!(lines[0]["body"]["plan"]["name"], "two");
    stack.stop().await;
}
