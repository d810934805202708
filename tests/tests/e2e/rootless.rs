//! The product in the hands of an ordinary user, for whom nobody has prepared anything.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use e2e::{Stack, process};

/// Nobody's: no host has a user of this number.
const USER: u32 = 61_235;

/// A home with the program in it, as somebody has it who has built it for herself.
struct Home {
    dir: tempfile::TempDir,
}

impl Home {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        std::fs::copy(process::binary(), dir.path().join("firehall")).unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o700)).unwrap();
        for path in [dir.path().to_owned(), dir.path().join("firehall")] {
            chown(path, Some(USER), Some(USER)).unwrap();
        }
        Self { dir }
    }

    fn program(&self) -> PathBuf {
        self.dir.path().join("firehall")
    }

    fn firehall(&self, args: &[&str]) -> Command {
        let mut command = process::program(&self.program());
        // `uid` takes the groups away, too: it is root that asks.
        command
            .uid(USER)
            .gid(USER)
            .args(args)
            .env("HOME", self.dir.path());
        command.current_dir(self.dir.path()).stdin(Stdio::null());
        command
    }

    fn run(&self, args: &[&str]) -> (Output, String, String) {
        let output = process::finish(&mut self.firehall(args));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let (out, err) = (text(&output.stdout), text(&output.stderr));
        (output, out, err)
    }
}

#[test]
fn the_demo_needs_no_root_and_says_what_that_costs() {
    let (output, out, err) = Home::new().run(&["demo"]);
    assert!(output.status.success(), "{out}\n{err}");
    assert!(
        out.contains("degraded: 1 of 4 responders is not in the directory"),
        "{out}"
    );
    assert!(out.contains("3 x container host"), "its checks ran: {out}");
    assert!(
        err.contains("without root: no cgroups: memory is limited for each process"),
        "{err}"
    );
}

#[test]
fn the_doctor_says_what_holds_without_root() {
    let (_, out, err) = Home::new().run(&["doctor", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap_or_else(|_| panic!("{out} {err}"));
    let findings = report["findings"].as_array().unwrap();
    let of = |check: &str| {
        findings
            .iter()
            .filter(|finding| finding["check"] == check)
            .map(|finding| {
                (
                    finding["level"].as_str().unwrap(),
                    finding["message"].as_str().unwrap(),
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(of("runtime.native")[0].0, "ok", "{out}");
    for check in [
        "seccomp",
        "no-new-privs",
        "capabilities",
        "root",
        "user",
        "network",
        "limits",
    ] {
        assert_eq!(of(&format!("hardening.{check}"))[0].0, "ok", "{check}: {out}");
    }
    assert!(of("runtime.limits")[0].1.contains("for each process"), "{out}");
    let refused = of("runtime.refuses");
    assert!(
        refused.iter().any(|(_, message)| message.contains("cpu")),
        "{refused:?}"
    );
    assert!(of("host.egress")[0].1.contains("root"), "{out}");
}

/// Tries to open what is a process's own and to attach to it; says what it could.
const PRY: &str = "
my ($pid, $ptrace) = @ARGV;
for my $file (qw(environ mem maps auxv)) { print \"$file\\n\" if open my $open, '<', \"/proc/$pid/$file\" }
print \"fd\\n\" if opendir my $dir, \"/proc/$pid/fd\";
print \"ptrace\\n\" if syscall($ptrace, 16, $pid + 0, 0, 0) == 0;
";

/// What another process of the same user can do with one.
fn pried(pid: u32) -> Vec<String> {
    let mut command = Command::new("perl");
    command.uid(USER).gid(USER).current_dir("/");
    command.args(["-e", PRY, &pid.to_string(), &libc::SYS_ptrace.to_string()]);
    let output = process::finish(&mut command);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout)
        .unwrap()
        .lines()
        .map(str::to_owned)
        .collect()
}

/// Its memory and its environment hold secrets, and its user may run other programs.
#[test]
fn no_other_process_of_its_user_looks_into_an_agent() {
    let stack = Stack::server();
    let home = Home::new();
    let data = home.dir.path().join("agent").display().to_string();
    let url = stack.url();
    let args = ["agent", "--server", &url, "--name", "users", "--data-dir", &data];
    let agent = process::Running::start("agent", &mut home.firehall(&args), &stack.dir().join("users.log"));
    stack.connected("users");
    assert_eq!(pried(agent.pid()), Vec::<String>::new());

    // Of an ordinary process of the user all that is open: it is the agent that is shut.
    let mut sleep = Command::new("sleep");
    sleep.arg("1000").uid(USER).gid(USER).env_clear();
    let other = process::Running::start("sleep", &mut sleep, &stack.dir().join("sleep.log"));
    let mut open = vec!["environ", "mem", "maps", "auxv", "fd"];
    let yama = std::fs::read_to_string("/proc/sys/kernel/yama/ptrace_scope").unwrap_or_default();
    // A host may let nobody trace what is not its child.
    if matches!(yama.trim(), "" | "0") {
        open.push("ptrace");
    }
    assert_eq!(pried(other.pid()), open);
}
