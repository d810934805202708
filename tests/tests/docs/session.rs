//! One page as a reader at a terminal: its blocks from top to bottom in one shell, in namespaces of its own.

use std::{
    fmt::Write as _,
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use e2e::process;

use crate::{
    commands,
    markdown::{Block, Page, root},
    transcript,
};

/// A page ends within this, or fails.
const PATIENCE: Duration = Duration::from_secs(170);

/// Makes the namespaces a machine of its own.
const HOUSE: &str = include_str!("house.sh");

/// A command or a block, with what is expected of it.
struct Step {
    /// `page:line`.
    at: String,
    text: String,
    exit: i32,
    until: Option<String>,
    /// What a console shows.
    shown: Option<String>,
}

/// Runs a page; panics with the first block that does not do what the page says.
pub(crate) fn run(page: &Page) {
    let dir = tempfile::Builder::new().prefix("fh-docs-").tempdir().unwrap();
    let steps = steps(page);
    if steps.is_empty() {
        return;
    }
    let script = prepare(dir.path(), &steps);
    let ended = execute(dir.path(), &script);
    let reached = std::fs::read_to_string(dir.path().join("reached")).unwrap_or_default();
    let printed = |at: usize| std::fs::read_to_string(output(dir.path(), at)).unwrap_or_default();
    for (at, step) in steps.iter().enumerate() {
        if let Some(shown) = &step.shown
            && reached.lines().any(|line| line == format!("{at} ended"))
            && let Err(difference) = transcript::compare(&printed(at), shown)
        {
            panic!("{}: {}\n{difference}", step.at, step.text);
        }
    }
    if ended != Some(0) {
        let at = reached
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok())
            .next_back();
        let (at, step) = at.map_or((0, &steps[0]), |at: usize| (at, &steps[at]));
        let background = steps.iter().enumerate().filter(|(_, step)| step.until.is_some());
        let mut background: String = background.map(|(at, _)| printed(at)).collect();
        for entry in std::fs::read_dir(dir.path().join("tmp"))
            .into_iter()
            .flatten()
            .flatten()
        {
            if entry.path().extension().is_some_and(|end| end == "log") {
                background.push_str(&std::fs::read_to_string(entry.path()).unwrap_or_default());
            }
        }
        let ended = ended.map_or("it did not end in time".to_owned(), |code| format!("exit {code}"));
        panic!(
            "{}: {ended}, where {} was expected\n{}\n-- printed:\n{}\n-- in the background:\n{background}",
            step.at,
            step.exit,
            step.text,
            printed(at)
        );
    }
}

fn steps(page: &Page) -> Vec<Step> {
    let mut steps = Vec::new();
    for block in &page.blocks {
        if block.fence.word("skip").is_some() {
            continue;
        }
        let at = |line: usize| format!("{}:{}", page.name, block.line + line);
        match block.fence.language.as_str() {
            "sh" => steps.push(Step {
                at: at(0),
                text: commands::filled_in(&block.text),
                exit: block.fence.exit(),
                until: block.fence.word("until").map(str::to_owned),
                shown: None,
            }),
            "console" => {
                let exchanges =
                    transcript::read(&block.text).unwrap_or_else(|why| panic!("{}: {why}", at(0)));
                let last = exchanges.len() - 1;
                steps.extend(exchanges.into_iter().enumerate().map(|(i, one)| Step {
                    at: at(one.line),
                    text: commands::filled_in(&one.command),
                    exit: if i == last { block.fence.exit() } else { 0 },
                    until: None,
                    shown: Some(one.shown),
                }));
            }
            _ => steps.extend(saved(block, at(0))),
        }
    }
    steps
}

/// A block that a reader saves.
fn saved(block: &Block, at: String) -> Option<Step> {
    let name = block.fence.word("file")?;
    Some(Step {
        at,
        text: format!(
            "cat > {name} <<'END OF THE BLOCK'\n{}END OF THE BLOCK",
            block.text
        ),
        exit: 0,
        until: None,
        shown: None,
    })
}

