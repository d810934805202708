//! The page's forms: what a person asks for with them happens once, and what is refused comes back as it was entered.

use proto::v1;

use crate::{
    agent::{Agent, accepted, succeeded},
    http::{Answer, send},
    pages::{get, text},
    stack::{ONE, Stack},
};

const BOUND: &str = "
name: bound
on:
  alert: {}
inputs:
  users: { type: list<string>, default: [\"@oncall\"] }
  depth: { type: int, default: 3 }
  mode: { type: string, enum: [fast, deep], default: fast }
steps:
  only:
    image: host
    run: echo hello
";

/// Sends a form as a browser does that has this page open.
async fn submit(stack: &Stack, path: &str, origin: &str, fields: &[(&str, &str)]) -> Answer {
    let encode = |text: &str| -> String {
        let encoded = text.bytes().map(|byte| format!("%{byte:02x}"));
        encoded.collect()
    };
    let pairs = fields
        .iter()
        .map(|(name, value)| format!("{}={}", encode(name), encode(value)));
    let body = pairs.collect::<Vec<_>>().join("&");
    let head = format!(
        "POST {path} HTTP/1.1\r\nAccept: text/html\r\nOrigin: {origin}\r\nContent-Type: application/x-www-form-urlencoded"
    );
    send(stack, &head, body.as_bytes()).await
}

/// The same, from a page of the server itself.
async fn own(stack: &Stack, path: &str, fields: &[(&str, &str)]) -> Answer {
    submit(stack, path, "http://localhost", fields).await
}

fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 303, "{}: {}", answer.head, text(answer));
    let line = answer
        .head
        .lines()
        .find_map(|line| line.strip_prefix("location: "));
    line.unwrap_or_default().to_owned()
}

/// The key that a form's page has.
fn key(page: &Answer) -> String {
    let rest = text(page)
        .split("name=\"key\" value=\"")
        .nth(1)
        .unwrap_or_default();
    let key = rest.split('"').next().unwrap_or_default().to_owned();
    assert!(key.starts_with("page-") && key.len() > 20, "{key}");
    key
}

