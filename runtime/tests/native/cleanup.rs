//! Nothing is left behind, and no secret is where it must not be.

use std::path::{Path, PathBuf};

use crate::support::{Place, processes_with, secret, sh, shim_pid, until, until_says, wait};

fn files_below(dir: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(dir).into_iter().flatten().flatten() {
        let kind = entry.file_type().unwrap();
        if kind.is_dir() {
            files_below(&entry.path(), found);
        } else if kind.is_file() {
            found.push(entry.path());
        }
    }
}

fn cgroups_named(id: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in std::fs::read_dir("/sys/fs/cgroup")
        .into_iter()
        .flatten()
        .flatten()
    {
        for path in [
            hierarchy.path().join("firehall").join(id),
            hierarchy.path().join(id),
        ] {
            if path.exists() {
                found.push(path);
            }
        }
    }
    found
}

/// The root that all steps share, and the account of cgroups, which is empty.
fn assert_only_shared(state: &Path) {
    let left: Vec<_> = std::fs::read_dir(state)
        .unwrap()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    let shared = |path: &PathBuf| {
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        name.starts_with("skeleton-") || (name == "made" && std::fs::read_dir(path).unwrap().count() == 0)
    };
    // Directories for attempts to come, in which there is nothing of those that were.
    let (spare, left): (Vec<_>, Vec<_>) = left
        .into_iter()
        .partition(|path| ["spare", "spare-notes"].iter().any(|name| path.ends_with(name)));
    for path in &spare {
        assert_empty(path);
    }
    assert!(left.len() == 2 && left.iter().all(shared), "{left:?}");
}

/// Directories and files in which no byte says anything: the room for a record is zeros, all others have none.
fn assert_empty(path: &Path) {
    let meta = std::fs::symlink_metadata(path).unwrap();
    if meta.is_dir() {
        for entry in std::fs::read_dir(path).unwrap() {
            assert_empty(&entry.unwrap().path());
        }
    } else {
        assert!(meta.is_file(), "{}: {meta:?}", path.display());
        let said = std::fs::read(path).unwrap();
        let is_room = path.ends_with("exit.json.tmp") && said.iter().all(|byte| *byte == 0);
        assert!(is_room || said.is_empty(), "{}: {said:?}", path.display());
    }
}

/// Mounts of this host that were not there before, but for those that other tests make meanwhile: below directories of
/// their own, Docker's, or network namespaces by name.
fn new_mounts(before: &str, ours: &Path) -> Vec<String> {
    let ours = ours.to_string_lossy().into_owned();
    let now = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let foreign = |line: &str| {
        ["/docker", "/tmp/", "/run/netns"]
            .iter()
            .any(|part| line.contains(part))
    };
    now.lines()
        .filter(|line| !before.lines().any(|old| old == *line))
        .filter(|line| line.contains(&ours) || !foreign(line))
        .map(str::to_owned)
        .collect()
}

#[test]
fn nothing_is_left_behind() {
    let place = Place::new();
    let mounts = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    let none = Vec::<String>::new();
    let spec = sh("echo up; echo v=1 > $FIREHALL_OUTPUT; sleep 0.5");
    let handle = place.start(&spec);
    until_says(handle.dir(), "up");
    assert!(
        !cgroups_named(&spec.id).is_empty(),
        "it has a cgroup while it runs"
    );
    assert_eq!(
        new_mounts(&mounts, &place.path("")),
        none,
        "no mount is seen outside"
    );
    assert!(
        place.native.remove(handle.dir().path()).is_err(),
        "not while it runs"
    );
    let shim = shim_pid(handle.dir());
    wait(&handle);
    place.native.remove(handle.dir().path()).unwrap();
    assert!(!handle.dir().path().exists());
    assert_eq!(cgroups_named(&spec.id), Vec::<PathBuf>::new());
    assert_eq!(new_mounts(&mounts, &place.path("")), none);
    assert_eq!(processes_with(&spec.id), Vec::<i32>::new());
    // Its parent is told of its end in the same moment as we are.
    until("the shim to be reaped: no zombie", || {
        !Path::new(&format!("/proc/{shim}")).exists()
    });
    assert_only_shared(&place.path("native"));
}

#[test]
fn a_lost_step_is_swept() {
    let place = Place::new();
    let spec = sh("echo up; sleep 60");
    let handle = place.start(&spec);
    until_says(handle.dir(), "up");
    nix::sys::signal::kill(
        nix::unistd::Pid::from_raw(shim_pid(handle.dir())),
        nix::sys::signal::Signal::SIGKILL,
    )
    .unwrap();
    wait(&handle);
    place.native.remove(handle.dir().path()).unwrap();
    assert_eq!(cgroups_named(&spec.id), Vec::<PathBuf>::new());
    assert!(!handle.dir().path().exists());
}

