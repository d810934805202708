//! `http/request` against a server that keeps what it was sent and answers what it is told.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use actions::{ActionError, ActionOutput, Connections, Http, HttpAuth, HttpConnection, Registry};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};
use types::{FailureKind, Secret};

use crate::bench::{context, run_id};

type Replies = Arc<Mutex<Vec<Vec<u8>>>>;

/// One connection after the other: the next reply each; the last one for good.
struct Origin {
    url: String,
    heard: Arc<Mutex<Vec<String>>>,
}

impl Origin {
    async fn new(replies: &[Vec<u8>]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heard = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&heard);
        let replies: Replies = Arc::new(Mutex::new(replies.to_vec()));
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let mut buffer = vec![0; 64 * 1024];
                let read = stream.read(&mut buffer).await.unwrap_or(0);
                kept.lock()
                    .unwrap()
                    .push(String::from_utf8_lossy(&buffer[..read]).into_owned());
                let reply = {
                    let mut replies = replies.lock().unwrap();
                    if replies.len() > 1 {
                        replies.remove(0)
                    } else {
                        replies[0].clone()
                    }
                };
                let _gone = stream.write_all(&reply).await;
            }
        });
        Self { url, heard }
    }

    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap().clone()
    }

    fn connections(&self, auth: Option<HttpAuth>) -> Connections {
        let named = HttpConnection::new("place", &format!("{}/base", self.url), auth).unwrap();
        Connections {
            http: Http::new(["127.0.0.0/8".parse().unwrap()], [("place".to_owned(), named)]),
            ..Connections::default()
        }
    }
}

fn reply(status: u16, headers: &str, body: &[u8]) -> Vec<u8> {
    let head = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {}\r\nconnection: close\r\n{headers}\r\n",
        body.len()
    );
    [head.as_bytes(), body].concat()
}

fn json_reply(body: &str) -> Vec<u8> {
    reply(
        200,
        "content-type: application/json; charset=utf-8\r\nset-cookie: a=b\r\nx-request-id: r1\r\n",
        body.as_bytes(),
    )
}

async fn ask_at(
    connections: Connections,
    step: &str,
    attempt: u32,
    params: Value,
) -> (Result<ActionOutput, ActionError>, String) {
    let (context, mut lines) = context(connections, run_id(), step, attempt, Duration::from_secs(30));
    let result = Registry::builtin()
        .run("http/request", &context, params.as_object().unwrap().clone())
        .await;
    let mut log = String::new();
    while let Ok(line) = lines.try_recv() {
        log.push_str(&String::from_utf8(line).unwrap());
    }
    (result, log)
}

async fn ask(origin: &Origin, params: Value) -> Result<ActionOutput, ActionError> {
    ask_at(origin.connections(None), "step", 1, params).await.0
}