async fn runs(stack: &Stack) -> usize {
    let request = v1::ListRunsRequest::default();
    stack
        .runs()
        .await
        .list(request)
        .await
        .unwrap()
        .into_inner()
        .runs
        .len()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_incident_is_opened_once_however_often_the_form_is_sent() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let form = get(&stack, "/incidents/new").await;
    assert_eq!(form.status, 200);
    assert!(text(&form).contains("name=\"input.users\"") && text(&form).contains("bound"));
    let key = key(&form);
    let fields = [
        ("key", key.as_str()),
        ("title", "it burns <b>"),
        ("severity", "high"),
        ("tags", "team:a\r\nteam:b\r\n"),
        ("test", "on"),
        ("input.users", "a@x\r\nb@x"),
        ("input.depth", ""),
        ("input.mode", "\"deep\""),
    ];
    let first = location(&own(&stack, "/incidents/new", &fields).await);
    let second = location(&own(&stack, "/incidents/new", &fields).await);
    assert_eq!(first, second);
    assert_eq!(runs(&stack).await, 1);
    let page = get(&stack, &first).await;
    for says in ["it burns &lt;b&gt;", "high", "team:b", "bound started", "manual"] {
        assert!(text(&page).contains(says), "{says}: {}", text(&page));
    }
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_comes_back_as_it_was_entered() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let key = key(&get(&stack, "/incidents/new").await);
    let fields = [
        ("key", key.as_str()),
        ("title", " "),
        ("severity", "critical"),
        ("description", "</textarea><script>x"),
    ];
    let refused = own(&stack, "/incidents/new", &fields).await;
    let html = text(&refused);
    assert_eq!(refused.status, 400, "{html}");
    assert!(html.contains("id=\"field-title-error\""), "{html}");
    assert!(html.contains("<option value=\"critical\" selected>"), "{html}");
    assert!(
        html.contains("&lt;/textarea&gt;&lt;script&gt;x</textarea>"),
        "{html}"
    );
    assert!(
        html.contains(&format!("value=\"{key}\"")),
        "the key is the same one"
    );
    // What is corrected goes through with it.
    let fields = [("key", key.as_str()), ("title", "now"), ("severity", "critical")];
    location(&own(&stack, "/incidents/new", &fields).await);
    // The key is used: another request with it is refused, and gets a key of its own.
    let fields = [
        ("key", key.as_str()),
        ("title", "another"),
        ("severity", "critical"),
    ];
    let used = own(&stack, "/incidents/new", &fields).await;
    assert_eq!(used.status, 409);
    assert!(!text(&used).contains(&key) && text(&used).contains("value=\"another\""));
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_workflow_is_run_with_its_inputs_by_their_types() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let path = "/workflows/bound/run";
    let form = get(&stack, path).await;
    let html = text(&form);
    for says in [
        "@oncall</textarea>",
        "value=\"3\"",
        "<option value=\"&quot;fast&quot;\" selected>",
    ] {
        assert!(html.contains(says), "{says}: {html}");
    }
    let key = key(&form);
    let wrong = own(
        &stack,
        path,
        &[("key", &key), ("input.depth", "many"), ("input.mode", "\"slow\"")],
    )
    .await;
    assert_eq!(wrong.status, 400);
    assert!(
        text(&wrong).contains("id=\"field-input.depth-error\""),
        "{}",
        text(&wrong)
    );
    let wrong = own(
        &stack,
        path,
        &[("key", &key), ("input.depth", "4"), ("input.mode", "\"slow\"")],
    )
    .await;
    assert!(
        text(&wrong).contains("id=\"field-input.mode-error\""),
        "{}",
        text(&wrong)
    );
    assert_eq!(runs(&stack).await, 0);
    let none = own(&stack, path, &[("key", &key)]).await;
    assert!(
        text(&none).contains("id=\"field-payload-error\""),
        "{}",
        text(&none)
    );
    assert_eq!(runs(&stack).await, 0);
    let fields = [
        ("key", key.as_str()),
        ("input.depth", "4"),
        ("input.users", ""),
        ("payload", "{\"id\": \"1\", \"title\": \"t\"}"),
    ];
    let run = location(&own(&stack, path, &fields).await);
    assert_eq!(run, location(&own(&stack, path, &fields).await));
    let history = stack
        .watch(run.trim_start_matches("/runs/"), 0)
        .await
        .message()
        .await
        .unwrap()
        .unwrap();
    let body: serde_json::Value = serde_json::from_str(&history.body_json).unwrap();
    assert_eq!(
        body["inputs"],
        serde_json::json!({"depth": 4, "mode": "fast", "users": []})
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_run_is_cancelled_and_run_again() {
    let stack = Stack::start().await;
    let run = stack.start_run(ONE).await;
    let page = get(&stack, &format!("/runs/{run}")).await;
    assert!(
        text(&page).contains(&format!("href=\"/runs/{run}/cancel\"")),
        "{}",
        text(&page)
    );
    let early = own(&stack, &format!("/runs/{run}/rerun"), &[("key", "k")]).await;
    assert_eq!(early.status, 409);
    assert!(text(&early).contains("has not ended"), "{}", text(&early));
    let path = format!("/runs/{run}/cancel");
    for _ in 0..2 {
        let to = location(&own(&stack, &path, &[("reason", "enough")]).await);
        assert_eq!(to, format!("/runs/{run}"));
    }
    assert_eq!(stack.outcome(&run).await, v1::Outcome::Cancelled);
    let over = get(&stack, &path).await;
    let html = text(&over);
    assert!(html.contains("there is nothing to cancel"), "{html}");
    assert!(
        !html.contains("<button") && !html.contains("name=\"reason\""),
        "{html}"
    );
    let path = format!("/runs/{run}/rerun");
    let wrong = own(&stack, &path, &[("key", "k"), ("from", "onyl")]).await;
    assert_eq!(wrong.status, 400);
    assert!(text(&wrong).contains("field-from-error"), "{}", text(&wrong));
    let again = location(&own(&stack, &path, &[("key", "k"), ("from", "only")]).await);
    assert_eq!(
        again,
        location(&own(&stack, &path, &[("key", "k"), ("from", "only")]).await)
    );
    assert_eq!(stack.run(again.trim_start_matches("/runs/")).await.rerun_of, run);
    let nobody = get(&stack, &format!("/runs/{run}/resolve?step=nope")).await;
    assert_eq!(nobody.status, 404);
    let decided = own(
        &stack,
        &format!("/runs/{run}/resolve"),
        &[("step", "only"), ("verdict", "failed")],
    )
    .await;
    assert_eq!(decided.status, 409, "{}", text(&decided));
    // What is wrong with a hidden field is said above the form.
    let item = own(
        &stack,
        &format!("/runs/{run}/resolve"),
        &[("step", "only"), ("index", "x"), ("verdict", "failed")],
    )
    .await;
    assert_eq!(item.status, 400);
    assert!(
        text(&item).contains("index: not the number of an item"),
        "{}",
        text(&item)
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_is_drained_and_takes_work_again() {
    let stack = Stack::start().await;
    let mut agent = Agent::new(1);
    let mut session = agent.connect(&stack, Vec::new(), 1).await;
    let id = stack.agents().await[0].id.clone();
    let page = get(&stack, "/agents").await;
    assert!(
        text(&page).contains(&format!("href=\"/agents/{id}/drain\"")),
        "{}",
        text(&page)
    );
    let to = location(&own(&stack, &format!("/agents/{id}/drain"), &[("reason", "kernel")]).await);
    assert_eq!(to, format!("/agents#{id}"));
    assert!(stack.agents().await[0].draining);
    assert!(text(&get(&stack, "/agents").await).contains("drained"));
    let run = stack.start_run(ONE).await;
    location(&own(&stack, &format!("/agents/{id}/undrain"), &[]).await);
    let offer = session.offer().await;
    session.report(&offer, accepted()).await;
    session.report(&offer, succeeded()).await;
    assert_eq!(stack.outcome(&run).await, v1::Outcome::Succeeded);
    assert_eq!(
        get(&stack, "/agents/agt_00000000000000000000000000/drain")
            .await
            .status,
        404
    );
    stack.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_from_elsewhere_cannot_send_any_form() {
    let stack = Stack::start().await;
    stack.put(BOUND).await;
    let run = stack.start_run(ONE).await;
    let paths = [
        "/incidents/new".to_owned(),
        "/workflows/bound/run".to_owned(),
        format!("/runs/{run}/cancel"),
        format!("/runs/{run}/rerun"),
        format!("/runs/{run}/resolve"),
        "/agents/agt_00000000000000000000000000/drain".to_owned(),
        "/agents/agt_00000000000000000000000000/undrain".to_owned(),
    ];
    for path in &paths {
        for origin in ["https://evil.example", "null", "http://localhost:1"] {
            let fields = [("title", "x"), ("severity", "high"), ("key", "k")];
            let refused = submit(&stack, path, origin, &fields).await;
            assert_eq!(refused.status, 403, "{path} from {origin}");
        }
        let cross = format!(
            "POST {path} HTTP/1.1\r\nSec-Fetch-Site: cross-site\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Dest: document\r\n\
             Content-Type: application/x-www-form-urlencoded"
        );
        assert_eq!(
            send(&stack, &cross, b"title=x&severity=high").await.status,
            403,
            "{path}"
        );
        let json = format!("POST {path} HTTP/1.1\r\nContent-Type: application/json");
        let status = send(&stack, &json, b"{}").await.status;
        assert!(matches!(status, 404 | 415), "{path}: {status}");
    }
    assert_eq!(runs(&stack).await, 1);
    assert_eq!(stack.run(&run).await.outcome(), v1::Outcome::Unspecified);
    stack.stop().await;
}
