//! A step with a real service beside it: asked by its name, its log, its file, its secret, and what is told of it.

use e2e::{Stack, http};

const BESIDE: &str = r#"
name: beside
steps:
  ask:
    image: host
    services:
      web:
        image: host
        files: { /srv/firehall-test/index.html: "hello from beside\n" }
        secrets: { PASSWORD: WEB_PASSWORD }
        run: |
          echo "the password is $PASSWORD"
          exec busybox httpd -f -v -p 8080 -h /srv/firehall-test
        ready: { tcp: 8080 }
    run: busybox wget -q -O - http://web:8080/index.html; test -z "$PASSWORD"; ls /srv/firehall-test 2>/dev/null || true
"#;

#[test]
fn a_step_asks_a_web_server_beside_it_by_its_name() {
    let mut stack = Stack::server();
    let secret = ("WEB_PASSWORD".to_owned(), "hunter2-of-the-web".to_owned());
    stack.agent("one", &["--secret-env", "WEB_PASSWORD"], &[secret]);
    let run = stack.start(BESIDE, &[]);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    assert_eq!(stack.logs(&run, "ask"), b"hello from beside\n");

    let logs = stack.cli(&["logs", &run, "ask", "--service", "web"]);
    let logs = String::from_utf8(logs.stdout).unwrap();
    assert_eq!(logs, "the password is ***\n");
    let errors = stack.cli(&["logs", &run, "ask", "--service", "web", "--stderr"]);
    let errors = String::from_utf8(errors.stdout).unwrap();
    assert!(errors.contains("response:200"), "{errors:?}");

    let shown = String::from_utf8(stack.cli(&["show", &run]).stdout).unwrap();
    assert!(
        shown.contains("service: ") && shown.contains("web") && shown.contains("ready after"),
        "{shown}"
    );
    let page = |path: &str| {
        http::request(stack.address(), "GET", path, &[], b"")
            .unwrap()
            .body
    };
    let step = page(&format!("/runs/{run}/steps/ask"));
    assert!(
        step.contains("stream=service:web") && step.contains("ready after"),
        "{step}"
    );
    let log = page(&format!("/runs/{run}/logs?step=ask&attempt=1&stream=service:web"));
    assert!(
        log.contains("the password is ***") && !log.contains("hunter2"),
        "{log}"
    );
}
