//! What a step leaves on its page: listed, got as it is, and never shown as what it says it is.

use e2e::{Stack, browser::passes};
use serde_json::json;

/// A page of HTML that would act on this origin, and a directory with names that lead elsewhere.
const HOSTILE: &str = r#"
name: leaves
steps:
  dump:
    image: host
    services:
      web:
        image: host
        run: echo "<script>hostile('service')</script>"; touch /tmp/up; exec sleep 600
        ready: { run: test -e /tmp/up }
    run: |
      printf '<script>hostile("artifact")</script>' > /tmp/page
      mkdir /tmp/odd
      touch '/tmp/odd/<img src=x onerror=hostile(1)>' '/tmp/odd/"; rm -rf x' "/tmp/odd/$(printf 'a\033[31m\nb')"
    artifacts:
      page: { path: /tmp/page, media-type: text/html }
      odd: /tmp/odd
"#;

#[test]
fn what_a_step_left_is_got_from_its_page_and_not_run_there() {
    let stack = Stack::with_agent();
    let run = stack.start(HOSTILE, &[]);
    let view = stack.finished(&run);
    assert_eq!(view["outcome"], "succeeded", "{view:#}");
    passes(&stack, "artifacts", &json!({ "run": run }));
}
