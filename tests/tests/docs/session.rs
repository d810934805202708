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
    /// Its line in the page, from 1.
    line: usize,
    text: String,
    exit: i32,
    until: Option<String>,
    /// What a console shows, with its first line in the page.
    shown: Option<(usize, String)>,
}

/// Runs a page; panics with the first block that does not do what the page says. With `SNAPSHOTS=overwrite` consoles
/// get what their commands print.
pub(crate) fn run(page: &Page) {
    let dir = tempfile::Builder::new().prefix("fh-docs-").tempdir().unwrap();
    let steps = steps(page);
    if steps.is_empty() {
        return;
    }
    let script = prepare(dir.path(), &steps);
    let ended = execute(dir.path(), &script);
    let session = Session {
        page,
        dir: dir.path(),
        steps: &steps,
        reached: std::fs::read_to_string(dir.path().join("reached")).unwrap_or_default(),
    };
    let differences = session.differences();
    if std::env::var("SNAPSHOTS").is_ok_and(|what| what == "overwrite") && root().join(&page.name).is_file() {
        session.overwrite(&differences);
    } else if let Some((at, difference)) = differences.first() {
        let step = &steps[*at];
        panic!(
            "{}:{}: {}\n{difference}\nSNAPSHOTS=overwrite puts what was printed into the page",
            page.name, step.line, step.text
        );
    }
    if ended != Some(0) {
        session.tell(ended);
    }
}

/// What became of a page's steps.
struct Session<'a> {
    page: &'a Page,
    dir: &'a Path,
    steps: &'a [Step],
    /// `N begins` and `N ended`.
    reached: String,
}

impl Session<'_> {
    fn printed(&self, at: usize) -> String {
        std::fs::read_to_string(output(self.dir, at)).unwrap_or_default()
    }

    /// Steps that printed something else than the page shows.
    fn differences(&self) -> Vec<(usize, String)> {
        let ended = |at: usize| self.reached.lines().any(|line| line == format!("{at} ended"));
        let shown = self.steps.iter().enumerate().filter_map(|(at, step)| {
            let (_, shown) = step.shown.as_ref().filter(|_| ended(at))?;
            Some((at, transcript::compare(&self.printed(at), shown).err()?))
        });
        shown.collect()
    }

    /// Puts what was printed into the page.
    fn overwrite(&self, differences: &[(usize, String)]) {
        let path = root().join(&self.page.name);
        let text = std::fs::read_to_string(&path).unwrap();
        let mut lines: Vec<&str> = text.lines().collect();
        let printed: Vec<_> = differences
            .iter()
            .map(|(at, _)| (*at, self.printed(*at)))
            .collect();
        for (at, printed) in printed.iter().rev() {
            let (first, shown) = self.steps[*at].shown.as_ref().unwrap();
            let there = first - 1..first - 1 + shown.lines().count();
            lines.splice(there, printed.trim_end().lines());
        }
        std::fs::write(&path, lines.join("\n") + "\n").unwrap();
    }

    /// Fails with the step at which the page stopped.
    fn tell(&self, ended: Option<i32>) -> ! {
        let mut begun = self
            .reached
            .lines()
            .filter_map(|line| line.split(' ').next()?.parse().ok());
        let at = begun.next_back().unwrap_or(0);
        let step: &Step = &self.steps[at];
        let ended = ended.map_or("it did not end in time".to_owned(), |code| format!("exit {code}"));
        let background = self
            .steps
            .iter()
            .enumerate()
            .filter(|(_, step)| step.until.is_some());
        let background: String = background
            .map(|(at, _)| self.printed(at))
            .chain(self.logs())
            .collect();
        panic!(
            "{}:{}: {ended}, where {} was expected\n{}\n-- printed:\n{}\n-- in the background:\n{background}",
            self.page.name,
            step.line,
            step.exit,
            step.text,
            self.printed(at)
        );
    }

    /// What stands in for systemctl keeps logs in the temporary directory.
    fn logs(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.join("tmp"))
            .into_iter()
            .flatten()
            .flatten();
        let logs = entries.filter(|entry| entry.path().extension().is_some_and(|end| end == "log"));
        logs.filter_map(|entry| std::fs::read_to_string(entry.path()).ok())
            .collect()
    }
}

fn steps(page: &Page) -> Vec<Step> {
    let mut steps = Vec::new();
    for block in &page.blocks {
        if block.fence.word("skip").is_some() {
            continue;
        }
        match block.fence.language.as_str() {
            "sh" => steps.push(Step {
                line: block.line,
                text: commands::filled_in(&block.text),
                exit: block.fence.exit(),
                until: block.fence.word("until").map(str::to_owned),
                shown: None,
            }),
            "console" => {
                let exchanges = transcript::read(&block.text)
                    .unwrap_or_else(|why| panic!("{}:{}: {why}", page.name, block.line));
                let last = exchanges.len() - 1;
                steps.extend(exchanges.into_iter().enumerate().map(|(i, one)| Step {
                    line: block.line + one.line,
                    text: commands::filled_in(&one.command),
                    exit: if i == last { block.fence.exit() } else { 0 },
                    until: None,
                    shown: Some((block.line + one.line + one.command.lines().count(), one.shown)),
                }));
            }
            _ => steps.extend(saved(block)),
        }
    }
    steps
}

/// A block that a reader saves.
fn saved(block: &Block) -> Option<Step> {
    let name = block.fence.word("file")?;
    Some(Step {
        line: block.line,
        text: format!(
            "mkdir -p \"$(dirname {name})\"; cat > {name} <<'END OF THE BLOCK'\n{}END OF THE BLOCK",
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
            "--uts",
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