#[tokio::test]
async fn values_are_data_in_path_query_and_body() {
    let origin = Origin::new(&[json_reply(r#"{"ok":[1,null]}"#)]).await;
    let evil = "a/../b?c=d&e#f%2e%2e\r\nx: y \u{1b}[31m<b>";
    let params = json!({
        "url": format!("{}/v1/", origin.url), "method": "POST", "path": ["x", "a/b?c#d e%2f"],
        "query": {"q": evil, "k&": "1"}, "json": {"text": evil}, "headers": {"X-Team": "core"}
    });
    let out = ask(&origin, params).await.unwrap();
    assert_eq!(out.degraded, [""; 0]);
    assert_eq!(out.outputs["status"], json!(200));
    assert_eq!(out.outputs["json"], json!({"ok": [1, null]}));
    assert!(out.outputs.get("text").is_none() && out.outputs["truncated"] == json!(false));
    assert_eq!(
        out.outputs["url"],
        json!(format!("{}/v1/x/a%2Fb%3Fc%23d%20e%252f", origin.url))
    );
    let headers = out.outputs["headers"].as_object().unwrap();
    assert_eq!(headers["x-request-id"], json!("r1"));
    assert!(!headers.contains_key("set-cookie"));
    let heard = &origin.heard()[0];
    let (head, body) = heard.split_once("\r\n\r\n").unwrap();
    let target = head.lines().next().unwrap();
    assert!(
        target.starts_with(
            "POST /v1/x/a%2Fb%3Fc%23d%20e%252f?k%26=1&q=a%2F..%2Fb%3Fc%3Dd%26e%23f%252e%252e%0D%0Ax"
        ),
        "{target}"
    );
    assert!(
        head.contains("x-team: core") && !head.contains("\nx: y"),
        "{head}"
    );
    assert_eq!(
        serde_json::from_str::<Value>(body).unwrap(),
        json!({"text": evil})
    );
    let origin = Origin::new(&[reply(204, "", b"")]).await;
    let form = json!({"url": origin.url, "method": "PUT", "form": {"a b": "c&d=\u{e9}"}});
    let out = ask(&origin, form).await.unwrap();
    assert!(out.outputs.get("json").is_none() && out.outputs.get("text").is_none());
    assert!(
        origin.heard()[0].ends_with("a+b=c%26d%3D%C3%A9"),
        "{:?}",
        origin.heard()
    );
}

#[tokio::test]
async fn a_connection_brings_its_secret_and_the_plan_holds_none() {
    let secret = |text: &str| Secret::new(text.to_owned());
    for (auth, header) in [
        (
            HttpAuth::Bearer(secret("hush-1234")),
            "authorization: Bearer hush-1234",
        ),
        (
            HttpAuth::Basic(secret("ann:hush-1234")),
            "authorization: Basic YW5uOmh1c2gtMTIzNA==",
        ),
        (
            HttpAuth::Header(secret("X-Api-Key: hush-1234")),
            "x-api-key: hush-1234",
        ),
    ] {
        let origin = Origin::new(&[reply(200, "", b"fine")]).await;
        let connections = origin.connections(Some(auth));
        assert_eq!(connections.names(), ["http:place"]);
        assert!(connections.secrets().contains(&secret("hush-1234")));
        let params = json!({"connection": "place", "path": ["issue"]});
        let (out, log) = ask_at(connections, "step", 1, params).await;
        assert_eq!(out.unwrap().outputs["text"], json!("fine"));
        let heard = &origin.heard()[0];
        assert!(
            heard.starts_with("GET /base/issue ") && heard.contains(header),
            "{heard}"
        );
        assert!(!log.contains("hush"), "{log}");
    }
    let origin = Origin::new(&[reply(200, "", b"")]).await;
    for (name, value, why) in [
        ("Authorization", "Bearer x", "connection"),
        ("cookie", "a=b", "connection"),
        ("Host", "other", "agent itself"),
        ("x", "a\r\nb: c", "x"),
        ("a b", "c", "a b"),
    ] {
        let params = json!({"url": origin.url, "headers": {(name): value}});
        let error = ask(&origin, params).await.unwrap_err();
        assert!(
            error.kind == FailureKind::Action && error.message.contains(why),
            "{error}"
        );
    }
    let error = ask(&origin, json!({"connection": "other"})).await.unwrap_err();
    assert!(
        error.kind == FailureKind::Refused && error.message.contains("--http other=URL"),
        "{error}"
    );
    assert!(origin.heard().is_empty());
}

#[tokio::test]
async fn what_was_sent_and_led_on_is_in_doubt_whatever_is_there() {
    // "Done, look there": and there it is busy, gone, or nobody.
    for (place, there) in [
        ("/done", reply(429, "retry-after: 1\r\n", b"")),
        ("/done", reply(404, "", b"")),
        ("http://127.0.0.1:9/done", reply(200, "", b"done")),
        ("http://10.0.0.1/done", reply(200, "", b"done")),
    ] {
        let leads_on = reply(303, &format!("location: {place}\r\n"), b"");
        let origin = Origin::new(&[leads_on, there]).await;
        let params = json!({"url": origin.url, "method": "POST", "body": "x", "redirects": 2});
        let error = ask(&origin, params).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Action, "{place} {error}");
        assert!(
            error.message.contains("may have been carried out"),
            "{place} {error}"
        );
        let posts = origin
            .heard()
            .iter()
            .filter(|text| text.starts_with("POST"))
            .count();
        assert_eq!(posts, 1, "{place}");
    }
}

#[tokio::test]
async fn what_may_be_repeated_is_and_the_rest_is_in_doubt() {
    let busy = || reply(503, "retry-after: 1\r\n", b"\x1b[31mbusy\x1b[0m \xff");
    let cut = b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\nconnection: close\r\n\r\nab".to_vec();
    let origin = Origin::new(&[busy(), cut.clone(), reply(200, "", b"done")]).await;
    let params = json!({"url": origin.url});
    let (out, log) = ask_at(origin.connections(None), "step", 1, params).await;
    assert_eq!(out.unwrap().outputs["text"], json!("done"));
    assert_eq!(origin.heard().len(), 3);
    assert!(log.contains("HTTP 503: ") && !log.contains('\u{1b}'), "{log}");

    for first in [busy(), cut] {
        let origin = Origin::new(&[first.clone(), reply(200, "", b"done")]).await;
        let params = json!({"url": origin.url, "method": "POST", "body": "x"});
        let error = ask(&origin, params.clone()).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Action);
        assert!(error.message.contains("may have been carried out"), "{error}");
        assert_eq!(origin.heard().len(), 1);

        let origin = Origin::new(&[first, reply(200, "", b"done")]).await;
        let mut params = params;
        params["url"] = json!(origin.url);
        params["idempotent"] = json!(true);
        ask_at(origin.connections(None), "step", 1, params.clone())
            .await
            .0
            .unwrap();
        ask_at(origin.connections(None), "step", 2, params.clone())
            .await
            .0
            .unwrap();
        ask_at(origin.connections(None), "other", 1, params)
            .await
            .0
            .unwrap();
        let key = |head: &String| {
            let line = head.lines().find(|line| line.starts_with("idempotency-key: "));
            line.unwrap().to_owned()
        };
        let keys: Vec<String> = origin.heard().iter().map(key).collect();
        assert!(
            keys[0] == keys[1] && keys[1] == keys[2] && keys[2] != keys[3],
            "{keys:?}"
        );
    }

    let limited = Origin::new(&[reply(429, "retry-after: 3000\r\n", b"")]).await;
    let error = ask(&limited, json!({"url": limited.url})).await.unwrap_err();
    assert_eq!(
        (error.kind, error.retry_after_ms, limited.heard().len()),
        (FailureKind::RateLimited, Some(3_000_000), 1),
        "a wait beyond the step's time is the step's to decide"
    );
}

#[tokio::test]
async fn a_status_is_success_only_where_the_step_says_so() {
    let evil = "\u{1b}]0;x\u{7} \u{202e}no such <!channel>\nsecond line".repeat(50);
    let origin = Origin::new(&[reply(404, "", evil.as_bytes())]).await;
    let error = ask(&origin, json!({"url": format!("{}/a?token=1", origin.url)}))
        .await
        .unwrap_err();
    assert_eq!(error.kind, FailureKind::Action);
    assert!(error.message.contains("/a: HTTP 404: "), "{error}");
    assert!(
        error.message.len() < 500 && !error.message.contains("token"),
        "{error}"
    );
    assert!(!error.message.chars().any(types::text::is_unsafe), "{error}");
    let out = ask(&origin, json!({"url": origin.url, "expect": [200, 404]}))
        .await
        .unwrap();
    assert_eq!(out.outputs["status"], json!(404));
    let origin = Origin::new(&[reply(200, "", b"")]).await;
    let error = ask(&origin, json!({"url": origin.url, "expect": [201]}))
        .await
        .unwrap_err();
    assert!(error.message.ends_with("HTTP 200"), "{error}");
}

#[tokio::test]
async fn what_is_not_whole_is_degraded() {
    let long = "é".repeat(1_000);
    let origin = Origin::new(&[reply(200, "content-type: application/json\r\n", long.as_bytes())]).await;
    let out = ask(&origin, json!({"url": origin.url, "max_bytes": 101}))
        .await
        .unwrap();
    assert_eq!(out.outputs["text"], json!("é".repeat(50)));
    assert_eq!(out.outputs["truncated"], json!(true));
    assert!(
        out.degraded.len() == 1 && out.degraded[0].contains("longer than 101"),
        "{:?}",
        out.degraded
    );
    let origin = Origin::new(&[reply(200, "", b"ab\xff\xfecd")]).await;
    let out = ask(&origin, json!({"url": origin.url})).await.unwrap();
    assert_eq!(out.outputs["text"], json!("ab\u{fffd}\u{fffd}cd"));
    assert!(out.degraded[0].contains("from byte 2"), "{:?}", out.degraded);
    for body in ["{\"a\":", &"[".repeat(5_000)] {
        let origin = Origin::new(&[json_reply(body)]).await;
        let out = ask(&origin, json!({"url": origin.url})).await.unwrap();
        assert_eq!(out.outputs["text"], json!(body));
        assert!(
            out.degraded[0].contains("says that it is JSON"),
            "{:?}",
            out.degraded
        );
    }
}

#[tokio::test]
async fn what_is_inside_is_refused_at_once() {
    let origin = Origin::new(&[reply(200, "", b"secret")]).await;
    for url in [
        &origin.url,
        "http://169.254.169.254/latest/meta-data/",
        "http://localhost/",
    ] {
        let params = json!({"url": url, "retries": 10});
        let (result, log) = ask_at(Connections::default(), "step", 1, params).await;
        let error = result.unwrap_err();
        assert_eq!(error.kind, FailureKind::Refused);
        assert!(error.message.contains("reaches public ones only"), "{error}");
        assert_eq!(
            error.message.contains("--allow net:"),
            !url.contains("169.254."),
            "{error}"
        );
        assert_eq!(log.lines().count(), 1, "it is not tried again: {log}");
    }
    assert!(origin.heard().is_empty());
    let away = format!("location: {}/\r\n", origin.url);
    let lure = Origin::new(&[reply(302, &away, b"")]).await;
    let connections = Connections {
        http: Http::new(
            [],
            [(
                "lure".to_owned(),
                HttpConnection::new("lure", &lure.url, None).unwrap(),
            )],
        ),
        ..Connections::default()
    };
    let (result, _) = ask_at(connections, "step", 1, json!({"connection": "lure"})).await;
    assert_eq!(result.unwrap_err().kind, FailureKind::Refused);
    assert!(origin.heard().is_empty());
}

#[tokio::test]
async fn parameters_that_make_no_request_are_told() {
    let origin = Origin::new(&[reply(200, "", b"")]).await;
    let url = &origin.url;
    for (params, why) in [
        (json!({}), "give `url`"),
        (json!({"url": url, "connection": "place"}), "its own URL"),
        (json!({"url": "no url"}), "url"),
        (json!({"url": "file:///etc/passwd"}), "neither http nor https"),
        (json!({"url": "http://a:b@127.0.0.1/"}), "user name"),
        (json!({"url": url, "method": "TRACE"}), "method"),
        (json!({"url": url, "method": "GET\r\nx"}), "method"),
        (json!({"url": url, "path": [".."]}), "path[0]"),
        (json!({"url": url, "path": ["a", "%2E%2e"]}), "path[1]"),
        (json!({"url": url, "path": [""]}), "path[0]"),
        (json!({"url": url, "json": 1, "body": "x"}), "give one of"),
        (json!({"url": url, "retries": 11}), "retries"),
        (json!({"url": url, "seconds": 0}), "seconds"),
        (json!({"url": url, "max_bytes": 1_000_000}), "max_bytes"),
        (json!({"url": url, "expect": [99]}), "expect"),
    ] {
        let error = ask(&origin, params.clone()).await.unwrap_err();
        assert_eq!(error.kind, FailureKind::Action, "{params}");
        assert!(error.message.contains(why), "{params}: {error}");
    }
    assert!(origin.heard().is_empty());
}
