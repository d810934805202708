//! Files made to cost time, memory or clarity: each is answered, in bounds, without a panic.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use nix::sys::resource::{UsageWho, getrusage};
use types::limits::{DEFINITION_BYTES, STEPS};

use super::{firehall, folder};

/// What a check may hold, in KiB: 200 MB.
const MEMORY_KIB: i64 = 200 * 1_000 * 1_000 / 1_024;
/// A guard against what is not linear, not a measure of speed: the machine of a test may be busy.
const TIME: Duration = Duration::from_secs(20);

/// Checks one text; gives the codes that were found, each once.
fn codes(name: &str, bytes: &[u8]) -> Vec<String> {
    let folder = folder(&[("w.yaml", bytes)]);
    let mut found = Vec::new();
    for output in ["json", "text"] {
        let began = Instant::now();
        let answer = firehall(folder.path(), &["check", "-o", output, "w.yaml"], b"");
        let took = began.elapsed();
        let out = String::from_utf8(answer.stdout).unwrap();
        let err = String::from_utf8(answer.stderr).unwrap();
        assert!(took < TIME, "{name}: {took:?}");
        assert_eq!(err, "", "{name}");
        // What waited for children says the most that any of them held.
        let held = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
        assert!(held < MEMORY_KIB, "{name}: {held} KiB");
        assert!(out.len() < 500_000, "{name}: {} bytes said", out.len());
        if output == "json" {
            let report: serde_json::Value = serde_json::from_str(&out).unwrap();
            let diagnostics = report["diagnostics"].as_array().unwrap();
            assert_eq!(
                answer.status.code(),
                Some(if diagnostics.is_empty() { 0 } else { 2 }),
                "{name}"
            );
            found.extend(
                diagnostics
                    .iter()
                    .map(|one| one["code"].as_str().unwrap().to_owned()),
            );
            found.dedup();
            if found.is_empty() {
                break;
            }
        }
    }
    found
}

/// A workflow of as many steps as are allowed, each made by its number.
fn steps(count: usize, step: impl Fn(usize) -> String) -> String {
    let mut text = String::from("name: t\nsteps:\n");
    for n in 0..count {
        writeln!(text, "  s{n}: {{ image: a, run: b, {} }}", step(n)).unwrap();
    }
    text
}

#[test]
fn ten_thousand_steps_right_and_wrong() {
    let none = Vec::<String>::new();
    let chain = |n: usize| match n {
        0 => "outputs: { x: int }".to_owned(),
        n => format!(
            "env: {{ A: \"${{{{ steps.s{}.outputs.x }}}}\" }}, outputs: {{ x: int }}",
            n - 1
        ),
    };
    assert_eq!(codes("a chain", steps(STEPS, chain).as_bytes()), none);
    assert_eq!(
        codes("wide", steps(STEPS, |_| "retry: 1".to_owned()).as_bytes()),
        none
    );
    let cycle = |n: usize| format!("needs: s{}", (n + 1) % STEPS);
    assert_eq!(
        codes("a cycle of all", steps(STEPS, cycle).as_bytes()),
        ["FH0310"]
    );
    let near = |n: usize| format!("needs: z{n}");
    assert_eq!(
        codes("each needs a wrong one", steps(STEPS, near).as_bytes()),
        ["FH0301", "FH0110"]
    );
    let reads = |n: usize| format!("env: {{ A: \"${{{{ steps.x{n}.outputs.z }}}}\" }}");
    assert_eq!(
        codes("each reads a wrong one", steps(STEPS, reads).as_bytes()),
        ["FH0301", "FH0110"]
    );
    let key = |_| "tiemout: 5s".to_owned();
    assert_eq!(
        codes("each has a wrong key", steps(STEPS, key).as_bytes()),
        ["FH0201", "FH0110"]
    );
    assert_eq!(
        codes(
            "one too many",
            steps(STEPS + 1, |_| "retry: 1".to_owned()).as_bytes()
        ),
        ["FH0211"]
    );
    let dense = |n: usize| {
        let all: Vec<String> = (0..n).map(|m| format!("s{m}")).collect();
        format!("needs: [{}]", all.join(", "))
    };
    assert_eq!(codes("each needs all before", steps(600, dense).as_bytes()), none);
}

#[test]
fn bombs_and_depths() {
    let mut bomb = String::from("name: t\na: &a [x, x, x, x, x, x, x, x, x]\n");
    for (name, of) in ('b'..='z').zip('a'..='z') {
        let nine = vec![format!("*{of}"); 9].join(", ");
        writeln!(bomb, "{name}: &{name} [{nine}]").unwrap();
    }
    bomb.push_str("steps: { s: { image: x, run: y } }\n");
    assert_eq!(codes("a bomb of aliases", bomb.as_bytes()), ["FH0104"]);
    for (name, text) in [
        ("lists in lists", "[".repeat(1_000_000)),
        ("maps in maps", "{a: ".repeat(250_000)),
        ("dashes", "- ".repeat(500_000)),
        (
            "blocks in blocks",
            (0..1_400).fold(String::new(), |text, n| text + &" ".repeat(n) + "a:\n"),
        ),
    ] {
        assert_eq!(codes(name, text.as_bytes()), ["FH0108"], "{name}");
    }
    assert_eq!(codes("complex keys", "? ".repeat(500_000).as_bytes()).len(), 1);
    let inside = |expression: &str| {
        format!(
            "name: t\nsteps: {{ a: {{ image: x, run: y, env: {{ A: \"${{{{ {expression} }}}}\" }} }} }}\n"
        )
    };
    for (name, expression) in [
        ("parentheses", "(".repeat(1_000)),
        ("an endless sum", "1+".repeat(300_000)),
        ("negations", "!".repeat(1_500)),
        ("lists in an expression", "[".repeat(1_500)),
    ] {
        assert_eq!(codes(name, inside(&expression).as_bytes()), ["FH0402"], "{name}");
    }
    let many = "${{ nope }}".repeat(90_000);
    let text = format!("name: t\nsteps: {{ a: {{ image: x, run: y, env: {{ A: \"{many}\" }} }} }}\n");
    assert_eq!(codes("many expressions", text.as_bytes()), ["FH0307", "FH0110"]);
}

