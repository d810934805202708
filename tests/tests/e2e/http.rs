//! `http/request` through the real binaries: a place by name with its secret, and what is inside refused.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::mpsc,
    time::Duration,
};

use e2e::stack::Stack;

use crate::incident::step;

const SECRET: &str = "hush-4f1b2c9d";

/// Answers each connection with this body, and hands over what it was sent.
fn place(body: &'static str) -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (heard, hear) = mpsc::sync_channel(100);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
            let mut buffer = [0; 16 * 1024];
            let read = stream.read(&mut buffer).unwrap_or(0);
            // Another test's client, whose server had this port before: it asks for nothing.
            if read == 0 {
                continue;
            }
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 201 Created\r\ncontent-type: application/json\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
            );
            let _gone = stream.write_all(answer.as_bytes());
            if heard
                .send(String::from_utf8_lossy(&buffer[..read]).into_owned())
                .is_err()
            {
                break;
            }
        }
    });
    (url, hear)
}

#[test]
fn a_place_by_name_is_asked_with_its_secret_and_nothing_else_inside_is() {
    let (url, heard) = place(r#"{"key":"OPS-7"}"#);
    let mut stack = Stack::server();
    let env = [("HTTP_TRACKER_BEARER".to_owned(), SECRET.to_owned())];
    stack.agent("one", &["--http", &format!("tracker={url}/api")], &env);
    let definition = format!(
        r#"
name: ask
inputs:
  title: {{ type: string }}
steps:
  ticket:
    uses: http/request
    with:
      connection: tracker
      method: POST
      path: [issue]
      json: {{ title: "${{{{ inputs.title }}}}" }}
      expect: [201]
  inside:
    uses: http/request
    with: {{ url: "{url}/secret" }}
    allow-failure: true
"#
    );
    let file = stack.file("ask.yaml", &definition);
    let plan = stack.cli(&["plan", &file, "--input", "title=t"]);
    let plan = String::from_utf8(plan.stdout).unwrap();
    assert!(plan.contains("connection http:tracker"), "{plan}");
    let run = stack.start(&definition, &["--input", "title=disk \"full\""]);
    let view = stack.finished(&run);
    let ticket = step(&view, "ticket");
    assert_eq!(ticket["state"], "succeeded", "{view:#}");
    assert_eq!(ticket["outputs"]["json"]["key"], "OPS-7");
    let sent = heard.recv_timeout(Duration::from_secs(20)).unwrap();
    assert!(sent.starts_with("POST /api/issue HTTP/1.1\r\n"), "{sent}");
    assert!(
        sent.contains(&format!("authorization: Bearer {SECRET}")),
        "{sent}"
    );
    assert!(
        sent.contains(&format!("idempotency-key: {run}.ticket\r\n")),
        "{sent}"
    );
    assert!(sent.ends_with(r#"{"title":"disk \"full\""}"#), "{sent}");
    let inside = step(&view, "inside");
    assert_eq!(inside["state"], "failed", "{view:#}");
    assert!(
        inside.to_string().contains("--allow net:127.0.0.1/32"),
        "{inside:#}"
    );
    assert!(heard.try_recv().is_err(), "nothing was sent there");
    let all = format!("{view}{}", String::from_utf8_lossy(&stack.logs(&run, "ticket")));
    assert!(!all.contains(SECRET) && all.contains("http: POST"), "{all}");
}