#[test]
fn a_secret_is_only_in_the_steps_own_environment() {
    let place = Place::new();
    // Built here, so that this test's own text does not hold it in one piece.
    let value = ["canary", "7f3a", "91"].join("-");
    let spec = sh("echo up; sleep 1; printf %s \"$TOKEN\" | wc -c");
    let handle = place.start_with(&spec, &secret("TOKEN", &value));
    until_says(handle.dir(), "up");
    let shim = shim_pid(handle.dir());
    assert_eq!(
        std::fs::read(format!("/proc/{shim}/environ")).unwrap(),
        b"",
        "the shim's environment is empty"
    );
    let line = std::fs::read(format!("/proc/{shim}/cmdline")).unwrap();
    assert!(!String::from_utf8_lossy(&line).contains(&value));
    let status = std::fs::read_to_string(format!("/proc/{shim}/status")).unwrap();
    assert!(status.contains("Threads:\t1\n"), "{status}");
    // An owner of root although we are root says little; core dumps are off by limit.
    let limits = std::fs::read_to_string(format!("/proc/{shim}/limits")).unwrap();
    assert!(
        limits
            .lines()
            .any(|l| l.starts_with("Max core file size") && l.split_whitespace().nth(4) == Some("0"))
    );
    let holders: Vec<String> = holders_of(&value);
    assert!(!holders.is_empty(), "the step itself has it");
    for command in &holders {
        assert!(
            command.starts_with("sleep") || command.starts_with("/bin/sh"),
            "{holders:?}"
        );
    }
    assert_eq!(crate::support::finished(wait(&handle)).code, Some(0));
    assert_eq!(
        std::fs::read_to_string(handle.dir().stdout()).unwrap().trim_end(),
        format!("up\n{}", value.len())
    );
    let mut files = Vec::new();
    files_below(place.path("").as_path(), &mut files);
    assert!(files.len() > 5, "{files:?}");
    for file in files {
        let bytes = std::fs::read(&file).unwrap();
        assert!(
            !bytes
                .windows(value.len())
                .any(|window| window == value.as_bytes()),
            "{}",
            file.display()
        );
    }
}

/// Command lines of the processes whose environment holds a text.
fn holders_of(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let environment = std::fs::read(entry.path().join("environ")).unwrap_or_default();
        if String::from_utf8_lossy(&environment).contains(text) {
            let command = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
            found.push(String::from_utf8_lossy(&command).replace('\0', " "));
        }
    }
    found
}

#[tokio::test]
async fn the_probe_tries_it_and_leaves_nothing() {
    let tmp = tempfile::tempdir().unwrap();
    let support = runtime::Native::probe(&tmp.path().join("native"), crate::support::command())
        .await
        .unwrap();
    assert!(
        support.hardening.seccomp == 2 && !support.kernel.is_empty(),
        "{support:?}"
    );
    assert_only_shared(&tmp.path().join("native"));
    let broken = runtime::ShimCommand {
        program: "/usr/bin/false".into(),
        args: Vec::new(),
    };
    let refusal = runtime::Native::probe(&tmp.path().join("native"), broken)
        .await
        .unwrap_err();
    assert!(refusal.reason.contains("the shim failed"), "{refusal}");
}

#[test]
fn a_secret_as_a_file_is_the_steps_alone_and_gone_with_it() {
    let place = Place::new();
    let value = format!("filed-{}-{}", std::process::id(), "hunter2\nwith a second line");
    let mut spec = sh(
        "cat /run/secrets/TOKEN; stat -c '%a %u %F' /run/secrets/TOKEN; stat -f -c %T /run/secrets; env | grep -c TOKEN || true; \
         echo x > /run/secrets/TOKEN || echo kept; echo x > /run/secrets/other || echo closed; echo ready; sleep 2",
    );
    spec.secret_files = ["TOKEN".to_owned()].into();
    let handle = place.start_with(&spec, &secret("TOKEN", &value));
    until_says(handle.dir(), "ready");
    let job = std::fs::read_to_string(handle.dir().path().join("job.json")).unwrap();
    assert!(job.contains("TOKEN") && !job.contains("hunter2"));
    let seen = std::fs::read_to_string("/proc/self/mountinfo").unwrap();
    assert!(!seen.contains("/secrets "), "the host sees it");
    assert_eq!(crate::support::finished(wait(&handle)).code, Some(0));
    let out = std::fs::read_to_string(handle.dir().stdout()).unwrap();
    assert_eq!(
        out,
        format!("{value}400 1000 regular file\ntmpfs\n0\nkept\nclosed\nready\n")
    );
}