#[test]
fn many_keys_and_long_lines() {
    let keys = (0..100_000).fold(String::from("name: t\n"), |text, n| text + &format!("k{n}: 1\n"));
    assert_eq!(codes("100,000 keys", keys.as_bytes()), ["FH0201", "FH0110"]);
    let same = "name: t\nsteps:\n".to_owned() + &"  a: {}\n".repeat(100_000);
    assert_eq!(
        codes("one key 100,000 times", same.as_bytes()),
        ["FH0103", "FH0110"]
    );
    let line = (0..9_000).fold(String::from("name: t\nsteps: {"), |text, n| {
        text + &format!("s{n}: {{ imag: a, run: b, name: \"{}\" }}, ", "é".repeat(20))
    });
    assert_eq!(
        codes("all on one line", format!("{line}}}\n").as_bytes()),
        ["FH0201", "FH0110"]
    );
    let name = format!(
        "name: {}\nsteps: {{ a: {{ image: x, run: y }} }}\n",
        "x".repeat(1_000_000)
    );
    assert_eq!(codes("a name of a megabyte", name.as_bytes()), ["FH0207"]);
    // A key has at most 1,024 characters in YAML.
    let key = format!(
        "\"{}\": 1\nname: t\nsteps: {{ a: {{ image: x, run: y }} }}\n",
        "y".repeat(1_000_000)
    );
    assert_eq!(codes("a key of a megabyte", key.as_bytes()), ["FH0102"]);
    let items = vec!["{a: [1, 2, 3]}"; 60_000].join(", ");
    let each = format!("name: t\nsteps: {{ a: {{ image: x, run: y, foreach: [{items}] }} }}\n");
    assert_eq!(codes("60,000 items", each.as_bytes()), ["FH0204"]);
    let list = vec!["1"; 500_000].join(",");
    let with = format!("name: t\nsteps: {{ a: {{ uses: incident/parse, with: {{ alert: [{list}] }} }} }}\n");
    assert_eq!(codes("a parameter of 500,000 parts", with.as_bytes()), ["FH0501"]);
}

#[test]
fn what_is_no_text() {
    for (name, bytes, code) in [
        ("NUL", vec![0; 1_000_000], "FH0102"),
        ("no UTF-8", vec![0xff; 1_000_000], "FH0112"),
        ("a surrogate", b"name: \xed\xa0\x80\n".to_vec(), "FH0112"),
        ("cut in a character", "name: é".as_bytes()[..7].to_vec(), "FH0112"),
        ("UTF-16", b"\xff\xfen\0a\0".to_vec(), "FH0112"),
        ("nothing", Vec::new(), "FH0109"),
        ("line breaks", vec![b'\n'; DEFINITION_BYTES], "FH0109"),
        ("one byte too many", vec![b'#'; DEFINITION_BYTES + 1], "FH0101"),
    ] {
        assert_eq!(codes(name, &bytes), [code], "{name}");
    }
    let steering = b"name: \x1b[2J\nsteps: { a: { image: x, run: y } }\n";
    assert_eq!(codes("an escape sequence as it is", steering), ["FH0207"]);
    let good = "name: t\nsteps:\n  a: { image: x, run: y }\n";
    assert!(codes("a byte order mark", format!("\u{feff}{good}").as_bytes()).is_empty());
    assert!(codes("CRLF", good.replace('\n', "\r\n").as_bytes()).is_empty());
    assert_eq!(
        codes("a tab", b"name: t\nsteps:\n\ta: { image: x, run: y }\n"),
        ["FH0102"]
    );
}

/// A file that never ends costs no more than the limit: of 100 MB, and of /dev/zero, one byte beyond it is read.
#[test]
fn no_more_is_read_than_tells_that_it_is_too_much() {
    let folder = folder(&[]);
    let large = fs_err::File::create(folder.path().join("large.yaml")).unwrap();
    large.set_len(100_000_000).unwrap();
    for file in ["large.yaml", "/dev/zero"] {
        let began = Instant::now();
        let answer = firehall(folder.path(), &["check", "-o", "json", file], b"");
        let out = String::from_utf8(answer.stdout).unwrap();
        assert!(out.contains("FH0101") && answer.status.code() == Some(2), "{out}");
        assert!(began.elapsed() < TIME);
    }
    let held = getrusage(UsageWho::RUSAGE_CHILDREN).unwrap().max_rss();
    assert!(held < 80_000, "{held} KiB");
}