fn output(dir: &Path, at: usize) -> PathBuf {
    dir.join(format!("{at}.out"))
}

/// Writes the script that runs all steps; answers its path.
fn prepare(dir: &Path, steps: &[Step]) -> PathBuf {
    stand_ins(dir);
    let here = dir.display();
    let mut script = HOUSE.to_owned();
    for (at, step) in steps.iter().enumerate() {
        let file = dir.join(format!("{at}.sh"));
        std::fs::write(&file, &step.text).unwrap();
        let (file, out) = (file.display(), output(dir, at));
        let out = out.display();
        _ = writeln!(script, "echo {at} begins >> {here}/reached");
        _ = match (&step.until, step.exit) {
            (Some(until), _) => writeln!(
                script,
                "( set -e; . {file} ) > {out} 2>&1 < /dev/null &\n\
                 for _ in $(seq 300); do ( {until} ) > /dev/null 2>&1 && break; sleep 0.1; done\n\
                 ( {until} ) >> {out} 2>&1 || {{ echo 'not so within 30 s: {until}' >> {out}; exit 91; }}"
            ),
            (None, 0) => writeln!(
                script,
                "set -e -o pipefail\n. {file} > {out} 2>&1 < /dev/null\nset +e"
            ),
            (None, exit) => writeln!(
                script,
                "set +e\n. {file} > {out} 2>&1 < /dev/null\nstatus=$?\n[ $status -eq {exit} ] || exit $status"
            ),
        };
        _ = writeln!(script, "echo {at} ended >> {here}/reached");
    }
    script.push_str("exit 0\n");
    let path = dir.join("page.sh");
    std::fs::write(&path, script).unwrap();
    path
}

/// What stands first on the page's PATH.
fn stand_ins(dir: &Path) {
    let bin = dir.join("bin");
    std::fs::create_dir(&bin).unwrap();
    symlink(process::binary(), bin.join("firehall")).unwrap();
    e2e::python::grpcurl(&bin).unwrap();
    for (name, script) in commands::stand_ins(&root()) {
        let path = bin.join(name);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Runs the script; its exit code, or nothing when it took too long.
fn execute(dir: &Path, script: &Path) -> Option<i32> {
    let path = std::env::var("PATH").unwrap_or_default();
    let log = std::fs::File::create(dir.join("page.log")).unwrap();
    let mut child = Command::new("unshare")
        .args([
            "--net",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "bash",
        ])
        .args([script, dir])
        .env_clear()
        .env("PATH", format!("{}:{path}", dir.join("bin").display()))
        .env("FIREHALL_BIN", process::binary())
        .env("PROJECT", root())
        .stdin(Stdio::null())
        .stdout(log.try_clone().unwrap())
        .stderr(log)
        .spawn()
        .expect("unshare is there");
    let begun = std::time::Instant::now();
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            return status.code().or(Some(-1));
        }
        if begun.elapsed() > PATIENCE {
            process::signal(child.id(), libc::SIGKILL);
            child.wait().unwrap();
            return None;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn a_page_that_says_something_else_fails() {
    let fails = |text: &str| {
        let text = text.to_owned();
        std::panic::catch_unwind(move || run(&Page::parse("p", &text))).is_err()
    };
    assert!(!fails(
        "```sh\nx=1\n```\n\n```console exit=3\n$ echo $x\n1\n$ (exit 3)\n```\n"
    ));
    assert!(fails("```sh\nfalse\ntrue\n```\n"));
    assert!(fails("```console\n$ echo one\ntwo\n```\n"));
    assert!(fails("```sh exit=3\nexit 2\n```\n"));
    assert!(fails("```console\n$ false\n```\n"));
    assert!(!fails(
        "```yaml file=a.yaml\na: $b\n```\n\n```console\n$ cat a.yaml\na: $b\n```\n"
    ));
}
