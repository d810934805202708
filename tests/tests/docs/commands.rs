//! What the shell of a page knows beside the real commands, and what `firehall …` in running text must mean.

use std::{collections::BTreeSet, path::Path, sync::LazyLock};

use e2e::process;
use regex::{Captures, Regex};

use crate::{markdown::Page, pages};

static PLACEHOLDER: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r#"(^|[\s"'/=])(RUN|INC|AGENT)($|[\s"';:|])"#).unwrap());

/// Puts what is meant in the place of `RUN`, `INC` and `AGENT`.
pub(crate) fn filled_in(commands: &str) -> String {
    // A comment at a line's end is prose.
    let fill = |line: &str| {
        let (code, comment) = line.split_once(" # ").unwrap_or((line, ""));
        let mut code = code.to_owned();
        loop {
            let next = PLACEHOLDER.replace(&code, |c: &Captures<'_>| {
                format!("{}$({}){}", &c[1], &c[2], &c[3])
            });
            if next == code {
                break;
            }
            code = next.into_owned();
        }
        if comment.is_empty() {
            code
        } else {
            format!("{code} # {comment}")
        }
    };
    commands.lines().map(|line| fill(line) + "\n").collect()
}

/// Programs that a page's shell finds before the real ones: `cargo` builds and tests nothing here (the binary is built, and
/// these are the tests), it looks up what the command means.
/// `systemctl enable --now` starts what a unit starts, without systemd's walls.
pub(crate) fn stand_ins(root: &Path) -> [(&'static str, String); 2] {
    let here = root.display();
    let cargo = include_str!("cargo.sh").replace("HERE", &here.to_string());
    let systemctl = include_str!("systemctl.sh").to_owned();
    [("cargo", cargo), ("systemctl", systemctl)]
}

/// `firehall word word … --flag` in running text: the command is there, and so are its flags.
#[test]
fn commands_in_running_text_exist() {
    let mut asked = BTreeSet::new();
    let mut wrong = Vec::new();
    for name in pages::all() {
        for (line, code) in Page::read(&name).inline {
            let Some(rest) = code.strip_prefix("firehall ") else {
                continue;
            };
            let is_command = |word: &&str| word.chars().all(|c| c.is_ascii_lowercase());
            let words: Vec<&str> = rest.split(' ').take_while(is_command).take(2).collect();
            let flags: Vec<&str> = rest
                .split([' ', '='])
                .filter(|word| word.starts_with("--"))
                .collect();
            if !asked.insert((words.join(" "), flags.join(" "))) {
                continue;
            }
            let help = process::run(words.iter().copied().chain(["--help"]));
            let said = String::from_utf8_lossy(&help.stdout).into_owned();
            let lacks = flags.iter().any(|flag| !said.contains(flag));
            if !help.status.success() || lacks {
                wrong.push(format!("{name}:{line}: {code}"));
            }
        }
    }
    assert!(asked.len() > 10, "{asked:?}");
    assert!(wrong.is_empty(), "no such command or flag:\n{}", wrong.join("\n"));
}

#[test]
fn placeholders_are_filled_in_where_they_are_words() {
    assert_eq!(
        filled_in("firehall logs RUN check # of RUN\necho \"$RUN\" RUNS RUN INC"),
        "firehall logs $(RUN) check # of RUN\necho \"$RUN\" RUNS $(RUN) $(INC)\n"
    );
}
