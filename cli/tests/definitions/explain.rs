//! `firehall explain`.

use super::{answer, folder};

#[test]
fn a_code_is_found_however_it_is_written() {
    let folder = folder(&[]);
    let (code, page, _) = answer(folder.path(), &["explain", "FH0301"]);
    assert_eq!(code, Some(0));
    assert!(page.starts_with("FH0301: unknown step\n"), "{page}");
    for spelling in ["fh0301", "0301"] {
        assert_eq!(answer(folder.path(), &["explain", spelling]).1, page);
    }
}

#[test]
fn an_unknown_code_names_the_nearest_and_none_lists_all() {
    let folder = folder(&[]);
    let (code, out, err) = answer(folder.path(), &["explain", "FH031"]);
    assert_eq!((code, out.as_str()), (Some(2), ""));
    assert!(err.contains("did you mean FH03"), "{err}");
    let (code, out, _) = answer(folder.path(), &["explain"]);
    assert_eq!((code, out.lines().count()), (Some(0), workflow::Code::ALL.len()));
}

/// Runs a line of shell in which `firehall` is the binary under test.
fn shell(line: &str) -> std::process::Output {
    let folder = folder(&[]);
    let binary = std::path::Path::new(env!("CARGO_BIN_EXE_firehall"));
    let path = format!(
        "{}:{}",
        binary.parent().unwrap().display(),
        std::env::var("PATH").unwrap_or_default()
    );
    std::process::Command::new("sh")
        .args(["-c", line])
        .current_dir(folder.path())
        .env_clear()
        .env("PATH", path)
        .output()
        .unwrap()
}

#[test]
fn the_command_lines_among_the_examples_do_as_they_say() {
    let mut held = 0;
    for code in workflow::Code::ALL {
        let example = code.example();
        if example.kind != workflow::ExampleKind::Command {
            continue;
        }
        held += 1;
        let wrong = shell(example.wrong.trim());
        let out = String::from_utf8_lossy(&wrong.stdout);
        assert_eq!(wrong.status.code(), Some(2), "{out}");
        assert!(out.contains(&format!("error[{}]", code.as_str())), "{out}");
        let right = shell(example.right.trim());
        let out = String::from_utf8_lossy(&right.stdout);
        assert_eq!(right.status.code(), Some(0), "{code:?}: {out}");
    }
    assert_eq!(held, 4);
}

#[test]
fn a_page_shows_the_wrong_and_the_right_and_programs_get_all_pages() {
    let folder = folder(&[]);
    let (_, page, _) = answer(folder.path(), &["explain", "FH0205"]);
    let (wrong, right) = page.split_once("\nRight:\n").unwrap();
    assert!(
        wrong.contains("    timeout: 20\n") && right.contains("    timeout: 20s"),
        "{page}"
    );
    let (code, out, _) = answer(folder.path(), &["explain", "-o", "json"]);
    let pages: Vec<serde_json::Value> = out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((code, pages.len()), (Some(0), workflow::Code::ALL.len()));
    assert!(pages.iter().all(|page| page["wrong"] != page["right"]));
}
